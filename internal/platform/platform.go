// Package platform says what any messaging platform must be able to do, in words
// that belong to none of them: the updates that come in, the accounts that are
// spoken for, and the small language of refusals. One platform's wire format lives
// in its own package below this one. Nothing here knows the database.
package platform

import (
	"context"
	"time"
)

// Name is a platform of the contract's Platform enum.
type Name string

// The platforms there are, whether this server can connect them or not.
const (
	Messenger Name = "FACEBOOK_MESSENGER"
	Instagram Name = "INSTAGRAM"
	Telegram  Name = "TELEGRAM"
	WhatsApp  Name = "WHATSAPP"
	Zalo      Name = "ZALO"
)

// Values are all names, in the order of the contract; ent reads them.
func (Name) Values() []string {
	return []string{string(Messenger), string(Instagram), string(Telegram), string(WhatsApp), string(Zalo)}
}

// Envelope is what is read of a raw update before it is stored: whose it is and
// which it is, and nothing of what it means.
type Envelope struct {
	// Key is the platform's own number of the update, by which a second delivery is
	// known; empty where the platform has none.
	Key string
	// Chat is what updates must be kept in order within; empty when it belongs to none.
	Chat string
	// Event is the platform's name for what happened: message, callback_query ...
	Event string
}

// Parser reads one platform's updates. It is pure: the same bytes give the same
// answer, and it never panics whatever the bytes are.
type Parser interface {
	// Envelope reads whose an update is. An error means that the bytes are not JSON or
	// not an object. An update of a kind that is not known has an Event all the same.
	Envelope(raw []byte) (Envelope, error)
	// Parse tells what an update means to the account with this external id. No events
	// and no error: nothing in it concerns this system, or its kind is not known.
	// An error means that the update claims to be of a known kind and is not.
	Parse(account string, raw []byte) ([]Event, error)
}

// Event is something that happened at the platform: one of the types below.
type Event interface{ event() }

// Chat is where something happened: one customer, or a group they write in.
type Chat struct {
	// ID names the chat at the platform, with the topic where a forum has topics.
	ID string
	// Contact is who is on the other side: the customer, or the group.
	Contact Person
	// Title is the group's title, with the topic; empty for one customer.
	Title string
	// TopicUnnamed marks a title that stands in for one with the topic's name, which
	// this update does not tell: a better one that is known already stays.
	TopicUnnamed bool `json:",omitempty"`
}

// Person is a customer, a group or a channel as the platform describes it.
type Person struct {
	ID       string // external id
	Name     string // never empty: the platform's id where it tells no name
	Username string // without @; empty if none
	Language string // BCP 47 as the platform says it; empty if unknown
}

// MessageAdded is a message somebody wrote in a chat.
type MessageAdded struct {
	Chat Chat
	// Author is who wrote it; nil for the other side of a one-to-one chat.
	Author *Person
	// ID is the platform's id of the message, unique within the account.
	ID      string
	Content Content
	// ReplyTo is the ID of the message it answers; empty if none.
	ReplyTo string
	// AlbumID groups the parts of one album; empty if none.
	AlbumID string
	// ForwardedFrom is the name of whom it was forwarded from; empty if it was not.
	ForwardedFrom string
	SentAt        time.Time
}

// ButtonTapped is a customer's tap on a button under one of our messages.
type ButtonTapped struct {
	Chat    Chat
	Author  *Person
	ID      string // of the tap, unique within the account
	Label   string // what the button says, where the platform tells
	Payload string
	// MessageID is the message that carries the button; empty if unknown.
	MessageID string
	// AnswerID is what Account.AnswerTap takes; empty where no answer is expected.
	AnswerID string
	At       time.Time
}

// MessageEdited is a message that reads otherwise now.
type MessageEdited struct {
	Chat     Chat
	Author   *Person
	ID       string
	Content  Content
	SentAt   time.Time // when it was first written
	EditedAt time.Time
}

