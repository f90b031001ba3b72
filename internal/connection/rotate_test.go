package connection_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/ent/migrate"
	"causeway/internal/connection"
	"causeway/internal/secret"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// keysOf is a ring of keys that are told apart by a number each; the world's own is 7.
func keysOf(t testing.TB, numbers ...byte) *secret.Ring {
	t.Helper()
	var words []string
	for _, n := range numbers {
		words = append(words, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)))
	}
	ring, err := secret.Parse(strings.Join(words, ","))
	must(t, err)
	return ring
}

func TestEverySecretIsSealedAnewAndOpensWithTheNewKeyAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		shop := w.newShop("Shoes")
		page := shop.connectsPage(shop.pages[0]).Connection
		bot := w.tg.AddBot("shop_bot", "Shop")
		chat := w.connects(bot).Connection
		app, err := w.keys.Seal([]byte("an app's secret"), page)
		must(t, err)
		w.write(func(tx *store.Tx) error {
			return tx.Connection.UpdateOneID(page).SetSealedAppSecret(app).Exec(tx.Context())
		})
		before := w.row(page)
		hook := shop.kept(chat, w.row(chat).SealedWebhookSecret)

		done, err := connection.RotateSecrets(t.Context(), s, keysOf(t, 8, 7))
		must(t, err)
		// The page's token, the person's, the app's secret and the webhook's; the bot's token and its webhook's; the login's.
		if done.Renewed != 7 || len(done.Lost) > 0 {
			t.Errorf("sealed anew: %d, lost: %v", done.Renewed, done.Lost)
		}
		w.keys = keysOf(t, 8)
		row := w.row(page)
		if shop.kept(page, row.SealedUserToken) != shop.person || shop.kept(page, row.SealedAppSecret) != "an app's secret" ||
			shop.kept(chat, w.row(chat).SealedToken) != bot.Token() || shop.kept(chat, w.row(chat).SealedWebhookSecret) != hook {
			t.Error("a secret is another one than before")
		}
		login, err := s.Reader().FacebookLogin.Get(t.Context(), shop.login)
		must(t, err)
		if shop.kept(login.ID, login.SealedToken) != shop.person {
			t.Error("the login's token is another one than before")
		}
		if row.Status != before.Status || !row.NextCheckAt.Equal(*before.NextCheckAt) || w.row(chat).DisconnectedAt != nil {
			t.Error("more than the secrets was changed")
		}

		again, err := connection.RotateSecrets(t.Context(), s, keysOf(t, 8, 7))
		must(t, err)
		if again.Renewed != 0 || len(again.Lost) > 0 {
			t.Errorf("a second time: %+v", again)
		}
		same(t, row, w.row(page))
	})
}

func TestASecretThatNoKeyOpensIsNamedAndTheOthersAreSealedAnew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		const bots = 120 // more than one batch
		var ids []causeway.ID
		w.write(func(tx *store.Tx) error {
			ids = nil
			for i := range bots {
				id := causeway.NewID(causeway.PrefixConnection)
				token, err := w.keys.Seal(fmt.Appendf(nil, "token %d", i), id)
				if err != nil {
					return err
				}
				err = tx.Connection.Create().SetID(id).SetCampaignID(w.campaign).SetPlatform("TELEGRAM").SetAccountID(fmt.Sprint(i)).
					SetProfile(w.profileOf(w.tg.AddBot(fmt.Sprintf("shop%d_bot", i), "Shop"))).SetName("Shop").
					SetStatus(entconnection.StatusActive).SetSealedToken(token).SetSealedWebhookSecret(token).
					SetDelivery(entconnection.DeliveryWebhook).SetWebhookKey(fmt.Sprint(i)).
					SetWebhookStatus(entconnection.WebhookStatusActive).SetConnectedAt(w.clock.Now()).Exec(tx.Context())
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		slices.Sort(ids)
		foreign, err := keysOf(t, 9).Seal([]byte("of a key that is lost"), ids[60])
		must(t, err)
		w.write(func(tx *store.Tx) error {
			if err := tx.Connection.UpdateOneID(ids[10]).SetSealedToken([]byte("damaged")).Exec(tx.Context()); err != nil {
				return err
			}
			return tx.Connection.UpdateOneID(ids[60]).SetSealedToken(foreign).Exec(tx.Context())
		})

		done, err := connection.RotateSecrets(t.Context(), s, keysOf(t, 8, 7))
		must(t, err)
		if done.Renewed != 2*bots-2 || !slices.Equal(done.Lost, []causeway.ID{ids[10], ids[60]}) {
			t.Errorf("sealed anew: %d of %d, lost: %v", done.Renewed, 2*bots-2, done.Lost)
		}
		if kept := *w.row(ids[60]).SealedToken; !bytes.Equal(kept, foreign) {
			t.Error("what could not be opened was changed")
		}
		if _, err := keysOf(t, 8).Open(*w.row(ids[60]).SealedWebhookSecret, ids[60]); err != nil {
			t.Errorf("the other secret of the same row: %v", err)
		}
	})
}

func TestAServerGoesOnWhileSecretsAreSealedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), func(cfg *connection.Config) {
		cfg.Keys = keysOf(t, 7, 8) // it has the new key already
	}).start()
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	first := w.row(id)
	for range 5 { // also in the midst of checks
		w.clock.turn(time.Hour)
		_, err := connection.RotateSecrets(t.Context(), w.store, keysOf(t, 8, 7))
		must(t, err)
		_, err = connection.RotateSecrets(t.Context(), w.store, keysOf(t, 7, 8))
		must(t, err)
	}
	synced := *w.row(id).LastSyncedAt
	w.eventually(func() string {
		row := w.row(id)
		if row.Status == entconnection.StatusActive && row.LastSyncedAt.After(synced) && row.LastSyncedAt.After(*first.LastSyncedAt) {
			return ""
		}
		return "no check was recorded since"
	})
	endpoint, err := w.service.Endpoint(t.Context(), first.WebhookKey)
	must(t, err)
	secret, err := keysOf(t, 7).Open(*first.SealedWebhookSecret, id)
	must(t, err)
	if !bytes.Equal(endpoint.Secret, secret) {
		t.Error("webhooks are verified with another secret than before")
	}
}

func TestARotationKnowsEveryColumnThatHoldsASecret(t *testing.T) {
	t.Parallel()
	known := connection.SecretColumns()
	for _, table := range migrate.Tables {
		for _, column := range table.Columns {
			if name := table.Name + "." + column.Name; strings.HasPrefix(column.Name, "sealed_") && !slices.Contains(known, name) {
				t.Errorf("%s is not sealed anew", name)
			}
		}
	}
}

func TestSecretsAreFoundAlongThePrimaryKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for table, statement := range connection.SelectSealed(s.SQL()) {
			index := table + "_pkey"
			if s.Dialect() == "sqlite3" {
				index = "sqlite_autoindex_" + table
			}
			runsAlong(t, s, index, statement)
		}
	})
}
