package transport

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	gqltransport "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/gorilla/websocket"
)

// Close codes of graphql-transport-ws and RFC 6455.
const (
	closeForbidden = 4403
	// lastWords is how long a socket whose token ended is left open at most, so that its
	// operations can say so themselves.
	lastWords = 3 * time.Second
)

// sockets accepts WebSockets and knows the open ones.
type sockets struct {
	origins origins
	mu      sync.Mutex
	open    map[*socketConn]struct{}
	closed  bool
}

var _ gqltransport.WebsocketImplementation = (*sockets)(nil)

// Accept upgrades a request. Offered both protocols, the new one is taken.
func (s *sockets) Accept(
	w http.ResponseWriter, r *http.Request, options gqltransport.WebsocketAcceptOptions,
) (gqltransport.WebsocketConn, error) {
	upgrader := websocket.Upgrader{
		Subprotocols:    []string{"graphql-transport-ws", "graphql-ws"},
		CheckOrigin:     func(r *http.Request) bool { return !s.origins.refuses(r) },
		ReadBufferSize:  1024,
		WriteBufferPool: &writeBuffers,
	}
	if out, ok := w.(*responseWriter); ok {
		w = out.ResponseWriter // gorilla wants the connection's own Hijack
	}
	conn, err := upgrader.Upgrade(w, r, options.ResponseHeader)
	if err != nil {
		return nil, err
	}
	c := &socketConn{conn: conn}
	if !s.add(c) {
		_ = c.WriteClose(websocket.CloseGoingAway, "the server is stopping")
		_ = conn.Close()
		return nil, errors.New("the server is stopping")
	}
	c.forget = func() { s.remove(c) }
	if held, ok := r.Context().Value(socketKey{}).(*heldSocket); ok {
		held.set(c)
	}
	return c, nil
}

// writeBuffers are shared by all sockets: one is needed only while a frame is
// written.
var writeBuffers sync.Pool

func (s *sockets) add(c *socketConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = map[*socketConn]struct{}{}
	}
	s.open[c] = struct{}{}
	return true
}

func (s *sockets) remove(c *socketConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// closeAll sends every socket 1001, all at the same time: one that reads nothing
// does not keep the others waiting.
func (s *sockets) closeAll() {
	s.mu.Lock()
	s.closed = true
	open := make([]*socketConn, 0, len(s.open))
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	var done sync.WaitGroup
	for _, c := range open {
		done.Go(func() { c.closeWith(websocket.CloseGoingAway, "the server is stopping") })
	}
	done.Wait()
}

// socketConn is a gorilla connection as gqlgen's transport wants one.
type socketConn struct {
	conn   *websocket.Conn
	forget func()
	once   sync.Once
}

var (
	_ gqltransport.WebsocketConn          = (*socketConn)(nil)
	_ gqltransport.WebsocketReadLimiter   = (*socketConn)(nil)
	_ gqltransport.WebsocketReadDeadliner = (*socketConn)(nil)
)

// NextReader waits for the next message.
func (c *socketConn) NextReader() (int, io.Reader, error) {
	kind, r, err := c.conn.NextReader()
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		return kind, r, gqltransport.ErrWebsocketClosed
	}
	return kind, r, err
}

// WriteJSON writes one message within the deadline; a client that does not read is
// cut off by it. gqlgen calls it from one goroutine at a time.
func (c *socketConn) WriteJSON(v any) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeDeadline)); err != nil {
		return err
	}
	err := c.conn.WriteJSON(v)
	if err != nil {
		_ = c.Close() // a frame may have been cut in two: nothing can follow it
	}
	return err
}

// WriteClose says goodbye.
func (c *socketConn) WriteClose(code int, reason string) error {
	return c.conn.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
}

// closeWith says goodbye and closes, whoever writes at the moment.
func (c *socketConn) closeWith(code int, reason string) {
	_ = c.WriteClose(code, reason)
	_ = c.Close()
}

// Close closes the connection. It may come twice.
func (c *socketConn) Close() error {
	var err error
	c.once.Do(func() {
		err = c.conn.Close()
		if c.forget != nil {
			c.forget()
		}
	})
	return err
}

