package feed_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func eachStore(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, storetest.Postgres(b)) })
}

// BenchmarkAppend is one event's part of a transaction of so many.
func BenchmarkAppend(b *testing.B) {
	eachStore(b, func(b *testing.B, s *store.Store) {
		for _, n := range []int{1, 100} {
			b.Run(fmt.Sprintf("of=%d", n), func(b *testing.B) {
				f := open(b, feed.Config{Store: s})
				events := added(campaign(b, s), n)
				b.ResetTimer()
				for done := 0; done < b.N; done += n {
					appendEvents(b, s, f, events...)
				}
			})
		}
	})
}

// BenchmarkDelivery is one event from its transaction, shared with 99 others, to a
// thousand followers.
func BenchmarkDelivery(b *testing.B) {
	const followers, together = 1000, 100
	eachStore(b, func(b *testing.B, s *store.Store) {
		f := open(b, feed.Config{Store: s, Window: 1 << 20})
		id := campaign(b, s)
		events := (b.N + together - 1) / together * together
		var all errgroup.Group
		for range followers {
			follower := follow(b, f, id, 0, feed.Filter{})
			all.Go(func() error {
				_, err := readAllOf(context.Background(), follower, 0, int64(events))
				return err
			})
		}
		b.ResetTimer()
		for range events / together {
			appendEvents(b, s, f, added(id, together)...)
		}
		if err := all.Wait(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events)/followers, "ns/delivery")
	})
}
