package conversation_test

import (
	"testing"

	"causeway/ent"
)

func TestAGroupIsOneConversationOfItsMembers(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := group(-7, "Friends")
		h.hears(conn, membership(g, ana, 0, "left", "member"), says(g, ana, 1, "Hi all"), says(g, bo, 2, "Hi Ana", answering(g, 1)),
			says(g, ana, 3, "as the group", object{"sender_chat": g}))
		h.shows(conn, -7, "* The bot was added to the group", "Ana: Hi all", "Bo Li: Hi Ana <- 2", "Friends: as the group")
		conv := h.conversation(conn, -7)
		if conv.Edges.Contact.Name != "Friends" || conv.Edges.Contact.ExternalID != "-7" || text(conv.Title) != "Friends" || conv.UnreadCount != 3 {
			t.Errorf("%v with %v", conv, conv.Edges.Contact)
		}
		h.hears(conn, writes(ana, 1, "in private"))
		h.shows(conn, anaChat, "Ana: in private")
		if n := h.count("SELECT count(*) FROM contacts"); n != 3 {
			t.Errorf("%d contacts for a group and its two members", n)
		}
		if c := h.conversation(conn, anaChat).Edges.Contact; text(c.Username) != "ana" || text(c.Language) != "pt" {
			t.Errorf("what was known of Ana is lost: %v", c)
		}
	})
}

func TestAGroupThatRemovedTheBotIsBlockedUntilItIsBack(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := group(-7, "Friends")
		h.hears(conn, says(g, ana, 1, "Hi"), membership(g, ana, 2, "member", "left"), says(g, ana, 3, "sent before"))
		if !h.conversation(conn, -7).Edges.Contact.Blocked {
			t.Error("the group can still be written to")
		}
		h.hears(conn, membership(g, ana, 4, "left", "member"), membership(g, ana, 5, "member", "administrator"))
		if h.conversation(conn, -7).Edges.Contact.Blocked {
			t.Error("the group cannot be written to")
		}
		h.shows(conn, -7, "Ana: Hi", "* The bot was removed from the group", "Ana: sent before",
			"* The bot was added to the group", "* The bot became an administrator")
	})
}

func TestAGroupsTitleIsTheLatest(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, says(group(-7, "Friends"), ana, 1, "Hi"))
		h.hears(conn, posts(group(-7, "Foes"), ana, 2, object{"new_chat_title": "Foes"}))
		conv := h.conversation(conn, -7)
		if text(conv.Title) != "Foes" || conv.Edges.Contact.Name != "Foes" {
			t.Errorf("%v with %v", conv, conv.Edges.Contact)
		}
		h.same("the feed", h.events(conn.CampaignID)[2:], []string{"MESSAGE ADDED in -7 #2", "CONVERSATION in -7"})
	})
}

func TestATopicIsAConversationAndKeepsItsName(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := supergroup(-1007, "Shop")
		in := object{"message_thread_id": 5, "is_topic_message": true}
		title := func(want string) {
			t.Helper()
			if got := text(h.conversation(conn, "-1007:5").Title); got != want {
				t.Errorf("the topic is called %q, not %q", got, want)
			}
		}
		h.hears(conn, says(g, ana, 8, "first seen", in))
		title("Shop › #5")
		h.hears(conn, posts(g, ana, 9, in, object{"forum_topic_edited": object{"name": "Orders"}}))
		title("Shop › Orders")
		h.hears(conn, says(g, ana, 10, "on", in), says(g, bo, 11, "General"))
		title("Shop › Orders")
		h.shows(conn, "-1007:5", "Ana: first seen", "* Ana renamed the topic to “Orders”", "Ana: on")
		h.shows(conn, -1007, "Bo Li: General")
		if h.conversation(conn, -1007).ContactID != h.conversation(conn, "-1007:5").ContactID {
			t.Error("the topics of a group are not the same contact's")
		}
	})
}

func TestAChannelsPostsAreItsConversation(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		c := channel(-1009, "News")
		post := func(kind string, id int, more object) string {
			return update(kind, with(object{"message_id": id, "chat": c, "sender_chat": c, "date": epoch + id}, more))
		}
		h.hears(conn, post("channel_post", 1, object{"text": "Sale"}))
		h.hears(conn, post("edited_channel_post", 1, object{"text": "Big sale", "edit_date": epoch + 3}))
		h.shows(conn, -1009, "News: Big sale edited 3")
		if n := h.count("SELECT count(*) FROM contacts"); n != 1 {
			t.Errorf("%d contacts for a channel", n)
		}
	})
}
