package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestRowsOfAChatComeInOrderAndOthersDoNotWait(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs})
		now := clock.Now()
		a1 := add(t, s, conn, "a", 1, now)
		b1 := add(t, s, conn, "b", 2, now)
		a2 := add(t, s, conn, "a", 3, now)

		first := claim(t, q)
		wantIDs(t, first, a1, b1, a2)
		a3 := add(t, s, conn, "a", 4, now)
		c1 := add(t, s, conn, "c", 5, now)
		wantIDs(t, claim(t, q), c1) // a is in somebody's hands

		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			return errors.Join(q.Retry(tx, first[0], now.Add(time.Second)), q.Release(tx, first[2]))
		})
		if err != nil {
			t.Fatal(err)
		}
		wantIDs(t, claim(t, q)) // the head of a waits for its next try

		clock.turn(time.Second)
		again := claim(t, q)
		wantIDs(t, again, a1, a2, a3)
		if got := []int{again[0].Attempts, again[1].Attempts}; !slices.Equal(got, []int{2, 1}) {
			t.Errorf("attempts %v of a row that was tried and one that was handed back, want 2 and 1", got)
		}
	})
}

func TestAWorkerWhoseLeaseRanOutCannotCommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs, LeaseFor: time.Minute})
		add(t, s, conn, "a", 1, clock.Now())
		slow := claim(t, q)
		clock.turn(time.Minute)
		quick := claim(t, q)
		if len(quick) != 1 || quick[0].Attempts != 2 {
			t.Fatalf("claimed %v after the lease ended, want the row at its second try", quick)
		}
		if err := finish(s, q, slow...); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("the late worker got %v, want ErrLeaseLost", err)
		}
		err := s.InTx(t.Context(), func(tx *store.Tx) error { return q.Retry(tx, slow[0], clock.Now()) })
		if !errors.Is(err, ErrLeaseLost) {
			t.Errorf("the late worker's retry got %v, want ErrLeaseLost", err)
		}
		if err := finish(s, q, quick...); err != nil {
			t.Error(err)
		}
	})
}

func TestALeaseIsProlongedForItsWorkerAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs, LeaseFor: time.Minute})
		add(t, s, conn, "a", 1, clock.Now())
		first := claim(t, q)[0]
		prolong := func(item Item, until time.Time) (Item, error) {
			var longer Item
			err := s.InTx(t.Context(), func(tx *store.Tx) (err error) {
				longer, err = q.Prolong(tx, item, until)
				return err
			})
			return longer, err
		}
		same, err := prolong(first, clock.Now().Add(time.Second))
		if err != nil || same != first {
			t.Errorf("a shorter lease: %v, %v", same, err)
		}
		longer, err := prolong(first, clock.Now().Add(5*time.Minute))
		if err != nil || longer.LeasedUntil.Sub(first.LeasedUntil) != 4*time.Minute {
			t.Fatalf("a longer lease: %v, %v", longer, err)
		}
		clock.turn(4 * time.Minute)
		wantIDs(t, claim(t, q))
		if err := finish(s, q, first); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("with the earlier lease: %v, want ErrLeaseLost", err)
		}
		clock.turn(time.Minute)
		wantIDs(t, claim(t, q), first.ID)
		for _, until := range []time.Time{clock.Now(), clock.Now().Add(time.Hour)} {
			if _, err := prolong(longer, until); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("the late worker's lease until %s: %v, want ErrLeaseLost", until, err)
			}
		}
	})
}

func TestARowThatCameInBeforeALeasedOneWaitsForIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs})
		add(t, s, conn, "a", 100, clock.Now())
		held := claim(t, q)
		late := add(t, s, conn, "a", 50, clock.Now()) // of a server whose clock is behind
		wantIDs(t, claim(t, q))
		if err := finish(s, q, held...); err != nil {
			t.Fatal(err)
		}
		wantIDs(t, claim(t, q), late)
	})
}

func TestEveryChatHasItsTurnWhateverWaits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs, Batch: 10})
		addMany(t, s, conn, 1, 400, "'busy'", clock.Now())
		addMany(t, s, conn, 401, 440, "'quiet ' || p", clock.Now())
		seen := map[string]bool{}
		for range 6 { // a batch of ten has ten chats
			for _, item := range claim(t, q) {
				seen[item.Key] = true
			}
		}
		if len(seen) != 41 {
			t.Errorf("%d of 41 chats had their turn", len(seen))
		}
	})
}

func TestAClaimGoesOnWhenTooManyChatsAreBlocked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs})
		addMany(t, s, conn, 1, 3*keysPerWalk, "'blocked ' || p", clock.Now().Add(time.Hour))
		free := add(t, s, conn, "free", 9_999_999, clock.Now())
		wantIDs(t, claim(t, q), free)
		wantIDs(t, claim(t, q))
	})
}

