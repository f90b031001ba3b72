package intake

import (
	"context"

	"causeway/ent"
	"causeway/ent/intercept"
	"causeway/internal/auth"
)

// Guard makes client show viewers no logs but those of their campaigns. Reads without
// a viewer are refused.
func Guard(client *ent.Client) {
	client.WebhookLog.Intercept(intercept.TraverseWebhookLog(func(ctx context.Context, q *ent.WebhookLogQuery) error {
		among, err := auth.Scope(ctx)
		if err != nil || among == nil {
			return err
		}
		q.Where(among)
		return nil
	}))
}
