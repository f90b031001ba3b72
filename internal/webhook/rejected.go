package webhook

import (
	"context"
	"maps"
	"sync"
	"time"

	"causeway"
)

const (
	// rejectedEvery is how often refusals are written down at most.
	rejectedEvery = time.Second
	// rejectedWithin bounds one writing.
	rejectedWithin = 5 * time.Second
)

// Rejected writes down how many requests to a connection's address were turned away.
type Rejected interface {
	// AddRejected adds to the connections' counts. What it answers with an error is
	// added again later.
	AddRejected(ctx context.Context, counts map[causeway.ID]int) error
}

// rejections gathers refusals, so that a flood of them costs one write a second.
type rejections struct {
	cfg  Config
	news chan struct{} // holds a token when something was counted
	stop chan struct{}

	mu      sync.Mutex
	counts  map[causeway.ID]int
	started bool
	closed  bool
	running sync.WaitGroup
}

func newRejections(cfg Config) *rejections {
	return &rejections{
		cfg:    cfg,
		news:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		counts: map[causeway.ID]int{},
	}
}

func (r *rejections) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed || r.cfg.Rejected == nil {
		return
	}
	r.started = true
	r.running.Go(r.run)
}

func (r *rejections) close() error {
	r.mu.Lock()
	started := r.started
	if !r.closed {
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	r.running.Wait()
	if !started {
		return nil
	}
	return r.flush()
}

// add counts one refusal. Only connections that exist are counted, so the table is
// as long as theirs.
func (r *rejections) add(connection causeway.ID) {
	if r.cfg.Rejected == nil {
		return
	}
	r.mu.Lock()
	r.counts[connection]++
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *rejections) run() {
	for {
		select {
		case <-r.stop:
			return
		case <-r.news:
		}
		if err := r.flush(); err != nil {
			r.cfg.Log.Warn("refused webhooks were not counted", "error", err)
		}
		pause := r.cfg.Clock.NewTimer(rejectedEvery)
		select {
		case <-r.stop:
			pause.Stop()
			return
		case <-pause.C():
		}
	}
}

// flush writes down what was counted, and keeps it when that does not succeed.
func (r *rejections) flush() error {
	r.mu.Lock()
	counts := r.counts
	r.counts = map[causeway.ID]int{}
	r.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), rejectedWithin)
	defer cancel()
	err := r.cfg.Rejected.AddRejected(ctx, maps.Clone(counts))
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range counts {
		r.counts[id] += n
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
	return err
}
