package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

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

// waiters is how many timers are running.
func (c *handClock) waiters() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
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

// room is a database with one connection, and intake before it.
type room struct {
	store  *store.Store
	bus    *bus.Local
	clock  *handClock
	intake *intake.Intake
	conn   *ent.Connection
	made   int // keys so far
}

func newRoom(t *testing.T, s *store.Store) *room {
	t.Helper()
	r := &room{store: s, bus: bus.NewLocal(), clock: newHandClock()}
	r.conn = r.connection(t, "42")
	r.intake = r.another()
	t.Cleanup(func() { _ = r.intake.Close() })
	return r
}

// another is a further server's intake over the same database.
func (r *room) another() *intake.Intake {
	return intake.New(intake.Config{Store: r.store, Bus: r.bus, Clock: r.clock})
}

func (r *room) connection(t *testing.T, account string) *ent.Connection {
	t.Helper()
	var conn *ent.Connection
	err := r.store.InTx(t.Context(), func(tx *store.Tx) error {
		camp, err := tx.Campaign.Create().SetName("Spring").SetCreatedAt(r.clock.Now()).Save(tx.Context())
		if err != nil {
			return err
		}
		conn, err = tx.Connection.Create().SetCampaignID(camp.ID).SetPlatform(platform.Telegram).SetAccountID(account).
			SetProfile(platform.Profile{}).SetName("Bot").SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("key" + account).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(r.clock.Now()).Save(tx.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (r *room) entry(key, chat string) intake.Entry {
	return intake.Entry{
		Campaign: r.conn.CampaignID, Connection: r.conn.ID, Account: r.conn.AccountID,
		Envelope: platform.Envelope{Key: key, Chat: chat, Event: "message"},
		Body:     []byte(`{"update_id":` + key + `}`),
	}
}

func (r *room) add(t *testing.T, entries ...intake.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := r.intake.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *room) logs(t *testing.T) []*ent.WebhookLog {
	t.Helper()
	logs, err := r.store.Reader().WebhookLog.Query().Order(webhooklog.ByPosition()).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return logs
}

func (r *room) reread(t *testing.T) *ent.Connection {
	t.Helper()
	conn, err := r.store.Reader().Connection.Get(t.Context(), r.conn.ID)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func statuses(logs []*ent.WebhookLog) string {
	var s []string
	for _, log := range logs {
		s = append(s, string(log.Status))
	}
	return strings.Join(s, " ")
}

func TestWhatWasAcknowledgedIsStoredAsItCame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		bell, hints := r.bus.Subscribe(intake.TopicLogs), r.bus.Subscribe(intake.LogTopic(r.conn.ID))
		e := r.entry("7", "chat 1")
		e.Body = []byte("{ \"text\": \"a\\u0000b\", \"odd\": \"\xff\" }\n")
		r.add(t, e)

		logs := r.logs(t)
		if len(logs) != 1 {
			t.Fatalf("%d logs, want 1", len(logs))
		}
		log := logs[0]
		if !bytes.Equal(log.Payload, e.Body) {
			t.Errorf("the body became %q", log.Payload)
		}
		got := fmt.Sprint(log.CampaignID, log.ConnectionID, log.AccountID, *log.UpdateKey, log.EventType, log.Status,
			log.ResponseStatus, log.Test, log.Attempts, log.ReceivedAt.UTC(), log.NextTryAt.UTC(), log.ProcessedAt, log.QueueKey)
		want := fmt.Sprint(r.conn.CampaignID, r.conn.ID, "42", "7", "message", "PENDING", 200, false, 0,
			r.clock.Now(), r.clock.Now(), (*time.Time)(nil), string(r.conn.ID)+":chat 1")
		if got != want {
			t.Errorf("stored\n%s, want\n%s", got, want)
		}
		if news := bell.Take(); !news.Rung {
			t.Error("nobody was told that there is work")
		}
		if news := hints.Take(); len(news.Hints) != 1 || string(news.Hints[0]) != string(log.ID) {
			t.Errorf("the log panel heard %q, want the log's id", news.Hints)
		}
		conn := r.reread(t)
		if conn.TotalReceived != 1 || conn.LastReceivedAt == nil || !conn.LastReceivedAt.Equal(r.clock.Now()) {
			t.Errorf("the connection counts %d, last at %v", conn.TotalReceived, conn.LastReceivedAt)
		}
		waiting, err := intake.Waiting(t.Context(), s, []causeway.ID{r.conn.ID})
		if err != nil || waiting[r.conn.ID] != 1 {
			t.Errorf("waiting %v, %v; want one", waiting, err)
		}
	})
}

func TestTheSameUpdateFiveTimesWithinOneCommitIsOneToApply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		e := r.entry("7", "chat")
		entries := []intake.Entry{e, e, r.entry("8", "chat"), e, e, e}
		r.intake.Start()
		if err := r.intake.AddBatch(t.Context(), intake.Batch{Entries: entries}); err != nil {
			t.Fatal(err)
		}
		r.add(t, e)
		logs := r.logs(t)
		if got, want := statuses(logs), "PENDING DUPLICATE PENDING DUPLICATE DUPLICATE DUPLICATE DUPLICATE"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if logs[1].ProcessedAt == nil {
			t.Error("a duplicate does not tell when it was done")
		}
		if n := r.reread(t).TotalReceived; n != 7 {
			t.Errorf("totalReceived %d, want 7", n)
		}
	})
}

