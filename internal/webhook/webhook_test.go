package webhook_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
	"causeway/internal/webhook"
)

const secret = "s3cret-that-is-never-told"

// handClock goes when it is turned.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*handTimer
}

type handTimer struct {
	clock *handClock
	at    time.Time
	c     chan time.Time
}

func (t *handTimer) C() <-chan time.Time { return t.c }

func (t *handTimer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.clock.drop(func(other *handTimer) bool { return other == t })
}

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
	t := &handTimer{clock: c, at: c.now.Add(d), c: make(chan time.Time, 1)}
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
	c.drop(func(t *handTimer) bool {
		due := !t.at.After(c.now)
		if due {
			t.c <- c.now
		}
		return due
	})
}

func (c *handClock) drop(is func(*handTimer) bool) {
	var rest []*handTimer
	for _, t := range c.timers {
		if !is(t) {
			rest = append(rest, t)
		}
	}
	c.timers = rest
}

// endpoints is a Finder of fixed addresses; an error is answered for the address of
// that name.
type endpoints map[string]*webhook.Endpoint

func (e endpoints) Find(_ context.Context, key string) (*webhook.Endpoint, error) {
	if key == "trouble" {
		return nil, errors.New("the database does not answer")
	}
	if e[key] == nil {
		return nil, causeway.Missing()
	}
	return e[key], nil
}

// counts remembers what was written down.
type counts struct {
	mu     sync.Mutex
	of     map[causeway.ID]int
	writes int
	down   bool
}

func (c *counts) AddRejected(_ context.Context, counts map[causeway.ID]int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return errors.New("the database does not answer")
	}
	c.writes++
	for id, n := range counts {
		c.of[id] += n
	}
	return nil
}

func (c *counts) read() (map[causeway.ID]int, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.of), c.writes
}

// door is the handler before a real database, with one bot connected.
type door struct {
	store    *store.Store
	clock    *handClock
	conn     *ent.Connection
	known    endpoints
	rejected *counts
	handler  *webhook.Handler
	intake   *intake.Intake
	server   *httptest.Server
}

