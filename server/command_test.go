package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// running is the program as a person starts it.
type running struct {
	t        *testing.T
	out, log *lockedBuffer
	url      string
	stop     func() error
}

// runs starts the program with arguments and waits until it has greeted.
func runs(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, out: &lockedBuffer{}, log: &lockedBuffer{}}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"--listen=127.0.0.1:0"}, args...), r.out, r.log) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = r.stop() })
	eventually(t, "the program greets", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the program ended: %v\n%s", err, r.log)
		default:
		}
		_, rest, found := strings.Cut(r.out.String(), "listening on ")
		address, _, whole := strings.Cut(rest, "\n")
		if !found || !whole {
			return errors.New("nothing yet")
		}
		r.url = address
		return nil
	})
	return r
}

// asks is a person's question to the running program.
func (r *running) asks(token string) answer {
	r.t.Helper()
	return person{&program{t: r.t, url: r.url}, token}.asks(`{ viewer { email role } }`, nil)
}

func TestTheFirstStartPrintsAnAdministratorOnce(t *testing.T) {
	t.Parallel()
	data := "--data=" + filepath.Join(t.TempDir(), "data")
	first := runs(t, data)
	token := regexp.MustCompile(`token: +(cw_\S+)`).FindStringSubmatch(first.out.String())
	password := regexp.MustCompile(`password: +(\S+)`).FindStringSubmatch(first.out.String())
	email := regexp.MustCompile(`email: +(\S+)`).FindStringSubmatch(first.out.String())
	if token == nil || password == nil || email == nil {
		t.Fatalf("it printed %s", first.out)
	}
	if !strings.Contains(first.out.String(), "Playground: "+first.url) {
		t.Errorf("no playground in %s", first.out)
	}
	line, _, _ := strings.Cut(first.log.String(), "\n")
	if !strings.Contains(line, strings.TrimPrefix(first.url, "http://")) {
		t.Errorf("the log begins with %q, not with %s", line, first.url)
	}
	who := first.asks(token[1]).Data.at("viewer")
	if who.text("role") != "ADMIN" || who.text("email") != email[1] {
		t.Errorf("the token is of %v", who)
	}
	session := person{&program{t: t, url: first.url}, ""}.signsIn(email[1], password[1])
	if session.text("token") == "" {
		t.Errorf("the password does not sign in: %v", session)
	}
	for _, secret := range []string{token[1], password[1], session.text("token")} {
		if strings.Contains(first.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}

	second := runs(t, data, "--no-playground")
	if strings.Contains(second.out.String(), "token") || strings.Contains(second.out.String(), "Playground") {
		t.Errorf("the second start printed %s", second.out)
	}
	if who := second.asks(token[1]).Data.at("viewer"); who.text("role") != "ADMIN" {
		t.Error("the first token does not work any more")
	}
}

func TestTheAdministratorCanBeSet(t *testing.T) {
	t.Parallel()
	data := "--data=" + t.TempDir()
	r := runs(t, data, "--admin-email=Boss@example.com", "--admin-password=a long password", "--admin-token=a-token-of-the-settings")
	if out := r.out.String(); strings.Contains(out, "a long password") || strings.Contains(out, "a-token-of-the-settings") {
		t.Errorf("what was given is printed: %s", out)
	}
	if who := r.asks("a-token-of-the-settings").Data.at("viewer"); who.text("email") != "boss@example.com" || who.text("role") != "ADMIN" {
		t.Errorf("the token is of %v", who)
	}
	if (person{&program{t: t, url: r.url}, ""}).signsIn("boss@example.com", "a long password").text("token") == "" {
		t.Error("the password does not sign in")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if again := runs(t, data); again.asks("a-token-of-the-settings").code() != "UNAUTHENTICATED" {
		t.Error("the token outlives its setting")
	}
}

func TestATokenIsPrintedForAUser(t *testing.T) {
	t.Parallel()
	data := "--data=" + t.TempDir()
	if err := runs(t, data, "--admin-email=boss@example.com", "--admin-token=a-token-of-the-settings").stop(); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"token", data, "--email=boss@example.com", "--name=script"}, &out, &log); err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutSuffix(out.String(), "\n")
	if !ok || strings.Contains(token, "\n") || strings.Contains(log.String(), token) {
		t.Errorf("it printed %q", out.String())
	}
	if who := runs(t, data).asks(token).Data.at("viewer"); who.text("email") != "boss@example.com" {
		t.Errorf("the token is of %v", who)
	}
	out.Reset()
	err := run(t.Context(), []string{"token", data, "--email=nobody@example.com", "--name=script"}, &out, &log)
	if err == nil || !strings.Contains(err.Error(), "nobody@example.com") || out.Len() > 0 {
		t.Errorf("for nobody: %v %q", err, out.String())
	}
}

