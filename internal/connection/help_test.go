package connection_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"testing"

	"causeway/ent"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/platform/telegram"
)

// foreignWebhook lets another program have a bot's updates and tells its host.
func (w *world) foreignWebhook(bot *simulator.Bot) string {
	w.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w.Cleanup(other.Close)
	must(w, w.owner(bot).SetWebhook(w.Context(), telegram.SetWebhook{URL: other.URL + "/secret-path"}))
	u, err := url.Parse(other.URL)
	must(w, err)
	return u.Host
}

// owner makes calls as whoever else has the token.
func (w *world) owner(bot *simulator.Bot) *telegram.Client {
	return telegram.New(w.tg.URL(), bot.Token(), nil)
}

func (w *world) profileOf(bot *simulator.Bot) platform.Profile {
	return platform.Profile{ID: strconv.FormatInt(bot.ID(), 10), Name: "Crash", Username: bot.Username()}
}

// same makes sure that a row is exactly as it was, sealed secrets included.
func same(t testing.TB, before, after *ent.Connection) {
	t.Helper()
	a, b := reflect.ValueOf(*before), reflect.ValueOf(*after)
	for i := range a.NumField() {
		field := a.Type().Field(i)
		if !field.IsExported() || field.Name == "Edges" {
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			t.Errorf("%s was %v and is %v", field.Name, a.Field(i).Interface(), b.Field(i).Interface())
		}
	}
}

// hasSecrets tells whether a row still holds a sealed token or webhook secret.
func hasSecrets(row *ent.Connection) bool {
	for _, column := range []*[]byte{row.SealedToken, row.SealedWebhookSecret, row.SealedUserToken, row.SealedAppSecret} {
		if column != nil && len(*column) > 0 { // ent reads NULL as a pointer to nothing
			return true
		}
	}
	return false
}
