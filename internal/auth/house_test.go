package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse battery"

// house is the room with a few people in it: an administrator, and of two campaigns
// the first's manager and agent and the second's agent; and one person in neither.
type house struct {
	t     *testing.T
	db    *store.Store
	bus   *bus.Local
	clock *clock
	log   *logged
	auth  *auth.Service

	first, second                         causeway.ID
	admin, manager, agent, foreign, loner causeway.ID
}

func newHouse(t *testing.T, db *store.Store, change ...func(*auth.Config)) *house {
	t.Helper()
	h := &house{t: t, db: db, bus: bus.NewLocal(), clock: newClock(), log: &logged{}}
	cfg := auth.Config{
		Store: db, Bus: h.bus, Clock: h.clock,
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, fn := range change {
		fn(&cfg)
	}
	h.auth = auth.New(cfg)
	t.Cleanup(func() {
		if err := errors.Join(h.auth.Close(), h.bus.Close()); err != nil {
			t.Error(err)
		}
	})
	h.write(func(ctx context.Context, tx *store.Tx) {
		h.first, h.second = h.storeCampaign(ctx, tx), h.storeCampaign(ctx, tx)
		h.admin = h.storeUser(ctx, tx, "admin", user.RoleAdmin)
		h.manager = h.storeUser(ctx, tx, "manager", user.RoleAgent)
		h.agent = h.storeUser(ctx, tx, "agent", user.RoleAgent)
		h.foreign = h.storeUser(ctx, tx, "foreign", user.RoleAgent)
		h.loner = h.storeUser(ctx, tx, "loner", user.RoleAgent)
		h.join(ctx, tx, h.first, h.manager, campaignmember.RoleManager)
		h.join(ctx, tx, h.first, h.agent, campaignmember.RoleAgent)
		h.join(ctx, tx, h.second, h.foreign, campaignmember.RoleAgent)
	})
	return h
}

func (h *house) write(fn func(ctx context.Context, tx *store.Tx)) {
	h.t.Helper()
	ctx := context.Background()
	err := h.db.InTx(ctx, func(tx *store.Tx) error {
		fn(ctx, tx)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) storeCampaign(ctx context.Context, tx *store.Tx) causeway.ID {
	h.t.Helper()
	camp, err := tx.Campaign.Create().SetName("Spring").SetCreatedAt(h.clock.Now()).Save(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return camp.ID
}

// storeUser stores somebody whom no password fits.
func (h *house) storeUser(ctx context.Context, tx *store.Tx, name string, role user.Role) causeway.ID {
	h.t.Helper()
	person, err := tx.User.Create().SetEmail(name + "@example.com").SetName(name).SetRole(role).
		SetPasswordHash("none").SetCreatedAt(h.clock.Now()).Save(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return person.ID
}

func (h *house) join(ctx context.Context, tx *store.Tx, camp, person causeway.ID, role campaignmember.Role) {
	h.t.Helper()
	err := tx.CampaignMember.Create().SetCampaignID(camp).SetUserID(person).SetRole(role).
		SetJoinedAt(h.clock.Now()).Exec(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
}

// leave ends a membership and rings, as the room campaign does.
func (h *house) leave(camp, person causeway.ID) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx *store.Tx) {
		_, err := tx.CampaignMember.Delete().
			Where(campaignmember.CampaignID(camp), campaignmember.UserID(person)).Exec(ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		tx.AfterCommit(func() { h.bus.Publish(auth.AccessTopic, 0) })
	})
}

// as is a context in which the person asks, with a token of theirs.
func (h *house) as(person causeway.ID) context.Context {
	h.t.Helper()
	ctx, _ := h.token(person)
	return ctx
}

// token is as, with the bearer token.
func (h *house) token(person causeway.ID) (context.Context, string) {
	h.t.Helper()
	bearer, err := h.auth.IssueToken(context.Background(), h.user(person).Email, "test")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.with(bearer), bearer
}

func (h *house) with(bearer string) context.Context {
	h.t.Helper()
	viewer, err := h.auth.Authenticate(context.Background(), bearer)
	if err != nil {
		h.t.Fatal(err)
	}
	return auth.WithViewer(context.Background(), viewer)
}

func (h *house) user(id causeway.ID) *ent.User {
	h.t.Helper()
	person, err := h.db.Reader().User.Get(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return person
}

// createUser lets somebody in whose password is password.
func (h *house) createUser(name string) causeway.ID {
	h.t.Helper()
	id, err := h.auth.CreateUser(h.as(h.admin), auth.NewUser{
		Email: name + "@example.com", Name: name, Password: password, Role: user.RoleAgent,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *house) signIn(name string) (ctx context.Context, bearer string) {
	h.t.Helper()
	session, err := h.auth.SignIn(context.Background(), name+"@example.com", password, "192.0.2.1:4000")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.with(session.Secret), session.Secret
}

func (h *house) valid(bearer string) bool {
	h.t.Helper()
	_, err := h.auth.Authenticate(context.Background(), bearer)
	if err != nil && causeway.CodeOf(err) != causeway.Unauthenticated {
		h.t.Fatal(err)
	}
	return err == nil
}

// refused checks an error's code, reason and field; an empty code wants no error.
func refused(t *testing.T, err error, code causeway.Code, reason causeway.Reason, field string) {
	t.Helper()
	if code == "" && err == nil {
		return
	}
	e, ok := errors.AsType[*causeway.Error](err)
	if !ok {
		t.Fatalf("got %v, want %q", err, code)
	}
	if e.Code != code || e.Reason != reason || strings.Join(e.Field, ".") != field {
		t.Fatalf("got %s (%s) at %q, want %s (%s) at %q", e.Code, e.Reason, e.Field, code, reason, field)
	}
}

// clock stands still until it is turned.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]struct{}
}

type timer struct {
	clock *clock
	at    time.Time
	c     chan time.Time
}

func newClock() *clock {
	return &clock{now: causeway.Stamp(time.Now()), timers: map[*timer]struct{}{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{clock: c, at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers[t] = struct{}{}
	return t
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t := range c.timers {
		if !t.at.After(c.now) {
			t.c <- c.now
			delete(c.timers, t)
		}
	}
}

func (t *timer) C() <-chan time.Time { return t.c }

func (t *timer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waits tells whether somebody waits on the clock for exactly d from now.
func (c *clock) waits(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t := range c.timers {
		if t.at.Equal(c.now.Add(d)) {
			return true
		}
	}
	return false
}

func newBus(t *testing.T) *bus.Local {
	t.Helper()
	b := bus.NewLocal()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !true() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
