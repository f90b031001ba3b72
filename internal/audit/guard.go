package audit

import (
	"context"

	"causeway/ent"
	"causeway/ent/intercept"
	"causeway/internal/auth"
)

// Guard makes client show the entries of a campaign to those who manage it, and to
// nobody else. Reads without a viewer are Unauthenticated.
func Guard(client *ent.Client) {
	client.AuditEntry.Intercept(intercept.TraverseAuditEntry(func(ctx context.Context, q *ent.AuditEntryQuery) error {
		managed, err := auth.ManagedScope(ctx)
		if err == nil && managed != nil {
			q.Where(managed)
		}
		return err
	}))
}
