package auth

import (
	"context"

	"causeway/ent"
	"causeway/ent/intercept"
)

// Scoped is the interceptor that shows viewers of an entity with a campaign_id what
// is in their campaigns, and nothing without a viewer. Rooms register it for what
// they own.
func Scoped() ent.Interceptor {
	return intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		scope, err := Scope(ctx)
		if err != nil || scope == nil {
			return err
		}
		q.WhereP(scope)
		return nil
	})
}
