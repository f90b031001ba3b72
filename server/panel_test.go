package main

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// everything is what a manager reads of a campaign, but for its logs, as text.
func (s *house) everything() string {
	s.t.Helper()
	a := s.manager.asks(`query($c: ID!) { campaign(id: $c) { eventCursor
		connections { status webhook { totalReceived errorCount pendingCount lastReceivedAt rejectedCount } openConversations }
		conversations { edges { node { id title status unreadCount lastMessageAt contact { name blocked } tags { name }
			messages { edges { node { id text payload status direction editedAt sentAt createdAt replyTo { id } reactions { emoji contact { name } at }
				attachments { id kind state } } } } } } } } }`, data{"c": s.campaign})
	if len(a.Errors) > 0 {
		s.t.Fatal(a.Body)
	}
	return a.Body
}

// calm waits until no log of the connection is PENDING, and answers how many there are.
func (s *house) calm() map[string]int {
	s.t.Helper()
	return s.processed(s.connection, 0)
}

func TestReplayingAllLogsOfAConnectionChangesNothingButTheirAttempts(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, database option) {
		s := opensHouse(t, database)
		hello := s.lan.Writes(s.bot, "Helo")
		s.lan.Edits(hello, "Hello")
		s.lan.Edits(hello, "Hello!") // in the same second, for Telegram
		s.lan.Reacts(hello, "👍")
		s.lan.Reacts(hello, "🔥")
		s.lan.Blocks(s.bot)
		s.lan.Unblocks(s.bot)
		hook := posterTo(t, s.bot)
		hook.mustPost(t, textUpdate(1, 1, "Once"), http.StatusOK)
		hook.mustPost(t, textUpdate(1, 1, "Once"), http.StatusOK)
		hook.mustPost(t, []byte(`{"update_id": 77, "message": {"message_id": "no number"}}`), http.StatusOK)
		hook.mustPost(t, []byte(`{"update_id": 78, "something_new": {}}`), http.StatusOK)
		if err := s.bot.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.manager.does(`mutation($v: ID!) { markConversationRead(id: $v) { userErrors { code } } }`, data{"v": s.conversation})
		statuses := s.processed(s.connection, 15)
		if statuses["FAILED"] == 0 || statuses["IGNORED"] == 0 || statuses["DUPLICATE"] != 1 {
			t.Fatalf("the logs are %v", statuses)
		}
		before := s.everything()

		panel := s.manager.opens()
		panel.subscribes(`subscription($n: ID!) { webhookReceived(connectionId: $n) { id status attempts } }`, data{"n": s.connection})
		all := 0
		for _, n := range statuses {
			all += n
		}
		replay := `mutation($n: ID!, $f: WebhookLogFilter!) { replayWebhooks(connectionId: $n, filter: $f) { replayedCount userErrors { code message } } }`
		for range 2 {
			n := s.manager.does(replay, data{"n": s.connection, "f": data{}}).number("replayedCount")
			if n != all-statuses["DUPLICATE"] {
				t.Errorf("%d of %d logs were replayed", n, all)
			}
			if now := s.processed(s.connection, all); !maps.Equal(now, statuses) {
				t.Errorf("the logs were %v and are %v", statuses, now)
			}
		}
		if log := panel.sees().at("webhookReceived"); log.text("id") == "" {
			t.Errorf("the panel saw %v", log)
		}
		if now := s.everything(); now != before {
			t.Errorf("a replay changed\n%s\nto\n%s", before, now)
		}
		if tried := s.column("SELECT min(attempts) FROM webhook_logs WHERE status IN ('PROCESSED', 'IGNORED')"); tried[0] != "3" {
			t.Errorf("tried %v times", tried)
		}
	})
}

func TestAManagerTestsTheWebhookAndFindsTheLog(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	before := s.everything()
	test := `mutation($n: ID!) { testWebhook(connectionId: $n) { report { kind passed checks { name outcome message durationMs problem { code } } } log { id test status eventType payload connection { id } } userErrors { code message } } }`
	tested := s.manager.does(test, data{"n": s.connection})
	checks := tested.at("report").list("checks")
	if len(checks) != 1 || checks[0].text("name") != "WEBHOOK_DELIVERY" || checks[0].text("outcome") != "PASSED" ||
		tested.at("report").text("kind") != "WEBHOOK" || tested.at("report")["passed"] != true {
		t.Errorf("the report is %v", tested.at("report"))
	}
	log := tested.at("log")
	if log["test"] != true || log.at("connection").text("id") != s.connection {
		t.Errorf("the log is %v", log)
	}
	s.calm()
	if now := s.manager.gets(`query($id: ID!) { node(id: $id) { ... on WebhookLog { status test } } }`, data{"id": log.text("id")}).at("node"); now.text("status") != "IGNORED" || now["test"] != true {
		t.Errorf("the log became %v", now)
	}
	within := func(body string) string { return body[strings.Index(body, `"connections"`):] } // the panel's event moves the cursor
	if now := s.everything(); within(now) != within(before) {
		t.Errorf("a test changed\n%s\nto\n%s", before, now)
	}
	report := s.manager.does(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { passed checks { name outcome } } userErrors { code } } }`, data{"n": s.connection}).at("report")
	found := false
	for _, check := range report.list("checks") {
		found = found || check.text("name") == "WEBHOOK_DELIVERY" && check.text("outcome") == "PASSED"
	}
	if !found || report["passed"] != true {
		t.Errorf("the connection's report is %v", report)
	}
	for _, forged := range []string{"1", "true", "AAAA"} {
		hook := posterTo(t, s.bot)
		hook.client.Transport = withHeader{hook.client.Transport, "X-Causeway-Test", forged}
		hook.mustPost(t, textUpdate(2, len(forged), "I am a test"), http.StatusOK)
	}
	if tests := s.column("SELECT id FROM webhook_logs WHERE test"); len(tests) != 2 {
		t.Errorf("%d logs are tests", len(tests))
	}
}

// withHeader adds a header to requests.
type withHeader struct {
	http.RoundTripper
	name, value string
}

func (w withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(w.name, w.value)
	return w.RoundTripper.RoundTrip(r)
}
