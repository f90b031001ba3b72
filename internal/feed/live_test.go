package feed_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// deafBus is a bus whose rings are all lost.
type deafBus struct{ *bus.Local }

func (deafBus) Publish(string, int64) {}

func TestReplayJoinsTheLiveFeedDuringABurst(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const before, during = 2600, 1500
		ctx := within(t)
		id := campaign(t, s)
		f := open(t, feed.Config{Store: s})
		narrow := open(t, feed.Config{Store: s, Window: 32, PollEvery: time.Millisecond})
		appendEvents(t, s, f, added(id, before)...)

		var all errgroup.Group
		all.Go(func() error {
			for range during / 5 {
				err := s.InTx(ctx, func(tx *store.Tx) error {
					f.Append(tx, added(id, 5)...)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		for _, from := range []int64{0, 1, 499, 500, 501, before - 1, before} {
			for _, server := range []*feed.Feed{f, narrow} {
				all.Go(func() error { return readOn(ctx, server, id, from, before+during) })
			}
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// readOn reads from one position to another and, like a client, follows again from
// the last event when it is overrun.
func readOn(ctx context.Context, f *feed.Feed, id causeway.ID, from, to int64) error {
	for from < to {
		follower, err := f.Follow(ctx, id, from, feed.Filter{})
		if err != nil {
			return err
		}
		last, err := readAllOf(ctx, follower, from, to)
		follower.Close()
		if overrun, ok := errors.AsType[*feed.Overrun](err); ok {
			if overrun.Last != last {
				return fmt.Errorf("overrun after %d says %d", last, overrun.Last)
			}
		} else if err != nil {
			return err
		}
		from = last
	}
	return nil
}

func readAllOf(ctx context.Context, follower *feed.Follower, last, to int64) (int64, error) {
	for last < to {
		event, err := follower.Next(ctx)
		if err != nil {
			return last, err
		}
		if event.Seq != last+1 {
			return last, fmt.Errorf("event %d came after %d", event.Seq, last)
		}
		last = event.Seq
	}
	return last, nil
}

func TestAFollowerThatFallsBehindIsCutOffAndComesBackForTheRest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		f := open(t, feed.Config{Store: s, Window: 8})
		id := campaign(t, s)
		slow := follow(t, f, id, 0, feed.Filter{})
		picky := follow(t, f, id, 0, feed.Filter{Kind: feedevent.KindConnection})
		appendEvents(t, s, f, added(id, 3)...)
		wantSeqs(t, next(t, ctx, slow, 3), 1, 3)
		appendEvents(t, s, f, added(id, 20)...)

		_, err := slow.Next(ctx)
		overrun, ok := errors.AsType[*feed.Overrun](err)
		if !ok || overrun.Last != 3 || causeway.CodeOf(err) != causeway.FeedOverrun {
			t.Fatalf("got %v, want FEED_OVERRUN after 3", err)
		}
		if _, err := picky.Next(ctx); causeway.CodeOf(err) != causeway.FeedOverrun {
			t.Errorf("a follower that wanted nothing of it got %v, want FEED_OVERRUN", err)
		}
		back := follow(t, f, id, overrun.Last, feed.Filter{})
		wantSeqs(t, next(t, ctx, back, 20), 4, 23)
	})
}

func TestALostDoorbellCostsAtMostOnePoll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		clock := newClock()
		f := open(t, feed.Config{Store: s, Bus: deafBus{bus.NewLocal()}, Clock: clock, PollEvery: time.Second})
		id := campaign(t, s)
		follower := follow(t, f, id, 0, feed.Filter{})
		clock.awaitTimer(t, time.Second) // the reader has looked and waits
		appendEvents(t, s, f, added(id, 2)...)
		clock.turn(time.Second)
		wantSeqs(t, next(t, ctx, follower, 2), 1, 2)
	})
}

func TestADoorbellNeedsNoPoll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock() // never turned
		f := open(t, feed.Config{Store: s, Clock: clock})
		id := campaign(t, s)
		follower := follow(t, f, id, 0, feed.Filter{})
		clock.awaitTimer(t, time.Second)
		appendEvents(t, s, f, added(id, 2)...)
		wantSeqs(t, next(t, within(t), follower, 2), 1, 2)
	})
}

