package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open is a feed with a bus of its own, both closed at the end.
func open(t testing.TB, cfg feed.Config) *feed.Feed {
	t.Helper()
	if cfg.Bus == nil {
		local := bus.NewLocal()
		t.Cleanup(func() { _ = local.Close() })
		cfg.Bus = local
	}
	f := feed.New(cfg)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// fataler is *testing.T or *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func campaign(t fataler, s *store.Store) causeway.ID {
	t.Helper()
	id := causeway.NewID(causeway.PrefixCampaign)
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		return tx.Campaign.Create().SetID(id).SetName("Spring").
			SetCreatedAt(causeway.System{}.Now()).Exec(tx.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func appendEvents(t fataler, s *store.Store, f *feed.Feed, events ...feed.Event) {
	t.Helper()
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		f.Append(tx, events...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// added are n events about new messages.
func added(campaignID causeway.ID, n int) []feed.Event {
	events := make([]feed.Event, n)
	for i := range events {
		events[i] = feed.Event{
			Campaign: campaignID, Kind: feedevent.KindMessage, Change: feed.ChangeAdded,
			Conversation: "conv_a", Message: causeway.ID(fmt.Sprintf("msg_%d", i)),
		}
	}
	return events
}

func follow(t testing.TB, f *feed.Feed, campaignID causeway.ID, from int64, want feed.Filter) *feed.Follower {
	t.Helper()
	follower, err := f.Follow(within(t), campaignID, from, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(follower.Close)
	return follower
}

// next are the numbers of the follower's next n events.
func next(t fataler, ctx context.Context, follower *feed.Follower, n int) []int64 {
	t.Helper()
	var seqs []int64
	for len(seqs) < n {
		event, err := follower.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(seqs), n, err)
		}
		seqs = append(seqs, event.Seq)
	}
	return seqs
}

func wantSeqs(t fataler, got []int64, first, last int64) {
	t.Helper()
	var want []int64
	for seq := first; seq <= last; seq++ {
		want = append(want, seq)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events %v, want %d to %d", got, first, last)
	}
}

func TestAnEventArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := open(t, feed.Config{Store: s, Clock: clock})
		id := campaign(t, s)
		events := []feed.Event{
			{Campaign: id, Kind: feedevent.KindMessage, Change: "STATUS", Status: "SENT", Conversation: "conv_a", Message: "msg_a"},
			{Campaign: id, Kind: feedevent.KindConversation, Change: feed.ChangeCreated, Conversation: "conv_a"},
			{Campaign: id, Kind: feedevent.KindConnection, Connection: "conn_a"},
		}
		live := follow(t, f, id, 0, feed.Filter{})
		appendEvents(t, s, f, events...)
		replayed := follow(t, f, id, 0, feed.Filter{})
		for i, want := range events {
			want.Seq, want.At = int64(i+1), clock.Now()
			for how, follower := range map[string]*feed.Follower{"live": live, "replayed": replayed} {
				if got, err := follower.Next(within(t)); err != nil || got != want {
					t.Errorf("%s: got %+v, %v, want %+v", how, got, err, want)
				}
			}
		}
	})
}

func TestEventsFollowTheOrderOfAppendAndEachCampaignCountsForItself(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := open(t, feed.Config{Store: s})
		one, two := campaign(t, s), campaign(t, s)
		err := s.InTx(within(t), func(tx *store.Tx) error {
			f.Append(tx, feed.Event{Campaign: two, Kind: feedevent.KindConnection, Connection: "conn_1"})
			f.Append(tx, feed.Event{Campaign: one, Kind: feedevent.KindConnection, Connection: "conn_2"})
			f.Append(tx)
			tx.BeforeCommit(func() error {
				f.Append(tx, feed.Event{Campaign: two, Kind: feedevent.KindConnection, Connection: "conn_3"})
				return nil
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		follower := follow(t, f, two, 0, feed.Filter{})
		for i, want := range []causeway.ID{"conn_1", "conn_3"} {
			got, err := follower.Next(within(t))
			if err != nil || got.Connection != want || got.Seq != int64(i+1) {
				t.Errorf("got %+v, %v, want %s", got, err, want)
			}
		}
		if head, err := f.Head(within(t), one); err != nil || head != 1 {
			t.Errorf("the other campaign's head is %d, %v, want 1", head, err)
		}
	})
}

func TestWhatIsRolledBackTakesNoNumber(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := open(t, feed.Config{Store: s})
		id := campaign(t, s)
		changedMind := errors.New("changed its mind")
		err := s.InTx(within(t), func(tx *store.Tx) error {
			f.Append(tx, added(id, 3)...)
			tx.BeforeCommit(func() error { return changedMind })
			return nil
		})
		if !errors.Is(err, changedMind) {
			t.Fatal(err)
		}
		appendEvents(t, s, f, added(id, 1)...)
		follower := follow(t, f, id, 0, feed.Filter{})
		wantSeqs(t, next(t, within(t), follower, 1), 1, 1)
	})
}

func TestALargeTransactionIsOneRunOfNumbers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := open(t, feed.Config{Store: s})
		id := campaign(t, s)
		appendEvents(t, s, f, added(id, 2345)...)
		follower := follow(t, f, id, 0, feed.Filter{})
		wantSeqs(t, next(t, within(t), follower, 2345), 1, 2345)
	})
}

func TestACampaignThatIsNotThereHasNoSequence(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := open(t, feed.Config{Store: s})
		nowhere := causeway.NewID(causeway.PrefixCampaign)
		if _, err := f.Head(within(t), nowhere); causeway.CodeOf(err) != causeway.NotFound {
			t.Errorf("Head: %v, want NOT_FOUND", err)
		}
		if _, err := f.Follow(within(t), nowhere, 0, feed.Filter{}); causeway.CodeOf(err) != causeway.NotFound {
			t.Errorf("Follow: %v, want NOT_FOUND", err)
		}
		err := s.InTx(within(t), func(tx *store.Tx) error {
			f.Append(tx, added(nowhere, 1)...)
			return nil
		})
		if causeway.CodeOf(err) != causeway.NotFound {
			t.Errorf("Append: %v, want NOT_FOUND", err)
		}
	})
}
