package conversation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/auditentry"
	"causeway/ent/message"
	"causeway/internal/auth"
	"causeway/internal/conversation"
	"causeway/internal/store"
)

// lan is an agent's id.
var lan = causeway.NewID(causeway.PrefixUser)

// agent is the context of somebody who may write everywhere.
func (h *house) agent() context.Context {
	return auth.WithViewer(h.Context(), &auth.Viewer{UserID: lan, Admin: true})
}

// refused compares the code and the path of a refusal.
func (h *house) refused(err error, code causeway.Code, path ...string) {
	h.Helper()
	e, ok := errors.AsType[*causeway.Error](err)
	if !ok || e.Code != code || !slices.Equal(e.Field, path) {
		h.Errorf("got %v, want %s at %v", err, code, path)
	}
}

// archive makes the campaign of a connection read-only.
func (h *house) archive(conn *ent.Connection) {
	h.Helper()
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) error {
		return tx.Campaign.UpdateOneID(conn.CampaignID).SetArchivedAt(time.Now()).Exec(tx.Context())
	}))
}

// audited are the actions of a campaign's audit log, oldest first, with their details.
func (h *house) audited(campaign causeway.ID) []string {
	h.Helper()
	rows, err := h.store.Reader().AuditEntry.Query().Where(auditentry.CampaignID(campaign)).
		Order(auditentry.ByAt(), auditentry.ByID()).All(h.Context())
	h.no(err)
	var told []string
	for _, e := range rows {
		if e.ActorID == nil || *e.ActorID != lan || e.SubjectID == nil {
			h.Errorf("an entry without actor or subject: %v", e)
		}
		told = append(told, strings.TrimSpace(e.Action+" "+strings.ReplaceAll(string(e.Details), " ", "")))
	}
	return told
}

func TestANoteIsTheNewestOfItsConversationAndNobodysUnread(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat)
		id, err := h.service.AddNote(h.agent(), conv.ID, "She asked  for a *refund* before")
		h.no(err)
		m, err := h.store.Reader().Message.Get(t.Context(), id)
		h.no(err)
		if m.Direction != message.DirectionInternal || m.AuthorKind != message.AuthorKindAgent || *m.AuthorID != lan ||
			m.Status != message.StatusReceived || text(m.Text) != "She asked  for a *refund* before" || m.QueueKey != nil {
			t.Errorf("the note is %v", m)
		}
		after := h.conversation(conn, anaChat)
		if after.UnreadCount != 1 || after.LastSeq != 2 || *after.LastMessageID != id || after.LastMessageAt.Before(conv.LastMessageAt) {
			t.Errorf("the conversation is %v", after)
		}
		h.same("the feed", h.events(conn.CampaignID)[2:], []string{"MESSAGE ADDED in 501 #2"})
		h.same("the audit log", h.audited(conn.CampaignID), []string{"addNote"})
		found, err := h.store.Reader().Conversation.Query().
			Where(conversation.Matching(conn.CampaignID, conversation.Filter{Search: "refund bef"})...).Count(t.Context())
		if found != 1 || err != nil {
			t.Errorf("the note's words find %d conversations, %v", found, err)
		}
		h.hears(conn, writes(ana, 2, "Well?"))
		if conv := h.conversation(conn, anaChat); conv.LastSeq != 3 || conv.UnreadCount != 2 {
			t.Errorf("after the next message: %v", conv)
		}
	})
}

func TestANoteGoesToNoPlatform(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		_, err := p.service.AddNote(p.house.agent(), conv.ID, "do not tell her")
		p.no(err)
		p.answers(conv, "Good morning")
		p.settle()
		if sent := p.takenBy(anaChat); len(sent) != 1 || sent[0] != "Good morning" {
			t.Errorf("Ana got %q", sent)
		}
		reply := conversation.Reply{Conversation: conv.ID, Text: "to that", ReplyTo: *p.conversation(conn, anaChat).LastMessageID}
		note, err := p.store.Reader().Message.Query().Where(message.DirectionEQ(message.DirectionInternal)).OnlyID(t.Context())
		p.no(err)
		reply.ReplyTo = note
		_, err = p.service.Reply(p.house.agent(), reply)
		p.refused(err, causeway.NotFound, "input", "replyToId")
	})
}

func TestANoteThatCannotBeTakenIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		note := func(conv causeway.ID, text string) error {
			_, err := h.service.AddNote(h.agent(), conv, text)
			return err
		}
		h.refused(note(causeway.NewID(causeway.PrefixConversation), "x"), causeway.NotFound, "input", "conversationId")
		h.refused(note(conv, " \x00\n"), causeway.InvalidInput, "input", "text")
		h.refused(note(conv, strings.Repeat("ă", 10_001)), causeway.InvalidInput, "input", "text")
		h.no(note(conv, strings.Repeat("ă", 10_000)))
		_, err := h.service.AddNote(t.Context(), conv, "x")
		h.refused(err, causeway.Unauthenticated)
		stranger := auth.WithViewer(t.Context(), &auth.Viewer{UserID: causeway.NewID(causeway.PrefixUser)})
		_, err = h.service.AddNote(stranger, conv, "x")
		h.refused(err, causeway.NotFound, "input", "conversationId")
		h.archive(conn)
		h.refused(note(conv, "x"), causeway.Conflict, "input", "conversationId")
	})
}
