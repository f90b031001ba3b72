package conversation

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"causeway"
	"causeway/internal/platform"
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
	// longestPause is the longest time between an account's messages.
	longestPause = 5 * time.Second
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
	apps     map[string]time.Time // until when a platform asked an app to wait
}

// lane is the way a message goes: by an app of a platform's, a connection and a chat.
type lane struct {
	app        string
	connection causeway.ID
	chat       string
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
	return &pacer{clock: clock, pace: pace, accounts: map[causeway.ID]*accountPace{}, apps: map[string]time.Time{}}
}

// turn is when a message may go out; zero if it may now. Then its call has begun, and
// whoever makes it calls done. asked tells that the platform wants the wait.
func (p *pacer) turn(by lane, message causeway.ID) (at time.Time, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	a, c := p.of(by, now)
	if until := p.apps[by.app]; until.After(a.until) {
		a.until = until
	}
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

// slow leaves so much time between an account's messages from now on, because its
// platform's quotas are nearly used up. What is longer than longestPause is waited out: there
// is nothing left of them.
func (p *pacer) slow(connection causeway.ID, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, now := p.accounts[connection], p.clock.Now()
	if d > longestPause {
		a.until = causeway.Stamp(now.Add(d))
		return
	}
	a.limiter.SetLimitAt(now, min(p.pace.Account, rate.Every(d)))
}

// wait is told what the platform asked for when something was sent, and tells until
// when that waits: the chat, the account, or all accounts of the app, as the platform
// says. Where it does not say, it is the chat, and when another chat of the account
// waits as well, all of them do.
func (p *pacer) wait(by lane, scope platform.RefusalScope, d time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d <= 0 {
		d = unsaid
	}
	now := p.clock.Now()
	a, c := p.of(by, now)
	until := causeway.Stamp(now.Add(d))
	switch scope {
	case platform.ScopeApp:
		p.apps[by.app] = until
	case platform.ScopeAccount:
		a.until = until
	case platform.ScopeChat:
		c.until = until
	case platform.ScopeUnknown:
		c.until = until
		for other, o := range a.chats {
			if other != by.chat && o.until.After(now) && until.After(a.until) {
				a.until = until
			}
		}
	}
	return until
}

// of finds or makes the paces of an account and a chat.
func (p *pacer) of(by lane, now time.Time) (*accountPace, *chatPace) {
	a := p.accounts[by.connection]
	if a == nil {
		a = &accountPace{
			limiter: rate.NewLimiter(p.pace.Account, accountBurst),
			chats:   map[string]*chatPace{}, booked: map[causeway.ID]time.Time{},
		}
		p.accounts[by.connection] = a
	}
	c := a.chats[by.chat]
	if c == nil {
		a.forget(now)
		c = &chatPace{limiter: rate.NewLimiter(p.pace.Chat, chatBurst)}
		a.chats[by.chat] = c
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
