package conversation_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"causeway/ent"
	"causeway/internal/conversation"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// finds holds the chats that a question finds against those it should.
func (h *house) finds(conn *ent.Connection, question string, chats ...string) {
	h.Helper()
	if got := h.found(conn, question); !slices.Equal(got, chats) {
		h.Errorf("%q finds %v, not %v", question, got, chats)
	}
}

func (h *house) found(conn *ent.Connection, question string) []string {
	h.Helper()
	convs, err := h.store.Reader().Conversation.Query().
		Where(conversation.Matching(conn.CampaignID, conversation.Filter{Search: question})...).All(h.Context())
	h.no(err)
	var chats []string
	for _, c := range convs {
		chats = append(chats, c.Chat)
	}
	slices.Sort(chats)
	return chats
}

func person(id int, name string) object { return object{"id": id, "first_name": name} }

func TestSearchDoesNotMindCaseAndDiacritics(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn,
			writes(person(1, "Nguyễn Đình"), 1, "Đơn hàng của tôi ở Đà Nẵng"),
			writes(person(2, "Ольга"), 1, "ПРИВЕТ, где мой заказ?"),
			writes(person(3, "Jürgen"), 1, "Straße, ÉCOLE, ﬁne, ΟΔΟΣ"),
			writes(person(4, "李雷"), 1, "我的订单在哪里?Order42"),
			writes(person(5, "花子"), 1, "コーヒーがほしい"),
		)
		for question, chat := range map[string]string{
			"đơn hàng": "1", "don hang": "1", "DON HÀNG": "1", "da nang": "1", "dinh": "1", "nguyen": "1", "Đ": "1",
			"привет": "2", "Привет заказ": "2", "ОЛЬГА": "2", "зак": "2",
			"jurgen": "3", "école": "3", "ecole": "3", "fine": "3", "οδος": "3", "Οδοσ": "3", "STRASSE": "", "straß": "3",
			"订单": "4", "订": "4", "里": "4", "我的订单": "4", "单订": "", "雷": "4", "order42": "4", "订 order": "4", "里order4": "4",
			"コーヒー": "5", "ｺｰﾋｰ": "5", "がほ": "5", "ヒ": "5",
			"hang don": "1", "hang don da": "1", "han don": "", "don han": "1",
		} {
			if chat == "" {
				h.finds(conn, question)
				continue
			}
			h.finds(conn, question, chat)
		}
		h.finds(conn, "   ", "1", "2", "3", "4", "5") // no question
	})
}

func TestSeveralWordsMayStandInDifferentMessagesAndTheName(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "My parcel"), writes(ana, 2, "never came"), writes(bo, 1, "parcel"))
		h.finds(conn, "parcel", "501", "502")
		h.finds(conn, "came parcel", "501")
		h.finds(conn, "ana parc", "501")
		h.finds(conn, "parc ana")
		h.finds(conn, "li", "502")
	})
}

func TestWhatAnEditTookOutIsNoLongerFound(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "red shoes"), writes(ana, 2, "shoes"))
		h.hears(conn, edits(private(ana), ana, 1, 9, object{"text": "blue hats"}))
		h.finds(conn, "red")
		h.finds(conn, "blue", "501")
		h.finds(conn, "shoes", "501")
		h.hears(conn, edits(private(ana), ana, 2, 9, object{"text": "hats"}))
		h.finds(conn, "shoes")
		h.finds(conn, "hats", "501")
	})
}

func TestARenamedContactIsFoundByTheNewNameOnly(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		maria := with(ana, object{"first_name": "Maria"})
		h.hears(conn, writes(ana, 1, "Hi"))
		h.hears(conn, writes(maria, 2, "I married"))
		h.finds(conn, "ana")
		h.finds(conn, "maria", "501")
		h.same("the feed", h.events(conn.CampaignID)[2:], []string{"MESSAGE ADDED in 501 #2", "CONVERSATION in 501"})
	})
}

func TestARenameWithinOneBatchIsFoundByTheLastName(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		maria := with(ana, object{"first_name": "Maria"})
		h.hears(conn, writes(ana, 1, "Hi"), writes(maria, 2, "I married"), writes(ana, 3, "and"), writes(maria, 4, "again"))
		h.finds(conn, "ana")
		h.finds(conn, "maria", "501")
		h.same("the words", h.words(h.conversation(conn, anaChat).ID), []string{"again=1", "and=1", "hi=1", "i=1", "maria=1", "married=1"})
	})
}

