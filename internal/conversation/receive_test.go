package conversation_test

import (
	"fmt"
	"strings"
	"testing"

	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// each runs a test in a house with one bot, on every database.
func each(t *testing.T, test func(h *house, conn *ent.Connection)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		test(h, h.bot())
	})
}

func TestWhatACustomerWritesBeginsAConversation(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"), writes(ana, 2, "Is anybody there?"))
		h.shows(conn, anaChat, "Ana: Hello?", "Ana: Is anybody there?")
		conv := h.conversation(conn, anaChat)
		c := conv.Edges.Contact
		if conv.Title != nil || conv.Status != "OPEN" || conv.CampaignID != conn.CampaignID || conv.Platform != "TELEGRAM" {
			t.Errorf("the conversation is %v", conv)
		}
		if c.Name != "Ana" || text(c.Username) != "ana" || text(c.Language) != "pt" || c.Blocked || c.ExternalID != "501" {
			t.Errorf("the contact is %v", c)
		}
		m := conv.Edges.LastMessage
		if m.Direction != message.DirectionInbound || m.AuthorKind != message.AuthorKindCustomer ||
			*m.ContactID != c.ID || text(m.ExternalID) != "501/2" || m.SentAt.Unix() != epoch+2 || m.EditedAt != nil {
			t.Errorf("the message is %v", m)
		}
		h.same("the feed", h.events(conn.CampaignID), []string{
			"CONVERSATION CREATED in 501", "MESSAGE ADDED in 501 #1", "MESSAGE ADDED in 501 #2",
		})
		h.hears(conn, writes(ana, 3, "Well"), writes(ana, 4, "then"))
		h.same("the feed", h.events(conn.CampaignID)[3:], []string{
			"MESSAGE ADDED in 501 #3", "MESSAGE ADDED in 501 #4", "CONVERSATION in 501",
		})
	})
}

func TestWhatCustomersSendIsShown(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		in := private(ana)
		h.hears(conn,
			posts(in, ana, 1, photo("p1"), object{"caption": "Look"}),
			posts(in, ana, 2, photo("p2"), object{"media_group_id": "77"}),
			posts(in, ana, 3, photo("p3"), object{"media_group_id": "77"}),
			posts(in, ana, 4, object{"location": object{"latitude": 1.5, "longitude": -2.5}}),
			says(in, ana, 5, "yes", answering(in, 1)),
			says(in, ana, 6, "what?", answering(in, 999)),
			says(in, ana, 7, "news", object{"forward_origin": object{"type": "hidden_user", "sender_user_name": "Carl"}}),
			posts(in, ana, 8, object{"document": object{"file_id": "d1", "file_name": "a.pdf", "file_size": 12, "mime_type": "application/pdf"}}),
			posts(in, ana, 9, object{"something_new": object{"x": 1}}),
		)
		h.shows(conn, anaChat,
			"Ana: Look [IMAGE p1]",
			"Ana:  [IMAGE p2] in 77",
			"Ana:  [IMAGE p3] in 77",
			"Ana:  [LOCATION here]",
			"Ana: yes <- 1",
			"Ana: what?",
			"Ana: news from Carl",
			"Ana:  [FILE d1]",
			"Ana:  [UNSUPPORTED something_new]",
		)
		a, err := h.store.Reader().Attachment.Query().All(t.Context())
		h.no(err)
		for _, a := range a {
			waits := a.State != nil && *a.State == "PENDING"
			if waits != (a.PlatformRef != nil) || a.CampaignID != conn.CampaignID {
				t.Errorf("the attachment is %v", a)
			}
			if a.Kind == "LOCATION" && (*a.Latitude != 1.5 || *a.Longitude != -2.5 || a.Width != nil) {
				t.Errorf("the location is %v", a)
			}
		}
	})
}

func TestAnAnswerToAMessageOfABatchBeforeIsShownAsOne(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "One"))
		h.hears(conn, writes(ana, 2, "Two", answering(private(ana), 1)))
		h.shows(conn, anaChat, "Ana: One", "Ana: Two <- 1")
	})
}

