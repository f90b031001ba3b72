package conversation_test

import (
	"slices"
	"testing"

	"causeway/ent"
	entconversation "causeway/ent/conversation"
	"causeway/internal/conversation"
	"causeway/internal/platform"
)

func TestAFilterNarrowsTheConversationsDown(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		second := h.botIn(conn.CampaignID)
		h.hears(conn, writes(ana, 1, "Hello"), membership(private(bo), bo, 2, "left", "member"))
		h.hears(second, writes(person(7, "Cem"), 1, "Hello"))
		h.hears(h.bot(), writes(person(8, "Elsewhere"), 1, "Hello"))
		yes, no := true, false
		for _, c := range []struct {
			name   string
			filter conversation.Filter
			want   []string
		}{
			{"nothing asked", conversation.Filter{}, []string{"501", "502", "7"}},
			{"unread", conversation.Filter{Unread: &yes}, []string{"501", "7"}},
			{"read", conversation.Filter{Unread: &no}, []string{"502"}},
			{"connection", conversation.Filter{Connection: second.ID}, []string{"7"}},
			{"platform", conversation.Filter{Platform: platform.Telegram}, []string{"501", "502", "7"}},
			{"another platform", conversation.Filter{Platform: platform.Zalo}, nil},
			{"status", conversation.Filter{Status: []entconversation.Status{entconversation.StatusOpen}}, []string{"501", "502", "7"}},
			{"another status", conversation.Filter{Status: []entconversation.Status{entconversation.StatusClosed, entconversation.StatusPending}}, nil},
			{"several at once", conversation.Filter{Connection: conn.ID, Unread: &yes, Search: "hel"}, []string{"501"}},
		} {
			var got []string
			convs, err := h.store.Reader().Conversation.Query().Where(conversation.Matching(conn.CampaignID, c.filter)...).All(t.Context())
			h.no(err)
			for _, conv := range convs {
				got = append(got, conv.Chat)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, not %v", c.name, got, c.want)
			}
		}
	})
}
