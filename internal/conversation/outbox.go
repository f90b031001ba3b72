package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/message"
	"causeway/internal/platform"
	"causeway/internal/queue"
	"causeway/internal/store"
)

const (
	// sendDeadline bounds one call of the platform; one with a file has more time.
	sendDeadline = 15 * time.Second
	// sendLease is how long a message is one worker's: longer than a call, so that who
	// has it still knows what came of it.
	sendLease = sendDeadline + afterCall
	// afterCall is what a lease has left when the call's time is over.
	afterCall = 5 * time.Second
	// sendWorkers is how many messages are sent at the same time. They wait for
	// platforms mostly.
	sendWorkers = 128
	// sendPoll is how often to look whose time has come.
	sendPoll = 250 * time.Millisecond
	// recordWithin bounds the writing down of what came of a call.
	recordWithin = 5 * time.Second
	// keepTrying is how long a message waits for a connection that does not work.
	keepTrying = 24 * time.Hour
	// holdFor is when a message of such a connection is looked at again, if nobody tells
	// before that the connection works.
	holdFor = time.Minute
)

// outbox sends what is queued: of each conversation the oldest message that waits, one
// at a time, and of others at the same time. What came of it is written down in a
// transaction of its own after each call, and that there is a call before it: a message
// whose call nobody lived to write down may have gone out, and is not sent again.
//
// A text and its files are one message, and each of them a call of its own: between two
// calls the message is handed back, so that what was taken is written down and is not
// sent again, whatever happens to the rest.
type outbox struct {
	*Service
	queue *queue.Queue
	pacer *pacer
}

func newOutbox(s *Service, pace Pace) *outbox {
	o := &outbox{Service: s, pacer: newPacer(s.clock, pace)}
	o.queue = queue.New(queue.Config{
		Store: s.store, Clock: s.clock, Log: s.log,
		Table:     queue.Table{Name: message.Table, Waiting: "status = 'QUEUED'", Order: message.FieldSeq},
		Batch:     1, // so that no message waits for another conversation's call
		Workers:   sendWorkers,
		LeaseFor:  sendLease,
		PollEvery: sendPoll,
		Handle:    o.handle,
	})
	return o
}

// start takes up what an earlier process of this server had in hand, and sends.
func (o *outbox) start(ctx context.Context) error {
	if o.store.Dialect() == dialect.SQLite { // whoever held a lease is gone: there is one server
		err := o.store.InTx(ctx, func(tx *store.Tx) error {
			return tx.Message.Update().Where(isQueued, message.LeasedUntilNotNil()).ClearLeasedUntil().Exec(ctx)
		})
		if err != nil {
			return fmt.Errorf("take up the outbox: %w", err)
		}
	}
	o.queue.Start()
	return nil
}

func (o *outbox) close() error { return o.queue.Close() }

// letter is a message in this worker's hands.
type letter struct {
	*ent.Message
	item queue.Item
	conv *ent.Conversation // with its contact and connection
	// parts are what it is made of; PartsSent of them the platform has taken.
	parts []part
	// traced: the platform can be asked what became of a call that got no answer.
	traced bool
}

// lane is where the letter goes, as the pacer knows it.
func (l *letter) lane() lane {
	conn := l.conv.Edges.Connection
	return lane{app: string(conn.Platform) + " " + deref(conn.AppID), connection: l.ConnectionID, chat: l.chat()}
}

// chat is what the platform counts messages by: a group's topics are one chat.
func (l *letter) chat() string {
	chat, _, _ := strings.Cut(l.conv.Chat, topicSeparator)
	return chat
}

func (o *outbox) handle(ctx context.Context, items []queue.Item) {
	for _, item := range items {
		l, err := o.read(ctx, item)
		if err == nil {
			err = o.deliver(ctx, l)
		}
		if err != nil && !errors.Is(err, queue.ErrLeaseLost) && ctx.Err() == nil {
			o.log.Warn("a message was left for later", "message", item.ID, "error", err)
		}
	}
}

func (o *outbox) read(ctx context.Context, item queue.Item) (*letter, error) {
	m, err := o.store.Reader().Message.Query().Where(message.ID(item.ID)).
		WithConversation(func(q *ent.ConversationQuery) { q.WithContact().WithConnection() }).
		WithReplyTo().
		WithAttachments(func(q *ent.AttachmentQuery) { q.Order(attachment.ByPlace()) }).
		Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", item.ID, err)
	}
	return &letter{Message: m, item: item, conv: m.Edges.Conversation, parts: partsOf(m)}, nil
}

