package telegram

import "causeway/internal/platform"

// parseTap reads a tap on a button. One under a message sent through another bot's
// inline mode has no chat: it is the person's own, as if tapped in private. One in a
// business chat is not ours to understand.
func parseTap(body []byte) ([]platform.Event, error) {
	var q callback
	if err := decode(kindCallbackQuery, body, &q); err != nil {
		return nil, err
	}
	if q.ID == "" {
		return nil, lacks(kindCallbackQuery, "id")
	}
	if q.From == nil || !q.From.ID.given {
		return nil, lacks(kindCallbackQuery, "from.id")
	}
	tap := platform.ButtonTapped{
		ID: "callback/" + string(q.ID), AnswerID: string(q.ID), Payload: q.Data, Label: q.Data,
	}
	if q.Game != "" && q.Data == "" {
		tap.Payload, tap.Label = q.Game, q.Game
	}
	m := q.Message
	if m == nil || m.Chat == nil {
		person := q.From.person()
		tap.Chat = platform.Chat{ID: person.ID, Contact: person}
		return []platform.Event{tap}, nil
	}
	if !m.Chat.ID.given {
		return nil, lacks(kindCallbackQuery, "message.chat.id")
	}
	if m.Business != "" {
		return nil, nil
	}
	if label := m.Markup.label(q.Data); label != "" {
		tap.Label = label
	}
	m.From = q.From // who tapped; the message itself is the bot's
	tap.Chat = m.chat()
	if !m.Chat.private() {
		person := q.From.person()
		tap.Author = &person
	}
	if m.ID.given {
		tap.MessageID = m.id()
	}
	return []platform.Event{tap}, nil
}

// label is what the button with this data says; empty if it is not among them.
func (k *markup) label(data string) string {
	if k == nil || data == "" {
		return ""
	}
	for _, row := range k.Rows {
		for _, b := range row {
			if b.Data == data {
				return b.Text
			}
		}
	}
	return ""
}
