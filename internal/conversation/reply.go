package conversation

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/internal/auth"
	"causeway/internal/feed"
	"causeway/internal/store"
)

// Reply is what an agent writes.
type Reply struct {
	Conversation causeway.ID
	Text         string
	// Files go out after the text, each as the kind that fits it.
	Files   []Upload
	ReplyTo causeway.ID // the message of the conversation that it answers; empty if none
	// Key is the client's own name for this message within the conversation; empty if
	// it has none.
	Key string
}

// maxKey bounds a client's key, in bytes: an index holds it.
const maxKey = 200

// Reply stores a message of the viewer's, QUEUED, and tells its id; the outbox sends
// it. Of several calls with one key, also at the same time, the first stores a message
// and all others tell its id. Files are read, and kept, before anything is stored, and
// not where the message would be refused without them. Refusals name the input at fault:
// NOT_FOUND, CONFLICT for an archived campaign, INVALID_INPUT, MESSAGE_TOO_LONG,
// ATTACHMENT_REJECTED, NOT_CONNECTED, BLOCKED_BY_CONTACT, THREAD_OWNED_BY_ANOTHER_APP,
// REPLY_WINDOW_CLOSED.
func (s *Service) Reply(ctx context.Context, r Reply) (causeway.ID, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return "", err
	}
	id, files, err := s.withFiles(ctx, r)
	if err != nil || id != "" {
		return id, err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		var conv *ent.Conversation
		if conv, id, err = s.mayReply(tx, r); err != nil || id != "" {
			return err
		}
		id, err = s.queueReply(tx, conv, viewer, r, files)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// mayReply locks the reply's conversation, if the message may be stored in it, and
// tells the one that was stored under its key already.
func (s *Service) mayReply(tx *store.Tx, r Reply) (*ent.Conversation, causeway.ID, error) {
	conv, err := s.writable(tx, r.Conversation, "input", "conversationId")
	if err != nil {
		return nil, "", err
	}
	id, err := repeated(tx, r)
	if err != nil || id != "" {
		return conv, id, err
	}
	return conv, "", s.sendable(tx, conv, r)
}

// withFiles keeps the reply's files, if it has some and the message may be stored; the
// id is that of the message that was stored under its key already.
func (s *Service) withFiles(ctx context.Context, r Reply) (id causeway.ID, files []kept, err error) {
	if len(r.Files) == 0 {
		return "", nil, nil
	}
	if s.media == nil {
		return "", nil, errNoMedia
	}
	var conv *ent.Conversation
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, id, err = s.mayReply(tx, r)
		return err
	})
	if err != nil || id != "" {
		return id, nil, err
	}
	files, err = s.keepFiles(ctx, s.limits[conv.Platform], r.Files)
	return "", files, err
}

// writable locks a conversation of a campaign in which the viewer may work.
func (s *Service) writable(tx *store.Tx, id causeway.ID, path ...string) (*ent.Conversation, error) {
	ctx := tx.Context()
	query := tx.Conversation.Query().Where(conversation.ID(id)).WithContact().WithConnection()
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	conv, err := query.Only(ctx)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing(path...)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	if err := auth.Writable(ctx, tx, conv.CampaignID, path...); err != nil {
		return nil, err
	}
	return conv, nil
}

// repeated is the message that was stored under the reply's key, or empty. The
// conversation is locked, so that nobody stores one meanwhile.
func repeated(tx *store.Tx, r Reply) (causeway.ID, error) {
	if r.Key == "" {
		return "", nil
	}
	if len(r.Key) > maxKey {
		return "", causeway.Invalid(causeway.ReasonTooLong, "input", "idempotencyKey").With("max", strconv.Itoa(maxKey))
	}
	id, err := tx.Message.Query().
		Where(message.ConversationID(r.Conversation), message.IdempotencyKey(store.Clean(r.Key))).
		OnlyID(tx.Context())
	if ent.IsNotFound(err) {
		return "", nil
	}
	return id, err
}

// sendable says why a reply is not to be stored, if it is not.
func (s *Service) sendable(tx *store.Tx, conv *ent.Conversation, r Reply) error {
	if said(r.Text) == "" && len(r.Files) == 0 {
		return causeway.Invalid(causeway.ReasonRequired, "input", "text")
	}
	if len(r.Files) > maxFiles {
		return causeway.Invalid(causeway.ReasonTooManyFiles, "input", "attachments").With("max", strconv.Itoa(maxFiles))
	}
	if most := s.limits[conv.Platform].Text; most > 0 && units(store.Clean(r.Text)) > most {
		return causeway.FailWith(causeway.MessageTooLong, causeway.ReasonTooLongToSend).
			With("max", strconv.Itoa(most)).At("input", "text")
	}
	if r.ReplyTo != "" {
		there, err := tx.Message.Query().
			Where(message.ID(r.ReplyTo), message.ConversationID(conv.ID), message.DirectionNEQ(message.DirectionInternal)).
			Exist(tx.Context())
		if err != nil {
			return err
		}
		if !there {
			return causeway.Missing("input", "replyToId")
		}
	}
	if why := s.refusal(conv); why != nil {
		return why.At("input", "conversationId")
	}
	return nil
}

