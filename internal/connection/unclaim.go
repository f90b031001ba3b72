package connection

import (
	"bytes"
	"context"
	"fmt"

	"causeway/ent"
	"causeway/internal/store"
)

// unclaim takes back what claim did, because the platform refused: a new row goes, a
// revived one becomes what it was, one that was to be authorised again was not
// touched. A row that is somebody else's by now stays.
func (s *Service) unclaim(ctx context.Context, c *claim) error {
	if c.again {
		return nil
	}
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		row, err := lock(ctx, tx, c.id)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(sealed(row.SealedToken), c.token) {
			return nil
		}
		if c.was == nil {
			return tx.Connection.DeleteOne(row).Exec(ctx)
		}
		return restore(tx.Connection.UpdateOne(row), c.was).Exec(ctx)
	})
	if err != nil {
		return fmt.Errorf("take back the connecting of %s: %w", c.id, err)
	}
	s.changed(c.id)
	return nil
}

// restore undoes revive, column by column. What was disconnected had no secrets, no
// registration and no next check.
func restore(update *ent.ConnectionUpdateOne, was *ent.Connection) *ent.ConnectionUpdateOne {
	update.
		SetStatus(was.Status).
		SetTokenValid(was.TokenValid).
		SetDelivery(was.Delivery).
		SetWebhookStatus(was.WebhookStatus).
		SetPollOffset(was.PollOffset).
		SetNillableDisconnectedAt(was.DisconnectedAt).
		ClearSealedToken().
		ClearSealedWebhookSecret().
		ClearSealedUserToken().
		ClearSealedAppSecret().
		ClearSealedVerifyToken().
		ClearRegisteredAt().
		ClearNextCheckAt().
		ClearLeasedUntil()
	setProblem(update, was.Problem)
	return update
}