// Subprotocol is the one that was agreed on.
func (c *socketConn) Subprotocol() string { return c.conn.Subprotocol() }

// SetReadLimit bounds one message from the client, in bytes.
func (c *socketConn) SetReadLimit(limit int64) { c.conn.SetReadLimit(limit) }

// SetReadDeadline bounds the wait for the next message.
func (c *socketConn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// heldSocket lets the handshake, which sees only a context, reach its socket.
type heldSocket struct {
	mu      sync.Mutex
	conn    *socketConn
	stop    func()
	running map[context.Context]struct{} // operations whose last message is not written
}

type socketKey struct{}

func withSocket(ctx context.Context) (context.Context, *heldSocket) {
	held := &heldSocket{running: map[context.Context]struct{}{}}
	return context.WithValue(ctx, socketKey{}, held), held
}

func (h *heldSocket) set(c *socketConn) {
	h.mu.Lock()
	h.conn = c
	h.mu.Unlock()
}

func (h *heldSocket) get() *socketConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conn
}

// began notes an operation. Its context ends when its last message was written.
func (h *heldSocket) began(operation context.Context) {
	h.mu.Lock()
	h.running[operation] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(operation, func() {
		h.mu.Lock()
		delete(h.running, operation)
		h.mu.Unlock()
	})
}

// hearOut waits until the operations that run now have written their last message,
// or until it has taken too long.
func (h *heldSocket) hearOut(most time.Duration) {
	h.mu.Lock()
	running := slices.Collect(maps.Keys(h.running))
	h.mu.Unlock()
	enough := time.NewTimer(most)
	defer enough.Stop()
	for _, operation := range running {
		select {
		case <-operation.Done():
		case <-enough.C:
			return
		}
	}
}

// release ends what the socket had, also where gqlgen returns without closing it.
func (h *heldSocket) release() {
	h.mu.Lock()
	conn, stop := h.conn, h.stop
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// socketOf is the WebSocket that a request came over; nil if it came otherwise.
func socketOf(ctx context.Context) *heldSocket {
	if held, ok := ctx.Value(socketKey{}).(*heldSocket); ok && held.get() != nil {
		return held
	}
	return nil
}

// initSocket authenticates a socket by its first message and from then on closes it
// when the token ends.
func (h *Handler) initSocket(
	ctx context.Context, payload gqltransport.InitPayload,
) (context.Context, *gqltransport.InitPayload, error) {
	forbidden := gqltransport.WithWebsocketCloseCode(gqltransport.AppendCloseReason(ctx, "Forbidden"), closeForbidden)
	bearer, ok := bearerOf(text(payload, "authorization"))
	if !ok {
		return forbidden, nil, errors.New(`connection_init needs {"authorization": "Bearer TOKEN"}`)
	}
	if language := text(payload, "acceptLanguage"); language != "" {
		ctx = h.cfg.Prepare(ctx, language)
	}
	ctx, err := h.cfg.Authenticate(ctx, bearer)
	if err != nil {
		return forbidden, nil, errors.New("the token is not valid")
	}
	held, ok := ctx.Value(socketKey{}).(*heldSocket)
	if !ok {
		return ctx, nil, nil
	}
	ended, stop := h.cfg.Watch(ctx)
	done := make(chan struct{})
	held.mu.Lock()
	held.stop = sync.OnceFunc(func() { stop(); close(done) })
	held.mu.Unlock()
	go func() {
		select {
		case <-done:
		case <-ended:
			held.hearOut(lastWords)
			held.get().closeWith(closeForbidden, "Forbidden")
		}
	}()
	return ctx, nil, nil
}

// text reads a string of the init payload; the key's case does not count in its
// first letter, since HTTP clients capitalise Authorization.
func text(payload gqltransport.InitPayload, key string) string {
	for _, k := range []string{key, string(key[0]-'a'+'A') + key[1:]} {
		if s, ok := payload[k].(string); ok {
			return s
		}
	}
	return ""
}
