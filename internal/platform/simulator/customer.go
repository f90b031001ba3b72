package simulator

import (
	"context"
	"maps"
	"strconv"
	"strings"
)

// Customer is a person with Telegram on the phone, who writes to any bot.
type Customer struct {
	tg          *Telegram
	id          int64
	first, last string
	username    string
	language    string
	deactivated bool
	picture     *file // nil if none
}

// CustomerOption is something a customer chose.
type CustomerOption func(*Customer)

// WithUsername gives a customer a username; others have none.
func WithUsername(username string) CustomerOption {
	return func(c *Customer) { c.username = strings.TrimPrefix(username, "@") }
}

// WithPicture gives a customer a picture, which bots read by getChat.
func WithPicture() CustomerOption {
	return func(c *Customer) { c.picture = c.tg.picture(320, 320, "me.png") }
}

// Customer makes a person. The first word of the name is the first name. An empty
// language is one that Telegram does not tell.
func (tg *Telegram) Customer(name, language string, opts ...CustomerOption) *Customer {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	c := &Customer{tg: tg, id: tg.number(9), language: language}
	c.first, c.last, _ = strings.Cut(name, " ")
	for _, opt := range opts {
		opt(c)
	}
	tg.people[c.id] = c
	return c
}

// ID is the customer's user id, and that of the private chat with each bot.
func (c *Customer) ID() int64 { return c.id }

func (c *Customer) name() object {
	o := object{"first_name": c.first}
	if c.last != "" {
		o["last_name"] = c.last
	}
	if c.username != "" {
		o["username"] = c.username
	}
	return o
}

func (c *Customer) user() object {
	o := object{"id": c.id, "is_bot": false}
	maps.Copy(o, c.name())
	if c.language != "" {
		o["language_code"] = c.language
	}
	return o
}

// Place is where a customer writes: a Bot, a Group or a Topic.
type Place interface {
	// room is the chat, and the thread in it, or zero. It is called under the lock.
	room(c *Customer) (*chat, int64)
}

var (
	_ Place = (*Bot)(nil)
	_ Place = (*Group)(nil)
	_ Place = (*Topic)(nil)
)

func (b *Bot) room(c *Customer) (*chat, int64) {
	private := b.chats[c.id]
	if private == nil {
		private = b.tg.newChat("private", "", c.id)
		private.customer, private.bot = c, b
		b.chats[c.id] = private
	}
	return private, 0
}

// MessageOption adds to a message that a customer sends.
type MessageOption func(*message)

// InReplyTo answers a message of the same chat.
func InReplyTo(ref MessageRef) MessageOption {
	return func(m *message) { m.replyTo = ref.find() }
}

// ForwardedFrom forwards what a person wrote whose account is hidden.
func ForwardedFrom(name string) MessageOption {
	return func(m *message) {
		m.origin = object{"type": "hidden_user", "sender_user_name": name, "date": m.writer.tg.clock.Now().Unix()}
	}
}

// ForwardedFromCustomer forwards what another customer wrote.
func ForwardedFromCustomer(c *Customer) MessageOption {
	return func(m *message) {
		m.origin = object{"type": "user", "sender_user": c.user(), "date": c.tg.clock.Now().Unix()}
	}
}

// Starts presses Start, by a link with this parameter or an empty one.
func (c *Customer) Starts(bot *Bot, parameter string) MessageRef {
	return c.Writes(bot, strings.TrimSpace("/start "+parameter))
}

// Writes sends a text. To a bot that the customer blocked, it unblocks first, as the app does.
func (c *Customer) Writes(to Place, text string, opts ...MessageOption) MessageRef {
	return c.send(to, written("text", text), nil, opts)
}

// Sends sends any content: the keys of a message beyond those that all have, such as
// {"dice": {"emoji": "🎲", "value": 2}}.
func (c *Customer) Sends(to Place, content map[string]any, opts ...MessageOption) MessageRef {
	return c.send(to, maps.Clone(content), nil, opts)
}

// SendsFile sends a file as this kind of media, with a caption or an empty one. A
// photo without a width is one of 800×600 that it says nothing of.
func (c *Customer) SendsFile(to Place, kind string, f File, caption string, opts ...MessageOption) MessageRef {
	c.tg.mu.Lock()
	stored := c.tg.keepAs(kind, f)
	c.tg.mu.Unlock()
	return c.send(to, written("caption", caption), stored.as(kind), opts)
}

