package simulator

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bot is a bot that somebody made at BotFather.
type Bot struct {
	tg       *Telegram
	id       int64
	username string
	name     string

	// The lock of tg guards the rest.
	token       string
	readsGroups bool // privacy mode is off
	joinsGroups bool
	commands    map[string][]Command // by scope and language
	avatar      *file
	files       map[string]*file // by file_id
	paths       map[string]*file // by file_path, while a link is good
	chats       map[int64]*chat  // private ones, by the customer's id
	taps        map[string]bool  // callback queries that may still be answered
	sent        []Sent
	actions     []Action

	lastUpdate  int64
	updates     map[int64]*update    // all there ever were
	pending     []*update            // oldest first, settled ones among them
	queues      map[string][]*update // the same by what is kept in order
	waiting     int                  // how many of them are not settled
	allowed     []string             // nil: the default ones
	answers     []Answer
	hook        *hook // nil without a webhook
	hookSetAt   time.Time
	lastError   string
	lastErrorAt time.Time
	poll        *poll // the one that waits in getUpdates
}

// Command is an entry of a bot's menu.
type Command struct {
	Command     string `json:"command"`
	Description string `json:"description"`
}

// BotOption is something a bot's owner chose.
type BotOption func(*Bot)

// WithoutPrivacy lets the bot read everything in groups, not only what is meant for it.
func WithoutPrivacy() BotOption { return func(b *Bot) { b.readsGroups = true } }

// WithoutGroups keeps the bot out of groups.
func WithoutGroups() BotOption { return func(b *Bot) { b.joinsGroups = false } }

// WithCommands gives the bot a menu, in the default scope.
func WithCommands(commands ...Command) BotOption {
	return func(b *Bot) { b.commands[commandKey("", "")] = commands }
}

// WithAvatar gives the bot a picture.
func WithAvatar() BotOption {
	return func(b *Bot) { b.avatar = b.tg.picture(256, 256, "avatar.png") }
}

// AddBot makes a bot, in privacy mode and free to join groups unless options say
// otherwise. Two bots of one username are two bots.
func (tg *Telegram) AddBot(username, name string, opts ...BotOption) *Bot {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	b := &Bot{
		tg: tg, id: tg.number(10), username: strings.TrimPrefix(username, "@"), name: name, joinsGroups: true,
		commands: map[string][]Command{}, files: map[string]*file{}, paths: map[string]*file{}, chats: map[int64]*chat{},
		taps: map[string]bool{}, updates: map[int64]*update{}, queues: map[string][]*update{}, lastUpdate: tg.number(9),
	}
	b.token = b.newToken()
	for _, opt := range opts {
		opt(b)
	}
	tg.bots[b.id] = b
	return b
}

func (b *Bot) newToken() string { return strconv.FormatInt(b.id, 10) + ":" + b.tg.draw(35) }

// ID is the bot's user id.
func (b *Bot) ID() int64 { return b.id }

// Username is without the @.
func (b *Bot) Username() string { return b.username }

// Token is what BotFather tells the owner; empty after RevokeToken.
func (b *Bot) Token() string {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	return b.token
}

// RevokeToken makes every token of the bot invalid.
func (b *Bot) RevokeToken() {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	b.token = ""
}

// ReplaceToken makes the token invalid and returns the new one. Webhook and waiting
// updates stay.
func (b *Bot) ReplaceToken() string {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	b.token = b.newToken()
	return b.token
}

// ExpireTaps makes it too late to answer the buttons tapped so far.
func (b *Bot) ExpireTaps() {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	clear(b.taps)
}

// user is the bot as messages and memberships show it.
func (b *Bot) user() object {
	return object{"id": b.id, "is_bot": true, "first_name": b.name, "username": b.username}
}

// Ref names a message of a chat of this bot; there need not be one.
func (b *Bot) Ref(chatID, messageID int64) MessageRef {
	return MessageRef{Chat: chatID, ID: messageID, bot: b}
}

// Sent is a message that the bot sent.
type Sent struct {
	Chat     int64
	ID       int64
	Method   string
	Kind     string // of the file, as it is shown: Photo, Document ...; empty for a text
	Text     string // or the caption
	ReplyTo  int64  // zero if none
	Thread   int64  // zero if none
	FileName string // of an upload
	MIME     string // of an upload, as the bot said it
	Data     []byte // of an upload
	At       time.Time
	// Object is the message as it was answered.
	Object map[string]any
	bot    *Bot
	chat   *chat
}

// Ref names the message, for taps and reactions.
func (s Sent) Ref() MessageRef { return MessageRef{Chat: s.Chat, ID: s.ID, bot: s.bot, chat: s.chat} }

// Sent are the messages the bot sent to a chat, oldest first.
func (b *Bot) Sent(chatID int64) []Sent {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	return b.sentTo(chatID)
}

func (b *Bot) sentTo(chatID int64) []Sent {
	var found []Sent
	for _, s := range b.sent {
		if s.Chat == chatID {
			found = append(found, s)
		}
	}
	return found
}

// WaitSent waits until the bot sent n messages to a chat.
func (b *Bot) WaitSent(ctx context.Context, chatID int64, n int) ([]Sent, error) {
	var sent []Sent
	err := b.tg.await(ctx, func() string {
		sent = b.sentTo(chatID)
		if len(sent) < n {
			return fmt.Sprintf("@%s sent %d messages to chat %d, not %d", b.username, len(sent), chatID, n)
		}
		return ""
	})
	return sent, err
}

// Webhook is what a bot's owner has set last.
type Webhook struct {
	URL            string // empty: none
	Secret         string
	MaxConnections int
	AllowedUpdates []string // nil: the default ones
}

// Webhook is the bot's webhook as it is now.
func (b *Bot) Webhook() Webhook {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if b.hook == nil {
		return Webhook{AllowedUpdates: slices.Clone(b.allowed)}
	}
	return Webhook{
		URL: b.hook.url, Secret: b.hook.secret, MaxConnections: b.hook.maxConnections,
		AllowedUpdates: slices.Clone(b.allowed),
	}
}

// WaitWebhook waits until the bot has a webhook, or has none.
func (b *Bot) WaitWebhook(ctx context.Context, set bool) error {
	return b.tg.await(ctx, func() string {
		switch {
		case set && b.hook == nil:
			return "@" + b.username + " has no webhook"
		case !set && b.hook != nil:
			return "@" + b.username + " has a webhook"
		}
		return ""
	})
}
