package conversation_test

import (
	"slices"
	"testing"

	"causeway/ent"
)

var (
	oldGroup = group(-7, "Friends")
	newGroup = supergroup(-1007, "Friends")
	movedTo  = posts(oldGroup, ana, 90, object{"migrate_to_chat_id": -1007})
	movedOff = posts(newGroup, ana, 1, object{"migrate_from_chat_id": -7})
)

const theMove = "* The group became a supergroup"

func TestAGroupThatBecameASupergroupKeepsItsConversation(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, _ *ent.Connection) {
		for _, told := range [][]string{{movedTo, movedOff}, {movedOff, movedTo}, {movedTo}, {movedOff}} {
			for _, apart := range []bool{false, true} {
				h.keepsOne(told, apart)
			}
		}
	})
}

// keepsOne lets a group move, as told by some of its messages.
func (h *house) keepsOne(told []string, apart bool) {
	h.Helper()
	conn := h.bot()
	h.hears(conn, says(oldGroup, ana, 1, "Hi"), says(oldGroup, bo, 2, "Ho"))
	before := h.conversation(conn, -7)
	updates := slices.Concat(told, []string{says(newGroup, bo, 5, "here?"), edits(oldGroup, ana, 1, 95, object{"text": "Hey"})})
	if apart {
		for _, u := range updates {
			h.hears(conn, u)
		}
	} else {
		h.hears(conn, updates...)
	}
	h.shows(conn, -1007, "Ana: Hey edited 95", "Bo Li: Ho", theMove, "Bo Li: here?")
	after := h.conversation(conn, -1007)
	if after.ID != before.ID || after.ContactID != before.ContactID || after.Edges.Contact.ExternalID != "-1007" {
		h.Errorf("it is another: %v with %v", after, after.Edges.Contact)
	}
	if n := h.count("SELECT count(*) FROM conversations WHERE connection_id = '" + conn.ID.String() + "'"); n != 1 {
		h.Errorf("%d conversations", n)
	}
	h.finds(conn, "hey", "-1007")
	h.finds(conn, "hi")
}

func TestAGroupThatIsMetWhileItMovesIsOneConversation(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, movedTo, movedOff)
		h.hears(conn, says(newGroup, ana, 2, "Hi"))
		h.shows(conn, -1007, theMove, "Ana: Hi")
		if n := h.count("SELECT count(*) FROM conversations"); n != 1 {
			t.Errorf("%d conversations", n)
		}
	})
}

// Telegram tells that the bot came to the supergroup, too, and not always last.
func TestTheConversationIsKeptWhereTheBotCameToTheSupergroupFirst(t *testing.T) {
	t.Parallel()
	arrival := membership(newGroup, ana, 80, "left", "member")
	each(t, func(h *house, _ *ent.Connection) {
		for _, batches := range [][][]string{
			{{says(oldGroup, ana, 1, "Hi"), arrival, movedTo, movedOff, says(newGroup, bo, 5, "here?")}},
			{{says(oldGroup, ana, 1, "Hi")}, {arrival}, {movedOff}, {movedTo}, {says(newGroup, bo, 5, "here?")}},
			{{says(oldGroup, ana, 1, "Hi")}, {arrival}, {movedTo, movedOff, says(newGroup, bo, 5, "here?")}},
			{{says(oldGroup, ana, 1, "Hi")}, {arrival, movedTo}, {movedOff, says(newGroup, bo, 5, "here?")}},
		} {
			conn := h.bot()
			for _, batch := range batches {
				h.hears(conn, batch...)
			}
			h.shows(conn, -1007, "Ana: Hi", theMove, "Bo Li: here?")
			h.shows(conn, -7, "* The bot was added to the group")
			if c := h.conversation(conn, -1007); c.Edges.Contact.ExternalID != "-1007" {
				t.Errorf("the group's contact is %v", c.Edges.Contact)
			}
		}
	})
}

func TestTwoConversationsInWhichSomethingWasSaidStayAsTheyAre(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, says(newGroup, bo, 5, "new"), says(oldGroup, ana, 1, "old"))
		h.hears(conn, movedTo, movedOff)
		h.hears(conn, says(newGroup, bo, 6, "newer"), says(oldGroup, ana, 2, "late"))
		h.shows(conn, -1007, "Bo Li: new", "Bo Li: newer")
		h.shows(conn, -7, "Ana: old", "Ana: late")
		for _, chat := range []string{"-7", "-1007"} {
			if c := h.conversation(conn, chat).Edges.Contact; c.ExternalID != chat {
				t.Errorf("the contact of %s is %s", chat, c.ExternalID)
			}
		}
	})
}

func TestALateMessageOfTheOldChatIsNotLost(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, says(oldGroup, ana, 1, "Hi"))
		h.hears(conn, movedTo, says(oldGroup, ana, 2, "late"), movedOff)
		h.shows(conn, -1007, "Ana: Hi", theMove)
		h.shows(conn, -7, "Ana: late")
	})
}

func TestTopicsMoveAlong(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		in := object{"message_thread_id": 5, "is_topic_message": true}
		h.hears(conn, says(supergroup(-7, "Friends"), ana, 6, "in the topic", in), says(supergroup(-77, "Others"), ana, 6, "apart", in))
		before := h.conversation(conn, "-7:5")
		h.hears(conn, movedTo)
		h.hears(conn, says(newGroup, bo, 7, "still in it", in))
		h.shows(conn, "-1007:5", "Ana: in the topic", "Bo Li: still in it")
		h.shows(conn, "-1007", theMove)
		h.shows(conn, "-77:5", "Ana: apart")
		if after := h.conversation(conn, "-1007:5"); after.ID != before.ID || after.ContactID != before.ContactID {
			t.Errorf("it is another: %v", after)
		}
	})
}
