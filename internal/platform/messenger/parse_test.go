package messenger

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"causeway/internal/platform"
)

var rewrite = flag.Bool("update", false, "rewrite the expectations in testdata")

// page is the page that every case is read for.
const page = "101"

// TestBodiesMeanWhatTheCasesSay reads every file of testdata: the body, and below it
// the envelope and the events, or the error.
func TestBodiesMeanWhatTheCasesSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 90 {
		t.Fatalf("the cases are not all there: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := append([]txtar.File{c.Files[0]}, read(t, page, c.Files[0].Data)...)
			if *rewrite {
				c.Files = got
				if err := os.WriteFile(file, txtar.Format(c), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !reflect.DeepEqual(got, c.Files) {
				t.Errorf("got\n%s\nwant\n%s", txtar.Format(&txtar.Archive{Files: got[1:]}),
					txtar.Format(&txtar.Archive{Files: c.Files[1:]}))
			}
			for _, f := range got[1:] {
				if bytes.Contains(f.Data, []byte("planted")) || bytes.Contains(f.Data, []byte("hunter2")) {
					t.Errorf("%s repeats a secret", f.Name)
				}
			}
		})
	}
}

// read is what the parser says of a body, as the files of a case.
func read(t *testing.T, page string, raw []byte) []txtar.File {
	t.Helper()
	var files []txtar.File
	envelope, err := Parser{}.Envelope(raw)
	if err != nil {
		files = append(files, txtar.File{Name: "envelope.error", Data: []byte(err.Error() + "\n")})
	} else {
		files = append(files, txtar.File{Name: "envelope.json", Data: indented(t, envelope)})
	}
	events, err := Parser{}.Parse(page, raw)
	if err != nil {
		return append(files, txtar.File{Name: "events.error", Data: []byte(err.Error() + "\n")})
	}
	told := []any{}
	for _, e := range events {
		told = append(told, described(t, e))
		if chat := chatID(e); envelope.Chat != "" && chat != envelope.Chat {
			t.Errorf("the envelope says chat %q and the event %q: they would be out of order", envelope.Chat, chat)
		}
	}
	return append(files, txtar.File{Name: "events.json", Data: indented(t, told)})
}

// described is an event as plain data with its type, without what is empty.
func described(t *testing.T, e platform.Event) any {
	t.Helper()
	var fields map[string]any
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	fields["type"] = strings.TrimPrefix(fmt.Sprintf("%T", e), "platform.")
	return pruned(fields)
}

func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if inner == 0.0 && (key == "Latitude" || key == "Longitude") {
				continue // zero is a place
			}
			switch inner = pruned(inner); inner {
			case nil, "", 0.0, false, "0001-01-01T00:00:00Z":
				delete(v, key)
			default:
				v[key] = inner
			}
		}
		if len(v) == 0 {
			return nil
		}
		return v
	case []any:
		for i := range v {
			v[i] = pruned(v[i])
		}
		return &v // comparable
	default:
		return v
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chatOf is the chat of an event; nil for what is about the page.
func chatOf(e platform.Event) *platform.Chat {
	switch e := e.(type) {
	case platform.MessageAdded:
		return &e.Chat
	case platform.MessageEdited:
		return &e.Chat
	case platform.MessageDeleted:
		return &e.Chat
	case platform.ButtonTapped:
		return &e.Chat
	case platform.Reacted:
		return &e.Chat
	case platform.Noted:
		return &e.Chat
	case platform.Echoed:
		return &e.Chat
	case platform.Delivered:
		return &e.Chat
	case platform.Read:
		return &e.Chat
	case platform.ThreadOwned:
		return &e.Chat
	default:
		return nil
	}
}

func chatID(e platform.Event) string {
	if c := chatOf(e); c != nil {
		return c.ID
	}
	return ""
}

// TestWhatFacebookReallyPostsIsUnderstood reads bodies from another project's test data.
func TestWhatFacebookReallyPostsIsUnderstood(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "..", "shared", "fixtures")
	manifest, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the fixtures do not lie beside this repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Fixtures []struct {
			File, Channel string
			Kinds         []string
		}
	}
	if err := json.Unmarshal(manifest, &list); err != nil {
		t.Fatal(err)
	}
	for _, fixture := range list.Fixtures {
		if fixture.Channel != "messenger" {
			continue
		}
		t.Run(filepath.Base(fixture.File), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join(folder, fixture.File))
			if err != nil {
				t.Fatal(err)
			}
			entries, err := Split(raw)
			if fixture.Kinds[0] == "change:connected" { // of the object "permissions"
				if !errors.Is(err, ErrNotPage) {
					t.Errorf("it was taken for a page's: %v", err)
				}
				return
			}
			if err != nil || len(entries) == 0 {
				t.Fatal(entries, err)
			}
			var became []string
			for _, e := range entries {
				read(t, e.Page, e.Raw)
				events, err := Parser{}.Parse(e.Page, e.Raw)
				if err != nil {
					t.Fatal(err)
				}
				again, _ := Parser{}.Parse(e.Page, e.Raw)
				if !reflect.DeepEqual(events, again) {
					t.Error("it reads otherwise the second time")
				}
				for _, event := range events {
					promised(t, event)
				}
				names := become(events)
				if len(names) == 2 && names[0] == "Noted" {
					names = names[1:] // the referral that a tap came with
				}
				became = append(became, names...)
			}
			if got, want := strings.Join(became, ", "), expected(fixture.Kinds); got != want {
				t.Errorf("%v became %q, want %q", fixture.Kinds, got, want)
			}
		})
	}
}