// Reacted is the whole set of reactions one person now has on a message.
type Reacted struct {
	Chat      Chat
	Author    Person
	MessageID string
	Emoji     []string // empty: none any more
	At        time.Time
}

// Noted is something that happened in a chat that nobody wrote: a member joined, a
// message was pinned. Agents see Text; the customer does not.
type Noted struct {
	Chat   Chat
	Author *Person
	ID     string // unique within the account; empty if the platform gives none
	Text   string
	SentAt time.Time
}

// Reachable says whether the other side of a chat can be written to: false after a
// customer blocked the bot or a group removed it. Text tells agents, as in Noted.
type Reachable struct {
	Chat      Chat
	Reachable bool
	Text      string
	At        time.Time
}

// ChatMoved is a chat that goes on under another id; its conversation is kept. From
// and To are ids of chats without a topic.
type ChatMoved struct {
	From, To string
	Title    string
	Text     string
	ID       string // of the message that told it, unique within the account
	At       time.Time
}

func (MessageAdded) event()  {}
func (ButtonTapped) event()  {}
func (MessageEdited) event() {}
func (Reacted) event()       {}
func (Noted) event()         {}
func (Reachable) event()     {}
func (ChatMoved) event()     {}

// Content is what a message says. Text is plain, as typed.
type Content struct {
	Text        string
	Attachments []Attachment
}

// AttachmentKind is a kind of the contract's AttachmentKind enum.
type AttachmentKind string

// The kinds of attachments.
const (
	Image       AttachmentKind = "IMAGE"
	Video       AttachmentKind = "VIDEO"
	Audio       AttachmentKind = "AUDIO"
	Voice       AttachmentKind = "VOICE"
	File        AttachmentKind = "FILE"
	Sticker     AttachmentKind = "STICKER"
	Location    AttachmentKind = "LOCATION"
	ContactCard AttachmentKind = "CONTACT_CARD"
	Link        AttachmentKind = "LINK"
	Unsupported AttachmentKind = "UNSUPPORTED"
)

// Values are all kinds; ent reads them.
func (AttachmentKind) Values() []string {
	return []string{string(Image), string(Video), string(Audio), string(Voice), string(File),
		string(Sticker), string(Location), string(ContactCard), string(Link), string(Unsupported)}
}

// Attachment refers to something a message carries. Ref is what the platform's
// client fetches it by (for Telegram the file_id, never an address); empty for what
// has no bytes: locations, contact cards, links. Zero means unknown for every number.
type Attachment struct {
	Kind                AttachmentKind
	Ref                 string
	Name                string
	MimeType            string
	Size                int64 // bytes
	Width, Height       int   // pixels
	DurationSeconds     float64
	Latitude, Longitude *float64
}

// Account is a page or bot that is open for calls: it holds the token. It is safe
// for several goroutines. Errors are refusals (see Refusal) or plain trouble; none
// holds a token or an address that does.
type Account interface {
	// AnswerTap tells the platform that a tap was seen, so that the customer's client
	// stops waiting. Too late is no error.
	AnswerTap(ctx context.Context, answerID string) error
	// Send sends one message and tells under which id the platform knows it. It does not
	// try again. A refusal tells by Sent whether the message may have gone out although
	// no answer came.
	Send(ctx context.Context, m Outgoing) (Sent, error)
}

// Outgoing is a message to be sent.
type Outgoing struct {
	// Chat is where to, as in Chat.ID.
	Chat string
	// Text is what a person typed; it goes out as it is, without any markup.
	Text string
	// ReplyTo is the ID of the message it answers; empty if none. Where that is gone the
	// message is sent all the same.
	ReplyTo string
}

// Sent is a message that the platform took.
type Sent struct {
	ID string // of the message, unique within the account
	At time.Time
}

// Limits are what a platform takes of a message.
type Limits struct {
	// Text is the longest text, in UTF-16 code units.
	Text int
}
