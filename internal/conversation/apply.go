package conversation

import (
	"fmt"

	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/platform"
)

// apply applies one update in memory.
func (b *batch) apply(u update) error {
	switch e := u.event.(type) {
	case platform.MessageAdded:
		b.messageAdded(u, e)
	case platform.ButtonTapped:
		b.buttonTapped(u, e)
	case platform.MessageEdited:
		return b.messageEdited(u, e)
	case platform.Reacted:
		b.reacted(u, e)
	case platform.Noted:
		b.noted(u, e)
	case platform.Reachable:
		b.reachable(u, e)
	case platform.ChatMoved:
		return b.chatMoved(u, e)
	case platform.Echoed:
		b.echoed(u, e)
	case platform.Delivered:
		b.delivered(u, e)
	case platform.Read:
		b.read(u, e)
	case platform.MessageDeleted:
		return b.messageDeleted(u, e)
	case platform.ThreadOwned:
		b.threadOwned(u, e)
	case platform.AccountNoticed:
		b.notices = append(b.notices, notice{update: u, AccountNoticed: e})
	default:
		return fmt.Errorf("an event of type %T is not known here", u.event)
	}
	return nil
}

func (b *batch) messageAdded(u update, e platform.MessageAdded) {
	if b.known(u, e.ID) != nil {
		b.again(u)
		return
	}
	conv := b.conversation(u, e.Chat)
	b.wrote(conv, e.SentAt)
	b.overheard(conv, e.Standby, e.SentAt)
	m := &ent.Message{
		Direction:     message.DirectionInbound,
		AuthorKind:    message.AuthorKindCustomer,
		Status:        message.StatusReceived,
		Text:          optional(e.Content.Text),
		AlbumID:       optional(e.AlbumID),
		ForwardedFrom: optional(e.ForwardedFrom),
		Payload:       optional(e.Payload),
		ExternalID:    optional(e.ID),
		Standby:       e.Standby,
		SentAt:        e.SentAt,
	}
	b.attribute(u, m, conv, e.Chat, e.Author)
	if replied := b.known(u, e.ReplyTo); replied != nil {
		m.ReplyToID = &replied.ID
	}
	b.arrive(conv, b.add(u, conv, m, e.Content.Attachments), e.Standby)
}

// attribute says who wrote a message: the member of a group, or the other side. Who
// writes can evidently be written to again.
func (b *batch) attribute(u update, m *ent.Message, conv *conversationRow, chat platform.Chat, author *platform.Person) {
	if author == nil {
		m.ContactID = &conv.ContactID
		if m.Direction == message.DirectionInbound {
			c := b.contact(u, chat.Contact)
			if c.Blocked && c.asOf(m.SentAt) {
				c.Blocked = false
			}
			b.askFor(c)
		}
		return
	}
	c := b.contact(u, *author)
	m.ContactID = &c.ID
	b.askFor(c)
}

func (b *batch) buttonTapped(u update, e platform.ButtonTapped) {
	if b.known(u, e.ID) != nil {
		b.again(u)
		return
	}
	if e.AnswerID != "" {
		b.taps = append(b.taps, tap{connection: u.log.ConnectionID, answerID: e.AnswerID})
	}
	conv := b.conversation(u, e.Chat)
	b.wrote(conv, e.At)
	b.overheard(conv, e.Standby, e.At)
	m := &ent.Message{
		Direction:  message.DirectionInbound,
		AuthorKind: message.AuthorKindCustomer,
		Status:     message.StatusReceived,
		Text:       optional(e.Label),
		Payload:    optional(e.Payload),
		ExternalID: optional(e.ID),
		Standby:    e.Standby,
		SentAt:     e.At,
	}
	b.attribute(u, m, conv, e.Chat, e.Author)
	if tapped := b.known(u, e.MessageID); tapped != nil {
		m.ReplyToID = &tapped.ID
	}
	b.arrive(conv, b.add(u, conv, m, nil), e.Standby)
}

// messageEdited changes a message, unless a later edit already has. One that was
// written before the account was connected is shown as it reads now.
func (b *batch) messageEdited(u update, e platform.MessageEdited) error {
	at := e.EditedAt
	if at.IsZero() { // the platform does not say
		at = b.now
	}
	m := b.known(u, e.ID)
	if m == nil {
		b.messageAdded(u, platform.MessageAdded{
			Chat: e.Chat, Author: e.Author, ID: e.ID, Content: e.Content, SentAt: e.SentAt,
		})
		b.known(u, e.ID).EditedAt = &at
		return nil
	}
	if m.DeletedAt != nil || m.EditedAt != nil && at.Before(*m.EditedAt) {
		b.again(u)
		return nil
	}
	if _, ok := b.conversations[u.account().key(e.Chat.ID)]; ok {
		b.conversation(u, e.Chat) // its names as they are now
	}
	same, err := b.sameAttachments(m, e.Content.Attachments)
	if err != nil {
		return fmt.Errorf("read attachments: %w", err)
	}
	text := optional(e.Content.Text)
	if same && deref(m.Text) == deref(text) {
		b.again(u)
		return nil // Telegram tells of edits that a bot cannot see
	}
	// The message may lie in another conversation than its chat's: chats move.
	b.words.replace(m.CampaignID, m.ConversationID, deref(m.Text), deref(text))
	m.Text, m.EditedAt = text, &at
	if !same {
		m.attachments, m.attachmentsChanged = e.Content.Attachments, true
	}
	m.dirty = true
	b.updated = append(b.updated, messageChange{message: m, change: changeEdited})
	return nil
}

func (b *batch) noted(u update, e platform.Noted) {
	if b.known(u, e.ID) != nil {
		b.again(u)
		return
	}
	conv := b.conversation(u, e.Chat)
	m := systemNote(e.Text)
	m.ExternalID, m.SentAt = optional(e.ID), e.SentAt
	b.attribute(u, m, conv, e.Chat, e.Author)
	b.add(u, conv, m, nil)
}

// systemNote is a message that nobody wrote, for agents only.
func systemNote(text string) *ent.Message {
	return &ent.Message{
		Direction:  message.DirectionInternal,
		AuthorKind: message.AuthorKindSystem,
		Status:     message.StatusReceived,
		Text:       optional(text),
	}
}

// reachable records whether the other side can be written to, unless something later is
// known. The note is written only where that changed, or where nothing was known of the
// chat.
func (b *batch) reachable(u update, e platform.Reachable) {
	_, before := b.conversations[u.account().key(e.Chat.ID)]
	conv := b.conversation(u, e.Chat)
	c := b.contact(u, e.Chat.Contact)
	if latest := c.asOf(e.At); before && (!latest || c.Blocked == !e.Reachable) {
		return
	}
	c.Blocked = !e.Reachable
	m := systemNote(e.Text)
	m.SentAt, m.ContactID = e.At, &conv.ContactID
	b.add(u, conv, m, nil)
}
