package intake

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/predicate"
	"causeway/ent/webhooklog"
	"causeway/internal/store"
)

// panelBatch is how many logs one transaction puts back or sets aside: few enough that
// a commit of new ones waits some milliseconds for it.
const panelBatch = 500

// Filter chooses logs. What is zero does not choose.
type Filter struct {
	Status webhooklog.Status
	Event  string // the platform's name of what happened
	// ReceivedAfter and ReceivedBefore leave out the moments themselves.
	ReceivedAfter, ReceivedBefore *time.Time
}

// Within is called at the end of each transaction that changes logs at a manager's
// wish: with how many were changed so far, and whether this transaction is the last.
// An error of it takes this transaction back, not those before.
type Within func(tx *store.Tx, changed int, last bool) error

// Replay puts a stored log back into the queue, at its own place among those of its
// chat, and tells whether it did. One that is PENDING waits already, and one that is a
// DUPLICATE stays so: what it tells is the first log's to apply. Tries go on counting,
// and are allowed anew.
func (in *Intake) Replay(ctx context.Context, id causeway.ID, within Within) (replayed bool, err error) {
	log, err := in.cfg.Store.Reader().WebhookLog.Get(ctx, id)
	if ent.IsNotFound(err) {
		return false, causeway.Missing()
	}
	if err != nil {
		return false, fmt.Errorf("replay %s: %w", id, err)
	}
	n, err := in.replay(ctx, log.ConnectionID, []causeway.ID{id}, func(tx *store.Tx, n int) error { return within(tx, n, true) })
	return n > 0, err
}

// ReplayAll puts a connection's logs back into the queue, oldest first, and tells how
// many, as Replay does with one. It takes those that were stored when it began, some
// hundred to a transaction, so that receiving goes on meanwhile; after an error those
// that were put back stay so.
func (in *Intake) ReplayAll(ctx context.Context, connectionID causeway.ID, f Filter, within Within) (int, error) {
	chosen := append(f.where(), webhooklog.StatusNotIn(webhooklog.StatusPending, webhooklog.StatusDuplicate))
	return in.inBatches(ctx, connectionID, chosen, func(ids []causeway.ID, also func(*store.Tx, int) error) (int, error) {
		return in.replay(ctx, connectionID, ids, also)
	}, within)
}

// Discard sets aside what a connection has PENDING, as DISCARDED, and tells how many.
// What is in a worker's hands stays there. Batches and errors are as with ReplayAll.
func (in *Intake) Discard(ctx context.Context, connectionID causeway.ID, within Within) (int, error) {
	waiting := []predicate.WebhookLog{webhooklog.StatusEQ(webhooklog.StatusPending), free(in.cfg.Clock.Now())}
	return in.inBatches(ctx, connectionID, waiting, func(ids []causeway.ID, also func(*store.Tx, int) error) (int, error) {
		return in.discard(ctx, connectionID, ids, also)
	}, within)
}

// where is the filter as conditions.
func (f Filter) where() []predicate.WebhookLog {
	var all []predicate.WebhookLog
	if f.Status != "" {
		all = append(all, webhooklog.StatusEQ(f.Status))
	}
	if f.Event != "" {
		all = append(all, webhooklog.EventType(f.Event))
	}
	if f.ReceivedAfter != nil {
		all = append(all, webhooklog.ReceivedAtGT(*f.ReceivedAfter))
	}
	if f.ReceivedBefore != nil {
		all = append(all, webhooklog.ReceivedAtLT(*f.ReceivedBefore))
	}
	return all
}

// free tells which logs are in nobody's hands.
func free(now time.Time) predicate.WebhookLog {
	return webhooklog.Or(webhooklog.LeasedUntilIsNil(), webhooklog.LeasedUntilLTE(now))
}

