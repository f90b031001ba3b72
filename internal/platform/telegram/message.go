package telegram

import "causeway/internal/platform"

// parseMessage reads a new message: what somebody wrote, or a service message, which
// Telegram writes about something that happened in the chat.
func parseMessage(account, kind string, body []byte) ([]platform.Event, error) {
	m, err := decodeMessage(kind, body)
	if err != nil {
		return nil, err
	}
	if m.MigratedTo.given {
		return []platform.Event{m.moved(m.Chat.ID, m.MigratedTo)}, nil
	}
	if m.MigratedFrom.given {
		return []platform.Event{m.moved(m.MigratedFrom, m.Chat.ID)}, nil
	}
	content := m.content()
	if !m.understood(content) {
		if text := m.service(account, body); text != "" {
			return []platform.Event{m.noted(text)}, nil
		}
		content.Attachments = append(content.Attachments, unsupported(body))
	}
	return []platform.Event{m.added(content)}, nil
}

// parseEdit reads a message that reads otherwise now. A service message cannot be
// written otherwise, so one that claims to be means nothing.
func parseEdit(kind string, body []byte) ([]platform.Event, error) {
	m, err := decodeMessage(kind, body)
	if err != nil {
		return nil, err
	}
	content := m.content()
	if !m.understood(content) {
		if m.service("", body) != "" {
			return nil, nil
		}
		content.Attachments = append(content.Attachments, unsupported(body))
	}
	edited := at(m.EditDate)
	if edited.IsZero() {
		edited = at(m.Date)
	}
	return []platform.Event{platform.MessageEdited{
		Chat: m.chat(), Author: m.author(), ID: m.id(), Content: content, SentAt: at(m.Date), EditedAt: edited,
	}}, nil
}

func decodeMessage(kind string, body []byte) (*message, error) {
	var m message
	if err := decode(kind, body, &m); err != nil {
		return nil, err
	}
	if m.Chat == nil || !m.Chat.ID.given {
		return nil, lacks(kind, "chat.id")
	}
	if !m.ID.given {
		return nil, lacks(kind, "message_id")
	}
	return &m, nil
}

func (m *message) added(content platform.Content) platform.MessageAdded {
	return platform.MessageAdded{
		Chat:          m.chat(),
		Author:        m.author(),
		ID:            m.id(),
		Content:       content,
		ReplyTo:       m.replyTo(),
		AlbumID:       string(m.AlbumID),
		ForwardedFrom: m.Forward.name(),
		SentAt:        at(m.Date),
	}
}

func (m *message) noted(text string) platform.Noted {
	return platform.Noted{Chat: m.chat(), Author: m.author(), ID: m.id(), Text: text, SentAt: at(m.Date)}
}

// moved is told twice by Telegram: in the group that was, and in the supergroup it became.
func (m *message) moved(from, to ident) platform.ChatMoved {
	return platform.ChatMoved{
		From: from.String(), To: to.String(),
		Title: m.Chat.person().Name,
		Text:  "The group became a supergroup",
		ID:    m.id(),
		At:    at(m.Date),
	}
}

func (m *message) id() string { return messageID(m.Chat, m.ID) }

func messageID(c *chat, id ident) string { return c.ID.String() + "/" + id.String() }

// chat is where the message is: its group or channel, a topic of a forum, or the
// customer, whose language only the message's sender tells.
func (m *message) chat() platform.Chat {
	c := chatWith(m.Chat, m.From)
	if m.Chat.private() || !m.inTopic() {
		return c
	}
	c.ID += ":" + m.Thread.String()
	name := m.topicName()
	c.TopicUnnamed = name == ""
	if c.TopicUnnamed {
		name = "#" + m.Thread.String()
	}
	c.Title += " › " + name
	return c
}

// chatWith is a chat without a topic. from tells more about the customer of a private
// chat than the chat does, if it is them.
func chatWith(c *chat, from *user) platform.Chat {
	contact := c.person()
	if !c.private() {
		return platform.Chat{ID: contact.ID, Contact: contact, Title: contact.Name}
	}
	if from != nil && from.ID == c.ID {
		contact.Language = from.Language
		contact.Name = firstSeen(c.Title, c.FirstName+" "+c.LastName, from.person().Name)
		if contact.Username == "" {
			contact.Username = from.Username
		}
	}
	return platform.Chat{ID: contact.ID, Contact: contact}
}

// inTopic leaves out the General topic, which is number 1, must not be named when
// sending, and shares the group's own conversation; and threads of replies in groups
// without topics, which carry a thread number as well.
func (m *message) inTopic() bool { return m.InTopic && m.Thread.n > 1 }

// topicName is known, and not empty, while the service message that opened the topic is at hand;
// Telegram hangs it under messages of the topic that answer nothing else.
func (m *message) topicName() string {
	switch {
	case m.TopicCreated != nil && m.TopicCreated.Name != "":
		return m.TopicCreated.Name
	case m.TopicEdited != nil && m.TopicEdited.Name != "":
		return m.TopicEdited.Name
	case m.ReplyTo != nil && m.ReplyTo.TopicCreated != nil && m.ReplyTo.TopicCreated.Name != "":
		return m.ReplyTo.TopicCreated.Name
	default:
		return ""
	}
}

// author is who wrote it; nil in a private chat. sender_chat comes first: it is there
// for channels and anonymous administrators, and from is then a placeholder.
func (m *message) author() *platform.Person {
	if m.Chat.private() {
		return nil
	}
	var p platform.Person
	switch {
	case m.SenderChat != nil && m.SenderChat.ID.given:
		p = m.SenderChat.person()
	case m.From != nil && m.From.ID.given:
		p = m.From.person()
	default:
		p = m.Chat.person()
	}
	return &p
}

// writer is the name for a sentence about who did it.
func (m *message) writer() string {
	if p := m.author(); p != nil {
		return p.Name
	}
	return m.chat().Contact.Name
}

// replyTo is the message this one answers. In a topic Telegram lets every message
// answer the one that opened the topic, which means nothing.
func (m *message) replyTo() string {
	to := m.ReplyTo
	if to == nil || !to.ID.given || to.TopicCreated != nil {
		return ""
	}
	if m.inTopic() && to.ID.n == m.Thread.n {
		return ""
	}
	if to.Chat != nil && to.Chat.ID.given {
		return messageID(to.Chat, to.ID)
	}
	return messageID(m.Chat, to.ID)
}

// name is whom a message was forwarded from; empty if it was not.
func (o *origin) name() string {
	switch {
	case o == nil:
		return ""
	case o.User != nil:
		return o.User.person().Name
	case o.UserName != "":
		return o.UserName
	case o.Sender != nil:
		return o.Sender.person().Name
	case o.Channel != nil:
		return o.Channel.person().Name
	default:
		return "somebody"
	}
}