func TestAnEditedMessageReadsOtherwise(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		in := private(ana)
		h.hears(conn, writes(ana, 1, "Helo"), posts(in, ana, 2, photo("p1"), object{"caption": "Mine"}))
		h.hears(conn, edits(in, ana, 1, 20, object{"text": "Hello"}))
		h.shows(conn, anaChat, "Ana: Hello edited 20", "Ana: Mine [IMAGE p1]")
		h.same("the feed", h.events(conn.CampaignID)[3:], []string{"MESSAGE EDITED in 501 #1"})

		h.hears(conn, edits(in, ana, 1, 19, object{"text": "older"}))
		h.hears(conn, edits(in, ana, 2, 21, photo("p1"), object{"caption": "Mine"})) // a bot cannot see what changed
		h.shows(conn, anaChat, "Ana: Hello edited 20", "Ana: Mine [IMAGE p1]")
		if n := len(h.events(conn.CampaignID)); n != 4 {
			t.Errorf("edits that nobody sees were told: %d events", n)
		}

		h.hears(conn, edits(in, ana, 2, 22, photo("p2"), object{"caption": "Mine"}))
		h.shows(conn, anaChat, "Ana: Hello edited 20", "Ana: Mine [IMAGE p2] edited 22")
		h.hears(conn, edits(in, ana, 2, 23, photo("p2")))
		h.shows(conn, anaChat, "Ana: Hello edited 20", "Ana:  [IMAGE p2] edited 23")
		if conv := h.conversation(conn, anaChat); conv.UnreadCount != 2 {
			t.Errorf("%d unread after edits", conv.UnreadCount)
		}
	})
}

func TestAMessageEditedAtOnceIsShownAsItReadsNow(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		in := private(ana)
		h.hears(conn, posts(in, ana, 1, photo("p1")), edits(in, ana, 1, 5, photo("p2"), object{"caption": "x"}),
			edits(in, ana, 1, 4, photo("p0")), edits(in, ana, 1, 6, photo("p3"), object{"caption": "y"}))
		h.shows(conn, anaChat, "Ana: y [IMAGE p3] edited 6")
	})
}

func TestAnEditOfAMessageFromBeforeTheConnectionShowsIt(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, edits(private(ana), ana, 1, 30, object{"text": "As I said"}))
		h.shows(conn, anaChat, "Ana: As I said edited 30")
		if m := h.conversation(conn, anaChat).Edges.LastMessage; m.SentAt.Unix() != epoch+1 {
			t.Errorf("written at second %d, not when the platform says", m.SentAt.Unix()-epoch)
		}
		h.hears(conn, edits(private(ana), ana, 1, 40, object{"text": "As I meant"}))
		h.shows(conn, anaChat, "Ana: As I meant edited 40")
	})
}

func TestAnEditWithoutATimeIsStampedWithOurs(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "a"), edits(private(ana), ana, 1, -epoch, object{"text": "b", "date": 0}))
		m := h.conversation(conn, anaChat).Edges.LastMessage
		if text(m.Text) != "b" || m.EditedAt == nil || m.EditedAt.Before(m.CreatedAt) {
			t.Errorf("%v", m)
		}
	})
}

func TestReactionsAreThoseOfNow(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := supergroup(-1007, "Friends")
		h.hears(conn, says(g, ana, 1, "Hi"), reacts(g, bo, 1, 2, "👍", "❤", "👍"), reacts(g, ana, 1, 3, "🔥"))
		h.shows(conn, -1007, "Ana: Hi {Ana 🔥} {Bo Li ❤} {Bo Li 👍}")
		h.hears(conn, reacts(g, bo, 1, 4, "🎉"))
		h.shows(conn, -1007, "Ana: Hi {Ana 🔥} {Bo Li 🎉}")
		h.hears(conn, reacts(g, bo, 1, 5), reacts(g, ana, 999, 5, "👍"))
		h.shows(conn, -1007, "Ana: Hi {Ana 🔥}")
		h.same("the feed", h.events(conn.CampaignID), []string{
			"CONVERSATION CREATED in -1007", "MESSAGE ADDED in -1007 #1",
			"MESSAGE REACTIONS in -1007 #1", "MESSAGE REACTIONS in -1007 #1",
			"MESSAGE REACTIONS in -1007 #1", "MESSAGE REACTIONS in -1007 #1",
		})
	})
}

func TestABlockIsNotedAndWritingAgainEndsIt(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		in := private(ana)
		blocked := func(want bool) {
			t.Helper()
			if got := h.conversation(conn, anaChat).Edges.Contact.Blocked; got != want {
				t.Fatalf("blocked is %v", got)
			}
		}
		h.hears(conn, writes(ana, 1, "Hi"))
		h.hears(conn, membership(in, ana, 2, "member", "kicked"))
		blocked(true)
		h.hears(conn, membership(in, ana, 3, "kicked", "member"))
		blocked(false)
		h.hears(conn, membership(in, ana, 4, "kicked", "member"), membership(in, ana, 5, "member", "kicked"), writes(ana, 6, "Back"))
		blocked(false)
		h.shows(conn, anaChat, "Ana: Hi", "* The customer blocked the bot", "* The customer unblocked the bot",
			"* The customer blocked the bot", "Ana: Back")
		h.hears(conn, membership(private(bo), bo, 7, "left", "member"))
		h.shows(conn, boChat, "* The customer started the bot")
	})
}

