package queue

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"

	"entgo.io/ent/dialect"
)

// statements are the queue's statements over one table, in one dialect.
type statements struct {
	dialect string
	lock    int64 // what processes claim one after the other by

	walk    string // key after, now, limit → key, its number in the walk, whether it is due
	rows    string // keys, rows per key → key, id, position, next try, lease
	lease   string // until, ids, now → id, attempts
	fence   string // ids, lease → id
	retry   string // next try, ids, lease
	release string // ids, lease
	prolong string // until, ids, lease
	takeUp  string
}

func newStatements(of string, t Table) statements {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte("causeway queue " + t.Name))
	tries := "attempts"
	if t.Before != "" {
		tries += " - " + t.Before
	}
	fill := []string{"{tries}", tries, "{table}", t.Name, "{waiting}", t.Waiting, "{order}", t.Order, "{keysPerWalk}", fmt.Sprint(keysPerWalk)}
	rows, lock := rowsPostgres, " FOR UPDATE"
	if of == dialect.SQLite {
		rows, lock = rowsSQLite, ""
		fill = append(fill, "{id among 1}", "id IN (SELECT value FROM json_each(?1))",
			"{id among 2}", "id IN (SELECT value FROM json_each(?2))", "$", "?")
	} else {
		fill = append(fill, "{id among 1}", "id = ANY($1::text[])", "{id among 2}", "id = ANY($2::text[])")
	}
	r := strings.NewReplacer(fill...)
	return statements{
		dialect: of,
		lock:    int64(hash.Sum64()),
		walk:    r.Replace(walkKeys),
		rows:    r.Replace(rows),
		lease:   r.Replace(leaseRows),
		fence:   r.Replace(fenceRows + lock),
		retry:   r.Replace(retryRows),
		release: r.Replace(releaseRows),
		prolong: r.Replace(prolongRows),
		takeUp:  r.Replace(takeUpRows),
	}
}

// beginPostgres waits until no other process claims. A claim is to read along indexes
// whatever the planner thinks of a table that fills and empties faster than it is
// analysed: a wrong guess would read or sort every row of a flooded key.
const beginPostgres = `SELECT pg_advisory_xact_lock($1), set_config('enable_seqscan', 'off', true),
  set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`

// walkKeys steps over the waiting keys by one look into the index for each, however
// many rows a key has. Of each it tells whether the oldest row is due and free.
const walkKeys = `WITH RECURSIVE keys(k, n) AS (
  SELECT (SELECT t.queue_key FROM {table} t WHERE {waiting} AND t.queue_key > $1 ORDER BY t.queue_key LIMIT 1), 1
  UNION ALL
  SELECT (SELECT t.queue_key FROM {table} t WHERE {waiting} AND t.queue_key > keys.k ORDER BY t.queue_key LIMIT 1), keys.n + 1
  FROM keys WHERE keys.k IS NOT NULL AND keys.n < {keysPerWalk}
)
SELECT k, n, due FROM (
  SELECT k, n, (
    SELECT t.next_try_at <= $2 AND (t.leased_until IS NULL OR t.leased_until <= $2)
    FROM {table} t WHERE {waiting} AND t.queue_key = keys.k ORDER BY t.{order} LIMIT 1
  ) AS due
  FROM keys WHERE k IS NOT NULL
) AS heads
WHERE due OR n = {keysPerWalk}
LIMIT $3`

const rowsPostgres = `SELECT r.queue_key, r.id, r.place, r.next_try_at, r.leased_until
FROM unnest($1::text[]) AS k CROSS JOIN LATERAL (
  SELECT t.queue_key, t.id, t.{order} AS place, t.next_try_at, t.leased_until
  FROM {table} t WHERE {waiting} AND t.queue_key = k ORDER BY t.{order} LIMIT $2
) AS r`

// SQLite has no LATERAL: the rows of a key up to the one at the limit.
const rowsSQLite = `SELECT t.queue_key, t.id, t.{order}, t.next_try_at, t.leased_until
FROM json_each($1) AS k CROSS JOIN {table} t
WHERE {waiting} AND t.queue_key = k.value AND t.{order} <= coalesce((
  SELECT u.{order} FROM {table} u WHERE {waiting} AND u.queue_key = k.value ORDER BY u.{order} LIMIT 1 OFFSET $2 - 1
), 9223372036854775807)`

const leaseRows = `UPDATE {table} SET attempts = attempts + 1, leased_until = $1
WHERE {id among 2} AND {waiting} AND next_try_at <= $3 AND (leased_until IS NULL OR leased_until <= $3)
RETURNING id, {tries}`

const fenceRows = `SELECT id FROM {table} WHERE {id among 1} AND {waiting} AND leased_until = $2`

const retryRows = `UPDATE {table} SET next_try_at = $1, leased_until = NULL
WHERE {id among 2} AND {waiting} AND leased_until = $3`

const releaseRows = `UPDATE {table} SET attempts = attempts - 1, leased_until = NULL
WHERE {id among 1} AND {waiting} AND leased_until = $2`

const prolongRows = `UPDATE {table} SET leased_until = $1
WHERE {id among 2} AND {waiting} AND leased_until = $3`

const takeUpRows = `UPDATE {table} SET leased_until = NULL WHERE {waiting} AND leased_until IS NOT NULL`

// list is an argument that holds many strings.
func (s statements) list(values []string) (any, error) {
	if s.dialect == dialect.Postgres {
		return values, nil
	}
	encoded, err := json.Marshal(values)
	return string(encoded), err
}
