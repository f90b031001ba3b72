package connection

import (
	"bytes"
	"context"
	"fmt"
	"time"

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
		if c.changed {
			return putBack(tx.Connection.UpdateOne(row), c.was, s.clock.Now()).Exec(ctx)
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
		ClearRegisteredAt().
		ClearNextCheckAt().
		ClearLeasedUntil()
	setProblem(update, was.Problem)
	return update
}

// putBack undoes replace: the account, its secrets and its state. The next check looks
// at it at once, and registers again what the platform let go of meanwhile.
func putBack(update *ent.ConnectionUpdateOne, was *ent.Connection, now time.Time) *ent.ConnectionUpdateOne {
	update.
		SetAccountID(was.AccountID).
		SetProfile(was.Profile).
		SetName(was.Name).
		SetStatus(was.Status).
		SetWarnings(was.Warnings).
		SetTokenValid(was.TokenValid).
		SetWebhookStatus(was.WebhookStatus).
		SetPollOffset(was.PollOffset).
		SetPlatformPending(was.PlatformPending).
		SetNillableRegisteredAt(was.RegisteredAt).
		SetNillableTokenExpiresAt(was.TokenExpiresAt).
		SetNillableTokenRefreshAt(was.TokenRefreshAt).
		SetNillableDataAccessExpiresAt(was.DataAccessExpiresAt).
		SetPermissions(was.Permissions).
		SetSubscribedFields(was.SubscribedFields).
		SetNillableAppID(was.AppID).
		SetNillableAuthorizerID(was.AuthorizerID).
		SetNextCheckAt(now).
		ClearLeasedUntil()
	setProblem(update, was.Problem)
	if was.WebhookProblem != nil {
		update.SetWebhookProblem(was.WebhookProblem)
	}
	for _, secret := range []struct {
		was   *[]byte
		set   func([]byte) *ent.ConnectionUpdateOne
		clear func() *ent.ConnectionUpdateOne
	}{
		{was.SealedToken, update.SetSealedToken, update.ClearSealedToken},
		{was.SealedWebhookSecret, update.SetSealedWebhookSecret, update.ClearSealedWebhookSecret},
		{was.SealedUserToken, update.SetSealedUserToken, update.ClearSealedUserToken},
		{was.SealedAppSecret, update.SetSealedAppSecret, update.ClearSealedAppSecret},
	} {
		if sealed(secret.was) == nil {
			secret.clear()
		} else {
			secret.set(sealed(secret.was))
		}
	}
	return update
}
