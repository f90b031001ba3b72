package simulator

// Group is a group, a supergroup or a channel.
type Group struct {
	tg      *Telegram
	creator *Customer
	chat    *chat // the one in force
}

// Topic is a topic of a forum.
type Topic struct {
	group  *Group
	thread int64
}

// Anonymous administrators write as this account of Telegram's.
const anonymousAdmin = 1087968824

// Group makes a group: a supergroup if it has topics, else a plain one that Migrate
// turns into a supergroup. Bots get in by Adds.
func (tg *Telegram) Group(title string, forum bool) *Group {
	if forum {
		g := tg.newGroup("supergroup", title)
		g.chat.forum = true
		return g
	}
	return tg.newGroup("group", title)
}

// Channel makes a channel. It writes by Posts, and tells bots that Promotes made
// administrators.
func (tg *Telegram) Channel(title string) *Group { return tg.newGroup("channel", title) }

func (tg *Telegram) newGroup(kind, title string) *Group {
	creator := tg.Customer("Inês Duarte", "pt")
	tg.mu.Lock()
	defer tg.mu.Unlock()
	id := -tg.number(10)
	if kind != "group" {
		id = supergroup(-id)
	}
	g := &Group{tg: tg, creator: creator, chat: tg.newChat(kind, title, id)}
	tg.groups[id] = g.chat
	return g
}

// ID is the chat's id, that of the supergroup after Migrate.
func (g *Group) ID() int64 {
	g.tg.mu.Lock()
	defer g.tg.mu.Unlock()
	return g.chat.id
}

func (g *Group) room(*Customer) (*chat, int64) { return g.chat, 0 }

func (t *Topic) room(*Customer) (*chat, int64) { return t.group.chat, t.thread }

// Thread is the topic's message_thread_id.
func (t *Topic) Thread() int64 { return t.thread }

// Adds makes the bot a member, unless it stays out of groups. It returns the update
// that told it, or zero.
func (g *Group) Adds(bot *Bot) int64 {
	if !bot.joinsGroups {
		return 0
	}
	update := g.makes(bot, "member")
	g.serves(object{"new_chat_participant": bot.user(), "new_chat_member": bot.user(), "new_chat_members": []object{bot.user()}})
	return update
}

// Promotes makes the bot an administrator, who sees everything.
func (g *Group) Promotes(bot *Bot) int64 { return g.makes(bot, "administrator") }

// Removes throws the bot out.
func (g *Group) Removes(bot *Bot) int64 { return g.makes(bot, "kicked") }

// Drops is the bot leaving by itself, after which it may be added again.
func (g *Group) Drops(bot *Bot) int64 { return g.makes(bot, "left") }

func (g *Group) makes(bot *Bot, status string) int64 {
	g.tg.mu.Lock()
	defer g.tg.mu.Unlock()
	before := g.chat.bots[bot]
	if before == "" {
		before = "left"
	}
	g.chat.bots[bot] = status
	return g.tg.tellStatus(g.chat, bot, g.creator.user(), before, status)
}

// Joins makes a customer a member.
func (g *Group) Joins(c *Customer) MessageRef {
	return g.serves(object{"new_chat_participant": c.user(), "new_chat_member": c.user(), "new_chat_members": []object{c.user()}}, by(c))
}

// Leaves is a customer who leaves.
func (g *Group) Leaves(c *Customer) MessageRef {
	return g.serves(object{"left_chat_participant": c.user(), "left_chat_member": c.user()}, by(c))
}

// Renames gives the group another title.
func (g *Group) Renames(title string) MessageRef {
	g.tg.mu.Lock()
	g.chat.title = title
	g.tg.mu.Unlock()
	return g.serves(object{"new_chat_title": title})
}

// ChangesPicture gives the group another picture.
func (g *Group) ChangesPicture() MessageRef {
	g.tg.mu.Lock()
	picture := g.tg.picture(320, 320, "group.png")
	g.chat.picture = picture
	g.tg.mu.Unlock()
	return g.serves(object{}, func(m *message) {
		m.media = func(b *Bot) object { return object{"new_chat_photo": picture.sizesFor(b)} }
	})
}

// Pins pins a message.
func (g *Group) Pins(ref MessageRef) MessageRef {
	return g.serves(object{}, func(m *message) { m.pinned = ref.find() })
}

// Topic opens a topic in a forum.
func (g *Group) Topic(name string) *Topic {
	ref := g.serves(object{"forum_topic_created": object{"name": name, "icon_color": 7322096}}, func(m *message) {
		m.thread = m.chat.lastID + 1 // a topic has the number of the message that opens it
	})
	return &Topic{group: g, thread: ref.ID}
}

// WritesAnonymously is an administrator who writes as the group.
func (g *Group) WritesAnonymously(text string, opts ...MessageOption) MessageRef {
	opts = append([]MessageOption{func(m *message) {
		m.from = object{"id": anonymousAdmin, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"}
		m.sender = m.chat.wire()
	}}, opts...)
	return g.creator.Writes(g, text, opts...)
}

// Posts publishes a text in a channel.
func (g *Group) Posts(text string, opts ...MessageOption) MessageRef {
	opts = append([]MessageOption{func(m *message) {
		m.from = nil
		m.sender = m.chat.wire()
	}}, opts...)
	return g.creator.Writes(g, text, opts...)
}

// Migrate turns a plain group into a supergroup with another id; both are told. It
// returns the old group's last message and the supergroup's first.
func (g *Group) Migrate() (from, to MessageRef) {
	g.tg.mu.Lock()
	old := g.chat
	id := supergroup(g.tg.number(10))
	fresh := g.tg.newChat("supergroup", old.title, id)
	for b, status := range old.bots {
		fresh.bots[b] = status
	}
	g.tg.groups[id] = fresh
	g.tg.mu.Unlock()

	from = g.serves(object{"migrate_to_chat_id": id})
	g.tg.mu.Lock()
	old.movedTo = id
	g.chat = fresh
	g.tg.mu.Unlock()
	return from, g.serves(object{"migrate_from_chat_id": old.id})
}

func by(c *Customer) MessageOption { return func(m *message) { m.from = c.user() } }

// serves posts a service message.
func (g *Group) serves(content object, opts ...MessageOption) MessageRef {
	g.tg.mu.Lock()
	defer g.tg.mu.Unlock()
	m := &message{chat: g.chat, from: g.creator.user(), writer: g.creator, content: content, service: true}
	if g.chat.kind == "channel" {
		m.from, m.sender = nil, g.chat.wire()
	}
	for _, opt := range opts {
		opt(m)
	}
	return g.tg.post(m)
}
