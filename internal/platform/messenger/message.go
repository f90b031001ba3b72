package messenger

import (
	"encoding/json"

	"causeway/internal/platform"
)

// parseMessage reads a message: one that a customer wrote, one that went out (an echo),
// or one that was taken back.
func parseMessage(ev event) ([]platform.Event, error) {
	var m message
	if err := ev.decode(&m); err != nil {
		return nil, err
	}
	if m.Deleted {
		if m.ID == "" {
			return nil, lacks("message", "mid")
		}
		return []platform.Event{platform.MessageDeleted{Chat: ev.with(), ID: string(m.ID), At: ev.time()}}, nil
	}
	if ev.byPage {
		return []platform.Event{m.echoed(ev)}, nil
	}
	added := platform.MessageAdded{
		Chat:    ev.with(),
		ID:      ev.id(m.ID),
		Content: m.content(),
		ReplyTo: m.replyTo(),
		Standby: ev.standby,
		SentAt:  ev.time(),
	}
	if m.QuickReply != nil {
		added.Payload = string(m.QuickReply.Payload)
	}
	return append(m.Referral.noted(ev), added), nil
}

func (m *message) echoed(ev event) platform.Echoed {
	echo := platform.Echoed{
		Chat:     ev.with(),
		ID:       ev.id(m.ID),
		Metadata: string(m.Metadata),
		App:      string(m.App),
		Inbox:    IsInbox(string(m.App)),
		Content:  m.content(),
		ReplyTo:  m.replyTo(),
		Standby:  ev.standby,
		SentAt:   ev.time(),
	}
	if echo.Inbox {
		echo.App = ""
	}
	return echo
}

func (m *message) replyTo() string {
	if m.ReplyTo == nil {
		return ""
	}
	return string(m.ReplyTo.ID)
}

// parseEdit reads a message that reads otherwise now. Only texts can be edited.
func parseEdit(ev event) ([]platform.Event, error) {
	var m struct {
		ID   ident  `json:"mid"`
		Text string `json:"text"`
	}
	if err := ev.decode(&m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		return nil, lacks("message_edit", "mid")
	}
	return []platform.Event{platform.MessageEdited{
		Chat: ev.with(), ID: string(m.ID), Content: platform.Content{Text: m.Text}, EditedAt: ev.time(),
	}}, nil
}

// parseReaction reads the reaction somebody now has on a message. Nobody has more than
// one, so that it is the whole set.
func parseReaction(ev event) ([]platform.Event, error) {
	var r struct {
		ID       ident  `json:"mid"`
		Action   opaque `json:"action"`
		Reaction opaque `json:"reaction"`
		Emoji    opaque `json:"emoji"`
	}
	if err := ev.decode(&r); err != nil {
		return nil, err
	}
	if r.ID == "" {
		return nil, lacks("reaction", "mid")
	}
	reacted := platform.Reacted{Chat: ev.with(), Author: person(ev.chat), MessageID: string(r.ID), At: ev.time()}
	if ev.byPage {
		reacted.Author = person(ev.page)
	}
	switch {
	case r.Action == "unreact":
	case r.Emoji != "":
		reacted.Emoji = []string{string(r.Emoji)}
	default:
		reacted.Emoji = []string{emojiOf(r.Reaction)}
	}
	return []platform.Event{reacted}, nil
}

// emojiOf is the sign that Messenger shows for the name of a reaction.
func emojiOf(name opaque) string {
	switch name {
	case "smile":
		return "😆"
	case "angry":
		return "😠"
	case "sad":
		return "😢"
	case "wow":
		return "😮"
	case "love":
		return "❤️"
	case "like":
		return "👍"
	case "dislike":
		return "👎"
	default:
		return "❔"
	}
}

// parsePostback reads a tap on a button, on Get Started or in the menu. Its payload goes
// only to the app that sent the button.
func parsePostback(ev event) ([]platform.Event, error) {
	var p struct {
		ID       ident     `json:"mid"`
		Title    opaque    `json:"title"`
		Payload  opaque    `json:"payload"`
		Referral *referral `json:"referral"`
	}
	if err := ev.decode(&p); err != nil {
		return nil, err
	}
	tap := platform.ButtonTapped{
		Chat: ev.with(), ID: ev.id(p.ID), Label: string(p.Title), Payload: string(p.Payload),
		Standby: ev.standby, At: ev.time(),
	}
	if tap.Label == "" {
		tap.Label = tap.Payload
	}
	return append(p.Referral.noted(ev), tap), nil
}

// parseDelivery and parseRead read how far what went out has come. The watermark counts
// for everything sent at that time or before.
func parseDelivery(ev event) ([]platform.Event, error) {
	var d struct {
		IDs       []ident `json:"mids"`
		Watermark number  `json:"watermark"`
	}
	if err := ev.decode(&d); err != nil {
		return nil, err
	}
	delivered := platform.Delivered{Chat: ev.with(), UpTo: at(d.Watermark), At: ev.time()}
	for _, id := range d.IDs {
		if id != "" {
			delivered.IDs = append(delivered.IDs, string(id))
		}
	}
	if delivered.UpTo.IsZero() && len(delivered.IDs) == 0 {
		return nil, lacks("delivery", "watermark")
	}
	return []platform.Event{delivered}, nil
}

func parseRead(ev event) ([]platform.Event, error) {
	var r struct {
		Watermark number `json:"watermark"`
	}
	if err := ev.decode(&r); err != nil {
		return nil, err
	}
	upTo := at(r.Watermark)
	if upTo.IsZero() {
		return nil, lacks("read", "watermark")
	}
	return []platform.Event{platform.Read{Chat: ev.with(), UpTo: upTo, At: ev.time()}}, nil
}

// noted is a referral that came with something else, as a note of its own before it;
// nothing for none.
func (r *referral) noted(ev event) []platform.Event {
	if r == nil {
		return nil
	}
	text := r.words()
	if text == "" {
		return nil
	}
	body, _ := json.Marshal(r)
	ev.kind.key, ev.body = "referral", body
	return []platform.Event{platform.Noted{Chat: ev.with(), ID: ev.id(""), Text: text, SentAt: ev.time()}}
}
