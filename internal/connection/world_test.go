package connection_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/feedevent"
	"causeway/ent/testreport"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/connection"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

// world is a server's rooms around connections, and a Telegram.
type world struct {
	testing.TB
	store    *store.Store
	tg       *simulator.Telegram
	fb       *simulator.Messenger
	app      *simulator.App // this server's
	bus      *bus.Local
	feed     *feed.Feed
	intake   *intake.Intake
	keys     *secret.Ring
	clock    *turnedClock
	log      *syncBuffer
	door     *httptest.Server // where webhooks arrive: it answers 200, repeats challenges and keeps test events
	service  *connection.Service
	campaign causeway.ID
	other    causeway.ID // another campaign
}

type option func(*connection.Config)

func polling(cfg *connection.Config) { cfg.PublicURL = "" }

func withoutFacebook(cfg *connection.Config) {
	cfg.Facebook = connection.Facebook{GraphURL: cfg.Facebook.GraphURL}
}

// newWorld has a service with a public address that is not started.
func newWorld(t testing.TB, s *store.Store, opts ...option) *world {
	t.Helper()
	w := &world{TB: t, store: s, tg: simulator.StartTelegram(t), bus: bus.NewLocal(), clock: newClock(), log: &syncBuffer{}}
	t.Cleanup(func() { _ = w.bus.Close() })
	w.fb = simulator.StartMessengerWith(t, simulator.MessengerOptions{Clock: w.clock})
	w.app = w.fb.AddApp("Causeway", simulator.RequiringProof())
	own := &gate{w: w}
	w.door = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Causeway-Test") != "" {
			own.ServeHTTP(rw, r)
			return
		}
		_, _ = rw.Write([]byte(r.URL.Query().Get("hub.challenge")))
	}))
	t.Cleanup(w.door.Close)
	keys, err := secret.Parse(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	must(t, err)
	w.keys = keys
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.feed = feed.New(feed.Config{Store: s, Bus: w.bus, Clock: w.clock, Log: log})
	t.Cleanup(func() { _ = w.feed.Close() })
	w.intake = intake.New(intake.Config{Store: s, Bus: w.bus, Clock: causeway.System{}, Log: log})
	w.intake.Start()
	t.Cleanup(func() { _ = w.intake.Close() })
	w.campaign, w.other = w.newCampaign("Spring sale"), w.newCampaign("Secret plans")
	w.service = w.newService(opts...)
	return w
}

