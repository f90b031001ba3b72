package feed

import (
	"context"
	"sync/atomic"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/internal/bus"
)

// pageRows is how many events are read from the table at once.
const pageRows = 500

// reader keeps one campaign's ring filled for as long as the campaign is followed.
type reader struct {
	feed     *Feed
	campaign causeway.ID
	ring     atomic.Pointer[ring]
	cancel   context.CancelFunc

	followers int // guarded by feed.mu
}

// join counts one more follower of the campaign, and starts its reader for the first
// one. head is a number that the sequence has reached.
func (f *Feed) join(campaignID causeway.ID, head int64) (*reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	r, running := f.readers[campaignID]
	if !running {
		ctx, cancel := context.WithCancel(f.ctx)
		r = &reader{feed: f, campaign: campaignID, cancel: cancel}
		r.ring.Store(emptyRing(head))
		f.readers[campaignID] = r
		f.running.Go(func() { r.run(ctx) })
	}
	r.followers++
	return r, nil
}

// leave counts one follower less; the last one stops the reader.
func (f *Feed) leave(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.followers--
	if r.followers == 0 {
		delete(f.readers, r.campaign)
		r.cancel()
	}
}

// run reads what is new when the bus rings, and every PollEvery.
func (r *reader) run(ctx context.Context) {
	bell := r.feed.bus.Subscribe(topic(r.campaign))
	defer bell.Close()
	for {
		if err := r.fill(ctx); err != nil && ctx.Err() == nil {
			r.feed.log.WarnContext(ctx, "reading new events was put off", "campaign", r.campaign, "error", err)
		}
		if !r.wait(ctx, bell) {
			return
		}
	}
}

// wait returns true when it is time to look again, false when ctx ends.
func (r *reader) wait(ctx context.Context, bell *bus.Doorbell) bool {
	poll := r.feed.clock.NewTimer(r.feed.pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-poll.C():
			return true
		case <-bell.C():
			if seq := bell.Take().Seq; seq == 0 || seq > r.ring.Load().head() {
				return true
			}
		}
	}
}

// fill moves everything that is new from the table into the ring, page by page, so
// that followers begin while the rest is read.
func (r *reader) fill(ctx context.Context) error {
	for {
		now := r.ring.Load()
		news, err := r.feed.page(ctx, r.campaign, Filter{}, feedevent.SeqGT(now.head()))
		if err != nil {
			return err
		}
		if len(news) == 0 {
			return nil
		}
		r.ring.Store(now.with(news, r.feed.window))
		close(now.over)
		if len(news) < pageRows {
			return nil
		}
	}
}