// inBatches looks for logs among those stored now, outside of any transaction, and has
// do change them. do may change fewer than it is given: it looks again.
func (in *Intake) inBatches(
	ctx context.Context, connectionID causeway.ID, chosen []predicate.WebhookLog,
	do func(ids []causeway.ID, also func(*store.Tx, int) error) (int, error), within Within,
) (total int, err error) {
	last, err := in.lastPosition(ctx, connectionID)
	if err != nil {
		return 0, err
	}
	after := int64(-1)
	for more := true; more; {
		var logs []*ent.WebhookLog
		logs, err = in.cfg.Store.Reader().WebhookLog.Query().
			Where(webhooklog.ConnectionID(connectionID), webhooklog.PositionGT(after), webhooklog.PositionLTE(last)).
			Where(chosen...).
			Order(webhooklog.ByPosition()).
			Limit(panelBatch).
			Select(webhooklog.FieldID, webhooklog.FieldPosition).
			All(ctx)
		if err != nil {
			return total, fmt.Errorf("look for logs of %s: %w", connectionID, err)
		}
		more = len(logs) == panelBatch
		ids := make([]causeway.ID, len(logs))
		for i, log := range logs {
			ids[i], after = log.ID, log.Position
		}
		n, err := do(ids, func(tx *store.Tx, n int) error { return within(tx, total+n, !more) })
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// lastPosition is the place of the newest log.
func (in *Intake) lastPosition(ctx context.Context, connectionID causeway.ID) (int64, error) {
	log, err := in.cfg.Store.Reader().WebhookLog.Query().
		Where(webhooklog.ConnectionID(connectionID)).
		Order(webhooklog.ByPosition(sql.OrderDesc())).
		Select(webhooklog.FieldID, webhooklog.FieldPosition).
		First(ctx)
	if ent.IsNotFound(err) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for the newest log of %s: %w", connectionID, err)
	}
	return log.Position, nil
}

// replay makes logs PENDING in one transaction. One that FAILED is no error any more
// until it fails again.
func (in *Intake) replay(
	ctx context.Context, connectionID causeway.ID, ids []causeway.ID, also func(*store.Tx, int) error,
) (n int, err error) {
	err = in.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		failed, err := putBack(tx, ids, in.cfg.Clock.Now(), sql.EQ(webhooklog.FieldStatus, webhooklog.StatusFailed))
		if err != nil {
			return fmt.Errorf("put logs of %s back: %w", connectionID, err)
		}
		others, err := putBack(tx, ids, in.cfg.Clock.Now(),
			sql.NotIn(webhooklog.FieldStatus, webhooklog.StatusPending, webhooklog.StatusDuplicate))
		if err != nil {
			return fmt.Errorf("put logs of %s back: %w", connectionID, err)
		}
		if failed > 0 {
			err := tx.Connection.Update().Where(connection.ID(connectionID)).AddErrorCount(-failed).Exec(ctx)
			if err != nil {
				return fmt.Errorf("count the errors of %s: %w", connectionID, err)
			}
		}
		n = failed + others
		tx.AfterCommit(func() { in.tellChanged(connectionID, ids) })
		return also(tx, n)
	})
	return n, err
}

// putBack makes those of the logs PENDING that a condition holds for. Its expressions
// speak of the row as it was.
func putBack(tx *store.Tx, ids []causeway.ID, now time.Time, only *sql.Predicate) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	return tx.Run(tx.SQL().Update(webhooklog.Table).
		Set(webhooklog.FieldStatus, webhooklog.StatusPending).
		Set(webhooklog.FieldAppliedBefore, sql.Expr("applied_before OR status = 'PROCESSED'")).
		Set(webhooklog.FieldAttemptsBefore, sql.Expr("attempts")).
		Set(webhooklog.FieldNextTryAt, causeway.Stamp(now)).
		SetNull(webhooklog.FieldLeasedUntil).
		SetNull(webhooklog.FieldError).
		SetNull(webhooklog.FieldProcessedAt).
		SetNull(webhooklog.FieldDurationMs).
		Where(sql.And(sql.In(webhooklog.FieldID, anys(ids)...), only)))
}

// discard makes logs DISCARDED in one transaction, but for those that are not PENDING
// or in somebody's hands by now.
func (in *Intake) discard(
	ctx context.Context, connectionID causeway.ID, ids []causeway.ID, also func(*store.Tx, int) error,
) (n int, err error) {
	err = in.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		n = 0
		if len(ids) > 0 {
			n, err = tx.WebhookLog.Update().
				Where(webhooklog.IDIn(ids...), webhooklog.StatusEQ(webhooklog.StatusPending), free(in.cfg.Clock.Now())).
				SetStatus(webhooklog.StatusDiscarded).
				ClearLeasedUntil().
				Save(ctx)
			if err != nil {
				return fmt.Errorf("set logs of %s aside: %w", connectionID, err)
			}
		}
		tx.AfterCommit(func() { in.tellChanged(connectionID, ids) })
		return also(tx, n)
	})
	return n, err
}

// tellChanged rings for logs that are not as they were.
func (in *Intake) tellChanged(connectionID causeway.ID, ids []causeway.ID) {
	if len(ids) == 0 {
		return
	}
	in.cfg.Bus.Publish(TopicLogs, 0)
	for _, id := range ids {
		_ = in.cfg.Bus.Hint(LogTopic(connectionID), []byte(id)) // lossy by design
	}
}

func anys(ids []causeway.ID) []any {
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	return all
}
