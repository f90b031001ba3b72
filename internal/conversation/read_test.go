package conversation_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	"causeway/internal/conversation"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// MarkSeen notes it as what was told.
func (a account) MarkSeen(_ context.Context, chat string) error {
	a.accounts.told <- "seen " + chat
	return nil
}

// ShowTyping notes it as what was told.
func (a account) ShowTyping(_ context.Context, chat string, typing bool) error {
	a.accounts.told <- fmt.Sprint("typing ", chat, " ", typing)
	return nil
}

// marks makes everything so far read.
func (h *house) marks(conv causeway.ID) {
	h.Helper()
	h.no(h.service.MarkRead(h.agent(), conv))
}

func (h *house) unread(conn *ent.Connection, chat any) int {
	h.Helper()
	return h.conversation(conn, chat).UnreadCount
}

func TestMarkingReadTellsColleaguesOnceAndTheCustomer(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"), writes(ana, 2, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		begun := len(h.events(conn.CampaignID))
		h.marks(conv)
		h.answers("seen 501")
		h.marks(conv)
		h.same("the feed", h.events(conn.CampaignID)[begun:], []string{"CONVERSATION in 501"})
		if n := h.unread(conn, anaChat); n != 0 {
			t.Errorf("%d are unread", n)
		}
		h.hears(conn, writes(ana, 3, "Well?"))
		if n := h.unread(conn, anaChat); n != 1 {
			t.Errorf("%d are unread after one more", n)
		}
		h.refused(h.service.MarkRead(h.agent(), causeway.NewID(causeway.PrefixConversation)), causeway.NotFound, "id")
		h.refused(h.service.MarkRead(t.Context(), conv), causeway.Unauthenticated)
		h.archive(conn)
		h.refused(h.service.MarkRead(h.agent(), conv), causeway.Conflict, "id")
	})
}

// TestUnreadCountsEqualTheTruth lets customers write and agents read, note, answer and
// tag in any mix, in batches of any size.
func TestUnreadCountsEqualTheTruth(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		rapid.Check(t, func(r *rapid.T) {
			conn := h.bot()
			people := []object{ana, bo}
			chats := []int{anaChat, boChat}
			truth, id := map[int]int{}, 0
			known := func() []int {
				var began []int
				for _, chat := range chats {
					if _, ok := truth[chat]; ok {
						began = append(began, chat)
					}
				}
				return began
			}
			for range rapid.IntRange(3, 12).Draw(r, "steps") {
				began := known()
				step := rapid.SampledFrom([]string{"writes", "marks", "notes", "answers", "edits", "reacts", "twice"}).Draw(r, "step")
				if len(began) == 0 || step == "writes" {
					var batch []string
					for range rapid.IntRange(1, 4).Draw(r, "messages") {
						who := rapid.IntRange(0, 1).Draw(r, "who")
						id++
						batch = append(batch, writes(people[who], id, "Hello "+strconv.Itoa(id)))
						truth[chats[who]]++
					}
					h.hears(conn, batch...)
					continue
				}
				chat := rapid.SampledFrom(began).Draw(r, "chat")
				who := people[0]
				if chat == boChat {
					who = people[1]
				}
				conv := h.conversation(conn, chat).ID
				var err error
				switch step {
				case "marks":
					h.marks(conv)
					truth[chat] = 0
				case "notes":
					_, err = h.service.AddNote(h.agent(), conv, "a note")
				case "answers":
					_, err = h.service.Reply(h.agent(), conversation.Reply{Conversation: conv, Text: "an answer"})
				case "edits":
					h.apply(h.logs(conn, edits(private(who), who, rapid.IntRange(1, id).Draw(r, "edited"), id+100, object{"text": "Hi"}))...)
				case "reacts":
					h.apply(h.logs(conn, reacts(private(who), who, rapid.IntRange(1, id).Draw(r, "reacted"), id, "👍"))...)
				case "twice":
					id++
					again := writes(who, id, "once")
					h.hears(conn, again, again)
					h.hears(conn, again)
					truth[chat]++
				}
				h.no(err)
				for chat, want := range truth {
					if got := h.unread(conn, chat); got < want || step != "edits" && got != want {
						r.Fatalf("after %s: %d are unread in %d, not %d", step, got, chat, want)
					} else {
						truth[chat] = got // an edit of what was never seen is a new message
					}
				}
			}
		})
	})
}

// TestWhatArrivesAfterTheMarkStaysUnread lets customers write and agents mark at the same
// time: what is counted and what was marked make the whole.
func TestWhatArrivesAfterTheMarkStaysUnread(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		h.marks(conv)
		var all sync.WaitGroup
		const messages = 40
		logs := make([][]*ent.WebhookLog, messages)
		for i := range messages {
			logs[i] = h.logs(conn, writes(ana, i+2, "More"))
		}
		all.Go(func() {
			for _, log := range logs {
				h.apply(log...)
			}
		})
		for range 3 {
			all.Go(func() {
				for range 10 {
					if err := h.service.MarkRead(h.agent(), conv); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		before := h.unread(conn, anaChat)
		h.hears(conn, writes(ana, 1000, "Last"))
		after := h.conversation(conn, anaChat)
		if after.UnreadCount != before+1 || after.LastSeq != messages+2 {
			t.Errorf("%d unread before, %d after one more, last number %d", before, after.UnreadCount, after.LastSeq)
		}
		h.marks(conv)
		if n := h.unread(conn, anaChat); n != 0 {
			t.Errorf("%d are unread", n)
		}
	})
}
