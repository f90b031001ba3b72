// Package feed keeps each campaign's event sequence: appending at the end of a
// transaction, replaying, following live, and forgetting what is old. What an event
// means, and who may see it, does not enter: callers check the viewer first and read
// what an event names when they show it.
//
// Events of a campaign are numbered 1, 2, 3 … without gaps, in the order in which
// their transactions commit. A follower therefore gets every event after its
// position exactly once and in order, whatever the bus loses. One goroutine per
// campaign that has followers reads new events from the table and puts them into a
// ring that the followers share; a follower is a place in that ring, so that nothing
// is queued for it and nobody waits for it.
//
// A Feed may be used from many goroutines, a Follower's Next and NextOr from one at
// a time. There is one lock, on the table of campaigns that are followed, held for
// no I/O; the ring is published atomically and read without one.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/feedevent"
	"causeway/internal/bus"
	"causeway/internal/store"
)

// Values of Change that followers can be told apart by.
const (
	// ChangeAdded is the Change of a MESSAGE event about a new message.
	ChangeAdded = "ADDED"
	// ChangeCreated is the Change of a CONVERSATION event about one that began.
	ChangeCreated = "CREATED"
)

// ErrClosed ends the followers of a feed that was closed, and a follower that was.
var ErrClosed = errors.New("the feed is closed")

// Event is one number of a campaign's sequence: what happened to what.
type Event struct {
	Campaign     causeway.ID
	Seq          int64     // given by Append, from 1
	At           time.Time // given by Append; never falls as Seq rises, on one server
	Kind         feedevent.Kind
	Change       string // a MessageChange, ChangeCreated, or empty
	Status       string // what a message's status became, if that is the change
	Conversation causeway.ID
	Message      causeway.ID
	Connection   causeway.ID
}

// Config is what a Feed is made of. Store and Bus are required.
type Config struct {
	Store *store.Store
	Bus   bus.Bus
	Clock causeway.Clock // none: the machine's
	Log   *slog.Logger   // none: silent

	// PollEvery is how often a followed campaign is looked at without being rung
	// for: the most that a lost doorbell costs. One second if zero.
	PollEvery time.Duration
	// Window is how many events a live follower may fall behind; 4096 if zero.
	Window int
	// Keep is how long events are kept; forever if zero.
	Keep time.Duration
	// TrimEvery is how often what is older than Keep is removed; ten minutes if zero.
	TrimEvery time.Duration
}

// Feed is the event sequences of all campaigns.
type Feed struct {
	store     *store.Store
	bus       bus.Bus
	clock     causeway.Clock
	log       *slog.Logger
	pollEvery time.Duration
	window    int64
	keep      time.Duration
	trimEvery time.Duration

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	readers map[causeway.ID]*reader // those with followers
	closed  bool
}

// New is a feed over a migrated database. With Keep it removes old events from now
// on. Close it before the store and the bus.
func New(cfg Config) *Feed {
	f := &Feed{
		store:     cfg.Store,
		bus:       cfg.Bus,
		clock:     cfg.Clock,
		log:       cfg.Log,
		pollEvery: cfg.PollEvery,
		window:    int64(cfg.Window),
		keep:      cfg.Keep,
		trimEvery: cfg.TrimEvery,
		readers:   map[causeway.ID]*reader{},
	}
	if f.clock == nil {
		f.clock = causeway.System{}
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.pollEvery <= 0 {
		f.pollEvery = time.Second
	}
	if f.window <= 0 {
		f.window = 4096
	}
	if f.trimEvery <= 0 {
		f.trimEvery = 10 * time.Minute
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if f.keep > 0 {
		f.running.Go(f.trimNowAndThen)
	}
	return f
}

// Close ends every follower with ErrClosed and returns when nothing of the feed is
// left running. It may come twice.
func (f *Feed) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.running.Wait()
	return nil
}

// Head is the number of the campaign's newest event, 0 before the first. A campaign
// that does not exist is NOT_FOUND.
func (f *Feed) Head(ctx context.Context, campaignID causeway.ID) (int64, error) {
	found, err := f.store.Reader().Campaign.Query().
		Where(campaign.ID(campaignID)).
		Select(campaign.FieldEventSeq).
		Only(ctx)
	if ent.IsNotFound(err) {
		return 0, causeway.Missing().Because(err)
	}
	if err != nil {
		return 0, fmt.Errorf("read the head of %s: %w", campaignID, err)
	}
	return found.EventSeq, nil
}

// topic is what is rung when the campaign has new events.
func topic(campaignID causeway.ID) string { return "feed." + campaignID.String() }
