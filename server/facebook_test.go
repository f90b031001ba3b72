package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"causeway"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/simulator"
	"causeway/internal/playground/browsertest"
	"causeway/internal/store"
)

// facebook is a simulated Facebook with this server's app, and Mai, who looks after
// four pages.
type facebook struct {
	*simulator.Messenger
	app   *simulator.App
	mai   *simulator.Person
	pages []*simulator.Page
}

func opensFacebook(t *testing.T) *facebook {
	t.Helper()
	return opensFacebookWith(t, simulator.MessengerOptions{RetryScale: 0.001})
}

func opensFacebookWith(t *testing.T, options simulator.MessengerOptions) *facebook {
	t.Helper()
	f := &facebook{Messenger: simulator.StartMessengerWith(t, options)}
	f.app, f.mai = f.AddApp("Causeway"), f.AddPerson("Mai Pham")
	for _, name := range []string{"Shop A", "Shop B", "Shop C", "Shop D"} {
		page := f.AddPage(name, simulator.WithFollowers(120))
		page.Appoints(f.mai)
		f.pages = append(f.pages, page)
	}
	return f
}

// ours is the option by which a program's app at Facebook is f's.
func (f *facebook) ours(s *settings) {
	s.Facebook = facebookApp{
		AppID: f.app.ID(), AppSecret: f.app.Secret(), VerifyToken: "let-me-in",
		GraphURL: webURL(f.URL()), DialogURL: webURL(f.URL()), GraphVersion: "v25.0",
	}
}

// startsLogin opens a login and returns its id and the dialog's address.
func (who person) startsLogin(campaign string) (login, dialog string) {
	who.p.t.Helper()
	started := who.does(`mutation($c: ID!) { startFacebookLogin(input: {campaignId: $c}) { login { id status } authorizationUrl userErrors { code message } } }`,
		data{"c": campaign})
	return started.at("login").text("id"), started.text("authorizationUrl")
}

// agrees is Mai who fills in the dialog without a browser, and whose browser then goes
// where Facebook sends it. It returns the last page.
func (f *facebook) agrees(t *testing.T, dialog string, pages []*simulator.Page, declined ...string) string {
	t.Helper()
	asked, err := url.Parse(dialog)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"person": {f.mai.ID()}, "do": {"continue"}}
	for _, page := range pages {
		form.Add("page", page.ID())
	}
	for scope := range strings.SplitSeq(asked.Query().Get("scope"), ",") {
		if !slices.Contains(declined, scope) {
			form.Add("permission", scope)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, dialog, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the login ended with %d %s, %v", res.StatusCode, body, err)
	}
	return string(body)
}

// logsIn is a whole login that chooses pages.
func (who person) logsIn(f *facebook, campaign string, pages ...*simulator.Page) (login string) {
	who.p.t.Helper()
	login, dialog := who.startsLogin(campaign)
	f.agrees(who.p.t, dialog, pages)
	return login
}

// connectsPage connects a page of a login and returns the connection's id.
func (who person) connectsPage(campaign, login string, page *simulator.Page) string {
	who.p.t.Helper()
	results := who.does(`mutation($c: ID!, $l: ID!, $p: [String!]!) { connectFacebookPages(input: {campaignId: $c, loginId: $l, pageIds: $p}) {
		results { pageId connection { id status } userErrors { code message } } userErrors { code message } } }`,
		data{"c": campaign, "l": login, "p": []string{page.ID()}}).list("results")
	if len(results) != 1 || results[0].at("connection").text("status") != "ACTIVE" {
		who.p.t.Fatalf("connecting %s answered %v", page.Name(), results)
	}
	return results[0].at("connection").text("id")
}

