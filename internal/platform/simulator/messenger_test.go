package simulator_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

const allFields = "messages,message_echoes,message_edits,message_deliveries,message_reads,message_reactions,messaging_postbacks," +
	"messaging_referrals,messaging_optins,messaging_account_linking,messaging_handovers,standby,messaging_policy_enforcement,feed"

// shop is a page with its person, app and webhook.
type shop struct {
	m      *simulator.Messenger
	app    *simulator.App
	person *simulator.Person
	page   *simulator.Page
	user   string // the person's token
	token  string // the page's
	hook   *pageHook
}

func newShop(t *testing.T, opts ...simulator.PageOption) *shop {
	t.Helper()
	return newShopAt(t, simulator.StartMessenger(t), opts...)
}

func newShopAt(t *testing.T, m *simulator.Messenger, opts ...simulator.PageOption) *shop {
	t.Helper()
	s := &shop{m: m, app: m.AddApp("Causeway"), person: m.AddPerson("Mai Pham"), page: m.AddPage("Shop A", opts...)}
	s.page.Appoints(s.person)
	s.user = s.person.Allows(s.app, []*simulator.Page{s.page})
	s.token = s.page.Token(s.app, s.person)
	s.hook = newPageHook(t, s.app)
	if err := s.app.SetWebhook(within(t), s.hook.URL, "let-me-in", strings.Split(allFields, ",")...); err != nil {
		t.Fatal(err)
	}
	succeeded(t, graph(t, m, "POST", s.page.ID()+"/subscribed_apps", s.token, o{"subscribed_fields": allFields}))
	return s
}

// said is an answer of the Graph API.
type graphReply struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (r graphReply) code() (code, subcode int) {
	e, _ := r.body["error"].(map[string]any)
	c, _ := e["code"].(float64)
	s, _ := e["error_subcode"].(float64)
	return int(c), int(s)
}

func (r graphReply) list(t *testing.T) []map[string]any {
	t.Helper()
	items, is := r.body["data"].([]any)
	if !is {
		t.Fatalf("no list: %s", r.raw)
	}
	var list []map[string]any
	for _, item := range items {
		list = append(list, item.(map[string]any))
	}
	return list
}

