package telegram

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"

	"causeway/internal/platform"
)

var (
	errNotJSON   = errors.New("the update is not JSON")
	errNotObject = errors.New("the update is not a JSON object")
)

// Envelope reads update_id, the kind and the chat without a topic; for what belongs
// to no chat, such as an inline query, the chat is the person it came from. It runs
// before a webhook is answered: the tree is not built, only walked past.
func (Parser) Envelope(raw []byte) (platform.Envelope, error) {
	u, err := open(raw)
	if err != nil {
		return platform.Envelope{}, err
	}
	return platform.Envelope{Key: decimal(u.id), Chat: chatOf(u.body), Event: u.event()}, nil
}

// update is a raw update cut open: its parts still lie in the raw bytes.
type update struct {
	id, kind, body []byte
}

// open cuts an update open. Telegram promises one key besides update_id; of several,
// the first that this program understands is taken, and of the same key twice the
// last. A null is as good as absent.
func open(raw []byte) (update, error) {
	if !json.Valid(raw) {
		return update{}, errNotJSON
	}
	raw = raw[space(raw, 0):]
	if raw[0] != '{' {
		return update{}, errNotObject
	}
	var u update
	for key, value := range members(raw) {
		switch {
		case string(key) == "update_id":
			u.id = value
		case string(value) == "null":
		case u.kind == nil, bytes.Equal(u.kind, key), known(u.kind) == "" && known(key) != "":
			u.kind, u.body = key, value
		}
	}
	return u, nil
}

// event is the kind's name. A name longer than any that Telegram has given is not
// carried on: it ends in columns and logs.
func (u update) event() string {
	if name := known(u.kind); name != "" {
		return name
	}
	if len(u.kind) == 0 || len(u.kind) > 64 {
		return "unknown"
	}
	return string(bytes.ToValidUTF8(u.kind, []byte("\uFFFD")))
}

// known is the name of a kind this program understands, or empty.
func known(kind []byte) string {
	switch string(kind) {
	case kindMessage:
		return kindMessage
	case kindEditedMessage:
		return kindEditedMessage
	case kindChannelPost:
		return kindChannelPost
	case kindEditedChannelPost:
		return kindEditedChannelPost
	case kindCallbackQuery:
		return kindCallbackQuery
	case kindReaction:
		return kindReaction
	case kindMyChatMember:
		return kindMyChatMember
	default:
		return ""
	}
}

// chatOf is the id of the chat an update's body belongs to, whatever its kind: its
// own chat, else the chat of the message it is about, else who it is from.
func chatOf(body []byte) string {
	var chat, messageChat, from []byte
	for key, value := range members(body) {
		switch string(key) {
		case "chat":
			chat = latest(chat, member(value, "id"))
		case "message":
			messageChat = latest(messageChat, member(member(value, "chat"), "id"))
		case "from":
			from = latest(from, member(value, "id"))
		}
	}
	for _, id := range [...][]byte{chat, messageChat, from} {
		if s := decimal(id); s != "" {
			return s
		}
	}
	return ""
}

// latest is next if there is one: a key that comes twice adds to the first.
func latest(earlier, next []byte) []byte {
	if next == nil {
		return earlier
	}
	return next
}

// decimal is a whole number, given as a number or as a string, in its plain form;
// empty if it is not one of 64 bits.
func decimal(value []byte) string {
	n, ok := whole(value)
	if !ok {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func whole(value []byte) (int64, bool) {
	if len(value) >= 2 && value[0] == '"' {
		value = value[1 : len(value)-1]
	}
	if len(value) == 0 || len(value) > 20 || value[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}

// member is the value of the last member of that name; nil if there is none, or if
// value is no object.
func member(value []byte, name string) []byte {
	var found []byte
	for key, v := range members(value) {
		if string(key) == name {
			found = v
		}
	}
	return found
}

// members walks over the members of an object in order. It trusts that the JSON is
// valid; what is no object has no members.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		if len(object) == 0 || object[0] != '{' {
			return
		}
		i := space(object, 1)
		for object[i] != '}' {
			end := pastString(object, i)
			key := plain(object[i:end])
			i = space(object, space(object, end)+1) // past the colon
			end = pastValue(object, i)
			if !yield(key, object[i:end]) {
				return
			}
			i = space(object, end)
			if object[i] == ',' {
				i = space(object, i+1)
			}
		}
	}
}

// plain is a quoted key without its quotes and escapes.
func plain(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

// space is the first place from i on that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// pastValue is the place after the value that begins at i.
func pastValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return pastString(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = pastString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

// pastString is the place after the string whose first quote is at i.
func pastString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}
