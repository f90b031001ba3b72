package queue

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/internal/store"
)

const (
	// keysPerWalk bounds how many keys one claim looks at. When so many are blocked,
	// the next claim goes on where this one ended.
	keysPerWalk = 2048
	// rowsPerKey bounds how much of one claim a single key may have when others wait.
	rowsPerKey = 64
	// rowsLookedAt is how far into a key a leased row is looked for. Leased rows stand
	// at the front of their key, but for what came in before them since: rows of a
	// server whose clock is behind, or such as were put back into the queue.
	rowsLookedAt = 32
	// claimTries bounds how often a claim that lost to a finishing worker is repeated
	// at once.
	claimTries = 4
)

// errMoved tells that a row changed between finding it and claiming it.
var errMoved = errors.New("a row changed while it was claimed")

// found is a row that may be claimed, and what it was when it was found.
type found struct {
	item     Item
	position int64
}

// claim leases what is due: for each key in turn its oldest rows, beginning with the
// key after the one where the last claim ended, so that none waits for ever. more
// tells that keys remain which it did not look at.
func (q *Queue) claim(ctx context.Context) (items []Item, more bool, err error) {
	for range claimTries {
		items, more, err = q.tryClaim(ctx)
		if !errors.Is(err, errMoved) {
			break
		}
	}
	if errors.Is(err, errMoved) {
		return nil, false, nil // they are busy; the poll comes back
	}
	if err != nil {
		return nil, false, fmt.Errorf("claim from %s: %w", q.cfg.Table.Name, err)
	}
	return items, more, nil
}

func (q *Queue) tryClaim(ctx context.Context) (items []Item, more bool, err error) {
	var w walk
	if q.cfg.Store.Dialect() == dialect.SQLite {
		items, w, err = q.claimAlone(ctx)
	} else {
		items, w, err = q.claimAmongOthers(ctx)
	}
	if err != nil {
		return nil, false, err
	}
	// A round that began at the first key and found nothing ends at the last one;
	// what lies before the place where another began was not looked at.
	if q.after == "" {
		q.barren = true
	}
	q.barren = q.barren && len(items) == 0
	q.after = w.last
	return items, w.cut || !q.barren, nil
}

// claimAlone looks through the readers and takes the writer only for what it found:
// SQLite has one process and one dispatcher.
func (q *Queue) claimAlone(ctx context.Context) (items []Item, w walk, err error) {
	now := q.cfg.Clock.Now()
	w, rows, err := q.find(ctx, q.cfg.Store.Readers(), now)
	if err != nil || len(rows) == 0 {
		return nil, w, err
	}
	err = q.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		items, err = q.lease(tx, rows, now)
		return err
	})
	return items, w, err
}

// claimAmongOthers claims while no other process does, so that what it finds free is
// free.
func (q *Queue) claimAmongOthers(ctx context.Context) (items []Item, w walk, err error) {
	err = q.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		items = nil
		if _, err := tx.ExecContext(ctx, beginPostgres, q.table.lock); err != nil {
			return err
		}
		now := q.cfg.Clock.Now()
		var rows []found
		w, rows, err = q.find(ctx, tx, now)
		if err != nil || len(rows) == 0 {
			return err
		}
		items, err = q.lease(tx, rows, now)
		return err
	})
	return items, w, err
}

// querier is what a claim looks through: the readers, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// walk is where a walk over the keys ended.
type walk struct {
	last string // the key to go on after; empty: begin again
	cut  bool   // there may be keys behind that one
}

// find looks for keys after q.after whose oldest row is due and free, and for the
// rows of them to take.
func (q *Queue) find(ctx context.Context, db querier, now time.Time) (walk, []found, error) {
	keys, w, err := q.walk(ctx, db, now)
	if err != nil || len(keys) == 0 {
		return w, nil, err
	}
	rows, err := q.rowsOf(ctx, db, keys, now)
	return w, rows, err
}

// walk steps from key to key along the index and returns those whose oldest row is
// due and free, at most as many as a claim may have.
func (q *Queue) walk(ctx context.Context, db querier, now time.Time) ([]string, walk, error) {
	rows, err := db.QueryContext(ctx, q.table.walk, q.after, now, q.cfg.Batch)
	if err != nil {
		return nil, walk{}, err
	}
	defer func() { _ = rows.Close() }()
	var keys []string
	var w walk
	for rows.Next() {
		var key string
		var n int
		var due bool
		if err := rows.Scan(&key, &n, &due); err != nil {
			return nil, w, err
		}
		if due {
			keys = append(keys, key)
		}
		if n == keysPerWalk || len(keys) == q.cfg.Batch {
			w = walk{last: key, cut: true}
		}
	}
	return keys, w, rows.Err()
}

// rowsOf reads the oldest rows of each key, up to the first that is not due. A key of
// which somebody has a row is left out whole.
func (q *Queue) rowsOf(ctx context.Context, db querier, keys []string, now time.Time) ([]found, error) {
	most := min(max(q.cfg.Batch/len(keys), 1), rowsPerKey)
	list, err := q.table.list(keys)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, q.table.rows, list, max(most, rowsLookedAt))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	byKey := make(map[string][]candidate, len(keys))
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.item.Key, &c.item.ID, &c.position, &c.next, &c.leased); err != nil {
			return nil, err
		}
		byKey[c.item.Key] = append(byKey[c.item.Key], c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var all []found
	for _, of := range byKey {
		all = append(all, prefix(of, now, most)...)
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.position, b.position) })
	return all, nil
}

// candidate is a row at the front of its key.
type candidate struct {
	found
	next   time.Time
	leased sql.NullTime
}

// prefix is what may be taken of one key's oldest rows: those due, in order, and
// nothing when one of them is in somebody's hands.
func prefix(of []candidate, now time.Time, most int) []found {
	slices.SortFunc(of, func(a, b candidate) int { return cmp.Compare(a.position, b.position) })
	var rows []found
	open := true
	for _, c := range of {
		if c.leased.Valid && c.leased.Time.After(now) {
			return nil
		}
		open = open && len(rows) < most && !c.next.After(now)
		if open {
			rows = append(rows, c.found)
		}
	}
	return rows
}

// lease makes the rows this worker's own and counts the try. All or none: when one is
// no longer as it was found, its key may have changed hands.
func (q *Queue) lease(tx *store.Tx, rows []found, now time.Time) ([]Item, error) {
	until := causeway.Stamp(now.Add(q.cfg.LeaseFor))
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = string(r.item.ID)
	}
	list, err := q.table.list(ids)
	if err != nil {
		return nil, err
	}
	attempts := make(map[causeway.ID]int, len(rows))
	leased, err := tx.QueryContext(tx.Context(), q.table.lease, until, list, now)
	if err != nil {
		return nil, err
	}
	defer func() { _ = leased.Close() }()
	for leased.Next() {
		var id causeway.ID
		var n int
		if err := leased.Scan(&id, &n); err != nil {
			return nil, err
		}
		attempts[id] = n
	}
	if err := leased.Err(); err != nil {
		return nil, err
	}
	if len(attempts) != len(rows) {
		return nil, errMoved
	}
	items := make([]Item, len(rows))
	for i, r := range rows {
		items[i] = r.item
		items[i].Attempts, items[i].LeasedUntil = attempts[r.item.ID], until
	}
	return items, nil
}
