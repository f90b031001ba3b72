package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestPeopleAreSeenByThoseTheyWorkWith(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		client := db.NewReader()
		auth.Guard(client)
		all := []causeway.ID{h.admin, h.manager, h.agent, h.foreign, h.loner}
		for _, c := range []struct{ who, sees []causeway.ID }{
			{[]causeway.ID{h.admin}, all},
			{[]causeway.ID{h.manager}, all},
			{[]causeway.ID{h.agent}, []causeway.ID{h.manager, h.agent}},
			{[]causeway.ID{h.foreign}, []causeway.ID{h.foreign}},
			{[]causeway.ID{h.loner}, []causeway.ID{h.loner}},
		} {
			ctx := h.as(c.who[0])
			got := client.User.Query().IDsX(ctx)
			slices.Sort(got)
			slices.Sort(c.sees)
			if !slices.Equal(got, c.sees) {
				t.Errorf("%v sees %v, want %v", c.who, got, c.sees)
			}
			for _, id := range all {
				_, err := client.Noder(ctx, id, ent.WithFixedNodeType(user.Table))
				if seen := err == nil; seen != slices.Contains(c.sees, id) {
					t.Errorf("%v asks for node %v: %v", c.who, id, err)
				}
			}
		}
		_, err := client.User.Query().All(context.Background())
		refused(t, err, causeway.Unauthenticated, "", "")
	})
}

func TestEverybodySeesTheirOwnTokensAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		client := db.NewReader()
		auth.Guard(client)
		for _, person := range []causeway.ID{h.admin, h.manager, h.agent} {
			ctx := h.as(person)
			tokens := client.AccessToken.Query().AllX(ctx)
			if len(tokens) != 1 || tokens[0].UserID != person {
				t.Errorf("%v sees %v", person, tokens)
			}
		}
		_, err := client.AccessToken.Query().All(context.Background())
		refused(t, err, causeway.Unauthenticated, "", "")
	})
}

func TestRolesInACampaign(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		client := db.Reader()
		const none = causeway.Code("")
		for _, c := range []struct {
			name                         string
			ctx                          context.Context
			role                         campaignmember.Role
			see, manage, list, administe causeway.Code
		}{
			{"nobody", context.Background(), "", causeway.Unauthenticated, causeway.Unauthenticated, causeway.Unauthenticated, causeway.Unauthenticated},
			{"an agent of another campaign", h.as(h.foreign), "", causeway.NotFound, causeway.NotFound, causeway.Forbidden, causeway.Forbidden},
			{"an agent", h.as(h.agent), campaignmember.RoleAgent, none, causeway.Forbidden, causeway.Forbidden, causeway.Forbidden},
			{"a manager", h.as(h.manager), campaignmember.RoleManager, none, none, none, causeway.Forbidden},
			{"an administrator", h.as(h.admin), campaignmember.RoleManager, none, none, none, none},
		} {
			role, err := auth.RoleIn(c.ctx, client, h.first, "input", "campaignId")
			if role != c.role || code(err) != c.see {
				t.Errorf("%s is %q, %v", c.name, role, err)
			}
			if err := auth.Manager(c.ctx, client, h.first, "id"); code(err) != c.manage {
				t.Errorf("%s manages: %v", c.name, err)
			}
			if err := auth.AnyManager(c.ctx, client); code(err) != c.list {
				t.Errorf("%s lists users: %v", c.name, err)
			}
			if err := auth.Admin(c.ctx); code(err) != c.administe {
				t.Errorf("%s administers: %v", c.name, err)
			}
			err = db.InTx(c.ctx, func(tx *store.Tx) error { return auth.Writable(c.ctx, tx, h.first, "id") })
			if code(err) != c.see {
				t.Errorf("%s writes: %v", c.name, err)
			}
		}
		for _, person := range []causeway.ID{h.admin, h.manager} {
			_, err := auth.RoleIn(h.as(person), client, causeway.NewID(causeway.PrefixCampaign), "id")
			refused(t, err, causeway.NotFound, "", "id")
		}
	})
}

func TestAnArchivedCampaignIsNotWritable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		h.write(func(ctx context.Context, tx *store.Tx) {
			if err := tx.Campaign.UpdateOneID(h.first).SetArchivedAt(h.clock.Now()).Exec(ctx); err != nil {
				t.Fatal(err)
			}
		})
		for _, person := range []causeway.ID{h.agent, h.manager, h.admin} {
			ctx := h.as(person)
			err := db.InTx(ctx, func(tx *store.Tx) error { return auth.Writable(ctx, tx, h.first, "input", "campaignId") })
			refused(t, err, causeway.Conflict, causeway.ReasonArchived, "input.campaignId")
		}
		ctx := h.as(h.foreign)
		err := db.InTx(ctx, func(tx *store.Tx) error { return auth.Writable(ctx, tx, h.first, "id") })
		refused(t, err, causeway.NotFound, "", "id")
	})
}

// A viewer's every read goes from the person to their campaigns, and every request
// from a hash to its token: neither may read a whole table.
func TestTheHotReadsGoAlongAnIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		newHouse(t, db)
		for query, index := range map[string]string{
			auth.TokenByHash(db): "accesstoken_hash",
			auth.ScopeQuery(db):  "campaignmember_user_id_campaign_id",
		} {
			plan := explain(t, db, query)
			if !strings.Contains(plan, index) {
				t.Errorf("%s\nis answered without %s:\n%s", query, index, plan)
			}
		}
	})
}

func explain(t *testing.T, db *store.Store, query string) string {
	t.Helper()
	ctx := context.Background()
	how := "EXPLAIN QUERY PLAN "
	conn, err := db.Readers().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if db.Dialect() == dialect.Postgres {
		how = "EXPLAIN "
		if _, err := conn.ExecContext(ctx, "SET enable_seqscan = off"); err != nil { // the tables are nearly empty
			t.Fatal(err)
		}
	}
	rows, err := conn.QueryContext(ctx, how+query, "x")
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		cells := make([]any, len(columns))
		var line string
		for i := range cells {
			cells[i] = new(any)
		}
		cells[len(cells)-1] = &line
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	return plan.String()
}

func code(err error) causeway.Code {
	if e, ok := errors.AsType[*causeway.Error](err); ok {
		return e.Code
	}
	return causeway.CodeOf(err)
}