func TestNotesAreForAgentsAndNotUnread(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := group(-7, "Friends")
		h.hears(conn, says(g, ana, 1, "Hi"), posts(g, ana, 2, object{"new_chat_members": []object{bo}}))
		h.shows(conn, -7, "Ana: Hi", "* Ana added Bo Li to the group")
		m := h.conversation(conn, -7).Edges.LastMessage
		if m.Direction != message.DirectionInternal || m.AuthorKind != message.AuthorKindSystem {
			t.Errorf("the note is %v", m)
		}
		h.finds(conn, "added")
		h.finds(conn, "hi", "-7")
	})
}

func TestWhatIsNotKnownIsIgnored(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		for i, o := range h.apply(h.logs(conn, update("inline_query", object{"id": "1", "from": ana}), `{"update_id":3}`)...) {
			if !o.Ignored || o.Err != nil {
				t.Errorf("update %d: %+v", i, o)
			}
		}
		if len(h.state(conn)) != 0 || len(h.events(conn.CampaignID)) != 0 {
			t.Error("something came of it")
		}
	})
}

func TestAnUpdateOfTheWrongShapeDoesNotHarmItsNeighbours(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		outcomes := h.apply(h.logs(conn, writes(ana, 1, "One"), `{"update_id":1,"message":7}`, `nonsense`,
			`{"update_id":1,"message":{"message_id":1}}`, writes(ana, 2, "Two"))...)
		for i, bad := range []bool{false, true, true, true, false} {
			if (outcomes[i].Err != nil) != bad || outcomes[i].Ignored {
				t.Errorf("update %d: %+v", i, outcomes[i])
			}
		}
		h.shows(conn, anaChat, "Ana: One", "Ana: Two")
	})
}

func TestTextThatNoDatabaseTakesIsCleaned(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		nul := object{"id": 501, "first_name": "A\x00na", "username": "an\x00a"}
		h.hears(conn, says(private(nul), nul, 1, "a\x00b c"), posts(private(nul), nul, 2, photo("p\x00"), object{"caption": "\x00"}),
			taps(nul, "t\x00", 2, "da\x00ta", "label"),
			strings.Replace(says(private(nul), nul, 3, "XX"), "XX", "broken \xff", 1))
		h.hears(conn, edits(private(nul), nul, 1, 9, object{"text": "a\x00b c"}), taps(nul, "t\x00", 2, "data", "label"))
		h.shows(conn, anaChat, "Ana: ab c", "Ana:  [IMAGE p]", "Ana: label (data) <- 2", "Ana: broken \uFFFD")
		h.hears(conn, edits(private(nul), nul, 1, 10, object{"text": "d"}))
		h.finds(conn, "ab")
		h.finds(conn, "d", "501")
	})
}

func TestAVeryLongTextIsKeptWhole(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		var b strings.Builder
		for i := range 60_000 {
			fmt.Fprintf(&b, "%c%d ", '一'+rune(i%5000), i)
		}
		long := b.String() + strings.Repeat("x", 10_000)
		h.hears(conn, writes(ana, 1, long))
		if got := text(h.conversation(conn, anaChat).Edges.LastMessage.Text); got != long {
			t.Errorf("%d characters of %d", len(got), len(long))
		}
		h.finds(conn, "59999", "501")
		h.finds(conn, strings.Repeat("x", 9_000), "501")
	})
}

func TestOneBatchServesSeveralConnectionsAndCampaigns(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		second, other := h.botIn(conn.CampaignID), h.bot()
		a, b, c := h.logs(conn, writes(ana, 1, "to one"), writes(ana, 2, "again")),
			h.logs(second, writes(ana, 1, "to two")), h.logs(other, writes(ana, 1, "elsewhere"))
		h.apply(c[0], a[0], b[0], a[1])
		h.shows(conn, anaChat, "Ana: to one", "Ana: again")
		h.shows(second, anaChat, "Ana: to two")
		h.shows(other, anaChat, "Ana: elsewhere")
		if len(h.events(conn.CampaignID)) != 5 || len(h.events(other.CampaignID)) != 2 {
			t.Errorf("events: %v and %v", h.events(conn.CampaignID), h.events(other.CampaignID))
		}
		if c := h.conversation(other, anaChat); c.CampaignID != other.CampaignID || c.Edges.Contact.CampaignID != other.CampaignID {
			t.Error("a conversation is in another connection's campaign")
		}
	})
}

func TestAConnectionWithAnotherAccountBeginsAnew(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "to the first bot"))
		was := h.conversation(conn, anaChat)
		conn.AccountID = "another"
		h.hears(conn, writes(ana, 1, "to the second"))
		h.same("the first", h.transcript(was), []string{"Ana: to the first bot"})
		if n := h.count("SELECT count(*) FROM conversations"); n != 2 {
			t.Errorf("%d conversations", n)
		}
	})
}
