package queue

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
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

// BenchmarkClaimMessages claims one message after the other, as the outbox does, while
// many wait: each in a conversation of its own, or all in ten. One that was claimed
// goes to the end of its conversation, as if it was sent and another one was written,
// so that as many wait all the time; that is not counted.
func BenchmarkClaimMessages(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.Store{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		for _, rows := range []int{1_000, 100_000} {
			for _, conversations := range []int{10, rows} {
				b.Run(fmt.Sprintf("%s/%dIn%d", name, rows, conversations), func(b *testing.B) {
					s := open(b)
					clock := newHandClock()
					addMessages(b, s, newConnection(b, s), rows, conversations, clock.Now())
					q := New(Config{
						Store: s, Clock: clock, Batch: 1,
						Table: Table{Name: "messages", Waiting: "status = 'QUEUED'", Order: "seq"},
					})
					var took []time.Duration
					b.ResetTimer()
					for range b.N {
						began := time.Now()
						items := claim(b, q)
						took = append(took, time.Since(began))
						if len(items) != 1 {
							b.Fatalf("claimed %d messages", len(items))
						}
						toTheEnd(b, s, items[0], rows)
					}
					slices.Sort(took) // the median, since what else the machine does hits some claims hard
					median := took[len(took)/2]
					b.ReportMetric(float64(median.Nanoseconds()), "ns/op")
					b.ReportMetric(1/median.Seconds(), "claims/s")
				})
			}
		}
	}
}

// toTheEnd puts a claimed message behind all others of its conversation.
func toTheEnd(b *testing.B, s *store.Store, item Item, rows int) {
	b.Helper()
	err := s.InTx(b.Context(), func(tx *store.Tx) error {
		_, err := tx.Run(tx.SQL().Update("messages").Add("seq", rows).SetNull("leased_until").Where(entsql.EQ("id", item.ID)))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// addMessages stores messages that wait to be sent, spread over so many conversations,
// and lets PostgreSQL count them, as it does by itself after a while.
func addMessages(t testing.TB, s *store.Store, conn *ent.Connection, rows, conversations int, at time.Time) {
	t.Helper()
	numbers, mark := "generate_series(1, %d) AS p", "$1::timestamptz"
	if s.Dialect() == dialect.SQLite {
		numbers, mark = "(WITH RECURSIVE n(p) AS (SELECT 1 UNION ALL SELECT p + 1 FROM n WHERE p < %d) SELECT p FROM n)", "?1"
	}
	of := fmt.Sprintf("'%s', '%s', '42'", conn.CampaignID, conn.ID)
	statements := []string{
		`INSERT INTO contacts (campaign_id, connection_id, account_id, id, platform, external_id, name, created_at)
			SELECT ` + of + `, 'contact_' || p, 'TELEGRAM', p, 'Customer', ` + mark + ` FROM ` + fmt.Sprintf(numbers, conversations),
		`INSERT INTO conversations (campaign_id, connection_id, account_id, id, platform, chat, contact_id, status, last_message_at, created_at)
			SELECT ` + of + `, 'conv_' || p, 'TELEGRAM', p, 'contact_' || p, 'OPEN', ` + mark + `, ` + mark + ` FROM ` + fmt.Sprintf(numbers, conversations),
		`INSERT INTO messages (campaign_id, connection_id, account_id, id, conversation_id, queue_key, seq,
				direction, author_kind, text, status, sent_at, created_at, queued_at, next_try_at)
			SELECT ` + of + `, 'msg_' || p, 'conv_' || c, 'conv_' || c, p,
				'OUTBOUND', 'AGENT', 'Thank you for waiting.', 'QUEUED', ` + mark + `, ` + mark + `, ` + mark + `, ` + mark + `
			FROM (SELECT p, 1 + p % ` + fmt.Sprint(conversations) + ` AS c FROM ` + fmt.Sprintf(numbers, rows) + `) AS m`,
	}
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		for _, statement := range statements {
			if _, err := tx.ExecContext(tx.Context(), statement, causeway.Stamp(at)); err != nil {
				return err
			}
		}
		if s.Dialect() == dialect.SQLite {
			return nil
		}
		_, err := tx.ExecContext(tx.Context(), "ANALYZE")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