// graph calls the Graph API, with a JSON body unless it is a GET.
func graph(t *testing.T, m *simulator.Messenger, method, path, token string, params o) graphReply {
	t.Helper()
	r, err := graphTry(t, m, method, path, token, params)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func graphTry(t *testing.T, m *simulator.Messenger, method, path, token string, params o) (graphReply, error) {
	t.Helper()
	address, body := m.URL()+"/v25.0/"+path, []byte(nil)
	if method == http.MethodPost {
		body, _ = json.Marshal(params)
	} else {
		query := url.Values{}
		for name, value := range params {
			query.Set(name, fmt.Sprint(value))
		}
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(within(t), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return readGraph(client(t).Do(request))
}

func readGraph(response *http.Response, err error) (graphReply, error) {
	if err != nil {
		return graphReply{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return graphReply{}, err
	}
	r := graphReply{status: response.StatusCode, header: response.Header, raw: raw}
	_ = json.Unmarshal(raw, &r.body)
	return r, nil
}

func succeeded(t *testing.T, r graphReply) graphReply {
	t.Helper()
	if r.status != 200 || r.body["error"] != nil {
		t.Fatalf("got %d %s", r.status, r.raw)
	}
	return r
}

func refusedWith(t *testing.T, r graphReply, code, subcode int) {
	t.Helper()
	if c, s := r.code(); c != code || s != subcode || r.status < 400 {
		t.Fatalf("got %d %s, want code %d/%d", r.status, r.raw, code, subcode)
	}
}

// pageHook is an app's webhook: it shakes hands, checks signatures and remembers events.
type pageHook struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	events []event
	rung   chan struct{}
	answer func(body []byte, w http.ResponseWriter)
}

// event is an item of an entry.
type event struct {
	page, list string
	item       map[string]any
}

func newPageHook(t *testing.T, app *simulator.App) *pageHook {
	t.Helper()
	h := &pageHook{rung: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if r.URL.Query().Get("hub.mode") != "subscribe" || r.URL.Query().Get("hub.verify_token") != "let-me-in" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
			return
		}
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(app.Secret()))
		mac.Write(body)
		if r.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.take(t, body)
		if h.answer != nil {
			h.answer(body, w)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *pageHook) take(t *testing.T, body []byte) {
	var sent struct {
		Object string `json:"object"`
		Entry  []struct {
			ID        any              `json:"id"`
			Time      int64            `json:"time"`
			Messaging []map[string]any `json:"messaging"`
			Standby   []map[string]any `json:"standby"`
			Changes   []map[string]any `json:"changes"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(body, &sent); err != nil || sent.Object != "page" || len(sent.Entry) == 0 {
		t.Errorf("a webhook's body: %s: %v", body, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, body)
	for _, entry := range sent.Entry {
		for list, items := range map[string][]map[string]any{"messaging": entry.Messaging, "standby": entry.Standby, "changes": entry.Changes} {
			for _, item := range items {
				h.events = append(h.events, event{fmt.Sprint(entry.ID), list, item})
			}
		}
	}
	close(h.rung)
	h.rung = make(chan struct{})
}

// all are the events so far that have this key, in the order they came.
func (h *pageHook) all(key string) []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []event
	for _, e := range h.events {
		if key == "" || e.item[key] != nil {
			found = append(found, e)
		}
	}
	return found
}

// wait returns the events with this key once there are n.
func (h *pageHook) wait(t *testing.T, key string, n int) []event {
	t.Helper()
	for {
		h.mu.Lock()
		rung := h.rung
		h.mu.Unlock()
		found := h.all(key)
		if len(found) >= n {
			return found
		}
		select {
		case <-rung:
		case <-within(t).Done():
			t.Fatalf("%d events with %s, not %d", len(found), key, n)
		}
	}
}

// in is the value at a path of keys.
func in(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// browse opens an address as a browser without script, without following redirects.
func browse(t *testing.T, address string, form url.Values) (status int, location, body string) {
	t.Helper()
	method, content := http.MethodGet, ""
	if form != nil {
		method, content = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(within(t), method, address, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, _ := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Location"), string(raw)
}

const callback = "http://127.0.0.1:9/oauth/facebook/callback"

func dialogAt(m *simulator.Messenger, app *simulator.App, more url.Values) string {
	query := url.Values{
		"client_id": {app.ID()}, "redirect_uri": {callback}, "state": {"s&1"}, "response_type": {"code"},
		"scope": {"pages_show_list,pages_messaging,pages_manage_metadata,pages_read_engagement,business_management"},
	}
	for name, values := range more {
		query[name] = values
	}
	return m.URL() + "/v25.0/dialog/oauth?" + query.Encode()
}

func returned(t *testing.T, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, callback+"?") {
		t.Fatalf("returned to %q: %v", location, err)
	}
	return u.Query()
}

func redeem(t *testing.T, m *simulator.Messenger, app *simulator.App, code string) graphReply {
	t.Helper()
	return graph(t, m, "GET", "oauth/access_token", "", o{
		"client_id": app.ID(), "client_secret": app.Secret(), "redirect_uri": callback, "code": code,
	})
}

func token(t *testing.T, r graphReply) string {
	t.Helper()
	value, _ := succeeded(t, r).body["access_token"].(string)
	if value == "" {
		t.Fatalf("no token: %s", r.raw)
	}
	return value
}

var ticked = regexp.MustCompile(`name="(page|permission)" value="([^"]+)" checked`)

func TestAPersonLogsInChoosesPagesAndDeclinesAPermission(t *testing.T) {
	t.Parallel()
	m := simulator.StartMessenger(t)
	app, mai, other := m.AddApp("Causeway"), m.AddPerson("Mai Pham"), m.AddPerson("Tom Reed")
	var pages []*simulator.Page
	for i := range 4 {
		page := m.AddPage(fmt.Sprintf("Shop <%d>", i))
		page.Appoints(mai)
		pages = append(pages, page)
	}
	m.AddPage("Not hers").Appoints(other)

	address := dialogAt(m, app, nil)
	status, _, body := browse(t, address, nil)
	if status != 200 || !strings.Contains(body, "Continue as Mai Pham") || !strings.Contains(body, "Continue as Tom Reed") {
		t.Fatalf("who is there: %d %s", status, body)
	}
	_, _, body = browse(t, address, url.Values{"person": {mai.ID()}})
	if got := len(ticked.FindAllString(body, -1)); got != 4+5 || strings.Contains(body, "Not hers") || strings.Contains(body, "<script") ||
		!strings.Contains(body, "Shop &lt;0&gt;") {
		t.Fatalf("%d boxes are ticked: %s", got, body)
	}
	choice := url.Values{
		"person": {mai.ID()}, "do": {"continue"}, "page": {pages[1].ID(), pages[2].ID()},
		"permission": {"pages_show_list", "pages_manage_metadata", "pages_read_engagement", "business_management"},
	}
	status, location, _ := browse(t, address, choice)
	query := returned(t, location)
	if status != 302 || query.Get("state") != "s&1" || query.Get("code") == "" || !strings.HasSuffix(location, "#_=_") {
		t.Fatalf("returned to %s", location)
	}
	user := token(t, redeem(t, m, app, query.Get("code")))
	statuses := map[any]any{}
	for _, p := range graph(t, m, "GET", "me/permissions", user, nil).list(t) {
		statuses[p["permission"]] = p["status"]
	}
	if statuses["pages_messaging"] != "declined" || statuses["pages_show_list"] != "granted" {
		t.Fatalf("permissions: %v", statuses)
	}
	if got := graph(t, m, "GET", "me/accounts", user, nil).list(t); len(got) != 2 || got[0]["id"] != pages[1].ID() {
		t.Fatalf("pages: %v", got)
	}

	_, _, body = browse(t, address, url.Values{"person": {mai.ID()}})
	if strings.Contains(body, `value="pages_messaging"`) {
		t.Fatalf("a declined permission is asked again: %s", body)
	}
	again := dialogAt(m, app, url.Values{"auth_type": {"rerequest"}})
	_, _, body = browse(t, again, url.Values{"person": {mai.ID()}})
	if boxes := ticked.FindAllString(body, -1); len(boxes) != 2+1 || !strings.Contains(body, `value="pages_messaging" checked`) {
		t.Fatalf("asked again: %v", boxes)
	}
	_, location, _ = browse(t, again, url.Values{
		"person": {mai.ID()}, "do": {"continue"}, "page": {pages[0].ID()}, "permission": {"pages_messaging"},
	})
	user = token(t, redeem(t, m, app, returned(t, location).Get("code")))
	if got := graph(t, m, "GET", "me/accounts", user, nil).list(t); len(got) != 1 || got[0]["id"] != pages[0].ID() {
		t.Fatalf("pages after another choice: %v", got)
	}
	debug := graph(t, m, "GET", "debug_token", app.Token(), o{"input_token": user})
	if scopes := fmt.Sprint(in(debug.body, "data", "scopes")); !strings.Contains(scopes, "pages_messaging") {
		t.Fatalf("scopes: %s", scopes)
	}
}

func TestALoginThatIsCancelledOrForgedReturnsNoCode(t *testing.T) {
	t.Parallel()
	m := simulator.StartMessenger(t)
	app := m.AddApp("Causeway", simulator.WithRedirects(callback), simulator.WithConfiguration("77", "pages_messaging"))
	mai := m.AddPerson("Mai Pham")
	_, location, _ := browse(t, dialogAt(m, app, nil), url.Values{"do": {"cancel"}})
	query := returned(t, location)
	if query.Get("error") != "access_denied" || query.Get("error_code") != "200" || query.Get("error_reason") != "user_denied" ||
		query.Get("state") != "s&1" || query.Has("code") {
		t.Fatalf("cancelled: %s", location)
	}
	for why, more := range map[string]url.Values{
		"another callback":   {"redirect_uri": {"https://evil.example/"}},
		"an unknown app":     {"client_id": {"1"}},
		"a foreign config":   {"config_id": {"78"}},
		"a token, not code":  {"response_type": {"token"}},
		"no callback at all": {"redirect_uri": {""}},
	} {
		if status, location, _ := browse(t, dialogAt(m, app, more), url.Values{"do": {"continue"}}); status != 400 || location != "" {
			t.Errorf("%s: %d %s", why, status, location)
		}
	}
	app.SetLive(false)
	if status, _, body := browse(t, dialogAt(m, app, nil), nil); status != 400 || !strings.Contains(body, "App not active") {
		t.Fatalf("an app in development: %d %s", status, body)
	}
	app.Gives(mai, "testers")
	business := dialogAt(m, app, url.Values{"config_id": {"77"}, "scope": {""}})
	if _, _, body := browse(t, business, nil); strings.Contains(body, `name="permission"`) || !strings.Contains(body, "pages_messaging") {
		t.Fatalf("a configuration is all or nothing: %s", body)
	}
	_, location, _ = browse(t, business, url.Values{"do": {"continue"}})
	user := token(t, redeem(t, m, app, returned(t, location).Get("code")))
	if got := fmt.Sprint(graph(t, m, "GET", "me/permissions", user, nil).body); !strings.Contains(got, "pages_messaging") {
		t.Fatalf("permissions: %s", got)
	}
}

func TestACodeIsGoodOnceForTenMinutesAndItsOwnCallback(t *testing.T) {
	t.Parallel()
	m := simulator.StartMessenger(t)
	app, other := m.AddApp("Causeway"), m.AddApp("Other")
	m.AddPerson("Mai Pham")
	code := func() string {
		_, location, _ := browse(t, dialogAt(m, app, nil), url.Values{"do": {"continue"}})
		return returned(t, location).Get("code")
	}
	first := code()
	refusedWith(t, graph(t, m, "GET", "oauth/access_token", "", o{
		"client_id": app.ID(), "client_secret": app.Secret(), "redirect_uri": callback + "/", "code": first,
	}), 100, 36008)
	refusedWith(t, redeem(t, m, other, first), 100, 0)
	refusedWith(t, graph(t, m, "GET", "oauth/access_token", "", o{
		"client_id": app.ID(), "client_secret": "guess", "redirect_uri": callback, "code": first,
	}), 1, 0)
	token(t, redeem(t, m, app, first))
	refusedWith(t, redeem(t, m, app, first), 100, 36009)
	late := code()
	m.Passes(11 * time.Minute)
	refusedWith(t, redeem(t, m, app, late), 100, 36007)
	refusedWith(t, redeem(t, m, app, "nonsense"), 100, 0)
}

func TestTokensEndAsFacebookEndsThem(t *testing.T) {
	t.Parallel()
	endings := map[string]struct {
		end     func(s *shop)
		subcode int
	}{
		"the password changed":     {func(s *shop) { s.person.ChangesPassword() }, 460},
		"a checkpoint":             {func(s *shop) { s.person.MeetsCheckpoint(true) }, 459},
		"the app was removed":      {func(s *shop) { s.person.RemovesApp(s.app) }, 458},
		"the role is lost":         {func(s *shop) { s.page.Dismisses(s.person) }, 492},
		"it was revoked":           {func(s *shop) { s.m.RevokeToken(s.token, 466) }, 466},
		"its time is over":         {func(s *shop) { s.m.ExpireToken(s.token) }, 463},
		"the data access is over":  {func(s *shop) { s.person.LetsDataAccessLapse(s.app) }, 0},
		"ninety days have gone by": {func(s *shop) { s.m.Passes(91 * 24 * time.Hour) }, 0},
	}
	for why, ending := range endings {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			debug := succeeded(t, graph(t, s.m, "GET", "debug_token", s.app.Token(), o{"input_token": s.token})).body
			if in(debug, "data", "is_valid") != true || in(debug, "data", "type") != "PAGE" || in(debug, "data", "expires_at") != 0.0 ||
				in(debug, "data", "profile_id") != s.page.ID() || in(debug, "data", "user_id") != s.person.ID() || in(debug, "data", "app_id") != s.app.ID() {
				t.Fatalf("debug_token: %v", debug)
			}
			ending.end(s)
			refusedWith(t, graph(t, s.m, "GET", "me", s.token, nil), 190, ending.subcode)
			debug = succeeded(t, graph(t, s.m, "GET", "debug_token", s.app.Token(), o{"input_token": s.token})).body
			if ending.subcode == 0 {
				if ends, _ := in(debug, "data", "data_access_expires_at").(float64); in(debug, "data", "is_valid") != true || int64(ends) > time.Now().Add(91*24*time.Hour).Unix() {
					t.Fatalf("debug_token: %v", debug)
				}
				return
			}
			if in(debug, "data", "is_valid") != false || in(debug, "data", "error", "subcode") != float64(ending.subcode) {
				t.Fatalf("debug_token: %v", debug)
			}
			if ending.subcode == 460 {
				fresh := s.person.Allows(s.app, []*simulator.Page{s.page})
				succeeded(t, graph(t, s.m, "GET", "me", fresh, nil))
			}
		})
	}
}

func TestAPagesTokenLivesAsLongAsThePersonsItCameFrom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, location, _ := browse(t, dialogAt(s.m, s.app, nil), url.Values{"do": {"continue"}, "page": {s.page.ID()}})
	answer := redeem(t, s.m, s.app, returned(t, location).Get("code"))
	short := token(t, answer)
	if seconds, _ := answer.body["expires_in"].(float64); seconds < 5000 || seconds > 5100 {
		t.Fatalf("expires_in %v", answer.body)
	}
	shortPage, _ := graph(t, s.m, "GET", s.page.ID(), short, o{"fields": "access_token"}).body["access_token"].(string)
	long := token(t, graph(t, s.m, "GET", "oauth/access_token", "", o{
		"grant_type": "fb_exchange_token", "client_id": s.app.ID(), "client_secret": s.app.Secret(), "fb_exchange_token": short,
	}))
	longPage, _ := graph(t, s.m, "GET", "me/accounts", long, o{"fields": "id,access_token"}).list(t)[0]["access_token"].(string)
	s.m.Passes(2 * time.Hour)
	refusedWith(t, graph(t, s.m, "GET", "me", short, nil), 190, 463)
	refusedWith(t, graph(t, s.m, "GET", "me", shortPage, nil), 190, 463)
	refusedWith(t, graph(t, s.m, "GET", "oauth/access_token", "", o{
		"grant_type": "fb_exchange_token", "client_id": s.app.ID(), "client_secret": s.app.Secret(), "fb_exchange_token": short,
	}), 190, 463)
	s.m.Passes(61 * 24 * time.Hour)
	refusedWith(t, graph(t, s.m, "GET", "me", long, nil), 190, 463)
	succeeded(t, graph(t, s.m, "GET", "me", longPage, nil))
	refusedWith(t, graph(t, s.m, "GET", "me", "EAAnonsense", nil), 190, 0)
	refusedWith(t, graph(t, s.m, "GET", "me", "", nil), 104, 0)
	credentials := token(t, graph(t, s.m, "GET", "oauth/access_token", "", o{
		"grant_type": "client_credentials", "client_id": s.app.ID(), "client_secret": s.app.Secret(),
	}))
	succeeded(t, graph(t, s.m, "GET", "app", credentials, nil))
	refusedWith(t, graph(t, s.m, "GET", "me", credentials, nil), 2500, 0)
}

func TestAnAppMayRequireTheProofOfItsSecret(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	proof := func(secret, message string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(message))
		return hex.EncodeToString(mac.Sum(nil))
	}
	refusedWith(t, graph(t, s.m, "GET", "me", s.token, o{"appsecret_proof": proof("wrong", s.token)}), 100, 0)
	s.app.RequireProof(true)
	refusedWith(t, graph(t, s.m, "GET", "me", s.token, nil), 100, 0)
	succeeded(t, graph(t, s.m, "GET", "me", s.token, o{"appsecret_proof": proof(s.app.Secret(), s.token)}))
	stamp := fmt.Sprint(time.Now().Unix())
	timed := o{"appsecret_proof": proof(s.app.Secret(), s.token+"|"+stamp), "appsecret_time": stamp}
	succeeded(t, graph(t, s.m, "GET", "me", s.token, timed))
	s.m.Passes(6 * time.Minute)
	refusedWith(t, graph(t, s.m, "GET", "me", s.token, timed), 100, 0)
	for _, call := range s.m.Calls("me") {
		if text := fmt.Sprint(call); strings.Contains(text, s.token) || call.TokenIn != "header" || call.Page != s.page.ID() {
			t.Fatalf("a call is remembered as %s", text)
		}
	}
}

