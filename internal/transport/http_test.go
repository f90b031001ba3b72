package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// asked is one HTTP request and what is to come back.
type asked struct {
	name    string
	method  string // POST if empty
	query   string // of the address
	header  http.Header
	body    string
	status  int
	media   string            // of the response, without its charset; not looked at if empty
	headers map[string]string // of the response
	has     string            // in the body
	hasNot  string
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const asJSON = "application/json"

func TestRequestsAreAnsweredByTheLetterOfTheSpecification(t *testing.T) {
	t.Parallel()
	at := serves(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example"} })
	hello := `{"query":"{hello}"}`
	response := headers("Content-Type", asJSON, "Accept", typeResponse)
	for _, c := range []asked{
		{name: "a query", header: response, body: hello, status: 200, media: typeResponse, has: `{"data":{"hello":"Hello"}}`,
			headers: map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}},
		{name: "a query in the older type", header: headers("Content-Type", asJSON, "Accept", asJSON), body: hello, status: 200, media: asJSON},
		{name: "no Accept is the older type", header: headers("Content-Type", asJSON), body: hello, status: 200, media: asJSON},
		{name: "anything is the older type", header: headers("Content-Type", asJSON, "Accept", "*/*"), body: hello, status: 200, media: asJSON},
		{name: "q values count", header: headers("Content-Type", asJSON, "Accept", typeResponse+";q=0.4, application/json;q=0.9"), body: hello, status: 200, media: asJSON},
		{name: "the exact range counts", header: headers("Content-Type", asJSON, "Accept", "application/*;q=0.9, application/json;q=0.1"), body: hello, status: 200, media: typeResponse},
		{name: "q=0 is never", header: headers("Content-Type", asJSON, "Accept", "application/json;q=0, */*"), body: hello, status: 200, media: typeResponse},
		{name: "what Apollo sends", header: headers("Content-Type", asJSON, "Accept", typeResponse+",application/json;q=0.9"), body: hello, status: 200, media: typeResponse},
		{name: "what urql sends", header: headers("Content-Type", asJSON, "Accept", typeResponse+", application/graphql+json, application/json, text/event-stream, multipart/mixed"), body: hello, status: 200, media: typeResponse},
		{name: "nothing acceptable", header: headers("Content-Type", asJSON, "Accept", "text/html"), body: hello, status: 406, has: `"errors"`},
		{name: "another charset is not acceptable", header: headers("Content-Type", asJSON, "Accept", "application/json; charset=latin1"), body: hello, status: 406},
		{name: "no content type", header: headers("Accept", asJSON), body: hello, status: 415},
		{name: "a form of the old kind", header: headers("Content-Type", "application/x-www-form-urlencoded"), body: "query={hello}", status: 415},
		{name: "a charset that is not UTF-8", header: headers("Content-Type", "application/json; charset=utf-16"), body: hello, status: 415},
		{name: "a charset that is", header: headers("Content-Type", "application/json; charset=UTF-8"), body: hello, status: 200},
		{name: "a compressed body", header: headers("Content-Type", asJSON, "Content-Encoding", "gzip"), body: hello, status: 415,
			headers: map[string]string{"Accept-Encoding": "identity"}},
		{name: "another method", method: "PUT", header: response, body: hello, status: 405, headers: map[string]string{"Allow": "GET, POST, OPTIONS"}},
		{name: "a body that is too long", header: response, body: `{"query":"` + strings.Repeat(" ", 1<<20) + `{hello}"}`, status: 413},
		{name: "a body of a mebibyte", header: response, body: `{"query":"{hello}"` + strings.Repeat(" ", 1<<20-len(hello)) + `}`, status: 200},
		{name: "no JSON", header: response, body: `{"query":`, status: 400, hasNot: "unexpected"},
		{name: "two JSONs", header: response, body: hello + hello, status: 400},
		{name: "a list", header: response, body: "[" + hello + "]", status: 400},
		{name: "no query", header: response, body: `{}`, status: 400, has: "query is missing", hasNot: "data"},
		{name: "no query, older type", header: headers("Content-Type", asJSON), body: `{}`, status: 400},
		{name: "a number for a query", header: response, body: `{"query":7}`, status: 400, hasNot: "Go"},
		{name: "a list for variables", header: response, body: `{"query":"{hello}","variables":[]}`, status: 400},
		{name: "a text for extensions", header: response, body: `{"query":"{hello}","extensions":"x"}`, status: 400},
		{name: "a number for the name", header: response, body: `{"query":"{hello}","operationName":1}`, status: 400},
		{name: "nulls are nothing", header: response, body: `{"query":"{hello}","variables":null,"operationName":null,"extensions":null}`, status: 200},
		{name: "does not parse", header: response, body: `{"query":"{"}`, status: 400, media: typeResponse, has: `"errors"`, hasNot: `"data"`},
		{name: "does not parse, older type", header: headers("Content-Type", asJSON, "Accept", asJSON), body: `{"query":"{"}`, status: 200, media: asJSON, hasNot: `"data"`},
		{name: "is not valid", header: response, body: `{"query":"{helo}"}`, status: 400, has: "Did you mean", hasNot: `"data"`},
		{name: "is not valid, older type", header: headers("Content-Type", asJSON), body: `{"query":"{helo}"}`, status: 200, hasNot: `"data"`},
		{name: "a variable of the wrong type", header: response, body: `{"query":"query($n:Int!){long(n:$n)}","variables":{"n":"x"}}`, status: 400, hasNot: `"data"`},
		{name: "an operation that is not there", header: response, body: `{"query":"query A{hello}","operationName":"B"}`, status: 400, hasNot: `"data"`},
		{name: "which of two operations", header: response, body: `{"query":"query A{hello} query B{open}"}`, status: 400, hasNot: `"data"`},
		{name: "an error while it runs", header: response, body: `{"query":"{item(id:1){broken}}"}`, status: 200, has: `"data":null`},
		{name: "not signed in", header: response, body: `{"query":"{secret}"}`, status: 401, hasNot: `"data"`, headers: map[string]string{"WWW-Authenticate": "Bearer"}},
		{name: "not signed in, older type", header: headers("Content-Type", asJSON), body: `{"query":"{secret}"}`, status: 200, has: "UNAUTHENTICATED", hasNot: `"data"`},
		{name: "a bad token on what is public", header: headers("Content-Type", asJSON, "Authorization", "Bearer bad"), body: hello, status: 200, has: "Hello"},
		{name: "a good token", header: headers("Content-Type", asJSON, "Authorization", "bearer good"), body: `{"query":"{secret}"}`, status: 200, has: "a secret"},
		{name: "GET", method: "GET", query: "query={hello}", header: headers("Accept", typeResponse), status: 200, has: "Hello"},
		{name: "GET with variables", method: "GET", query: "query=" + url.QueryEscape(`query($n:String){hello(name:$n)}`) + "&variables=" + url.QueryEscape(`{"n":"you"}`), status: 200, has: "Hello you"},
		{name: "GET with bad variables", method: "GET", query: "query={hello}&variables=x", status: 400},
		{name: "GET without a query", method: "GET", status: 400},
		{name: "GET a mutation", method: "GET", query: "query=" + url.QueryEscape(`mutation{set(value:"x")}`), header: headers("Accept", typeResponse), status: 405, headers: map[string]string{"Allow": "POST"}, hasNot: `"data"`},
		{name: "a subscription that cannot stream", header: response, body: `{"query":"subscription{count(to:1)}"}`, status: 406, has: "text/event-stream"},
		{name: "GET a subscription that cannot stream", method: "GET", query: "query=" + url.QueryEscape(`subscription{count(to:1)}`), status: 406},
		{name: "OPTIONS", method: "OPTIONS", status: 200, headers: map[string]string{"Allow": "GET, POST, OPTIONS"}},
		{name: "a page of ours asks first", method: "OPTIONS", header: headers("Origin", "https://app.example", "Access-Control-Request-Method", "POST"), status: 200,
			headers: map[string]string{"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Max-Age": "600"}},
		{name: "another page asks first", method: "OPTIONS", header: headers("Origin", "https://evil.example"), status: 200, headers: map[string]string{"Access-Control-Allow-Origin": ""}},
		{name: "the page null asks first", method: "OPTIONS", header: headers("Origin", "null"), status: 200, headers: map[string]string{"Access-Control-Allow-Origin": ""}},
		{name: "a page of ours", header: headers("Content-Type", asJSON, "Origin", "https://app.example"), body: hello, status: 200, headers: map[string]string{"Access-Control-Allow-Origin": "https://app.example"}},
		{name: "a socket of another page", method: "GET", header: headers("Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://evil.example"), status: 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.try(t, at)
		})
	}
}