func TestSilenceTellsHowFarTheFeedIsComplete(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		clock := newClock()
		f := open(t, feed.Config{Store: s, Clock: clock, PollEvery: time.Hour})
		id := campaign(t, s)
		everything := follow(t, f, id, 0, feed.Filter{})
		connections := follow(t, f, id, 0, feed.Filter{Kind: feedevent.KindConnection})
		appendEvents(t, s, f, added(id, 3)...)
		wantSeqs(t, next(t, ctx, everything, 3), 1, 3)

		var waiting errgroup.Group
		for _, follower := range []*feed.Follower{everything, connections} {
			waiting.Go(func() error {
				_, quiet, at, err := follower.NextOr(ctx, 30*time.Second)
				if !quiet || at != 3 || err != nil {
					return fmt.Errorf("quiet %v at %d, %w, want quiet at 3", quiet, at, err)
				}
				return nil
			})
		}
		clock.awaitTimers(t, 30*time.Second, 2)
		clock.turn(30 * time.Second)
		if err := waiting.Wait(); err != nil {
			t.Error(err)
		}

		appendEvents(t, s, f, feed.Event{Campaign: id, Kind: feedevent.KindConnection, Connection: "conn_a"})
		event, quiet, at, err := connections.NextOr(ctx, 30*time.Second)
		if event.Seq != 4 || quiet || at != 4 || err != nil {
			t.Errorf("event %d, quiet %v at %d, %v, want event 4", event.Seq, quiet, at, err)
		}
	})
}

func TestACallThatIsGivenUpLosesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := open(t, feed.Config{Store: s})
		id := campaign(t, s)
		follower := follow(t, f, id, 0, feed.Filter{})
		given, up := context.WithCancel(context.Background())
		up()
		if _, err := follower.Next(given); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
		appendEvents(t, s, f, added(id, 2)...)
		wantSeqs(t, next(t, within(t), follower, 2), 1, 2)
	})
}

func TestFollowersComeAndGoWhileEventsCome(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		f := open(t, feed.Config{Store: s, PollEvery: 10 * time.Millisecond})
		campaigns := []causeway.ID{campaign(t, s), campaign(t, s)}
		written := make(chan struct{})
		var all errgroup.Group
		all.Go(func() error {
			defer close(written)
			for i := range 100 {
				err := s.InTx(ctx, func(tx *store.Tx) error {
					f.Append(tx, added(campaigns[i%2], 2)...)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		for i := range 16 {
			all.Go(func() error {
				for {
					select {
					case <-written:
						return nil
					default:
					}
					if err := glance(ctx, f, campaigns[i%2]); err != nil {
						return err
					}
				}
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// glance follows from the head for a moment, while somebody else closes.
func glance(ctx context.Context, f *feed.Feed, id causeway.ID) error {
	head, err := f.Head(ctx, id)
	if err != nil {
		return err
	}
	follower, err := f.Follow(ctx, id, head, feed.Filter{})
	if err != nil {
		return err
	}
	var closing sync.WaitGroup
	defer closing.Wait()
	for range 3 {
		event, quiet, _, err := follower.NextOr(ctx, time.Millisecond)
		switch {
		case errors.Is(err, feed.ErrClosed):
			return nil
		case err != nil:
			return err
		case !quiet && event.Seq != head+1:
			return fmt.Errorf("event %d came after %d", event.Seq, head)
		case !quiet:
			head++
			closing.Go(follower.Close)
		}
	}
	follower.Close()
	return nil
}

func TestCloseEndsEveryFollower(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		clock := newClock()
		f := open(t, feed.Config{Store: s, Clock: clock, Keep: time.Hour})
		id := campaign(t, s)
		ended := make(chan error)
		for range 3 {
			follower := follow(t, f, id, 0, feed.Filter{})
			go func() {
				_, _, _, err := follower.NextOr(ctx, 42*time.Second)
				ended <- err
			}()
		}
		clock.awaitTimers(t, 42*time.Second, 3)
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		for range 3 {
			if err := <-ended; !errors.Is(err, feed.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		if _, err := f.Follow(ctx, id, 0, feed.Filter{}); !errors.Is(err, feed.ErrClosed) {
			t.Errorf("Follow after Close: %v, want ErrClosed", err)
		}
	})
}

func TestACampaignThatNobodyFollowsCostsNothing(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := storetest.SQLite(t)
	f := open(t, feed.Config{Store: s, Clock: clock})
	id := campaign(t, s)
	one, two := follow(t, f, id, 0, feed.Filter{}), follow(t, f, id, 0, feed.Filter{})
	clock.awaitTimer(t, time.Second)
	one.Close()
	one.Close()
	appendEvents(t, s, f, added(id, 1)...)
	wantSeqs(t, next(t, within(t), two, 1), 1, 1)
	two.Close()
	clock.awaitNoTimer(t)
	if _, err := two.Next(within(t)); !errors.Is(err, feed.ErrClosed) {
		t.Errorf("a closed follower's Next: %v, want ErrClosed", err)
	}
}
