package intake

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/internal/store"
)

// commitWithin bounds one commit: who waits for it is answered 503 by then.
const commitWithin = 10 * time.Second

// row is a log that is about to be stored.
type row struct {
	id       causeway.ID
	position int64
	at       time.Time
	entry    *Entry
	key      any // update_key: a string or nil
	event    string
	account  string
	queueKey string
}

// update is what is stored once among logs that are not DUPLICATE.
type update struct {
	connection   causeway.ID
	account, key string
}

// store commits a batch: the logs, then poll offsets and counters. What came before
// becomes a DUPLICATE log of its own.
func (in *Intake) store(batch []*delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitWithin)
	defer cancel()
	rows := in.number(batch)
	return in.cfg.Store.InTx(ctx, func(tx *store.Tx) error {
		if err := in.insertAll(tx, rows); err != nil {
			return err
		}
		if err := countReceived(tx, rows, batch); err != nil {
			return err
		}
		tx.AfterCommit(func() { in.tell(rows) })
		return nil
	})
}

// number gives each entry its id, its place after everything that arrived before it,
// and the key of what it must stay in order with.
func (in *Intake) number(batch []*delivery) []row {
	n := 0
	for _, d := range batch {
		n += len(d.batch.Entries)
	}
	rows := make([]row, 0, n)
	for _, d := range batch {
		for i := range d.batch.Entries {
			rows = append(rows, in.row(&d.batch.Entries[i], d.at))
		}
	}
	return rows
}

func (in *Intake) row(e *Entry, at time.Time) row {
	// The clock orders what several servers store. One server's own never goes back.
	in.last = max(in.last+1, at.UnixNano())
	r := row{
		id:       causeway.NewID(causeway.PrefixWebhookLog),
		position: in.last,
		at:       at,
		entry:    e,
		event:    store.Clean(e.Envelope.Event),
		account:  store.Clean(e.Account),
	}
	own := string(r.id) // what has neither chat nor key waits for nothing
	if e.Envelope.Key != "" {
		own = store.Clean(e.Envelope.Key)
		r.key = own
	}
	if e.Envelope.Chat != "" {
		r.queueKey = string(e.Connection) + ":" + store.Clean(e.Envelope.Chat)
	} else {
		r.queueKey = string(e.Connection) + "/" + own
	}
	return r
}

func (r *row) update() update {
	key, _ := r.key.(string)
	return update{connection: r.entry.Connection, account: r.account, key: key}
}

func (in *Intake) insertAll(tx *store.Tx, rows []row) error {
	first, again := fold(rows)
	if tx.Dialect() == dialect.Postgres {
		// Two servers that store the same updates take the index's entries in the same
		// order, and so do not wait for each other in a circle.
		slices.SortFunc(first, func(a, b *row) int {
			u, v := a.update(), b.update()
			return cmp.Or(cmp.Compare(u.connection, v.connection), cmp.Compare(u.account, v.account),
				cmp.Compare(u.key, v.key), cmp.Compare(a.position, b.position))
		})
	}
	for chunk := range chunks(tx, first) {
		n, err := insert(tx, chunk, false)
		if err != nil {
			return err
		}
		if n == len(chunk) {
			continue
		}
		known, err := refused(tx, chunk)
		if err != nil {
			return err
		}
		again = append(again, known...)
	}
	for chunk := range chunks(tx, again) {
		if _, err := insert(tx, chunk, true); err != nil {
			return err
		}
	}
	return nil
}

// fold parts the first of each update from those that repeat it.
func fold(rows []row) (first, again []*row) {
	first = make([]*row, 0, len(rows))
	seen := make(map[update]struct{}, len(rows))
	for i := range rows {
		r := &rows[i]
		if r.key == nil {
			first = append(first, r)
			continue
		}
		u := r.update()
		if _, known := seen[u]; known {
			again = append(again, r)
			continue
		}
		seen[u] = struct{}{}
		first = append(first, r)
	}
	return first, again
}