// said is a text as it is stored; empty if it says nothing.
func said(text string) string {
	text = store.Clean(text)
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// units is a text's length as platforms count it.
func units(text string) int {
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// queueReply stores the message as the newest of its conversation.
func (s *Service) queueReply(tx *store.Tx, conv *ent.Conversation, viewer *auth.Viewer, r Reply, files []kept) (causeway.ID, error) {
	ctx, now := tx.Context(), s.clock.Now()
	id := causeway.NewID(causeway.PrefixMessage)
	text := said(r.Text)
	create := tx.Message.Create().
		SetID(id).SetCampaignID(conv.CampaignID).SetConnectionID(conv.ConnectionID).SetAccountID(conv.AccountID).
		SetConversationID(conv.ID).SetSeq(conv.LastSeq + 1).
		SetDirection(message.DirectionOutbound).SetAuthorKind(message.AuthorKindAgent).SetAuthorID(viewer.UserID).
		SetNillableText(optional(text)).SetStatus(message.StatusQueued).
		SetNillableIdempotencyKey(optional(r.Key)).
		SetSentAt(now).SetCreatedAt(now).
		SetQueueKey(string(conv.ID)).SetQueuedAt(now).SetNextTryAt(now)
	if r.ReplyTo != "" {
		create.SetReplyToID(r.ReplyTo)
	}
	if err := create.Exec(ctx); err != nil {
		return "", fmt.Errorf("queue a reply in %s: %w", conv.ID, err)
	}
	if err := storeFiles(tx, id, conv, files); err != nil {
		return "", fmt.Errorf("store the files of %s: %w", id, err)
	}
	if err := s.addNewest(tx, conv, id, text, now); err != nil {
		return "", err
	}
	s.stopsTyping(tx, conv.ID, viewer.UserID)
	tx.AfterCommit(s.outbox.queue.Wake)
	return id, nil
}

// addNewest makes a message that somebody here wrote the newest of its conversation,
// which is locked: it counts, is found by its words, and is told of.
func (s *Service) addNewest(tx *store.Tx, conv *ent.Conversation, id causeway.ID, text string, now time.Time) error {
	words := wordChanges{}
	words.add(conv.CampaignID, conv.ID, text, 1)
	if err := words.write(tx); err != nil {
		return fmt.Errorf("write search words: %w", err)
	}
	err := tx.Conversation.UpdateOne(conv).
		SetLastSeq(conv.LastSeq + 1).SetLastMessageID(id).SetLastMessageAt(now).
		Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("update %s: %w", conv.ID, err)
	}
	s.feed.Append(tx, feed.Event{
		Campaign: conv.CampaignID, At: now, Kind: feedevent.KindMessage, Change: feed.ChangeAdded,
		Conversation: conv.ID, Message: id,
	})
	return nil
}

// Retry puts a FAILED message of an agent's back into the queue: the same message, in
// its place, whose attempts go on, from the first part on that the platform is not known
// to have taken. NOT_FOUND and CONFLICT name id.
func (s *Service) Retry(ctx context.Context, id causeway.ID) error {
	if _, err := auth.From(ctx); err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		m, err := tx.Message.Get(ctx, id)
		if ent.IsNotFound(err) {
			return causeway.Missing("id")
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
		conv, err := s.writable(tx, m.ConversationID, "id")
		if err != nil {
			return err
		}
		if why := s.refusal(conv); why != nil {
			return why.At("id")
		}
		now := s.clock.Now()
		n, err := tx.Message.Update().
			Where(message.ID(id), message.StatusEQ(message.StatusFailed), message.QueueKeyNotNil()).
			SetStatus(message.StatusQueued).SetQueuedAt(now).SetNextTryAt(now).SetFailures(0).
			ClearProblem().ClearSendingAt().ClearLeasedUntil().
			Save(ctx)
		if err != nil {
			return fmt.Errorf("queue %s again: %w", id, err)
		}
		if n == 0 {
			return causeway.FailWith(causeway.Conflict, causeway.ReasonNotFailed).At("id")
		}
		s.feed.Append(tx, statusEvent(m, message.StatusQueued))
		tx.AfterCommit(s.outbox.queue.Wake)
		return nil
	})
}

// statusEvent tells that a message has a status now, or another problem.
func statusEvent(m *ent.Message, status message.Status) feed.Event {
	return feed.Event{
		Campaign: m.CampaignID, Kind: feedevent.KindMessage, Change: changeStatus, Status: string(status),
		Conversation: m.ConversationID, Message: m.ID,
	}
}
