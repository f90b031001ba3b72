package messenger

import (
	"bytes"
	"encoding/json"
	"errors"
)

// What a webhook's body may not be.
var (
	ErrNotJSON   = errors.New("the body is not JSON")
	ErrNotObject = errors.New("the body is not a JSON object")
	ErrNotPage   = errors.New("the body is not about pages")
)

// TestPage is the page that the test button of Facebook's dashboard writes from. It is
// no page: such an entry is answered and counted, and means nothing.
const TestPage = "0"

// Entry is what one body says of one page.
type Entry struct {
	// Page is the page's id, empty if the entry names none.
	Page string
	// Raw is a body of its own that holds this entry alone, its bytes as they came.
	Raw []byte
}

// Split cuts a body into its entries, in order, without reading what they mean. A page
// may have several. A body without a list of entries has none.
func Split(body []byte) ([]Entry, error) {
	hook, err := open(body)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(hook.Entries))
	for i, raw := range hook.Entries {
		entries[i] = Entry{Page: pageOf(raw), Raw: alone(hook.Object, raw)}
	}
	return entries, nil
}

// alone is a body that holds one entry.
func alone(object, entry json.RawMessage) []byte {
	const before, between, after = `{"object":`, `,"entry":[`, `]}`
	raw := make([]byte, 0, len(before)+len(object)+len(between)+len(entry)+len(after))
	raw = append(append(raw, before...), object...)
	raw = append(append(raw, between...), entry...)
	return append(raw, after...)
}

// body is a webhook's body cut open.
type body struct {
	Object  json.RawMessage   `json:"object"`
	Entries []json.RawMessage `json:"entry"`
}

// open cuts a body open. What has another shape than Facebook gives it stays empty.
func open(raw []byte) (body, error) {
	var b body
	if _, broken := errors.AsType[*json.SyntaxError](json.Unmarshal(raw, &b)); broken {
		return body{}, ErrNotJSON
	}
	if raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] != '{' {
		return body{}, ErrNotObject
	}
	var object opaque
	_ = json.Unmarshal(orNull(b.Object), &object)
	if object != "page" {
		return body{}, ErrNotPage
	}
	return b, nil
}

func pageOf(entry json.RawMessage) string {
	var it struct {
		ID ident `json:"id"`
	}
	_ = json.Unmarshal(entry, &it)
	return string(it.ID)
}
