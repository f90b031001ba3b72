package conversation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"causeway/ent/contact"
	"causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/internal/platform"
)

// topicSeparator stands between a chat's id and its topic's in Chat.ID.
const topicSeparator = ":"

// chatMoved puts a chat's conversations, topics included, behind its new id. Both
// the old and the new chat tell of it: the second finds nothing left to move.
//
// The new chat may have a conversation already. Where that holds nothing but notes
// (Telegram tells that the bot came to the supergroup before it tells that the group
// became one) the two change places, so that the customers' goes on. Where something
// was said in it, both stay as they are.
func (b *batch) chatMoved(u update, e platform.ChatMoved) error {
	a := u.account()
	var moving []*conversationRow
	for _, k := range slices.SortedFunc(maps.Keys(b.conversations), key.compare) {
		topic, ok := strings.CutPrefix(k.external, e.From)
		if k.account != a || !ok || topic != "" && !strings.HasPrefix(topic, topicSeparator) {
			continue
		}
		ok, err := b.mayMove(b.conversations[k], b.conversations[a.key(e.To+topic)])
		if err != nil {
			return fmt.Errorf("move %s: %w", b.conversations[k].ID, err)
		}
		if ok {
			moving = append(moving, b.conversations[k])
		}
	}
	if len(moving) > 0 {
		b.moveContact(a, e)
	}
	for _, conv := range moving {
		topic := strings.TrimPrefix(conv.Chat, e.From)
		b.moveConversation(a, conv, e.To+topic)
		if topic == "" {
			b.noteMove(u, conv, e)
		}
	}
	if b.conversations[a.key(e.To)] == nil {
		title := e.Title
		if title == "" {
			title = e.To
		}
		conv := b.conversation(u, platform.Chat{
			ID: e.To, Title: e.Title, Contact: platform.Person{ID: e.To, Name: title},
		})
		b.noteMove(u, conv, e)
	}
	return nil
}

// mayMove tells whether a conversation takes the place of there, which may be nil.
func (b *batch) mayMove(conv, there *conversationRow) (bool, error) {
	if there == nil {
		return true, nil
	}
	if said, err := b.said(there); said || err != nil {
		return false, err
	}
	return b.said(conv)
}

// said tells whether a conversation holds more than notes.
func (b *batch) said(conv *conversationRow) (bool, error) {
	for _, m := range b.added {
		if m.ConversationID == conv.ID && m.Direction != message.DirectionInternal {
			return true, nil
		}
	}
	if conv.isNew {
		return false, nil
	}
	return b.tx.Message.Query().
		Where(message.ConversationID(conv.ID), message.DirectionNEQ(message.DirectionInternal)).
		Exist(b.tx.Context())
}

// moveConversation changes places with the conversation that is there, if there is one.
func (b *batch) moveConversation(a account, conv *conversationRow, chat string) {
	from, to := a.key(conv.Chat), a.key(chat)
	delete(b.conversations, from)
	if there := b.conversations[to]; there != nil {
		b.place(there, from)
	}
	b.place(conv, to)
}

func (b *batch) place(conv *conversationRow, at key) {
	conv.Chat, conv.dirty, conv.moved = at.external, true, !conv.isNew
	b.conversations[at] = conv
	b.hear(conv)
}

// moveContact lets the group keep its row under its new id.
func (b *batch) moveContact(a account, e platform.ChatMoved) {
	from, to := a.key(e.From), a.key(e.To)
	c := b.contacts[from]
	if c == nil {
		return
	}
	delete(b.contacts, from)
	if there := b.contacts[to]; there != nil {
		there.ExternalID = from.external
		b.contacts[from] = there
	}
	c.ExternalID = to.external
	b.contacts[to] = c
}

func (b *batch) noteMove(u update, conv *conversationRow, e platform.ChatMoved) {
	m := systemNote(e.Text)
	m.ExternalID, m.SentAt, m.ContactID = optional(e.ID), e.At, &conv.ContactID
	b.add(u, conv, m, nil)
}

// makeWay takes what moves out of its old place, before anything is put there: each
// place is taken by one only.
func (b *batch) makeWay() error {
	for _, k := range sortedKeys(b.contacts) {
		c := b.contacts[k]
		if c.stored == nil || c.stored.ExternalID == c.ExternalID {
			continue
		}
		err := b.tx.Contact.Update().Where(contact.ID(c.ID)).
			SetExternalID("moving " + c.ID.String()).Exec(b.tx.Context())
		if err != nil {
			return err
		}
	}
	for _, k := range sortedKeys(b.conversations) {
		conv := b.conversations[k]
		if !conv.moved {
			continue
		}
		err := b.tx.Conversation.Update().Where(conversation.ID(conv.ID)).
			SetChat("moving " + conv.ID.String()).Exec(b.tx.Context())
		if err != nil {
			return err
		}
	}
	return nil
}
