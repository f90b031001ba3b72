package campaign

import (
	"context"
	"fmt"
	"strconv"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/connection"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// Archive makes a campaign read-only. Administrators alone may. While it has live
// connections it is refused with CONFLICT and their count; of archiving and connecting
// at the same moment one succeeds. Archived already, it is CONFLICT like every other
// mutation in it.
func (s *Service) Archive(ctx context.Context, id causeway.ID) error {
	return s.administer(ctx, id, func(tx *store.Tx, camp *ent.Campaign) error {
		if camp.ArchivedAt != nil {
			return causeway.FailWith(causeway.Conflict, causeway.ReasonArchived).At("id")
		}
		live, err := tx.Connection.Query().
			Where(connection.CampaignID(id), connection.DisconnectedAtIsNil()).
			Count(ctx)
		if err != nil {
			return err
		}
		if live > 0 {
			return causeway.FailWith(causeway.Conflict, causeway.ReasonLiveConnections).
				At("id").With("count", strconv.Itoa(live))
		}
		if err := tx.Campaign.UpdateOneID(id).SetArchivedAt(s.clock.Now()).Exec(ctx); err != nil {
			return err
		}
		return s.record(tx, "archiveCampaign", id, id, nil)
	})
}

// Unarchive makes a campaign writable again; it is no error if it is. Administrators
// alone may.
func (s *Service) Unarchive(ctx context.Context, id causeway.ID) error {
	return s.administer(ctx, id, func(tx *store.Tx, camp *ent.Campaign) error {
		if camp.ArchivedAt == nil {
			return nil
		}
		if err := tx.Campaign.UpdateOneID(id).ClearArchivedAt().Exec(ctx); err != nil {
			return err
		}
		return s.record(tx, "unarchiveCampaign", id, id, nil)
	})
}

// administer runs fn in a transaction, for administrators, with the campaign's row
// locked against everybody who holds it writable.
func (s *Service) administer(ctx context.Context, id causeway.ID, fn func(tx *store.Tx, camp *ent.Campaign) error) error {
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := auth.RoleIn(ctx, tx.Client(), id, "id"); err != nil {
			return err
		}
		if err := auth.Admin(ctx); err != nil {
			return err
		}
		query := tx.Campaign.Query().Where(campaign.ID(id))
		if tx.Dialect() == dialect.Postgres {
			query.ForUpdate()
		}
		camp, err := query.Only(ctx)
		if err != nil {
			return err
		}
		return fn(tx, camp)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", id, err)
	}
	return nil
}