func TestALoginIsFollowedWhileThePersonIsAtFacebook(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		f := opensFacebook(t)
		p := begin(t, f.ours, on)
		campaign := p.campaign("Shop")
		mai := p.user("Mai", campaign, "MANAGER")
		login, dialog := mai.startsLogin(campaign)
		socket := mai.opens()
		socket.subscribes(`subscription($l: ID!) { facebookLoginUpdated(id: $l) { id status userName problem { code }
			permissions { name granted required } pages { pageId name followersCount published tasks connectable connectedTo { id } problem { code } }
			lostConnections { id } } }`, data{"l": login})
		f.agrees(t, dialog, f.pages[:2])
		seen := socket.sees().at("facebookLoginUpdated")
		if seen.text("id") != login || seen.text("status") != "AUTHORIZED" || seen.text("userName") != "Mai Pham" || seen["problem"] != nil ||
			len(seen.list("permissions")) < 5 || len(seen.list("lostConnections")) != 0 {
			t.Errorf("it was told %v", seen)
		}
		pages := seen.list("pages")
		if len(pages) < 2 || pages[0].text("pageId") != f.pages[0].ID() || pages[0].number("followersCount") != 120 || pages[0]["connectable"] != true ||
			pages[0]["connectedTo"] != nil || pages[0]["published"] != true {
			t.Errorf("the pages are %v", pages)
		}
		asked := mai.gets(`query($l: ID!) { facebookLogin(id: $l) { status } node(id: $l) { id ... on FacebookLogin { status expiresAt } } }`, data{"l": login})
		if asked.at("facebookLogin").text("status") != "AUTHORIZED" || asked.at("node").text("status") != "AUTHORIZED" {
			t.Errorf("asked for, it is %v", asked)
		}
		if strings.Contains(p.log.String(), "code=") || strings.Contains(p.log.String(), f.app.Secret()) {
			t.Errorf("the log holds a secret: %s", p.log)
		}
	})
}

func TestWhoComesLateHearsThatFacebookHasAnswered(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	login := mai.logsIn(f, campaign, f.pages...)
	socket := mai.opens()
	socket.subscribes(`subscription($l: ID!) { facebookLoginUpdated(id: $l) { status } }`, data{"l": login})
	if seen := socket.sees().at("facebookLoginUpdated"); seen.text("status") != "AUTHORIZED" {
		t.Errorf("it was told %v", seen)
	}
}

