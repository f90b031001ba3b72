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

// history draws what happens in four chats, in the order in which Telegram tells it.
func history(r *rapid.T) []string {
	g := supergroup(-1007, "Friends")
	chats := []struct{ chat, from object }{{private(ana), ana}, {private(bo), bo}, {g, ana}, {g, bo}}
	words := rapid.SampledFrom([]string{"yes", "no", "Đơn hàng", "订单在哪里", "a\x00b", "Привет ana", ""})
	var updates []string
	for id := 1; id <= rapid.IntRange(1, 15).Draw(r, "length"); id++ {
		in := chats[rapid.IntRange(0, len(chats)-1).Draw(r, "chat")]
		text := words.Draw(r, "words")
		about := rapid.IntRange(1, id).Draw(r, "about")
		updates = append(updates, rapid.SampledFrom([]string{
			says(in.chat, in.from, id, text+"."),
			says(in.chat, in.from, id, text+".", answering(in.chat, about)),
			posts(in.chat, in.from, id, photo("p"), object{"caption": text}),
			posts(in.chat, in.from, id, object{"pinned_message": object{"message_id": about}}),
			edits(in.chat, in.from, about, 100+id, object{"text": text + "!"}),
			edits(in.chat, in.from, about, 100+id, photo("q"), object{"caption": text}),
			taps(in.from, "tap"+text, about, "data", text+"?"),
		}).Draw(r, "update"))
	}
	return updates
}

// inBatches applies logs in batches of any size.
func (h *house) inBatches(r *rapid.T, logs []*ent.WebhookLog) {
	h.Helper()
	for len(logs) > 0 {
		n := rapid.IntRange(1, len(logs)).Draw(r, "batch")
		h.apply(logs[:n]...)
		logs = logs[n:]
	}
}

// Telegram's names of things are all that tells a repeat, so each log is another.
func TestUpdatesThatComeAgainChangeNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		rapid.Check(t, func(r *rapid.T) {
			updates := history(r)
			once, again := h.bot(), h.bot()
			h.apply(h.logs(once, updates...)...)

			repeated := slices.Clone(updates)
			for range rapid.IntRange(0, 10).Draw(r, "repeats") {
				from := rapid.IntRange(0, len(repeated)-1).Draw(r, "what")
				to := rapid.IntRange(from+1, len(repeated)).Draw(r, "where")
				repeated = slices.Insert(repeated, to, repeated[from])
			}
			h.inBatches(r, h.logs(again, repeated...))

			if got, want := h.state(again), h.state(once); !slices.Equal(got, want) {
				r.Fatalf("after repeats\n%s\nand without\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			h.toldOnce(r, again)
		})
	})
}

// toldOnce holds the feed against what is stored: every conversation and every
// message began once.
func (h *house) toldOnce(r *rapid.T, conn *ent.Connection) {
	h.Helper()
	count := func(query string) int { return h.count(query + " campaign_id = '" + conn.CampaignID.String() + "'") }
	for what, n := range map[string][2]int{
		"conversations": {count("SELECT count(*) FROM conversations WHERE"), count("SELECT count(DISTINCT conversation_id) FROM feed_events WHERE change = 'CREATED' AND")},
		"CREATED":       {count("SELECT count(*) FROM conversations WHERE"), count("SELECT count(*) FROM feed_events WHERE change = 'CREATED' AND")},
		"messages":      {count("SELECT count(*) FROM messages WHERE"), count("SELECT count(DISTINCT message_id) FROM feed_events WHERE change = 'ADDED' AND")},
		"ADDED":         {count("SELECT count(*) FROM messages WHERE"), count("SELECT count(*) FROM feed_events WHERE change = 'ADDED' AND")},
		"numbers":       {count("SELECT max(seq) FROM feed_events WHERE"), count("SELECT count(*) FROM feed_events WHERE")},
	} {
		if n[0] != n[1] {
			r.Fatalf("%s: %d and %d", what, n[0], n[1])
		}
	}
}

// What has no name of its own at the platform, or tells how things are now, comes
// once: intake sees to that. It must not matter how a claim is cut.
func TestItDoesNotMatterHowUpdatesAreCutIntoBatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		rapid.Check(t, func(r *rapid.T) {
			var updates []string
			g, topic := supergroup(-1007, "Friends"), object{"message_thread_id": 5, "is_topic_message": true}
			for i, u := range history(r) {
				updates = append(updates, u)
				who := rapid.SampledFrom([]object{ana, bo, with(ana, object{"first_name": "Anna"}), with(bo, object{"username": "bo"})}).Draw(r, "who")
				updates = append(updates, rapid.SampledFrom([]string{
					reacts(g, who, i, i, "👍"), reacts(g, who, i, i, "❤", "🔥"), reacts(g, who, i, i),
					membership(private(who), who, i, "member", "kicked"), membership(private(who), who, i, "kicked", "member"),
					membership(g, who, i, "left", "member"), membership(g, who, i, "member", "administrator"),
					says(supergroup(-1007, "Foes"), who, 200+i, "renamed"), says(g, who, 200+i, "in a topic", topic),
					posts(g, who, 200+i, topic, object{"forum_topic_edited": object{"name": "Orders"}}),
					posts(g, who, 200+i, object{"migrate_to_chat_id": -1008}),
					posts(supergroup(-1008, "Friends"), who, 200+i, object{"migrate_from_chat_id": -1007}),
					says(supergroup(-1008, "Friends"), who, 200+i, "over here"),
				}).Draw(r, "besides"))
			}
			whole, cut := h.bot(), h.bot()
			h.apply(h.logs(whole, updates...)...)
			h.inBatches(r, h.logs(cut, updates...))
			if got, want := h.state(cut), h.state(whole); !slices.Equal(got, want) {
				r.Fatalf("cut\n%s\nand whole\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			h.toldOnce(r, whole)
			h.toldOnce(r, cut)
		})
	})
}

func TestTheSameLogAgainIsAppliedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		logs := h.logs(conn, writes(ana, 1, "One"), writes(ana, 2, "Two"))
		h.apply(logs...)
		h.apply(logs[1])
		h.apply(logs[1], logs[0], logs[1])
		h.shows(conn, anaChat, "Ana: One", "Ana: Two")
		h.same("the feed", h.events(conn.CampaignID), []string{
			"CONVERSATION CREATED in 501", "MESSAGE ADDED in 501 #1", "MESSAGE ADDED in 501 #2",
		})
	})
}
