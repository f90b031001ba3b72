package conversation

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/store"
)

// Say queues a text of the server's own in a conversation of a connection, as the newest
// message there, and tells its id; the outbox sends it like an agent's. The viewer works
// in the campaign. It is NOT_FOUND if the conversation is not there for them, or another
// connection's, CONFLICT in an archived campaign, and else why nothing can be sent there:
// REPLY_WINDOW_CLOSED also where only a person may still answer.
func (s *Service) Say(ctx context.Context, connection, conversation causeway.ID, text string) (causeway.ID, error) {
	id := causeway.NewID(causeway.PrefixMessage)
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, conversation, "input", "conversationId")
		if err != nil {
			return err
		}
		if conv.ConnectionID != connection {
			return causeway.Missing("input", "conversationId")
		}
		if why := s.refusal(conv); why != nil {
			return why.At("input", "conversationId")
		}
		if w, _ := window(s.limits[conv.Platform], conv, s.clock.Now()); w == WindowHuman { // that is for what a person writes
			return causeway.Fail(causeway.ReplyWindowClosed).At("input", "conversationId")
		}
		now := s.clock.Now()
		err = tx.Message.Create().
			SetID(id).SetCampaignID(conv.CampaignID).SetConnectionID(conv.ConnectionID).SetAccountID(conv.AccountID).
			SetConversationID(conv.ID).SetSeq(conv.LastSeq + 1).
			SetDirection(message.DirectionOutbound).SetAuthorKind(message.AuthorKindSystem).
			SetText(text).SetStatus(message.StatusQueued).
			SetSentAt(now).SetCreatedAt(now).
			SetQueueKey(string(conv.ID)).SetQueuedAt(now).SetNextTryAt(now).
			Exec(tx.Context())
		if err != nil {
			return fmt.Errorf("queue a message of the server's in %s: %w", conv.ID, err)
		}
		tx.AfterCommit(s.outbox.queue.Wake)
		return s.addNewest(tx, conv, id, text, now)
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Said tells whether the platform has taken a message that was queued here, or nothing
// more is tried; why is what made it fail, or what it waits for.
func (s *Service) Said(ctx context.Context, id causeway.ID) (done bool, why *causeway.Problem, err error) {
	m, err := s.store.Reader().Message.Get(ctx, id)
	if ent.IsNotFound(err) {
		return false, nil, causeway.Missing()
	}
	if err != nil {
		return false, nil, fmt.Errorf("read %s: %w", id, err)
	}
	return m.Status != message.StatusQueued, m.Problem, nil
}
