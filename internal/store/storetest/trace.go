package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"

	"causeway/internal/store"
)

// Statement is something that a database was asked.
type Statement struct {
	Query string
	Args  []any
}

// Statements are what the readers of ent asked, in order.
type Statements struct {
	mu   sync.Mutex
	list []Statement
}

func (s *Statements) add(query string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, Statement{query, slices.Clone(args)})
}

// Take returns what was asked since it was last called.
func (s *Statements) Take() []Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// EachTraced is Each, with everything that readers of ent ask.
func EachTraced(t *testing.T, test func(t *testing.T, s *store.Store, asked *Statements)) {
	t.Helper()
	for name, address := range map[string]func(testing.TB) string{"sqlite": SQLiteAddress, "postgres": PostgresAddress} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := &Statements{}
			s := open(t, store.Config{Address: address(t), Trace: asked.add})
			asked.Take()
			test(t, s, asked)
		})
	}
}

// FullScan tells how the database reads a whole table to answer a statement; empty if
// it runs along indexes. Tables of tests are small, so PostgreSQL is told to prefer any
// index to a scan: what is left has no index to use.
func FullScan(t testing.TB, s *store.Store, asked Statement) string {
	t.Helper()
	ctx := context.Background()
	conn, err := s.Readers().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if s.Dialect() == dialect.SQLite {
		return scanOfSQLite(steps(t, conn, "EXPLAIN QUERY PLAN "+asked.Query, asked.Args))
	}
	if _, err := conn.ExecContext(ctx, "SET enable_seqscan = off; SET enable_mergejoin = off; SET enable_hashjoin = off"); err != nil {
		t.Fatal(err)
	}
	return scanOfPostgres(steps(t, conn, "EXPLAIN (COSTS OFF) "+asked.Query, asked.Args))
}

func scanOfSQLite(plan []string) string {
	for _, step := range plan {
		if strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, " USING ") && !strings.Contains(step, "CONSTANT ROW") {
			return strings.Join(plan, "\n")
		}
	}
	return ""
}

// A table that is read whole by its primary key is as bad as one that is scanned. By
// another index it is one that is read in order, up to a limit.
var byPrimaryKey = regexp.MustCompile(`Index (Only )?Scan.* using \S+_pkey on`)

func scanOfPostgres(plan []string) string {
	for i, step := range plan {
		condition := i+1 < len(plan) && strings.Contains(plan[i+1], "Index Cond")
		if strings.Contains(step, "Seq Scan") || byPrimaryKey.MatchString(step) && !condition {
			return strings.Join(plan, "\n")
		}
	}
	return ""
}

// steps are the last columns of a plan's rows.
func steps(t testing.TB, conn *sql.Conn, query string, args []any) []string {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, fmt.Sprint(*values[len(values)-1].(*any)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
