package auth_test

import (
	"context"
	"errors"
	"testing"

	"causeway"
	"causeway/ent/campaignmember"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestAStandingHasItsOnePartInItsOneCampaign(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		standing := &auth.Standing{Campaign: h.first, Role: campaignmember.RoleAgent}
		ctx := auth.WithViewer(context.Background(), &auth.Viewer{Standing: standing})
		role, err := auth.RoleIn(ctx, db.Reader(), h.first)
		if err != nil || role != campaignmember.RoleAgent {
			t.Errorf("in its campaign it is %q, %v", role, err)
		}
		_, err = auth.RoleIn(ctx, db.Reader(), h.second, "id")
		refused(t, err, causeway.NotFound, "", "id")
		if err := auth.AnyManager(ctx, db.Reader()); !errors.Is(err, causeway.Fail(causeway.Forbidden)) {
			t.Errorf("it lists users: %v", err)
		}
		viewers := db.NewReader()
		auth.Guard(viewers)
		viewers.CampaignMember.Intercept(auth.Scoped())
		members, err := viewers.CampaignMember.Query().All(ctx)
		if err != nil || len(members) == 0 {
			t.Fatalf("it sees %d members, %v", len(members), err)
		}
		for _, m := range members {
			if m.CampaignID != h.first {
				t.Errorf("it sees a member of %s", m.CampaignID)
			}
		}
		if tokens, err := viewers.AccessToken.Query().Count(ctx); err != nil || tokens != 0 {
			t.Errorf("it sees %d tokens, %v", tokens, err)
		}
	})
}

func TestAnotherPartInTheCampaignIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	told := make(chan error, 1)
	stop := h.auth.Access().Notify(h.as(h.agent), h.first, campaignmember.RoleAgent, func(err error) { told <- err })
	defer stop()
	same := h.watch(h.as(h.agent), h.first)
	h.write(func(ctx context.Context, tx *store.Tx) {
		err := tx.CampaignMember.Update().
			Where(campaignmember.UserID(h.agent), campaignmember.CampaignID(h.first)).
			SetRole(campaignmember.RoleManager).Exec(ctx)
		if err != nil {
			t.Fatal(err)
		}
	})
	h.turnsAccess()
	if err := (watched{ended: told}).told(t); !errors.Is(err, auth.ErrRoleChanged) {
		t.Errorf("told %v", err)
	}
	same.silent(t)
}
