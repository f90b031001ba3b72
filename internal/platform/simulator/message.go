package simulator

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// chat is a customer's talk with one bot, a group or a channel.
type chat struct {
	id       int64
	kind     string // private, group, supergroup, channel
	title    string
	forum    bool
	customer *Customer // of a private one
	bot      *Bot      // of a private one
	blocked  bool      // the bot, by the customer
	picture  *file     // of a group; nil if none

	bots     map[*Bot]string // their status in a group; absent: never was there
	movedTo  int64           // the supergroup that this group became
	lastID   int64
	messages map[int64]*message
}

func (tg *Telegram) newChat(kind, title string, id int64) *chat {
	return &chat{id: id, kind: kind, title: title, bots: map[*Bot]string{}, messages: map[int64]*message{}}
}

func (c *chat) wire() object {
	o := object{"id": c.id, "type": c.kind}
	if c.customer != nil {
		maps.Copy(o, c.customer.name())
		return o
	}
	o["title"] = c.title
	switch {
	case c.kind == "group":
		o["all_members_are_administrators"] = true
	case c.forum:
		o["is_forum"] = true
	}
	return o
}

// listeners are the bots in the chat.
func (c *chat) listeners() []*Bot {
	if c.bot != nil {
		return []*Bot{c.bot}
	}
	var in []*Bot
	for b, status := range c.bots {
		if status == "member" || status == "administrator" {
			in = append(in, b)
		}
	}
	slices.SortFunc(in, func(a, b *Bot) int { return int(a.id - b.id) })
	return in
}

// message is one of a chat's, from anybody.
type message struct {
	chat      *chat
	id        int64
	at        time.Time
	edited    time.Time
	from      object // absent in channels
	writer    *Customer
	bot       *Bot   // that sent it
	sender    object // sender_chat of channels and anonymous administrators
	content   object // everything else of the wire's message that is the same for all bots
	media     media  // nil without a file
	service   bool
	replyTo   *message
	pinned    *message // that a service message is about
	thread    int64    // of a topic; zero if none
	album     string
	origin    object             // forward_origin
	updates   map[*Bot]int64     // by which it was told
	reactions map[int64][]string // by user or bot
}

// post adds a message to its chat and tells the bots that may see it.
func (tg *Telegram) post(m *message) MessageRef {
	c := m.chat
	c.lastID++
	m.id, m.at, m.reactions = c.lastID, tg.clock.Now(), map[int64][]string{}
	c.messages[m.id] = m
	return tg.announce(m, "message")
}

func (tg *Telegram) announce(m *message, kind string) MessageRef {
	c := m.chat
	if c.kind == "channel" {
		kind = strings.Replace(kind, "message", "channel_post", 1)
	}
	m.updates = map[*Bot]int64{}
	ref := MessageRef{Chat: c.id, ID: m.id, chat: c, message: m}
	for _, b := range c.listeners() {
		if !m.visibleTo(b) {
			continue
		}
		m.updates[b] = b.tell(kind, m.wire(b), c.id)
		if ref.bot == nil {
			ref.bot, ref.Update = b, m.updates[b]
		}
	}
	tg.changed.ring()
	return ref
}

// visibleTo applies privacy mode: in groups a bot that is not an administrator sees
// what is meant for it, and service messages.
func (m *message) visibleTo(b *Bot) bool {
	c := m.chat
	if c.bot != nil || c.kind == "channel" || b.readsGroups || c.bots[b] == "administrator" || m.service {
		return true
	}
	if m.replyTo != nil && m.replyTo.bot == b {
		return true
	}
	text := m.text()
	if strings.Contains(strings.ToLower(text), "@"+strings.ToLower(b.username)) {
		return true
	}
	command, _, _ := strings.Cut(text, " ")
	return strings.HasPrefix(command, "/") && !strings.Contains(command, "@")
}

func (m *message) text() string {
	if text, ok := m.content["text"].(string); ok {
		return text
	}
	caption, _ := m.content["caption"].(string)
	return caption
}

// wire is the message as a bot sees it.
func (m *message) wire(b *Bot) object {
	o := m.bare(b)
	if m.replyTo != nil {
		o["reply_to_message"] = m.replyTo.bare(b)
	}
	return o
}

// bare leaves out what the message answers, as Telegram does one level down.
func (m *message) bare(b *Bot) object {
	o := object{"message_id": m.id, "chat": m.chat.wire(), "date": m.at.Unix()}
	if m.from != nil {
		o["from"] = m.from
	}
	if m.sender != nil {
		o["sender_chat"] = m.sender
	}
	if !m.edited.IsZero() {
		o["edit_date"] = m.edited.Unix()
	}
	if m.thread != 0 {
		o["message_thread_id"] = m.thread
		o["is_topic_message"] = true
	}
	if m.album != "" {
		o["media_group_id"] = m.album
	}
	if m.origin != nil {
		o["forward_origin"] = m.origin
	}
	maps.Copy(o, m.content)
	if m.pinned != nil {
		o["pinned_message"] = m.pinned.bare(b)
	}
	if m.media != nil {
		maps.Copy(o, m.media(b))
	}
	return o
}

// MessageRef names a message of a chat.
type MessageRef struct {
	Chat int64
	ID   int64
	// Update is the number of the update that told it to the first bot of the chat; zero
	// when no bot was told.
	Update  int64
	bot     *Bot
	chat    *chat
	message *message
}

// WaitDelivered waits until the update that told the message is confirmed.
func (r MessageRef) WaitDelivered(ctx context.Context) error {
	if r.Update == 0 {
		return nil
	}
	return r.bot.WaitDelivered(ctx, r.Update)
}

// find is the message itself; nil when there is none (any more).
func (r MessageRef) find() *message {
	if r.message != nil {
		return r.message
	}
	if c := r.room(); c != nil {
		return c.messages[r.ID]
	}
	return nil
}

func (r MessageRef) room() *chat {
	if r.chat != nil || r.bot == nil {
		return r.chat
	}
	if c := r.bot.chats[r.Chat]; c != nil {
		return c
	}
	return r.bot.tg.groups[r.Chat]
}

var (
	commandText = regexp.MustCompile(`^/[A-Za-z0-9_]{1,32}(@\w+)?`)
	mentionText = regexp.MustCompile(`@[A-Za-z]\w{3,31}`)
	linkText    = regexp.MustCompile(`https?://[^\s]+`)
)

// entitiesIn finds what Telegram marks by itself; offsets count UTF-16 units.
func entitiesIn(text string) []object {
	var found []object
	mark := func(kind string, shape *regexp.Regexp) {
		for _, at := range shape.FindAllStringIndex(text, -1) {
			found = append(found, object{
				"type": kind, "offset": units(text[:at[0]]), "length": units(text[at[0]:at[1]]),
			})
		}
	}
	mark("bot_command", commandText)
	if len(found) == 0 {
		mark("mention", mentionText)
	}
	mark("url", linkText)
	return found
}

// written is text as a message's content, under "text" or "caption".
func written(key, text string) object {
	if text == "" {
		return object{}
	}
	content := object{key: text}
	entities := "entities"
	if key == "caption" {
		entities = "caption_entities"
	}
	if marks := entitiesIn(text); marks != nil {
		content[entities] = marks
	}
	return content
}