func TestARenameSeenElsewhereReachesAllTheirConversations(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		maria := with(ana, object{"first_name": "Maria"})
		h.hears(conn, writes(ana, 1, "Hi"))
		h.hears(conn, says(supergroup(-1007, "Friends"), maria, 1, "I married"))
		h.finds(conn, "ana")
		h.finds(conn, "maria", "501")

		news := object{"message_thread_id": 5, "is_topic_message": true}
		h.hears(conn, says(supergroup(-1007, "Friends"), bo, 6, "topic", news))
		h.hears(conn, says(supergroup(-1007, "Colleagues"), bo, 7, "renamed"))
		h.finds(conn, "friends")
		h.finds(conn, "colleagues", "-1007", "-1007:5")
		h.hears(conn, says(supergroup(-1007, "Neighbours"), bo, 8, "again", news))
		h.finds(conn, "colleagues")
		h.finds(conn, "neighbours", "-1007", "-1007:5")
	})
}

func TestQuestionsWithoutWordsFindNothing(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "100% sure_thing ? * 'quoted' \"double\" a\\b"))
		for _, question := range []string{"?!…", "%", "_", "*", "'", `"`, `\`, "\x00", "\xff", "\x00\xff%", "👍", "-"} {
			h.finds(conn, question)
		}
		for _, question := range []string{"100%", "sure_thing", "sure", "%thing%", "'quoted'", "qu\x00", "qu\xff", "a\\b", "\xff100"} {
			h.finds(conn, question, "501")
		}
		for _, question := range []string{"s%e", "s_re", "%ure", "q'uoted", "\U0010FFFF"} {
			h.finds(conn, question)
		}
		h.finds(conn, strings.Repeat("sure ", 5000), "501")
		h.finds(conn, strings.Repeat("订单", 5000))
	})
}

func TestAnotherCampaignIsNotSearched(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(h.bot(), writes(ana, 1, "secret"))
		h.finds(conn, "secret")
	})
}

// spellings are words as people write them, and as they are compared.
var spellings = map[string]string{
	"Đơn": "don", "don": "don", "DÓN": "don", "hàng": "hang", "hang": "hang", "hanging": "hanging",
	"Привет": "привет", "привет": "привет", "x1": "x1", "x12": "x12",
	"订单": "订单", "单": "单", "订": "订", "单订单": "单订单",
}

// model answers as the index should, from the texts themselves.
type model map[string]*chatModel

type chatModel struct {
	name  []string
	texts map[int][]string
}

func (m model) found(question []string) []string {
	var chats []string
	for chat, c := range m {
		if c.matches(question) {
			chats = append(chats, chat)
		}
	}
	slices.Sort(chats)
	return chats
}

func (c *chatModel) matches(question []string) bool {
	if len(question) == 0 {
		return false
	}
	for i, word := range question {
		if !c.holds(spellings[word], i == len(question)-1) {
			return false
		}
	}
	return true
}

func (c *chatModel) holds(word string, beginning bool) bool {
	for _, text := range append([][]string{c.name}, values(c.texts)...) {
		for _, w := range text {
			w = spellings[w]
			if w == word || beginning && strings.HasPrefix(w, word) || chinese(word) && strings.Contains(w, word) {
				return true
			}
		}
	}
	if !chinese(word) || len([]rune(word)) < 3 {
		return false
	}
	// A run of three is two pairs, which need not stand together.
	r := []rune(word)
	return c.holds(string(r[:2]), false) && c.holds(string(r[1:]), false)
}

func chinese(word string) bool { return []rune(word)[0] > '一' }

func values(m map[int][]string) [][]string {
	var all [][]string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func TestSearchAnswersAsReadingEverythingWould(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		var words []string
		for w := range spellings {
			words = append(words, w)
		}
		slices.Sort(words)
		text := rapid.SliceOfN(rapid.SampledFrom(words), 1, 4)
		separator := rapid.SampledFrom([]string{" ", ", ", "… ", " - "})
		rapid.Check(t, func(r *rapid.T) {
			conn, m := h.bot(), model{}
			var batch []string
			for id := range rapid.IntRange(1, 12).Draw(r, "messages") {
				who := rapid.IntRange(1, 3).Draw(r, "who")
				chat := string(rune('0' + who))
				c := m[chat]
				if c == nil {
					c = &chatModel{texts: map[int][]string{}}
					m[chat] = c
				}
				c.name = text.Draw(r, "name")
				from := person(who, strings.Join(c.name, " "))
				about := rapid.IntRange(max(0, id-3), id).Draw(r, "about")
				says := text.Draw(r, "text")
				c.texts[about] = says
				joined := strings.Join(says, separator.Draw(r, "separator"))
				if about == id {
					batch = append(batch, writes(from, id+1, joined))
				} else {
					batch = append(batch, edits(private(from), from, about+1, 100+id, object{"text": joined}))
				}
				if rapid.Bool().Draw(r, "now") {
					h.hears(conn, batch...)
					batch = nil
				}
			}
			h.hears(conn, batch...)
			for range 5 {
				question := text.Draw(r, "question")
				got, want := h.found(conn, strings.Join(question, separator.Draw(r, "separator"))), m.found(question)
				if !slices.Equal(got, want) {
					r.Fatalf("%q finds %v, not %v", question, got, want)
				}
			}
		})
	})
}
