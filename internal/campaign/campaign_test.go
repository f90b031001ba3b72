package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	entcampaign "causeway/ent/campaign"
	"causeway/ent/campaignmember"
	"causeway/ent/connection"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/campaign"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// stands is a clock that stands still.
type stands struct{ causeway.System }

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func (stands) Now() time.Time { return noon }

// team is two campaigns and the people who may or may not work in the first.
type team struct {
	t         *testing.T
	db        *store.Store
	bus       *bus.Local
	campaigns *campaign.Service

	first, second                  causeway.ID
	admin, manager, agent, foreign causeway.ID
}

func newTeam(t *testing.T, db *store.Store) *team {
	t.Helper()
	b := bus.NewLocal()
	t.Cleanup(func() { _ = b.Close() })
	h := &team{t: t, db: db, bus: b, campaigns: campaign.New(campaign.Config{Store: db, Bus: b, Clock: stands{}})}
	h.admin = h.person("admin", user.RoleAdmin)
	h.manager = h.person("manager", user.RoleAgent)
	h.agent = h.person("agent", user.RoleAgent)
	h.foreign = h.person("foreign", user.RoleAgent)
	h.first, h.second = h.create("Spring"), h.create("Autumn")
	h.set(h.first, h.manager, campaignmember.RoleManager)
	h.set(h.first, h.agent, campaignmember.RoleAgent)
	h.set(h.second, h.foreign, campaignmember.RoleManager)
	return h
}

func (h *team) write(fn func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	ctx := context.Background()
	if err := h.db.InTx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *team) person(name string, role user.Role) (id causeway.ID) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx *store.Tx) error {
		person, err := tx.User.Create().SetEmail(name + "@example.com").SetName(name).SetRole(role).
			SetPasswordHash("none").SetCreatedAt(noon).Save(ctx)
		if err == nil {
			id = person.ID
		}
		return err
	})
	return id
}

func (h *team) create(name string) causeway.ID {
	h.t.Helper()
	id, err := h.campaigns.Create(h.as(h.admin), name, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *team) set(camp, person causeway.ID, role campaignmember.Role) {
	h.t.Helper()
	if err := h.campaigns.SetMember(h.as(h.admin), camp, person, role); err != nil {
		h.t.Fatal(err)
	}
}

func (h *team) as(person causeway.ID) context.Context {
	return auth.WithViewer(context.Background(), &auth.Viewer{UserID: person, Admin: person == h.admin})
}

func (h *team) campaign(id causeway.ID) *ent.Campaign {
	h.t.Helper()
	camp, err := h.db.Reader().Campaign.Get(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return camp
}

// connect stores a live connection, as the room connection does.
func (h *team) connect(ctx context.Context, camp causeway.ID, account string) error {
	return h.db.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Writable(ctx, tx, camp, "input", "campaignId"); err != nil {
			return err
		}
		return tx.Connection.Create().SetCampaignID(camp).SetPlatform(platform.Telegram).SetAccountID(account).
			SetProfile(platform.Profile{}).SetName(account).SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey(account).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(noon).Exec(ctx)
	})
}

func (h *team) disconnect(camp causeway.ID) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx *store.Tx) error {
		return tx.Connection.Update().Where(connection.CampaignID(camp)).SetDisconnectedAt(noon).Exec(ctx)
	})
}

// everybody tries an operation on the first campaign as each kind of person, in an
// order in which the refused come before it has an effect.
func (h *team) everybody(path string, agent, manager causeway.Code, do func(ctx context.Context) error) {
	h.t.Helper()
	refused(h.t, do(context.Background()), causeway.Unauthenticated, "", "")
	refused(h.t, do(h.as(h.foreign)), causeway.NotFound, "", path)
	refused(h.t, do(h.as(h.agent)), agent, "", "")
	refused(h.t, do(h.as(h.manager)), manager, "", "")
	refused(h.t, do(h.as(h.admin)), "", "", "")
}

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

func TestAdministratorsAloneBeginCampaigns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		_, err := h.campaigns.Create(context.Background(), "Summer", nil)
		refused(t, err, causeway.Unauthenticated, "", "")
		for _, person := range []causeway.ID{h.foreign, h.agent, h.manager} {
			_, err := h.campaigns.Create(h.as(person), "Summer", nil)
			refused(t, err, causeway.Forbidden, "", "")
		}
		description := " In the parks \x00"
		id, err := h.campaigns.Create(h.as(h.admin), " Summer ", &description)
		if err != nil {
			t.Fatal(err)
		}
		camp := h.campaign(id)
		if camp.Name != "Summer" || camp.Description == nil || *camp.Description != "In the parks" || !camp.CreatedAt.Equal(noon) {
			t.Errorf("stored %v", camp)
		}
	})
}