func TestMigratingStops(t *testing.T) {
	t.Parallel()
	data := "--data=" + t.TempDir()
	var out bytes.Buffer
	for range 2 {
		out.Reset()
		if err := run(t.Context(), []string{"migrate", data}, &out, io.Discard); err != nil || out.Len() == 0 {
			t.Fatalf("%v %q", err, out.String())
		}
	}
	if r := runs(t, data); !strings.Contains(r.out.String(), "token:") {
		t.Error("migrating took the first start's greeting away")
	}
}

func TestTheProgramSaysWhetherItIsReady(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for path, want := range map[string]string{"/healthz": "alive", "/readyz": "ready"} {
		if status, _, body := p.sends(http.MethodGet, path, "", nil); status != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if err := p.app.store.Close(); err != nil {
		t.Fatal(err)
	}
	status, _, body := p.sends(http.MethodGet, "/readyz", "", nil)
	if status != 503 || !strings.Contains(body, "database") {
		t.Errorf("without its database: %d %s", status, body)
	}
	if status, _, _ := p.sends(http.MethodGet, "/healthz", "", nil); status != 200 {
		t.Errorf("alive: %d", status)
	}
}

func TestPlaygroundAndIntrospectionCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	const schema = `{ __schema { queryType { name } } }`
	on := begin(t)
	if status, contentType, _ := on.sends(http.MethodGet, "/", "", nil); status != 200 || !strings.HasPrefix(contentType, "text/html") {
		t.Errorf("the playground: %d %s", status, contentType)
	}
	if a := on.admin().asks(schema, nil); a.Data.at("__schema") == nil {
		t.Errorf("introspection: %s", a.Body)
	}
	off := begin(t, func(s *settings) { s.Playground, s.Introspection = false, false })
	if status, _, _ := off.sends(http.MethodGet, "/", "", nil); status != 404 {
		t.Errorf("the playground, turned off: %d", status)
	}
	for _, who := range []person{off.admin(), off.nobody()} {
		if a := who.asks(schema, nil); a.Data.at("__schema") != nil || len(a.Errors) == 0 {
			t.Errorf("introspection, turned off: %s", a.Body)
		}
	}
	if off.admin().id() == "" {
		t.Error("nothing works without introspection")
	}
}

func TestAPageOfAnotherOriginIsRefused(t *testing.T) {
	t.Parallel()
	p := begin(t, func(s *settings) { s.AllowedOrigins = origins{"https://app.example.com"} })
	for origin, allowed := range map[string]bool{
		"https://app.example.com": true, p.url: true, "": true,
		"https://evil.example.com": false, "null": false, "http://app.example.com": false, "https://app.example.com.evil.com": false, "file://": false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience}
		conn, res, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+"/graphql", header)
		if conn != nil {
			_ = conn.Close()
		}
		if res != nil {
			_ = res.Body.Close()
		}
		if (err == nil) != allowed {
			t.Errorf("a socket from %q: %v", origin, err)
		}
		if !allowed && (res == nil || res.StatusCode != http.StatusForbidden) {
			t.Errorf("a socket from %q is refused with %v", origin, res)
		}
	}
}

func TestBrowsersMayCallFromAllowedOriginsOnly(t *testing.T) {
	t.Parallel()
	p := begin(t, func(s *settings) { s.AllowedOrigins = origins{"https://app.example.com"} })
	for origin, allowed := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": "", "null": ""} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			req, err := http.NewRequestWithContext(t.Context(), method, p.url+"/graphql", strings.NewReader(`{"query":"{__typename}"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", origin)
			req.Header.Set("Content-Type", plainJSON)
			req.Header.Set("Access-Control-Request-Method", "POST")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != allowed || res.StatusCode != 200 || !strings.Contains(res.Header.Get("Vary"), "Origin") {
				t.Errorf("%s from %s: %d, allows %q", method, origin, res.StatusCode, got)
			}
			headers := strings.ToLower(res.Header.Get("Access-Control-Allow-Headers"))
			if method == http.MethodOptions && allowed != "" && !(strings.Contains(headers, "authorization") && strings.Contains(headers, "content-type")) {
				t.Errorf("a preflight allows the headers %q", headers)
			}
			if res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed, which tokens do not need")
			}
		}
	}
}