func TestPagesAreListedPieceByPiece(t *testing.T) {
	t.Parallel()
	m := simulator.StartMessenger(t)
	app, mai := m.AddApp("Causeway"), m.AddPerson("Mai Pham")
	var pages []*simulator.Page
	for i := range 7 {
		page := m.AddPage(fmt.Sprint("Shop ", i), simulator.WithPageUsername(fmt.Sprint("shop", i)), simulator.WithFollowers(12))
		page.Appoints(mai)
		pages = append(pages, page)
	}
	pages[3].HidesToken(mai)
	pages[4].Publish(false)
	owned := m.AddPage("Owned", simulator.OwnedByBusiness())
	owned.Appoints(mai)
	user := mai.Allows(app, append(pages, owned), simulator.PagesShowList, simulator.PagesReadEngagement)
	fields := "id,name,username,access_token,category,category_list,tasks,picture{url},followers_count,fan_count,is_published,link"
	var all []map[string]any
	after := ""
	for {
		r := succeeded(t, graph(t, m, "GET", "me/accounts", user, o{"fields": fields, "limit": 3, "after": after}))
		all = append(all, r.list(t)...)
		next, _ := in(r.body, "paging", "next").(string)
		if next == "" {
			break
		}
		if !strings.Contains(next, "access_token="+user) {
			t.Fatalf("the address of the next piece holds the token in life: %s", next)
		}
		after, _ = in(r.body, "paging", "cursors", "after").(string)
	}
	if len(all) != 7 {
		t.Fatalf("%d pages, without the one of a business: %v", len(all), all)
	}
	one := all[4]
	picture, _ := in(one, "picture", "data", "url").(string)
	if one["name"] != "Shop 4" || one["username"] != "shop4" || one["is_published"] != false || one["followers_count"] != 12.0 || picture == "" ||
		all[3]["access_token"] != nil || one["access_token"] == nil {
		t.Fatalf("pages: %v", all)
	}
	status, _, body := browse(t, picture, nil)
	if status != 200 || !strings.HasPrefix(body, "\x89PNG") {
		t.Fatalf("a picture: %d", status)
	}
	refusedWith(t, graph(t, m, "GET", "me/accounts", user, o{"fields": "id,nonsense"}), 100, 0)
	status, location, _ := browse(t, m.URL()+"/"+pages[0].ID()+"/picture", nil)
	if status != 302 || !strings.HasPrefix(location, m.URL()+"/cdn/") {
		t.Fatalf("/picture: %d %s", status, location)
	}
	if got := mai.Allows(app, append(pages, owned)); len(graph(t, m, "GET", "me/accounts", got, nil).list(t)) != 8 {
		t.Fatal("business_management does not show the page of the business")
	}
	mai.Withdraws(app, simulator.PagesShowList)
	if left := graph(t, m, "GET", "me/accounts", user, nil).list(t); len(left) != 0 {
		t.Fatalf("without pages_show_list: %v", left)
	}
}

