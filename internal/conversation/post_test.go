package conversation_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"causeway"
	"causeway/ent"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// handClock stands still until it is turned.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*handTimer
}

type handTimer struct {
	at time.Time
	c  chan time.Time
}

func newHandClock() *handClock { return &handClock{now: causeway.Stamp(time.Now())} }

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &handTimer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	c.fire()
	return t
}

func (t *handTimer) C() <-chan time.Time { return t.c }
func (t *handTimer) Stop()               {}

// turn moves the clock forward to a time.
func (c *handClock) turn(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to.After(c.now) {
		c.now = causeway.Stamp(to)
	}
	c.fire()
}

func (c *handClock) fire() {
	c.timers = slices.DeleteFunc(c.timers, func(t *handTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		t.c <- c.now
		return true
	})
}

// post is a platform as the outbox sees it: what a call answers is up to the test.
type post struct {
	*house
	clock   *handClock
	service *conversation.Service
	answer  func(call) error // nil: everything is taken

	mu      sync.Mutex
	calls   []call
	taken   []string                  // chat and text, or the file's name, in order
	crashed map[causeway.ID]time.Time // messages, by when the lease of their last call ends
	checked []causeway.ID

	media    media.Store
	fetch    func(ref string) (platform.Download, error)           // nil: no account hands out files
	describe func(contact string) (platform.ContactProfile, error) // nil: none describes anybody
	wrap     func(mailbox) platform.Account                        // nil: an account that can send, and no more
}

// call is one try to send. nth counts those of the same text or file.
type call struct {
	platform.Outgoing
	nth int
	at  time.Time
}

// says is the text, or the name of the file.
func (c call) says() string {
	if c.File != nil {
		return c.File.Name
	}
	return c.Text
}

// errCrash lets the worker die in the call, errLost after the platform took it.
var (
	errCrash = errors.New("crash")
	errLost  = errors.New("lost")
)

// newPost starts an outbox that knows no pace but the platform's.
func newPost(h *house, answer func(call) error) *post {
	h.Helper()
	p := &post{house: h, clock: newHandClock(), answer: answer, crashed: map[causeway.ID]time.Time{}}
	files, err := media.OpenDisk(h.TempDir())
	h.no(err)
	p.media = files
	p.open(conversation.Pace{Account: rate.Inf, Chat: rate.Inf})
	return p
}

func (p *post) open(pace conversation.Pace) {
	p.Helper()
	doorbells := bus.NewLocal()
	events := feed.New(feed.Config{Store: p.store, Bus: doorbells, Clock: p.clock})
	p.service = conversation.New(conversation.Config{
		Store: p.store, Feed: events, Bus: doorbells, Accounts: p, Clock: p.clock, Log: discard(), Pace: pace,
		Limits: map[platform.Name]platform.Limits{platform.Telegram: {
			Text: 100, Files: map[platform.AttachmentKind]int64{platform.Image: 4 << 20, platform.File: 5 << 20},
			As: func(mimeType string) platform.AttachmentKind {
				switch mimeType {
				case "image/png":
					return platform.Image
				case "application/pdf":
					return platform.Audio // of which this platform takes none
				}
				return platform.File
			},
		}, platform.Messenger: {Text: 100, Standard: 24 * time.Hour, Human: 7 * 24 * time.Hour}},
		Media: p.media, MaxMedia: 1 << 20,
	})
	p.no(p.service.Start(p.Context()))
	service := p.service
	p.Cleanup(func() {
		p.no(service.Close())
		p.no(events.Close())
		p.no(doorbells.Close())
	})
}

func (p *post) Open(context.Context, causeway.ID) (platform.Account, error) {
	switch {
	case p.wrap != nil:
		return p.wrap(mailbox{p}), nil
	case p.describe != nil:
		return teller{shelf{mailbox{p}}}, nil
	case p.fetch != nil:
		return shelf{mailbox{p}}, nil
	default:
		return mailbox{p}, nil
	}
}

// shelf is a mailbox that hands out files, and teller one that also describes contacts.
type (
	shelf  struct{ mailbox }
	teller struct{ shelf }
)

func (s shelf) Fetch(_ context.Context, ref string) (platform.Download, error) { return s.fetch(ref) }

func (t teller) Describe(_ context.Context, contact string) (platform.ContactProfile, error) {
	return t.describe(contact)
}

func (p *post) CheckSoon(_ context.Context, connection causeway.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked = append(p.checked, connection)
	return nil
}

func (p *post) Noticed(*store.Tx, causeway.ID, platform.AccountNoticed) (bool, error) {
	return false, nil
}

type mailbox struct{ *post }

func (mailbox) AnswerTap(context.Context, string) error { return nil }

