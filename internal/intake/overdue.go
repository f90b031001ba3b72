package intake

import (
	"context"
	"fmt"
	"time"

	"causeway/ent/webhooklog"
	"causeway/internal/store"
)

// Overdue tells whether a stored update should have been processed before a moment
// and was not: nobody processes, or not fast enough.
func Overdue(ctx context.Context, s *store.Store, before time.Time) (bool, error) {
	found, err := s.Reader().WebhookLog.Query().
		Where(webhooklog.StatusEQ(webhooklog.StatusPending), webhooklog.NextTryAtLT(before)).
		Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("look for overdue updates: %w", err)
	}
	return found, nil
}
