package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// bare broadcasts to sockets and does nothing else.
type bare struct {
	joined bool

	mu      sync.Mutex
	sockets map[*bareSocket]struct{}
}

type bareSocket struct {
	conn     *websocket.Conn
	prepared chan *websocket.PreparedMessage
	frames   chan []byte // where they are joined
}

func newBare(joined bool) *service {
	b := &bare{joined: joined, sockets: map[*bareSocket]struct{}{}}
	return &service{graphql: b, emit: b.emit, storing: func() time.Duration { return 0 }, close: func() error { return nil }}
}

// payload is a frame's text as large as this program's.
func payload(number int) []byte {
	return fmt.Appendf(nil, `{"id":"1","type":"next","payload":{"data":{"messageAdded":{"cursor":"gqFp2SVjYW1wXzAxa2FreHh4eHh4eHh4eHh4eHh4eHh4eHh4eHihdqMxMjM","at":"2026-11-21T11:00:00.000Z","change":"ADDED","message":{"id":"msg_01kakxxxxxxxxxxxxxxxxxxxxx","text":"%s"}}}}}`, text(number))
}

func (b *bare) emit(_ context.Context, first, n int) (time.Time, error) {
	stored := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range n {
		body := payload(first + i)
		if b.joined {
			frame := binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(body)))
			frame = append(frame, body...)
			for s := range b.sockets {
				s.frames <- frame
			}
			continue
		}
		message, err := websocket.NewPreparedMessage(websocket.TextMessage, body)
		if err != nil {
			return stored, err
		}
		for s := range b.sockets {
			s.prepared <- message
		}
	}
	return stored, nil
}

// ServeHTTP serves one socket: the handshake of the protocol, then events.
func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"graphql-transport-ws"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s := &bareSocket{conn: conn, prepared: make(chan *websocket.PreparedMessage, 64), frames: make(chan []byte, 64)}
	defer func() { _ = conn.Close() }()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_ack"}`)); err != nil {
		return
	}
	write := s.writePrepared
	if b.joined {
		write = s.writeJoined
	}
	go write()
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			break
		}
		if bytes.Contains(message, []byte("subscribe")) {
			b.mu.Lock()
			b.sockets[s] = struct{}{}
			b.mu.Unlock()
		}
	}
	b.mu.Lock()
	delete(b.sockets, s)
	b.mu.Unlock()
	close(s.prepared)
	close(s.frames)
}

func (s *bareSocket) writePrepared() {
	for message := range s.prepared {
		if s.conn.WritePreparedMessage(message) != nil {
			return
		}
	}
}

// writeJoined writes all that waits at once.
func (s *bareSocket) writeJoined() {
	var all []byte
	for frame := range s.frames {
		all = append(all[:0], frame...)
		for more := true; more; {
			select {
			case next, ok := <-s.frames:
				more = ok
				all = append(all, next...)
			default:
				more = false
			}
		}
		if _, err := s.conn.NetConn().Write(all); err != nil {
			return
		}
	}
}
