package transport

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// stream answers with events, one response each, by the GraphQL over SSE protocol in
// distinct connections mode: next, and complete when nothing follows. Request errors
// are events, too, since an EventSource sees nothing of a response that is not 200.
func (x *exchange) stream(op *graphql.OperationContext, errs gqlerror.List) {
	header := x.w.Header()
	header.Set("Content-Type", typeStream+"; charset=utf-8")
	header.Set("Cache-Control", "no-cache, no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would wait for more
	x.w.WriteHeader(http.StatusOK)
	// A comment tells the client at once that it is heard.
	if !x.send([]byte(":\n\n")) {
		return
	}
	events := newEventQueue(x.cfg.Sockets.QueueBytes, x.cfg.Sockets.QueueFrames)
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	switch {
	case len(errs) > 0:
		events.end(x.engine.refuse(ctx, op, errs).Errors)
	case isSubscription(op):
		field := rootField(op, x.cfg.Schema.Schema())
		x.resume(op, field)
		if field != nil && x.cfg.EventID != nil {
			events.id = func(position int64) string { return x.cfg.EventID(op, field, position) }
		}
		if x.cfg.Present != nil {
			defer x.cfg.Present(ctx)()
		}
		defer x.hub.subscribe(ctx, op, events)()
	default:
		x.single(ctx, op, events)
	}
	x.deliver(ctx, events)
}

// single runs a query or a mutation.
func (x *exchange) single(ctx context.Context, op *graphql.OperationContext, events *eventQueue) {
	responses, ctx := x.engine.run(ctx, op)
	response := responses(ctx)
	if response == nil {
		return
	}
	payload, err := encode(response)
	if err != nil {
		events.end(gqlerror.List{gqlerror.Errorf("the response could not be written as JSON")})
		return
	}
	events.push(&batch{events: []*event{{payload: payload}}})
	events.end(nil)
}

// deliver writes events as they come until the last one, and a comment now and then
// while there are none.
func (x *exchange) deliver(ctx context.Context, events *eventQueue) {
	silence := time.NewTicker(x.cfg.KeepAlive)
	defer silence.Stop()
	for {
		select {
		case <-events.wake:
			frames, ended := events.take()
			if len(frames) > 0 && !x.send(frames) || ended {
				return
			}
			silence.Reset(x.cfg.KeepAlive)
		case <-silence.C:
			if !x.send([]byte(":\n\n")) {
				return
			}
		case <-ctx.Done():
			return
		case <-x.closing:
			// Without complete: the client comes back to the server that follows.
			return
		}
	}
}

// send writes within the deadline, at which a client that reads nothing is cut off.
func (x *exchange) send(frames []byte) bool {
	_ = x.out.SetWriteDeadline(time.Now().Add(x.cfg.WriteDeadline))
	if _, err := x.w.Write(frames); err != nil {
		return false
	}
	if err := x.out.Flush(); err != nil {
		return false
	}
	_ = x.out.SetWriteDeadline(time.Time{})
	return true
}

// resume makes a subscription begin after the event whose id the client saw last.
func (x *exchange) resume(op *graphql.OperationContext, field *ast.Field) {
	last := x.r.Header.Get("Last-Event-ID")
	if last == "" || field == nil || field.Definition.Arguments.ForName(x.cfg.PositionArgument) == nil {
		return
	}
	argument := field.Arguments.ForName(x.cfg.PositionArgument)
	if argument == nil {
		argument = &ast.Argument{Name: x.cfg.PositionArgument, Position: field.Position}
		field.Arguments = append(field.Arguments, argument)
	}
	if argument.Value != nil && argument.Value.Kind == ast.Variable {
		op.Variables[argument.Value.Raw] = last
		return
	}
	argument.Value = &ast.Value{Kind: ast.StringValue, Raw: last, Position: field.Position}
}

// rootField is a subscription's only field at its root.
func rootField(op *graphql.OperationContext, schema *ast.Schema) *ast.Field {
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{schema.Subscription.Name})
	if len(fields) != 1 {
		return nil
	}
	return fields[0].Field
}

// eventQueue is what waits to be written to one event stream. It is bounded: what has
// no room is not taken.
type eventQueue struct {
	id   func(position int64) string
	wake chan struct{} // something is to be written

	mu        sync.Mutex
	frames    []byte
	count     int
	mostBytes int
	most      int
	ended     bool
	free      chan struct{} // closed when there is room again; nil if nobody waits
}

var _ sink = (*eventQueue)(nil)

func newEventQueue(bytes, frames int) *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1), mostBytes: bytes, most: frames}
}

// push takes events in order and returns how many there was room for.
func (q *eventQueue) push(b *batch) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, e := range b.events {
		if q.ended || e.payload == nil {
			continue
		}
		if q.behind() {
			q.ring()
			return i
		}
		id := ""
		if e.placed && q.id != nil {
			id = q.id(e.position)
		}
		q.frames = appendNext(q.frames, id, e.payload)
		q.count++
	}
	q.ring()
	return len(b.events)
}

// room waits until the reader is not behind.
func (q *eventQueue) room(ctx context.Context) bool {
	for {
		q.mu.Lock()
		if q.ended || !q.behind() {
			q.mu.Unlock()
			return true
		}
		if q.free == nil {
			q.free = make(chan struct{})
		}
		free := q.free
		q.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return false
		}
	}
}

// end makes the last events: the errors if there are any, and complete.
func (q *eventQueue) end(errs gqlerror.List) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return
	}
	q.ended = true
	if len(errs) > 0 {
		if payload, err := encode(&graphql.Response{Errors: errs}); err == nil {
			q.frames = appendNext(q.frames, "", payload)
		}
	}
	q.frames = append(q.frames, "event: complete\ndata:\n\n"...)
	q.ring()
}

// take hands over everything that waits.
func (q *eventQueue) take() (frames []byte, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	frames, q.frames, q.count = q.frames, nil, 0
	if q.free != nil {
		close(q.free)
		q.free = nil
	}
	return frames, q.ended
}

func (q *eventQueue) behind() bool { return q.count >= q.most || len(q.frames) >= q.mostBytes }

func (q *eventQueue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// appendNext adds an event with a response. A line break in JSON is only ever space
// between its parts, and would end the event's line.
func appendNext(to []byte, id string, payload []byte) []byte {
	to = append(to, "event: next\n"...)
	if id != "" && !bytes.ContainsAny([]byte(id), "\r\n\x00") {
		to = append(to, "id: "...)
		to = append(to, id...)
		to = append(to, '\n')
	}
	to = append(to, "data: "...)
	if bytes.ContainsAny(payload, "\r\n") {
		payload = bytes.Map(func(r rune) rune {
			if r == '\r' || r == '\n' {
				return ' '
			}
			return r
		}, payload)
	}
	to = append(to, payload...)
	return append(to, "\n\n"...)
}
