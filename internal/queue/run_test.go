package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"go.uber.org/goleak"

	"causeway"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// ledger notes who has what and what was done, and complains.
type ledger struct {
	mu    sync.Mutex
	hands map[string]bool
	done  map[string][]causeway.ID
	left  int
	all   chan struct{}
	wrong []string
}

func (l *ledger) begin(items []Item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := map[string]bool{}
	for _, item := range items {
		if l.hands[item.Key] && !mine[item.Key] {
			l.wrong = append(l.wrong, item.Key+" is in two workers' hands")
		}
		mine[item.Key], l.hands[item.Key] = true, true
	}
}

// end comes before the database is told, since somebody else may have the key after.
func (l *ledger) end(items []Item, done int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, item := range items {
		delete(l.hands, item.Key)
		if i < done {
			l.done[item.Key] = append(l.done[item.Key], item.ID)
			l.left--
		}
	}
	if l.left == 0 && done > 0 {
		close(l.all)
	}
}

func TestSeveralServersShareTheWorkAndKeepEachChatInOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		servers := 3
		if s.Dialect() == dialect.SQLite {
			servers = 1
		}
		conn := newConnection(t, s)
		l := &ledger{hands: map[string]bool{}, done: map[string][]causeway.ID{}, left: 200, all: make(chan struct{})}
		want := map[string][]causeway.ID{}
		for i := range 200 {
			key := fmt.Sprint("chat ", rand.N(9))
			want[key] = append(want[key], add(t, s, conn, key, int64(i+1), causeway.System{}.Now()))
		}
		for range servers {
			var q *Queue
			q = New(Config{
				Store: s, Clock: causeway.System{}, Table: logs, Batch: 8, Workers: 3, PollEvery: 10 * time.Millisecond,
				Handle: func(ctx context.Context, items []Item) { work(ctx, t, s, q, l, items) },
			})
			q.Start()
			t.Cleanup(func() { _ = q.Close() })
		}
		select {
		case <-l.all:
		case <-time.After(time.Minute):
			t.Fatalf("%d of 200 rows were never done", l.left)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for key, ids := range want {
			if fmt.Sprint(l.done[key]) != fmt.Sprint(ids) {
				t.Errorf("%s was done in the order %v, want %v", key, l.done[key], ids)
			}
		}
		for _, wrong := range l.wrong {
			t.Error(wrong)
		}
	})
}

// work finishes some of a claim, hands the next one back as failed, and the rest.
func work(ctx context.Context, t *testing.T, s *store.Store, q *Queue, l *ledger, items []Item) {
	l.begin(items)
	n := rand.IntN(len(items) + 1)
	err := s.InTx(ctx, func(tx *store.Tx) error {
		if err := q.Fence(tx, items...); err != nil {
			return err
		}
		for _, item := range items[:n] {
			if _, err := tx.ExecContext(ctx, "UPDATE webhook_logs SET status = 'PROCESSED' WHERE id = '"+string(item.ID)+"'"); err != nil {
				return err
			}
		}
		if n < len(items) {
			if err := q.Retry(tx, items[n], causeway.System{}.Now()); err != nil {
				return err
			}
		}
		err := q.Release(tx, items[min(n+1, len(items)):]...)
		if err == nil {
			l.end(items, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatAKilledServerHadInHandIsTakenUpAtTheNextStart(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t) // among several servers nobody knows who is dead before the lease ends
	clock := newHandClock()
	want := add(t, s, newConnection(t, s), "a", 1, clock.Now())
	killed := New(Config{Store: s, Clock: clock, Table: logs})
	if items, _, err := killed.claim(t.Context()); err != nil || len(items) != 1 {
		t.Fatalf("claimed %v, %v", items, err)
	}

	taken := make(chan Item, 1)
	q := New(Config{Store: s, Clock: clock, Table: logs, Handle: func(_ context.Context, items []Item) { taken <- items[0] }})
	q.Start()
	t.Cleanup(func() { _ = q.Close() })
	select {
	case item := <-taken:
		if item.ID != want || item.Attempts != 2 {
			t.Errorf("%v was taken up at try %d", item.ID, item.Attempts)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the row waits for the end of a lease that nobody holds")
	}
}

// It looks at every goroutine of the process, so nothing runs beside it.
func TestClosingEndsEverythingInAnyOrder(t *testing.T) {
	s := storetest.SQLite(t)
	conn := newConnection(t, s)
	add(t, s, conn, "a", 1, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	before := goleak.IgnoreCurrent()

	unstarted := New(Config{Store: s, Clock: causeway.System{}, Table: logs})
	_ = unstarted.Close()
	unstarted.Start()
	_ = unstarted.Close()

	handling, cut := make(chan struct{}), false
	clock := newHandClock()
	q := New(Config{Store: s, Clock: clock, Table: logs, Handle: func(ctx context.Context, _ []Item) {
		close(handling)
		<-ctx.Done() // it does not finish by itself
		cut = true
	}})
	q.Start()
	<-handling
	closed := make(chan struct{})
	go func() { _ = q.Close(); close(closed) }()
	for open := true; open; { // the clock is turned until Close has asked it
		clock.turn(10 * time.Second)
		select {
		case <-closed:
			open = false
		case <-time.After(time.Millisecond):
		}
	}
	_ = q.Close()
	if !cut {
		t.Error("Close returned before the handler")
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("testing.tRunner"),
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}
