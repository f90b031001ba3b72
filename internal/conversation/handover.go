package conversation

import (
	"context"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/internal/audit"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// threadDeadline bounds a call about whose a chat is.
const threadDeadline = 15 * time.Second

// Handover gives a conversation out of this program's hands.
type Handover struct {
	Conversation causeway.ID
	// ToInbox: to the people in the platform's own inbox; else to the app that last had the
	// chat, or to whichever the platform gives it to when it is let go.
	ToInbox bool
	// Why is handed on to the other app; empty if there is nothing to say.
	Why string
}

// maxWhy bounds what is handed on, in characters (Messenger takes 1000).
const maxWhy = 1000

// HandOver gives a conversation to another app or to the platform's own inbox, after
// which nobody here is its assignee and it waits in no queue: the customer's next message
// that comes to us brings it to somebody like a new one. Refusals name the input at fault: NOT_FOUND,
// CONFLICT for an archived campaign and on platforms on which nobody else could write,
// INVALID_INPUT, NOT_CONNECTED; and what the platform says.
func (s *Service) HandOver(ctx context.Context, h Handover) error {
	path := []string{"input", "id"}
	if len([]rune(h.Why)) > maxWhy {
		return causeway.Invalid(causeway.ReasonTooLong, "input", "metadata").With("max", fmt.Sprint(maxWhy))
	}
	conv, err := s.mine(ctx, h.Conversation, path...)
	if err != nil {
		return err
	}
	if why := unconnected(conv); why != nil {
		return why.At(path...)
	}
	account, err := s.accounts.Open(ctx, conv.ConnectionID)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", conv.ID, err)
	}
	threads, can := account.(platform.Threads)
	if !can {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonNoHandOver).At(path...)
	}
	began := s.clock.Now()
	owner, err := passThread(ctx, threads, conv, h)
	if err != nil {
		return threadTrouble(err).At(path...)
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, h.Conversation, path...)
		if err != nil {
			return err
		}
		return s.handedOver(tx, conv, owner, began)
	})
}

// mine is a conversation in which the viewer may work, with its contact and connection.
func (s *Service) mine(ctx context.Context, id causeway.ID, path ...string) (conv *ent.Conversation, err error) {
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err = s.writable(tx, id, path...)
		return err
	})
	return conv, err
}

// passThread tells whose the chat is afterwards.
func passThread(ctx context.Context, threads platform.Threads, conv *ent.Conversation, h Handover) (platform.ThreadOwner, error) {
	ctx, cancel := context.WithTimeout(ctx, threadDeadline)
	defer cancel()
	other := deref(conv.ThreadOtherAppID)
	switch {
	case h.ToInbox:
		return platform.ThreadOwner{Inbox: true}, threads.PassToInbox(ctx, conv.Chat, h.Why)
	case other != "" && other != deref(conv.Edges.Connection.AppID):
		return platform.ThreadOwner{App: other}, threads.PassThread(ctx, conv.Chat, other, h.Why)
	default:
		return platform.ThreadOwner{}, threads.ReleaseThread(ctx, conv.Chat)
	}
}

// handedOver notes whose a conversation is that was handed over. It is locked.
func (s *Service) handedOver(tx *store.Tx, conv *ent.Conversation, to platform.ThreadOwner, at time.Time) error {
	owner := ownerOf(to, deref(conv.Edges.Connection.AppID))
	err := tx.Conversation.UpdateOneID(conv.ID).ClearAssigneeID().ClearQueueID().Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("hand over %s: %w", conv.ID, err)
	}
	changed, err := s.setOwner(tx, conv, owner, optional(to.App), at)
	if err != nil {
		return err
	}
	if changed || conv.AssigneeID != nil || conv.QueueID != nil {
		s.feed.Append(tx, changeOf(conv.CampaignID, conv.ID))
	}
	details := map[string]any{"to": owner}
	if to.App != "" {
		details["app"] = to.App
	}
	return audit.Record(tx, audit.Entry{
		Campaign: conv.CampaignID, Action: "handOverConversation", Subject: conv.ID, At: s.clock.Now(), Details: details,
	})
}

// claimThread makes a conversation this app's to write in, where the platform knows such
// a thing and the viewer may work in it: before somebody takes it, and outside any
// transaction. Where somebody else has the chat and the platform will not give it, that
// is the error, at path. Asking can be answered later, or never: then it stays theirs.
func (s *Service) claimThread(ctx context.Context, id causeway.ID, path ...string) error {
	conv, err := s.mine(ctx, id, path...)
	if err != nil || conv.ThreadOwner == conversation.ThreadOwnerUs || unconnected(conv) != nil {
		return err
	}
	account, err := s.accounts.Open(ctx, conv.ConnectionID)
	if err != nil {
		s.log.Warn("a chat was not claimed", "conversation", id, "error", err)
		return nil
	}
	threads, can := account.(platform.Threads)
	if !can {
		return nil
	}
	began := s.clock.Now()
	call, cancel := context.WithTimeout(ctx, threadDeadline)
	defer cancel()
	owner, err := threads.ClaimThread(call, conv.Chat, "")
	switch {
	case err != nil && taken(conv):
		return threadTrouble(err).At(path...)
	case err != nil: // nobody has it, so that it can be answered all the same
		s.log.Info("a chat that nobody has was not claimed", "conversation", id, "error", err)
		return nil
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, id, path...)
		if err != nil {
			return err
		}
		changed, err := s.setOwner(tx, conv, ownerOf(owner, deref(conv.Edges.Connection.AppID)), optional(owner.App), began)
		if err == nil && changed {
			s.feed.Append(tx, changeOf(conv.CampaignID, conv.ID))
		}
		return err
	})
}

// threadTrouble is why a chat does not change hands, for the person who wants it to.
func threadTrouble(err error) *causeway.Error {
	r := platform.Refused(err)
	if r == nil {
		return causeway.Fail(causeway.NetworkError).CanRetry().Because(err)
	}
	told := func(code causeway.Code) *causeway.Error {
		return causeway.Fail(code).Platform(r.Code, r.Message).Because(err)
	}
	switch {
	case ofConnection(r) != "":
		return told(ofConnection(r))
	case r.Kind == platform.RetryAfter:
		return told(causeway.RateLimited).CanRetry()
	case r.Kind == platform.Unreachable:
		return told(causeway.NetworkError).CanRetry()
	case r.Kind == platform.Unavailable:
		return told(causeway.PlatformError).CanRetry()
	case r.Kind == platform.Blocked:
		return told(causeway.RecipientUnreachable)
	default:
		return told(causeway.ThreadOwnedByAnotherApp)
	}
}
