package graph

import (
	"context"

	"causeway/internal/auth"
	"causeway/internal/problem"
)

type requestKey struct{}

// request is what a request brings besides its operation.
type request struct {
	acceptLanguage string
	address        string
}

// WithLanguage notes the languages a client asks for, as in Accept-Language. Empty
// leaves what was noted before.
func WithLanguage(ctx context.Context, acceptLanguage string) context.Context {
	r := requestOf(ctx)
	if acceptLanguage != "" {
		r.acceptLanguage = acceptLanguage
	}
	return context.WithValue(ctx, requestKey{}, r)
}

// WithAddress notes the network address a request came from.
func WithAddress(ctx context.Context, address string) context.Context {
	r := requestOf(ctx)
	r.address = address
	return context.WithValue(ctx, requestKey{}, r)
}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// language is what problems are told in: what the request asks for, else the
// viewer's own.
func language(ctx context.Context) string {
	own := ""
	if viewer, err := auth.From(ctx); err == nil {
		own = viewer.Language
	}
	return problem.Choose(requestOf(ctx).acceptLanguage, own)
}
