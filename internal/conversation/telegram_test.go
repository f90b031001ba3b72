package conversation_test

import (
	"encoding/json"
	"maps"

	entsql "entgo.io/ent/dialect/sql"
)

// Updates as Telegram sends them. A message's date is its number after epoch.

const epoch = 1_700_000_000

type object = map[string]any

var (
	ana = object{"id": 501, "first_name": "Ana", "username": "ana", "language_code": "pt"}
	bo  = object{"id": 502, "first_name": "Bo", "last_name": "Li"}
)

const (
	anaChat = 501
	boChat  = 502
)

func with(o object, more ...object) object {
	o = maps.Clone(o)
	for _, m := range more {
		maps.Copy(o, m)
	}
	return o
}

// private is the chat with a customer.
func private(of object) object {
	chat := with(of, object{"type": "private"})
	delete(chat, "language_code")
	return chat
}

func group(id int, title string) object { return object{"id": id, "type": "group", "title": title} }

func supergroup(id int, title string) object {
	return object{"id": id, "type": "supergroup", "title": title}
}

func channel(id int, title string) object { return object{"id": id, "type": "channel", "title": title} }

func update(kind string, body object) string {
	raw, err := json.Marshal(object{"update_id": 1, kind: body})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// content is a message of somebody in a chat.
func content(chat, from object, id int, more ...object) object {
	return with(object{"message_id": id, "chat": chat, "from": from, "date": epoch + id}, more...)
}

// writes is a message of text to the bot alone.
func writes(from object, id int, text string, more ...object) string {
	return says(private(from), from, id, text, more...)
}

// says is a message of text in a chat.
func says(chat, from object, id int, text string, more ...object) string {
	return posts(chat, from, id, append([]object{{"text": text}}, more...)...)
}

// posts is a message of any kind in a chat.
func posts(chat, from object, id int, more ...object) string {
	return update("message", content(chat, from, id, more...))
}

// edits is what a message reads as after a moment.
func edits(chat, from object, id, at int, more ...object) string {
	return update("edited_message", with(content(chat, from, id), append([]object{{"edit_date": epoch + at}}, more...)...))
}

func answering(chat object, id int) object {
	return object{"reply_to_message": object{"message_id": id, "chat": chat, "date": epoch, "text": "?"}}
}

func photo(ref string) object {
	return object{"photo": []object{{"file_id": ref, "width": 800, "height": 600, "file_size": 1000}}}
}

func taps(from object, tap string, id int, data, label string) string {
	return update("callback_query", object{
		"id": tap, "from": from, "data": data,
		"message": content(private(from), object{"id": 9, "is_bot": true, "first_name": "Bot"}, id, object{
			"text":         "Choose",
			"reply_markup": object{"inline_keyboard": [][]object{{{"text": label, "callback_data": data}}}},
		}),
	})
}

func reacts(chat, from object, id, at int, emoji ...string) string {
	now := []object{}
	for _, e := range emoji {
		now = append(now, object{"type": "emoji", "emoji": e})
	}
	return update("message_reaction", object{
		"chat": chat, "message_id": id, "user": from, "date": epoch + at, "old_reaction": []object{}, "new_reaction": now,
	})
}

// membership is what became of the bot in a chat.
func membership(chat, from object, at int, was, is string) string {
	return update("my_chat_member", object{
		"chat": chat, "from": from, "date": epoch + at,
		"old_chat_member": object{"status": was}, "new_chat_member": object{"status": is},
	})
}

func eq(column string, value any) *entsql.Predicate { return entsql.EQ(column, value) }
