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
	status  int  // of what is refused
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

// WriteHeader writes the status. A request that is refused whole has its own under
// application/graphql-response+json; under application/json, whose clients look for
// errors in the body, one without a viewer is answered 200.
func (w *responseWriter) WriteHeader(status int) {
	switch {
	case w.refused && w.Header().Get("Content-Type") == "application/graphql-response+json":
		status = w.status
	case w.refused && w.status == http.StatusUnauthorized:
		status = http.StatusOK
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

// CreateOperationContext reads the request and finds out whether it may be executed.
func (e refusing) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		e.out.refused = true
		if e.out.status == 0 {
			e.out.status = http.StatusBadRequest
		}
	}
	return op, errs
}

// DispatchError writes errors instead of a result.
func (e refusing) DispatchError(ctx context.Context, list gqlerror.List) *graphql.Response {
	e.out.refused = true
	return e.GraphExecutor.DispatchError(ctx, list)
}
