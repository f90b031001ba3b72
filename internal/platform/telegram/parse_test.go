package telegram

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

	"golang.org/x/tools/txtar"

	"causeway/internal/platform"
)

var rewrite = flag.Bool("update", false, "rewrite the expectations in testdata")

// account is the bot that every case is read for.
const account = "123456789"

// TestUpdatesMeanWhatTheCasesSay reads every file of testdata: the update, and below
// it the envelope and the events, or the error.
func TestUpdatesMeanWhatTheCasesSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 45 {
		t.Fatalf("the cases are not all there: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw := c.Files[0].Data
			got := append([]txtar.File{c.Files[0]}, read(t, raw)...)
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
		})
	}
}

// read is what the parser says of an update, as the files of a case.
func read(t *testing.T, raw []byte) []txtar.File {
	t.Helper()
	var files []txtar.File
	envelope, err := Parser{}.Envelope(raw)
	if err != nil {
		files = append(files, txtar.File{Name: "envelope.error", Data: []byte(err.Error() + "\n")})
	} else {
		files = append(files, txtar.File{Name: "envelope.json", Data: indented(t, envelope)})
	}
	events, err := Parser{}.Parse(account, raw)
	if err != nil {
		return append(files, txtar.File{Name: "events.error", Data: []byte(err.Error() + "\n")})
	}
	told := []any{}
	for _, e := range events {
		told = append(told, described(t, e))
		if chat := chatID(e); chat != envelope.Chat {
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
	if fields["Standby"] == false { // as always here: nobody takes a chat from a bot
		delete(fields, "Standby")
	}
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
			case nil, "", 0.0, "0001-01-01T00:00:00Z":
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

// chatID is the chat of an event without a topic; for a chat that moved, the one the
// message about it was written in.
func chatID(e platform.Event) string {
	switch e := e.(type) {
	case platform.MessageAdded:
		return e.Chat.Contact.ID
	case platform.MessageEdited:
		return e.Chat.Contact.ID
	case platform.ButtonTapped:
		return e.Chat.Contact.ID
	case platform.Reacted:
		return e.Chat.Contact.ID
	case platform.Noted:
		return e.Chat.Contact.ID
	case platform.Reachable:
		return e.Chat.Contact.ID
	case platform.ChatMoved:
		chat, _, _ := strings.Cut(e.ID, "/")
		return chat
	default:
		return fmt.Sprintf("event %T has no chat", e)
	}
}

// TestWhatTelegramReallyPostsIsUnderstood reads bodies from other projects' test data.
func TestWhatTelegramReallyPostsIsUnderstood(t *testing.T) {
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
		if fixture.Channel != "telegram" {
			continue
		}
		t.Run(filepath.Base(fixture.File), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join(folder, fixture.File))
			if err != nil {
				t.Fatal(err)
			}
			read(t, raw)
			events, err := Parser{}.Parse(account, raw)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := become(events), expected(fixture.Kinds); got != want {
				t.Errorf("%v became %s, want %s", fixture.Kinds, got, want)
			}
		})
	}
}

// become names what events are: their type, and the kind of the first attachment.
func become(events []platform.Event) string {
	if len(events) == 0 {
		return "nothing"
	}
	name := strings.TrimPrefix(fmt.Sprintf("%T", events[0]), "platform.")
	if m, ok := events[0].(platform.MessageAdded); ok && len(m.Content.Attachments) > 0 {
		name += " " + string(m.Content.Attachments[0].Kind)
	}
	return name
}

// expected is what a fixture of these kinds has to become.
func expected(kinds []string) string {
	for _, kind := range kinds {
		switch kind {
		case "text", "dice":
			return "MessageAdded"
		case "photo":
			return "MessageAdded IMAGE"
		case "video":
			return "MessageAdded VIDEO"
		case "sticker":
			return "MessageAdded STICKER"
		case "story":
			return "MessageAdded UNSUPPORTED"
		case "message_reaction":
			return "Reacted"
		case "my_chat_member":
			return "Reachable"
		case "migrate_to_chat_id", "migrate_from_chat_id":
			return "ChatMoved"
		case "new_update_kind", "message_reaction_count", "chat_boost", "removed_chat_boost", "purchased_paid_media":
			return "nothing"
		}
	}
	return "Noted" // the rest are service messages
}
