package auth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestATokenByNameLastsUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ctx := h.as(h.agent)
		id, bearer, err := h.auth.CreateAccessToken(ctx, " CI ", nil)
		if err != nil {
			t.Fatal(err)
		}
		row := db.Reader().AccessToken.GetX(ctx, id)
		if row.Name != "CI" || row.Prefix != bearer[:8] || !strings.HasPrefix(bearer, "cw_") || row.ExpiresAt != nil {
			t.Errorf("stored %+v", row)
		}
		h.clock.turn(10 * 365 * 24 * time.Hour)
		if !h.valid(bearer) {
			t.Error("it ended by itself")
		}
		if err := h.auth.RevokeAccessToken(ctx, id); err != nil {
			t.Fatal(err)
		}
		if h.valid(bearer) {
			t.Error("it is valid after it was revoked")
		}
		refused(t, h.auth.RevokeAccessToken(ctx, id), causeway.NotFound, "", "id")
	})
}

func TestATokenEndsWhenItSaid(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ctx := h.as(h.agent)
		end := h.clock.Now().Add(time.Hour)
		_, bearer, err := h.auth.CreateAccessToken(ctx, "CI", &end)
		if err != nil {
			t.Fatal(err)
		}
		h.clock.turn(time.Hour - time.Millisecond)
		if !h.valid(bearer) {
			t.Error("it ended early")
		}
		h.clock.turn(time.Millisecond)
		if h.valid(bearer) {
			t.Error("it outlived its end")
		}
		_, _, err = h.auth.CreateAccessToken(ctx, "CI", &end)
		refused(t, err, causeway.InvalidInput, causeway.ReasonInThePast, "input.expiresAt")
		_, _, err = h.auth.CreateAccessToken(ctx, " ", nil)
		refused(t, err, causeway.InvalidInput, causeway.ReasonRequired, "input.name")
		_, _, err = h.auth.CreateAccessToken(ctx, strings.Repeat("é", 201), nil)
		refused(t, err, causeway.InvalidInput, causeway.ReasonTooLong, "input.name")
		_, _, err = h.auth.CreateAccessToken(context.Background(), "CI", nil)
		refused(t, err, causeway.Unauthenticated, "", "")
	})
}

func TestNobodyRevokesAnothersToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		id, bearer, err := h.auth.CreateAccessToken(h.as(h.agent), "CI", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, person := range []causeway.ID{h.foreign, h.manager, h.admin} {
			refused(t, h.auth.RevokeAccessToken(h.as(person), id), causeway.NotFound, "", "id")
		}
		refused(t, h.auth.RevokeAccessToken(context.Background(), id), causeway.Unauthenticated, "", "")
		if !h.valid(bearer) {
			t.Error("somebody else revoked it")
		}
	})
}

func TestWhatIsNoTokenIsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	_, bearer := h.token(h.agent)
	for _, word := range []string{"", "cw_", "Bearer", bearer + "x", bearer[:len(bearer)-1], strings.ToUpper(bearer),
		"cw_\x00\xff", strings.Repeat("cw_", 1<<20)} {
		if h.valid(word) {
			t.Errorf("%.20q is somebody", word)
		}
	}
}

func TestTheTokenOfTheSettingsIsTheAdministrator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		given := func(cfg *auth.Config) { cfg.AdminToken = "from the settings" }
		h := newHouse(t, db, given)
		ctx := h.with("from the settings")
		viewer, err := auth.From(ctx)
		if err != nil || viewer.UserID != h.admin || !viewer.Admin || viewer.TokenID != "" {
			t.Fatalf("it is %+v, %v", viewer, err)
		}
		if h.valid("from the setting") {
			t.Error("a shorter one is valid")
		}
		if err := h.auth.SignOut(ctx); err != nil || !h.valid("from the settings") {
			t.Errorf("after signing out: %v, valid %v", err, h.valid("from the settings"))
		}
		if n := db.Reader().AccessToken.Query().CountX(ctx); n != 0 {
			t.Errorf("%d tokens are stored", n)
		}
		without := auth.New(auth.Config{Store: db, Bus: h.bus, Clock: h.clock})
		t.Cleanup(func() { _ = without.Close() })
		for _, word := range []string{"from the settings", ""} {
			_, err := without.Authenticate(ctx, word)
			refused(t, err, causeway.Unauthenticated, "", "")
		}
	})
}

func TestTheUseOfATokenIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		_, bearer := h.token(h.agent) // uses it
		noted := func(what string, want time.Time) {
			t.Helper()
			eventually(t, what, func() bool {
				h.clock.turn(0)
				row := db.Reader().AccessToken.Query().OnlyX(context.Background())
				return row.LastUsedAt != nil && row.LastUsedAt.Equal(want)
			})
		}
		first := h.writesLastUsed()
		noted("the first use is noted", first)
		h.clock.turn(59*time.Second - time.Millisecond)
		h.valid(bearer)
		noted("a use within a minute is not", first)
		h.clock.turn(time.Minute)
		h.valid(bearer)
		noted("one after it is", h.writesLastUsed())
	})
}

// writesLastUsed turns the clock until the gathered uses are due, and answers when
// that was.
func (h *house) writesLastUsed() time.Time {
	h.t.Helper()
	eventually(h.t, "uses are gathered", func() bool { return h.clock.waits(time.Second) })
	h.clock.turn(time.Second)
	return h.clock.Now()
}

func TestTheCommandLineIssuesTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		bearer, err := h.auth.IssueToken(context.Background(), "Agent@example.com", "laptop")
		if err != nil || !h.valid(bearer) {
			t.Fatalf("%v", err)
		}
		row := db.Reader().AccessToken.Query().Where(accesstoken.Name("laptop")).OnlyX(context.Background())
		if row.UserID != h.agent {
			t.Error("it is somebody else's")
		}
		_, err = h.auth.IssueToken(context.Background(), "nobody@example.com", "laptop")
		refused(t, err, causeway.NotFound, "", "email")
	})
}

func TestTheFirstStartMakesAnAdministrator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := &house{t: t, db: db, clock: newClock()}
		h.bus = newBus(t)
		start := func(adminToken string) *auth.Service {
			s := auth.New(auth.Config{Store: db, Bus: h.bus, Clock: h.clock, AdminToken: adminToken})
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		h.auth = start("")
		_, err := h.auth.EnsureAdmin(context.Background(), "nonsense", "")
		refused(t, err, causeway.InvalidInput, causeway.ReasonBadEmail, "email")
		_, err = h.auth.EnsureAdmin(context.Background(), "", "short")
		refused(t, err, causeway.InvalidInput, causeway.ReasonShortPassword, "password")

		first := make(chan auth.FirstAdmin, 4)
		for range cap(first) { // servers that start together
			go func() {
				made, err := h.auth.EnsureAdmin(context.Background(), "", "")
				if err != nil {
					t.Error(err)
				}
				first <- made
			}()
		}
		var made auth.FirstAdmin
		created := 0
		for range cap(first) {
			if f := <-first; f.Created {
				created++
				made = f
			}
		}
		if created != 1 {
			t.Fatalf("%d administrators were made", created)
		}
		viewer, err := auth.From(h.with(made.Token))
		if err != nil || !viewer.Admin {
			t.Fatalf("the first token is %+v, %v", viewer, err)
		}
		if _, err := h.auth.SignIn(context.Background(), made.Email, made.Password, "127.0.0.1:1"); err != nil {
			t.Errorf("signing in with what was made up: %v", err)
		}
		if n := db.Reader().User.Query().Where(user.RoleEQ(user.RoleAdmin)).CountX(context.Background()); n != 1 {
			t.Errorf("there are %d administrators", n)
		}
		again, err := start("given").EnsureAdmin(context.Background(), "other@example.com", "")
		if err != nil || again != (auth.FirstAdmin{}) {
			t.Errorf("the second start made %v, %v", again.Created, err)
		}
	})
}
