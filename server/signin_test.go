package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	plainJSON   = "application/json"
	graphqlJSON = "application/graphql-response+json"
)

// posts sends an operation with headers of one's own and returns the status, the
// content type and the body.
func (p *program) posts(query string, headers map[string]string) (status int, contentType, body string) {
	p.t.Helper()
	raw, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.sends(http.MethodPost, "/graphql", string(raw), headers)
}

// sends makes a request of any kind.
func (p *program) sends(method, path, body string, headers map[string]string) (status int, contentType, answered string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", plainJSON)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(raw)
}

func TestWithoutAValidTokenARequestIsRefusedWhole(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaigns := func() int { return len(p.column("SELECT id FROM campaigns")) }
	for name, authorization := range map[string]string{
		"none": "", "unknown": "Bearer cw_abcdefghijklmnopqrstuvwxyz", "not ours": "Bearer x", "another scheme": "Basic " + adminToken,
		"no scheme": adminToken, "empty": "Bearer ", "huge": "Bearer cw_" + strings.Repeat("x", 5000),
	} {
		for accept, status := range map[string]int{graphqlJSON: 401, plainJSON: 200, "": 0} {
			headers := map[string]string{"Accept": accept, "Authorization": authorization}
			if accept == "" {
				delete(headers, "Accept")
			}
			if authorization == "" {
				delete(headers, "Authorization")
			}
			for _, query := range []string{
				`{ viewer { id } }`,
				`mutation { createCampaign(input: {name: "Mine"}) { campaign { id } } }`,
				`subscription { events(campaignId: "camp_1") { cursor } }`,
				`{ __typename viewer { id } }`,
				`mutation { signIn(input: {email: "a@example.com", password: "x"}) { token } createCampaign(input: {name: "Mine"}) { campaign { id } } }`,
				`query { ...f } fragment f on Query { ... on Query { viewer { id } } }`,
			} {
				got, _, body := p.posts(query, headers)
				var a answer
				if err := json.Unmarshal([]byte(body), &a); err != nil {
					t.Fatalf("%s: %s", query, body)
				}
				if status != 0 && got != status || a.code() != "UNAUTHENTICATED" || len(a.Errors) != 1 || strings.Contains(body, `"data"`) {
					t.Errorf("token %s, accept %q, %s: %d %s", name, accept, query, got, body)
				}
			}
		}
	}
	status, _, body := p.sends(http.MethodGet, "/graphql?query="+url.QueryEscape(`{ viewer { id } }`), "", map[string]string{"Accept": graphqlJSON})
	if status != 401 || !strings.Contains(body, "UNAUTHENTICATED") || strings.Contains(body, `"data"`) {
		t.Errorf("by GET: %d %s", status, body)
	}
	if n := campaigns(); n != 0 {
		t.Errorf("%d campaigns were made", n)
	}
}

func TestSigningInWorksWithAStaleToken(t *testing.T) {
	t.Parallel()
	p := begin(t)
	p.user("Ana", "", "")
	for name, authorization := range map[string]string{"no token": "", "a stale one": "Bearer cw_abcdefghijklmnopqrstuvwxyz"} {
		for _, accept := range []string{plainJSON, graphqlJSON} {
			headers := map[string]string{"Accept": accept, "Authorization": authorization}
			for query, want := range map[string]string{
				`mutation { signIn(input: {email: " Ana@Example.com ", password: "a long password"}) { token expiresAt user { name email } userErrors { code } } }`: `"name":"Ana"`,
				`{ __typename }`:                                    `"__typename":"Query"`,
				`{ __schema { queryType { name } } }`:               `"queryType"`,
				`query { ...f } fragment f on Query { __typename }`: `"__typename":"Query"`,
			} {
				status, contentType, body := p.posts(query, headers)
				if status != 200 || !strings.HasPrefix(contentType, accept) || !strings.Contains(body, want) || strings.Contains(body, `"errors"`) {
					t.Errorf("%s, accept %s, %s: %d %s %s", name, accept, query, status, contentType, body)
				}
			}
		}
	}
}

const signIn = `mutation($e: String!, $p: String!) { signIn(input: {email: $e, password: $p}) { token expiresAt user { id } userErrors { code field message retryable } } }`

