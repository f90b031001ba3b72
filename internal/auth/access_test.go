package auth_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"causeway"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestAMembershipThatEndsEndsWhatRunsOnIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		h.write(func(ctx context.Context, tx *store.Tx) { h.join(ctx, tx, h.second, h.agent, campaignmember.RoleAgent) })
		agent := h.as(h.agent)
		first := h.watch(agent, h.first)
		second := h.watch(agent, h.second)
		socket := h.watch(agent, "")
		other := h.watch(h.as(h.manager), h.first)
		admin := h.watch(h.as(h.admin), h.first)
		h.leave(h.first, h.agent)
		refused(t, first.told(t), causeway.NotFound, "", "campaignId")
		// The one who is told next proves that all others were looked at.
		h.leave(h.second, h.agent)
		refused(t, second.told(t), causeway.NotFound, "", "campaignId")
		for _, w := range []watched{first, second, socket, other, admin} {
			w.silent(t)
		}
	})
}

func TestATokenThatEndsEndsWhatRunsOnIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ana := h.createUser("ana")
		h.write(func(ctx context.Context, tx *store.Tx) { h.join(ctx, tx, h.first, ana, campaignmember.RoleAgent) })
		gone := func(what string, ends func(ctx context.Context) error) {
			t.Helper()
			ctx, _ := h.signIn("ana")
			socket, feed, other := h.watch(ctx, ""), h.watch(ctx, h.first), h.watch(h.as(h.agent), h.first)
			if err := ends(ctx); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			refused(t, socket.told(t), causeway.Unauthenticated, "", "")
			refused(t, feed.told(t), causeway.Unauthenticated, "", "")
			other.silent(t)
			other.stop()
		}
		gone("signing out", h.auth.SignOut)
		gone("revoking", func(ctx context.Context) error {
			viewer, err := auth.From(ctx)
			if err != nil {
				return err
			}
			return h.auth.RevokeAccessToken(ctx, viewer.TokenID)
		})
		gone("a password changed elsewhere", func(context.Context) error {
			return h.auth.UpdateUser(h.as(h.admin), auth.UserChange{ID: ana, Password: causeway.ChangeTo(password)})
		})
		gone("being shut out", func(context.Context) error {
			return h.auth.UpdateUser(h.as(h.admin), auth.UserChange{ID: ana, Deactivated: causeway.ChangeTo(true)})
		})
	})
}

func TestATokenThatExpiresIsNoticedWithoutARing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		end := h.clock.Now().Add(time.Hour)
		_, bearer, err := h.auth.CreateAccessToken(h.as(h.agent), "CI", &end)
		if err != nil {
			t.Fatal(err)
		}
		short := h.watch(h.with(bearer), "")
		lasting := h.watch(h.as(h.agent), "")
		h.turnsAccess()
		short.silent(t)
		h.clock.turn(time.Hour)
		h.turnsAccess()
		refused(t, short.told(t), causeway.Unauthenticated, "", "")
		lasting.silent(t)
	})
}

func TestALostRingCostsTwoSeconds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	w := h.watch(h.as(h.agent), h.first)
	h.write(func(ctx context.Context, tx *store.Tx) {
		if _, err := tx.CampaignMember.Delete().Where(campaignmember.UserID(h.agent)).Exec(ctx); err != nil {
			t.Fatal(err)
		}
	})
	h.turnsAccess()
	refused(t, w.told(t), causeway.NotFound, "", "campaignId")
}

func TestAnAdministratorNoMoreComesBackAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		admin := h.as(h.admin)
		promoted := h.watch(h.as(h.manager), h.first)
		if err := h.auth.UpdateUser(admin, auth.UserChange{ID: h.manager, Role: causeway.ChangeTo(user.RoleAdmin)}); err != nil {
			t.Fatal(err)
		}
		w := h.watch(admin, h.second)
		if err := h.auth.UpdateUser(admin, auth.UserChange{ID: h.admin, Role: causeway.ChangeTo(user.RoleAgent)}); err != nil {
			t.Fatal(err)
		}
		refused(t, w.told(t), causeway.Unauthenticated, "", "")
		promoted.silent(t)
	})
}

func TestNobodyIsToldAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ended, stop := h.auth.Access().Watch(context.Background(), h.first)
	defer stop()
	refused(t, <-ended, causeway.Unauthenticated, "", "")
}

func TestAWatchThatWasStoppedIsNotTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	agent := h.as(h.agent)
	stopped := h.watch(agent, h.first)
	ctx, cancel := context.WithCancel(agent)
	over := h.watch(ctx, h.first)
	last := h.watch(agent, h.first)
	stopped.stop()
	stopped.stop()
	cancel()
	over.stop()
	h.leave(h.first, h.agent)
	refused(t, last.told(t), causeway.NotFound, "", "campaignId")
	stopped.silent(t)
	over.silent(t)
}

func TestThousandsAreWatchedWithAFewQueries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		const people = 1200 // more than two lists of ids
		var watches [people]watched
		ids := make([]causeway.ID, people)
		h.write(func(ctx context.Context, tx *store.Tx) {
			for i := range ids {
				ids[i] = h.storeUser(ctx, tx, fmt.Sprintf("p%d", i), user.RoleAgent)
				h.join(ctx, tx, h.first, ids[i], campaignmember.RoleAgent)
			}
		})
		for i, id := range ids {
			watches[i] = h.watch(auth.WithViewer(context.Background(), &auth.Viewer{UserID: id}), h.first)
		}
		for _, i := range []int{0, people / 2, people - 1} {
			h.leave(h.first, ids[i])
			refused(t, watches[i].told(t), causeway.NotFound, "", "campaignId")
		}
		for _, w := range watches {
			w.silent(t)
		}
	})
}

func TestClosingMayComeTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	w := h.watch(h.as(h.agent), h.first)
	for range 2 {
		if err := h.auth.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.silent(t)
	w.stop()
}

type watched struct {
	ended <-chan error
	stop  func()
}

func (h *house) watch(ctx context.Context, campaign causeway.ID) watched {
	h.t.Helper()
	ended, stop := h.auth.Access().Watch(ctx, campaign)
	h.t.Cleanup(stop)
	return watched{ended, stop}
}

func (w watched) told(t *testing.T) error {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	select {
	case err := <-w.ended:
		return err
	case <-timeout.C:
		t.Fatal("nothing was told")
		return nil
	}
}

func (w watched) silent(t *testing.T) {
	t.Helper()
	select {
	case err := <-w.ended:
		t.Fatalf("told %v", err)
	default:
	}
}

// turnsAccess turns the clock by what Access waits for, when it waits, and returns
// when it has looked and waits again.
func (h *house) turnsAccess() {
	h.t.Helper()
	waits := func() bool { return h.clock.waits(2 * time.Second) }
	if !waits() {
		h.clock.turn(2 * time.Second) // it waits since the clock was turned last
	}
	eventually(h.t, "rights are checked", waits)
	h.clock.turn(2 * time.Second)
	eventually(h.t, "rights were checked", waits)
}
