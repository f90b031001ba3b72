package connection_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"causeway/internal/connection"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestTheClaimOfChecksRunsAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		query, args := connection.ClaimDue(s.SQL(), newClock().Now()).Query()
		explain := "EXPLAIN QUERY PLAN "
		if s.Dialect() == dialect.Postgres {
			explain = "EXPLAIN "
		}
		var plan strings.Builder
		must(t, s.InTx(t.Context(), func(tx *store.Tx) error {
			if s.Dialect() == dialect.Postgres { // on an empty table a scan is cheaper
				if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
					return err
				}
			}
			rows, err := tx.QueryContext(t.Context(), explain+query, args...)
			if err != nil {
				return err
			}
			return read(rows, &plan)
		}))
		if !strings.Contains(plan.String(), "connection_due") || strings.Contains(plan.String(), "Seq Scan") ||
			strings.Contains(plan.String(), "SCAN connections\n") {
			t.Error(plan.String())
		}
	})
}

// read writes the last column of every row: the step of a plan.
func read(rows *sql.Rows, into *strings.Builder) error {
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		fmt.Fprintln(into, *values[len(values)-1].(*any))
	}
	return rows.Err()
}