// TestWorkIsDoneInOrderAndOnceWhateverHappens plays workers of several processes that
// finish, fail, hand back and die in any order, against a model of what may be claimed.
func TestWorkIsDoneInOrderAndOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn := newConnection(t, s)
		rapid.Check(t, func(r *rapid.T) {
			w := newWorld(r, s, conn)
			for range rapid.IntRange(5, 25).Draw(r, "steps") {
				w.step(r)
			}
			w.settle(r)
		})
	})
}

// world is the model: what waits, per key and in order, and who has what.
type world struct {
	store  *store.Store
	conn   *ent.Connection
	clock  *handClock
	queues []*Queue
	prefix string
	last   int64
	rows   map[string][]*modelRow // waiting, in order
	claims [][]Item
}

type modelRow struct {
	id       causeway.ID
	next     time.Time
	leased   time.Time
	attempts int
}

func newWorld(r *rapid.T, s *store.Store, conn *ent.Connection) *world {
	w := &world{store: s, conn: conn, clock: newHandClock(), rows: map[string][]*modelRow{}}
	w.prefix = string(causeway.NewID("round")) + " "
	for range rapid.IntRange(1, 3).Draw(r, "processes") {
		w.queues = append(w.queues, New(Config{
			Store: s, Clock: w.clock, Table: logs, LeaseFor: 30 * time.Second,
			Batch: rapid.IntRange(1, 6).Draw(r, "batch"),
		}))
	}
	return w
}

func (w *world) step(r *rapid.T) {
	switch rapid.SampledFrom([]string{"add", "add", "claim", "claim", "finish", "finish", "fail", "release", "die", "time"}).Draw(r, "step") {
	case "add":
		for range rapid.IntRange(1, 4).Draw(r, "rows") {
			key := w.prefix + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "key")
			w.last++
			id := add(r, w.store, w.conn, key, w.last, w.clock.Now())
			w.rows[key] = append(w.rows[key], &modelRow{id: id, next: w.clock.Now()})
		}
	case "claim":
		w.claim(r, rapid.SampledFrom(w.queues).Draw(r, "process"))
	case "finish":
		w.end(r, func(items []Item) error {
			n := rapid.IntRange(1, len(items)).Draw(r, "done")
			err := finish(w.store, w.queues[0], items[:n]...)
			return w.settled(err, items[:n], func(row *modelRow, key string) { w.remove(key, row) })
		})
	case "fail":
		w.end(r, func(items []Item) error {
			at := w.clock.Now().Add(time.Duration(rapid.IntRange(0, 40).Draw(r, "wait")) * time.Second)
			err := w.inTx(func(tx *store.Tx) error { return w.queues[0].Retry(tx, items[0], at) })
			return w.settled(err, items[:1], func(row *modelRow, _ string) { row.next, row.leased = at, time.Time{} })
		})
	case "release":
		w.end(r, func(items []Item) error {
			err := w.inTx(func(tx *store.Tx) error { return w.queues[0].Release(tx, items...) })
			return w.settled(err, items, func(row *modelRow, _ string) { row.leased = time.Time{}; row.attempts-- })
		})
	case "die":
		w.end(r, func([]Item) error { return nil }) // what it had stays leased
	case "time":
		w.clock.turn(time.Duration(rapid.IntRange(1, 40).Draw(r, "seconds")) * time.Second)
	}
}

func (w *world) inTx(fn func(tx *store.Tx) error) error {
	return w.store.InTx(context.Background(), fn)
}

// claim compares what comes with what the model allows.
func (w *world) claim(r *rapid.T, q *Queue) {
	now := w.clock.Now()
	items := claim(r, q)
	perKey := map[string]int{}
	for _, item := range items {
		place := perKey[item.Key]
		perKey[item.Key]++
		waiting := w.rows[item.Key]
		if place >= len(waiting) || waiting[place].id != item.ID {
			r.Fatalf("%s is not the %d. of its key that waits", item.ID, place)
		}
		row := waiting[place]
		if row.next.After(now) {
			r.Fatalf("%s came before its next try", item.ID)
		}
		for _, other := range waiting {
			if other.leased.After(now) {
				r.Fatalf("%s came while somebody has a row of its key", item.ID)
			}
		}
		if item.Attempts != row.attempts+1 {
			r.Fatalf("attempts %d, want %d", item.Attempts, row.attempts+1)
		}
	}
	for _, item := range items {
		row := w.row(item)
		row.leased, row.attempts = item.LeasedUntil, item.Attempts
	}
	if len(items) == 0 {
		w.nothingIsDue(r, now)
		return
	}
	w.claims = append(w.claims, items)
}

// nothingIsDue fails when the queue held back what it could have given.
func (w *world) nothingIsDue(r *rapid.T, now time.Time) {
	for key, waiting := range w.rows {
		free := len(waiting) > 0 && !waiting[0].next.After(now) &&
			!slices.ContainsFunc(waiting, func(row *modelRow) bool { return row.leased.After(now) })
		if free {
			r.Fatalf("nothing was claimed, although %q is due", key)
		}
	}
}

