package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/auditentry"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, s *store.Store, ctx context.Context, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.InTx(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func campaign(t *testing.T, s *store.Store) (id causeway.ID) {
	t.Helper()
	write(t, s, t.Context(), func(tx *store.Tx) error {
		c, err := tx.Campaign.Create().SetName("Spring").SetCreatedAt(noon).Save(tx.Context())
		if err == nil {
			id = c.ID
		}
		return err
	})
	return id
}

func member(t *testing.T, s *store.Store, name string, campaign causeway.ID, role campaignmember.Role) *auth.Viewer {
	t.Helper()
	id := causeway.NewID(causeway.PrefixUser)
	write(t, s, t.Context(), func(tx *store.Tx) error {
		err := tx.User.Create().SetID(id).SetEmail(name).SetName(name).SetRole(user.RoleAgent).SetPasswordHash("none").SetCreatedAt(noon).Exec(tx.Context())
		if err != nil {
			return err
		}
		return tx.CampaignMember.Create().SetCampaignID(campaign).SetUserID(id).SetRole(role).SetJoinedAt(noon).Exec(tx.Context())
	})
	return &auth.Viewer{UserID: id}
}

func entries(t *testing.T, s *store.Store) []*ent.AuditEntry {
	t.Helper()
	all, err := s.Reader().AuditEntry.Query().Order(auditentry.ByAt(), auditentry.ByID()).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnEntrySaysWhoDidWhatToWhatAndWhen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		camp, subject := campaign(t, s), causeway.NewID(causeway.PrefixConversation)
		ana := member(t, s, "ana", camp, campaignmember.RoleAgent)
		write(t, s, auth.WithViewer(t.Context(), ana), func(tx *store.Tx) error {
			return audit.Record(tx, audit.Entry{Campaign: camp, Action: "saveTag", Subject: subject, At: noon,
				Details: map[string]any{"name": audit.Changed{From: "vip", To: "VIP"}}})
		})
		write(t, s, t.Context(), func(tx *store.Tx) error {
			return audit.Record(tx, audit.Entry{Campaign: camp, Action: "renewToken", At: noon.Add(time.Second)})
		})
		all := entries(t, s)
		if len(all) != 2 {
			t.Fatalf("%d entries", len(all))
		}
		byAna, bySelf := all[0], all[1]
		if *byAna.ActorID != ana.UserID || *byAna.SubjectID != subject || byAna.Action != "saveTag" || !byAna.At.Equal(noon) {
			t.Errorf("what Ana did: %v %s", byAna, byAna.Details)
		}
		var details struct{ Name audit.Changed }
		if err := json.Unmarshal(byAna.Details, &details); err != nil || details.Name != (audit.Changed{From: "vip", To: "VIP"}) {
			t.Errorf("what Ana changed: %s, %v", byAna.Details, err)
		}
		if bySelf.ActorID != nil || bySelf.SubjectID != nil || bySelf.Details != nil || bySelf.Action != "renewToken" {
			t.Errorf("what the server did: %v", bySelf)
		}
	})
}

func TestWhatWasNotDoneHasNoEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		camp, regret := campaign(t, s), errors.New("no, after all")
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			if err := audit.Record(tx, audit.Entry{Campaign: camp, Action: "saveTag"}); err != nil {
				return err
			}
			return regret
		})
		if !errors.Is(err, regret) || len(entries(t, s)) != 0 {
			t.Errorf("%v, %d entries", err, len(entries(t, s)))
		}
		for _, details := range []any{"a word", 7, []string{"a list"}, func() {}} {
			err := s.InTx(t.Context(), func(tx *store.Tx) error {
				return audit.Record(tx, audit.Entry{Campaign: camp, Action: "saveTag", Details: details})
			})
			if err == nil {
				t.Errorf("details %T were recorded", details)
			}
		}
	})
}

func TestOnlyWhoManagesACampaignReadsWhatWasDoneInIt(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, s *store.Store, asked *storetest.Statements) {
		camp, other := campaign(t, s), campaign(t, s)
		manager := member(t, s, "mai", camp, campaignmember.RoleManager)
		agent := member(t, s, "ana", camp, campaignmember.RoleAgent)
		foreign := member(t, s, "fay", other, campaignmember.RoleManager)
		write(t, s, t.Context(), func(tx *store.Tx) error {
			for range 3 {
				if err := audit.Record(tx, audit.Entry{Campaign: camp, Action: "saveTag"}); err != nil {
					return err
				}
			}
			return audit.Record(tx, audit.Entry{Campaign: other, Action: "saveTag"})
		})
		client := s.NewReader()
		audit.Guard(client)
		standing := func(role campaignmember.Role) *auth.Viewer {
			return &auth.Viewer{Standing: &auth.Standing{Campaign: camp, Role: role}}
		}
		for _, c := range []struct {
			name   string
			viewer *auth.Viewer
			want   int
		}{
			{"a manager", manager, 3}, {"an agent", agent, 0}, {"a manager of another campaign", foreign, 1},
			{"an administrator", &auth.Viewer{Admin: true}, 4},
			{"whoever manages it", standing(campaignmember.RoleManager), 3}, {"whoever works in it", standing(campaignmember.RoleAgent), 0},
		} {
			asked.Take()
			ctx := auth.WithViewer(t.Context(), c.viewer)
			if n, err := client.AuditEntry.Query().Where(auditentry.CampaignIDIn(camp, other)).Count(ctx); n != c.want || err != nil {
				t.Errorf("%s: %d entries, %v, want %d", c.name, n, err, c.want)
			}
			for _, statement := range asked.Take() {
				if scan := storetest.FullScan(t, s, statement); scan != "" {
					t.Errorf("%s: %s", c.name, scan)
				}
			}
		}
		if _, err := client.AuditEntry.Query().All(t.Context()); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("nobody: %v", err)
		}
	})
}
