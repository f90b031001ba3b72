package transport

import (
	"encoding/binary"
	"encoding/json"

	"github.com/gorilla/websocket"
)

// Names of messages: those of graphql-transport-ws, and of the older graphql-ws where
// they differ.
const (
	typeInit      = "connection_init"
	typeAck       = "connection_ack"
	typePing      = "ping"
	typePong      = "pong"
	typeSubscribe = "subscribe"
	typeNext      = "next"
	typeError     = "error"
	typeComplete  = "complete"

	oldStart     = "start"
	oldStop      = "stop"
	oldTerminate = "connection_terminate"
	oldData      = "data"
	oldKeepAlive = "ka"
	oldRefused   = "connection_error"
)

// frames are WebSocket frames, one after the other, as they go out on the wire, made
// for the operations of one id and protocol.
type frames struct {
	id    string
	kind  string
	bytes []byte
	ends  []int // of each frame in bytes
}

// framesOf are a batch's frames for an operation. They are made anew only if the last
// ones were for another id: clients that number their operations get the same bytes.
// They are good until the next call.
func (b *batch) framesOf(id, kind string) *frames {
	if len(b.made.ends) == len(b.events) && b.made.id == id && b.made.kind == kind {
		return &b.made
	}
	head := messageHead(id, kind)
	b.made = frames{id: id, kind: kind, bytes: b.made.bytes[:0], ends: b.made.ends[:0]}
	for _, e := range b.events {
		b.made.bytes = appendHeader(b.made.bytes, websocket.TextMessage, len(head)+len(e.payload)+1)
		b.made.bytes = append(b.made.bytes, head...)
		b.made.bytes = append(b.made.bytes, e.payload...)
		b.made.bytes = append(b.made.bytes, '}')
		b.made.ends = append(b.made.ends, len(b.made.bytes))
	}
	return &b.made
}

// messageHead is a message up to its payload.
func messageHead(id, kind string) []byte {
	quoted, _ := json.Marshal(id) // a string always has JSON
	head := make([]byte, 0, len(quoted)+len(kind)+32)
	head = append(head, `{"id":`...)
	head = append(head, quoted...)
	head = append(head, `,"type":"`...)
	head = append(head, kind...)
	return append(head, `","payload":`...)
}

// textFrame is one message as a frame. The payload is JSON, or nothing.
func textFrame(id, kind string, payload []byte) []byte {
	m := struct {
		ID      string          `json:"id,omitempty"`
		Type    string          `json:"type"`
		Payload json.RawMessage `json:"payload,omitempty"`
	}{id, kind, payload}
	text, err := json.Marshal(m)
	if err != nil { // only a payload that is no JSON
		m.Payload = nil
		text, _ = json.Marshal(m)
	}
	return append(appendHeader(make([]byte, 0, len(text)+10), websocket.TextMessage, len(text)), text...)
}

// controlFrame is a ping, pong or close of at most 125 bytes.
func controlFrame(kind int, payload []byte) []byte {
	if len(payload) > 125 {
		payload = payload[:125]
	}
	return append(appendHeader(make([]byte, 0, len(payload)+2), kind, len(payload)), payload...)
}

// appendHeader is RFC 6455's header of a final, unmasked frame.
func appendHeader(b []byte, kind, length int) []byte {
	b = append(b, 0x80|byte(kind))
	switch {
	case length < 126:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
	}
}