func (b mailbox) Send(_ context.Context, m platform.Outgoing) (platform.Sent, error) {
	b.mu.Lock()
	c := call{Outgoing: m, at: b.clock.Now()}
	for _, other := range b.calls {
		if other.says() == c.says() {
			c.nth++
		}
	}
	b.calls = append(b.calls, c)
	b.mu.Unlock()
	var err error
	if b.answer != nil {
		err = b.answer(c)
	}
	id, lease := b.leaseOf(m.Metadata)
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, errCrash) {
		b.crashed[id] = lease
		panic("the process ends here")
	}
	if err != nil && !errors.Is(err, errLost) {
		return platform.Sent{}, err
	}
	b.taken = append(b.taken, m.Chat+" "+c.says())
	if errors.Is(err, errLost) {
		b.crashed[id] = lease
		panic("the process ends here")
	}
	return platform.Sent{ID: m.Chat + "/" + strconv.Itoa(1000+len(b.taken)), At: b.clock.Now()}, nil
}

// leaseOf is which message is being sent, and when its lease ends.
func (p *post) leaseOf(metadata string) (causeway.ID, time.Time) {
	id, _, _ := strings.Cut(metadata, "/")
	m, err := p.store.Reader().Message.Get(p.Context(), causeway.ID(id))
	if err != nil || m.LeasedUntil == nil {
		return causeway.ID(id), time.Time{}
	}
	return m.ID, *m.LeasedUntil
}

func (p *post) takenBy(chat any) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var texts []string
	for _, t := range p.taken {
		if text, ok := strings.CutPrefix(t, fmt.Sprint(chat)+" "); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// agent is the context of somebody who may write.
func (p *post) agent() context.Context {
	return auth.WithViewer(p.Context(), &auth.Viewer{UserID: "user_1", Admin: true})
}

// answers queues a reply.
func (p *post) answers(conv *ent.Conversation, text string) causeway.ID {
	p.Helper()
	id, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: text})
	p.no(err)
	return id
}

func (p *post) message(id causeway.ID) *ent.Message {
	p.Helper()
	m, err := p.store.Reader().Message.Get(p.Context(), id)
	p.no(err)
	return m
}

// becomes compares a message's status, problem and attempts.
func (p *post) becomes(id causeway.ID, want string) *ent.Message {
	p.Helper()
	m := p.message(id)
	var code causeway.Code
	if m.Problem != nil {
		code = m.Problem.Code
	}
	if got := strings.TrimSpace(fmt.Sprintf("%s after %d %s", m.Status, m.Attempts, code)); got != want {
		p.Errorf("%q is %s, want %s", text(m.Text), got, want)
	}
	return m
}

// waits are the messages that are not settled, with when something happens to each:
// zero while it is due or in somebody's hands.
func (p *post) waits() (next time.Time, why string) {
	p.Helper()
	rows, err := p.store.Reader().Message.Query().Where(message.StatusEQ(message.StatusQueued)).Order(message.BySeq()).All(p.Context())
	p.no(err)
	heads := map[causeway.ID]*ent.Message{}
	for _, m := range rows {
		if heads[m.ConversationID] == nil {
			heads[m.ConversationID] = m
		}
	}
	now := p.clock.Now()
	for _, m := range heads {
		at := *m.NextTryAt
		p.mu.Lock()
		crashed := m.LeasedUntil != nil && m.LeasedUntil.Equal(p.crashed[m.ID])
		p.mu.Unlock()
		if m.LeasedUntil != nil && m.LeasedUntil.After(now) {
			if !crashed {
				return time.Time{}, text(m.Text) + " is in somebody's hands"
			}
			at = *m.LeasedUntil
		}
		if !at.After(now) {
			return time.Time{}, text(m.Text) + " is due"
		}
		if next.IsZero() || at.Before(next) {
			next, why = at, text(m.Text)+" waits"
		}
	}
	return next, why
}

// rest waits until nothing happens any more unless the clock is turned, and tells when
// something does; zero if everything is settled.
func (p *post) rest() time.Time {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		next, why := p.waits()
		if why == "" || !next.IsZero() {
			return next
		}
		p.clock.turn(p.clock.Now().Add(time.Millisecond)) // the poll's time passes
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.Fatalf("still at work: %s", why)
		}
	}
}

// settle turns the clock until nothing waits any more.
func (p *post) settle() {
	p.Helper()
	for next := p.rest(); !next.IsZero(); next = p.rest() {
		p.clock.turn(next)
	}
}

// statuses are what agents were told of a message.
func (p *post) statuses(id causeway.ID) []string {
	p.Helper()
	events, err := p.store.Reader().FeedEvent.Query().Where(feedevent.MessageID(id)).Order(feedevent.BySeq()).All(p.Context())
	p.no(err)
	var told []string
	for _, e := range events {
		told = append(told, cmp.Or(e.Status, e.Change))
	}
	return told
}

// desk is a post with a customer who wrote.
func desk(t *testing.T, answer func(call) error, test func(p *post, conn *ent.Connection, conv *ent.Conversation)) {
	t.Helper()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		test(newPost(h, answer), conn, h.conversation(conn, anaChat))
	})
}
