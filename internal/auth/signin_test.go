package auth_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestSigningInGivesATokenForThirtyDays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ana := h.createUser("ana")
		session, err := h.auth.SignIn(context.Background(), "  Ana@Example.COM ", password, "192.0.2.1:4000")
		if err != nil {
			t.Fatal(err)
		}
		if want := h.clock.Now().Add(30 * 24 * time.Hour); !session.ExpiresAt.Equal(want) {
			t.Errorf("expires at %v, want %v", session.ExpiresAt, want)
		}
		if session.Viewer.UserID != ana || session.Viewer.Admin || session.Viewer.Name != "ana" || session.Viewer.Language != "en" {
			t.Errorf("signed in as %+v", session.Viewer)
		}
		h.clock.turn(30*24*time.Hour - time.Millisecond)
		if !h.valid(session.Secret) {
			t.Error("the token ended early")
		}
		h.clock.turn(time.Millisecond)
		if h.valid(session.Secret) {
			t.Error("the token outlived its end")
		}
		// The next sign-in clears away what is over.
		h.signIn("ana")
		if n := db.Reader().AccessToken.Query().Where(accesstoken.UserID(ana)).CountX(context.Background()); n != 1 {
			t.Errorf("%d tokens are kept, want the new one alone", n)
		}
	})
}

func TestOnlyAHashOfATokenIsKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		h.createUser("ana")
		_, bearer := h.signIn("ana")
		row := db.Reader().AccessToken.Query().Where(accesstoken.Prefix(bearer[:8])).OnlyX(context.Background())
		if row.Hash == bearer || len(row.Hash) != 64 {
			t.Errorf("stored %d characters", len(row.Hash))
		}
		ana := db.Reader().User.Query().Where(user.Email("ana@example.com")).OnlyX(context.Background())
		if ana.PasswordHash == "" || ana.PasswordHash[:31] != "$argon2id$v=19$m=19456,t=2,p=1$" {
			t.Errorf("the password is not stored as argon2id with its parameters")
		}
	})
}

func TestAWrongPasswordAndAnUnknownAddressGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		h.createUser("ana")
		shut := h.createUser("shut")
		change := auth.UserChange{ID: shut, Deactivated: causeway.ChangeTo(true)}
		if err := h.auth.UpdateUser(h.as(h.admin), change); err != nil {
			t.Fatal(err)
		}
		for _, try := range []struct{ email, password string }{
			{"ana@example.com", "wrong horse battery"},
			{"nobody@example.com", password},
			{"shut@example.com", password},
			{"not an address", ""},
			{"", ""},
		} {
			_, err := h.auth.SignIn(context.Background(), try.email, try.password, "192.0.2.1:4000")
			refused(t, err, causeway.InvalidInput, causeway.ReasonWrongCredentials, "")
		}
	})
}

func TestAfterTenWrongPasswordsAnAddressHasToWait(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	h.createUser("ana")
	_, bearer := h.signIn("ana")
	network := func(i int) string { return fmt.Sprintf("192.0.2.%d:4000", i) }
	for i := range 10 {
		_, err := h.auth.SignIn(context.Background(), "ana@example.com", "wrong", network(i))
		refused(t, err, causeway.InvalidInput, causeway.ReasonWrongCredentials, "")
		h.clock.turn(10 * time.Second)
	}
	_, err := h.auth.SignIn(context.Background(), "ana@example.com", password, network(99))
	refused(t, err, causeway.RateLimited, causeway.ReasonTooManySignIns, "")
	if e := err.(*causeway.Error); e.Args["minutes"] != "9" || !e.Retryable {
		t.Errorf("told to wait %q minutes, retryable %v", e.Args["minutes"], e.Retryable)
	}
	if !h.valid(bearer) {
		t.Error("a session ended by others' wrong passwords")
	}
	h.clock.turn(10*time.Minute - 100*time.Second)
	h.signIn("ana") // the first try is over
}

func TestRightPasswordsAreNotCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	h.createUser("ana")
	for range 12 {
		h.signIn("ana")
	}
}

func TestAfterTenWrongPasswordsANetworkHasToWait(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	h.createUser("ana")
	for i := range 10 {
		// One person has a whole /64 of IPv6.
		_, err := h.auth.SignIn(context.Background(), fmt.Sprintf("x%d@example.com", i), "wrong", fmt.Sprintf("[2001:db8::%d]:4000", i))
		refused(t, err, causeway.InvalidInput, causeway.ReasonWrongCredentials, "")
	}
	_, err := h.auth.SignIn(context.Background(), "ana@example.com", password, "[2001:db8::ffff]:1")
	refused(t, err, causeway.RateLimited, causeway.ReasonTooManySignIns, "")
	h.signIn("ana") // from elsewhere
}

func TestManyWrongPasswordsAtOnceAreCountedLikeManyInARow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	var answered, limited atomic.Int32
	var trying sync.WaitGroup
	for range 30 {
		trying.Go(func() {
			_, err := h.auth.SignIn(context.Background(), "ana@example.com", "wrong", "192.0.2.1:4000")
			switch causeway.CodeOf(err) {
			case causeway.InvalidInput:
				answered.Add(1)
			case causeway.RateLimited:
				limited.Add(1)
			}
		})
	}
	trying.Wait()
	if answered.Load() != 10 || limited.Load() != 20 {
		t.Errorf("%d were answered and %d refused, want 10 and 20", answered.Load(), limited.Load())
	}
}

func TestSigningOutEndsThisTokenAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		h.createUser("ana")
		ctx, here := h.signIn("ana")
		_, there := h.signIn("ana")
		if err := h.auth.SignOut(ctx); err != nil {
			t.Fatal(err)
		}
		if h.valid(here) || !h.valid(there) {
			t.Errorf("valid here %v, there %v", h.valid(here), h.valid(there))
		}
		if err := h.auth.SignOut(ctx); err != nil {
			t.Errorf("signing out twice: %v", err)
		}
		refused(t, h.auth.SignOut(context.Background()), causeway.Unauthenticated, "", "")
	})
}
