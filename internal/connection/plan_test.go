package connection_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway/ent/facebooklogin"
	"causeway/internal/connection"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestTheClaimOfChecksRunsAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		runsAlong(t, s, "connection_due", connection.ClaimDue(s.SQL(), newClock().Now()))
	})
}

func TestEndingAndForgettingLoginsRunAlongTheIndexOfTheirEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		runsAlong(t, s, "facebooklogin_expires_at", connection.EndOverdue(s.SQL(), newClock().Now()))
		runsAlong(t, s, "facebooklogin_expires_at", connection.ForgetLogins(s.SQL(), newClock().Now()))
	})
}

func TestWhatALoginAsksRunsAlongIndexes(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, s *store.Store, asked *storetest.Statements) {
		l := newLobby(t, s)
		l.hasPage(l.campaign, l.pages[0], l.mai.ID())
		asked.Take()
		id, dialog := l.starts()
		l.comesBack(l.agrees(dialog, l.pages))
		login := l.ends(id, facebooklogin.StatusAuthorized, "")
		_, err := l.service.LoginPages(l.ana, login)
		must(t, err)
		_, err = l.service.LostConnections(l.ana, login)
		must(t, err)
		_, err = l.service.Page(t.Context(), l.pages[0].ID())
		must(t, err)
		statements := asked.Take()
		if len(statements) < 6 {
			t.Errorf("only %d statements were seen", len(statements))
		}
		for _, statement := range statements {
			if plan := storetest.FullScan(t, s, statement); plan != "" {
				t.Errorf("%s\n%s", statement.Query, plan)
			}
		}
	})
}

func TestNoticesAndTheirLettersAreFoundAlongTheirIndexes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		runsAlong(t, s, "notice_closed_at", connection.OldNotices(s.SQL(), newClock().Now()))
		for name, statement := range map[string]string{
			"notice_open":           "SELECT t.id FROM notices t WHERE t.connection_id = 'a' AND t.closed_at IS NULL",
			"notice_letter_waiting": "SELECT t.queue_key FROM notice_letters t WHERE state = 'WAITING' AND t.queue_key > 'a' ORDER BY t.queue_key LIMIT 1",
		} {
			runsAlong(t, s, name, entsql.Raw(statement))
		}
		runsAlong(t, s, "notice_letter_waiting", entsql.Raw(
			"SELECT t.next_try_at FROM notice_letters t WHERE state = 'WAITING' AND t.queue_key = 'a' ORDER BY t.queue_order LIMIT 1"))
	})
}

// runsAlong makes sure that a statement that writes reads along an index, and nothing
// whole.
func runsAlong(t *testing.T, s *store.Store, index string, statement entsql.Querier) {
	t.Helper()
	query, args := statement.Query()
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
	if !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "Seq Scan") || strings.Contains(plan.String(), "SCAN connections\n") ||
		strings.Contains(plan.String(), "SCAN facebook_logins\n") {
		t.Error(plan.String())
	}
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
