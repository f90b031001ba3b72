// Package auth knows who is asking: people, their passwords and bearer tokens, the
// viewer in the context, and what of a campaign that viewer may see. What they may do
// to a conversation or a connection is decided in those rooms, which ask here for the
// viewer's role.
//
// A Service may be used by everybody at once. It runs two goroutines, one that notes
// when tokens were used and one that tells running subscriptions that their right
// ended (Access); Close ends both. Locks are held for memory only, never across the
// database or a hash.
package auth

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"

	"causeway"
	"causeway/internal/bus"
	"causeway/internal/store"
)

// AccessTopic is rung after every commit that may have ended a right: a token, a
// user, a role or a membership.
const AccessTopic = "access"

// Config is what a Service needs.
type Config struct {
	Store *store.Store
	Bus   bus.Bus
	Desk  Desk           // none: nobody works here
	Clock causeway.Clock // none: causeway.System
	Log   *slog.Logger   // none: silent

	// AdminToken, unless empty, is a bearer token of the administrator who has been
	// one for longest. It is valid while it is set and is never stored.
	AdminToken string
}

// Desk is told who works no more, in the transaction that ends it and before it changes
// anything else: what they had goes to others.
type Desk interface {
	// ShutOut: a person works nowhere any more.
	ShutOut(tx *store.Tx, person causeway.ID) error
	// Demoted: a person is no administrator any more, and works where they are a member.
	Demoted(tx *store.Tx, person causeway.ID) error
}

// Service is the room's door.
type Service struct {
	store      *store.Store
	bus        bus.Bus
	desk       Desk
	clock      causeway.Clock
	log        *slog.Logger
	adminToken *[sha256.Size]byte // the given token's hash; nil without one
	byHash     string             // the statement Authenticate asks
	passwords  *passwords
	wrongTries *throttle
	used       *lastUsed
	access     *Access

	stop    context.CancelFunc
	running sync.WaitGroup
	rest    sync.Once
}

// New starts a Service. Close it before its store and its bus.
func New(cfg Config) *Service {
	s := &Service{store: cfg.Store, bus: cfg.Bus, desk: cfg.Desk, clock: cfg.Clock, log: cfg.Log}
	if s.clock == nil {
		s.clock = causeway.System{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.AdminToken != "" {
		sum := sha256.Sum256([]byte(cfg.AdminToken))
		s.adminToken = &sum
	}
	s.byHash = tokenByHash(s.store)
	s.passwords = newPasswords()
	s.wrongTries = newThrottle()
	s.used = newLastUsed()
	s.access = newAccess(s.store, s.bus, s.clock, s.log)

	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.noteLastUsed(ctx) })
	s.running.Go(func() { s.access.run(ctx) })
	return s
}

// Access tells running subscriptions when their right ends, until Close.
func (s *Service) Access() *Access { return s.access }

// Close returns when nothing of the Service is running. It may come twice. What was
// used in the last second is not noted, and no watcher is told anything any more.
func (s *Service) Close() error {
	s.rest.Do(s.stop)
	s.running.Wait()
	return nil
}

// rightsEnded rings for Access, on every server, once tx is committed.
func (s *Service) rightsEnded(tx *store.Tx) {
	tx.AfterCommit(func() { s.bus.Publish(AccessTopic, 0) })
}
