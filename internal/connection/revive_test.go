package connection_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"causeway/internal/connection"
	"causeway/internal/store/storetest"
)

// onCall looks at each call to Telegram before it is made.
type onCall func(method string)

// RoundTrip makes the call.
func (look onCall) RoundTrip(r *http.Request) (*http.Response, error) {
	look(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	return http.DefaultTransport.RoundTrip(r)
}

// Telegram posts what waits as soon as it has the webhook, and drops one that is gone.
func TestARevivedWebhookIsOpenBeforeTelegramHearsOfIt(t *testing.T) {
	t.Parallel()
	var w *world
	var key string
	var asked atomic.Int32
	look := func(method string) {
		if key == "" || method != "getMe" && method != "setWebhook" {
			return
		}
		end, err := w.service.Endpoint(t.Context(), key)
		must(t, err)
		asked.Add(1)
		if gone := method == "getMe"; end.Disconnected != gone || gone != (end.Secret == nil) {
			t.Errorf("at %s the address is gone: %v, with a secret: %v", method, end.Disconnected, end.Secret != nil)
		}
	}
	w = newWorld(t, storetest.SQLite(t), func(cfg *connection.Config) { cfg.HTTP = &http.Client{Transport: onCall(look)} })
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, w.service.Disconnect(w.manager(), id))
	key = w.row(id).WebhookKey
	w.connects(bot)
	if n := asked.Load(); n != 2 {
		t.Errorf("looked %d times", n)
	}
}
