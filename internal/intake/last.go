package intake

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/webhooklog"
)

// LastBefore is when the latest update of a connection before a moment came in, to
// within what servers' clocks differ by; zero if none is kept. Test events, which no
// platform delivered, do not count. It reads one row along an index: positions are the
// times of arrival in nanoseconds.
func (in *Intake) LastBefore(ctx context.Context, connectionID causeway.ID, moment time.Time) (time.Time, error) {
	log, err := in.cfg.Store.Reader().WebhookLog.Query().
		Where(webhooklog.ConnectionID(connectionID), webhooklog.Test(false), webhooklog.PositionLT(moment.UnixNano())).
		Order(webhooklog.ByPosition(sql.OrderDesc())).
		Select(webhooklog.FieldID, webhooklog.FieldReceivedAt).
		First(ctx)
	if ent.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look for an update of %s before %s: %w", connectionID, moment, err)
	}
	return log.ReceivedAt, nil
}