// end takes one claim out of its worker's hands.
func (w *world) end(r *rapid.T, how func([]Item) error) {
	if len(w.claims) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.claims)-1).Draw(r, "worker")
	items := w.claims[i]
	w.claims = slices.Delete(w.claims, i, i+1)
	if err := how(items); err != nil {
		r.Fatal(err)
	}
}

// settled applies a change to the model if it was allowed, and makes sure that it was
// allowed exactly when every item was still its worker's.
func (w *world) settled(err error, items []Item, change func(row *modelRow, key string)) error {
	own := true
	for _, item := range items {
		row := w.row(item)
		own = own && row != nil && row.leased.Equal(item.LeasedUntil)
	}
	if !own {
		if !errors.Is(err, ErrLeaseLost) {
			return fmt.Errorf("a worker that lost its lease got %v", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	for _, item := range items {
		change(w.row(item), item.Key)
	}
	return nil
}

func (w *world) row(item Item) *modelRow {
	for _, row := range w.rows[item.Key] {
		if row.id == item.ID {
			return row
		}
	}
	return nil
}

func (w *world) remove(key string, row *modelRow) {
	w.rows[key] = slices.DeleteFunc(w.rows[key], func(other *modelRow) bool { return other == row })
}

// settle lets every lease and wait end: all that was added is then done, none is lost.
func (w *world) settle(r *rapid.T) {
	w.claims = nil
	for range 1000 {
		w.clock.turn(time.Hour)
		w.claim(r, w.queues[0])
		if len(w.claims) == 0 {
			return
		}
		items := w.claims[0]
		w.claims = nil
		err := finish(w.store, w.queues[0], items...)
		if err := w.settled(err, items, func(row *modelRow, key string) { w.remove(key, row) }); err != nil {
			r.Fatal(err)
		}
	}
	r.Fatal("it never came to an end")
}

func TestAClaimReadsAlongIndexes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		conn, clock := newConnection(t, s), newHandClock()
		q := New(Config{Store: s, Clock: clock, Table: logs})
		addMany(t, s, conn, 1, 18_000, "'flood'", clock.Now())
		addMany(t, s, conn, 18_001, 20_000, "'chat ' || (p % 700)", clock.Now())
		some, err := q.table.list([]string{"log_1", "log_2", "log_3"})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := q.table.list([]string{"flood", "chat 1"})
		if err != nil {
			t.Fatal(err)
		}
		now := clock.Now()
		statements := map[string][]any{
			q.table.walk:    {"", now, 256},
			q.table.rows:    {keys, 64},
			q.table.lease:   {now, some, now},
			q.table.fence:   {some, now},
			q.table.retry:   {now, some, now},
			q.table.release: {some, now},
		}
		for statement, args := range statements {
			plan := explain(t, s, statement, args)
			for line := range strings.Lines(plan) {
				scan := strings.Contains(line, "Seq Scan on webhook_logs") || // PostgreSQL
					strings.Contains(line, "SCAN t") && !strings.Contains(line, "SCAN t USING") ||
					strings.Contains(line, "SCAN webhook_logs") ||
					strings.Contains(line, "Sort") || strings.Contains(line, "TEMP B-TREE")
				if scan {
					t.Errorf("%s\nis not driven by an index:\n%s", statement, plan)
					break
				}
			}
		}
	})
}

func explain(t *testing.T, s *store.Store, statement string, args []any) string {
	t.Helper()
	var plan strings.Builder
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		how := "EXPLAIN "
		if s.Dialect() == dialect.SQLite {
			how = "EXPLAIN QUERY PLAN "
		}
		if _, err := tx.ExecContext(tx.Context(), "ANALYZE"); err != nil {
			return err
		}
		claims := strings.HasPrefix(statement, "WITH") || strings.HasPrefix(statement, "SELECT r.")
		if claims && s.Dialect() == dialect.Postgres {
			if _, err := tx.ExecContext(tx.Context(), beginPostgres, 1); err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(tx.Context(), how+statement, args...)
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
			fmt.Fprintln(&plan, *(values[len(values)-1].(*any)))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s\n%v", statement, err)
	}
	return plan.String()
}

func TestBackoffTriesEightTimesWithinAboutTwoMinutes(t *testing.T) {
	t.Parallel()
	shortest, longest := time.Duration(math.MaxInt64), time.Duration(0)
	for range 1000 {
		var sum time.Duration
		for n := 1; n < MaxTries; n++ {
			sum += Backoff(n)
		}
		shortest, longest = min(shortest, sum), max(longest, sum)
	}
	if shortest < 90*time.Second || longest > 2*time.Minute {
		t.Errorf("eight tries took between %v and %v", shortest, longest)
	}
}

func wantIDs(t *testing.T, items []Item, want ...causeway.ID) {
	t.Helper()
	got := make([]causeway.ID, len(items))
	for i, item := range items {
		got[i] = item.ID
	}
	if !slices.Equal(got, want) {
		t.Fatalf("claimed %v, want %v", got, want)
	}
}
