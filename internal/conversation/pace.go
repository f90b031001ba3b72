package conversation

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"causeway"
)

// Pace is how fast messages go out, per second and per process. Zero is what Telegram
// bears; rate.Inf is no bound.
type Pace struct {
	Account rate.Limit // of one account; 25 if it is zero
	Chat    rate.Limit // in one chat; 1 if it is zero, and three at once now and then
}

const (
	accountBurst = 2
	chatBurst    = 3
	// maxCalls bounds an account's calls at the same time, so that one whose platform
	// hangs leaves workers to the others.
	maxCalls = 32
	// crowded is how long a message waits when an account has that many.
	crowded = 500 * time.Millisecond
	// unsaid is how long a platform is left alone that asks to wait and does not say
	// how long.
	unsaid = 5 * time.Second
	// remembered is how many chats or bookings an account has before old ones are
	// looked for and forgotten.
	remembered = 4096
)

// pacer gives messages the times at which they may go out. It knows this process's
// sending only; what is more than the platform bears, it answers by itself.
type pacer struct {
	clock causeway.Clock
	pace  Pace

	mu       sync.Mutex
	accounts map[causeway.ID]*accountPace
}

// accountPace is one connection's. A booked message has its time already when it is
// offered again.
type accountPace struct {
	limiter *rate.Limiter
	calls   int
	until   time.Time // the platform asked the account to wait
	chats   map[string]*chatPace
	booked  map[causeway.ID]time.Time
}

type chatPace struct {
	limiter *rate.Limiter
	until   time.Time // the platform asked the chat to wait
	used    time.Time
}

func newPacer(clock causeway.Clock, pace Pace) *pacer {
	if pace.Account == 0 {
		pace.Account = 25
	}
	if pace.Chat == 0 {
		pace.Chat = 1
	}
	return &pacer{clock: clock, pace: pace, accounts: map[causeway.ID]*accountPace{}}
}

// turn is when a message may go out; zero if it may now. Then its call has begun, and
// whoever makes it calls done. asked tells that the platform wants the wait.
func (p *pacer) turn(connection causeway.ID, chat string, message causeway.ID) (at time.Time, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	a, c := p.of(connection, chat, now)
	if c.until.After(now) && !c.until.Before(a.until) {
		return c.until, true
	}
	at, had := a.booked[message]
	if a.until.After(now) {
		if had && !at.Before(a.until) {
			return at, true
		}
		at = a.until.Add(a.limiter.ReserveN(a.until, 1).DelayFrom(a.until))
		a.booked[message] = at
		return at, true
	}
	if !had {
		at = now.Add(max(a.limiter.ReserveN(now, 1).DelayFrom(now), c.limiter.ReserveN(now, 1).DelayFrom(now)))
	}
	if !at.After(now) && a.calls >= maxCalls {
		at = now.Add(crowded + a.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	if at.After(now) {
		a.booked[message] = at
		return at, false
	}
	delete(a.booked, message)
	a.calls++
	return time.Time{}, false
}

// done ends a call that turn began.
func (p *pacer) done(connection causeway.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accounts[connection].calls--
}

// wait is told what the platform asked for in a chat, and tells until when the chat
// waits. When another chat of the account waits as well, all of them do: the platform
// does not say which it means.
func (p *pacer) wait(connection causeway.ID, chat string, d time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d <= 0 {
		d = unsaid
	}
	now := p.clock.Now()
	a, c := p.of(connection, chat, now)
	c.until = causeway.Stamp(now.Add(d))
	for other, o := range a.chats {
		if other != chat && o.until.After(now) && c.until.After(a.until) {
			a.until = c.until
		}
	}
	return c.until
}

// of finds or makes the paces of an account and a chat.
func (p *pacer) of(connection causeway.ID, chat string, now time.Time) (*accountPace, *chatPace) {
	a := p.accounts[connection]
	if a == nil {
		a = &accountPace{
			limiter: rate.NewLimiter(p.pace.Account, accountBurst),
			chats:   map[string]*chatPace{}, booked: map[causeway.ID]time.Time{},
		}
		p.accounts[connection] = a
	}
	c := a.chats[chat]
	if c == nil {
		a.forget(now)
		c = &chatPace{limiter: rate.NewLimiter(p.pace.Chat, chatBurst)}
		a.chats[chat] = c
	}
	c.used = now
	return a, c
}

// forget drops what makes no difference any more: chats that have their burst again,
// and bookings of messages that never came back.
func (a *accountPace) forget(now time.Time) {
	const idle = time.Minute
	if len(a.chats) >= remembered {
		for chat, c := range a.chats {
			if now.Sub(c.used) > idle && !c.until.After(now) {
				delete(a.chats, chat)
			}
		}
	}
	if len(a.booked) >= remembered {
		for message, at := range a.booked {
			if now.Sub(at) > idle {
				delete(a.booked, message)
			}
		}
	}
}
