package presence_test

import (
	"context"
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
	"causeway/internal/presence"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock stands still until it is turned.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]bool
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), timers: map[*timer]bool{}}
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
	c.timers[t] = true
	return t
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t := range c.timers {
		if !t.at.After(c.now) {
			delete(c.timers, t)
			t.c <- c.now
		}
	}
}

type timer struct {
	clock *clock
	at    time.Time
	c     chan time.Time
}

func (t *timer) C() <-chan time.Time { return t.c }

func (t *timer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
}

// desk is one person's work, over a database and a bus that servers share.
type desk struct {
	*testing.T
	db               *store.Store
	bus              *bus.Local
	clock            *clock
	ana, camp        causeway.ID
	changed          *bus.Doorbell
	service, another *presence.Service
}

func newDesk(t *testing.T, db *store.Store) *desk {
	t.Helper()
	h := &desk{T: t, db: db, bus: bus.NewLocal(), clock: newClock()}
	err := db.InTx(t.Context(), func(tx *store.Tx) error {
		ctx := tx.Context()
		h.ana = tx.User.Create().SetEmail("ana").SetName("Ana").SetRole(user.RoleAgent).SetPasswordHash("none").SetCreatedAt(h.clock.Now()).SaveX(ctx).ID
		h.camp = tx.Campaign.Create().SetName("Spring").SetCreatedAt(h.clock.Now()).SaveX(ctx).ID
		tx.CampaignMember.Create().SetCampaignID(h.camp).SetUserID(h.ana).SetRole(campaignmember.RoleAgent).SetJoinedAt(h.clock.Now()).ExecX(ctx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.changed = h.bus.Subscribe(presence.TopicOf(h.camp))
	h.service, h.another = h.server(), h.server()
	t.Cleanup(func() {
		h.changed.Close()
		_ = h.bus.Close()
	})
	return h
}

// server is one of the servers over the database.
func (h *desk) server() *presence.Service {
	s := presence.New(presence.Config{Store: h.db, Bus: h.bus, Clock: h.clock})
	s.Start()
	s.Start()
	h.Cleanup(func() {
		for range 2 {
			if err := s.Close(); err != nil {
				h.Error(err)
			}
		}
	})
	return s
}

func (h *desk) asAna() context.Context {
	return auth.WithViewer(context.Background(), &auth.Viewer{UserID: h.ana})
}

func (h *desk) says(p user.Presence) {
	h.Helper()
	if err := h.service.Set(h.asAna(), p); err != nil {
		h.Fatal(err)
	}
}

func (h *desk) row() *ent.User {
	h.Helper()
	row, err := h.db.Reader().User.Get(h.Context(), h.ana)
	if err != nil {
		h.Fatal(err)
	}
	return row
}

// becomes waits until Ana is so, while the clock goes on by step.
func (h *desk) becomes(p user.Presence, step time.Duration) {
	h.Helper()
	h.until("Ana is "+string(p), step, func() bool { return h.row().Presence == p })
}

// until waits for something while the clock goes on by step.
func (h *desk) until(what string, step time.Duration, ok func() bool) {
	h.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		h.clock.turn(step)
		select {
		case <-deadline:
			h.Fatalf("never: %s; the row says %v", what, h.row())
		case <-tick.C:
		}
	}
}

// seen waits until it is noted that Ana was seen now, and not before.
func (h *desk) seen() {
	h.Helper()
	h.until("Ana is seen", 0, func() bool { at := h.row().SeenAt; return at != nil && at.Equal(h.clock.Now()) })
}

func (h *desk) heard() bool {
	h.Helper()
	news := h.changed.Take()
	for _, hint := range news.Hints {
		if causeway.ID(hint) != h.ana {
			h.Errorf("hinted at %s", hint)
		}
	}
	return len(news.Hints) > 0
}

func TestWhatWasSaidHoldsUntilTheLastSocketIsClosedForAMinute(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newDesk(t, db)
		h.says(user.PresenceOnline)
		if h.row().Presence != user.PresenceOnline || !h.heard() {
			t.Fatalf("said ONLINE: %v", h.row())
		}
		one, two := h.service.Open(h.asAna()), h.another.Open(h.asAna())
		h.seen()
		one()
		one() // may come twice
		h.clock.turn(10 * time.Minute)
		h.seen() // on the other server
		two()
		closed := h.clock.Now()
		h.becomes(user.PresenceOffline, time.Second)
		if away := h.clock.Now().Sub(closed); away < time.Minute {
			t.Errorf("OFFLINE after %s", away)
		}
		if h.row().SaidPresence != user.SaidPresenceOnline || !h.heard() {
			t.Errorf("after lapsing: %v", h.row())
		}
		gone := h.service.Open(h.asAna())
		h.becomes(user.PresenceOnline, 0)
		if !h.heard() {
			t.Error("nobody heard that she came back")
		}
		h.says(user.PresenceAway)
		gone()
		h.becomes(user.PresenceOffline, time.Second)
	})
}

