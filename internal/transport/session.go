package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// session is one socket. One goroutine reads it; operations write to it from theirs,
// through its writer. Its lock is held while nothing else is called.
type session struct {
	sockets *sockets
	conn    *websocket.Conn
	writer  *writer
	old     bool // speaks the older protocol
	opened  time.Time
	heard   atomic.Int64 // when the client last said anything, Unix nanoseconds
	pinged  time.Time    // only sockets.lookAfter uses it

	// Only the reading goroutine uses these.
	ctx     context.Context
	ready   bool // connection_init was accepted
	cancel  context.CancelFunc
	unwatch func()
	gone    func()

	mu         sync.Mutex
	greeted    bool // connection_init came
	closing    bool // the close frame was written; nothing follows
	operations map[string]*operation
}

func newSession(s *sockets, conn *websocket.Conn, ctx context.Context, old bool) *session {
	ses := &session{sockets: s, conn: conn, old: old, opened: time.Now()}
	ses.writer = newWriter(conn.NetConn(), s.limit)
	ses.ctx, ses.cancel = context.WithCancel(ctx)
	ses.hear()
	conn.SetPingHandler(func(payload string) error {
		ses.hear()
		ses.writer.must(controlFrame(websocket.PongMessage, []byte(payload)))
		return nil
	})
	conn.SetPongHandler(func(string) error {
		ses.hear()
		return nil
	})
	conn.SetCloseHandler(func(code int, _ string) error {
		ses.writer.last(controlFrame(websocket.CloseMessage, websocket.FormatCloseMessage(code, "")))
		return nil
	})
	return ses
}

func (s *session) hear() { s.heard.Store(time.Now().UnixNano()) }

// read serves the socket until it is closed.
func (s *session) read() {
	defer s.end()
	for {
		kind, r, err := s.conn.NextReader()
		if err != nil {
			return
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return
		}
		s.hear()
		if s.isClosing() {
			continue // until the client's close, or the deadline
		}
		if kind != websocket.TextMessage {
			s.close(closeBadMessage, "Only text messages are understood")
			continue
		}
		// One that asks for answers and reads none is not asked for more.
		if !s.writer.room(s.ctx) {
			continue
		}
		s.take(text)
	}
}

// end lets go of everything.
func (s *session) end() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.cancel()
	if s.unwatch != nil {
		s.unwatch()
	}
	if s.gone != nil {
		s.gone()
	}
	s.stopAll()
	_ = s.conn.Close()
	s.sockets.remove(s)
}

func (s *session) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// close says goodbye, once, and ends what runs. The reader goes on until the client
// has answered, or for as long as that may take: a connection closed at once may lose
// the goodbye.
func (s *session) close(code int, reason string) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return
	}
	s.closing = true
	s.mu.Unlock()
	s.writer.last(controlFrame(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)))
	_ = s.conn.SetReadDeadline(time.Now().Add(s.sockets.limit.Close))
	s.cancel()
	s.stopAll()
}

func (s *session) stopAll() {
	for _, op := range s.running() {
		op.stop()
	}
}

func (s *session) running() []*operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	ops := make([]*operation, 0, len(s.operations))
	for _, op := range s.operations {
		ops = append(ops, op)
	}
	return ops
}

// look pings the client when it is time, and ends a socket that is too late.
func (s *session) look(now time.Time) {
	limit := s.sockets.limit
	s.mu.Lock()
	greeted, closing := s.greeted, s.closing
	s.mu.Unlock()
	if closing {
		return
	}
	if !greeted {
		if now.Sub(s.opened) >= limit.Init {
			s.close(closeInitTimeout, "Connection initialisation timeout")
		}
		return
	}
	if now.Sub(time.Unix(0, s.heard.Load())) >= 3*limit.Ping {
		_ = s.conn.Close() // it answered neither of two pings
		return
	}
	if now.Sub(s.pinged) < limit.Ping {
		return
	}
	s.pinged = now
	s.writer.must(controlFrame(websocket.PingMessage, nil))
	if s.old {
		s.send("", oldKeepAlive, nil)
	}
}