func (tg *Telegram) keepAs(kind string, f File) *file {
	if kind != Photo {
		return tg.keep(kind, f)
	}
	if f.Width == 0 {
		f.Width, f.Height = 800, 600
	}
	return tg.photoOf(f)
}

// SendsPhoto sends a generated picture.
func (c *Customer) SendsPhoto(to Place, caption string, opts ...MessageOption) MessageRef {
	c.tg.mu.Lock()
	picture := c.tg.picture(480, 360, "photo.png")
	c.tg.mu.Unlock()
	return c.send(to, written("caption", caption), picture.as(Photo), opts)
}

// SendsAlbum sends n generated pictures as one album; the first has the caption.
func (c *Customer) SendsAlbum(to Place, n int, caption string, opts ...MessageOption) []MessageRef {
	c.tg.mu.Lock()
	album := strconv.FormatInt(1<<53+c.tg.random.Int64N(1<<52), 10)
	c.tg.mu.Unlock()
	opts = append(opts, func(m *message) { m.album = album })
	var refs []MessageRef
	for range n {
		refs = append(refs, c.SendsPhoto(to, caption, opts...))
		caption = ""
	}
	return refs
}

// SendsDocument sends a PDF of one page with this file name.
func (c *Customer) SendsDocument(to Place, name, caption string, opts ...MessageOption) MessageRef {
	return c.SendsFile(to, Document, File{Name: name, MIME: "application/pdf", Data: paper(name)}, caption, opts...)
}

// SendsVoice sends seconds of silence.
func (c *Customer) SendsVoice(to Place, seconds int, opts ...MessageOption) MessageRef {
	return c.SendsFile(to, Voice, File{MIME: "audio/ogg", Data: silence(seconds), Duration: seconds}, "", opts...)
}

// SendsAudio sends seconds of a song without a sound, under this title.
func (c *Customer) SendsAudio(to Place, title string, seconds int, opts ...MessageOption) MessageRef {
	return c.SendsFile(to, Audio, File{Name: title + ".mp3", MIME: "audio/mpeg", Data: song(seconds), Duration: seconds}, "", opts...)
}

// SendsVideo sends a film on which nothing is to be seen, with a caption or an empty one.
func (c *Customer) SendsVideo(to Place, caption string, seconds int, opts ...MessageOption) MessageRef {
	return c.SendsFile(to, Video, File{
		Name: "video.mp4", MIME: "video/mp4", Data: film(seconds), Width: 640, Height: 360, Duration: seconds,
	}, caption, opts...)
}

// SendsSticker sends a sticker that stands for an emoji.
func (c *Customer) SendsSticker(to Place, emoji string, opts ...MessageOption) MessageRef {
	return c.SendsFile(to, Sticker, File{MIME: "image/webp", Data: dot(), Width: 512, Height: 512, Emoji: emoji}, "", opts...)
}

// SendsLocation sends a point on the map.
func (c *Customer) SendsLocation(to Place, latitude, longitude float64, opts ...MessageOption) MessageRef {
	return c.Sends(to, object{"location": object{"latitude": latitude, "longitude": longitude}}, opts...)
}

// SendsContact shares the customer's own phone number.
func (c *Customer) SendsContact(to Place, phone string, opts ...MessageOption) MessageRef {
	card := c.name()
	delete(card, "username")
	card["phone_number"], card["user_id"] = phone, c.id
	return c.Sends(to, object{"contact": card}, opts...)
}

func (c *Customer) send(to Place, content object, files media, opts []MessageOption) MessageRef {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	in, thread := to.room(c)
	if in.blocked {
		c.setBlocked(in, false)
	}
	m := &message{chat: in, from: c.user(), writer: c, content: content, media: files, thread: thread}
	m.replyTo = in.messages[thread] // a topic's message answers the one that made the topic
	for _, opt := range opts {
		opt(m)
	}
	return c.tg.post(m)
}

// Edits changes the text, or the caption, of what the customer wrote; the reference
// names the update of the edit.
func (c *Customer) Edits(ref MessageRef, text string) MessageRef {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	m := ref.find()
	if m == nil {
		return ref
	}
	key := "text"
	if m.media != nil {
		key = "caption"
	}
	m.content = written(key, text)
	m.edited = c.tg.clock.Now()
	return c.tg.announce(m, "edited_message")
}