func TestAPageIsSubscribedReadBackAndLeft(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	path := s.page.ID() + "/subscribed_apps"
	got := graph(t, s.m, "GET", path, s.token, nil).list(t)
	if len(got) != 1 || got[0]["id"] != s.app.ID() || len(got[0]["subscribed_fields"].([]any)) != len(strings.Split(allFields, ",")) {
		t.Fatalf("subscribed: %v", got)
	}
	refusedWith(t, graph(t, s.m, "POST", path, s.token, o{"subscribed_fields": "messages,message_unsends"}), 100, 0)
	succeeded(t, graph(t, s.m, "POST", path, s.token, o{"subscribed_fields": []string{"messages"}}))
	if fields := s.page.Subscription(s.app); !slices.Equal(fields, []string{"messages"}) {
		t.Fatalf("a second POST leaves %v", fields)
	}
	s.page.Appoints(s.person, "MESSAGING")
	refusedWith(t, graph(t, s.m, "DELETE", path, s.token, nil), 200, 0)
	s.page.Appoints(s.person)
	succeeded(t, graph(t, s.m, "DELETE", path, s.token, nil))
	if got := graph(t, s.m, "GET", path, s.token, nil).list(t); len(got) != 0 {
		t.Fatalf("after leaving: %v", got)
	}
	s.page.Subscribe(s.app, "messages")
	succeeded(t, graph(t, s.m, "DELETE", path, s.app.Token(), nil))
	if s.page.Subscription(s.app) != nil {
		t.Fatal("an app may leave by its own token")
	}
	s.person.Withdraws(s.app, simulator.PagesManageMetadata)
	refusedWith(t, graph(t, s.m, "POST", path, s.token, o{"subscribed_fields": "messages"}), 200, 0)
	s.page.Delete()
	refusedWith(t, graph(t, s.m, "GET", s.page.ID(), s.token, nil), 100, 33)

	text := simulator.StartMessengerWith(t, simulator.MessengerOptions{SuccessAsText: true, MergeFields: true})
	s = newShopAt(t, text)
	r := succeeded(t, graph(t, text, "POST", s.page.ID()+"/subscribed_apps", s.token, o{"subscribed_fields": "name"}))
	if r.body["success"] != "true" || len(s.page.Subscription(s.app)) != 1+len(strings.Split(allFields, ",")) {
		t.Fatalf("got %s and %v", r.raw, s.page.Subscription(s.app))
	}
}

