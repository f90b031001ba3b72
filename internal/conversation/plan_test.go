package conversation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/internal/conversation"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestWhatIsQueuedByAConnectionIsFoundAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		id := causeway.NewID(causeway.PrefixConnection)
		for name, statement := range map[string]entsql.Querier{
			"end":   conversation.EndQueued(s.SQL(), id, "{}"),
			"hurry": conversation.HurryQueued(s.SQL(), id, time.Now()),
			"walk":  entsql.Raw("SELECT t.queue_key FROM messages t WHERE status = 'QUEUED' AND t.queue_key > 'a' ORDER BY t.queue_key LIMIT 1"),
			"head":  entsql.Raw("SELECT t.next_try_at FROM messages t WHERE status = 'QUEUED' AND t.queue_key = 'a' ORDER BY t.seq LIMIT 1"),
		} {
			if plan := explain(t, s, statement); !strings.Contains(plan, "message_queued") {
				t.Errorf("%s: %s", name, plan)
			}
		}
	})
}

func TestWhatFailedIsFoundAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		plan := explain(t, s, conversation.FailedSince(s.SQL(), causeway.NewID(causeway.PrefixConnection), time.Now()))
		if !strings.Contains(plan, "message_failed_by_connection") || !strings.Contains(plan, "message_conversation_id_seq") {
			t.Error(plan)
		}
	})
}

func TestWhatIsOnItsWayIsFoundAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		id := causeway.NewID(causeway.PrefixConversation)
		for _, in := range []string{"status = 'SENT'", "(status = 'SENT' OR status = 'DELIVERED')"} {
			statement := s.SQL().Select("*").From(s.SQL().Table("messages")).Where(conversation.OnTheirWay(id, in, time.Now()))
			if plan := explain(t, s, statement); !strings.Contains(plan, "message_on_its_way") {
				t.Errorf("%s: %s", in, plan)
			}
		}
	})
}

// explain is the last column of every step of a plan, on a table that is not scanned
// because it is empty.
func explain(t *testing.T, s *store.Store, statement entsql.Querier) string {
	t.Helper()
	query, args := statement.Query()
	var plan strings.Builder
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		how := "EXPLAIN QUERY PLAN "
		if s.Dialect() == dialect.Postgres {
			how = "EXPLAIN "
			if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(t.Context(), how+query, args...)
		if err != nil {
			return err
		}
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
			fmt.Fprintln(&plan, *values[len(values)-1].(*any))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