// Reacts replaces the customer's reactions to a message by these; none takes them
// away. In groups only administrators among the bots are told, and nowhere those that
// do not ask for message_reaction. It returns the update for the first of them, or zero.
func (c *Customer) Reacts(ref MessageRef, emoji ...string) int64 {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	m := ref.find()
	if m == nil {
		return 0
	}
	before := m.reactions[c.id]
	m.reactions[c.id] = emoji
	var first int64
	for _, b := range m.chat.listeners() {
		if m.chat.bot == nil && m.chat.bots[b] != "administrator" {
			continue
		}
		update := b.tell("message_reaction", object{
			"chat": m.chat.wire(), "message_id": m.id, "user": c.user(), "date": c.tg.clock.Now().Unix(),
			"old_reaction": reactionList(before), "new_reaction": reactionList(emoji),
		}, m.chat.id)
		if first == 0 {
			first = update
		}
	}
	return first
}

func reactionList(emoji []string) []object {
	list := []object{}
	for _, e := range emoji {
		list = append(list, object{"type": "emoji", "emoji": e})
	}
	return list
}

// Tap is a customer's tap on a button.
type Tap struct {
	ID     string // of the callback query
	Update int64
}

// Taps presses a button under a bot's message. If there is no such message any more,
// the bot is told the stub of one with date 0. A message that no bot sent or saw has no
// button, and nothing happens.
func (c *Customer) Taps(ref MessageRef, data string) Tap {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	b := ref.bot
	if b == nil {
		return Tap{}
	}
	query := object{"from": c.user(), "data": data, "chat_instance": strconv.FormatInt(-c.id*7919, 10)}
	if m := ref.find(); m != nil {
		if m.bot != nil {
			b = m.bot
		}
		query["message"] = m.wire(b)
	} else {
		room, _ := b.room(c)
		if known := ref.room(); known != nil {
			room = known
		}
		query["message"] = object{"chat": room.wire(), "message_id": ref.ID, "date": 0}
	}
	tap := Tap{ID: strconv.FormatInt(1<<60+c.tg.random.Int64N(1<<60), 10)}
	query["id"] = tap.ID
	b.taps[tap.ID] = true
	tap.Update = b.tell("callback_query", query, ref.Chat)
	return tap
}

// WaitAnswered waits until the bot has answered the tap with success.
func (t Tap) WaitAnswered(ctx context.Context, bot *Bot) error {
	return bot.tg.await(ctx, func() string {
		for _, call := range bot.tg.callsOf([]string{"answerCallbackQuery"}) {
			if call.Params["callback_query_id"] == t.ID && call.Status == 200 {
				return ""
			}
		}
		return "tap " + t.ID + " is not answered"
	})
}

// Blocks stops the bot; what it sends is refused until Unblocks.
func (c *Customer) Blocks(bot *Bot) int64 { return c.block(bot, true) }

// Unblocks takes Blocks back.
func (c *Customer) Unblocks(bot *Bot) int64 { return c.block(bot, false) }

// Deactivates ends the customer's account.
func (c *Customer) Deactivates() {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	c.deactivated = true
}

func (c *Customer) block(bot *Bot, blocked bool) int64 {
	c.tg.mu.Lock()
	defer c.tg.mu.Unlock()
	in, _ := bot.room(c)
	if in.blocked == blocked {
		return 0
	}
	return c.setBlocked(in, blocked)
}

func (c *Customer) setBlocked(in *chat, blocked bool) int64 {
	in.blocked = blocked
	before, after := "member", "kicked"
	if !blocked {
		before, after = after, before
	}
	return c.tg.tellStatus(in, in.bot, c.user(), before, after)
}

// Received are the bot's messages to the customer, oldest first.
func (c *Customer) Received(bot *Bot) []Sent { return bot.Sent(c.id) }

// tellStatus tells a bot that it is something else in a chat now.
func (tg *Telegram) tellStatus(in *chat, b *Bot, by object, before, after string) int64 {
	return b.tell("my_chat_member", object{
		"chat": in.wire(), "from": by, "date": tg.clock.Now().Unix(),
		"old_chat_member": membership(b, before), "new_chat_member": membership(b, after),
	}, in.id)
}

func membership(b *Bot, status string) object {
	o := object{"user": b.user(), "status": status}
	switch status {
	case "kicked":
		o["until_date"] = 0
	case "administrator":
		o["can_be_edited"], o["is_anonymous"], o["can_manage_chat"] = false, false, true
		for _, right := range []string{
			"can_delete_messages", "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users",
		} {
			o[right] = true
		}
	}
	return o
}
