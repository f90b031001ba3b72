package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/internal/store"
)

const (
	// retentionEvery is how often old logs are looked for.
	retentionEvery = 10 * time.Minute
	// retentionBatch is how many logs one transaction deletes: few enough that a commit
	// of new ones waits some milliseconds for it.
	retentionBatch = 500
)

// RetentionConfig is what a Retention needs.
type RetentionConfig struct {
	Store *store.Store
	Clock causeway.Clock
	Log   *slog.Logger // none: silent
	// Keep is how long logs are kept after they were received.
	Keep time.Duration
}

// Retention deletes logs that are older than Keep, when it starts and every ten
// minutes, a few at a time. Messages stay and lose the reference to their log. What
// still waits to be processed is never deleted.
type Retention struct {
	cfg RetentionConfig

	mu      sync.Mutex
	started bool
	closed  bool
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewRetention is a Retention that does nothing before Start.
func NewRetention(cfg RetentionConfig) *Retention {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Retention{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Start begins to delete. It does nothing the second time, or after Close.
func (r *Retention) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		return
	}
	r.started = true
	r.running.Go(r.run)
}

// Close stops at the next batch and returns when nothing is running. It may come
// twice, and before Start.
func (r *Retention) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.running.Wait()
	return nil
}

func (r *Retention) run() {
	for {
		n, err := r.Sweep(r.ctx)
		if err != nil && r.ctx.Err() == nil {
			r.cfg.Log.Warn("old logs were not deleted", "error", sentence(err))
		}
		if n > 0 {
			r.cfg.Log.Info("old logs were deleted", "logs", n)
		}
		next := r.cfg.Clock.NewTimer(retentionEvery)
		select {
		case <-r.ctx.Done():
			next.Stop()
			return
		case <-next.C():
		}
	}
}

// Sweep deletes what is too old now, and tells how many logs that were.
func (r *Retention) Sweep(ctx context.Context) (int, error) {
	before := r.cfg.Clock.Now().Add(-r.cfg.Keep)
	total := 0
	for {
		n, err := r.deleteSome(ctx, before)
		total += n
		if err != nil || n < retentionBatch {
			return total, err
		}
	}
}

func (r *Retention) deleteSome(ctx context.Context, before time.Time) (n int, err error) {
	err = r.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		b := tx.SQL()
		old := b.Table("webhook_logs")
		some := b.Select(old.C("id")).From(old).
			Where(entsql.And(entsql.LT(old.C("received_at"), before), entsql.NEQ(old.C("status"), "PENDING"))).
			OrderBy(old.C("received_at")).
			Limit(retentionBatch)
		n, err = tx.Run(b.Delete("webhook_logs").Where(entsql.In("id", some)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete old logs: %w", err)
	}
	return n, nil
}