func TestTheSameUpdateAtSeveralServersAtOnceIsOneToApply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		servers := []*intake.Intake{r.intake}
		if s.Dialect() == dialect.Postgres {
			servers = append(servers, r.another(), r.another())
		}
		var adding sync.WaitGroup
		for i := range 5 {
			for n := range 20 { // each server in an order of its own
				in, key := servers[i%len(servers)], (n*(2*i+3))%20
				adding.Go(func() {
					if err := in.Add(t.Context(), r.entry(fmt.Sprint(key), "chat")); err != nil {
						t.Error(err)
					}
				})
			}
		}
		for _, in := range servers {
			in.Start()
			t.Cleanup(func() { _ = in.Close() })
		}
		adding.Wait()
		pending := map[string]int{}
		logs := r.logs(t)
		for _, log := range logs {
			if log.Status == webhooklog.StatusPending {
				pending[*log.UpdateKey]++
			}
		}
		for key, n := range pending {
			if n != 1 {
				t.Errorf("update %s is to be applied %d times", key, n)
			}
		}
		if len(logs) != 100 || len(pending) != 20 {
			t.Errorf("%d logs of %d updates, want 100 of 20", len(logs), len(pending))
		}
		if n := r.reread(t).TotalReceived; n != 100 {
			t.Errorf("totalReceived %d, want 100", n)
		}
	})
}

func TestOneUpdateThatCannotBeStoredHarmsNoOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		bad := r.entry("2", "chat")
		bad.Connection = "conn_gone"
		answers := make([]error, 3)
		var adding sync.WaitGroup
		for i, e := range []intake.Entry{r.entry("1", "chat"), bad, r.entry("3", "chat")} {
			adding.Go(func() { answers[i] = r.intake.Add(t.Context(), e) })
		}
		eventually(t, "three wait", func() bool { return r.clock.waiters() == 3 })
		r.intake.Start() // they share a commit
		adding.Wait()
		if answers[0] != nil || answers[1] == nil || answers[2] != nil {
			t.Errorf("answered %v, want an error for the second alone", answers)
		}
		if errors.Is(answers[1], intake.ErrBusy) {
			t.Errorf("the refused one is told to come again: %v", answers[1])
		}
		if n := len(r.logs(t)); n != 2 {
			t.Errorf("%d logs, want 2", n)
		}
	})
}

func TestAFullQueueAndASlowDatabaseAreAnsweredBusy(t *testing.T) {
	t.Parallel()
	r := newRoom(t, storetest.SQLite(t))
	in := intake.New(intake.Config{Store: r.store, Bus: r.bus, Clock: r.clock, MaxWaiting: 2})
	answers := make(chan error, 2)
	ctx, hangUp := context.WithCancel(t.Context())
	go func() { answers <- in.Add(ctx, r.entry("1", "chat")) }()
	go func() { answers <- in.Add(t.Context(), r.entry("2", "chat")) }()
	eventually(t, "two wait", func() bool { return r.clock.waiters() == 2 })
	if err := in.Add(t.Context(), r.entry("3", "chat")); !errors.Is(err, intake.ErrBusy) {
		t.Errorf("the third got %v, want ErrBusy", err)
	}
	hangUp()
	if err := <-answers; !errors.Is(err, intake.ErrBusy) {
		t.Errorf("who hung up got %v, want ErrBusy", err)
	}
	r.clock.turn(10 * time.Second)
	if err := <-answers; !errors.Is(err, intake.ErrBusy) {
		t.Errorf("who waited ten seconds got %v, want ErrBusy", err)
	}
	in.Start()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	if n := len(r.logs(t)); n != 0 {
		t.Errorf("%d logs of updates that were given up", n)
	}
	if err := in.Add(t.Context(), r.entry("4", "chat")); !errors.Is(err, intake.ErrBusy) {
		t.Errorf("after Close it is %v, want ErrBusy", err)
	}
}

