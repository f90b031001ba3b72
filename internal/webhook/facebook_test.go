package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
	"causeway/internal/webhook"
)

const (
	appSecret   = "the app's secret"
	verifyToken = "the app's word"
	ownSecret   = "the own app's secret"
	ownToken    = "the own app's word"
)

// book knows pages, and remembers who was a stranger.
type book struct {
	pages endpoints

	mu        sync.Mutex
	strangers []string
}

func (b *book) Page(ctx context.Context, page string) (*webhook.Endpoint, error) {
	return b.pages.Find(ctx, page)
}

func (b *book) Stranger(page string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strangers = append(b.strangers, page)
}

func (b *book) met() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.strangers)
}

// gate is the handler with two campaigns' pages of the server's app, 101 and 202, and
// one of a person's own app, 303.
type gate struct {
	store    *store.Store
	handler  *webhook.Handler
	server   *httptest.Server
	book     *book
	rejected *counts
	pages    map[string]*ent.Connection
}

func newGate(t testing.TB, s *store.Store, app webhook.FacebookApp) *gate {
	t.Helper()
	g := &gate{store: s, rejected: &counts{of: map[causeway.ID]int{}}, pages: map[string]*ent.Connection{}}
	clock := newHandClock()
	end := func(page string) webhook.Endpoint {
		g.pages[page] = newPage(t, s, page, clock)
		return webhook.Endpoint{
			Connection: g.pages[page].ID, Campaign: g.pages[page].CampaignID, Account: page, Platform: platform.Messenger,
		}
	}
	first, second, own := end("101"), end("202"), end("303")
	own.Secret, own.VerifyToken = []byte(ownSecret), []byte(ownToken)
	over, bot := own, own
	over.Disconnected, bot.Platform = true, platform.Telegram
	g.book = &book{pages: endpoints{"101": &first, "202": &second}}
	in := intake.New(intake.Config{Store: s, Bus: bus.NewLocal(), Clock: clock})
	in.Start()
	g.handler = webhook.New(webhook.Config{
		Connections: endpoints{"own": &own, "over": &over, "bot": &bot, "shared": &first}, Pages: g.book, Facebook: app,
		Intake: in, Tests: marks{}, Rejected: g.rejected, Clock: clock,
	})
	g.handler.Start()
	g.server = httptest.NewServer(g.handler)
	t.Cleanup(func() {
		g.server.Close()
		if err := errors.Join(g.handler.Close(), in.Close()); err != nil {
			t.Error(err)
		}
	})
	return g
}

