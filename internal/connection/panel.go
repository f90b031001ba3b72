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
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// dropWithin is how long the platform is given to forget what waits there.
const dropWithin = 15 * time.Second

// dropper is an examiner of a platform that keeps what it could not deliver.
type dropper interface {
	// drop makes the platform forget what waits there for us, keeping our registration,
	// and tells how much that was. Where another program receives, it is WEBHOOK_TAKEN_OVER,
	// and nothing was dropped: what waits is not ours.
	drop(ctx context.Context) (int, error)
}

// Cleared is how many updates waited, and do not any more.
type Cleared struct {
	AtPlatform int // gone for good
	Stored     int // DISCARDED: a replay brings them back
}

// ReplayWebhook puts a stored log back into the queue, as intake.Replay does. It is for
// managers of the campaign, also of a connection that is disconnected: nothing is sent.
func (s *Service) ReplayWebhook(ctx context.Context, id causeway.ID) error {
	log, err := s.viewers.WebhookLog.Get(ctx, id)
	if ent.IsNotFound(err) {
		return causeway.Missing("id")
	}
	if err != nil {
		return err
	}
	if err := s.mayChange(ctx, log.CampaignID, "id"); err != nil {
		return err
	}
	_, err = s.intake.Replay(ctx, id, func(tx *store.Tx, changed int, _ bool) error {
		if err := auth.Writable(ctx, tx, log.CampaignID, "id"); err != nil || changed == 0 {
			return err
		}
		return audit.Record(tx, audit.Entry{
			Campaign: log.CampaignID, Action: "replayWebhook", Subject: id, At: s.clock.Now(),
			Details: map[string]any{"connection": log.ConnectionID, "status": log.Status},
		})
	})
	if causeway.CodeOf(err) == causeway.NotFound { // deleted just now
		return causeway.Missing("id")
	}
	return err
}

// ReplayWebhooks puts those of a connection's logs back into the queue that the filter
// chooses, oldest first, and tells how many, as intake.ReplayAll does. It is for managers
// of the campaign, also of a connection that is disconnected.
func (s *Service) ReplayWebhooks(ctx context.Context, id causeway.ID, f intake.Filter) (int, error) {
	row, err := s.managed(ctx, id, "connectionId")
	if err != nil {
		return 0, err
	}
	return s.intake.ReplayAll(ctx, id, f, func(tx *store.Tx, changed int, last bool) error {
		if err := auth.Writable(ctx, tx, row.CampaignID, "connectionId"); err != nil || !last || changed == 0 {
			return err
		}
		return audit.Record(tx, audit.Entry{
			Campaign: row.CampaignID, Action: "replayWebhooks", Subject: id, At: s.clock.Now(), Details: detailsOf(f, changed),
		})
	})
}

// detailsOf is what the audit log says of a replay.
func detailsOf(f intake.Filter, replayed int) map[string]any {
	details := map[string]any{"replayed": replayed}
	if f.Status != "" {
		details["status"] = f.Status
	}
	if f.Event != "" {
		details["eventType"] = f.Event
	}
	if f.ReceivedAfter != nil {
		details["receivedAfter"] = f.ReceivedAfter
	}
	if f.ReceivedBefore != nil {
		details["receivedBefore"] = f.ReceivedBefore
	}
	return details
}

// ClearWebhookQueue has the platform forget what waits there, and sets aside what is
// stored and waits, but for what is in a worker's hands. It is for managers of the
// campaign. What is stored is set aside even where the platform does not do its part;
// then the error says why, beside the numbers, which are nil where nothing was done. Of
// a disconnected connection nothing waits at the platform.
func (s *Service) ClearWebhookQueue(ctx context.Context, id causeway.ID) (*Cleared, error) {
	row, err := s.managed(ctx, id, "connectionId")
	if err != nil {
		return nil, err
	}
	done, err := s.turns.take(ctx, row.AccountID)
	if err != nil {
		return nil, err
	}
	defer done()
	if row, err = s.store.Reader().Connection.Get(ctx, id); err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	dropped, undropped := s.drop(ctx, row)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if unauthorized(undropped) {
		if err := s.CheckSoon(ctx, id); err != nil {
			return nil, err
		}
	}
	stored, err := s.intake.Discard(ctx, id, func(tx *store.Tx, changed int, last bool) error {
		if !last {
			return auth.Writable(ctx, tx, row.CampaignID, "connectionId")
		}
		if undropped == nil {
			err := tx.Connection.Update().Where(entconnection.ID(id)).SetPlatformPending(0).Exec(ctx)
			if err != nil {
				return fmt.Errorf("note that nothing waits for %s: %w", id, err)
			}
		}
		if err := auth.Writable(ctx, tx, row.CampaignID, "connectionId"); err != nil {
			return err
		}
		s.tell(tx, row.CampaignID, id)
		return audit.Record(tx, audit.Entry{
			Campaign: row.CampaignID, Action: "clearWebhookQueue", Subject: id, At: s.clock.Now(),
			Details: map[string]any{"atPlatform": dropped, "stored": changed},
		})
	})
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "what waited was set aside", "connection", id, "stored", stored, "platform", dropped)
	return &Cleared{AtPlatform: dropped, Stored: stored}, undropped
}

// drop has the platform forget what waits for a connection. The error is the platform's
// trouble, or why it was not asked.
func (s *Service) drop(ctx context.Context, row *ent.Connection) (int, error) {
	if row.DisconnectedAt != nil {
		return 0, nil
	}
	e, err := s.examiner(row)
	if err != nil {
		return 0, err
	}
	waits, ok := e.(dropper)
	if !ok {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dropWithin)
	defer cancel()
	n, err := waits.drop(ctx)
	if err == nil {
		return n, nil
	}
	if platform.Refused(err) == nil {
		return 0, err
	}
	return 0, botTrouble(err).At("connectionId")
}