// newService is a further server over the same database.
func (w *world) newService(opts ...option) *connection.Service {
	cfg := connection.Config{
		Store: w.store, Feed: w.feed, Intake: w.intake, Keys: w.keys, Bus: w.bus, Clock: w.clock,
		Log:       slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		PublicURL: w.door.URL, TelegramURL: w.tg.URL(), CheckInterval: time.Hour,
		Facebook: connection.Facebook{
			AppID: w.app.ID(), AppSecret: w.app.Secret(), VerifyToken: "shown-to-facebook", GraphURL: w.fb.URL(), DialogURL: w.fb.URL(),
		},
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	s := connection.New(cfg)
	w.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *world) start() *world {
	w.Helper()
	must(w, w.service.Start())
	return w
}

func (w *world) newCampaign(name string) causeway.ID {
	w.Helper()
	id := causeway.NewID(causeway.PrefixCampaign)
	w.write(func(tx *store.Tx) error {
		return tx.Campaign.Create().SetID(id).SetName(name).SetCreatedAt(w.clock.Now()).Exec(tx.Context())
	})
	return id
}

func (w *world) archive(id causeway.ID) {
	w.Helper()
	w.write(func(tx *store.Tx) error {
		return tx.Campaign.UpdateOneID(id).SetArchivedAt(w.clock.Now()).Exec(tx.Context())
	})
}

func (w *world) write(fn func(tx *store.Tx) error) {
	w.Helper()
	must(w, w.store.InTx(w.Context(), fn))
}

// member is the context of somebody with a role in a campaign.
func (w *world) member(role campaignmember.Role, campaigns ...causeway.ID) context.Context {
	w.Helper()
	id := causeway.NewID(causeway.PrefixUser)
	w.write(func(tx *store.Tx) error {
		err := tx.User.Create().SetID(id).SetEmail(string(id) + "@example.com").SetName("Ana").
			SetRole(user.RoleAgent).SetLanguage("en").SetPasswordHash("x").SetCreatedAt(w.clock.Now()).Exec(tx.Context())
		if err != nil {
			return err
		}
		for _, c := range campaigns {
			err := tx.CampaignMember.Create().SetCampaignID(c).SetUserID(id).SetRole(role).
				SetJoinedAt(w.clock.Now()).Exec(tx.Context())
			if err != nil {
				return err
			}
		}
		return nil
	})
	return auth.WithViewer(w.Context(), &auth.Viewer{UserID: id, Name: "Ana", Language: "en"})
}

func (w *world) manager() context.Context { return w.member(campaignmember.RoleManager, w.campaign) }

func (w *world) admin() context.Context {
	return auth.WithViewer(w.Context(), &auth.Viewer{UserID: causeway.NewID(causeway.PrefixUser), Admin: true, Name: "Root"})
}

func (w *world) input(token string) connection.Input {
	return connection.Input{CampaignID: w.campaign, BotToken: token, Enabled: true}
}

// connects connects a bot to the campaign as a manager.
func (w *world) connects(bot *simulator.Bot) connection.Result {
	w.Helper()
	result, err := w.service.ConnectTelegramBot(w.manager(), w.input(bot.Token()))
	must(w, err)
	return result
}

func (w *world) row(id causeway.ID) *ent.Connection {
	w.Helper()
	row, err := w.store.Reader().Connection.Get(context.Background(), id)
	must(w, err)
	return row
}

func (w *world) count() int {
	w.Helper()
	n, err := w.store.Reader().Connection.Query().Count(w.Context())
	must(w, err)
	return n
}

func (w *world) report(id causeway.ID) *ent.TestReport {
	w.Helper()
	report, err := w.store.Reader().TestReport.Get(w.Context(), id)
	must(w, err)
	return report
}

func (w *world) reports(id causeway.ID, kind testreport.Kind) []*ent.TestReport {
	w.Helper()
	all, err := w.store.Reader().TestReport.Query().
		Where(testreport.ConnectionID(id), testreport.KindEQ(kind)).
		Order(testreport.ByStartedAt(), testreport.ByID()).All(context.Background())
	must(w, err)
	return all
}

// events counts what watchers were told of a connection.
func (w *world) events(id causeway.ID) int {
	w.Helper()
	n, err := w.store.Reader().FeedEvent.Query().
		Where(feedevent.KindEQ(feedevent.KindConnection), feedevent.ConnectionID(id)).Count(w.Context())
	must(w, err)
	return n
}

func (w *world) is(id causeway.ID, status entconnection.Status, code causeway.Code) {
	w.Helper()
	row := w.row(id)
	if row.Status != status || codeIn(row.Problem) != code {
		w.Fatalf("the connection is %s with %q, want %s with %q", row.Status, codeIn(row.Problem), status, code)
	}
}

// becomes waits for a status, turning the clock meanwhile.
func (w *world) becomes(id causeway.ID, status entconnection.Status, code causeway.Code) {
	w.Helper()
	w.eventually(func() string {
		row := w.row(id)
		if row.Status == status && codeIn(row.Problem) == code {
			return ""
		}
		return fmt.Sprintf("the connection is %s with %q, want %s with %q", row.Status, codeIn(row.Problem), status, code)
	})
}

// eventually waits until missing is empty. The clock goes on by a second each time it
// is asked, so that what waits for its turn gets it.
func (w *world) eventually(missing func() string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		why := missing()
		if why == "" {
			return
		}
		select {
		case <-again.C:
			w.clock.turn(time.Second)
		case <-ctx.Done():
			w.Fatalf("waited too long: %s\n%s", why, w.log)
		}
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func codeIn(problem *causeway.Problem) causeway.Code {
	if problem == nil {
		return ""
	}
	return problem.Code
}

func check(t testing.TB, report *ent.TestReport, name platform.CheckName) platform.Check {
	t.Helper()
	i := slices.IndexFunc(report.Checks, func(c platform.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("the report has no check %s: %v", name, report.Checks)
	}
	return report.Checks[i]
}

// refused makes sure that err is a problem of a code at a field, and returns it.
func refused(t testing.TB, err error, code causeway.Code, path ...string) *causeway.Error {
	t.Helper()
	if causeway.CodeOf(err) != code {
		t.Fatalf("answered %v, want %s", err, code)
	}
	problem, _ := err.(*causeway.Error)
	if problem == nil || !slices.Equal(problem.Field, path) {
		t.Fatalf("answered %#v, want it at %v", err, path)
	}
	return problem
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// turnedClock stands still until a test turns it.
type turnedClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*turnedTimer]bool
}

type turnedTimer struct {
	clock *turnedClock
	at    time.Time
	c     chan time.Time
}

func newClock() *turnedClock {
	return &turnedClock{now: causeway.Stamp(time.Now()), timers: map[*turnedTimer]bool{}}
}

func (c *turnedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *turnedClock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &turnedTimer{clock: c, at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers[timer] = true
	return timer
}

func (t *turnedTimer) C() <-chan time.Time { return t.c }

func (t *turnedTimer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
}

func (c *turnedClock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for timer := range c.timers {
		if !timer.at.After(c.now) {
			delete(c.timers, timer)
			timer.c <- c.now
		}
	}
}

// syncBuffer keeps a log.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
