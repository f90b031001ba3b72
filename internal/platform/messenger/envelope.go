package messenger

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode"

	"causeway/internal/platform"
)

// Envelope reads, of a body that Split cut, whose it is. Chat is the customer's id if
// all events of it have the same one, else empty. Event is the webhook field of the
// first event (messages, message_echoes, standby, feed …), or, where its kind is not
// known, Facebook's key of it. Key is empty: Facebook does not number its updates.
func (Parser) Envelope(raw []byte) (platform.Envelope, error) {
	b, err := open(raw)
	if err != nil && !errors.Is(err, ErrNotPage) {
		return platform.Envelope{}, err
	}
	var e platform.Envelope
	var events int
	for _, raw := range b.Entries {
		var it entry
		_ = json.Unmarshal(raw, &it) // what has another shape stays empty
		for _, part := range it.parts() {
			ev := openEvent(string(it.ID), part.raw)
			events++
			if events == 1 {
				e.Chat = ev.chat
			}
			if ev.chat != e.Chat {
				e.Chat = ""
			}
			if e.Event == "" {
				e.Event = ev.kind.field
				if part.standby {
					e.Event = "standby"
				}
			}
		}
		if e.Event == "" && len(it.Changes) > 0 {
			e.Event = it.Changes[0].Field
		}
		if len(it.Changes) > 0 && events > 0 {
			e.Chat = ""
		}
	}
	e.Event = named(e.Event)
	return e, nil
}

// named is a name that can go into columns and logs.
func named(event string) string {
	if event == "" || len(event) > 64 || strings.ContainsFunc(event, unicode.IsControl) {
		return "unknown"
	}
	return strings.ToValidUTF8(event, "\uFFFD")
}

// part is one event of an entry, unread.
type part struct {
	raw     json.RawMessage
	standby bool // seen while another app had the thread
}

func (e *entry) parts() []part {
	parts := make([]part, 0, len(e.Messaging)+len(e.Standby))
	for _, raw := range e.Messaging {
		parts = append(parts, part{raw: raw})
	}
	for _, raw := range e.Standby {
		parts = append(parts, part{raw: raw, standby: true})
	}
	return parts
}

// event is one event of an entry, opened: who it is between, and its kind, unread.
type event struct {
	page string
	// chat is the customer's id; empty for what is about the page itself.
	chat string
	// byPage: the page is the sender, or what answers for it.
	byPage  bool
	at      number
	kind    kind
	body    json.RawMessage
	standby bool
}

// openEvent reads who an event is between. The customer is the one of the two that is
// not the page; for an echo rather the recipient, else rather the sender.
func openEvent(page string, raw json.RawMessage) event {
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(raw, &keys)
	var from, to party
	var when number
	_ = json.Unmarshal(orNull(keys["sender"]), &from)
	_ = json.Unmarshal(orNull(keys["recipient"]), &to)
	_ = json.Unmarshal(orNull(keys["timestamp"]), &when)
	ev := event{page: page, at: when}
	ev.kind, ev.body = kindOf(keys)
	echo := ev.kind.field == "message_echoes"
	ev.byPage = echo || from.chat() == page
	if from.chat() == "" && !echo {
		return ev // about the page itself: a policy, the roles of apps
	}
	ev.chat = from.chat()
	if ev.byPage && to.chat() != "" && to.chat() != page {
		ev.chat = to.chat()
	}
	if ev.chat == page {
		ev.chat = ""
	}
	return ev
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// userRef stands before the reference of somebody who has no PSID yet.
const userRef = "user_ref:"

func (p party) chat() string {
	if p.ID == "" && p.UserRef != "" {
		return userRef + string(p.UserRef)
	}
	return string(p.ID)
}

// kind is a kind of events: Facebook's key of it, the webhook field it comes under, and
// how it is read; nil for a kind that is not known.
type kind struct {
	key, field string
	read       func(ev event) ([]platform.Event, error)
	// ofPage: it may be about the page, and then has no customer.
	ofPage bool
}

// kindOf finds what an event is by the key it has besides those that all have. Of
// several the first of kinds is taken.
func kindOf(keys map[string]json.RawMessage) (kind, json.RawMessage) {
	for _, k := range kinds() {
		if body, there := keys[k.key]; there && string(body) != "null" {
			if k.key == "message" && isEcho(body) {
				k.field = "message_echoes"
			}
			return k, body
		}
	}
	var others []string
	for key := range keys {
		switch key {
		case "sender", "recipient", "timestamp", "prior_message":
		default:
			others = append(others, key)
		}
	}
	if len(others) == 0 {
		return kind{}, nil
	}
	first := slices.Min(others)
	return kind{key: first, field: first}, keys[first]
}

func isEcho(message json.RawMessage) bool {
	var m struct {
		Echo bool `json:"is_echo"`
	}
	_ = json.Unmarshal(message, &m)
	return m.Echo
}
