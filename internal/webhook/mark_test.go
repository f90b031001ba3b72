package webhook_test

import (
	"net/http"
	"strings"
	"testing"

	"causeway"
	"causeway/ent/webhooklog"
	"causeway/internal/platform/messenger"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
	"causeway/internal/webhook"
)

// marks takes the header X-Mark, if it names the connection, for a test event's.
type marks struct{}

func (marks) TestEvent(header http.Header, connection causeway.ID) (string, bool) {
	return "test:mark", header.Get("X-Mark") == string(connection)
}

func TestATestEventIsStoredAsOneIfItIsAuthentic(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDoor(t, s)
		mark := string(d.conn.ID)
		for _, try := range []struct {
			headers []string
			status  int
		}{
			{[]string{"X-Mark", mark}, http.StatusUnauthorized},
			{[]string{"X-Mark", mark, "X-Telegram-Bot-Api-Secret-Token", secret}, http.StatusOK},
			{[]string{"X-Mark", "another's", "X-Telegram-Bot-Api-Secret-Token", secret}, http.StatusOK},
		} {
			if res, _ := d.posts(t, http.MethodPost, "bot", strings.NewReader(`{"update_id":-5,"odd":{}}`), try.headers...); res.StatusCode != try.status {
				t.Errorf("%v: answered %d", try.headers, res.StatusCode)
			}
		}
		logs, err := s.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(d.conn.ID)).Order(webhooklog.ByPosition()).All(t.Context())
		if err != nil || len(logs) != 2 {
			t.Fatalf("%v %v", logs, err)
		}
		if !logs[0].Test || *logs[0].UpdateKey != "test:mark" || logs[1].Test || *logs[1].UpdateKey != "-5" {
			t.Errorf("they are %v", logs)
		}
	})
}

func TestATestEventOfOnePageIsNoneOfAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		g := newGate(t, s, webhook.FacebookApp{Secret: appSecret, VerifyToken: verifyToken})
		text := body(says("101", "mine"), says("202", "another's"))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.server.URL+"/webhooks/facebook", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", messenger.Sign(appSecret, []byte(text)))
		req.Header.Set("X-Mark", string(g.pages["101"].ID))
		if res := g.does(t, req); res.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", res.StatusCode)
		}
		for page, want := range map[string]bool{"101": true, "202": false} {
			log, err := s.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(g.pages[page].ID)).Only(t.Context())
			if err != nil || log.Test != want {
				t.Errorf("%s: %v %v", page, log, err)
			}
		}
	})
}
