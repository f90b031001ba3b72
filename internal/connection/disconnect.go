package connection

import (
	"context"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// farewell is how long the platform is given to take the webhook away. If it does
// not, it drops the webhook by itself: its key answers 410 from now on.
const farewell = 10 * time.Second

// Disconnect ends a connection of a campaign of which the viewer is a manager. Token
// and webhook secret are erased in the same commit, so that it works with a dead token
// and while the platform is down; the webhook is deleted afterwards, if the platform
// answers and it is still ours. What was received stays, and the bot is free for
// another campaign. A connection that is disconnected already is no error.
func (s *Service) Disconnect(ctx context.Context, id causeway.ID) error {
	row, err := s.managed(ctx, id, "connectionId")
	if err != nil {
		return err
	}
	done, err := s.turns.take(ctx, row.AccountID)
	if err != nil {
		return err
	}
	defer done()

	if row, err = s.store.Reader().Connection.Get(ctx, id); err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	e, lost := s.examiner(row)
	ended, err := s.end(ctx, id)
	if err != nil || !ended {
		return err
	}
	s.changed(id)
	s.pollers.end(id)
	s.pages.forget(id)
	s.log.InfoContext(ctx, "a connection was ended", "connection", id, "campaign", row.CampaignID)
	if lost != nil {
		s.log.WarnContext(ctx, "a webhook was left to itself", "connection", id, "error", lost)
		return nil
	}
	if row.Delivery == entconnection.DeliveryWebhook {
		s.leave(context.WithoutCancel(ctx), e)
	}
	return nil
}

// end marks the row and erases its secrets; false if that was done before.
func (s *Service) end(ctx context.Context, id causeway.ID) (ended bool, err error) {
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		ended = false
		row, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := auth.Writable(ctx, tx, row.CampaignID, "connectionId"); err != nil {
			return err
		}
		if row.DisconnectedAt != nil {
			return nil
		}
		ended = true
		if s.outbox != nil {
			if err := s.outbox.Disconnected(tx, row.ID); err != nil {
				return err
			}
		}
		if err := closeNotice(tx, row.ID, s.clock.Now()); err != nil {
			return err
		}
		s.tell(tx, row.CampaignID, row.ID)
		entry := audit.Entry{Campaign: row.CampaignID, Action: "disconnect", Subject: row.ID, At: s.clock.Now()}
		if err := audit.Record(tx, entry); err != nil {
			return err
		}
		return tx.Connection.UpdateOne(row).
			SetDisconnectedAt(s.clock.Now()).
			SetStatus(entconnection.StatusInactive).
			ClearProblem().
			ClearWarnings().
			ClearSealedToken().
			SetTokenValid(false).
			ClearSealedWebhookSecret().
			ClearSealedUserToken().
			ClearSealedAppSecret().
			SetWebhookStatus(entconnection.WebhookStatusInactive).
			ClearWebhookProblem().
			ClearSubscribedFields().
			ClearRegisteredAt().
			ClearPollLeasedUntil().
			SetPlatformPending(0).
			SetFailedChecks(0).
			ClearNextCheckAt().
			ClearLeasedUntil().
			Exec(ctx)
	})
	return ended, err
}

// leave takes the connection's webhook away. Trouble is told in the log only: the
// connection is disconnected as far as we go.
func (s *Service) leave(ctx context.Context, e examiner) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if err := e.leave(ctx); err != nil {
		s.log.WarnContext(ctx, "a webhook was not deleted at the platform", "connection", e.seen().of.id, "error", err)
	}
}

// managed is the connection, for who manages its campaign.
func (s *Service) managed(ctx context.Context, id causeway.ID, path ...string) (*ent.Connection, error) {
	row, err := s.viewers.Connection.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing(path...)
	}
	if err != nil {
		return nil, err
	}
	if err := s.mayChange(ctx, row.CampaignID, path...); err != nil {
		return nil, err
	}
	return row, nil
}
