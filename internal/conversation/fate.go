package conversation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/contact"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/internal/feed"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// fate is what becomes of a message that was in the outbox's hands.
type fate struct {
	status  message.Status // QUEUED: it waits
	problem *causeway.Problem
	next    time.Time // if it waits, until when
	tried   bool      // the platform was called, and it counts
	sent    *platform.Sent
	blocked bool   // the other side does not want to hear from us
	movedTo string // the chat has this id now
	check   bool   // the connection is to be checked
	// lost: another app has the chat.
	lost bool
	// open: what came of the call is not known, and is to be asked for.
	open bool
}

// waits are how long to wait after each failed try; after one more the message FAILED.
// They add up to an hour.
func waits() []time.Duration {
	return []time.Duration{
		5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute,
		8 * time.Minute, 17 * time.Minute, 30 * time.Minute,
	}
}

// soonerAtFirst is how long a message waits for the network that has waited for so
// long already: half as long again, so that a short break costs little, and no longer
// than for other trouble of a connection.
func soonerAtFirst(waited time.Duration) time.Duration {
	return min(max(waited/2, time.Second), holdFor)
}

// jittered is d and up to a fifth more.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/5) }

// problem is what is stored of an error.
func (o *outbox) problem(e *causeway.Error) *causeway.Problem {
	p := e.Problem
	p.OccurredAt = o.clock.Now()
	return &p
}

func (o *outbox) failed(why *causeway.Error, tried bool) *fate {
	return &fate{status: message.StatusFailed, problem: o.problem(why), tried: tried}
}

// after is what becomes of a message by what the platform answered.
func (o *outbox) after(ctx context.Context, l *letter, sent platform.Sent, err error) fate {
	now := o.clock.Now()
	if err == nil {
		if _, last := l.next(); !last { // the rest goes out in its turn
			return fate{status: message.StatusQueued, next: now, sent: &sent}
		}
		return fate{status: message.StatusSent, tried: true, sent: &sent}
	}
	wait := fate{status: message.StatusQueued, problem: l.Problem, next: now}
	r := platform.Refused(err)
	if r == nil { // the account was not opened: it was disconnected just now, or the trouble is ours
		if causeway.CodeOf(err) != causeway.NotConnected {
			o.log.Error("an account was not opened", "connection", l.ConnectionID, "error", err)
			wait.next = now.Add(jittered(holdFor))
		}
		return wait
	}
	o.log.Debug("a message was not taken", "message", l.ID, "attempt", l.item.Attempts, "error", r)
	told := func(code causeway.Code) *causeway.Error { return causeway.Fail(code).Platform(r.Code, r.Message) }
	switch {
	case r.MovedTo != "":
		wait.movedTo, wait.problem = r.MovedTo, o.problem(told(causeway.RecipientUnreachable))
		return wait
	case r.Kind == platform.RetryAfter:
		wait.next = o.pacer.wait(l.lane(), r.Scope, r.Wait)
		wait.problem = o.problem(told(causeway.RateLimited).CanRetry())
		return wait
	case ofConnection(r) != "":
		wait.next, wait.check = now.Add(jittered(holdFor)), true
		wait.problem = o.problem(told(ofConnection(r)))
		return wait
	case r.Kind == platform.Blocked:
		f := o.failed(told(causeway.BlockedByContact), true)
		f.blocked = true
		return *f
	case r.Kind == platform.Unreachable && r.Sent && l.traced:
		return fate{status: message.StatusQueued, problem: l.Problem, next: now.Add(settleAfter), tried: true, open: true}
	case r.Kind == platform.Unreachable && r.Sent:
		return *o.failed(told(causeway.DeliveryUnconfirmed), true)
	case r.Kind == platform.Unreachable && ctx.Err() != nil: // the server stops
		return wait
	case r.Kind == platform.Unreachable: // the connection's trouble, not the message's
		wait.next, wait.check = now.Add(jittered(soonerAtFirst(now.Sub(l.CreatedAt)))), true
		wait.problem = o.problem(told(causeway.NetworkError).CanRetry())
		return wait
	case ofMessage(r) != "":
		f := o.failed(told(ofMessage(r)), true)
		f.lost = r.Kind == platform.ThreadTaken
		return *f
	default:
		return o.again(l, told(causeway.PlatformError).CanRetry())
	}
}

