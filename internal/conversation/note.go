package conversation

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// maxNote bounds a note, in characters.
const maxNote = 10_000

// AddNote stores what the viewer notes in a conversation for their colleagues, and tells
// its id. A note is never sent to any platform, is not unread, and can be written where
// nothing can be sent any more. Refusals name the input at fault: NOT_FOUND, CONFLICT for
// an archived campaign, INVALID_INPUT.
func (s *Service) AddNote(ctx context.Context, conversation causeway.ID, text string) (causeway.ID, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return "", err
	}
	var id causeway.ID
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, conversation, "input", "conversationId")
		if err != nil {
			return err
		}
		text, err := checkText(text, maxNote)
		if err != nil {
			return err
		}
		id, err = s.storeNote(tx, conv, viewer, text)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// checkText is a text of the input's as it is stored: neither empty nor longer than so
// many characters.
func checkText(text string, most int) (string, error) {
	text = store.Clean(text)
	if strings.TrimSpace(text) == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, "input", "text")
	}
	if utf8.RuneCountInString(text) > most {
		return "", causeway.Invalid(causeway.ReasonTooLong, "input", "text").With("max", strconv.Itoa(most))
	}
	return text, nil
}

func (s *Service) storeNote(tx *store.Tx, conv *ent.Conversation, viewer *auth.Viewer, text string) (causeway.ID, error) {
	id, now := causeway.NewID(causeway.PrefixMessage), s.clock.Now()
	err := tx.Message.Create().
		SetID(id).SetCampaignID(conv.CampaignID).SetConnectionID(conv.ConnectionID).SetAccountID(conv.AccountID).
		SetConversationID(conv.ID).SetSeq(conv.LastSeq + 1).
		SetDirection(message.DirectionInternal).SetAuthorKind(message.AuthorKindAgent).SetAuthorID(viewer.UserID).
		SetText(text).SetStatus(message.StatusReceived).
		SetSentAt(now).SetCreatedAt(now).
		Exec(tx.Context())
	if err != nil {
		return "", fmt.Errorf("note in %s: %w", conv.ID, err)
	}
	if err := s.addNewest(tx, conv, id, text, now); err != nil {
		return "", err
	}
	s.stopsTyping(tx, conv.ID, viewer.UserID)
	return id, audit.Record(tx, audit.Entry{Campaign: conv.CampaignID, Action: "addNote", Subject: id, At: now})
}