func newDoor(t testing.TB, s *store.Store) *door {
	t.Helper()
	d := &door{store: s, clock: newHandClock(), rejected: &counts{of: map[causeway.ID]int{}}}
	d.conn = newConnection(t, s)
	bot := webhook.Endpoint{
		Connection: d.conn.ID, Campaign: d.conn.CampaignID, Account: "42", Platform: platform.Telegram, Secret: []byte(secret),
	}
	over, unset, page := bot, bot, bot
	over.Disconnected, unset.Secret, page.Platform = true, nil, platform.Messenger
	d.known = endpoints{"bot": &bot, "over": &over, "unset": &unset, "page": &page}
	d.intake = intake.New(intake.Config{Store: s, Bus: bus.NewLocal(), Clock: d.clock})
	d.intake.Start()
	d.handler = webhook.New(webhook.Config{Connections: d.known, Intake: d.intake, Tests: marks{}, Rejected: d.rejected, Clock: d.clock})
	d.handler.Start()
	d.server = httptest.NewServer(d.handler)
	t.Cleanup(func() {
		d.server.Close()
		if err := errors.Join(d.handler.Close(), d.handler.Close(), d.intake.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func newConnection(t testing.TB, s *store.Store) *ent.Connection {
	t.Helper()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var conn *ent.Connection
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		camp, err := tx.Campaign.Create().SetName("Spring").SetCreatedAt(now).Save(tx.Context())
		if err != nil {
			return err
		}
		conn, err = tx.Connection.Create().SetCampaignID(camp.ID).SetPlatform(platform.Telegram).SetAccountID("42").
			SetProfile(platform.Profile{}).SetName("Bot").SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("bot").
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(now).Save(tx.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// posts sends a request and returns the answer, whose body has been read.
func (d *door) posts(t testing.TB, method, key string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, d.server.URL+"/webhooks/telegram/"+key, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := d.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(said)
}

func (d *door) logs(t testing.TB) map[webhooklog.Status]int {
	t.Helper()
	logs, err := d.store.Reader().WebhookLog.Query().All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	of := map[webhooklog.Status]int{}
	for _, log := range logs {
		of[log.Status]++
	}
	return of
}

const header = "X-Telegram-Bot-Api-Secret-Token"

// ofSize is a valid update of n bytes.
func ofSize(n int) string {
	head, tail := `{"update_id":9,"message":{"text":"`, `"}}`
	return head + strings.Repeat("a", n-len(head)-len(tail)) + tail
}

// chunked hides how long a body is.
func chunked(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

func TestEachRequestGetsTheFirstAnswerThatFits(t *testing.T) {
	t.Parallel()
	const hidden = "chunked: " // how long the rest is is not told before
	right := []string{header, secret}
	tooLong := ofSize(webhook.MaxBody + 1)
	cases := []struct {
		name    string
		method  string
		key     string
		body    string
		headers []string
		status  int
	}{
		{"another method", "GET", "bot", "", right, 405},
		{"unknown key, all else wrong too", "POST", "nobody", tooLong, nil, 404},
		{"a key with a slash", "POST", "bot/bot", "{}", right, 404},
		{"a page's key", "POST", "page", "{}", right, 404},
		{"no key", "POST", "", "{}", right, 404},
		{"disconnected, all else wrong too", "POST", "over", tooLong, nil, 410},
		{"too long before the secret is looked at", "POST", "bot", tooLong, nil, 413},
		{"too long without saying so", "POST", "bot", hidden + tooLong, right, 413},
		{"no secret before the body is looked at", "POST", "bot", "not JSON", nil, 401},
		{"wrong secret", "POST", "bot", "{}", []string{header, "guess"}, 401},
		{"half of the secret", "POST", "bot", "{}", []string{header, secret[:10]}, 401},
		{"two secrets", "POST", "bot", "{}", []string{header, secret, header, "guess"}, 401},
		{"a secret where none is known", "POST", "unset", "{}", right, 401},
		{"an empty secret where none is known", "POST", "unset", "{}", []string{header, ""}, 401},
		{"not JSON", "POST", "bot", `{"update_id":`, right, 400},
		{"not an object", "POST", "bot", `[1]`, right, 400},
		{"nothing", "POST", "bot", "", right, 400},
		{"the look-up fails", "POST", "trouble", "{}", right, 503},
		{"as long as can be", "POST", "bot", ofSize(webhook.MaxBody), right, 200},
		{"an unknown kind", "POST", "bot", hidden + `{"update_id":5,"brand_new":{}}`, right, 200},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDoor(t, s)
		stored := 0
		for _, c := range cases {
			var body io.Reader = strings.NewReader(c.body)
			if rest, ok := strings.CutPrefix(c.body, hidden); ok {
				body = chunked(rest)
			}
			res, said := d.posts(t, c.method, c.key, body, c.headers...)
			if res.StatusCode != c.status {
				t.Errorf("%s: %d, want %d", c.name, res.StatusCode, c.status)
			}
			if said != "" {
				t.Errorf("%s: it said %q", c.name, said)
			}
			if c.status == 405 && res.Header.Get("Allow") != "POST" {
				t.Errorf("%s: Allow is %q", c.name, res.Header.Get("Allow"))
			}
			if c.status == 503 && res.Header.Get("Retry-After") != "2" {
				t.Errorf("%s: Retry-After is %q", c.name, res.Header.Get("Retry-After"))
			}
			if c.status == 200 {
				stored++
			}
			if n := d.logs(t)[webhooklog.StatusPending]; n != stored {
				t.Errorf("%s: %d logs, want %d", c.name, n, stored)
			}
		}
		_ = d.handler.Close()
		if of, _ := d.rejected.read(); of[d.conn.ID] != 6 {
			t.Errorf("%d were counted as turned away, want 6", of[d.conn.ID])
		}
	})
}

func TestFiveEqualDeliveriesAtOnceAreOneToApply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDoor(t, s)
		var posting sync.WaitGroup
		for range 5 {
			posting.Go(func() {
				res, _ := d.posts(t, "POST", "bot", strings.NewReader(`{"update_id":7,"message":{"chat":{"id":1}}}`), header, secret)
				if res.StatusCode != 200 {
					t.Errorf("answered %d", res.StatusCode)
				}
			})
		}
		posting.Wait()
		if of := d.logs(t); of[webhooklog.StatusPending] != 1 || of[webhooklog.StatusDuplicate] != 4 {
			t.Errorf("logs %v, want one PENDING and four DUPLICATE", of)
		}
	})
}

// lock holds up every write until the function it returns is called.
func lock(t *testing.T, address string) func() {
	t.Helper()
	driver, source, statement := "pgx", address, "BEGIN; LOCK TABLE webhook_logs IN EXCLUSIVE MODE"
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, source, statement = "sqlite3", path, "BEGIN IMMEDIATE"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
}

func TestALockedDatabaseDelaysAnAnswerAndLosesNothing(t *testing.T) {
	t.Parallel()
	for kind, address := range map[string]func(testing.TB) string{dialect.SQLite: storetest.SQLiteAddress, dialect.Postgres: storetest.PostgresAddress} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			d := newDoor(t, storetest.Open(t, at))
			unlock := lock(t, at)
			answers := make(chan *http.Response, 20)
			send := func(update int) {
				res, _ := d.posts(t, "POST", "bot", strings.NewReader(fmt.Sprintf(`{"update_id":%d}`, update)), header, secret)
				answers <- res
			}
			for i := range 10 {
				go send(i)
			}
			eventually(t, "ten wait for their commit", func() bool { return d.clock.waiters() == 10 })
			d.clock.turn(10 * time.Second) // they have waited long enough
			for range 10 {
				res := <-answers
				if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" {
					t.Errorf("answered %d with Retry-After %q, want 503 and 2", res.StatusCode, res.Header.Get("Retry-After"))
				}
			}
			for i := range 10 { // the platform sends them again
				go send(i)
			}
			eventually(t, "ten wait again", func() bool { return d.clock.waiters() == 10 })
			unlock()
			for range 10 {
				if res := <-answers; res.StatusCode != 200 {
					t.Errorf("answered %d after the lock, want 200", res.StatusCode)
				}
			}
			if n := d.logs(t)[webhooklog.StatusPending]; n != 10 {
				t.Errorf("%d updates to apply, want 10", n)
			}
		})
	}
}

