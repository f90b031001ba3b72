package platform

import (
	"context"
	"io"
	"time"
)

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

// Fetcher is an Account that hands out the bytes of what customers sent.
type Fetcher interface {
	// Fetch opens what an Attachment.Ref, a Profile.AvatarRef or a ContactProfile.AvatarRef
	// names. Whoever calls closes the body, bounds how much is read of it, and gives ctx a
	// deadline for all of it. A refusal of kind TooLarge says that the platform will not
	// hand it out for its size, Rejected that it is not there any more.
	Fetch(ctx context.Context, ref string) (Download, error)
}

// Download is a file on its way from a platform. What is told of it is the platform's
// or the customer's word, not to be believed.
type Download struct {
	Body     io.ReadCloser
	Size     int64 // bytes; negative if unknown
	MimeType string
	Name     string
}

// Typist is an Account that can show the customer that somebody is typing. The
// platform ends it by itself after some seconds, or with the next message.
type Typist interface {
	ShowTyping(ctx context.Context, chat string, typing bool) error
}

// Pacer is an Account whose platform tells how much of its quotas is used up.
type Pacer interface {
	// Slow is how long to wait now between one message and the next, so that the platform
	// need not refuse; zero: not at all.
	Slow() time.Duration
}

// Seer is an Account that can tell the customer that what they wrote was read.
type Seer interface {
	MarkSeen(ctx context.Context, chat string) error
}

// Describer is an Account that tells who a contact is.
type Describer interface {
	// Describe reads the profile of the contact with this external id. What is empty is
	// not known, and no reason to forget what is.
	Describe(ctx context.Context, contact string) (ContactProfile, error)
}

// Threads is an Account on a platform where one app at a time may write in a chat.
// why is handed on to the other app; it may be empty.
type Threads interface {
	// ClaimThread takes a chat from whoever has it, or asks for it where this app may not
	// take, and tells who has it then: asking may be answered later, or never.
	ClaimThread(ctx context.Context, chat, why string) (ThreadOwner, error)
	// PassThread gives a chat to the app with the platform's id app.
	PassThread(ctx context.Context, chat, app, why string) error
	// PassToInbox gives a chat to the people in the platform's own inbox.
	PassToInbox(ctx context.Context, chat, why string) error
	// ReleaseThread lets go of a chat: nobody has it then, or the account's main app.
	ReleaseThread(ctx context.Context, chat string) error
}

// ThreadOwner is who may write in a chat.
type ThreadOwner struct {
	App   string    // the app's id; empty: nobody, or the platform's own inbox
	Inbox bool      // the platform's own inbox
	Until time.Time // when it ends by itself; zero: not said
}

// Nobody tells that any app may write.
func (o ThreadOwner) Nobody() bool { return o.App == "" && !o.Inbox }

// Tracer is an Account that can look for a message of which it is not known whether it
// went out.
type Tracer interface {
	// Lookup looks for it, and is false if it is not there; after a call that got no answer
	// that does not prove that it will not come.
	Lookup(ctx context.Context, t Trace) (Sent, bool, error)
}

// Trace is what is known of a message that may have gone out.
type Trace struct {
	// Chat is where to, as in Chat.ID.
	Chat string
	// ID is the platform's id of it, if that is known; then nothing else is looked at.
	ID string
	// Text is what it says; empty for a file.
	Text string
	// Since is when the call that sent it began, by our clock.
	Since time.Time
	// Not are the platform's ids of messages that are known to be others.
	Not []string
}

// ContactProfile is a contact as the platform describes it when asked.
type ContactProfile struct {
	Name      string
	Username  string
	Language  string
	AvatarRef string // what Fetch takes; empty: no picture
}

// Outgoing is a message to be sent: a text or a file.
type Outgoing struct {
	// Chat is where to, as in Chat.ID.
	Chat string
	// Text is what a person typed; it goes out as it is, without any markup.
	Text string
	// File goes out in the platform's fitting way; nil for a text.
	File *OutgoingFile
	// ReplyTo is the ID of the message it answers; empty if none. Where that is gone the
	// message is sent all the same.
	ReplyTo string
	// Metadata comes back in the Echoed of this message, where the platform has echoes.
	Metadata string
	// HumanAgent: a person answers after the standard window (Messenger's HUMAN_AGENT tag).
	HumanAgent bool
}

// OutgoingFile is a file to be sent.
type OutgoingFile struct {
	Kind     AttachmentKind // IMAGE, VIDEO, AUDIO, VOICE or FILE
	Name     string         // never empty
	MimeType string         // as sniffed
	Size     int64          // bytes
	// Open reads it from the start, each time it is called.
	Open func() (io.ReadCloser, error)
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
	// Files are the kinds that can be sent, each with the most bytes it may have. A kind
	// that is not in it is refused.
	Files map[AttachmentKind]int64
	// As is the kind as which a file of a sniffed type is sent; FILE where it says
	// nothing. Nil: every file is a FILE.
	As func(mimeType string) AttachmentKind
	// Standard and Human are how long after the customer last wrote anything, or only
	// what a person wrote, may be sent; zero: the platform sets no limit.
	Standard, Human time.Duration
	// Inbox is where people answer an account's customers at the platform itself; nil where
	// it has no such place.
	Inbox func(account string) string
}