func TestAPageThatIsNotChosenAgainIsSilent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	second := s.m.AddPage("Shop B")
	second.Appoints(s.person)
	s.person.Allows(s.app, []*simulator.Page{second})
	if s.page.Subscription(s.app) != nil {
		t.Fatal("the app is still subscribed to a page that nobody lets it have")
	}
	refusedWith(t, graph(t, s.m, "GET", s.page.ID(), s.token, nil), 200, 0)
}

func TestAnAppsWebhookIsAskedForTheChallenge(t *testing.T) {
	t.Parallel()
	m := simulator.StartMessenger(t)
	app := m.AddApp("Causeway")
	h := newPageHook(t, app)
	path := app.ID() + "/subscriptions"
	wanted := o{"object": "page", "callback_url": h.URL, "verify_token": "let-me-in", "fields": "messages,standby", "include_values": true}
	succeeded(t, graph(t, m, "POST", path, app.Token(), wanted))
	got := graph(t, m, "GET", path, app.Token(), nil).list(t)
	if len(got) != 1 || got[0]["callback_url"] != h.URL || got[0]["active"] != true || in(got[0]["fields"].([]any)[1], "name") != "standby" {
		t.Fatalf("subscriptions: %v", got)
	}
	wanted["verify_token"] = "guess"
	refusedWith(t, graph(t, m, "POST", path, app.Token(), wanted), 2200, 0)
	wanted["callback_url"] = "nowhere"
	refusedWith(t, graph(t, m, "POST", path, app.Token(), wanted), 100, 0)
	if app.Webhook().URL != h.URL {
		t.Fatal("a failed handshake changed the webhook")
	}
	user := m.AddPerson("Mai").Allows(app, nil)
	refusedWith(t, graph(t, m, "GET", path, user, nil), 15, 0)
	succeeded(t, graph(t, m, "DELETE", path, app.Token(), nil))
	if app.Webhook().URL != "" {
		t.Fatal("the webhook is still there")
	}
}
