package transport

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Protocols of a WebSocket, the preferred one first.
const (
	protocol    = "graphql-transport-ws"
	oldProtocol = "graphql-ws" // of the package subscriptions-transport-ws
)

// Close codes of graphql-transport-ws. Its clients connect again after 1001, 1005 and
// 1006 and give up after these; after 1000 they take the subscription for complete.
const (
	closeBadMessage   = 4400
	closeUnauthorized = 4401 // an operation before connection_init
	closeForbidden    = 4403
	closeBadProtocol  = 4406
	closeInitTimeout  = 4408
	closeSameID       = 4409
	closeSecondInit   = 4429
)

// sockets are the open WebSockets.
type sockets struct {
	handler *Handler
	limit   SocketLimits
	buffers sync.Pool // for gorilla, which writes only to who breaks RFC 6455

	mu      sync.Mutex
	open    map[*session]struct{}
	looking bool // lookAfter runs
	closed  bool
	stop    chan struct{}
	running sync.WaitGroup // sessions, and the goroutine that looks after them
}

func newSockets(h *Handler) *sockets {
	return &sockets{handler: h, limit: h.cfg.Sockets, open: map[*session]struct{}{}, stop: make(chan struct{})}
}

// serve upgrades a request and serves the socket in a goroutine of its own: the
// handler's has a stack that has grown. The request's context has been prepared, and
// foreign origins have been refused.
func (s *sockets) serve(w http.ResponseWriter, r *http.Request) {
	offered := websocket.Subprotocols(r)
	chosen := ""
	for _, p := range []string{protocol, oldProtocol} {
		if slices.Contains(offered, p) {
			chosen = p
			break
		}
	}
	header := http.Header{}
	if chosen != "" {
		header.Set("Sec-WebSocket-Protocol", chosen)
	}
	upgrader := websocket.Upgrader{
		CheckOrigin:     func(*http.Request) bool { return true }, // ServeHTTP did
		ReadBufferSize:  1024,
		WriteBufferPool: &s.buffers,
	}
	conn, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		return // the upgrader has answered
	}
	conn.SetReadLimit(s.limit.Message)
	ses := newSession(s, conn, context.WithoutCancel(r.Context()), chosen == oldProtocol)
	if !s.add(ses) {
		ses.close(websocket.CloseGoingAway, "the server is stopping")
		ses.read()
		return
	}
	if chosen == "" {
		ses.close(closeBadProtocol, "Subprotocol not acceptable")
	}
	go func() {
		defer s.running.Done()
		ses.read()
	}()
}

// add counts a session as running, unless the server stops.
func (s *sockets) add(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if !s.looking {
		s.looking = true
		s.running.Go(s.lookAfter)
	}
	s.open[ses] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *sockets) remove(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, ses)
}

func (s *sockets) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*session, 0, len(s.open))
	for ses := range s.open {
		open = append(open, ses)
	}
	return open
}

// lookAfter pings all sockets and ends those that are too late, for as long as there
// are any: one goroutine instead of timers for each.
func (s *sockets) lookAfter() {
	every := min(max(min(s.limit.Init, s.limit.Ping)/4, 5*time.Millisecond), time.Second)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			for _, ses := range s.all() {
				ses.look(now)
			}
		}
		if s.nobody() {
			return
		}
	}
}

// nobody tells whether lookAfter may end; the next socket starts it again.
func (s *sockets) nobody() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looking = len(s.open) > 0
	return !s.looking
}

// close tells every socket that the server goes away, refuses new ones, and returns
// when all are closed. One that reads nothing does not keep the others waiting.
func (s *sockets) close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	for _, ses := range s.all() {
		ses.close(websocket.CloseGoingAway, "the server is stopping")
	}
	s.running.Wait()
}