func TestAFloodOfForgeriesCostsOneWriteASecond(t *testing.T) {
	t.Parallel()
	d := newDoor(t, storetest.SQLite(t))
	forge := func(n int) {
		for range n {
			d.posts(t, "POST", "bot", strings.NewReader("{}"), header, "guess")
		}
	}
	forge(1)
	eventually(t, "the first is written down", func() bool { of, _ := d.rejected.read(); return of[d.conn.ID] == 1 })
	eventually(t, "the second has begun", func() bool { return d.clock.waiters() == 1 })
	forge(50)
	if _, writes := d.rejected.read(); writes != 1 {
		t.Errorf("%d writes within the second", writes)
	}
	d.clock.turn(time.Second)
	eventually(t, "the rest is written down", func() bool { of, _ := d.rejected.read(); return of[d.conn.ID] == 51 })
	if _, writes := d.rejected.read(); writes != 2 {
		t.Errorf("%d writes, want 2", writes)
	}

	eventually(t, "the next second has begun", func() bool { return d.clock.waiters() == 1 })
	d.rejected.mu.Lock()
	d.rejected.down = true
	d.rejected.mu.Unlock()
	forge(3)
	d.clock.turn(time.Second)
	eventually(t, "it was tried", func() bool { return d.clock.waiters() == 1 })
	d.rejected.mu.Lock()
	d.rejected.down = false
	d.rejected.mu.Unlock()
	if err := d.handler.Close(); err != nil {
		t.Error(err)
	}
	if of, _ := d.rejected.read(); of[d.conn.ID] != 54 {
		t.Errorf("%d refusals written down after Close, want 54", of[d.conn.ID])
	}
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
