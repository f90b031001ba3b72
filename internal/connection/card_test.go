package connection_test

import (
	"strings"
	"testing"

	"causeway"
	"causeway/ent/campaignmember"
	"causeway/internal/auth"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestTheCardsTellWhatCanBeConnected(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, polling, withoutFacebook)
		w.connects(w.tg.AddBot("a_bot", "A"))
		gone := w.connects(w.tg.AddBot("b_bot", "B")).Connection
		must(t, w.service.Disconnect(w.manager(), gone))
		in := w.input(w.tg.AddBot("c_bot", "C").Token())
		in.CampaignID = w.other
		_, err := w.service.ConnectTelegramBot(w.admin(), in)
		must(t, err)

		both, err := w.service.PlatformsOf(w.member(campaignmember.RoleAgent, w.campaign), []causeway.ID{w.campaign, w.other})
		must(t, err)
		if len(both[w.campaign]) != 5 || len(both[w.other]) != 5 {
			t.Fatalf("%d and %d cards", len(both[w.campaign]), len(both[w.other]))
		}
		want := map[platform.Name]connection.Availability{
			platform.Telegram: connection.Available, platform.Messenger: connection.NotConfigured,
			platform.Instagram: connection.ComingSoon, platform.WhatsApp: connection.ComingSoon, platform.Zalo: connection.ComingSoon,
		}
		for _, card := range both[w.campaign] {
			if card.Availability != want[card.Platform] || card.Name == "" || !strings.HasPrefix(card.LogoURL, "data:image/svg+xml;base64,") {
				t.Errorf("the card of %s is %+v", card.Platform, card)
			}
			if count := map[bool]int{true: 1}[card.Platform == platform.Telegram]; card.Connections != count {
				t.Errorf("%s has %d connections", card.Platform, card.Connections)
			}
			if card.Platform == platform.Messenger && !strings.Contains(card.Problem.Args["settings"], "--facebook-app-id") {
				t.Errorf("Messenger says %+v", card.Problem)
			}
		}
		for _, card := range both[w.other] {
			if card.Connections != 0 {
				t.Error("a stranger's connections are counted")
			}
		}
		if _, err := w.service.Platforms(t.Context(), w.campaign); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("nobody sees the cards: %v", err)
		}
	})
}

func TestViewersReadTheirCampaignsConnectionsOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		result := w.connects(w.tg.AddBot("shop_bot", "Shop"))
		client := s.NewReader()
		connection.Guard(client)
		for who, c := range map[string]struct {
			viewer func() (campaigns []causeway.ID)
			sees   int
		}{
			"an agent":         {func() []causeway.ID { return []causeway.ID{w.campaign} }, 1},
			"a foreign agent":  {func() []causeway.ID { return []causeway.ID{w.other} }, 0},
			"who is in no one": {func() []causeway.ID { return nil }, 0},
		} {
			ctx := w.member(campaignmember.RoleAgent, c.viewer()...)
			connections, err := client.Connection.Query().All(ctx)
			must(t, err)
			reports, err := client.TestReport.Query().All(ctx)
			must(t, err)
			if len(connections) != c.sees || len(reports) != c.sees {
				t.Errorf("%s sees %d connections and %d reports", who, len(connections), len(reports))
			}
		}
		all, err := client.Connection.Query().All(w.admin())
		must(t, err)
		if len(all) != 1 || all[0].ID != result.Connection {
			t.Errorf("an administrator sees %d", len(all))
		}
		if _, err := client.TestReport.Query().All(auth.WithViewer(t.Context(), nil)); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("nobody sees reports: %v", err)
		}
	})
}