func TestAPollIsConfirmedOnlyWithWhatItBrought(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		poll := func(offset int64, entries ...intake.Entry) error {
			return r.intake.AddBatch(t.Context(), intake.Batch{Entries: entries, Connection: r.conn.ID, PollOffset: &offset})
		}
		if err := poll(9, r.entry("7", "a"), r.entry("8", "b")); err != nil {
			t.Fatal(err)
		}
		bad := r.entry("10", "a")
		bad.Campaign = causeway.ID("camp_\xff\x00") // PostgreSQL takes it no more than SQLite the next
		bad.Connection = "conn_gone"
		if err := poll(11, r.entry("9", "a"), bad); err == nil {
			t.Fatal("a batch with an impossible update was stored")
		}
		if conn := r.reread(t); conn.PollOffset != 9 || conn.TotalReceived != 2 {
			t.Errorf("offset %d, %d received; want 9 and 2", conn.PollOffset, conn.TotalReceived)
		}
		if err := poll(12); err != nil {
			t.Fatal(err)
		}
		if conn := r.reread(t); conn.PollOffset != 12 || conn.TotalReceived != 2 {
			t.Errorf("offset %d, %d received after an empty poll; want 12 and 2", conn.PollOffset, conn.TotalReceived)
		}
	})
}

func TestOldLogsAreDeletedAndWhatWaitsIsNot(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		var entries []intake.Entry
		for i := range 1200 {
			entries = append(entries, r.entry(fmt.Sprint(i), "chat"))
		}
		if err := r.intake.AddBatch(t.Context(), intake.Batch{Entries: entries}); err != nil {
			t.Fatal(err)
		}
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.WebhookLog.Update().Where(webhooklog.UpdateKeyNEQ("3")).SetStatus(webhooklog.StatusProcessed).Exec(tx.Context())
		})
		if err != nil {
			t.Fatal(err)
		}
		keep := intake.NewRetention(intake.RetentionConfig{Store: s, Clock: r.clock, Keep: time.Hour})
		keep.Start()
		defer func() { _ = keep.Close() }()
		eventually(t, "the first sweep is over", func() bool { return r.clock.waiters() > 0 })
		if n := len(r.logs(t)); n != 1200 {
			t.Fatalf("%d logs left of 1200 that are young", n)
		}
		r.clock.turn(2 * time.Hour)
		r.add(t, r.entry("9000", "chat"))
		eventually(t, "the old ones are gone", func() bool { return len(r.logs(t)) == 2 })
		if got := []string{*r.logs(t)[0].UpdateKey, *r.logs(t)[1].UpdateKey}; !slices.Equal(got, []string{"3", "9000"}) {
			t.Errorf("left %v, want what waits and what is new", got)
		}
	})
}

func TestLogsAreShownToTheirCampaignAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "chat"))
		client := s.NewReader()
		intake.Guard(client)
		if _, err := client.WebhookLog.Query().Count(t.Context()); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("nobody got %v, want UNAUTHENTICATED", err)
		}
		for name, want := range map[string]int{"stranger": 0, "admin": 1} {
			ctx := auth.WithViewer(t.Context(), &auth.Viewer{UserID: "user_x", Admin: name == "admin"})
			n, err := client.WebhookLog.Query().Count(ctx)
			if err != nil || n != want {
				t.Errorf("%s sees %d logs (%v), want %d", name, n, err, want)
			}
		}
	})
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-limit:
			t.Fatalf("not yet true after 30 seconds: %s", what)
		case <-look.C:
		}
	}
}
