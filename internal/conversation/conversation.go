// Package conversation is the product's core: what customers wrote becomes contacts,
// conversations and messages, and agents read them. It speaks of platforms in
// general only; one platform's words stay behind platform.Parser.
//
// Service is safe for several goroutines. Apply belongs to the transaction it is
// given. Locks are the database's: a conversation's row is locked by whoever adds a
// message to it.
package conversation

import (
	"context"
	"log/slog"

	"causeway"
	"causeway/ent"
	"causeway/internal/auth"
	"causeway/internal/feed"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// Accounts opens connected accounts for calls to their platform.
type Accounts interface {
	// Open returns the account behind a connection, ready for calls. It fails if the
	// connection holds no token any more.
	Open(ctx context.Context, connection causeway.ID) (platform.Account, error)
}

// Config is what the room is built of.
type Config struct {
	Store    *store.Store
	Feed     *feed.Feed
	Accounts Accounts
	Parsers  map[platform.Name]platform.Parser
	Clock    causeway.Clock
	Log      *slog.Logger
}

// Service keeps the conversations.
type Service struct {
	store   *store.Store
	feed    *feed.Feed
	parsers map[platform.Name]platform.Parser
	clock   causeway.Clock
	log     *slog.Logger
	taps    *tapAnswerer
}

// New makes the room. Close stops what it runs.
func New(cfg Config) *Service {
	return &Service{
		store:   cfg.Store,
		feed:    cfg.Feed,
		parsers: cfg.Parsers,
		clock:   cfg.Clock,
		log:     cfg.Log,
		taps:    answerTaps(cfg.Accounts, cfg.Log),
	}
}

// Close ends the answering of taps and returns when none is under way. It may come
// twice.
func (s *Service) Close() error { return s.taps.close() }

// Guard makes the reads of a viewers' client see only what belongs to the viewer's
// campaigns. Without a viewer they fail.
func Guard(client *ent.Client) {
	scoped := auth.Scoped()
	client.Contact.Intercept(scoped)
	client.Conversation.Intercept(scoped)
	client.Message.Intercept(scoped)
	client.Attachment.Intercept(scoped)
	client.Reaction.Intercept(scoped)
}
