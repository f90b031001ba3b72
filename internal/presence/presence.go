// Package presence knows which people are at work: what they said, for as long as a
// socket of theirs is open or was a minute ago. Who gets a conversation because of it
// does not enter.
//
// What holds is a column of the person's row, so that whoever reads it under the row's
// lock knows it for the length of a transaction. Each server notes in the rows of the
// people with sockets on it that they were seen; every server looks for those whom none
// has seen for a minute. A person who said something and never had a socket since is
// what they said until they say otherwise.
//
// A Service may be used from many goroutines and runs one. Its mutex is held for
// memory only.
package presence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"causeway"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/store"
)

// Topic is rung after every commit in which somebody's presence changed.
const Topic = "presence"

// TopicOf is where the ids of a campaign's members are hinted at when their presence
// changed.
func TopicOf(campaign causeway.ID) string { return Topic + "." + campaign.String() }

const (
	// lapse is how long after their last socket closed somebody is OFFLINE.
	lapse = time.Minute
	// seenEvery is how often it is noted whose sockets are open: several times within
	// lapse, so that one note that fails sends nobody home.
	seenEvery = 15 * time.Second
	// lookEvery is how often to look for those who lapsed, and to try again what could
	// not be written: the most that an absence is told late.
	lookEvery = 5 * time.Second
	// idsPerQuery bounds an IN list.
	idsPerQuery = 500
)

// Config is what a Service needs. Store and Bus are required.
type Config struct {
	Store *store.Store
	Bus   bus.Bus
	Clock causeway.Clock // none: the machine's
	Log   *slog.Logger   // none: silent
}

// Service is the room's door.
type Service struct {
	store *store.Store
	bus   bus.Bus
	clock causeway.Clock
	log   *slog.Logger
	some  chan struct{} // holds a token when sockets came or went

	mu      sync.Mutex
	sockets map[causeway.ID]int  // open on this server
	moved   map[causeway.ID]bool // a socket opened, or the last one closed: not noted yet
	started bool
	closed  bool
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New is a Service that notes nothing before Start.
func New(cfg Config) *Service {
	s := &Service{
		store: cfg.Store, bus: cfg.Bus, clock: cfg.Clock, log: cfg.Log,
		some:    make(chan struct{}, 1),
		sockets: map[causeway.ID]int{}, moved: map[causeway.ID]bool{},
	}
	if s.clock == nil {
		s.clock = causeway.System{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Start begins to note who is seen and who is not any more. It does nothing the second
// time, or after Close.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return
	}
	s.started = true
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.run(ctx) })
}

// Close returns when nothing is running. It may come twice, and before Start. Whose
// sockets were open are taken to have been seen when it was last noted.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.stop != nil {
		s.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Open tells that a socket of the context's viewer is open; without a viewer it does
// nothing. What they last said holds again soon after. gone tells that it closed, and
// may come twice. Neither waits.
func (s *Service) Open(ctx context.Context) (gone func()) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return func() {}
	}
	s.mu.Lock()
	s.sockets[viewer.UserID]++
	s.moved[viewer.UserID] = true
	s.mu.Unlock()
	s.wake()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		if s.sockets[viewer.UserID]--; s.sockets[viewer.UserID] == 0 {
			delete(s.sockets, viewer.UserID)
			s.moved[viewer.UserID] = true
		}
		s.mu.Unlock()
		s.wake()
	})
}

func (s *Service) wake() {
	select {
	case s.some <- struct{}{}:
	default:
	}
}

// here are the people with sockets on this server.
func (s *Service) here() []causeway.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	people := make([]causeway.ID, 0, len(s.sockets))
	for person := range s.sockets {
		people = append(people, person)
	}
	return people
}

func (s *Service) isHere(person causeway.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets[person] > 0
}

// Set says the viewer's own presence. It holds at once, and until they say otherwise or
// their last socket has been closed for a minute.
func (s *Service) Set(ctx context.Context, said user.Presence) error {
	viewer, err := auth.From(ctx)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		people, err := lock(tx, []causeway.ID{viewer.UserID})
		if err != nil || len(people) == 0 {
			return err
		}
		update := tx.User.UpdateOneID(viewer.UserID).SetPresence(said).SetSaidPresence(user.SaidPresence(said))
		if s.isHere(viewer.UserID) {
			update.SetSeenAt(s.clock.Now())
		} else { // a server where a socket is open notes it again
			update.ClearSeenAt()
		}
		if err := update.Exec(ctx); err != nil {
			return err
		}
		if people[0].Presence == said {
			return nil
		}
		return s.tell(tx, viewer.UserID)
	})
}

// ShutOut makes somebody OFFLINE, in the transaction that lets them in no more.
func (s *Service) ShutOut(tx *store.Tx, person causeway.ID) error {
	n, err := tx.User.Update().Where(user.ID(person)).
		SetPresence(user.PresenceOffline).SetSaidPresence(user.SaidPresenceOffline).ClearSeenAt().
		Save(tx.Context())
	if err != nil || n == 0 {
		return err
	}
	return s.tell(tx, person)
}