func (c asked) try(t *testing.T, at string) {
	t.Helper()
	method := c.method
	if method == "" {
		method = http.MethodPost
	}
	address := at + "/graphql"
	if c.query != "" {
		address += "?" + strings.ReplaceAll(strings.ReplaceAll(c.query, "{hello}", "%7Bhello%7D"), " ", "+")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != c.status {
		t.Errorf("status %d, expected %d: %.300s", res.StatusCode, c.status, body)
	}
	media := res.Header.Get("Content-Type")
	if c.media != "" && media != c.media+"; charset=utf-8" {
		t.Errorf("Content-Type is %q, expected %s", media, c.media)
	}
	for name, value := range c.headers {
		if got := res.Header.Get(name); got != value {
			t.Errorf("%s is %q, expected %q", name, got, value)
		}
	}
	if !strings.Contains(string(body), c.has) {
		t.Errorf("%q is missing in %.300s", c.has, body)
	}
	if c.hasNot != "" && strings.Contains(string(body), c.hasNot) {
		t.Errorf("%q is in %.300s", c.hasNot, body)
	}
	if strings.Contains(media, "json") && !json.Valid(body) {
		t.Errorf("not JSON: %.300s", body)
	}
}

func TestALongResponseIsCompressedForWhoWantsIt(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	for _, c := range []struct {
		accept string
		n      int
		coding string
	}{
		{"gzip, deflate, br", 1000, "gzip"},
		{"gzip;q=0, *", 1000, ""},
		{"*", 1000, "gzip"},
		{"identity", 1000, ""},
		{"gzip", 1, ""},
	} {
		body := fmt.Sprintf(`{"query":"{long(n:%d)}"}`, c.n)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = headers("Content-Type", asJSON, "Accept-Encoding", c.accept)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.Header.Get("Content-Encoding") != c.coding {
			t.Fatalf("%s: Content-Encoding %q, expected %q (%v)", c.accept, res.Header.Get("Content-Encoding"), c.coding, err)
		}
		if c.coding == "gzip" {
			reader, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
		if want := 5 * c.n; strings.Count(string(raw), "long ") != c.n {
			t.Errorf("%s: expected %d bytes of text, got %.100s", c.accept, want, raw)
		}
	}
}

func TestABodyThatNeverEndsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	at := serves(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 408" {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestWithoutIntrospectionNothingIsSuggested(t *testing.T) {
	t.Parallel()
	at := serves(t, func(c *Config) { c.Introspection = false })
	for name, query := range map[string]string{
		"a field":          `{helo}`,
		"an argument":      `{hello(nam:1)}`,
		"a type":           `query($f:Filte){items(first:1){id}}`,
		"an enum value":    `{items(filter:{colour:GREE}){id}}`,
		"an enum as text":  `{items(filter:{colour:\"GREE\"}){id}}`,
		"an input's field": `{items(filter:{colou:GREEN}){id}}`,
		"a leaf":           `{item(id:1)}`,
		"a fragment":       `{item(id:1){...on Ite{id}}}`,
		"a directive":      `{hello @skp(if:true)}`,
		"its argument":     `{hello @skip(i:true)}`,
		"a variable":       `query($n:Filter){items(filter:$n){id}}\",\"variables\":{\"n\":{\"colou\":1}},\"operationName\":\"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"query":"` + strings.ReplaceAll(query, `\",\"`, `","`) + `"}`
			if name == "a variable" {
				body = `{"query":"query($n:Filter){items(filter:$n){id}}","variables":{"n":{"colou":1}}}`
			}
			asked{header: headers("Content-Type", asJSON, "Accept", typeResponse), body: body, status: 400, has: `"errors"`, hasNot: "Did you mean"}.try(t, at)
		})
	}
}