// signsIn returns the payload.
func (who person) signsIn(email, password string) data {
	who.p.t.Helper()
	return who.gets(signIn, data{"e": email, "p": password}).at("signIn")
}

func TestASessionEndsWithSigningOut(t *testing.T) {
	t.Parallel()
	p := begin(t)
	script := p.user("Ana", "", "")
	session := p.nobody().signsIn("ana@example.com", "a long password")
	ana := person{p, session.text("token")}
	if ana.id() != script.id() || session.at("user").text("id") != script.id() {
		t.Errorf("the session is of %s", ana.id())
	}
	end, err := time.Parse(time.RFC3339, session.text("expiresAt"))
	if days := time.Until(end).Hours() / 24; err != nil || days < 29.9 || days > 30.1 {
		t.Errorf("the session ends %s", session.text("expiresAt"))
	}
	ana.does(`mutation { signOut { userErrors { code } } }`, nil)
	if a := ana.asks(`{ viewer { id } }`, nil); a.code() != "UNAUTHENTICATED" {
		t.Errorf("after signing out: %s", a.Body)
	}
	script.id() // a token made by name goes on
}

func TestWrongPasswordsAndUnknownAddressesLookAlike(t *testing.T) {
	t.Parallel()
	p := begin(t)
	ana := p.user("Ana", "", "")
	session := person{p, p.nobody().signsIn("ana@example.com", "a long password").text("token")}
	var refusals []string
	for _, try := range [][2]string{{"ana@example.com", "a wrong password"}, {"nobody@example.com", "a long password"}, {"not an address", ""}} {
		payload := p.nobody().signsIn(try[0], try[1])
		problems := payload.list("userErrors")
		if len(problems) != 1 || problems[0].text("code") != "INVALID_INPUT" || problems[0]["field"] != nil ||
			payload["token"] != nil || payload["user"] != nil || payload["expiresAt"] != nil {
			t.Errorf("%v: %v", try, payload)
		}
		refusals = append(refusals, fmt.Sprint(payload))
	}
	slices.Sort(refusals)
	if len(slices.Compact(refusals)) != 1 {
		t.Errorf("the refusals differ: %v", refusals)
	}
	var last string
	for range 12 {
		last = p.nobody().signsIn("ana@example.com", "a wrong password").list("userErrors")[0].text("code")
	}
	right := p.nobody().signsIn("ana@example.com", "a long password")
	if last != "RATE_LIMITED" || right["token"] != nil || right.list("userErrors")[0].text("code") != "RATE_LIMITED" || right.list("userErrors")[0]["retryable"] != true {
		t.Errorf("after a dozen wrong ones: %s, %v", last, right)
	}
	ana.id()
	session.id() // what was signed in goes on
}

func TestWhoIsShutOutIsOut(t *testing.T) {
	t.Parallel()
	p := begin(t)
	ana := p.user("Ana", p.campaign("Shop"), "AGENT")
	id := ana.id()
	session := person{p, p.nobody().signsIn("ana@example.com", "a long password").text("token")}
	const set = `mutation($u: ID!, $d: Boolean!) { updateUser(input: {id: $u, deactivated: $d}) { user { deactivatedAt } userErrors { code } } }`
	if p.admin().does(set, data{"u": id, "d": true}).at("user")["deactivatedAt"] == nil {
		t.Error("no time of shutting out")
	}
	for _, who := range []person{ana, session} {
		if a := who.asks(`{ viewer { id } }`, nil); a.code() != "UNAUTHENTICATED" {
			t.Errorf("a token of who is shut out: %s", a.Body)
		}
	}
	if problems := p.nobody().signsIn("ana@example.com", "a long password").list("userErrors"); len(problems) != 1 || problems[0].text("code") != "INVALID_INPUT" {
		t.Errorf("signing in: %v", problems)
	}
	p.admin().does(set, data{"u": id, "d": false})
	if a := ana.asks(`{ viewer { id } }`, nil); a.code() != "UNAUTHENTICATED" {
		t.Errorf("an old token lives again: %s", a.Body)
	}
	if p.nobody().signsIn("ana@example.com", "a long password").text("token") == "" {
		t.Error("who is let in again cannot sign in")
	}
}
