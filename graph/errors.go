package graph

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"causeway"
	"causeway/internal/feed"
	"causeway/internal/transport"
)

// Codes of gqlgen and of the transport, and ours for the same. Clients of automatic
// persisted queries know theirs by its name.
var requestErrorCodes = map[any]causeway.Code{
	errcode.ValidationFailed:             causeway.BadUserInput,
	errcode.ParseFailed:                  causeway.BadUserInput,
	transport.CodeTooComplex:             causeway.TooComplex,
	transport.CodeRateLimited:            causeway.RateLimited,
	transport.CodePersistedQueryNotFound: transport.CodePersistedQueryNotFound,
	string(causeway.BadUserInput):        causeway.BadUserInput,
	string(causeway.Unauthenticated):     causeway.Unauthenticated,
}

// PresentError decides how an error looks to a client: a code, and words that tell
// nothing of the inside. An error without a code is logged with the request id that
// the client gets instead.
func (r *Resolver) PresentError(ctx context.Context, err error) *gqlerror.Error {
	var located *gqlerror.Error
	if !errors.As(err, &located) {
		located = gqlerror.WrapPath(graphql.GetPath(ctx), err)
	}
	if code, ok := requestErrorCodes[located.Extensions["code"]]; ok {
		return coded(located, located.Message, code)
	}
	if e, ok := errors.AsType[*causeway.Error](err); ok && e.Code != causeway.Internal {
		shown := coded(located, r.Problems.Text(language(ctx), e.Problem).Message, e.Code)
		if overrun, ok := errors.AsType[*feed.Overrun](err); ok {
			shown.Extensions["cursor"] = cursorText(feed.Cursor(overrun.Campaign, overrun.Last))
		}
		return shown
	}
	if errors.Is(err, causeway.Fail(causeway.BadUserInput)) {
		return coded(located, innermost(err).Error(), causeway.BadUserInput)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return coded(located, "The request was ended before it was answered.", causeway.Internal)
	}
	return r.internal(ctx, located, err)
}

func (r *Resolver) internal(ctx context.Context, located *gqlerror.Error, err error) *gqlerror.Error {
	id := rand.Text()
	r.Log.ErrorContext(ctx, "request failed", "request", id, "path", located.Path.String(), "error", err)
	message := r.Problems.Text(language(ctx), causeway.Problem{Code: causeway.Internal}).Message
	shown := coded(located, message, causeway.Internal)
	shown.Extensions["requestId"] = id
	return shown
}

// Recover makes a panic of a resolver an internal error of its field. What was
// panicked with can hold anything, so only its type is logged.
func (r *Resolver) Recover(ctx context.Context, panicked any) error {
	r.Log.ErrorContext(ctx, "resolver panicked", "panic", fmt.Sprintf("%T", panicked), "stack", string(debug.Stack()))
	return errors.New("a resolver panicked")
}

// Unauthenticated is the error of an operation that needs a viewer and has none.
func (r *Resolver) Unauthenticated(ctx context.Context) *gqlerror.Error {
	return r.PresentError(ctx, causeway.Fail(causeway.Unauthenticated))
}

// coded is a new error with nothing of the old one but where it happened.
func coded(located *gqlerror.Error, message string, code causeway.Code) *gqlerror.Error {
	return &gqlerror.Error{
		Message:    message,
		Path:       located.Path,
		Locations:  located.Locations,
		Extensions: map[string]any{"code": string(code)},
	}
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
