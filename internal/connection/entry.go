package connection

import (
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/queue"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// checkEntry refuses a queue that is not the campaign's (NOT_FOUND) and a person who may
// be given no work there (INVALID_INPUT). Both stay so until tx ends. Nil is not given.
// Lock the connection afterwards.
func checkEntry(tx *store.Tx, campaign causeway.ID, into, to *causeway.ID) error {
	if into != nil {
		query := tx.Queue.Query().Where(queue.ID(*into), queue.CampaignID(campaign))
		if tx.Dialect() == dialect.Postgres {
			query.ForShare(entsql.WithLockClause("FOR KEY SHARE"))
		}
		_, err := query.Only(tx.Context())
		if ent.IsNotFound(err) {
			return causeway.Missing("input", "queueId")
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", *into, err)
		}
	}
	if to == nil {
		return nil
	}
	staff, err := auth.LockStaff(tx, []causeway.ID{*to}, []causeway.ID{campaign})
	if err != nil {
		return err
	}
	if !staff.MayWork(campaign, *to) {
		return causeway.Invalid(causeway.ReasonNotMember, "input", "assigneeId")
	}
	return nil
}
