package connection_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestDisconnectingFreesTheBotAndKeepsTheHistory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		key := w.row(id).WebhookKey
		must(t, w.service.Disconnect(w.manager(), id))

		row := w.row(id)
		if row.DisconnectedAt == nil || row.Status != entconnection.StatusInactive || row.TokenValid ||
			hasSecrets(row) || row.NextCheckAt != nil {
			t.Errorf("left is %+v", row)
		}
		if bot.Webhook().URL != "" {
			t.Error("the webhook is still registered")
		}
		endpoint, err := w.service.Endpoint(t.Context(), key)
		must(t, err)
		if !endpoint.Disconnected || endpoint.Secret != nil {
			t.Errorf("the key leads to %+v", endpoint)
		}
		if _, err := w.service.Open(t.Context(), id); causeway.CodeOf(err) != causeway.NotConnected {
			t.Errorf("its account opens: %v", err)
		}
		if len(w.reports(id, testreport.KindConnection)) != 1 || w.events(id) != 2 {
			t.Errorf("%d reports, %d events", len(w.reports(id, testreport.KindConnection)), w.events(id))
		}
		must(t, w.service.Disconnect(w.manager(), id))
		if w.events(id) != 2 {
			t.Error("disconnecting twice was told twice")
		}
	})
}

func TestDisconnectingWorksWhileTelegramIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	down, dead := w.tg.AddBot("down_bot", "Down"), w.tg.AddBot("dead_bot", "Dead")
	first, second := w.connects(down).Connection, w.connects(dead).Connection
	dead.RevokeToken()
	must(t, w.service.Disconnect(w.manager(), second))
	w.tg.Down()
	must(t, w.service.Disconnect(w.manager(), first))
	for _, id := range []causeway.ID{first, second} {
		if row := w.row(id); row.DisconnectedAt == nil || hasSecrets(row) {
			t.Errorf("left is %+v", row)
		}
	}
}

func TestDisconnectingLeavesAnotherProgramsWebhookAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	other := w.foreignWebhook(bot)
	must(t, w.service.Disconnect(w.manager(), id))
	if !strings.Contains(bot.Webhook().URL, other) {
		t.Errorf("registered is %q", bot.Webhook().URL)
	}
}

func TestSecretsAreNowhereToBeRead(t *testing.T) {
	t.Parallel()
	address := storetest.SQLiteAddress(t)
	s := storetest.Open(t, address)
	w := newWorld(t, s)
	bot := w.tg.AddBot("shop_bot", "Shop")
	var seen strings.Builder
	tell := func(err error) {
		if err != nil {
			seen.WriteString(err.Error() + "\n")
		}
	}
	token := bot.Token()
	id := w.connects(bot).Connection
	hookSecret := bot.Webhook().Secret
	ctx := w.manager()
	for _, status := range []int{400, 500} {
		for _, method := range []string{"getMe", "setWebhook", "getWebhookInfo", "getMyCommands"} {
			said := "Bad Request: " + token
			if method == "setWebhook" {
				said += " and " + hookSecret
			}
			failure := simulator.Failure{Status: status, Description: said}
			w.tg.FailNext(method, failure)
			_, err := w.service.ConnectTelegramBot(ctx, w.input(token))
			tell(err)
			w.tg.FailNext(method, failure)
			_, err = w.service.Test(ctx, id)
			tell(err)
		}
	}
	w.tg.Down()
	_, err := w.service.ConnectTelegramBot(ctx, w.input(token))
	tell(err)
	_, err = w.service.Test(ctx, id)
	tell(err)
	for _, report := range w.reports(id, testreport.KindConnection) {
		for _, check := range report.Checks {
			seen.WriteString(check.Message + "\n")
			if check.Problem != nil {
				seen.WriteString(check.Problem.PlatformMessage + "\n")
			}
		}
	}
	row := w.row(id)
	seen.WriteString(row.String() + w.log.String())

	path := strings.TrimPrefix(address, "sqlite:")
	files, err := filepath.Glob(path + "*")
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		seen.Write(content)
	}
	_, half, _ := strings.Cut(token, ":")
	for what, hidden := range map[string]string{"the token": half, "the webhook's secret": hookSecret} {
		if bytes.Contains([]byte(seen.String()), []byte(hidden)) {
			t.Errorf("%s can be read", what)
		}
	}
	if !strings.Contains(seen.String(), string(id)) {
		t.Error("the search looked at nothing")
	}
}

func TestStrangersKeysLeadNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	for _, key := range []string{"", "short", strings.Repeat("A", 43), strings.Repeat("A", 1<<16)} {
		if _, err := w.service.Endpoint(t.Context(), key); causeway.CodeOf(err) != causeway.NotFound {
			t.Errorf("a key of %d characters: %v", len(key), err)
		}
	}
}

func TestAnotherServersDisconnectIsNoticedSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	key := w.row(id).WebhookKey
	_, err := w.service.Endpoint(t.Context(), key)
	must(t, err)
	must(t, w.newService().Disconnect(w.manager(), id)) // w.service is not started: it hears nothing
	w.clock.turn(1e9)
	endpoint, err := w.service.Endpoint(t.Context(), key)
	must(t, err)
	if !endpoint.Disconnected {
		t.Error("a second later the connection still takes updates")
	}
}

func TestAnAddressIsReadOnceWhileItIsFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	key := w.row(w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection).WebhookKey
	_, err := w.service.Endpoint(t.Context(), key)
	must(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // the database would refuse
	if _, err := w.service.Endpoint(ended, key); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

func TestRejectedDeliveriesAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		a := w.connects(w.tg.AddBot("a_bot", "A")).Connection
		b := w.connects(w.tg.AddBot("b_bot", "B")).Connection
		must(t, w.service.AddRejected(t.Context(), map[causeway.ID]int{a: 2, b: 1}))
		must(t, w.service.AddRejected(t.Context(), map[causeway.ID]int{a: 1}))
		if w.row(a).RejectedCount != 3 || w.row(b).RejectedCount != 1 {
			t.Errorf("counted %d and %d", w.row(a).RejectedCount, w.row(b).RejectedCount)
		}
	})
}

func BenchmarkEndpoint(b *testing.B) {
	w := newWorld(b, storetest.SQLite(b))
	key := w.row(w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection).WebhookKey
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.service.Endpoint(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}