// become names what events are: their type, and the kind of the last attachment.
func become(events []platform.Event) []string {
	var names []string
	for _, e := range events {
		name := strings.TrimPrefix(fmt.Sprintf("%T", e), "platform.")
		if m, ok := e.(platform.MessageAdded); ok && len(m.Content.Attachments) > 0 {
			name += " " + string(m.Content.Attachments[len(m.Content.Attachments)-1].Kind)
		}
		names = append(names, name)
	}
	return names
}

// expected is what a fixture of these kinds has to become.
func expected(kinds []string) string {
	switch kind := kinds[0]; kind {
	case "text", "nlp", "quick_reply", "reply_to", "reply_to_story", "template:button", "template:airline_itinerary":
		return "MessageAdded"
	case "image", "template:product":
		return "MessageAdded IMAGE"
	case "sticker":
		return "MessageAdded STICKER"
	case "location":
		return "MessageAdded LOCATION"
	case "fallback":
		return "MessageAdded LINK"
	case "unsupported":
		return "MessageAdded UNSUPPORTED"
	case "echo", "standby:echo":
		return "Echoed"
	case "message_deleted":
		return "MessageDeleted"
	case "message_edit":
		return "MessageEdited"
	case "reaction":
		return "Reacted"
	case "delivery":
		return "Delivered"
	case "read":
		return "Read"
	case "postback":
		return "ButtonTapped"
	case "app_roles", "pass_thread_control", "take_thread_control", "request_thread_control":
		return "ThreadOwned"
	case "policy-enforcement":
		return "AccountNoticed"
	default:
		if strings.HasPrefix(kind, "change:") {
			return ""
		}
		return "Noted" // opt-ins, referrals, payments, linking
	}
}

// promised checks what package platform promises of every event.
func promised(t *testing.T, e platform.Event) {
	t.Helper()
	var text, id string
	needsID := true
	switch e := e.(type) {
	case platform.MessageAdded:
		text, id = e.Content.Text, e.ID
		if e.Content.Text == "" && len(e.Content.Attachments) == 0 {
			t.Error("a message that says nothing")
		}
	case platform.Echoed:
		text, id = e.Content.Text+e.Metadata, e.ID
	case platform.MessageEdited:
		text, id = e.Content.Text, e.ID
	case platform.MessageDeleted:
		id = e.ID
	case platform.ButtonTapped:
		text, id = e.Label+e.Payload, e.ID
	case platform.Reacted:
		text, id = strings.Join(e.Emoji, "")+e.Author.Name, e.MessageID
	case platform.Noted:
		text, id = e.Text, e.ID
		if e.Text == "" {
			t.Error("a note that says nothing")
		}
	case platform.ThreadOwned:
		text, needsID = e.Text, false
	case platform.AccountNoticed:
		return
	default:
		needsID = false
	}
	if needsID && id == "" {
		t.Errorf("%T without an id", e)
	}
	if c := chatOf(e); c == nil || c.ID == "" || c.Contact.Name == "" {
		t.Errorf("%T of nobody", e)
	}
	if !utf8.ValidString(text+id) || strings.ContainsFunc(id, unicode.IsControl) {
		t.Errorf("%T that is no text", e)
	}
}

