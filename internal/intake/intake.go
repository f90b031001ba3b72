// Package intake keeps raw updates: it stores what a platform posted or what was
// fetched, many in one commit, before anybody is told that it arrived; hands what is
// stored to whoever understands it, in order per chat; and deletes what is old. It
// does not know what an update means, and HTTP does not enter.
//
// Intake has one goroutine that commits. While a commit runs, the next batch gathers,
// so batches grow with the load by themselves. Everything exported is safe for
// several goroutines. There is one lock, around what waits to be committed.
package intake

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/internal/bus"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// TopicLogs is rung after logs were stored.
const TopicLogs = "logs"

// LogTopic is where the id of a connection's log is hinted when the log was stored
// and when it was processed.
func LogTopic(connection causeway.ID) string { return "log." + string(connection) }

const (
	batchRows  = 512
	batchBytes = 8 << 20
	// waitingBytes bounds the bodies that wait for their commit.
	waitingBytes = 64 << 20
	// addWait is how long Add waits for its commit. Platforms give up after ten
	// seconds and more, and what is refused comes again.
	addWait = 10 * time.Second
)

// ErrBusy is what Add answers when what it was given is not stored in time: the queue
// is full, the database does not answer, or the server stops. The same can succeed a
// little later.
var ErrBusy = causeway.Fail(causeway.RateLimited).CanRetry()

// Entry is one raw update and whose it is.
type Entry struct {
	Campaign   causeway.ID
	Connection causeway.ID
	Account    string // external id of the page or bot
	Envelope   platform.Envelope
	Body       []byte
	Test       bool // the server posted it to itself
}

// Batch is what is stored together or not at all: what one fetch of a poller brought.
type Batch struct {
	Entries []Entry
	// PollOffset becomes poll_offset of Connection in the same transaction; nil leaves
	// it. Confirm it to the platform only after AddBatch has returned nil.
	PollOffset *int64
	Connection causeway.ID
}

// Config is what an Intake needs.
type Config struct {
	Store *store.Store
	Bus   bus.Bus
	Clock causeway.Clock
	Log   *slog.Logger // none: silent
	// MaxWaiting is how many updates may wait for their commit; 4096 if it is zero.
	MaxWaiting int
}

// Intake stores raw updates.
type Intake struct {
	cfg    Config
	filled chan struct{} // holds a token when something waits
	spare  sync.Pool     // of *delivery
	last   int64         // position of the latest log; the committing goroutine's own

	mu      sync.Mutex
	waiting []*delivery
	rows    int // of those waiting
	bytes   int
	started bool
	closed  bool
	running sync.WaitGroup
}

// delivery is what one Add waits for. Its batch is nobody else's until done has it.
type delivery struct {
	batch Batch
	one   [1]Entry
	at    time.Time
	bytes int
	done  chan error
}

// New is an Intake that stores nothing before Start.
func New(cfg Config) *Intake {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = 4096
	}
	return &Intake{
		cfg:    cfg,
		filled: make(chan struct{}, 1),
		spare:  sync.Pool{New: func() any { return &delivery{done: make(chan error, 1)} }},
	}
}

// Start begins to commit. It does nothing the second time, or after Close.
func (in *Intake) Start() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.started || in.closed {
		return
	}
	in.started = true
	in.running.Go(in.run)
}

// Close takes nothing more, commits what waits, and returns when nothing is running.
// It may come twice, and before Start.
func (in *Intake) Close() error {
	in.mu.Lock()
	in.closed = true
	for !in.started && len(in.waiting) > 0 {
		refuse(in.take())
	}
	in.mu.Unlock()
	in.wake()
	in.running.Wait()
	return nil
}

// Add stores an update and returns nil once it is durable: PENDING, or as a DUPLICATE
// of one that was stored before. ErrBusy means that it may not be stored, and that the
// same can succeed later; another error, that this very update is refused. An update
// that was given up at the last moment can turn out to be stored all the same; when it
// is added again it is a duplicate. After an error the body must not be changed.
func (in *Intake) Add(ctx context.Context, entry Entry) error {
	d := in.spare.Get().(*delivery)
	d.one[0] = entry
	d.batch = Batch{Entries: d.one[:]}
	return in.deliver(ctx, d)
}

