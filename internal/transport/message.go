package transport

import (
	"bytes"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
)

// message is what a client sends, in either protocol.
type message struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

// take does what a message asks for, or closes the socket with what is wrong with it.
func (s *session) take(text []byte) {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		s.close(closeBadMessage, "Invalid message received")
		return
	}
	bad := ""
	if s.old {
		bad = s.takeOld(m)
	} else {
		bad = s.takeNew(m)
	}
	if bad != "" {
		s.close(closeBadMessage, "Invalid message received: "+bad)
	}
}

// What is wrong with a message.
const (
	badType      = "its type is unknown"
	badPayload   = "the payload must be an object"
	badID        = "a non-empty id is needed"
	badQuery     = "the payload needs a query"
	badVariables = "variables and extensions must be objects"
)

func (s *session) takeNew(m message) string {
	switch m.Type {
	case typeInit:
		return s.takeInit(m)
	case typePing:
		if !isObject(m.Payload) {
			return badPayload
		}
		s.send("", typePong, withoutNull(m.Payload))
	case typePong:
		if !isObject(m.Payload) {
			return badPayload
		}
	case typeSubscribe:
		return s.takeSubscribe(m)
	case typeComplete:
		if m.ID == "" {
			return badID
		}
		s.stop(m.ID)
	default:
		return badType
	}
	return ""
}

func (s *session) takeOld(m message) string {
	switch m.Type {
	case typeInit:
		return s.takeInit(m)
	case oldStart:
		return s.takeSubscribe(m)
	case oldStop:
		s.stop(m.ID)
	case oldTerminate:
		s.close(websocket.CloseNormalClosure, "")
	default:
		return badType
	}
	return ""
}

func (s *session) takeInit(m message) string {
	s.mu.Lock()
	second := s.greeted
	s.greeted = true
	s.mu.Unlock()
	if second {
		s.close(closeSecondInit, "Too many initialisation requests")
		return ""
	}
	if !isObject(m.Payload) {
		return badPayload
	}
	s.init(m.Payload)
	return ""
}

func (s *session) takeSubscribe(m message) string {
	if m.ID == "" {
		return badID
	}
	params, bad := paramsOf(m.Payload)
	if bad != "" {
		return bad
	}
	if !s.ready {
		s.close(closeUnauthorized, "Unauthorized")
		return ""
	}
	s.begin(m.ID, params)
	return ""
}

// stop ends an operation because the client wants no more of it.
func (s *session) stop(id string) {
	s.mu.Lock()
	op := s.operations[id]
	s.mu.Unlock()
	if op != nil {
		op.stop()
	}
}

// paramsOf reads what an operation is asked with. A document may be left out where it
// is persisted.
func paramsOf(payload json.RawMessage) (params *graphql.RawParams, bad string) {
	var raw struct {
		Query         *string         `json:"query"`
		OperationName *string         `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
		Extensions    json.RawMessage `json:"extensions"`
	}
	if len(payload) == 0 || !isObject(payload) || json.Unmarshal(payload, &raw) != nil {
		return nil, badQuery
	}
	if !isObject(raw.Variables) || !isObject(raw.Extensions) {
		return nil, badVariables
	}
	params = &graphql.RawParams{}
	if raw.OperationName != nil {
		params.OperationName = *raw.OperationName
	}
	if err := readNumbers(raw.Variables, &params.Variables); err != nil {
		return nil, badVariables
	}
	if err := readNumbers(raw.Extensions, &params.Extensions); err != nil {
		return nil, badVariables
	}
	if raw.Query != nil {
		params.Query = *raw.Query
	} else if params.Extensions["persistedQuery"] == nil {
		return nil, badQuery
	}
	return params, ""
}

// readNumbers decodes an object and keeps its numbers as they are written.
func readNumbers(raw json.RawMessage, into *map[string]any) error {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// isObject tells whether a payload is an object, null or absent.
func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) == 0 || raw[0] == '{' || raw[0] == 'n'
}

func withoutNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
