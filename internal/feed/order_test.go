package feed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// write is one transaction of a plan.
type write struct {
	Campaigns []int // of each event
	Held      int   // statements between Append and commit
	RollBack  bool
}

func drawWrite(t *rapid.T) write {
	return write{
		Campaigns: rapid.SliceOfN(rapid.IntRange(0, 1), 1, 4).Draw(t, "campaigns"),
		Held:      rapid.IntRange(0, 8).Draw(t, "held"),
		RollBack:  rapid.IntRange(0, 4).Draw(t, "rollBack") == 0,
	}
}

var errRolledBack = errors.New("rolled back as planned")

func (w write) run(ctx context.Context, s *store.Store, f *feed.Feed, campaigns []causeway.ID, name string) error {
	err := s.InTx(ctx, func(tx *store.Tx) error {
		for i, c := range w.Campaigns {
			f.Append(tx, feed.Event{
				Campaign: campaigns[c], Kind: feedevent.KindMessage, Change: feed.ChangeAdded,
				Message: causeway.ID(fmt.Sprintf("%s/%d", name, i)),
			})
		}
		tx.BeforeCommit(func() error { // after the numbers were taken
			for range w.Held {
				if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil {
					return err
				}
			}
			if w.RollBack {
				return errRolledBack
			}
			return nil
		})
		return nil
	})
	if w.RollBack && errors.Is(err, errRolledBack) {
		return nil
	}
	return err
}

// TestNobodyMissesAnEventHoweverWritersInterleave lets several writers with
// transactions of every length append to two campaigns while followers of two
// servers, one of which hears no doorbell, begin at every moment.
func TestNobodyMissesAnEventHoweverWritersInterleave(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		servers := []*feed.Feed{
			open(t, feed.Config{Store: s}),
			open(t, feed.Config{Store: s, Bus: deafBus{bus.NewLocal()}, PollEvery: 5 * time.Millisecond}),
		}
		rapid.Check(t, func(t *rapid.T) {
			plan := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawWrite), 1, 3), 2, 4).Draw(t, "writers")
			campaigns := []causeway.ID{campaign(t, s), campaign(t, s)}
			totals := make([]int, len(campaigns))
			for _, writes := range plan {
				for _, w := range writes {
					for _, c := range w.Campaigns {
						if !w.RollBack {
							totals[c]++
						}
					}
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var all errgroup.Group
			for n, writes := range plan {
				all.Go(func() error {
					for i, w := range writes {
						if err := w.run(ctx, s, servers[0], campaigns, fmt.Sprintf("%d/%d", n, i)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			for _, f := range servers {
				for c, id := range campaigns {
					for range 2 {
						all.Go(func() error { return expectAll(ctx, f, id, totals[c]) })
					}
				}
			}
			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// expectAll follows from the beginning until it has seen n events, and checks that
// they are 1 to n and that each of them is a different one.
func expectAll(ctx context.Context, f *feed.Feed, id causeway.ID, n int) error {
	follower, err := f.Follow(ctx, id, 0, feed.Filter{})
	if err != nil {
		return err
	}
	defer follower.Close()
	seen := map[causeway.ID]bool{}
	for want := int64(1); want <= int64(n); want++ {
		event, err := follower.Next(ctx)
		if err != nil {
			return fmt.Errorf("waiting for event %d of %d: %w", want, n, err)
		}
		if event.Seq != want || seen[event.Message] {
			return fmt.Errorf("got event %d (%s) instead of %d", event.Seq, event.Message, want)
		}
		seen[event.Message] = true
	}
	if head, err := f.Head(ctx, id); err != nil || head != int64(n) {
		return fmt.Errorf("head %d, %w, want %d", head, err, n)
	}
	return nil
}

// TestNoCursorStepsOverATransactionThatIsHeldOpen: writers of the same campaign wait
// for it; on PostgreSQL those of another campaign do not.
func TestNoCursorStepsOverATransactionThatIsHeldOpen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		f := open(t, feed.Config{Store: s, PollEvery: time.Millisecond})
		id, other := campaign(t, s), campaign(t, s)
		follower := follow(t, f, id, 0, feed.Filter{})

		holding, release := make(chan struct{}), make(chan struct{})
		var writers errgroup.Group
		writers.Go(func() error {
			return s.InTx(ctx, func(tx *store.Tx) error {
				f.Append(tx, feed.Event{Campaign: id, Kind: feedevent.KindConnection, Connection: "conn_first"})
				tx.BeforeCommit(func() error {
					close(holding)
					<-release
					return nil
				})
				return nil
			})
		})
		<-holding
		second := make(chan struct{})
		writers.Go(func() error {
			defer close(second)
			return s.InTx(ctx, func(tx *store.Tx) error {
				f.Append(tx, feed.Event{Campaign: id, Kind: feedevent.KindConnection, Connection: "conn_second"})
				return nil
			})
		})
		if s.Dialect() == dialect.Postgres {
			elsewhere := follow(t, f, other, 0, feed.Filter{})
			appendEvents(t, s, f, added(other, 1)...)
			wantSeqs(t, next(t, ctx, elsewhere, 1), 1, 1)
			awaitBlockedWriter(t, s)
		}
		select {
		case <-second:
			t.Error("a second writer of the campaign overtook the first")
		default:
		}
		if _, quiet, at, err := follower.NextOr(ctx, 20*time.Millisecond); !quiet || at != 0 || err != nil {
			t.Errorf("while the first transaction is open: quiet %v at %d, %v", quiet, at, err)
		}
		close(release)
		if err := writers.Wait(); err != nil {
			t.Fatal(err)
		}
		for seq, want := range []causeway.ID{"conn_first", "conn_second"} {
			if got, err := follower.Next(ctx); err != nil || got.Connection != want || got.Seq != int64(seq+1) {
				t.Errorf("got %+v, %v, want %s", got, err, want)
			}
		}
	})
}

// awaitBlockedWriter returns once a session of this database waits for a lock.
func awaitBlockedWriter(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := within(t)
	for {
		var blocked int
		err := s.Readers().QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&blocked)
		if err != nil {
			t.Fatalf("no writer waits for the campaign: %v", err)
		}
		if blocked > 0 {
			return
		}
	}
}