// AddBatch stores updates, and the poll offset with them, as Add stores one.
func (in *Intake) AddBatch(ctx context.Context, batch Batch) error {
	d := in.spare.Get().(*delivery)
	d.batch = batch
	return in.deliver(ctx, d)
}

func (in *Intake) deliver(ctx context.Context, d *delivery) error {
	d.at = in.cfg.Clock.Now()
	d.bytes = 0
	for i := range d.batch.Entries {
		d.bytes += len(d.batch.Entries[i].Body)
	}
	if !in.enqueue(d) {
		return ErrBusy
	}
	timeout := in.cfg.Clock.NewTimer(addWait)
	defer timeout.Stop()
	select {
	case err := <-d.done:
		d.batch, d.one[0] = Batch{}, Entry{}
		in.spare.Put(d)
		return err
	case <-ctx.Done():
		in.withdraw(d)
		return ErrBusy.Because(ctx.Err())
	case <-timeout.C():
		in.withdraw(d)
		return ErrBusy
	}
}

func (in *Intake) enqueue(d *delivery) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := len(d.batch.Entries)
	full := in.rows > 0 && (in.rows+n > in.cfg.MaxWaiting || in.bytes+d.bytes > waitingBytes)
	if in.closed || full {
		return false
	}
	in.waiting = append(in.waiting, d)
	in.rows += n
	in.bytes += d.bytes
	in.wake()
	return true
}

// withdraw takes back what is not being committed yet.
func (in *Intake) withdraw(d *delivery) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if i := slices.Index(in.waiting, d); i >= 0 {
		in.waiting = slices.Delete(in.waiting, i, i+1)
		in.rows -= len(d.batch.Entries)
		in.bytes -= d.bytes
	}
}

func (in *Intake) wake() {
	select {
	case in.filled <- struct{}{}:
	default:
	}
}

// run commits what waits until the Intake is closed and nothing waits.
func (in *Intake) run() {
	for range in.filled {
		for {
			in.mu.Lock()
			batch, closed := in.take(), in.closed
			in.mu.Unlock()
			if len(batch) == 0 && closed {
				return
			}
			if len(batch) == 0 {
				break
			}
			in.commit(batch)
		}
	}
}

// take removes the oldest that wait, as many as go into one commit, and at least one.
func (in *Intake) take() []*delivery {
	n, rows, bytes := 0, 0, 0
	for _, d := range in.waiting {
		if n > 0 && (rows+len(d.batch.Entries) > batchRows || bytes+d.bytes > batchBytes) {
			break
		}
		n++
		rows += len(d.batch.Entries)
		bytes += d.bytes
	}
	batch := slices.Clone(in.waiting[:n])
	in.waiting = slices.Delete(in.waiting, 0, n)
	in.rows -= rows
	in.bytes -= bytes
	return batch
}

// commit stores a batch and answers everybody in it. One delivery that the database
// refuses fails its batch; then each is stored alone, and only that one fails.
func (in *Intake) commit(batch []*delivery) {
	err := in.store(batch)
	if err != nil && len(batch) > 1 && !OurTrouble(err) {
		for _, d := range batch {
			in.commit([]*delivery{d})
		}
		return
	}
	if err != nil {
		in.cfg.Log.Warn("updates were not stored", "deliveries", len(batch), "error", sentence(err))
	}
	if err != nil && OurTrouble(err) {
		err = ErrBusy.Because(err)
	}
	for _, d := range batch {
		d.done <- err
	}
}

// refuse answers those who wait that nothing was stored.
func refuse(batch []*delivery) {
	for _, d := range batch {
		d.done <- ErrBusy.Because(errors.New("the server stops"))
	}
}
