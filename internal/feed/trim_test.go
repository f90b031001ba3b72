package feed_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// What the schema's feeds ask for.
var (
	everything          = feed.Filter{}
	messageAdded        = feed.Filter{Kind: feedevent.KindMessage, Changes: feed.OnlyAdded}
	messageUpdated      = feed.Filter{Kind: feedevent.KindMessage, Changes: feed.OnlyUpdated}
	conversationUpdated = feed.Filter{Kind: feedevent.KindConversation}
	connectionUpdated   = feed.Filter{Kind: feedevent.KindConnection}
)

func of(want feed.Filter, conversation causeway.ID) feed.Filter {
	want.Conversation = conversation
	return want
}

// keeper is a feed that keeps events for an hour and, after its first look at the
// empty tables, removes the others only when a test calls Trim.
func keeper(t *testing.T, s *store.Store, clock *turnedClock) *feed.Feed {
	t.Helper()
	const never = 10_000 * time.Hour
	f := open(t, feed.Config{Store: s, Clock: clock, Keep: time.Hour, TrimEvery: never})
	clock.awaitTimer(t, never)
	return f
}

func trim(t *testing.T, f *feed.Feed, want int) {
	t.Helper()
	if removed, err := f.Trim(within(t)); err != nil || removed != want {
		t.Fatalf("removed %d, %v, want %d", removed, err, want)
	}
}

func TestAFeedIsRefusedOnlyIfSomethingThatItWantsWasRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := keeper(t, s, clock)
		id, other := campaign(t, s), campaign(t, s)
		message := func(conversation causeway.ID, change string) feed.Event {
			return feed.Event{Campaign: id, Kind: feedevent.KindMessage, Change: change, Conversation: conversation}
		}
		conversation := feed.Event{Campaign: id, Kind: feedevent.KindConversation, Conversation: "conv_b"}
		connection := feed.Event{Campaign: id, Kind: feedevent.KindConnection, Connection: "conn_a"}
		appendEvents(t, s, f,
			message("conv_a", feed.ChangeAdded), // 1
			message("conv_b", "STATUS"),         // 2
			conversation,                        // 3
		)
		clock.turn(2 * time.Hour)
		appendEvents(t, s, f,
			message("conv_a", feed.ChangeAdded), // 4
			message("conv_a", "EDITED"),         // 5
			message("conv_b", feed.ChangeAdded), // 6
			conversation,                        // 7
			connection,                          // 8
		)
		appendEvents(t, s, f, added(other, 1)...)
		trim(t, f, 3)
		trim(t, f, 0)

		for _, c := range []struct {
			name string
			want feed.Filter
			from int64
			seqs []int64 // none: FEED_TRIMMED
		}{
			{"everything, all of which is kept", everything, 3, []int64{4, 5, 6, 7, 8}},
			{"everything, the last of which was removed", everything, 2, nil},
			{"everything from the beginning", everything, 0, nil},
			{"added messages from the beginning", messageAdded, 0, nil},
			{"added messages after the one that was removed", messageAdded, 1, []int64{4, 6}},
			{"added messages of a conversation that lost one", of(messageAdded, "conv_a"), 0, nil},
			{"added messages of a conversation that lost another sort", of(messageAdded, "conv_b"), 0, []int64{6}},
			{"updated messages", messageUpdated, 1, nil},
			{"updated messages after the one that was removed", messageUpdated, 2, []int64{5}},
			{"updated messages of a conversation that lost another sort", of(messageUpdated, "conv_a"), 0, []int64{5}},
			{"updated conversations", conversationUpdated, 0, nil},
			{"a conversation that was not updated", of(conversationUpdated, "conv_a"), 0, []int64{}},
			{"a conversation that was updated", of(conversationUpdated, "conv_b"), 2, nil},
			{"all of a conversation", of(everything, "conv_b"), 1, nil},
			{"all of a conversation after what was removed", of(everything, "conv_a"), 1, []int64{4, 5}},
			{"connections", connectionUpdated, 0, []int64{8}},
			{"a position the sequence has not reached", everything, 9, nil},
			{"a position that is none", everything, -1, nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				follower, err := f.Follow(within(t), id, c.from, c.want)
				if c.seqs == nil {
					if causeway.CodeOf(err) != causeway.FeedTrimmed {
						t.Errorf("got %v, want FEED_TRIMMED", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer follower.Close()
				if got := next(t, within(t), follower, len(c.seqs)); !slices.Equal(got, c.seqs) {
					t.Errorf("got %v, want %v", got, c.seqs)
				}
			})
		}
	})
}

func TestAReplayThatRetentionOvertakesIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := keeper(t, s, clock)
		id := campaign(t, s)
		appendEvents(t, s, f, added(id, 1100)...)
		follower := follow(t, f, id, 0, everything)
		wantSeqs(t, next(t, within(t), follower, 3), 1, 3)
		clock.turn(2 * time.Hour)
		appendEvents(t, s, f, added(id, 1)...)
		trim(t, f, 1100)
		wantSeqs(t, next(t, within(t), follower, 497), 4, 500) // the page it has
		if _, err := follower.Next(within(t)); causeway.CodeOf(err) != causeway.FeedTrimmed {
			t.Errorf("got %v, want FEED_TRIMMED", err)
		}
	})
}

func TestRetentionRemovesFromTheOldEndAndLeavesNoGap(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := keeper(t, s, clock)
		id := campaign(t, s)
		appendEvents(t, s, f, added(id, 1234)...)
		clock.turn(2 * time.Hour)
		appendEvents(t, s, f, added(id, 3)...) // by a server whose clock is right
		clock.turn(-90 * time.Minute)
		appendEvents(t, s, f, added(id, 3)...) // by one whose clock is late
		clock.turn(2 * time.Hour)

		trim(t, f, 1234) // the late clock's events are old enough, but not the oldest
		follower := follow(t, f, id, 1234, everything)
		wantSeqs(t, next(t, within(t), follower, 6), 1235, 1240)
		clock.turn(time.Hour)
		trim(t, f, 6)
		appendEvents(t, s, f, added(id, 1)...)
		wantSeqs(t, next(t, within(t), follower, 1), 1241, 1241)
	})
}

func TestServersMayTrimTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		clock := newClock()
		servers := []*feed.Feed{keeper(t, s, clock), keeper(t, s, clock)}
		id := campaign(t, s)
		appendEvents(t, s, servers[0], added(id, 2600)...)
		clock.turn(2 * time.Hour)
		appendEvents(t, s, servers[0], added(id, 1)...)
		var all errgroup.Group
		for _, f := range servers {
			all.Go(func() error {
				_, err := f.Trim(ctx)
				return err
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, from := range []int64{0, 2599} {
			if _, err := servers[0].Follow(ctx, id, from, everything); causeway.CodeOf(err) != causeway.FeedTrimmed {
				t.Errorf("after %d: got %v, want FEED_TRIMMED", from, err)
			}
		}
		wantSeqs(t, next(t, ctx, follow(t, servers[0], id, 2600, everything), 1), 2601, 2601)
	})
}

func TestOldEventsGoByThemselves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := open(t, feed.Config{Store: s, Clock: clock, Keep: time.Hour, TrimEvery: 7 * time.Minute})
		id := campaign(t, s)
		clock.awaitTimer(t, 7*time.Minute)
		appendEvents(t, s, f, added(id, 2)...)
		clock.turn(2 * time.Hour)
		clock.awaitTimer(t, 7*time.Minute)
		if _, err := f.Follow(within(t), id, 0, everything); causeway.CodeOf(err) != causeway.FeedTrimmed {
			t.Errorf("got %v, want FEED_TRIMMED", err)
		}
	})
}

func TestEventsAreKeptForeverWithoutALimit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		clock := newClock()
		f := open(t, feed.Config{Store: s, Clock: clock})
		id := campaign(t, s)
		appendEvents(t, s, f, added(id, 2)...)
		clock.turn(10_000 * time.Hour)
		trim(t, f, 0)
		wantSeqs(t, next(t, within(t), follow(t, f, id, 0, everything), 2), 1, 2)
	})
}

