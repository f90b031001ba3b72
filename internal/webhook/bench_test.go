package webhook_test

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store/storetest"
	"causeway/internal/webhook"
)

// update is a message of about 600 bytes.
func update(id int64) string {
	return fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"An"},`+
		`"chat":{"id":%d,"first_name":"An","type":"private"},"date":1767225600,"text":%q}}`,
		id, id, id%500, id%500, strings.Repeat("xin chào ", 40))
}

// BenchmarkAnswered compares the whole door, durable on SQLite, with a handler that
// only reads the body and compares the secret. Requests per CPU are to be compared,
// so the handlers are called without a socket.
func BenchmarkAnswered(b *testing.B) {

	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(header)), []byte(secret)) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	b.Run("ReadAndCompare", func(b *testing.B) { answer(b, bare) })
	b.Run("Stored", func(b *testing.B) {
		s := storetest.SQLite(b)
		c := newConnection(b, s)
		in := intake.New(intake.Config{Store: s, Bus: bus.NewLocal(), Clock: causeway.System{}})
		in.Start()
		defer func() { _ = in.Close() }()
		answer(b, webhook.New(webhook.Config{
			Clock:  causeway.System{},
			Intake: in,
			Connections: endpoints{"bot": {
				Connection: c.ID, Campaign: c.CampaignID, Account: "42", Platform: platform.Telegram, Secret: []byte(secret),
			}},
		}))
	})
}

func answer(b *testing.B, h http.Handler) {
	var next atomic.Int64
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequestWithContext(context.Background(), "POST", "/webhooks/telegram/bot", strings.NewReader(update(next.Add(1))))
			r.Header.Set(header, secret)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Errorf("answered %d", w.Code)
				return
			}
		}
	})
}

// FuzzAnswers: whatever a stranger or a platform sends is answered, and 200 means a
// JSON object with the right secret, and nothing else.
func FuzzAnswers(f *testing.F) {
	f.Add("bot", secret, []byte(update(1)))
	f.Add("bot", "", []byte(`{"update_id":"x","message":{"chat":{"id":{}}}}`))
	f.Add("over", secret, []byte(`[]`))
	f.Add("", "\x00", []byte("\xff{"))
	d := newDoor(f, storetest.SQLite(f))
	f.Fuzz(func(t *testing.T, key, sent string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/webhooks/telegram/x", strings.NewReader(string(body)))
		r.URL.Path = "/webhooks/telegram/" + key
		r.Header[header] = []string{sent}
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		var object map[string]json.RawMessage
		good := key == "bot" && sent == secret && json.Unmarshal(body, &object) == nil && object != nil
		if (w.Code == http.StatusOK) != good {
			t.Errorf("answered %d", w.Code)
		}
		if w.Code >= 500 && key != "trouble" {
			t.Errorf("answered %d", w.Code)
		}
	})
}
