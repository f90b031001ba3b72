package queue

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/platform"
	"causeway/internal/store"
)

var logs = Table{Name: "webhook_logs", Waiting: "status = 'PENDING'", Order: "position"}

// handClock goes when it is turned.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*handTimer
}

type handTimer struct {
	at time.Time
	c  chan time.Time
}

func (t *handTimer) C() <-chan time.Time { return t.c }
func (t *handTimer) Stop()               {}

func newHandClock() *handClock {
	return &handClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &handTimer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	return t
}

func (c *handClock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var rest []*handTimer
	for _, t := range c.timers {
		if t.at.After(c.now) {
			rest = append(rest, t)
			continue
		}
		t.c <- c.now
	}
	c.timers = rest
}

// newConnection is what rows of webhook_logs must belong to.
func newConnection(t testing.TB, s *store.Store) *ent.Connection {
	t.Helper()
	var conn *ent.Connection
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		camp, err := tx.Campaign.Create().SetName("Spring").SetCreatedAt(now).Save(tx.Context())
		if err != nil {
			return err
		}
		conn, err = tx.Connection.Create().SetCampaignID(camp.ID).SetPlatform(platform.Telegram).SetAccountID("42").
			SetProfile(platform.Profile{}).SetName("Bot").SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey(string(causeway.NewID("key"))).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(now).Save(tx.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// add stores a waiting row.
func add(t fataler, s *store.Store, conn *ent.Connection, key string, position int64, next time.Time) causeway.ID {
	t.Helper()
	var id causeway.ID
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		row, err := tx.WebhookLog.Create().SetCampaignID(conn.CampaignID).SetConnectionID(conn.ID).SetAccountID("42").
			SetEventType("message").SetPayload([]byte("{}")).SetStatus(webhooklog.StatusPending).
			SetReceivedAt(next).SetPosition(position).SetQueueKey(key).SetNextTryAt(next).Save(tx.Context())
		if err == nil {
			id = row.ID
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// addMany stores rows at positions from..to, under the key that an SQL expression
// over the position p makes.
func addMany(t testing.TB, s *store.Store, conn *ent.Connection, from, to int, key string, next time.Time) {
	t.Helper()
	payload, numbers, mark := "'{}'::bytea", "generate_series(%d, %d) AS p", "$1::timestamptz"
	if s.Dialect() == dialect.SQLite {
		payload, numbers, mark = "x'7b7d'", "(WITH RECURSIVE n(p) AS (SELECT %d UNION ALL SELECT p + 1 FROM n WHERE p < %d) SELECT p FROM n)", "?1"
	}
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(tx.Context(), fmt.Sprintf(`INSERT INTO webhook_logs
			(id, campaign_id, connection_id, account_id, event_type, payload, status, position, queue_key, received_at, next_try_at)
			SELECT 'log_' || p, '%s', '%s', '42', 'message', %s, 'PENDING', p, %s, %s, %s FROM `+numbers,
			conn.CampaignID, conn.ID, payload, key, mark, mark, from, to), next)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// finish marks rows done as the room that owns them does.
func finish(s *store.Store, q *Queue, items ...Item) error {
	return s.InTx(context.Background(), func(tx *store.Tx) error {
		if err := q.Fence(tx, items...); err != nil {
			return err
		}
		for _, item := range items {
			err := tx.WebhookLog.UpdateOneID(item.ID).SetStatus(webhooklog.StatusProcessed).ClearLeasedUntil().Exec(tx.Context())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func claim(t fataler, q *Queue) []Item {
	t.Helper()
	for {
		items, more, err := q.claim(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(items) > 0 || !more {
			return items
		}
	}
}