// ofConnection is what a refusal says of the connection, for which a message waits;
// empty if it says nothing of it.
func ofConnection(r *platform.Refusal) causeway.Code {
	switch {
	case r.Kind == platform.Unauthorized && r.Expired:
		return causeway.TokenExpired
	case r.Kind == platform.Unauthorized && r.RoleLost:
		return causeway.PageRoleInsufficient
	case r.Kind == platform.Unauthorized:
		return causeway.TokenRevoked
	case r.Kind == platform.PermissionMissing:
		return causeway.PermissionsMissing
	case r.Kind == platform.Restricted:
		return causeway.AccountRestricted
	default:
		return ""
	}
}

// ofMessage is what a refusal says of the message, which will not be taken as it is;
// empty if it may be.
func ofMessage(r *platform.Refusal) causeway.Code {
	switch r.Kind {
	case platform.TooLarge, platform.FileRejected:
		return causeway.AttachmentRejected
	case platform.WindowClosed:
		return causeway.ReplyWindowClosed
	case platform.ThreadTaken:
		return causeway.ThreadOwnedByAnotherApp
	case platform.NotLive:
		return causeway.AppNotLive
	case platform.Rejected:
		return causeway.PlatformError
	default:
		return ""
	}
}

// again is one failed try more.
func (o *outbox) again(l *letter, why *causeway.Error) fate {
	after := waits()
	if l.Failures >= len(after) {
		return *o.failed(why, true)
	}
	return fate{
		status: message.StatusQueued, problem: o.problem(why), tried: true,
		next: o.clock.Now().Add(jittered(after[l.Failures])),
	}
}

// write makes a fate true, if the message is still in this worker's hands, and tells
// of it what agents see.
func (o *outbox) write(ctx context.Context, l *letter, f fate) error {
	err := o.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := lockFor(tx, l, f)
		if err != nil {
			return err
		}
		if err := o.queue.Fence(tx, l.item); err != nil {
			return err
		}
		f := f
		if f, err = o.told(tx, l, f); err != nil {
			return err
		}
		if f.movedTo != "" {
			if err := o.move(tx, l, &f); err != nil {
				return err
			}
		}
		if f.status, err = o.update(tx, l, conv, f); err != nil {
			return err
		}
		if f.lost {
			if err := o.lostThread(tx, conv); err != nil {
				return err
			}
		}
		if f.status != message.StatusQueued || !sameProblem(f.problem, l.Problem) {
			o.feed.Append(tx, statusEvent(l.Message, f.status))
		}
		if f.blocked {
			return o.block(tx, l)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write down what became of %s: %w", l.ID, err)
	}
	return nil
}

// update writes a fate and tells the status that the message has then: what the platform
// told of everything sent in the conversation can be ahead of the answer.
func (o *outbox) update(tx *store.Tx, l *letter, conv *ent.Conversation, f fate) (message.Status, error) {
	u := tx.Message.Update().Where(message.ID(l.ID)).ClearLeasedUntil()
	if !f.open {
		u.ClearSendingAt()
	}
	switch {
	case f.problem == nil:
		u.ClearProblem()
	default:
		u.SetProblem(f.problem)
	}
	if !f.tried { // the claim counted it
		u.SetAttempts(l.item.Attempts - 1)
	}
	if f.status == message.StatusQueued {
		u.SetNextTryAt(causeway.Stamp(o.inWindow(l.conv, f.next)))
		if f.tried {
			u.AddFailures(1)
		}
	}
	status := f.status
	if f.sent != nil {
		at, err := o.taken(tx, u, l, f.sent)
		if err != nil {
			return "", err
		}
		if status == message.StatusSent {
			status = arrive(u, conv, at)
		}
	}
	return status, u.SetStatus(status).Exec(tx.Context())
}

// arrive notes how far a message that was just sent has come, by the marks of its
// conversation, which is locked.
func arrive(u *ent.MessageUpdate, conv *ent.Conversation, sentAt time.Time) message.Status {
	status, delivered, read := reached(conv, sentAt)
	u.SetNillableDeliveredAt(delivered).SetNillableReadAt(read)
	return status
}