func newPage(t testing.TB, s *store.Store, page string, clock causeway.Clock) *ent.Connection {
	t.Helper()
	var conn *ent.Connection
	err := s.InTx(context.Background(), func(tx *store.Tx) error {
		camp, err := tx.Campaign.Create().SetName("of " + page).SetCreatedAt(clock.Now()).Save(tx.Context())
		if err != nil {
			return err
		}
		conn, err = tx.Connection.Create().SetCampaignID(camp.ID).SetPlatform(platform.Messenger).SetAccountID(page).
			SetProfile(platform.Profile{}).SetName(page).SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("key of " + page).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(clock.Now()).Save(tx.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// delivers posts a body under an address below /webhooks/facebook, signed with a secret.
func (g *gate) delivers(t testing.TB, at, body, secret string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.server.URL+"/webhooks/facebook"+at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Hub-Signature-256", messenger.Sign(secret, []byte(body)))
	return g.does(t, req).StatusCode
}

func (g *gate) does(t testing.TB, req *http.Request) *http.Response {
	t.Helper()
	res, err := g.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

// kept are the payloads stored for a page, in the order they came.
func (g *gate) kept(t testing.TB, page string) []string {
	t.Helper()
	logs, err := g.store.Reader().WebhookLog.Query().
		Where(webhooklog.ConnectionID(g.pages[page].ID)).Order(webhooklog.ByPosition()).All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	payloads := make([]string, 0, len(logs))
	for _, log := range logs {
		if log.AccountID != page || log.CampaignID != g.pages[page].CampaignID || log.Status != webhooklog.StatusPending {
			t.Errorf("a log of %s is of account %s and %s", page, log.AccountID, log.Status)
		}
		payloads = append(payloads, string(log.Payload))
	}
	return payloads
}

// says is one entry in which a customer writes.
func says(page, text string) string {
	return fmt.Sprintf(`{"id":%q,"time":1,"messaging":[{"sender":{"id":"7"},"recipient":{"id":%q},"timestamp":1,"message":{"mid":"m","text":%q}}]}`, page, page, text)
}

func body(entries ...string) string {
	return `{"object":"page","entry":[` + strings.Join(entries, ",") + `]}`
}

func TestEachEntryOfABodyIsKeptForItsOwnPageAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		g := newGate(t, s, webhook.FacebookApp{Secret: appSecret, VerifyToken: verifyToken})
		status := g.delivers(t, "", body(says("101", "one"), says("202", "hidden"), says("101", "two"), says("404", "lost"), says("303", "of another app")), appSecret)
		if status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
		if got := g.kept(t, "101"); !slices.Equal(got, []string{body(says("101", "one")), body(says("101", "two"))}) {
			t.Errorf("kept for 101: %q", got)
		}
		if got := g.kept(t, "202"); !slices.Equal(got, []string{body(says("202", "hidden"))}) {
			t.Errorf("kept for 202: %q", got)
		}
		if got := g.kept(t, "303"); len(got) != 0 {
			t.Errorf("kept for a page of another app: %q", got)
		}
		if met := g.book.met(); !slices.Equal(met, []string{"404", "303"}) {
			t.Errorf("strangers were %v", met)
		}
	})
}

func TestAnOwnAppsAddressServesItsPageAlone(t *testing.T) {
	t.Parallel()
	g := newGate(t, storetest.SQLite(t), webhook.FacebookApp{Secret: appSecret})
	if status := g.delivers(t, "/own", body(says("303", "mine"), says("101", "not mine")), ownSecret); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	if got := g.kept(t, "303"); !slices.Equal(got, []string{body(says("303", "mine"))}) {
		t.Errorf("kept %q", got)
	}
	if got := g.kept(t, "101"); len(got) != 0 {
		t.Errorf("another page was written for: %q", got)
	}
	if len(g.book.met()) != 0 {
		t.Errorf("strangers of a foreign app were %v", g.book.met())
	}
}

func TestAFacebookDeliveryGetsTheFirstAnswerThatFits(t *testing.T) {
	t.Parallel()
	ours := body(says("101", "hello"))
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		g := newGate(t, s, webhook.FacebookApp{Secret: appSecret, VerifyToken: verifyToken})
		bare := newGate(t, storetest.SQLite(t), webhook.FacebookApp{}) // the same without an app
		tooLong := strings.Repeat("a", webhook.MaxBody+1)
		for _, c := range []struct {
			name     string
			gate     *gate
			at, body string
			secret   string
			status   int
		}{
			{"unknown key, all else wrong too", g, "/nobody", tooLong, "", 404},
			{"a bot's key", g, "/bot", ours, ownSecret, 404},
			{"a key with a slash", g, "/own/own", ours, ownSecret, 404},
			{"no key", g, "/", ours, ownSecret, 404},
			{"disconnected, all else wrong too", g, "/over", tooLong, "", 410},
			{"too long before the signature is looked at", g, "", tooLong, "", 413},
			{"another app's signature", g, "", ours, ownSecret, 401},
			{"the server's signature at an own app's address", g, "/own", ours, appSecret, 401},
			{"an empty secret's signature", g, "", ours, "", 401},
			{"an empty secret where none is set", bare, "", ours, "", 401},
			{"an empty secret where none is known", g, "/shared", ours, "", 401},
			{"not JSON", g, "", `{"object":`, appSecret, 400},
			{"not an object", g, "", `[1]`, appSecret, 400},
			{"another product's", g, "", `{"object":"user","entry":[]}`, appSecret, 200},
			{"the dashboard's test", g, "", body(says("0", "test")), appSecret, 200},
			{"nobody's entry", g, "", `{"object":"page","entry":[{},3]}`, appSecret, 200},
			{"without entries", g, "", `{"object":"page"}`, appSecret, 200},
		} {
			if status := c.gate.delivers(t, c.at, c.body, c.secret); status != c.status {
				t.Errorf("%s: %d, want %d", c.name, status, c.status)
			}
		}
		for _, page := range []string{"101", "202", "303"} {
			if got := g.kept(t, page); len(got) != 0 {
				t.Errorf("kept for %s: %q", page, got)
			}
		}
		if len(g.book.met()) != 0 {
			t.Errorf("strangers were %v", g.book.met())
		}
		_ = g.handler.Close()
		of, _ := g.rejected.read()
		if of[g.pages["303"].ID] != 1 || of[g.pages["101"].ID] != 1 || len(of) != 2 {
			t.Errorf("turned away: %v", of)
		}
	})
}

