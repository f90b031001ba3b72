package transport

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	gqltransport "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// ending is how a subscription's stream ends, where it does not simply end.
type ending struct {
	mu  sync.Mutex
	err *gqlerror.Error
}

type endingKey struct{}

// EndWith says with which error a subscription ends, before its resolver closes the
// channel: an error message on a socket, a last event with errors over SSE.
func EndWith(ctx context.Context, err *gqlerror.Error) {
	if e, ok := ctx.Value(endingKey{}).(*ending); ok {
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
	}
}

func (e *ending) take() *gqlerror.Error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.err
	e.err = nil
	return err
}

// endStreams delivers what EndWith said when a stream ends.
func (h *Handler) endStreams(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	socket := socketOf(ctx)
	if socket != nil {
		socket.began(ctx)
	}
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	if socket == nil {
		ctx = h.untilClosed(ctx)
	}
	e := &ending{}
	responses := next(context.WithValue(ctx, endingKey{}, e))
	return func(ctx context.Context) *graphql.Response {
		if response := responses(ctx); response != nil {
			return response
		}
		err := e.take()
		if err == nil {
			return nil
		}
		if socket != nil {
			gqltransport.AddSubscriptionError(ctx, err)
			return nil
		}
		return &graphql.Response{Errors: gqlerror.List{err}}
	}
}

// untilClosed ends a stream over SSE when the handler closes. A "complete" would tell
// the client that nothing more is to come; a stream that breaks off it takes up again.
func (h *Handler) untilClosed(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	forget := context.AfterFunc(h.open, func() {
		mute(ctx)
		cancel()
	})
	context.AfterFunc(ctx, func() { forget() })
	return ctx
}

// mute drops everything that is still to be written to a response.
func mute(ctx context.Context) {
	if w, ok := ctx.Value(responseKey{}).(*responseWriter); ok {
		w.muted.Store(true)
	}
}
