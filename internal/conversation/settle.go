package conversation

import (
	"context"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/ent/messagepart"
	"causeway/internal/platform"
)

const (
	// settleAfter is how long after a call that got no answer the platform is asked for
	// the message: it has had the time to take it then, and perhaps to tell by an echo.
	settleAfter = 5 * time.Second
	// settleWithin bounds the asking, so that the message is still this worker's when
	// there is an answer.
	settleWithin = 10 * time.Second
	// maxOthers is how many of a conversation's newest messages are told apart from the
	// one that is looked for.
	maxOthers = 50
)

// settle is what becomes of a message whose last call nobody knows the end of. Where the
// platform can be asked, it is asked once. A message that is not found may have gone out
// all the same: it is not sent again by itself.
func (o *outbox) settle(ctx context.Context, l *letter) fate {
	sent, err := o.trace(ctx, l)
	if err != nil {
		o.log.Warn("it was not found out whether a message went out", "message", l.ID, "error", err)
	}
	if sent == nil {
		return *o.failed(causeway.Fail(causeway.DeliveryUnconfirmed), false) // that call was counted
	}
	if _, last := l.next(); !last {
		return fate{status: message.StatusQueued, next: o.clock.Now(), sent: sent}
	}
	return fate{status: message.StatusSent, sent: sent}
}

// trace asks the platform for the part that was being sent; nil if it cannot be asked, or
// does not know it.
func (o *outbox) trace(ctx context.Context, l *letter) (*platform.Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	account, err := o.accounts.Open(ctx, l.ConnectionID)
	if err != nil {
		return nil, err
	}
	tracer, can := account.(platform.Tracer)
	if !can {
		return nil, nil
	}
	others, err := o.others(ctx, l)
	if err != nil {
		return nil, err
	}
	p, _ := l.next()
	sent, found, err := tracer.Lookup(ctx, platform.Trace{Chat: l.conv.Chat, Text: p.text, Since: *l.SendingAt, Not: others})
	if err != nil || !found {
		return nil, err
	}
	return &sent, nil
}

// others are the platform's ids of what else was sent lately in the letter's
// conversation.
func (o *outbox) others(ctx context.Context, l *letter) ([]string, error) {
	rows, err := o.store.Reader().Message.Query().
		Where(message.ConversationID(l.ConversationID), message.DirectionEQ(message.DirectionOutbound), message.ExternalIDNotNil()).
		Order(ent.Desc(message.FieldSeq)).Limit(maxOthers).
		WithParts(func(q *ent.MessagePartQuery) { q.Select(messagepart.FieldExternalID, messagepart.FieldMessageID) }).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what else was sent: %w", err)
	}
	var ids []string
	for _, m := range rows {
		ids = append(ids, *m.ExternalID)
		for _, p := range m.Edges.Parts {
			ids = append(ids, p.ExternalID)
		}
	}
	return ids, nil
}

// inWindow is when a message that waits is looked at again: when the window for answers
// closes at the latest, so that its sender learns of it then.
func (o *outbox) inWindow(conv *ent.Conversation, next time.Time) time.Time {
	limits := o.limits[conv.Platform]
	if limits.Standard == 0 {
		return next
	}
	limits.Standard = max(limits.Standard, limits.Human) // a person may answer until then
	w, at := window(limits, conv, o.clock.Now())
	if w == WindowClosed || next.Before(at) {
		return next
	}
	return at
}
