package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"causeway/internal/store"
	"causeway/internal/webhook"
)

func TestAForgedUpdateIsTurnedAwayAndOnlyCounted(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	update := textUpdate(1, 1, "I am not Telegram")

	for _, secret := range []string{"", "forged", posterTo(t, bot).secret + "x", strings.ToUpper(posterTo(t, bot).secret) + "-"} {
		forger := posterTo(t, bot)
		forger.secret = secret
		forger.mustPost(t, update, http.StatusUnauthorized)
	}
	p.hasOnlyCounted(campaign, connection, 4)
}

// hasOnlyCounted waits until a connection counts what was turned away, and sees that
// nothing else of it was kept.
func (p *program) hasOnlyCounted(campaign, connection string, n int) {
	p.t.Helper()
	eventually(p.t, "what was turned away is counted", func() error {
		if hook, _ := p.webhook(connection); hook.number("rejectedCount") != n {
			return fmt.Errorf("%d instead of %d", hook.number("rejectedCount"), n)
		}
		return nil
	})
	hook, logs := p.webhook(connection)
	if hook.number("totalReceived") != 0 || len(logs) > 0 || len(p.texts(campaign)) > 0 {
		p.t.Errorf("something was kept: %v %v %v", hook, logs, p.texts(campaign))
	}
}

func TestAConnectionWithoutASecretTakesNothing(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	genuine := posterTo(t, bot)
	p.stop()

	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Address: p.settings.storeAddress()})
	if err != nil {
		t.Fatal(err)
	}
	err = db.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Run(tx.SQL().Update("connections").SetNull("sealed_webhook_secret"))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	p.start()
	for _, secret := range []string{"", genuine.secret} {
		one := genuine.at(p.url)
		one.secret = secret
		one.mustPost(t, textUpdate(1, 1, "Hello?"), http.StatusUnauthorized)
	}
	p.hasOnlyCounted(campaign, connection, 2)
}

func TestEachRefusalOfAWebhookHasItsStatus(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	genuine := posterTo(t, bot)
	good := textUpdate(1, 1, "Hello?")

	unknown := *genuine
	unknown.url = p.url + webhook.TelegramPath + "nobodyskey"
	unknown.mustPost(t, good, http.StatusNotFound)
	genuine.mustPost(t, []byte("Hello?"), http.StatusBadRequest)
	genuine.mustPost(t, []byte(`[{"update_id": 1}]`), http.StatusBadRequest)
	genuine.mustPost(t, nil, http.StatusBadRequest)

	largest := append(bytes.Clone(good), bytes.Repeat([]byte(" "), 1<<20-len(good))...)
	genuine.mustPost(t, append(largest, ' '), http.StatusRequestEntityTooLarge)
	if hook, logs := p.webhook(connection); hook.number("totalReceived") != 0 || hook.number("rejectedCount") != 0 || len(logs) > 0 {
		t.Errorf("something was kept: %v %v", hook, logs)
	}
	genuine.mustPost(t, largest, http.StatusOK)
	if logs := p.processed(connection, 1); logs["PROCESSED"] != 1 {
		t.Errorf("the largest update is %v", logs)
	}

	p.admin().does(`mutation($id: ID!) { disconnect(connectionId: $id) { openConversations userErrors { code message } } }`, data{"id": connection})
	genuine.mustPost(t, textUpdate(1, 2, "Hello?"), http.StatusGone)
	wrong := *genuine
	wrong.secret = "forged"
	wrong.mustPost(t, largest, http.StatusGone)
	if hook, logs := p.webhook(connection); hook.number("totalReceived") != 1 || logs["PROCESSED"] != 1 {
		t.Errorf("something was kept after the end: %v %v", hook, logs)
	}
}
