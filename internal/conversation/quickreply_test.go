package conversation_test

import (
	"strings"
	"testing"

	"causeway"
	"causeway/ent"
	"causeway/ent/quickreply"
	"causeway/internal/conversation"
)

func quick(conn *ent.Connection, shortcut, language, text string) conversation.QuickReplyInput {
	in := conversation.QuickReplyInput{Campaign: conn.CampaignID, Shortcut: shortcut, Text: text}
	if language != "" {
		in.Language = causeway.ChangeTo(language)
	}
	return in
}

func (h *house) quick(conn *ent.Connection, shortcut, language, text string) causeway.ID {
	h.Helper()
	id, err := h.service.SaveQuickReply(h.agent(), quick(conn, shortcut, language, text))
	h.no(err)
	return id
}

func TestQuickRepliesAreChosenByLanguageAndSearch(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.quick(conn, "/Hello", "", "Hello, how may I help?")
		h.quick(conn, "hello", "vi", "Xin chào!")
		h.quick(conn, "hello", "vi-vn", "Dạ, chào anh chị!")
		h.quick(conn, "hello", "zh-Hant", "您好")
		h.quick(conn, "price", "vi", "Giá trên trang, đã gồm hello")
		h.quick(conn, "shello", "", "By sea")
		h.quick(h.bot(), "elsewhere", "", "Hello")
		all, err := h.store.Reader().QuickReply.Query().Where(quickreply.CampaignID(conn.CampaignID)).All(t.Context())
		h.no(err)
		for _, c := range []struct {
			name, language, search string
			want                   []string
		}{
			{"everything", "-", "-", []string{"hello zh-Hant", "hello vi-VN", "hello vi", "hello", "price vi", "shello"}},
			{"Vietnamese of Vietnam", "vi-VN", "-", []string{"hello vi-VN", "hello vi", "hello", "price vi", "shello"}},
			{"as people type it", "VI-vn", "-", []string{"hello vi-VN", "hello vi", "hello", "price vi", "shello"}},
			{"Vietnamese", "vi", "-", []string{"hello vi", "hello", "price vi", "shello"}},
			{"Chinese of Taiwan", "zh-Hant-TW", "-", []string{"hello zh-Hant", "hello", "shello"}},
			{"a language nobody wrote in", "ru", "-", []string{"hello", "shello"}},
			{"no language", "not a language", "-", []string{"hello", "shello"}},
			{"beginnings first, then within, then texts", "vi", "/HELLO", []string{"hello vi", "hello", "shello", "price vi"}},
			{"without diacritics", "-", "gia tren", []string{"price vi"}},
			{"with them", "-", "DẠ, CHÀO", []string{"hello vi-VN"}},
			{"nothing", "-", "nowhere", nil},
			{"an empty search", "ru", " ", []string{"hello", "shello"}},
		} {
			var language, search *string
			if c.language != "-" {
				language = &c.language
			}
			if c.search != "-" {
				search = &c.search
			}
			var got []string
			for _, q := range conversation.Choose(all, language, search) {
				got = append(got, strings.TrimSpace(q.Shortcut+" "+q.Language))
			}
			h.same(c.name, got, c.want)
		}
	})
}

func TestAQuickReplyIsChangedAndDeleted(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		id := h.quick(conn, "//Bye", "en", "Good bye")
		change := func(in conversation.QuickReplyInput) {
			t.Helper()
			in.ID = &id
			got, err := h.service.SaveQuickReply(h.agent(), in)
			h.no(err)
			if got != id {
				t.Errorf("changing made %s of %s", got, id)
			}
		}
		is := func(want string) {
			t.Helper()
			q, err := h.store.Reader().QuickReply.Get(t.Context(), id)
			h.no(err)
			if got := q.Shortcut + "|" + q.Language + "|" + q.Text; got != want {
				t.Errorf("it is %q, not %q", got, want)
			}
		}
		is("bye|en|Good bye")
		change(quick(conn, "bye", "", "See you\nsoon")) // the language was left out
		is("bye|en|See you\nsoon")
		everywhere := quick(conn, "ciao", "", "See you\nsoon")
		everywhere.Language = causeway.Change[string]{Given: true}
		change(everywhere)
		is("ciao||See you\nsoon")
		change(everywhere)
		h.no(h.service.DeleteQuickReply(h.agent(), id))
		h.refused(h.service.DeleteQuickReply(h.agent(), id), causeway.NotFound, "id")
		if log := h.audited(conn.CampaignID); len(log) != 4 || log[1] != `saveQuickReply {"text":"changed"}` || log[3] != `deleteQuickReply {"shortcut":"ciao"}` {
			t.Errorf("the audit log: %q", log)
		}
	})
}

func TestAQuickReplyThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		hello, other := h.quick(conn, "hello", "vi", "Xin chào"), h.quick(conn, "other", "vi", "Khác")
		h.quick(conn, "hello", "", "Hello") // in every language is another
		theirs := h.quick(h.bot(), "hello", "vi", "Xin chào")
		save := func(id *causeway.ID, in conversation.QuickReplyInput) error {
			in.ID = id
			_, err := h.service.SaveQuickReply(h.agent(), in)
			return err
		}
		h.refused(save(nil, quick(conn, "/HELLO", "vi", "x")), causeway.Conflict, "input", "shortcut")
		h.refused(save(nil, quick(conn, "hello", "", "x")), causeway.Conflict, "input", "shortcut")
		h.refused(save(&other, quick(conn, "hello", "", "x")), causeway.Conflict, "input", "shortcut")
		h.refused(save(&theirs, quick(conn, "mine", "", "x")), causeway.NotFound, "input", "id")
		for _, shortcut := range []string{"", " / ", "two words", "a\tb", strings.Repeat("x", 51)} {
			h.refused(save(nil, quick(conn, shortcut, "", "x")), causeway.InvalidInput, "input", "shortcut")
		}
		h.refused(save(nil, quick(conn, "new", "not a language", "x")), causeway.InvalidInput, "input", "language")
		h.refused(save(nil, quick(conn, "new", "", "\n")), causeway.InvalidInput, "input", "text")
		h.refused(save(nil, quick(conn, "new", "", strings.Repeat("ă", 4097))), causeway.InvalidInput, "input", "text")
		h.refused(save(nil, conversation.QuickReplyInput{Campaign: causeway.NewID(causeway.PrefixCampaign), Shortcut: "x", Text: "x"}),
			causeway.NotFound, "input", "campaignId")
		h.archive(conn)
		h.refused(save(nil, quick(conn, "new", "", "x")), causeway.Conflict, "input", "campaignId")
		h.refused(h.service.DeleteQuickReply(h.agent(), hello), causeway.Conflict, "id")
	})
}

func FuzzAShortcutAndALanguageFromAStranger(f *testing.F) {
	f.Add("/hi", "vi-VN", "xin")
	f.Add("\xff/\x00", "zh-Hant-x-private", "é")
	f.Fuzz(func(t *testing.T, shortcut, language, search string) {
		all := []*ent.QuickReply{{ID: "a", Shortcut: "hi", Language: "vi", Text: "Xin chào"}, {ID: "b", Shortcut: shortcut, Text: search}}
		for _, q := range conversation.Choose(all, &language, &search) {
			if q.Language != "" && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(language)), "vi") && !strings.ContainsAny(language, "-_") {
				t.Errorf("%q was taken for Vietnamese", language)
			}
		}
	})
}