func TestWithoutAnySocketWhatWasSaidHolds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newDesk(t, db)
		gone := h.service.Open(h.asAna())
		h.seen()
		gone()
		h.until("the socket's end is noted and forgotten", 10*time.Second, func() bool { return h.row().SeenAt == nil })
		h.says(user.PresenceOnline)
		if h.row().SeenAt != nil {
			t.Errorf("seen without a socket: %v", h.row())
		}
		// Somebody else's absence is noticed meanwhile, so that it was looked for.
		h.anotherLapses()
		if h.row().Presence != user.PresenceOnline {
			t.Errorf("she never had a socket and is %s", h.row().Presence)
		}
	})
}

// anotherLapses lets another person come, go and lapse.
func (h *desk) anotherLapses() {
	h.Helper()
	var bo causeway.ID
	err := h.db.InTx(h.Context(), func(tx *store.Tx) error {
		bo = tx.User.Create().SetEmail("bo").SetName("Bo").SetRole(user.RoleAgent).SetPasswordHash("none").SetCreatedAt(h.clock.Now()).SaveX(tx.Context()).ID
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	as := auth.WithViewer(context.Background(), &auth.Viewer{UserID: bo})
	if err := h.service.Set(as, user.PresenceOnline); err != nil {
		h.Fatal(err)
	}
	is := func(p user.Presence) bool {
		row, err := h.db.Reader().User.Get(h.Context(), bo)
		if err != nil {
			h.Fatal(err)
		}
		return row.Presence == p && (p == user.PresenceOffline) == (row.SeenAt == nil)
	}
	gone := h.service.Open(as)
	h.until("Bo is here", 0, func() bool { return is(user.PresenceOnline) })
	gone()
	h.until("Bo is gone", time.Second, func() bool { return is(user.PresenceOffline) })
}

func TestSayingThatOneIsOfflineHoldsWithASocket(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newDesk(t, db)
		h.says(user.PresenceOnline)
		defer h.service.Open(h.asAna())()
		h.seen()
		h.says(user.PresenceOffline)
		h.clock.turn(time.Minute)
		h.seen()
		if h.row().Presence != user.PresenceOffline {
			t.Errorf("she said OFFLINE and is %s", h.row().Presence)
		}
	})
}

func TestWhoIsShutOutIsOffline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newDesk(t, db)
		h.says(user.PresenceOnline)
		h.heard()
		if err := db.InTx(t.Context(), func(tx *store.Tx) error { return h.service.ShutOut(tx, h.ana) }); err != nil {
			t.Fatal(err)
		}
		defer h.service.Open(h.asAna())() // until it is closed
		h.seen()
		if h.row().Presence != user.PresenceOffline || !h.heard() {
			t.Errorf("shut out: %v", h.row())
		}
	})
}

func TestNobodyHasNoPresence(t *testing.T) {
	t.Parallel()
	h := newDesk(t, storetest.SQLite(t))
	h.service.Open(t.Context())()
	if err := h.service.Set(t.Context(), user.PresenceOnline); causeway.CodeOf(err) != causeway.Unauthenticated {
		t.Errorf("nobody says: %v", err)
	}
}

func TestWhoLapsedIsFoundAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, asked *storetest.Statements) {
		h := newDesk(t, db)
		asked.Take()
		h.clock.turn(time.Minute)
		var found []storetest.Statement
		h.until("it is looked for", time.Second, func() bool { found = append(found, asked.Take()...); return len(found) > 0 })
		for _, statement := range found {
			if scan := storetest.FullScan(t, db, statement); scan != "" {
				t.Errorf("%s\n%s", statement.Query, scan)
			}
		}
	})
}
