package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/queue"
	"causeway/internal/store"
)

// triesOfAnother is after how many tries an update is given up that fails for another
// reason than trouble of ours.
const triesOfAnother = 2

// Outcome is what became of one log.
type Outcome struct {
	// Ignored: nothing in the update concerns this system, or its kind is not known.
	Ignored bool
	// Duplicate: all that is in the update was applied before. It is for updates that the
	// platform does not number; Intake itself knows the others.
	Duplicate bool
	// Err: the update cannot be applied. It becomes the log's error, so it repeats
	// nothing of the update.
	Err error
}

// ProcessorConfig is what a Processor needs.
type ProcessorConfig struct {
	Store *store.Store
	Bus   bus.Bus
	Clock causeway.Clock
	Log   *slog.Logger // none: silent
	// Apply understands logs, in the order given, and writes what they mean in tx. It
	// answers one outcome for each. It must be repeatable: what it was given once may
	// be given again, alone or among others, after its transaction did not commit.
	Apply func(tx *store.Tx, logs []*ent.WebhookLog) ([]Outcome, error)
	// Batch is how many logs one transaction applies at most; 256 if it is zero.
	Batch int
	// Workers, LeaseFor, PollEvery and Grace are those of queue.Config.
	Workers   int
	LeaseFor  time.Duration
	PollEvery time.Duration
	Grace     time.Duration
}

// Processor applies what Intake stored, in order per chat: a whole claim in one
// transaction and, if that fails, each log in its own, so that one bad update harms
// nobody else. A log that fails is tried again while its chat waits; it becomes FAILED
// at the second try, or at the eighth, about two minutes later, when the trouble is
// ours.
type Processor struct {
	cfg   ProcessorConfig
	queue *queue.Queue

	mu      sync.Mutex
	started bool
	closed  bool
	stop    chan struct{}
	running sync.WaitGroup
}

// NewProcessor is a Processor that does nothing before Start.
func NewProcessor(cfg ProcessorConfig) *Processor {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Processor{cfg: cfg, stop: make(chan struct{})}
	p.queue = queue.New(queue.Config{
		Store:     cfg.Store,
		Clock:     cfg.Clock,
		Log:       cfg.Log,
		Table:     queue.Table{Name: "webhook_logs", Waiting: "status = 'PENDING'", Order: "position", Before: "attempts_before"},
		Batch:     cfg.Batch,
		Workers:   cfg.Workers,
		LeaseFor:  cfg.LeaseFor,
		PollEvery: cfg.PollEvery,
		Grace:     cfg.Grace,
		Handle:    p.handle,
	})
	return p
}

// Start begins to apply. It does nothing the second time, or after Close.
func (p *Processor) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started || p.closed {
		return
	}
	p.started = true
	bell := p.cfg.Bus.Subscribe(TopicLogs)
	p.running.Go(func() {
		defer bell.Close()
		for {
			select {
			case <-p.stop:
				return
			case <-bell.C():
				bell.Take()
				p.queue.Wake()
			}
		}
	})
	p.queue.Start()
}

// Close finishes what is being applied and returns when nothing is running. It may
// come twice, and before Start.
func (p *Processor) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	p.mu.Unlock()
	err := p.queue.Close()
	p.running.Wait()
	return err
}

// handle applies one claim. What failed before is applied alone, so that it does not
// make the rest of the claim start over.
func (p *Processor) handle(ctx context.Context, items []queue.Item) {
	suspects := map[string]bool{}
	for _, item := range items {
		if item.Attempts > 1 {
			suspects[item.Key] = true
		}
	}
	var fresh, rest []queue.Item
	for _, item := range items {
		if suspects[item.Key] {
			rest = append(rest, item)
			continue
		}
		fresh = append(fresh, item)
	}
	if len(fresh) > 0 {
		if err := p.apply(ctx, fresh); err != nil {
			if errors.Is(err, queue.ErrLeaseLost) || ctx.Err() != nil {
				return
			}
			p.cfg.Log.Debug("a claim is applied one by one", "logs", len(fresh), "error", sentence(err))
			rest = append(fresh, rest...)
		}
	}
	p.oneByOne(ctx, rest)
}

// oneByOne applies each item in a transaction of its own. When one is to be tried
// again, the rest of its key is handed back.
func (p *Processor) oneByOne(ctx context.Context, items []queue.Item) {
	for len(items) > 0 && ctx.Err() == nil {
		item := items[0]
		items = items[1:]
		err := p.applyOne(ctx, item)
		if err == nil {
			continue
		}
		if errors.Is(err, queue.ErrLeaseLost) || ctx.Err() != nil {
			return
		}
		var later []queue.Item
		later, items = part(items, item.Key)
		again, err := p.fail(ctx, item, later, err)
		if err != nil {
			// Not even that could be written. The rest comes back when the lease ends.
			p.cfg.Log.Warn("a log's failure was not recorded", "log", item.ID, "error", sentence(err))
			return
		}
		if !again {
			items = slices.Concat(later, items)
		}
	}
}

