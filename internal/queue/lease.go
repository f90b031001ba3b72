package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/internal/store"
)

// MaxTries is after how many tries work that fails is given up: with Backoff between
// them, within about two minutes.
const MaxTries = 8

// ErrLeaseLost is returned to a worker whose lease ran out and whose rows somebody
// else has claimed or finished since: it must not commit.
var ErrLeaseLost = errors.New("the lease ran out and somebody else has the work")

// Backoff is how long to wait after the n-th failed try, counted from one: 1, 2, 4,
// 8, 16, 30, 30 … seconds and up to a fifth more, so that what failed together does
// not come back together.
func Backoff(n int) time.Duration {
	wait := 30 * time.Second
	if n < 6 {
		wait = time.Second << max(n-1, 0)
	}
	return wait + rand.N(wait/5)
}

// Fence locks the items' rows until the end of tx and makes sure that they still
// wait and are this worker's. Otherwise it is ErrLeaseLost. The items are of one claim.
func (q *Queue) Fence(tx *store.Tx, items ...Item) error {
	if len(items) == 0 {
		return nil
	}
	list, err := q.table.list(ids(items))
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(tx.Context(), q.table.fence, list, items[0].LeasedUntil)
	if err != nil {
		return fmt.Errorf("check the lease: %w", err)
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("check the lease: %w", err)
	}
	if n != len(items) {
		return ErrLeaseLost
	}
	return nil
}

// Prolong keeps an item that is this worker's for it until a time, if that is later
// than its lease's end, and returns it as it is from the commit on. It is fenced like
// by Fence.
func (q *Queue) Prolong(tx *store.Tx, item Item, until time.Time) (Item, error) {
	until = causeway.Stamp(until)
	if !until.After(item.LeasedUntil) {
		return item, q.Fence(tx, item)
	}
	err := q.change(tx, 1, q.table.prolong, until, []string{string(item.ID)}, item.LeasedUntil)
	item.LeasedUntil = until
	return item, err
}

// takeUp ends all leases where there can be no other worker than those that this queue
// is about to start. The tries stay counted.
func (q *Queue) takeUp(ctx context.Context) error {
	if q.cfg.Store.Dialect() != dialect.SQLite {
		return nil
	}
	return q.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, q.table.takeUp)
		return err
	})
}

// Retry hands an item back to be tried again at a time; until then its key waits.
func (q *Queue) Retry(tx *store.Tx, item Item, at time.Time) error {
	return q.change(tx, 1, q.table.retry, causeway.Stamp(at), []string{string(item.ID)}, item.LeasedUntil)
}

// Release hands back items that were not tried, for anyone to claim at once; the
// claim does not count as a try. The items are of one claim.
func (q *Queue) Release(tx *store.Tx, items ...Item) error {
	if len(items) == 0 {
		return nil
	}
	return q.change(tx, len(items), q.table.release, ids(items), items[0].LeasedUntil)
}

// change executes a statement on leases that must change exactly n rows.
func (q *Queue) change(tx *store.Tx, n int, statement string, args ...any) error {
	for i, arg := range args {
		if values, ok := arg.([]string); ok {
			list, err := q.table.list(values)
			if err != nil {
				return err
			}
			args[i] = list
		}
	}
	done, err := tx.ExecContext(tx.Context(), statement, args...)
	if err != nil {
		return fmt.Errorf("change a lease: %w", err)
	}
	changed, err := done.RowsAffected()
	if err != nil {
		return fmt.Errorf("change a lease: %w", err)
	}
	if int(changed) != n {
		return ErrLeaseLost
	}
	return nil
}

func ids(items []Item) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = string(item.ID)
	}
	return list
}
