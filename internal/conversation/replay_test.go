package conversation_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"causeway/ent"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// replayed is logs as they come back from the queue after they were applied.
func replayed(logs ...*ent.WebhookLog) []*ent.WebhookLog {
	again := make([]*ent.WebhookLog, len(logs))
	for i, log := range logs {
		copied := *log
		copied.AppliedBefore = true
		again[i] = &copied
	}
	return again
}

// eventful is a history with everything that has no id of its own at the platform, or
// tells how things stand.
func eventful(r *rapid.T) []string {
	var updates []string
	g, topic := supergroup(-1007, "Friends"), object{"message_thread_id": 5, "is_topic_message": true}
	for i, u := range history(r) {
		updates = append(updates, u)
		who := rapid.SampledFrom([]object{ana, bo, with(ana, object{"first_name": "Anna"}), with(bo, object{"username": "bo"})}).Draw(r, "who")
		updates = append(updates, rapid.SampledFrom([]string{
			reacts(g, who, i, i, "👍"), reacts(g, who, i, i, "❤", "🔥"), reacts(g, who, i, i),
			edits(g, who, i, 100, object{"text": "in the same second"}), edits(g, who, i, 100, object{"text": "once more"}),
			membership(private(who), who, i, "member", "kicked"), membership(private(who), who, i, "kicked", "member"),
			membership(g, who, i, "left", "member"), membership(g, who, i, "member", "administrator"),
			says(supergroup(-1007, "Foes"), who, 200+i, "renamed"), says(g, who, 200+i, "in a topic", topic),
			posts(g, who, 200+i, topic, object{"forum_topic_edited": object{"name": "Orders"}}),
			posts(g, who, 200+i, object{"migrate_to_chat_id": -1008}),
			posts(supergroup(-1008, "Friends"), who, 200+i, object{"migrate_from_chat_id": -1007}),
			says(supergroup(-1008, "Friends"), who, 200+i, "over here"),
		}).Draw(r, "besides"))
	}
	return updates
}

func TestReplayingAnyLogsInAnyOrderChangesNothingAndTellsNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		rapid.Check(t, func(r *rapid.T) {
			conn := h.bot()
			logs := h.logs(conn, eventful(r)...)
			h.inBatches(r, logs)
			state, events := h.state(conn), h.events(conn.CampaignID)

			some := rapid.Permutation(replayed(logs...)).Draw(r, "order")
			h.inBatches(r, some[:rapid.IntRange(1, len(some)).Draw(r, "how many")])

			if now := h.state(conn); !slices.Equal(now, state) {
				r.Fatalf("after a replay\n%s\nand before\n%s", strings.Join(now, "\n"), strings.Join(state, "\n"))
			}
			if now := h.events(conn.CampaignID); !slices.Equal(now, events) {
				r.Fatalf("the feed of a replay\n%s\nafter\n%s", strings.Join(now, "\n"), strings.Join(events, "\n"))
			}
		})
	})
}

func TestATapThatIsReplayedIsNotAnsweredAgain(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		logs := h.logs(conn, taps(ana, "t1", 1, "yes", "Yes"), taps(ana, "t2", 1, "no", "No"))
		h.apply(logs[0])
		h.answers("t1")
		h.apply(replayed(logs[0])...)
		h.apply(logs[1])
		h.answers("t2")
		h.no(h.service.Close())
		if len(h.accounts.answered) != 2 {
			t.Errorf("answered: %v", h.accounts.answered)
		}
	})
}

func TestWhatWasSetAsideAndComesBackLateDoesNotUndoWhatHappenedSince(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		g := supergroup(-1007, "Friends")
		late := h.logs(conn,
			reacts(g, bo, 1, 10, "👍"),
			edits(g, ana, 1, 11, object{"text": "Hallo"}),
			membership(private(ana), ana, 12, "member", "kicked"),
			membership(private(bo), bo, 13, "member", "kicked"),
		)
		h.hears(conn, says(g, ana, 1, "Hi"), writes(ana, 2, "Me"), writes(bo, 3, "And me"),
			reacts(g, bo, 1, 20, "🎉"), edits(g, ana, 1, 21, object{"text": "Hello"}),
			membership(private(ana), ana, 22, "kicked", "member"))
		told := len(h.events(conn.CampaignID))
		h.apply(late[:3]...)
		h.shows(conn, -1007, "Ana: Hello edited 21 {Bo Li 🎉}")
		if h.conversation(conn, anaChat).Edges.Contact.Blocked {
			t.Error("an old block blocked again")
		}
		if now := h.events(conn.CampaignID); len(now) != told {
			t.Errorf("what is old was told: %v", now[told:])
		}
		h.apply(late[3])
		if !h.conversation(conn, boChat).Edges.Contact.Blocked {
			t.Error("a late block of which nothing newer is known was lost")
		}
		h.hears(conn, writes(bo, 14, "I am back"))
		if h.conversation(conn, boChat).Edges.Contact.Blocked {
			t.Error("who wrote after the block is still blocked")
		}
	})
}
