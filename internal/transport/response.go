package transport

import (
	"bytes"
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// responseWriter puts a deadline before every write, so that a client that reads
// nothing ends its own stream, and mends what gqlgen's transports do to requests
// that are refused whole.
type responseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int  // instead of gqlgen's, under application/graphql-response+json
	refused bool // the response is that of a request error: it has no data
	muted   atomic.Bool
}

type responseKey struct{}

func withResponse(ctx context.Context, w *responseWriter) context.Context {
	return context.WithValue(ctx, responseKey{}, w)
}

// refuse sets the status of a request that is refused whole.
func refuse(ctx context.Context, status int) {
	if w, ok := ctx.Value(responseKey{}).(*responseWriter); ok {
		w.status = status
	}
}

// WriteHeader writes the status, or the one set by refuse: 200 stays under
// application/json, whose clients look for errors in the body.
func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 && status != http.StatusOK {
		status = w.status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes within the deadline.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.muted.Load() {
		return len(p), nil
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(writeDeadline))
	if !w.refused {
		return w.ResponseWriter.Write(p)
	}
	without := p
	if body, ok := bytes.CutSuffix(p, []byte(`,"data":null}`)); ok {
		without = append(bytes.Clone(body), '}')
	}
	if _, err := w.ResponseWriter.Write(without); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush sends what was written.
func (w *responseWriter) Flush() { _ = w.control.Flush() }

// Unwrap lets http.ResponseController reach the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// withoutData makes a transport answer request errors without a data entry, as the
// GraphQL specification has it.
type withoutData struct{ graphql.Transport }

// Do serves the request.
func (t withoutData) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if out, ok := w.(*responseWriter); ok {
		exec = refusing{exec, out}
	}
	t.Transport.Do(w, r, exec)
}

// refusing notices that a request error is about to be written.
type refusing struct {
	graphql.GraphExecutor
	out *responseWriter
}

func (e refusing) DispatchError(ctx context.Context, list gqlerror.List) *graphql.Response {
	e.out.refused = true
	return e.GraphExecutor.DispatchError(ctx, list)
}