// lockFor locks a letter's conversation before the letter itself, as whoever applies
// updates does, where its fate has to do with the conversation; else there is nothing to
// lock, and the conversation is as it was read.
func lockFor(tx *store.Tx, l *letter, f fate) (*ent.Conversation, error) {
	if f.sent == nil && !f.lost && f.movedTo == "" {
		return l.conv, nil
	}
	query := tx.Conversation.Query().Where(conversation.ID(l.ConversationID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	conv, err := query.Only(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.ConversationID, err)
	}
	return conv, nil
}

// told is a fate, unless the platform's echo told meanwhile that it took the part that
// was sent: then that is what became of it, whatever the call's answer was. An echo of
// the last part takes the letter out of this worker's hands.
func (o *outbox) told(tx *store.Tx, l *letter, f fate) (fate, error) {
	m, err := tx.Message.Query().Where(message.ID(l.ID)).Select(message.FieldPartsSent).Only(tx.Context())
	if err != nil || m.PartsSent == l.PartsSent {
		return f, err
	}
	return fate{status: message.StatusQueued, next: o.clock.Now()}, nil
}

// taken notes that the platform took the letter's next part. The message is known by
// the first one's id, the others have rows of their own.
//
// A message of another program's that has the id already keeps it: its echo came without
// our words, and two messages cannot have one id.
func (o *outbox) taken(tx *store.Tx, u *ent.MessageUpdate, l *letter, sent *platform.Sent) (time.Time, error) {
	at := causeway.Stamp(o.clock.Now())
	if !sent.At.IsZero() {
		at = causeway.Stamp(sent.At)
	}
	u.SetPartsSent(l.PartsSent + 1).SetSentAt(at)
	id := optional(sent.ID)
	if id == nil {
		return at, nil
	}
	if l.PartsSent == 0 {
		known, err := tx.Message.Query().
			Where(message.ConnectionID(l.ConnectionID), message.AccountID(l.AccountID), message.ExternalID(*id), message.IDNEQ(l.ID)).
			Exist(tx.Context())
		if err == nil && !known {
			u.SetExternalID(*id)
		}
		return at, err
	}
	return at, tx.MessagePart.Create().
		SetCampaignID(l.CampaignID).SetConnectionID(l.ConnectionID).SetAccountID(l.AccountID).
		SetMessageID(l.ID).SetPlace(l.PartsSent).SetExternalID(*id).SetSentAt(at).
		OnConflict().DoNothing().
		Exec(tx.Context())
}

// block notes that the other side does not want to hear from us.
func (o *outbox) block(tx *store.Tx, l *letter) error {
	n, err := tx.Contact.Update().Where(contact.ID(l.conv.ContactID), contact.Blocked(false)).SetBlocked(true).Save(tx.Context())
	if err != nil || n == 0 {
		return err
	}
	o.feed.Append(tx, feed.Event{
		Campaign: l.CampaignID, Kind: feedevent.KindConversation, Conversation: l.ConversationID,
	})
	return nil
}

// move puts the chat behind its new id, as the platform's own update of it would. The
// message goes there next; if it could not move with the chat, it FAILED.
func (o *outbox) move(tx *store.Tx, l *letter, f *fate) error {
	_, err := o.applyUpdates(tx, []update{{
		log:      &ent.WebhookLog{CampaignID: l.CampaignID, ConnectionID: l.ConnectionID, AccountID: l.AccountID},
		platform: l.conv.Platform,
		event: platform.ChatMoved{
			From: l.chat(), To: f.movedTo, Title: deref(l.conv.Title), Text: "The chat goes on under another id", At: o.clock.Now(),
		},
	}})
	if err != nil {
		return fmt.Errorf("move the chat: %w", err)
	}
	conv, err := tx.Conversation.Get(tx.Context(), l.ConversationID)
	if err != nil {
		return err
	}
	if conv.Chat == l.conv.Chat {
		f.status, f.tried = message.StatusFailed, true
		return nil
	}
	f.problem = nil
	return nil
}

// correct notes that the platform took what was given up while its call went on. A
// message that is whole with it is SENT; of another one the rest is left to whoever
// sends it once more, since others may have gone out meanwhile.
func (o *outbox) correct(ctx context.Context, l *letter, f fate) error {
	return o.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := lockFor(tx, l, f)
		if err != nil {
			return err
		}
		givenUp := message.And(message.ID(l.ID), message.StatusEQ(message.StatusFailed), message.PartsSent(l.PartsSent))
		there, err := tx.Message.Query().Where(givenUp).Exist(tx.Context())
		if err != nil || !there {
			return err
		}
		u := tx.Message.Update().Where(givenUp)
		at, err := o.taken(tx, u, l, f.sent)
		if err != nil {
			return fmt.Errorf("note that a part of %s was sent: %w", l.ID, err)
		}
		status := f.status
		if status == message.StatusSent {
			status = arrive(u, conv, at)
			u.SetStatus(status).ClearProblem()
		}
		n, err := u.Save(tx.Context())
		if err != nil {
			return fmt.Errorf("note that %s was sent: %w", l.ID, err)
		}
		if n > 0 && f.status == message.StatusSent {
			o.feed.Append(tx, statusEvent(l.Message, status))
		}
		return nil
	})
}

// sameProblem tells whether a person reads the same in both.
func sameProblem(a, b *causeway.Problem) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Code == b.Code && a.Reason == b.Reason && a.PlatformMessage == b.PlatformMessage
}