func drawFilter(t *rapid.T) feed.Filter {
	return feed.Filter{
		Kind:         rapid.SampledFrom([]feedevent.Kind{"", feedevent.KindMessage, feedevent.KindConversation, feedevent.KindConnection}).Draw(t, "kind"),
		Changes:      rapid.SampledFrom([]feed.Changes{feed.AnyChange, feed.OnlyAdded, feed.OnlyUpdated}).Draw(t, "changes"),
		Conversation: rapid.SampledFrom([]causeway.ID{"", "conv_a", "conv_b"}).Draw(t, "conversation"),
	}
}

func drawEvent(t *rapid.T) feed.Event {
	e := feed.Event{
		Kind:         rapid.SampledFrom([]feedevent.Kind{feedevent.KindMessage, feedevent.KindConversation, feedevent.KindConnection}).Draw(t, "kind"),
		Conversation: rapid.SampledFrom([]causeway.ID{"", "conv_a", "conv_b"}).Draw(t, "conversation"),
	}
	if e.Kind != feedevent.KindConnection {
		e.Change = rapid.SampledFrom([]string{"", feed.ChangeAdded, feed.ChangeCreated, "STATUS"}).Draw(t, "change")
	}
	return e
}

// TestAFilterSeesTheSameLiveReplayedAndInWhatWasRemoved appends any events, of which
// the first are removed, and compares what three ways of reading say with Match.
func TestAFilterSeesTheSameLiveReplayedAndInWhatWasRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(outer *testing.T, s *store.Store) {
		clock := newClock()
		f := keeper(outer, s, clock)
		rapid.Check(outer, func(t *rapid.T) {
			ctx := within(outer)
			id := campaign(t, s)
			want := drawFilter(t)
			events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 8).Draw(t, "events")
			old := rapid.IntRange(0, len(events)).Draw(t, "old")
			var matching []int64
			var lastRemoved int64
			for i := range events {
				events[i].Campaign = id
				if !want.Match(events[i]) {
					continue
				}
				matching = append(matching, int64(i+1))
				if i < old {
					lastRemoved = int64(i + 1)
				}
			}
			live, err := f.Follow(ctx, id, 0, want)
			if err != nil {
				t.Fatal(err)
			}
			appendEvents(t, s, f, events[:old]...)
			clock.turn(2 * time.Hour)
			appendEvents(t, s, f, events[old:]...)
			if got := next(t, ctx, live, len(matching)); !slices.Equal(got, matching) {
				t.Fatalf("live: got %v, want %v", got, matching)
			}
			live.Close() // and with it the ring
			for from := range int64(len(events)) {
				if err := replays(t, f, id, from, want, matching); err != nil {
					t.Fatalf("before anything is removed, after %d: %v", from, err)
				}
			}
			if _, err := f.Trim(ctx); err != nil {
				t.Fatal(err)
			}
			for from := range int64(len(events)) {
				err := replays(t, f, id, from, want, matching)
				if refused := causeway.CodeOf(err) == causeway.FeedTrimmed; refused != (from < lastRemoved) || !refused && err != nil {
					t.Fatalf("%d of them removed, after %d: %v, last that matches was %d", old, from, err, lastRemoved)
				}
			}
		})
	})
}

// replays follows anew and checks that what comes after from are those of matching.
func replays(t *rapid.T, f *feed.Feed, id causeway.ID, from int64, want feed.Filter, matching []int64) error {
	ctx := t.Context()
	follower, err := f.Follow(ctx, id, from, want)
	if err != nil {
		return err
	}
	defer follower.Close()
	matching = slices.DeleteFunc(slices.Clone(matching), func(seq int64) bool { return seq <= from })
	if got := next(t, ctx, follower, len(matching)); !slices.Equal(got, matching) {
		return fmt.Errorf("got %v, want %v", got, matching)
	}
	return nil
}