func TestASecondDeliveryIsKnownByItsID(t *testing.T) {
	t.Parallel()
	id := func(event string) string {
		t.Helper()
		events, err := Parser{}.Parse(page, []byte(`{"object":"page","entry":[{"id":"101","time":5,"messaging":[`+event+`]}]}`))
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
		return events[0].(platform.Noted).ID
	}
	first := id(`{"sender":{"id":"7"},"recipient":{"id":"101"},"timestamp":1790000000100,"optin":{"ref":"R","type":"x"}}`)
	if again := id(`{"timestamp":1790000000100,"optin":{ "type":"x","ref":"R" },"recipient":{"id":101},"sender":{"id":7}}`); again != first {
		t.Errorf("the same event is %q and %q", first, again)
	}
	for what, event := range map[string]string{
		"another customer": `{"sender":{"id":"8"},"recipient":{"id":"101"},"timestamp":1790000000100,"optin":{"ref":"R","type":"x"}}`,
		"another time":     `{"sender":{"id":"7"},"recipient":{"id":"101"},"timestamp":1790000000101,"optin":{"ref":"R","type":"x"}}`,
		"another content":  `{"sender":{"id":"7"},"recipient":{"id":"101"},"timestamp":1790000000100,"optin":{"ref":"S","type":"x"}}`,
	} {
		if other := id(event); other == first {
			t.Errorf("%s has the same id %q", what, other)
		}
	}
}

func TestEveryReactionHasItsSign(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"smile": "😆", "angry": "😠", "sad": "😢", "wow": "😮", "love": "❤️", "like": "👍", "dislike": "👎", "other": "❔", "": "❔",
	} {
		events, err := Parser{}.Parse(page, []byte(`{"object":"page","entry":[{"id":"101","messaging":[{"sender":{"id":"7"},"recipient":{"id":"101"},"reaction":{"mid":"m_A","action":"react","reaction":"`+name+`"}}]}]}`))
		if err != nil || len(events) != 1 || !reflect.DeepEqual(events[0].(platform.Reacted).Emoji, []string{want}) {
			t.Errorf("%s became %+v, %v", name, events, err)
		}
	}
}

func TestNothingThatCustomersWriteMakesALongOrBrokenName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for _, event := range []string{
		`"message":{"mid":"` + long + `","text":"hi"}`,
		`"message":{"mid":"m\u0000A","text":"hi"}`,
		`"message":{"mid":"m_A","attachments":[{"type":"` + long + `"}]}`,
		`"message":{"mid":"m_A","attachments":[{"type":"file","payload":{"url":"https://x.example/` + long + `"}}]}`,
		`"message":{"mid":"m_A","attachments":[{"type":"image","payload":{"url":"https://x.example/` + strings.Repeat(long, 9) + `"}}]}`,
		`"message":{"mid":"m_A","attachments":[{"type":"file","payload":{"url":"::"}},{"type":"file","payload":{"url":"https://x.example/"}}]}`,
		`"referral":{"source":"` + long + `","ref":"` + long + `","product":{"id":"5"}}`,
		`"pass_thread_control":{"new_owner_app_id":"6","metadata":"` + long + `"}`,
		`"message":{"mid":"m_A","sticker_id":7,"attachments":[{"type":"image","payload":{"url":"https://x.example/a"}},{"type":"file"}]}`,
	} {
		events, err := Parser{}.Parse(page, []byte(`{"object":"page","entry":[{"id":"101","messaging":[{"sender":{"id":"7"},"recipient":{"id":"101"},"timestamp":1790000000100,`+event+`}]}]}`))
		if err != nil || len(events) != 1 {
			t.Fatalf("%.60s: %v, %v", event, events, err)
		}
		promised(t, events[0])
		switch e := events[0].(type) {
		case platform.MessageAdded:
			for _, a := range e.Content.Attachments {
				if len(a.Name) > 255 || len(a.Ref) > 8192 {
					t.Errorf("%.60s: %+v", event, a)
				}
			}
			if len(e.ID) > maxIdent {
				t.Errorf("an id of %d bytes", len(e.ID))
			}
		case platform.Noted:
			if len(e.Text) > 1000 {
				t.Errorf("a note of %d bytes", len(e.Text))
			}
		case platform.ThreadOwned:
			if len(e.Text) > 1000 {
				t.Errorf("a note of %d bytes", len(e.Text))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := Parser{}.Parse(page, raw)
		if err != nil && (len(events) > 0 || !utf8.ValidString(err.Error())) {
			t.Errorf("%d events beside the error %q", len(events), err)
		}
		for _, e := range events {
			promised(t, e)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Parser{}.Envelope(raw)
		if err != nil {
			if _, err := (Parser{}).Parse(page, raw); err == nil {
				t.Error("parsed what has no envelope")
			}
			return
		}
		if e.Event == "" || !utf8.ValidString(e.Event+e.Chat) || strings.ContainsFunc(e.Event+e.Chat, unicode.IsControl) || e.Key != "" {
			t.Errorf("%+v", e)
		}
	})
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
	c, err := txtar.ParseFile("testdata/text.txtar")
	if err != nil {
		b.Fatal(err)
	}
	raw := c.Files[0].Data
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		entries, err := Split(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := (Parser{}).Envelope(entries[0].Raw); err != nil {
			b.Fatal(err)
		}
	}
}