func TestWhatCannotBeACampaignIsRefused(t *testing.T) {
	t.Parallel()
	h := newTeam(t, storetest.SQLite(t))
	admin := h.as(h.admin)
	long := strings.Repeat("字", 2001)
	for _, c := range []struct {
		name        string
		description *string
		reason      causeway.Reason
		field       string
	}{
		{" \n", nil, causeway.ReasonRequired, "input.name"},
		{strings.Repeat("字", 201), nil, causeway.ReasonTooLong, "input.name"},
		{"Summer", &long, causeway.ReasonTooLong, "input.description"},
	} {
		_, err := h.campaigns.Create(admin, c.name, c.description)
		refused(t, err, causeway.InvalidInput, c.reason, c.field)
		err = h.campaigns.Update(admin, campaign.Update{
			ID: h.first, Name: causeway.ChangeTo(c.name), Description: causeway.Change[string]{Given: true, Value: c.description},
		})
		refused(t, err, causeway.InvalidInput, c.reason, c.field)
	}
	if camp := h.campaign(h.first); camp.Name != "Spring" {
		t.Errorf("a refused change left %v", camp)
	}
}

func TestManagersChangeACampaign(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		h.everybody("input.id", causeway.Forbidden, "", func(ctx context.Context) error {
			return h.campaigns.Update(ctx, campaign.Update{
				ID: h.first, Name: causeway.ChangeTo("Early spring"), Description: causeway.ChangeTo("In the parks"),
			})
		})
		manager := h.as(h.manager)
		if err := h.campaigns.Update(manager, campaign.Update{ID: h.first}); err != nil {
			t.Fatal(err)
		}
		if camp := h.campaign(h.first); camp.Name != "Early spring" || camp.Description == nil {
			t.Errorf("leaving everything out changed it to %v", camp)
		}
		null := causeway.Change[string]{Given: true}
		if err := h.campaigns.Update(manager, campaign.Update{ID: h.first, Description: null}); err != nil || h.campaign(h.first).Description != nil {
			t.Errorf("clearing the description: %v", err)
		}
		err := h.campaigns.Update(manager, campaign.Update{ID: h.first, Name: null})
		refused(t, err, causeway.InvalidInput, causeway.ReasonCannotClear, "input.name")
		err = h.campaigns.Update(h.as(h.admin), campaign.Update{ID: causeway.NewID(causeway.PrefixCampaign)})
		refused(t, err, causeway.NotFound, "", "input.id")
	})
}

func TestAdministratorsAloneArchive(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		h.everybody("id", causeway.Forbidden, causeway.Forbidden, func(ctx context.Context) error {
			return h.campaigns.Archive(ctx, h.first)
		})
		if at := h.campaign(h.first).ArchivedAt; at == nil || !at.Equal(noon) {
			t.Errorf("archived at %v", at)
		}
		h.everybody("id", causeway.Forbidden, causeway.Forbidden, func(ctx context.Context) error {
			return h.campaigns.Unarchive(ctx, h.first)
		})
		if at := h.campaign(h.first).ArchivedAt; at != nil {
			t.Errorf("still archived at %v", at)
		}
		if err := h.campaigns.Unarchive(h.as(h.admin), h.first); err != nil {
			t.Errorf("unarchiving twice: %v", err)
		}
	})
}

func TestAnArchivedCampaignIsReadOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		admin := h.as(h.admin)
		if err := h.campaigns.Archive(admin, h.first); err != nil {
			t.Fatal(err)
		}
		for path, do := range map[string]func(ctx context.Context) error{
			"id":       func(ctx context.Context) error { return h.campaigns.Archive(ctx, h.first) },
			"input.id": func(ctx context.Context) error { return h.campaigns.Update(ctx, campaign.Update{ID: h.first}) },
			"input.campaignId": func(ctx context.Context) error {
				return errors.Join(
					h.campaigns.SetMember(ctx, h.first, h.foreign, campaignmember.RoleAgent),
					h.campaigns.RemoveMember(ctx, h.first, h.agent),
				)
			},
		} {
			refused(t, do(admin), causeway.Conflict, causeway.ReasonArchived, path)
		}
		if n := db.Reader().CampaignMember.Query().Where(campaignmember.CampaignID(h.first)).CountX(admin); n != 2 {
			t.Errorf("it has %d members", n)
		}
	})
}

func TestACampaignWithLiveConnectionsIsNotArchived(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		admin := h.as(h.admin)
		for _, account := range []string{"1", "2"} {
			if err := h.connect(admin, h.first, account); err != nil {
				t.Fatal(err)
			}
		}
		err := h.campaigns.Archive(admin, h.first)
		refused(t, err, causeway.Conflict, causeway.ReasonLiveConnections, "id")
		if e, _ := errors.AsType[*causeway.Error](err); e.Args["count"] != "2" {
			t.Errorf("told of %v", e.Args)
		}
		h.disconnect(h.first)
		if err := h.campaigns.Archive(admin, h.first); err != nil {
			t.Error(err)
		}
	})
}

func TestOfArchivingAndConnectingAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		admin := h.as(h.admin)
		for round := range 25 {
			camp := h.create("Summer")
			var archived, connected error
			var both sync.WaitGroup
			both.Go(func() { archived = h.campaigns.Archive(admin, camp) })
			both.Go(func() { connected = h.connect(admin, camp, fmt.Sprint(round)) })
			both.Wait()
			if (archived == nil) == (connected == nil) {
				t.Fatalf("round %d: archiving %v, connecting %v", round, archived, connected)
			}
			if archived != nil {
				refused(t, archived, causeway.Conflict, causeway.ReasonLiveConnections, "id")
			}
			if connected != nil {
				refused(t, connected, causeway.Conflict, causeway.ReasonArchived, "input.campaignId")
			}
		}
	})
}

func TestWritingIntoACampaignDoesNotHoldUpItsEvents(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	h := newTeam(t, db)
	ctx, cancel := context.WithTimeout(h.as(h.admin), 20*time.Second)
	defer cancel()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Writable(ctx, tx, h.first); err != nil {
			return err
		}
		// Meanwhile another transaction counts an event and commits.
		return db.InTx(ctx, func(other *store.Tx) error {
			return other.Campaign.UpdateOneID(h.first).AddEventSeq(1).Exec(ctx)
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestManagersSetMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		bo := h.person("bo", user.RoleAgent)
		h.everybody("input.campaignId", causeway.Forbidden, "", func(ctx context.Context) error {
			return h.campaigns.SetMember(ctx, h.first, bo, campaignmember.RoleAgent)
		})
		h.set(h.first, bo, campaignmember.RoleManager)
		member := db.Reader().CampaignMember.Query().
			Where(campaignmember.CampaignID(h.first), campaignmember.UserID(bo)).OnlyX(context.Background())
		if member.Role != campaignmember.RoleManager || !member.JoinedAt.Equal(noon) {
			t.Errorf("stored %v", member)
		}
		manager := h.as(h.manager)
		err := h.campaigns.SetMember(manager, h.first, causeway.NewID(causeway.PrefixUser), campaignmember.RoleAgent)
		refused(t, err, causeway.NotFound, "", "input.userId")
		h.write(func(ctx context.Context, tx *store.Tx) error {
			return tx.User.UpdateOneID(bo).SetDeactivatedAt(noon).Exec(ctx)
		})
		err = h.campaigns.SetMember(manager, h.first, bo, campaignmember.RoleAgent)
		refused(t, err, causeway.Conflict, causeway.ReasonDeactivatedUser, "input.userId")
	})
}

func TestManagersRemoveMembersAndEverybodyHears(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		rings := h.bus.Subscribe(auth.AccessTopic)
		defer rings.Close()
		err := h.campaigns.RemoveMember(h.as(h.manager), h.first, h.foreign)
		refused(t, err, causeway.NotFound, "", "input.userId")
		if rings.Take().Rung {
			t.Error("rung for what was refused")
		}
		h.everybody("input.campaignId", causeway.Forbidden, "", func(ctx context.Context) error {
			defer h.set(h.first, h.agent, campaignmember.RoleAgent)
			return h.campaigns.RemoveMember(ctx, h.first, h.agent)
		})
		rings.Take()
		if err := h.campaigns.RemoveMember(h.as(h.manager), h.first, h.agent); err != nil {
			t.Fatal(err)
		}
		if !rings.Take().Rung {
			t.Error("nothing was rung")
		}
		_, err = auth.RoleIn(h.as(h.agent), db.Reader(), h.first)
		refused(t, err, causeway.NotFound, "", "")
	})
}

func TestViewersSeeTheirOwnCampaignsAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newTeam(t, db)
		client := db.NewReader()
		campaign.Guard(client)
		auth.Guard(client)
		loner := h.person("loner", user.RoleAgent)
		for person, sees := range map[causeway.ID][]causeway.ID{
			h.admin: {h.first, h.second}, h.manager: {h.first}, h.agent: {h.first}, h.foreign: {h.second}, loner: nil,
		} {
			ctx := h.as(person)
			got := client.Campaign.Query().IDsX(ctx)
			slices.Sort(got)
			slices.Sort(sees)
			if !slices.Equal(got, sees) {
				t.Errorf("%v sees %v, want %v", person, got, sees)
			}
			for _, id := range []causeway.ID{h.first, h.second} {
				_, err := client.Noder(ctx, id, ent.WithFixedNodeType(entcampaign.Table))
				if seen := err == nil; seen != slices.Contains(sees, id) {
					t.Errorf("%v asks for node %v: %v", person, id, err)
				}
			}
			for _, member := range client.CampaignMember.Query().WithCampaign().WithUser().AllX(ctx) {
				if !slices.Contains(sees, member.CampaignID) || member.Edges.Campaign == nil || member.Edges.User == nil {
					t.Errorf("%v sees %v", person, member)
				}
			}
		}
		_, err := client.Campaign.Query().All(context.Background())
		refused(t, err, causeway.Unauthenticated, "", "")
		_, err = client.CampaignMember.Query().All(context.Background())
		refused(t, err, causeway.Unauthenticated, "", "")
	})
}