func TestFollowingALoginEndsWithTheRightToSeeIt(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	login, _ := mai.startsLogin(campaign)
	socket := mai.opens()
	socket.subscribes(`subscription($l: ID!) { facebookLoginUpdated(id: $l) { status } }`, data{"l": login})
	socket.subscribes(`subscription($c: ID!) { events(campaignId: $c) { cursor } }`, data{"c": campaign})
	p.admin().does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { userErrors { code } } }`,
		data{"c": campaign, "u": mai.id()})
	for range 2 {
		m, err := socket.reads()
		if err != nil {
			t.Fatal(err)
		}
		for m.Type == "complete" {
			if m, err = socket.reads(); err != nil {
				t.Fatal(err)
			}
		}
		if code := codeOf(t, m); code != notFound {
			t.Errorf("%s ended with %s", m.ID, code)
		}
	}
	if a := mai.asks(`query($l: ID!) { facebookLogin(id: $l) { status } }`, data{"l": login}); a.Data["facebookLogin"] != nil || len(a.Errors) > 0 {
		t.Errorf("who left reads %s", a.Body)
	}
}

// pageOf is a page of f that is connected to a campaign, as far as its webhooks go.
func (p *program) pageOf(campaign string, page *simulator.Page) (connection string) {
	p.t.Helper()
	id := causeway.NewID(causeway.PrefixConnection)
	err := p.app.store.InTx(p.t.Context(), func(tx *store.Tx) error {
		return tx.Connection.Create().SetID(id).SetCampaignID(causeway.ID(campaign)).SetPlatform(platform.Messenger).
			SetAccountID(page.ID()).SetProfile(platform.Profile{ID: page.ID(), Name: page.Name()}).SetName(page.Name()).
			SetStatus("ACTIVE").SetDelivery("WEBHOOK").SetWebhookStatus("ACTIVE").SetWebhookKey(string(id)).
			SetConnectedAt(causeway.System{}.Now()).Exec(tx.Context())
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(id)
}

// delivers posts what Facebook would, and returns the status.
func (f *facebook) delivers(p *program, body string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/webhooks/facebook", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-Hub-Signature-256", messenger.Sign(f.app.Secret(), []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestABodyWithEntriesOfTwoCampaignsLandsInEachItsOwn(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		f := opensFacebook(t)
		p := begin(t, f.ours, on)
		entry := func(page *simulator.Page, text string) string {
			return fmt.Sprintf(`{"id":%q,"time":1,"messaging":[{"sender":{"id":"7"},"recipient":{"id":%q},"timestamp":1,"message":{"mid":"m_%s","text":%q}}]}`,
				page.ID(), page.ID(), text, text)
		}
		first, second := p.pageOf(p.campaign("One"), f.pages[0]), p.pageOf(p.campaign("Two"), f.pages[1])
		f.pages[2].Subscribe(f.app, "messages")
		body := `{"object":"page","entry":[` + strings.Join([]string{entry(f.pages[0], "umbrellas"), entry(f.pages[1], "raincoats"), entry(f.pages[2], "boots")}, ",") + `]}`
		if status := f.delivers(p, body); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
		for connection, words := range map[string]string{first: "umbrellas", second: "raincoats"} {
			logs := p.admin().gets(`query($n: ID!) { connection(id: $n) { webhookLogs { edges { node { payload } } } } }`, data{"n": connection}).
				at("connection").nodes("webhookLogs")
			if len(logs) != 1 {
				t.Fatalf("%d logs", len(logs))
			}
			kept, err := json.Marshal(logs[0]["payload"])
			if err != nil || !strings.Contains(string(kept), words) || strings.Count(string(kept), `"mid"`) != 1 {
				t.Errorf("kept %s, %v", kept, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := f.pages[2].WaitSubscribed(ctx, f.app, false); err != nil {
			t.Errorf("the page that nobody connected: %v", err)
		}
	})
}

func TestTheLoginPopupInABrowser(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	opener := browsertest.Start(t).Open(t, p.url+"/", browsertest.Window{Width: 1280, Height: 800})
	opener.Eval(`window.told = []; window.addEventListener('message', (e) => window.told.push({ origin: e.origin, ...e.data }))`, nil)

	opens := func(dialog string) *browsertest.Page {
		return opener.Opens(fmt.Sprintf(`window.popup = window.open(%q, 'login', 'popup,width=600,height=700')`, dialog))
	}
	ends := func(login, status string) {
		t.Helper()
		opener.Until("the opener is told "+status, fmt.Sprintf(`window.told.some((m) => m.origin === location.origin && m.loginId === %q && m.status === %q)`, login, status))
		opener.Until("the popup is closed", `window.popup.closed`)
	}

	login, dialog := mai.startsLogin(campaign)
	popup := opens(dialog)
	popup.Click("input[name=permission][value=pages_messaging]")
	popup.Click("button[value=continue]")
	ends(login, "FAILED")
	problem := mai.gets(`query($l: ID!) { facebookLogin(id: $l) { status problem { code message } pages { name } } }`, data{"l": login}).at("facebookLogin")
	if problem.at("problem").text("code") != "PERMISSIONS_MISSING" || !strings.Contains(problem.at("problem").text("message"), "pages_messaging") {
		t.Errorf("the login failed with %v", problem)
	}

	login, dialog = mai.startsLogin(campaign)
	if !strings.Contains(dialog, "auth_type=rerequest") {
		t.Errorf("what was declined is not asked for again: %s", dialog)
	}
	popup = opens(dialog)
	for _, page := range f.pages[2:] { // which are not to be had any more
		popup.Click(`input[name=page][value="` + page.ID() + `"]`)
	}
	var chosen []string
	popup.Eval(`[...document.querySelectorAll('input[name=page]:checked')].map((box) => box.value)`, &chosen)
	popup.Click("button[value=continue]")
	ends(login, "AUTHORIZED")
	granted := mai.gets(`query($l: ID!) { facebookLogin(id: $l) { userName pages { pageId connectable } } }`, data{"l": login}).at("facebookLogin")
	var connectable []string
	for _, page := range granted.list("pages") {
		if page["connectable"] == true {
			connectable = append(connectable, page.text("pageId"))
		}
	}
	if slices.Sort(chosen); granted.text("userName") != "Mai Pham" || len(chosen) != 2 || !slices.Equal(chosen, slices.Sorted(slices.Values(connectable))) {
		t.Errorf("chosen %v, to be connected %v", chosen, connectable)
	}
	if complaints := opener.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}

	two := []string{f.pages[0].ID(), f.pages[1].ID()}
	results := mai.does(`mutation($c: ID!, $l: ID!, $p: [String!]!) { connectFacebookPages(input: {campaignId: $c, loginId: $l, pageIds: $p}) {
		results { pageId connection { id status webhook { status } account { ... on FacebookPage { name } } } report { passed } userErrors { code message } } userErrors { code message } } }`,
		data{"c": campaign, "l": login, "p": two}).list("results")
	if len(results) != 2 {
		t.Fatalf("connecting two pages answered %v", results)
	}
	for i, result := range results {
		made := result.at("connection")
		if result.text("pageId") != two[i] || len(result.list("userErrors")) > 0 || result.at("report")["passed"] != true ||
			made.text("status") != "ACTIVE" || made.at("webhook").text("status") != "ACTIVE" || made.at("account").text("name") != f.pages[i].Name() {
			t.Errorf("a page was connected as %v", result)
		}
		f.pages[i].CustomerWrites("Bo", "Hello, "+f.pages[i].Name())
		mai.chatOf(campaign, made.text("id"))
	}
	if f.pages[2].Subscription(f.app) != nil || f.pages[3].Subscription(f.app) != nil {
		t.Error("a page that was not chosen is subscribed to")
	}
}

func TestALoginWhoseOpenerIsGoneSaysWhatHappened(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	mai := p.user("Mai", p.campaign("Shop"), "MANAGER")
	_, dialog := mai.startsLogin(mai.gets(`{ campaigns { edges { node { id } } } }`, nil).nodes("campaigns")[0].text("id"))
	opener := browsertest.Start(t).Open(t, p.url+"/", browsertest.Window{Width: 1280, Height: 800})
	popup := opener.Opens(fmt.Sprintf(`window.popup = window.open(%q, 'login', 'noopener')`, dialog)) // nobody is told
	popup.Click("button[value=cancel]")
	popup.Until("the page says it", `document.body.innerText.includes('The Facebook sign-in was cancelled')`)
	var address string
	popup.Eval(`location.href`, &address)
	if address != p.url+"/oauth/facebook/callback" {
		t.Errorf("the address is %s", address)
	}
	if complaints := popup.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", errors.New(strings.Join(complaints, ", ")))
	}
}

// facebookSecrets are tokens and codes as the simulated Facebook makes them.
var facebookSecrets = regexp.MustCompile(`(EAA|AQ)[0-9A-Za-z_-]{60,}`)

func TestNoSecretOfALoginIsEverWrittenDownOrTold(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	told := &strings.Builder{}
	login := mai.logsIn(f, campaign, f.pages...)
	for _, edge := range []string{"access_token", "debug_token", "me", "permissions", "accounts"} {
		for _, failure := range []simulator.GraphFailure{{HTML: true}, {Lost: true}, simulator.Refusing(190, 460)} {
			f.FailNext(edge, failure)
			f.FailNext("POST "+edge, failure)
			failed, dialog := mai.startsLogin(campaign)
			told.WriteString(f.agrees(t, dialog, f.pages))
			told.WriteString(mai.asks(`query($l: ID!) { facebookLogin(id: $l) { status problem { code message platformCode platformMessage } } }`, data{"l": failed}).Body)
			f.Works()
		}
	}
	told.WriteString(mai.asks(`query($l: ID!) { facebookLogin(id: $l) { id status userName expiresAt permissions { name } problem { message }
		pages { pageId name username avatarUrl category tasks } lostConnections { id } } }`, data{"l": login}).Body)
	if n := strings.Count(told.String(), `"FAILED"`); n < 15 || !strings.Contains(told.String(), `"AUTHORIZED"`) {
		t.Errorf("%d logins failed: %s", n, told)
	}
	p.stop()
	for where, content := range map[string]string{"the database": string(p.files(t)), "the log": p.log.String(), "a page or a response": told.String()} {
		if found := facebookSecrets.FindString(content); found != "" {
			t.Errorf("%s holds %s", where, found)
		}
		if strings.Contains(content, f.app.Secret()) {
			t.Errorf("%s holds the app's secret", where)
		}
	}
}
