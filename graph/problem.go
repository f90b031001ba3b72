package graph

import (
	"context"
	"errors"

	"causeway"
	"causeway/graph/model"
)

// userErrors are what a person can fix or wait out, as a payload's userErrors; empty,
// never null, where there is no error. Any other error is returned as it is and
// becomes a top-level one.
func (r *Resolver) userErrors(ctx context.Context, err error) ([]*model.Problem, error) {
	if err == nil {
		return []*model.Problem{}, nil
	}
	e, ok := errors.AsType[*causeway.Error](err)
	if !ok || !model.ProblemCode(e.Code).IsValid() {
		return nil, err
	}
	r.Log.DebugContext(ctx, "mutation refused", "code", e.Code, "error", err)
	return []*model.Problem{r.problem(ctx, &e.Problem)}, nil
}

// problem puts a problem into the reader's words.
func (r *Resolver) problem(ctx context.Context, p *causeway.Problem) *model.Problem {
	if p == nil {
		return nil
	}
	text := r.Problems.Text(language(ctx), *p)
	at := p.OccurredAt
	if at.IsZero() {
		at = r.Clock.Now()
	}
	return &model.Problem{
		Code:            model.ProblemCode(p.Code),
		Message:         text.Message,
		Causes:          text.Causes,
		Solutions:       text.Solutions,
		Field:           p.Field,
		PlatformCode:    optional(p.PlatformCode),
		PlatformMessage: optional(p.PlatformMessage),
		Retryable:       p.Retryable,
		OccurredAt:      at,
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// deref is what a field holds; the zero value if it was left out.
func deref[T any](v *T) T {
	if v == nil {
		var none T
		return none
	}
	return *v
}