func (s *session) send(id, kind string, payload []byte) {
	s.writer.must(textFrame(id, kind, payload))
}

// init authenticates the socket by its first message, and from then on closes it when
// the token ends.
func (s *session) init(payload json.RawMessage) {
	var said initPayload
	if len(payload) > 0 {
		_ = json.Unmarshal(payload, &said) // an object or null: its kind was looked at
	}
	cfg := s.sockets.handler.cfg
	ctx := s.ctx
	bearer, ok := bearerOf(said.text("authorization"))
	if !ok {
		s.refuse(`connection_init needs {"authorization": "Bearer TOKEN"}`)
		return
	}
	if language := said.text("acceptLanguage"); language != "" {
		ctx = cfg.Prepare(ctx, language)
	}
	ctx, err := s.sockets.handler.signIn(ctx, bearer)
	if errors.Is(err, ErrUnavailable) {
		s.close(websocket.CloseTryAgainLater, "try again later")
		return
	}
	if err != nil {
		s.refuse("the token is not valid")
		return
	}
	s.ctx, s.ready = ctx, true
	if cfg.Watch != nil {
		s.unwatch = cfg.Watch(ctx, func(error) { s.forbid(ctx) })
	}
	if cfg.Present != nil {
		s.gone = cfg.Present(ctx)
	}
	s.send("", typeAck, nil)
	if s.old {
		s.send("", oldKeepAlive, nil)
	}
}

func (s *session) refuse(why string) {
	if s.old {
		payload, _ := json.Marshal(map[string]string{"message": why})
		s.send("", oldRefused, payload)
	}
	s.close(closeForbidden, "Forbidden")
}

// forbid ends a socket whose token is no longer good; its operations say so first.
func (s *session) forbid(ctx context.Context) {
	for _, op := range s.running() {
		op.end(gqlerror.List{s.sockets.handler.cfg.Unauthenticated(ctx)})
	}
	s.close(closeForbidden, "Forbidden")
}

// begin starts an operation under an id.
func (s *session) begin(id string, params *graphql.RawParams) {
	s.mu.Lock()
	before, taken := s.operations[id]
	full := len(s.operations) >= s.sockets.limit.Operations
	s.mu.Unlock()
	switch {
	case taken && s.old:
		before.stop() // the older protocol has it so
	case taken:
		s.close(closeSameID, "Subscriber for "+shortID(id)+" already exists")
		return
	case full:
		s.sendErrors(id, gqlerror.List{requestError(CodeRateLimited, "the socket has %d operations already, which is the most", s.sockets.limit.Operations)})
		return
	}
	op := &operation{session: s, id: id}
	op.ctx, op.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	if s.operations == nil {
		s.operations = map[string]*operation{}
	}
	s.operations[id] = op
	closing := s.closing
	s.mu.Unlock()
	if closing {
		op.stop()
		return
	}
	go op.run(params)
}

// forget frees an operation's id.
func (s *session) forget(op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[op.id] == op {
		delete(s.operations, op.id)
	}
}

// sendErrors says that an operation is over with errors: a list in the new protocol,
// one object in the older one.
func (s *session) sendErrors(id string, errs gqlerror.List) {
	var payload []byte
	if s.old {
		payload, _ = json.Marshal(errs[0])
	} else {
		payload, _ = json.Marshal(errs)
	}
	s.send(id, typeError, payload)
}

// shortID keeps a close reason within its 123 bytes.
func shortID(id string) string { return id[:min(len(id), 64)] }

// initPayload is what a client says of itself at first.
type initPayload map[string]any

// text reads a string; the key's case does not count in its first
// letter, since HTTP clients capitalise Authorization.
func (p initPayload) text(key string) string {
	for _, k := range []string{key, string(key[0]-'a'+'A') + key[1:]} {
		if s, ok := p[k].(string); ok {
			return s
		}
	}
	return ""
}
