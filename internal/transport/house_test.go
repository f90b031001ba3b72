package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"causeway/internal/transport"
)

// house is a handler over a schema of its own, behind a server that is reached by
// pipes in memory: so that the clock of a synctest bubble drives every deadline.
type house struct {
	*testing.T
	handler *transport.Handler
	server  *http.Server
	line    *pipes
	client  *http.Client

	ticks   chan string   // what every subscription gets next
	refused chan struct{} // ends subscriptions with an error
	ended   chan error    // ends the viewer
	gone    chan struct{} // a subscription's context ended
}

// in runs a test in a bubble, with a server that ends before it.
func in(t *testing.T, test func(h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{
			T: t, line: newPipes(), ticks: make(chan string), refused: make(chan struct{}),
			ended: make(chan error), gone: make(chan struct{}, 100),
		}
		h.handler = transport.New(transport.Config{
			Schema: h,
			Authenticate: func(ctx context.Context, bearer string) (context.Context, error) {
				if bearer != "good" {
					return ctx, errors.New("no")
				}
				return context.WithValue(ctx, viewer{}, true), nil
			},
			SignedIn: func(ctx context.Context) bool { return ctx.Value(viewer{}) != nil },
			Prepare: func(ctx context.Context, language string) context.Context {
				return context.WithValue(ctx, spoken{}, language)
			},
			Watch:        func(context.Context) (<-chan error, func()) { return h.ended, func() {} },
			PublicFields: []string{"open"},
			Unauthenticated: func(context.Context) *gqlerror.Error {
				return &gqlerror.Error{Message: "Sign in first", Extensions: map[string]any{"code": "UNAUTHENTICATED"}}
			},
			AllowedOrigins: []string{"https://Inbox.example/"},
			Introspection:  true,
			ErrorPresenter: graphql.DefaultErrorPresenter,
			Recover:        graphql.DefaultRecover,
		})
		h.server = &http.Server{Handler: h.handler}
		var serving sync.WaitGroup
		serving.Go(func() { _ = h.server.Serve(h.line) })
		kept := &http.Transport{DialContext: h.line.dial}
		h.client = &http.Client{Transport: kept}
		t.Cleanup(func() {
			h.no(h.handler.Close())
			h.no(h.handler.Close())
			kept.CloseIdleConnections()
			h.no(h.server.Shutdown(context.Background()))
			serving.Wait()
		})
		test(h)
	})
}

type (
	viewer struct{}
	spoken struct{}
)

func (h *house) no(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// The schema: what anybody may have, what needs a viewer, and a stream.
var schema = gqlparser.MustLoadSchema(&ast.Source{Input: `
	type Query { open: String! secret: String! }
	type Subscription { ticks: String! }
`})

func (*house) Schema() *ast.Schema { return schema }

func (*house) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (h *house) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx).Operation
	if op.Operation != ast.Subscription {
		language, _ := ctx.Value(spoken{}).(string)
		raw, _ := json.Marshal(map[string]string{"said": "yes", "language": language})
		return graphql.OneShot(&graphql.Response{Data: raw})
	}
	context.AfterFunc(ctx, func() { h.gone <- struct{}{} })
	over := false
	return func(context.Context) *graphql.Response {
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.refused:
			over = true
			transport.EndWith(ctx, &gqlerror.Error{Message: "not any more"})
			return nil
		case tick := <-h.ticks:
			raw, _ := json.Marshal(map[string]string{"ticks": tick})
			return &graphql.Response{Data: raw}
		}
	}
}

// post asks by POST and answers the status and the body.
func (h *house) post(query string, headers ...string) (int, string, http.Header) {
	h.Helper()
	resp := h.send(query, headers...)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	h.no(err)
	return resp.StatusCode, string(body), resp.Header
}

func (h *house) send(query string, headers ...string) *http.Response {
	h.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	h.no(err)
	req, err := http.NewRequest(http.MethodPost, "http://program/graphql", strings.NewReader(string(body)))
	h.no(err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := h.client.Do(req)
	h.no(err)
	return resp
}

// socket is a WebSocket client.
type socket struct {
	h *house
	*websocket.Conn
}

func (h *house) dial(origin string, protocols ...string) (*socket, *http.Response, error) {
	dialer := websocket.Dialer{NetDialContext: h.line.dial, Subprotocols: protocols}
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	conn, resp, err := dialer.Dial("ws://program/graphql", header)
	if err != nil {
		return nil, resp, err
	}
	return &socket{h, conn}, resp, nil
}

// connect opens a socket that has said nothing.
func (h *house) connect() *socket {
	h.Helper()
	s, _, err := h.dial("", "graphql-transport-ws")
	h.no(err)
	return s
}

// signIn opens a socket with a good token.
func (h *house) signIn() *socket {
	h.Helper()
	s := h.connect()
	s.says(`{"type":"connection_init","payload":{"authorization":"Bearer good"}}`)
	s.hears(`{"type":"connection_ack"}`)
	return s
}

func (s *socket) subscribe() {
	s.h.Helper()
	s.says(`{"id":"1","type":"subscribe","payload":{"query":"subscription { ticks }"}}`)
}

func (s *socket) says(message string) {
	s.h.Helper()
	s.h.no(s.WriteMessage(websocket.TextMessage, []byte(message)))
}

// hears reads one message.
func (s *socket) hears(want string) {
	s.h.Helper()
	_, got, err := s.ReadMessage()
	if err != nil {
		s.h.Fatalf("instead of %s: %v", want, err)
	}
	if strings.TrimSpace(string(got)) != want {
		s.h.Fatalf("%s, not %s", got, want)
	}
}

// ends reads until the socket closes, and holds the code against the one wanted.
func (s *socket) ends(code int) {
	s.h.Helper()
	defer func() { _ = s.Close() }()
	for {
		_, _, err := s.ReadMessage()
		if err == nil {
			continue
		}
		if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != code {
			s.h.Fatalf("closed with %v, not %d", err, code)
		}
		return
	}
}

// pipes is a network in memory with one listener.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		return mine, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
