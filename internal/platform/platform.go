// Package platform says what any messaging platform must be able to do, in words
// that belong to none of them: the updates that come in, the accounts that are
// spoken for, and the small language of refusals. One platform's wire format lives
// in its own package below this one. Nothing here knows the database.
package platform

import (
	"time"

	"causeway"
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
	// Payload is what a tapped quick reply carries; empty if none.
	Payload string
	// Standby marks what was seen while another app had the thread.
	Standby bool
	SentAt  time.Time
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
	Standby  bool
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

// Echoed is a message that went out in a chat, whoever sent it: this program, another
// app of the account, or somebody in the platform's own inbox.
type Echoed struct {
	Chat Chat
	// ID is the platform's id of the message, as Sent.ID says it.
	ID string
	// Metadata is what Outgoing.Metadata said when it was sent from here; else empty, or
	// another program's words.
	Metadata string
	// App is the platform's id of the app that sent it; empty if unknown.
	App string
	// Inbox: somebody wrote it in the platform's own inbox.
	Inbox   bool
	Content Content
	ReplyTo string
	Standby bool
	SentAt  time.Time
}

// Delivered and Read tell how far what we sent in a chat has come: the messages of IDs,
// and everything sent at UpTo or before.
type (
	Delivered struct {
		Chat Chat
		IDs  []string
		UpTo time.Time // zero: IDs alone
		At   time.Time
	}
	Read struct {
		Chat Chat
		UpTo time.Time
		At   time.Time
	}
)

// MessageDeleted is a message that its author took back.
type MessageDeleted struct {
	Chat Chat
	ID   string
	At   time.Time
}

// ThreadOwned says which app may write in a chat from now on. App is the platform's id
// of it, empty if nobody claims the chat, or if it is Inbox: the platform's own one.
// Unknown keeps the owner that is known: the event is a note alone, such as another
// app's request.
type ThreadOwned struct {
	Chat Chat
	// ID names the event, unique within the account.
	ID      string
	App     string
	Inbox   bool
	Unknown bool
	// Text tells agents, as in Noted; empty where there is nothing to tell.
	Text string
	At   time.Time
}

// AccountNoticed is what the platform tells of the account itself, not of a chat: a
// policy was enforced, say. Problem is nil when the trouble is over.
type AccountNoticed struct {
	Problem *causeway.Problem
	At      time.Time
}

func (MessageAdded) event()   {}
func (ButtonTapped) event()   {}
func (MessageEdited) event()  {}
func (MessageDeleted) event() {}
func (Reacted) event()        {}
func (Noted) event()          {}
func (Reachable) event()      {}
func (ChatMoved) event()      {}
func (Echoed) event()         {}
func (Delivered) event()      {}
func (Read) event()           {}
func (ThreadOwned) event()    {}
func (AccountNoticed) event() {}

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
