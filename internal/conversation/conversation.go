// Package conversation is the product's core: what customers wrote becomes contacts,
// conversations and messages; agents read them and answer, and the outbox delivers
// what they wrote. Queues bring conversations to the agents who are at work. It speaks of platforms in general only; one platform's words stay
// behind platform.Parser and platform.Account.
//
// Service is safe for several goroutines. Apply belongs to the transaction it is
// given. Locks are the database's, each kind in id order: a conversation's row is locked
// by whoever adds a message to it or gives it to somebody; then queues, then people, by
// whoever decides who gets one. The pace of sending and what customers were shown of
// typing have a mutex each, never held across anything that waits.
package conversation

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/intercept"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// Accounts opens connected accounts for calls to their platform.
type Accounts interface {
	// Open returns the account behind a connection, ready for calls. It fails if the
	// connection holds no token any more.
	Open(ctx context.Context, connection causeway.ID) (platform.Account, error)
	// CheckSoon makes a connection's health check due now: a call met trouble that is
	// not the message's. It does not wait for the check.
	CheckSoon(ctx context.Context, connection causeway.ID) error
	// Noticed records, in tx, what the platform told of the account itself: trouble, or
	// that it is over; a check is asked for. It tells whether that was news.
	Noticed(tx *store.Tx, connection causeway.ID, told platform.AccountNoticed) (bool, error)
}

// Config is what the room is built of.
type Config struct {
	Store    *store.Store
	Feed     *feed.Feed
	Bus      bus.Bus // carries who is typing, and tells who came to work
	Accounts Accounts
	Parsers  map[platform.Name]platform.Parser
	Limits   map[platform.Name]platform.Limits
	Clock    causeway.Clock
	Log      *slog.Logger
	// Pace is how fast messages go out; its zero value is what Telegram bears.
	Pace Pace
	// Media keeps files and pictures. Nil: agents send none, and none is fetched.
	Media media.Store
	// MaxMedia is how many bytes a file that a customer sends may have; DefaultMaxMedia
	// if it is zero.
	MaxMedia int64
	// Called is told what came of each call that sends a message or a part of one, and how
	// long after the message was queued: "sent"; "part", where more of the message follows;
	// "failed"; or "waits", to be tried again. It must not block. Nil: nobody wants to know.
	Called func(on platform.Name, outcome string, took time.Duration)
}

// DefaultMaxMedia is 25 MB, counted in powers of two: the most that Messenger lets its
// customers send, and more than Telegram hands out.
const DefaultMaxMedia = 25 << 20

// Service keeps the conversations.
type Service struct {
	store    *store.Store
	feed     *feed.Feed
	bus      bus.Bus
	accounts Accounts
	parsers  map[platform.Name]platform.Parser
	limits   map[platform.Name]platform.Limits
	media    media.Store
	maxMedia int64
	called   func(on platform.Name, outcome string, took time.Duration)
	clock    causeway.Clock
	log      *slog.Logger
	taps     *gestures
	signs    *gestures // of agents: typing, seen
	shown    shown
	outbox   *outbox
	files    *fetcher
	profiles *describer
	usher    *usher
}

// New makes the room. Close stops what it runs. Nothing is sent before Start.
func New(cfg Config) *Service {
	s := &Service{
		store:    cfg.Store,
		feed:     cfg.Feed,
		bus:      cfg.Bus,
		accounts: cfg.Accounts,
		parsers:  cfg.Parsers,
		limits:   cfg.Limits,
		media:    cfg.Media,
		maxMedia: cmp.Or(cfg.MaxMedia, DefaultMaxMedia),
		called:   cfg.Called,
		clock:    cfg.Clock,
		log:      cfg.Log,
		taps:     startGestures(cfg.Accounts, cfg.Log),
		signs:    startGestures(cfg.Accounts, cfg.Log),
	}
	s.outbox = newOutbox(s, cfg.Pace)
	s.files = newFetcher(s)
	s.profiles = newDescriber(s)
	s.usher = newUsher(s)
	return s
}

// Start begins to send what is queued, to fetch files and profiles, and to give
// conversations that wait to people who come to work. It does nothing the second time, or
// after Close.
func (s *Service) Start(ctx context.Context) error {
	if err := s.outbox.start(ctx); err != nil {
		return err
	}
	s.files.start()
	s.profiles.queue.Start()
	s.usher.start()
	return nil
}

// Close lets messages that are being sent finish for ten seconds, gives up what is being
// fetched, ends what platforms are told besides, and returns when nothing is under way.
// It may come twice, and before Start.
func (s *Service) Close() error {
	return errors.Join(s.usher.close(), s.outbox.close(), s.files.queue.Close(), s.profiles.queue.Close(), s.taps.close(), s.signs.close())
}

// Guard makes the reads of a viewers' client see only what belongs to the viewer's
// campaigns. Without a viewer they fail.
func Guard(client *ent.Client) {
	scoped := auth.Scoped()
	client.Contact.Intercept(scoped)
	client.Conversation.Intercept(scoped)
	client.Message.Intercept(scoped)
	client.Attachment.Intercept(scoped)
	client.Reaction.Intercept(scoped, intercept.TraverseReaction(put))
	client.Queue.Intercept(scoped)
	client.QueueMember.Intercept(scoped)
	client.MessagePart.Intercept(scoped)
	client.Tag.Intercept(scoped)
	client.Tagging.Intercept(scoped)
	client.QuickReply.Intercept(scoped)
}