// part takes the items of a key out of the others.
func part(items []queue.Item, key string) (of, others []queue.Item) {
	for _, item := range items {
		if item.Key == key {
			of = append(of, item)
			continue
		}
		others = append(others, item)
	}
	return of, others
}

// applyOne applies an item, unless its tries are used up: then whoever tried it last
// did not live to tell.
func (p *Processor) applyOne(ctx context.Context, item queue.Item) error {
	if item.Attempts > queue.MaxTries {
		return errors.New("no try came to an end")
	}
	return p.apply(ctx, []queue.Item{item})
}

// apply applies items in one transaction, which also marks their logs. An error means
// that nothing of it happened.
func (p *Processor) apply(ctx context.Context, items []queue.Item) error {
	began := time.Now() // a duration of the machine's, whatever the clock says
	var connections []causeway.ID
	err := p.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		if err := p.queue.Fence(tx, items...); err != nil {
			return err
		}
		logs, err := read(tx, items)
		if err != nil {
			return err
		}
		connections = connectionsOf(logs)
		outcomes, err := p.guarded(tx, logs)
		if err != nil {
			return err
		}
		return p.mark(tx, logs, outcomes, time.Since(began))
	})
	if err != nil {
		return err
	}
	for i, item := range items {
		_ = p.cfg.Bus.Hint(LogTopic(connections[i]), []byte(item.ID)) // lossy by design
	}
	return nil
}

// guarded calls Apply; a panic in it is an error, and so is an outcome that is one.
func (p *Processor) guarded(tx *store.Tx, logs []*ent.WebhookLog) (outcomes []Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.cfg.Log.Error("applying updates panicked", "logs", len(logs), "first", logs[0].ID,
				"panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			outcomes, err = nil, panicked{kind: fmt.Sprintf("%T", v)}
		}
	}()
	outcomes, err = p.cfg.Apply(tx, logs)
	if err != nil {
		return nil, err
	}
	if len(outcomes) != len(logs) {
		return nil, fmt.Errorf("%d outcomes for %d logs", len(outcomes), len(logs))
	}
	for _, o := range outcomes {
		if o.Err != nil {
			return nil, o.Err
		}
	}
	return outcomes, nil
}

// read reads the logs of items, in their order.
func read(tx *store.Tx, items []queue.Item) ([]*ent.WebhookLog, error) {
	ids := make([]causeway.ID, len(items))
	for i, item := range items {
		ids[i] = item.ID
	}
	found, err := tx.WebhookLog.Query().Where(webhooklog.IDIn(ids...)).All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	byID := make(map[causeway.ID]*ent.WebhookLog, len(found))
	for _, log := range found {
		byID[log.ID] = log
	}
	logs := make([]*ent.WebhookLog, len(items))
	for i, id := range ids {
		if byID[id] == nil {
			return nil, queue.ErrLeaseLost // deleted meanwhile
		}
		logs[i] = byID[id]
	}
	return logs, nil
}

func connectionsOf(logs []*ent.WebhookLog) []causeway.ID {
	ids := make([]causeway.ID, len(logs))
	for i, log := range logs {
		ids[i] = log.ConnectionID
	}
	return ids
}

// mark sets the logs PROCESSED, IGNORED or DUPLICATE.
func (p *Processor) mark(tx *store.Tx, logs []*ent.WebhookLog, outcomes []Outcome, took time.Duration) error {
	var processed, ignored, again []causeway.ID
	for i, log := range logs {
		switch {
		case outcomes[i].Ignored:
			ignored = append(ignored, log.ID)
		case outcomes[i].Duplicate:
			again = append(again, log.ID)
		default:
			processed = append(processed, log.ID)
		}
	}
	if err := p.finish(tx, webhooklog.StatusProcessed, processed, took); err != nil {
		return err
	}
	if err := p.finish(tx, webhooklog.StatusIgnored, ignored, took); err != nil {
		return err
	}
	return p.finish(tx, webhooklog.StatusDuplicate, again, took)
}

func (p *Processor) finish(tx *store.Tx, status webhooklog.Status, ids []causeway.ID, took time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	n, err := tx.WebhookLog.Update().
		Where(webhooklog.IDIn(ids...), webhooklog.StatusEQ(webhooklog.StatusPending)).
		SetStatus(status).
		SetProcessedAt(p.cfg.Clock.Now()).
		SetDurationMs(milliseconds(took)).
		ClearError().
		ClearLeasedUntil().
		Save(tx.Context())
	if err != nil {
		return fmt.Errorf("mark logs %s: %w", status, err)
	}
	if n != len(ids) {
		return queue.ErrLeaseLost
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
