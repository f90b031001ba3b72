package feed

import (
	"context"

	entsql "entgo.io/ent/dialect/sql"

	"causeway/ent"
	"causeway/ent/intercept"
)

// Guard limits what viewers read of events through client to the campaigns that
// scope allows. A scope without a predicate allows all; its error ends the read.
func Guard(client *ent.Client, scope func(ctx context.Context) (func(*entsql.Selector), error)) {
	guard := intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		only, err := scope(ctx)
		if err != nil || only == nil {
			return err
		}
		q.WhereP(only)
		return nil
	})
	client.FeedEvent.Intercept(guard)
	client.FeedTrim.Intercept(guard)
}