// deliver sends a message if it may be sent now.
func (o *outbox) deliver(ctx context.Context, l *letter) error {
	if l.SendingAt != nil { // whoever called did not learn, or did not live to tell, what came of it
		return o.record(ctx, l, o.settle(ctx, l))
	}
	if f := o.before(l); f != nil {
		return o.write(ctx, l, *f)
	}
	if at, asked := o.pacer.turn(l.lane(), l.ID); !at.IsZero() {
		why := l.Problem
		if asked {
			why = o.problem(causeway.Fail(causeway.RateLimited).CanRetry())
		}
		return o.write(ctx, l, fate{status: message.StatusQueued, problem: why, next: at})
	}
	defer o.pacer.done(l.ConnectionID)
	if err := o.announce(ctx, l); err != nil {
		return err
	}
	sent, err := o.send(ctx, l)
	f := o.after(ctx, l, sent, err)
	o.count(l, f)
	if f.check {
		if err := o.accounts.CheckSoon(context.WithoutCancel(ctx), l.ConnectionID); err != nil {
			o.log.Warn("a check was not asked for", "connection", l.ConnectionID, "error", err)
		}
	}
	return o.record(ctx, l, f)
}

// count tells what came of a call.
func (o *outbox) count(l *letter, f fate) {
	if o.called == nil {
		return
	}
	outcome := "waits"
	switch {
	case f.status == message.StatusSent:
		outcome = "sent"
	case f.sent != nil:
		outcome = "part"
	case f.status == message.StatusFailed:
		outcome = "failed"
	}
	since := l.CreatedAt
	if l.QueuedAt != nil {
		since = *l.QueuedAt
	}
	o.called(l.conv.Platform, outcome, max(0, o.clock.Now().Sub(since)))
}

// before is what becomes of a message without a call, or nil.
func (o *outbox) before(l *letter) *fate {
	if why := o.refusal(l.conv); why != nil {
		return o.failed(why, false)
	}
	blocked := obstacle(l.conv)
	now := o.clock.Now()
	if now.Sub(*l.QueuedAt) >= keepTrying {
		why := blocked
		if why == nil {
			why = l.Problem
		}
		if why == nil {
			why = &causeway.Fail(causeway.PlatformError).Problem
		}
		return &fate{status: message.StatusFailed, problem: why}
	}
	if blocked == nil {
		return nil
	}
	return &fate{status: message.StatusQueued, problem: blocked, next: now.Add(jittered(holdFor))}
}

// announce writes down that the platform is about to be called, and keeps the message
// in this worker's hands for as long as that may take.
func (o *outbox) announce(ctx context.Context, l *letter) error {
	until := l.item.LeasedUntil
	if p, _ := l.next(); p.file != nil {
		until = o.clock.Now().Add(p.callTime() + afterCall)
	}
	item := l.item
	err := o.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if item, err = o.queue.Prolong(tx, l.item, until); err != nil {
			return err
		}
		n, err := tx.Message.Update().Where(message.ID(l.ID), message.PartsSent(l.PartsSent)).
			SetSendingAt(o.clock.Now()).Save(tx.Context())
		if err == nil && n == 0 { // it was sent by an earlier call, as its echo told just now
			return queue.ErrLeaseLost
		}
		return err
	})
	if err == nil {
		l.item = item
	}
	return err
}

func (o *outbox) send(ctx context.Context, l *letter) (platform.Sent, error) {
	out, err := o.outgoing(ctx, l)
	if err != nil {
		return platform.Sent{}, err
	}
	p, _ := l.next()
	ctx, cancel := context.WithTimeout(ctx, p.callTime())
	defer cancel()
	account, err := o.accounts.Open(ctx, l.ConnectionID)
	if err != nil {
		return platform.Sent{}, err
	}
	_, l.traced = account.(platform.Tracer)
	sent, err := account.Send(ctx, out)
	if by, slow := account.(platform.Pacer); slow {
		o.pacer.slow(l.ConnectionID, by.Slow())
	}
	return sent, err
}

// record writes down what came of a call, and does not give up at once when that does
// not go: nobody else knows.
func (o *outbox) record(ctx context.Context, l *letter, f fate) error {
	for {
		err := o.recordOnce(context.WithoutCancel(ctx), l, f)
		if err == nil || ctx.Err() != nil || errors.Is(err, queue.ErrLeaseLost) || !o.clock.Now().Before(l.item.LeasedUntil) {
			return err
		}
		again := o.clock.NewTimer(sendPoll)
		select {
		case <-again.C():
		case <-ctx.Done():
		}
		again.Stop()
	}
}

func (o *outbox) recordOnce(ctx context.Context, l *letter, f fate) error {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	err := o.write(ctx, l, f)
	if errors.Is(err, queue.ErrLeaseLost) && f.sent != nil {
		return o.correct(ctx, l, f)
	}
	return err
}
