package telegram

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"causeway/internal/platform"
)

func TestTheEnvelopeFindsTheChatThatKeepsUpdatesInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want platform.Envelope
	}{
		"message":           {`{"update_id":1,"message":{"chat":{"id":42}}}`, platform.Envelope{Key: "1", Chat: "42", Event: "message"}},
		"white space":       {" {\n\t\"update_id\" : 1 , \"message\" : { \"chat\" : { \"id\" : -42 } } }\r\n", platform.Envelope{Key: "1", Chat: "-42", Event: "message"}},
		"topic":             {`{"update_id":1,"message":{"message_thread_id":4,"is_topic_message":true,"chat":{"id":-1001}}}`, platform.Envelope{Key: "1", Chat: "-1001", Event: "message"}},
		"chat in a reply":   {`{"update_id":1,"message":{"reply_to_message":{"chat":{"id":7}},"chat":{"id":42}}}`, platform.Envelope{Key: "1", Chat: "42", Event: "message"}},
		"chat in a string":  {`{"update_id":1,"message":{"text":"\"chat\":{\"id\":7}","chat":{"id":42}}}`, platform.Envelope{Key: "1", Chat: "42", Event: "message"}},
		"callback":          {`{"update_id":1,"callback_query":{"from":{"id":7},"message":{"chat":{"id":42}}}}`, platform.Envelope{Key: "1", Chat: "42", Event: "callback_query"}},
		"inline callback":   {`{"update_id":1,"callback_query":{"from":{"id":7}}}`, platform.Envelope{Key: "1", Chat: "7", Event: "callback_query"}},
		"kind before id":    {`{"my_chat_member":{"chat":{"id":42}},"update_id":1}`, platform.Envelope{Key: "1", Chat: "42", Event: "my_chat_member"}},
		"key with nonsense": {`{"update_id":{"a":1},"message":{"chat":{"id":[42]}}}`, platform.Envelope{Event: "message"}},
		"fraction":          {`{"update_id":1.5,"message":{"chat":{"id":4e1}}}`, platform.Envelope{Event: "message"}},
		"body no object":    {`{"update_id":1,"message":"chat"}`, platform.Envelope{Key: "1", Event: "message"}},
		"long kind":         {`{"update_id":1,"` + strings.Repeat("k", 65) + `":{}}`, platform.Envelope{Key: "1", Event: "unknown"}},
		"empty kind":        {`{"update_id":1,"":{}}`, platform.Envelope{Key: "1", Event: "unknown"}},
		"broken kind":       {"{\"update_id\":1,\"k\xff\":{}}", platform.Envelope{Key: "1", Event: "k\uFFFD"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parser{}.Envelope([]byte(c.raw))
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestWhatIsNoJSONObjectIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", " ", "null", "5", `"text"`, "[]", "{", `{"update_id":}`, `{"update_id":1}x`, "\x00", "{}{}",
		strings.Repeat(`{"a":`, 100000), // deeper than anybody means
	} {
		if got, err := (Parser{}).Envelope([]byte(raw)); err == nil {
			t.Errorf("%.20q was taken as %+v", raw, got)
		}
		if _, err := (Parser{}).Parse(account, []byte(raw)); err == nil {
			t.Errorf("%.20q was parsed", raw)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Parser{}.Envelope(raw)
		if err != nil {
			return
		}
		if got.Event == "" || !utf8.ValidString(got.Event) {
			t.Errorf("event %q", got.Event)
		}
		for _, id := range []string{got.Key, got.Chat} {
			if id != "" && id != decimal([]byte(id)) {
				t.Errorf("%q is no plain number", id)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := (Parser{}).Envelope(raw); err != nil {
			if _, err := (Parser{}).Parse(account, raw); err == nil {
				t.Error("parsed what has no envelope")
			}
			return
		}
		events, err := Parser{}.Parse(account, raw)
		if err != nil && !utf8.ValidString(err.Error()) {
			t.Errorf("the error is no text: %q", err)
		}
		for _, e := range events {
			if chatID(e) == "" {
				t.Errorf("%T without a chat", e)
			}
			promised(t, e)
		}
	})
}

// promised checks what package platform promises of every event.
func promised(t *testing.T, e platform.Event) {
	t.Helper()
	var author *platform.Person
	var chat platform.Chat
	var text string
	switch e := e.(type) {
	case platform.MessageAdded:
		chat, author, text = e.Chat, e.Author, e.Content.Text
		if e.Content.Text == "" && len(e.Content.Attachments) == 0 {
			t.Error("a message that says nothing")
		}
	case platform.MessageEdited:
		chat, author, text = e.Chat, e.Author, e.Content.Text
	case platform.ButtonTapped:
		chat, author, text = e.Chat, e.Author, e.Label
	case platform.Reacted:
		chat, author = e.Chat, &e.Author
	case platform.Noted:
		chat, author, text = e.Chat, e.Author, e.Text
	case platform.Reachable:
		chat, text = e.Chat, e.Text
	default:
		return
	}
	if chat.Contact.Name == "" || author != nil && author.Name == "" {
		t.Errorf("%T of somebody without a name", e)
	}
	if !utf8.ValidString(text + chat.Title + chat.Contact.Name) {
		t.Errorf("%T that is no text", e)
	}
}

// seed starts a fuzzer from the cases.
func seed(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		c, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.Files[0].Data)
	}
}

// BenchmarkEnvelope is the work before a webhook is answered.
func BenchmarkEnvelope(b *testing.B) {
	for _, name := range []string{"text", "photo", "topic_text"} {
		raw := caseUpdate(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (Parser{}).Envelope(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	raw := caseUpdate(b, "text")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Parser{}).Parse(account, raw); err != nil {
			b.Fatal(err)
		}
	}
}

func caseUpdate(b *testing.B, name string) []byte {
	b.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		b.Fatal(err)
	}
	return txtar.Parse(data).Files[0].Data
}
