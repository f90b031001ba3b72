package connection

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"

	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

var (
	_ dropper   = (*botLook)(nil)
	_ rehearser = (*botLook)(nil)
)

// drop registers the same webhook again and has Telegram forget what waits; where none
// is registered, because updates are fetched, it deletes none to the same end. Updates
// that come between the count and the drop are dropped and not counted.
func (i *botLook) drop(ctx context.Context) (int, error) {
	if err := i.readWebhook(ctx); err != nil {
		return 0, err
	}
	if i.webhookErr != nil {
		return 0, i.webhookErr
	}
	if i.foreign() {
		problem, _ := taken(i.webhook.URL)
		return 0, problem.At("connectionId")
	}
	waiting := int(i.webhook.Pending)
	if i.webhook.URL == "" || i.svc.delivery(platform.Telegram) == entconnection.DeliveryPolling {
		return waiting, i.bot.DeleteWebhook(ctx, true)
	}
	webhook := i.wanted()
	webhook.DropPending = true
	return waiting, i.set(ctx, webhook)
}

// testEvent is an update of a kind that Telegram does not have, with a number that it
// never gives.
func (i *botLook) testEvent() testEvent {
	return testEvent{
		address: i.svc.botWebhookURL(i.of.key),
		header:  http.Header{http.CanonicalHeaderKey(telegram.SecretHeader): {i.of.secret}},
		body:    fmt.Appendf(nil, `{"update_id":%d,"causeway_test":{}}`, -1-rand.Int64N(math.MaxInt64)),
	}
}
