package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"causeway"
)

// Overrun is the error that ends a follower which fell more than Window events
// behind after it had caught up. It lost nothing: follow again from Last. Its code is
// FEED_OVERRUN.
type Overrun struct {
	Campaign causeway.ID
	// Last is the number of the last event delivered; where the follower began if
	// there was none.
	Last int64
}

// Error tells where to go on.
func (o *Overrun) Error() string {
	return fmt.Sprintf("%s: the follower of %s fell behind after event %d", causeway.FeedOverrun, o.Campaign, o.Last)
}

// Unwrap is the error's code.
func (o *Overrun) Unwrap() error { return causeway.Fail(causeway.FeedOverrun) }

// Follower is a place in a campaign's sequence. Close it.
type Follower struct {
	feed   *Feed
	reader *reader
	want   Filter

	at   int64 // everything wanted up to here was delivered, but for page
	last int64 // number of the last event delivered
	page []Event
	// live is whether the follower has once had everything there was. Until then it
	// may be any distance behind.
	live bool

	closed chan struct{}
	close  sync.Once
}

// Follow begins after position from: a cursor's number, or the head that the caller
// read when it checked that the viewer may see the campaign, which Follow does not.
// The follower gets every event after it that the filter wants, once each and in
// order: first what is there, then what comes.
//
// It is FEED_TRIMMED if something that the filter wants was removed after from, or if
// the sequence has not got as far as from; NOT_FOUND if there is no such campaign.
func (f *Feed) Follow(ctx context.Context, campaignID causeway.ID, from int64, want Filter) (*Follower, error) {
	head, err := f.Head(ctx, campaignID)
	if err != nil {
		return nil, err
	}
	if from < 0 || from > head {
		return nil, causeway.Fail(causeway.FeedTrimmed)
	}
	r, err := f.join(campaignID, head)
	if err != nil {
		return nil, err
	}
	w := &Follower{feed: f, reader: r, want: want, at: from, last: from, closed: make(chan struct{})}
	if err := w.begin(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// begin refuses a position from which something is missing, now and not at the first
// event, and passes over what was removed and is not wanted.
func (w *Follower) begin(ctx context.Context) error {
	ring := w.reader.ring.Load()
	w.live = w.at >= ring.head()
	if ring.covers(w.at) {
		return nil
	}
	trims, err := w.feed.trims(ctx, w.reader.campaign, w.want)
	if err != nil {
		return err
	}
	if trims.wanted > w.at {
		return causeway.Fail(causeway.FeedTrimmed)
	}
	w.at = max(w.at, trims.any)
	return nil
}

// Next waits for the next event that the filter wants. An *Overrun, FEED_TRIMMED
// and ErrClosed end the follower for good; after any other error, such as the end of
// ctx or trouble with the database, Next can be called again and nothing is missed.
func (w *Follower) Next(ctx context.Context) (Event, error) {
	event, _, err := w.next(ctx, nil)
	return event, err
}

// NextOr is Next, but waits no longer than d: then quiet is true and there is no
// event. At is the position up to which the feed is complete: that of the event, or
// further if it is known that nothing wanted lies between.
func (w *Follower) NextOr(ctx context.Context, d time.Duration) (event Event, quiet bool, at int64, err error) {
	silence := w.feed.clock.NewTimer(d)
	defer silence.Stop()
	event, quiet, err = w.next(ctx, silence.C())
	if len(w.page) > 0 {
		return event, quiet, w.last, err
	}
	return event, quiet, w.at, err
}

// Close ends the follower: a Next that waits returns ErrClosed. It may come twice and
// from another goroutine.
func (w *Follower) Close() {
	w.close.Do(func() {
		close(w.closed)
		w.feed.leave(w.reader)
	})
}

func (w *Follower) next(ctx context.Context, silence <-chan time.Time) (event Event, quiet bool, err error) {
	for {
		if w.ended() {
			return Event{}, false, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return Event{}, false, err
		}
		ring := w.reader.ring.Load()
		if w.live && ring.head()-w.at > w.feed.window {
			return Event{}, false, &Overrun{Campaign: w.reader.campaign, Last: w.last}
		}
		if event, ok := w.take(ring); ok {
			return event, false, nil
		}
		if !ring.covers(w.at) {
			w.page, w.at, err = w.feed.replay(ctx, w.reader.campaign, w.want, w.at, ring.first-1)
			if err != nil {
				return Event{}, false, err
			}
			continue
		}
		w.live = true
		select {
		case <-ring.over:
		case <-silence:
			// What came at the same moment counts, wanted or passed over.
			event, ok := w.take(w.reader.ring.Load())
			return event, !ok, nil
		case <-ctx.Done():
		case <-w.closed:
		case <-w.feed.ctx.Done():
		}
	}
}

func (w *Follower) ended() bool {
	select {
	case <-w.closed:
		return true
	case <-w.feed.ctx.Done():
		return true
	default:
		return false
	}
}

// take is the next wanted event of the page that was replayed, or else of the ring.
// Without one it has passed over everything the ring has.
func (w *Follower) take(ring *ring) (Event, bool) {
	if len(w.page) > 0 {
		event := w.page[0]
		w.page = w.page[1:]
		w.last = event.Seq
		return event, true
	}
	if !ring.covers(w.at) {
		return Event{}, false
	}
	for _, event := range ring.after(w.at) {
		w.at = event.Seq
		if w.want.Match(event) {
			w.last = event.Seq
			return event, true
		}
	}
	return Event{}, false
}
