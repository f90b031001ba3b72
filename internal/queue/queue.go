// Package queue is durable work over rows of a table that it is given: they are
// claimed in order per key, leased, tried again, handed back. It has no table of its
// own and does not know what the work is; the room that owns the rows marks them
// done, in a transaction that Fence guards.
//
// The table carries id, queue_key, next_try_at, attempts and leased_until, a column
// that orders the rows of a key, and a predicate that says which rows wait. Several
// processes may work over one PostgreSQL: a key's rows are in the hands of one worker
// at a time. Handle is called from several goroutines at once; everything else here
// is safe for them too. There is one lock, around what Close and Start decide.
package queue

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"causeway"
	"causeway/internal/store"
)

// Table says which rows are work.
type Table struct {
	// Name of the table.
	Name string
	// Waiting is the predicate of rows that are not done, as the table's partial index
	// on (queue_key, Order) has it: "status = 'PENDING'".
	Waiting string
	// Order is the integer column that orders the rows of one key.
	Order string
	// Before is the integer column of how many of a row's tries are not held against it;
	// empty: none. It is for rows that are put back into the queue long after.
	Before string
}

// Config is what a queue needs.
type Config struct {
	Store *store.Store
	Clock causeway.Clock
	Log   *slog.Logger // none: silent
	Table Table
	// Batch is how many rows one claim takes at most; 256 if it is zero.
	Batch int
	// Workers is how many claims are handled at the same time; 2 if it is zero.
	Workers int
	// LeaseFor is how long a claim is a worker's own; 30 s if it is zero. What takes
	// longer is offered to others, and Fence refuses the late one.
	LeaseFor time.Duration
	// PollEvery is how often to look without having been woken; 1 s if it is zero.
	PollEvery time.Duration
	// Grace is how long Close lets handlers finish before it cancels their context;
	// 10 s if it is zero.
	Grace time.Duration
	// Handle does the work of one claim. The items of one key come in order, and are
	// the oldest of that key that wait. What it leaves as it is will be offered again
	// when the lease ends, so it must be repeatable.
	Handle func(ctx context.Context, items []Item)
}

// Item is a row that was claimed.
type Item struct {
	ID  causeway.ID
	Key string
	// Attempts is how often the row was claimed, this time included, without those that
	// Table.Before says are not held against it.
	Attempts int
	// LeasedUntil is when the row is offered to others. It marks this claim.
	LeasedUntil time.Time
}

// Queue hands out rows.
type Queue struct {
	cfg   Config
	table statements
	wake  chan struct{} // holds a token when there may be something
	slots chan struct{} // holds a token per handler at work

	// The dispatcher's own: the key where the last claim ended, empty at the end, and
	// whether nothing was found since the first key.
	after  string
	barren bool

	mu       sync.Mutex
	started  bool
	closed   bool
	stop     chan struct{} // closed: claim no more
	handling context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// New is a queue that does nothing until Start.
func New(cfg Config) *Queue {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Batch == 0 {
		cfg.Batch = 256
	}
	if cfg.Workers == 0 {
		cfg.Workers = 2
	}
	if cfg.LeaseFor == 0 {
		cfg.LeaseFor = 30 * time.Second
	}
	if cfg.PollEvery == 0 {
		cfg.PollEvery = time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	q := &Queue{
		cfg:   cfg,
		table: newStatements(cfg.Store.Dialect(), cfg.Table),
		wake:  make(chan struct{}, 1),
		slots: make(chan struct{}, cfg.Workers),
		stop:  make(chan struct{}),
	}
	q.handling, q.cancel = context.WithCancel(context.Background())
	return q
}

// Start begins to claim. It does nothing the second time, or after Close. On SQLite,
// where there is one server, it also takes up at once what was in the hands of an
// earlier one that was killed; on PostgreSQL that waits for the end of the lease.
func (q *Queue) Start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started || q.closed {
		return
	}
	q.started = true
	q.running.Go(q.dispatch)
}

// Close claims no more, lets handlers finish for Grace, cancels their context, and
// returns when nothing is running. It may come twice, and before Start.
func (q *Queue) Close() error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.stop)
	}
	q.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		q.running.Wait()
		close(finished)
	}()
	grace := q.cfg.Clock.NewTimer(q.cfg.Grace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C():
	}
	q.cancel()
	<-finished
	return nil
}

// Wake tells that there may be something to do. It never waits.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// dispatch claims for whichever handler is free: one claim at a time per process.
func (q *Queue) dispatch() {
	if err := q.takeUp(q.handling); err != nil && q.handling.Err() == nil {
		q.cfg.Log.Warn("work waits for the leases of an earlier start", "table", q.cfg.Table.Name, "error", err)
	}
	for q.takeSlot() {
		items, more, err := q.claim(q.handling)
		if err != nil {
			q.cfg.Log.Warn("nothing could be claimed", "table", q.cfg.Table.Name, "error", err)
		}
		if len(items) > 0 {
			q.running.Go(func() { q.handle(items) })
			continue
		}
		<-q.slots
		if more && err == nil {
			continue
		}
		if !q.pause() {
			return
		}
	}
}

// takeSlot waits for a handler to be free; false when the queue was closed.
func (q *Queue) takeSlot() bool {
	select {
	case <-q.stop:
		return false
	case q.slots <- struct{}{}:
	}
	select {
	case <-q.stop:
		return false
	default:
		return true
	}
}

// pause waits for a wake-up or the poll; false when the queue was closed.
func (q *Queue) pause() bool {
	poll := q.cfg.Clock.NewTimer(q.cfg.PollEvery)
	defer poll.Stop()
	select {
	case <-q.stop:
		return false
	case <-q.wake:
	case <-poll.C():
	}
	return true
}

// handle runs the handler. A panic that gets here ends this claim only: its rows
// come back when the lease ends.
func (q *Queue) handle(items []Item) {
	defer q.Wake() // more of the same keys may wait
	defer func() { <-q.slots }()
	defer func() {
		if v := recover(); v != nil {
			q.cfg.Log.Error("a handler panicked", "table", q.cfg.Table.Name,
				"panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
	}()
	q.cfg.Handle(q.handling, items)
}