func TestABodyThatCannotBeStoredComesAgain(t *testing.T) {
	t.Parallel()
	g := newGate(t, storetest.SQLite(t), webhook.FacebookApp{Secret: appSecret})
	if status := g.delivers(t, "", body(says("trouble", "hello"), says("101", "hello")), appSecret); status != http.StatusServiceUnavailable {
		t.Errorf("a page that cannot be looked up: %d", status)
	}
	if got := g.kept(t, "101"); len(got) != 0 {
		t.Errorf("half of it was kept: %q", got)
	}
}

func TestOnlyWhoKnowsTheVerifyTokenIsAnswered(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	g := newGate(t, s, webhook.FacebookApp{Secret: appSecret, VerifyToken: verifyToken})
	for _, c := range []struct {
		at, mode, token string
		status          int
	}{
		{"", "subscribe", verifyToken, 200},
		{"", "subscribe", ownToken, 403},
		{"", "subscribe", "", 403},
		{"", "unsubscribe", verifyToken, 403},
		{"/own", "subscribe", ownToken, 200},
		{"/own", "subscribe", verifyToken, 403},
		{"/shared", "subscribe", "", 403},
		{"/nobody", "subscribe", ownToken, 404},
		{"/over", "subscribe", ownToken, 410},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.server.URL+"/webhooks/facebook"+c.at, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := req.URL.Query()
		asked.Set("hub.mode", c.mode)
		asked.Set("hub.verify_token", c.token)
		asked.Set("hub.challenge", "<b>42</b>")
		req.URL.RawQuery = asked.Encode()
		res, err := g.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		want := ""
		if c.status == http.StatusOK {
			want = "<b>42</b>"
			if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("%s is answered as %s", c.at, kind)
			}
		}
		if res.StatusCode != c.status || string(said) != want {
			t.Errorf("%q %q %q: %d %q", c.at, c.mode, c.token, res.StatusCode, said)
		}
	}
}

// FuzzFacebookAnswers: nobody who cannot sign gets anything kept, also where no secret
// is set, and what is signed is answered without trouble whatever it is.
func FuzzFacebookAnswers(f *testing.F) {
	f.Add("", appSecret, []byte(body(says("101", "hi"))))
	f.Add("/own", ownSecret, []byte(body(says("303", "hi"), says("101", "hi"))))
	f.Add("", "", []byte(body(says("0", "test"))))
	f.Add("/over", "x", []byte("\xff{"))
	f.Add("", appSecret, []byte(`{"object":"page","entry":[{"id":101,"messaging":{}},null,{"id":1e99}]}`))
	g := newGate(f, storetest.SQLite(f), webhook.FacebookApp{Secret: appSecret, VerifyToken: verifyToken})
	bare := newGate(f, storetest.SQLite(f), webhook.FacebookApp{})
	f.Fuzz(func(t *testing.T, at, signedWith string, sent []byte) {
		answer := func(g *gate, header string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/facebook", strings.NewReader(string(sent)))
			r.URL.Path += at
			r.Header["X-Hub-Signature-256"] = []string{header}
			w := httptest.NewRecorder()
			g.handler.ServeHTTP(w, r)
			return w.Code
		}
		status := answer(g, messenger.Sign(signedWith, sent))
		knows := at == "" && signedWith == appSecret || at == "/own" && signedWith == ownSecret
		if status >= 500 || status == http.StatusOK && !knows {
			t.Errorf("answered %d", status)
		}
		for _, forged := range []string{"", "sha256=", signedWith, "sha256=" + signedWith, messenger.Sign("", sent)} {
			if status := answer(g, forged); status == http.StatusOK {
				t.Errorf("a forged signature passed: %q", forged)
			}
		}
		if status := answer(bare, messenger.Sign(signedWith, sent)); at != "/own" && status == http.StatusOK {
			t.Error("a server without an app took it")
		}
	})
}
