package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// patience bounds waits that only a test that fails waits out.
const patience = 20 * time.Second

// narrowBuffer is what the kernel keeps, about twice, at each end where it is to be little.
const narrowBuffer = 32 << 10

const journalSchema = `
type Query { hello: String }
type Subscription {
  entries(kind: String, after: String): String!
  plain: String!
}
`

// journal is a schema with a sequence of entries, which a test adds to. As gqlgen's
// generated code does, each execution writes its responses into one buffer.
type journal struct {
	schema *ast.Schema
	size   int  // of an entry's text, at least
	narrow bool // the kernel keeps little of what is written, so that readers are behind soon

	mu   sync.Mutex
	head int64
	more chan struct{}

	begun    atomic.Int64 // executions of subscriptions
	running  atomic.Int64
	executed atomic.Int64 // entries that were executed
}

var _ graphql.ExecutableSchema = (*journal)(nil)

func newJournal() *journal {
	return &journal{
		schema: gqlparser.MustLoadSchema(&ast.Source{Name: "journal", Input: journalSchema}),
		more:   make(chan struct{}),
	}
}

// add appends n entries.
func (j *journal) add(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head += n
	close(j.more)
	j.more = make(chan struct{})
}

func (j *journal) now() (int64, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head, j.more
}

// Schema is the journal's.
func (j *journal) Schema() *ast.Schema { return j.schema }

// Complexity is the default.
func (j *journal) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

// Exec runs the operation in the context.
func (j *journal) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation == ast.Query {
		return graphql.OneShot(&graphql.Response{Data: json.RawMessage(`{"hello":"Hello"}`)})
	}
	field := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})[0]
	args := field.ArgumentMap(op.Variables)
	at, _ := j.now()
	if after, ok := args["after"].(string); ok {
		var err error
		if at, err = strconv.ParseInt(after, 10, 64); err != nil {
			graphql.AddError(ctx, errors.New("after is no position"))
			return nil
		}
	}
	j.begun.Add(1)
	j.running.Add(1)
	context.AfterFunc(ctx, func() { j.running.Add(-1) })
	placed := field.Name == "entries"
	if placed {
		UpTo(ctx, at)
	}
	var b bytes.Buffer
	return func(context.Context) *graphql.Response {
		for {
			head, more := j.now()
			if at < head {
				at++
				break
			}
			if placed {
				UpTo(ctx, at)
			}
			select {
			case <-more:
			case <-ctx.Done():
				return nil
			}
		}
		if placed {
			At(ctx, at)
		}
		j.executed.Add(1)
		b.Reset()
		fmt.Fprintf(&b, `{"%s":"%d for %v%s"}`, field.Alias, at, ctx.Value(viewerKey{}), strings.Repeat(" ", j.size))
		return &graphql.Response{Data: b.Bytes()}
	}
}

// serve starts the journal. Tokens are "RIGHTS/anything": viewers of the same rights
// share.
func (j *journal) serve(t testing.TB, change func(*Config)) (*Handler, string) {
	t.Helper()
	cfg := Config{
		Schema: j,
		Authenticate: func(ctx context.Context, bearer string) (context.Context, error) {
			switch bearer {
			case "bad":
				return ctx, errors.New("no such token")
			case "unknown":
				return ctx, fmt.Errorf("%w: the database is away", ErrUnavailable)
			}
			return context.WithValue(ctx, viewerKey{}, bearer), nil
		},
		SignedIn:        func(ctx context.Context) bool { return ctx.Value(viewerKey{}) != nil },
		Unauthenticated: func(context.Context) *gqlerror.Error { return requestError("UNAUTHENTICATED", "sign in") },
		Share: func(ctx context.Context, op *graphql.OperationContext, field *ast.Field) (Sharing, error) {
			rights, _, _ := strings.Cut(ctx.Value(viewerKey{}).(string), "/")
			sharing := Sharing{
				Key: rights,
				Run: func(ctx context.Context) context.Context { return context.WithValue(ctx, viewerKey{}, rights) },
				Overrun: func(last int64, known bool) *gqlerror.Error {
					err := requestError(CodeOverrun, "too slow")
					if known {
						err.Extensions["cursor"] = strconv.FormatInt(last, 10)
					}
					return err
				},
			}
			if after, ok := field.ArgumentMap(op.Variables)["after"].(string); ok {
				at, err := strconv.ParseInt(after, 10, 64)
				sharing.After, sharing.Resumes = at, err == nil
			}
			return sharing, nil
		},
		PositionArgument: "after",
		Limits:           Limits{Rate: -1},
	}
	if change != nil {
		change(&cfg)
	}
	handler := New(cfg)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if j.narrow {
			_ = conn.(*net.TCPConn).SetWriteBuffer(narrowBuffer)
		}
		return ctx
	}
	server.Start()
	t.Cleanup(func() {
		if err := handler.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		eventually(t, "no execution is left running", func() bool { return j.running.Load() == 0 })
	})
	return handler, "ws" + strings.TrimPrefix(server.URL, "http")
}

// client is a raw GraphQL client on a socket.
type client struct {
	t    testing.TB
	conn *websocket.Conn
}

type heard struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func dials(t testing.TB, url string, protocols ...string) *client {
	t.Helper()
	conn, res, err := (&websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}).Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

// opens dials the new protocol and is acknowledged.
func opens(t testing.TB, url, token string) *client {
	t.Helper()
	c := dials(t, url, protocol)
	c.says(`{"type":"connection_init","payload":{"authorization":"Bearer ` + token + `"}}`)
	c.hears("connection_ack")
	return c
}

func (c *client) says(text string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) subscribes(id, query, variables string) {
	c.t.Helper()
	quoted, _ := json.Marshal(query)
	c.says(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%s,"variables":%s}}`, id, quoted, variables))
}

func (c *client) next() (heard, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var m heard
	err := c.conn.ReadJSON(&m)
	return m, err
}

// hears returns the next message, which must be of a type.
func (c *client) hears(kind string) heard {
	c.t.Helper()
	m, err := c.next()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", kind, err)
	}
	if m.Type != kind {
		c.t.Fatalf("expected %s, got %s %s %s", kind, m.Type, m.ID, m.Payload)
	}
	return m
}

// entry is the number of the next entry, and for whom it was executed.
func (c *client) entry() (n int64, whom string) {
	c.t.Helper()
	m := c.hears("next")
	var p struct{ Data map[string]string }
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		c.t.Fatalf("%s: %v", m.Payload, err)
	}
	for _, text := range p.Data {
		if _, err := fmt.Sscanf(text, "%d for %s", &n, &whom); err != nil {
			c.t.Fatalf("%s: %v", m.Payload, err)
		}
	}
	return n, whom
}

// closes reads until the socket closes and returns the code and what came before.
func (c *client) closes() (code int, before []heard) {
	c.t.Helper()
	for {
		m, err := c.next()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code, before
		}
		if err != nil {
			c.t.Fatalf("the socket ended without a code: %v", err)
		}
		before = append(before, m)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-deadline.C:
			t.Fatalf("still not so: %s", what)
		case <-tick.C:
		}
	}
}