func TestADocumentIsRememberedByItsHash(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	const hash = "b8a09bbd0bdd83d0ff56f6a0ac9e5a4fae7c4b4ee8ed46b0b0b8d0c1d4ef3bfc"
	const query = `{hello}`
	right := sha256Of(query)
	extension := func(hash string) string {
		return `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`
	}
	response := headers("Content-Type", asJSON, "Accept", typeResponse)
	for _, c := range []asked{
		{name: "unknown", header: response, body: `{` + extension(right) + `}`, status: 400, has: "PERSISTED_QUERY_NOT_FOUND"},
		{name: "unknown, older type", header: headers("Content-Type", asJSON), body: `{` + extension(right) + `}`, status: 200, has: "PersistedQueryNotFound"},
		{name: "of another document", header: response, body: `{"query":"{hello}",` + extension(hash) + `}`, status: 400},
		{name: "of a document that is not valid", header: response, body: `{"query":"{helo}",` + extension(sha256Of("{helo}")) + `}`, status: 400},
		{name: "which is not kept", header: response, body: `{` + extension(sha256Of("{helo}")) + `}`, status: 400, has: "PERSISTED_QUERY_NOT_FOUND"},
		{name: "another version", header: response, body: `{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"x"}}}`, status: 400},
		{name: "not an extension", header: response, body: `{"extensions":{"persistedQuery":7}}`, status: 400},
		{name: "told", header: response, body: `{"query":"{hello}",` + extension(right) + `}`, status: 200, has: "Hello"},
		{name: "known", header: response, body: `{` + extension(right) + `}`, status: 200, has: "Hello"},
		{name: "known by GET", method: "GET", query: "extensions=" + url.QueryEscape(`{"persistedQuery":{"version":1,"sha256Hash":"`+right+`"}}`), status: 200, has: "Hello"},
	} {
		t.Run(c.name, func(t *testing.T) { c.try(t, at) })
	}
}

func TestPersistedDocumentsAreForgottenOldestFirst(t *testing.T) {
	t.Parallel()
	p := newPersisted(30)
	for _, hash := range []string{"a", "b", "c"} {
		p.add(hash, strings.Repeat("x", 9))
	}
	if _, ok := p.get("a"); !ok {
		t.Error("a had room")
	}
	p.add("d", strings.Repeat("x", 9))
	if _, ok := p.get("b"); ok {
		t.Error("b was used the longest time ago and is still there")
	}
	if _, ok := p.get("a"); !ok {
		t.Error("a was just used")
	}
	p.add("e", strings.Repeat("x", 100))
	if p.bytes != 0 || p.used.Len() != 0 || len(p.known) != 0 {
		t.Errorf("a document beyond the bound is kept: %d bytes", p.bytes)
	}
}

func TestTroubleWithATokenSignsNobodyOut(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"application/json", "application/graphql-response+json"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, serves(t, nil), strings.NewReader(`{"query":"{secret}"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "Authorization": {"Bearer unknown"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, to try again after %q", accept, res.Status, res.Header.Get("Retry-After"))
		}
	}
}
