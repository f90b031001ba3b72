package queue

import (
	"testing"
	"time"

	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// BenchmarkClaim claims and finishes batches of 256 while a hundred thousand rows
// wait: those of as many chats, and those of one chat that is blocked.
func BenchmarkClaim(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.Store{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		for what, key := range map[string]string{"ManyChats": "'chat ' || p", "OneBlocked": "'blocked'"} {
			b.Run(name+"/"+what, func(b *testing.B) {
				s := open(b)
				conn, clock := newConnection(b, s), newHandClock()
				next := clock.Now()
				if what == "OneBlocked" {
					next = next.Add(time.Hour)
				}
				addMany(b, s, conn, 1, 100_000, key, next)
				addMany(b, s, conn, 100_001, 140_000, "'other ' || p", clock.Now())
				q := New(Config{Store: s, Clock: clock, Table: logs})
				b.ResetTimer()
				for range b.N {
					if len(claim(b, q)) == 0 {
						b.Fatal("nothing left to claim")
					}
				}
			})
		}
	}
}
