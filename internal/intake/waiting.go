package intake

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/webhooklog"
	"causeway/internal/store"
)

// Waiting tells how many stored updates of each connection are not processed yet. A
// connection without any is not in the answer. It does not ask who wants to know.
func Waiting(ctx context.Context, s *store.Store, connections []causeway.ID) (map[causeway.ID]int, error) {
	var counted []struct {
		ConnectionID causeway.ID `json:"connection_id"`
		Count        int         `json:"count"`
	}
	err := s.Reader().WebhookLog.Query().
		Where(webhooklog.ConnectionIDIn(connections...), webhooklog.StatusEQ(webhooklog.StatusPending)).
		GroupBy(webhooklog.FieldConnectionID).
		Aggregate(ent.Count()).
		Scan(ctx, &counted)
	if err != nil {
		return nil, fmt.Errorf("count waiting updates: %w", err)
	}
	waiting := make(map[causeway.ID]int, len(counted))
	for _, c := range counted {
		waiting[c.ConnectionID] = c.Count
	}
	return waiting, nil
}
