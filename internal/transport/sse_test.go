package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// hears asks for events and returns the response as it comes.
func hears(t *testing.T, at, method, query string, header http.Header) *http.Response {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"query":"` + query + `"}`)
	} else {
		at += "?query=" + url.QueryEscape(query)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = headers("Content-Type", asJSON, "Accept", typeStream)
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func everything(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v after %q", err, body)
	}
	return string(body)
}

const completed = "event: complete\ndata:\n\n"

func TestEventsComeByGetAndByPost(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for query, want := range map[string]string{
			`subscription{count(to:2)}`: ":\n\n" +
				"event: next\nid: 1\ndata: {\"data\":{\"count\":1}}\n\n" +
				"event: next\nid: 2\ndata: {\"data\":{\"count\":2}}\n\n" + completed,
			`{hello}`:  ":\n\nevent: next\ndata: {\"data\":{\"hello\":\"Hello\"}}\n\n" + completed,
			`{secret}`: ":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"sign in\",\"extensions\":{\"code\":\"UNAUTHENTICATED\"}}]}\n\n" + completed,
		} {
			res := hears(t, at, method, query, nil)
			if got := everything(t, res); got != want {
				t.Errorf("%s %s: %q, expected %q", method, query, got, want)
			}
			for name, value := range map[string]string{
				"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
			} {
				if res.Header.Get(name) != value {
					t.Errorf("%s is %q", name, res.Header.Get(name))
				}
			}
			if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "no-cache") {
				t.Errorf("status %d, Cache-Control %q", res.StatusCode, res.Header.Get("Cache-Control"))
			}
		}
	}
}

func TestWhatIsNoGraphQLRequestIsNoStreamEither(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	stream := headers("Content-Type", asJSON, "Accept", typeStream)
	for _, c := range []asked{
		{header: stream, body: `{}`, status: 400, has: "query is missing"},
		{header: stream, body: `[]`, status: 400},
		{method: "GET", header: stream, query: "query=" + url.QueryEscape(`mutation{set(value:"x")}`), status: 405, headers: map[string]string{"Allow": "POST"}},
		{header: headers("Content-Type", "text/plain", "Accept", typeStream), body: `{}`, status: 415},
	} {
		c.try(t, at)
	}
}

func TestLastEventIDResumesLikeTheArgument(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	for _, query := range []string{
		`subscription{count(to:3)}`,
		`subscription{count(to:3,after:\"0\")}`,
		`subscription($a:String){count(to:3,after:$a)}`,
		`subscription{...F} fragment F on Subscription{count(to:3)}`,
	} {
		got := everything(t, hears(t, at, http.MethodPost, query, headers("Last-Event-ID", "2")))
		if want := ":\n\nevent: next\nid: 3\ndata: {\"data\":{\"count\":3}}\n\n" + completed; got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
	got := everything(t, hears(t, at, http.MethodPost, `subscription{count(to:3)}`, headers("Last-Event-ID", "nonsense")))
	if !strings.Contains(got, "after is not a position") || !strings.HasSuffix(got, completed) {
		t.Errorf("an id that is none: %q", got)
	}
}

func TestASilentStreamShowsThatItIsAlive(t *testing.T) {
	t.Parallel()
	at := serves(t, func(c *Config) { c.KeepAlive = 10 * time.Millisecond; c.ReadTimeout = 30 * time.Millisecond })
	lines := bufio.NewScanner(hears(t, at, http.MethodPost, `subscription{silence}`, nil).Body)
	signs := 0
	for signs < 10 && lines.Scan() { // for longer than the body may take
		if lines.Text() == ":" {
			signs++
		}
	}
	if signs != 10 {
		t.Errorf("%d signs of life, then %v", signs, lines.Err())
	}
}

func TestStreamsEndWithTheServerAndAreNotComplete(t *testing.T) {
	t.Parallel()
	handler := New(fixtureConfig())
	at := servesHandler(t, handler)
	res := hears(t, at, http.MethodPost, `subscription{silence}`, nil)
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	if err := handler.Close(); err != nil {
		t.Fatal(err)
	}
	if rest := everything(t, res); rest != "" {
		t.Errorf("heard %q", rest)
	}
}

func TestAStreamWhoseReaderReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	cfg := fixtureConfig()
	cfg.WriteDeadline = 50 * time.Millisecond
	cfg.Sockets.QueueBytes = 1 << 30
	cfg.Sockets.QueueFrames = 1 << 30
	handler := New(cfg)
	at := servesHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		handler.ServeHTTP(w, r)
	}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	query := url.QueryEscape(`subscription{count(to:10000000)}`)
	if _, err := io.WriteString(conn, "GET /?query="+query+" HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the server still writes to a reader that reads nothing")
	}
	if err := handler.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEventStreamsQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newEventQueue(1<<20, 3)
	events := []*event{{payload: []byte("1")}, {payload: []byte("2")}, {payload: nil}, {payload: []byte("3")}, {payload: []byte("4")}}
	if n := q.push(&batch{events: events}); n != 4 {
		t.Errorf("%d of 5 taken", n)
	}
	waited := make(chan bool)
	go func() { waited <- q.room(t.Context()) }()
	frames, ended := q.take()
	if strings.Count(string(frames), "event: next") != 3 || ended {
		t.Errorf("took %q", frames)
	}
	if !<-waited {
		t.Error("there is room and nobody is told")
	}
	q.end(gqlerror.List{{Message: "over"}})
	if n := q.push(&batch{events: events}); n != len(events) {
		t.Errorf("an ended queue takes %d of %d", n, len(events))
	}
	frames, ended = q.take()
	if want := "event: next\ndata: {\"errors\":[{\"message\":\"over\"}]}\n\n" + completed; string(frames) != want || !ended {
		t.Errorf("at the end: %q", frames)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q = newEventQueue(1, 1)
	q.push(&batch{events: events})
	if q.room(ctx) {
		t.Error("there is no room, and the wait was ended")
	}
}

func TestALineBreakInAPayloadDoesNotEndTheEvent(t *testing.T) {
	t.Parallel()
	got := string(appendNext(nil, "a\nb", []byte("{\n\"data\":\r1}")))
	if want := "event: next\ndata: { \"data\": 1}\n\n"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}
