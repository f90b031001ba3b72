package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// metrics is what GET /metrics tells, once it says all that is looked for.
func (p *program) metrics(want ...string) string {
	p.t.Helper()
	var told string
	eventually(p.t, "the numbers say so", func() error {
		status, contentType, body := p.sends(http.MethodGet, "/metrics", "", nil)
		if status != 200 || !strings.HasPrefix(contentType, "text/plain") {
			return fmt.Errorf("answered %d %s", status, contentType)
		}
		for _, line := range want {
			if !strings.Contains(body, line) {
				return fmt.Errorf("%q is not in\n%s", line, body)
			}
		}
		told = body
		return nil
	})
	return told
}

func TestTheNumbersSayWhatCameInAndWentOut(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	customer, conversation := p.writesFirst(campaign, bot, "Lan")
	p.admin().answers(conversation, "At your service")
	p.nobody().asks(`mutation { signIn(input: {email: "nobody@example.com", password: "wrong, surely"}) { token } }`, nil)
	hook := posterTo(t, bot)
	forged := *hook
	forged.secret = "forged"
	forged.mustPost(t, textUpdate(1, 1, "Hello?"), 401)
	if status, _, _ := p.sends(http.MethodPost, "/webhooks/facebook", `{"object":"page","entry":[]}`, nil); status != 401 {
		t.Errorf("Facebook's app, unsigned: %d", status)
	}
	p.admin().opens()
	told := p.metrics(
		`causeway_webhook_seconds_count{address="connection",platform="TELEGRAM",status="200"} 1`,
		`causeway_webhook_seconds_count{address="connection",platform="TELEGRAM",status="401"} 1`,
		`causeway_webhook_seconds_count{address="app",platform="FACEBOOK_MESSENGER",status="401"} 1`,
		`causeway_update_seconds_count{outcome="processed"} 1`,
		`causeway_send_seconds_count{outcome="sent",platform="TELEGRAM"} 1`,
		`causeway_graphql_responses_total{code="OK",operation="mutation"}`,
		`causeway_connections{platform="TELEGRAM",status="ACTIVE"} 1`,
		`causeway_waiting{what="messages"} `,
		`causeway_sessions 1`,
		`causeway_webhook_strangers_total 0`,
		`go_goroutines`, `go_sql_open_connections{db_name="readers"}`,
	)
	for what, secret := range map[string]string{
		"the connection's id": connection, "the campaign's id": campaign, "the conversation's id": conversation,
		"the bot's token": bot.Token(), "the webhook's address": hook.url[strings.LastIndex(hook.url, "/")+1:],
		"the customer": fmt.Sprint(customer.ID()), "a name": "Lan", "an address": "127.0.0.1",
	} {
		if strings.Contains(told, secret) {
			t.Errorf("%s is told: %s", what, secret)
		}
	}
}

func TestWhatIsCountedIsFoundAlongIndexes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, query := range []string{countConnections, countUpdates, countMessages, countFiles} {
			if plan := storetest.FullScan(t, s, storetest.Statement{Query: query}); plan != "" {
				t.Errorf("%s\n%s", query, plan)
			}
		}
	})
}
