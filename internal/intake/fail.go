package intake

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent/webhooklog"
	"causeway/internal/queue"
	"causeway/internal/store"
)

// fail records that an item could not be applied: for the time being, then later,
// the items of its key behind it, are handed back and again is true; or for good.
func (p *Processor) fail(ctx context.Context, item queue.Item, later []queue.Item, cause error) (again bool, err error) {
	most := triesOfAnother
	if OurTrouble(cause) {
		most = queue.MaxTries
	}
	again = item.Attempts < most
	why := sentence(cause)
	var connection causeway.ID
	err = p.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		if err := p.queue.Fence(tx, item); err != nil {
			return err
		}
		log, err := tx.WebhookLog.Get(tx.Context(), item.ID)
		if err != nil {
			return fmt.Errorf("read %s: %w", item.ID, err)
		}
		connection = log.ConnectionID
		if again {
			return p.retry(tx, item, later, why)
		}
		return p.giveUp(tx, item, connection, why)
	})
	if err != nil {
		return false, err
	}
	if again {
		p.cfg.Log.InfoContext(ctx, "an update was not applied and will be tried again",
			"log", item.ID, "attempts", item.Attempts, "error", why)
	} else {
		p.cfg.Log.WarnContext(ctx, "an update was given up",
			"log", item.ID, "attempts", item.Attempts, "error", why)
	}
	_ = p.cfg.Bus.Hint(LogTopic(connection), []byte(item.ID)) // lossy by design
	return again, nil
}

func (p *Processor) retry(tx *store.Tx, item queue.Item, later []queue.Item, why string) error {
	err := tx.WebhookLog.UpdateOneID(item.ID).SetError(why).Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("keep the error of %s: %w", item.ID, err)
	}
	at := p.cfg.Clock.Now().Add(queue.Backoff(item.Attempts))
	if err := p.queue.Retry(tx, item, at); err != nil {
		return err
	}
	return p.queue.Release(tx, later...)
}

func (p *Processor) giveUp(tx *store.Tx, item queue.Item, connection causeway.ID, why string) error {
	now := p.cfg.Clock.Now()
	err := tx.WebhookLog.UpdateOneID(item.ID).
		SetStatus(webhooklog.StatusFailed).
		SetError(why).
		SetProcessedAt(now).
		ClearLeasedUntil().
		Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("mark %s FAILED: %w", item.ID, err)
	}
	err = tx.Connection.UpdateOneID(connection).AddErrorCount(1).Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("count the error of %s: %w", connection, err)
	}
	return nil
}
