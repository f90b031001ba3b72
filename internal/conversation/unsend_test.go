package conversation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/platform"
)

func TestAMessageThatIsTakenBackSaysNothingAnyMore(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, conn *ent.Connection) {
		now := time.Now()
		h.happens(conn, platform.MessageAdded{Chat: mia, ID: "m_1", SentAt: now, Payload: "secret", Content: platform.Content{
			Text: "Secret order", Attachments: []platform.Attachment{{Kind: platform.Image, Ref: "https://cdn.example/i.png"}},
		}})
		h.miaSays(conn, "m_2", "Never mind", now.Add(time.Second))
		gone := platform.MessageDeleted{Chat: mia, ID: "m_1", At: now.Add(2 * time.Second)}
		h.happens(conn, gone)
		if o := h.happens(conn, gone); !o.Duplicate {
			t.Errorf("again it is %v", o)
		}
		h.happens(conn, platform.MessageEdited{Chat: mia, ID: "m_1", Content: platform.Content{Text: "back"}, EditedAt: now.Add(3 * time.Second)})
		h.miaSays(conn, "m_1", "Secret order", now)
		m, err := h.store.Reader().Message.Query().Where(message.ExternalID("m_1")).WithAttachments().Only(t.Context())
		h.no(err)
		if m.Text != nil || m.Payload != nil || len(m.Edges.Attachments) != 0 || m.DeletedAt == nil || m.EditedAt != nil {
			t.Errorf("it is %v", m)
		}
		conv := h.conversation(conn, mia.ID)
		if conv.UnreadCount != 1 {
			t.Errorf("%d unread", conv.UnreadCount)
		}
		h.same("the search", h.words(conv.ID), []string{"mia=1", "mind=1", "never=1"})
		h.same("the feed", h.events(conn.CampaignID)[4:], []string{"MESSAGE DELETED in mia #1", "CONVERSATION in mia"})
		if o := h.happens(conn, platform.MessageDeleted{Chat: mia, ID: "m_9"}); !o.Ignored || o.Duplicate {
			t.Errorf("of an unknown message it is %v", o)
		}
	})
}

// Unread are the customer's messages since it was last marked read, but those that were
// taken back.
func TestUnreadCountsEqualTheTruthWhereMessagesAreTakenBack(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, _ *ent.Connection) {
		p := newPost(h, nil)
		rapid.Check(t, func(r *rapid.T) {
			conn := h.page()
			now := time.Now()
			h.miaSays(conn, "m_0", "0", now)
			conv := h.conversation(conn, mia.ID)
			unread, all := []string{"m_0"}, []string{"m_0"}
			for i := range rapid.IntRange(1, 12).Draw(r, "steps") {
				at := now.Add(time.Duration(i+1) * time.Second)
				switch id := fmt.Sprint("m_", i+1); rapid.SampledFrom([]string{"write", "write", "echo", "read", "delete", "both"}).Draw(r, "step") {
				case "write":
					h.miaSays(conn, id, "x", at)
					unread, all = append(unread, id), append(all, id)
				case "echo":
					h.happens(conn, platform.Echoed{Chat: mia, ID: id, App: "7", Content: platform.Content{Text: "y"}, SentAt: at})
					all = append(all, id)
				case "read":
					h.no(p.service.MarkRead(p.agent(), conv.ID))
					unread = nil
				case "delete":
					gone := rapid.SampledFrom(all).Draw(r, "which")
					h.happens(conn, platform.MessageDeleted{Chat: mia, ID: gone, At: at})
					unread = slices.DeleteFunc(unread, func(id string) bool { return id == gone })
				case "both":
					gone := rapid.SampledFrom(append(slices.Clone(all), id)).Draw(r, "which")
					h.happens(conn, platform.MessageAdded{Chat: mia, ID: id, Content: platform.Content{Text: "z"}, SentAt: at},
						platform.MessageDeleted{Chat: mia, ID: gone, At: at})
					unread, all = append(unread, id), append(all, id)
					unread = slices.DeleteFunc(unread, func(id string) bool { return id == gone })
				}
				if got := h.conversation(conn, mia.ID).UnreadCount; got != len(unread) {
					r.Fatalf("%d unread, not %v", got, unread)
				}
			}
		})
	})
}