// chunks cuts rows for one statement each. PostgreSQL keeps prepared statements by
// their text, so there the sizes are few: powers of two.
func chunks(tx *store.Tx, rows []*row) func(yield func([]*row) bool) {
	return func(yield func([]*row) bool) {
		for len(rows) > 0 {
			n := min(len(rows), batchRows)
			if tx.Dialect() == dialect.Postgres {
				size := batchRows
				for size > n {
					size /= 2
				}
				n = size
			}
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// The columns of a row. The last of them are times, and all hold the one argument
// that stands for them: a log that is a duplicate is done as soon as it is there.
const (
	insertPending   = "INSERT INTO webhook_logs (status, id, campaign_id, connection_id, account_id, update_key, event_type, payload, test, position, queue_key, received_at, next_try_at) VALUES "
	insertDuplicate = "INSERT INTO webhook_logs (status, id, campaign_id, connection_id, account_id, update_key, event_type, payload, test, position, queue_key, received_at, next_try_at, processed_at) VALUES "
	onKnownUpdate   = " ON CONFLICT (connection_id, account_id, update_key) WHERE status <> 'DUPLICATE' DO NOTHING"
	perRow          = 11
)

// insert stores rows with one statement and tells how many it took: all of those
// that are duplicates already, else those that are none. It is written by hand
// because every webhook waits for it.
func insert(tx *store.Tx, rows []*row, duplicates bool) (int, error) {
	head, status, times, tail := insertPending, "('PENDING'", 2, onKnownUpdate
	if duplicates {
		head, status, times, tail = insertDuplicate, "('DUPLICATE'", 3, ""
	}
	mark := byte('$')
	if tx.Dialect() == dialect.SQLite {
		mark = '?'
	}
	text := make([]byte, 0, len(head)+len(tail)+len(rows)*(len(status)+(perRow+times)*6))
	text = append(text, head...)
	args := make([]any, 0, len(rows)*perRow)
	for i, r := range rows {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, status...)
		for column := range perRow - 1 + times {
			text = append(text, ',', mark)
			text = strconv.AppendInt(text, int64(i*perRow+min(column, perRow-1)+1), 10)
		}
		text = append(text, ')')
		body := r.entry.Body
		if body == nil {
			body = []byte{}
		}
		args = append(args, string(r.id), string(r.entry.Campaign), string(r.entry.Connection), r.account, r.key,
			r.event, body, r.entry.Test, r.position, r.queueKey, r.at)
	}
	text = append(text, tail...)
	done, err := tx.ExecContext(tx.Context(), string(text), args...)
	if err != nil {
		return 0, fmt.Errorf("store updates: %w", err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// refused tells which rows are not in the table, after an insert that skipped some.
func refused(tx *store.Tx, rows []*row) ([]*row, error) {
	ids := make([]any, len(rows))
	for i, r := range rows {
		ids[i] = string(r.id)
	}
	b := tx.SQL()
	t := b.Table("webhook_logs")
	stored := make(map[causeway.ID]bool, len(rows))
	err := tx.Rows(b.Select(t.C("id")).From(t).Where(entsql.In(t.C("id"), ids...)),
		func(rows *sql.Rows) error {
			var id causeway.ID
			err := rows.Scan(&id)
			stored[id] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("look for updates that were known: %w", err)
	}
	var missing []*row
	for _, r := range rows {
		if !stored[r.id] {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// received is what a batch brought to one connection.
type received struct {
	n      int
	last   time.Time
	offset *int64
}

// countReceived updates the connections of a batch, in the order of their ids: rows
// that others wait for come last.
func countReceived(tx *store.Tx, rows []row, batch []*delivery) error {
	of := map[causeway.ID]received{}
	for i := range rows {
		if rows[i].entry.Test { // no platform delivered it
			continue
		}
		c := of[rows[i].entry.Connection]
		c.n++
		if rows[i].at.After(c.last) {
			c.last = rows[i].at
		}
		of[rows[i].entry.Connection] = c
	}
	for _, d := range batch {
		if d.batch.PollOffset != nil {
			c := of[d.batch.Connection]
			c.offset = d.batch.PollOffset
			of[d.batch.Connection] = c
		}
	}
	for _, id := range slices.Sorted(maps.Keys(of)) {
		if err := count(tx, id, of[id]); err != nil {
			return fmt.Errorf("count what %s received: %w", id, err)
		}
	}
	return nil
}

func count(tx *store.Tx, connection causeway.ID, c received) error {
	u := tx.SQL().Update("connections").Where(entsql.EQ("id", string(connection)))
	if c.n > 0 {
		u.Add("total_received", c.n)
		u.Set("last_received_at", entsql.ExprFunc(func(b *entsql.Builder) {
			b.WriteString("CASE WHEN last_received_at > ").Arg(c.last).
				WriteString(" THEN last_received_at ELSE ").Arg(c.last).WriteString(" END")
		}))
	}
	if c.offset != nil {
		u.Set("poll_offset", *c.offset)
	}
	_, err := tx.Run(u)
	return err
}

// tell rings for what was stored.
func (in *Intake) tell(rows []row) {
	if len(rows) == 0 {
		return
	}
	in.cfg.Bus.Publish(TopicLogs, 0)
	for i := range rows {
		_ = in.cfg.Bus.Hint(LogTopic(rows[i].entry.Connection), []byte(rows[i].id)) // lossy by design
	}
}
