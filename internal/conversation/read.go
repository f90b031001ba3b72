package conversation

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/feedevent"
	"causeway/internal/feed"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// MarkRead makes everything that customers have written in a conversation so far read,
// for all agents: its unread count is 0, and what arrives afterwards is unread. Where the
// platform can, the customer is told. It is no error if nothing was unread. NOT_FOUND and
// CONFLICT name id.
func (s *Service) MarkRead(ctx context.Context, id causeway.ID) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, id, "id")
		if err != nil {
			return err
		}
		if conv.UnreadCount == 0 {
			return nil
		}
		if err := tx.Conversation.UpdateOne(conv).SetUnreadCount(0).Exec(ctx); err != nil {
			return fmt.Errorf("mark %s read: %w", id, err)
		}
		s.feed.Append(tx, changeOf(conv.CampaignID, conv.ID))
		if s.refusal(conv) == nil {
			tx.AfterCommit(func() { s.signs.enqueue(seen(conv)) })
		}
		return nil
	})
}

// seen is the gesture that what a customer wrote was read.
func seen(conv *ent.Conversation) gesture {
	chat := conv.Chat
	return gesture{connection: conv.ConnectionID, name: "mark seen", do: func(ctx context.Context, account platform.Account) error {
		if seer, ok := account.(platform.Seer); ok {
			return seer.MarkSeen(ctx, chat)
		}
		return nil
	}}
}

// changeOf tells that a conversation is not as it was.
func changeOf(campaign, conversation causeway.ID) feed.Event {
	return feed.Event{Campaign: campaign, Kind: feedevent.KindConversation, Conversation: conversation}
}
