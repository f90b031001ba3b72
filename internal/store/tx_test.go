package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestATransactionIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		both := func(end func() error) error {
			return db.InTx(ctx, func(tx *store.Tx) error {
				return errors.Join(add(tx, "ana"), add(tx, "bo"), end())
			})
		}
		refusal := causeway.Fail(causeway.Conflict)
		if err := both(func() error { return refusal }); !errors.Is(err, refusal) {
			t.Errorf("the error came back as %v", err)
		}
		if got := names(t, db); got != "" {
			t.Errorf("an error left %s", got)
		}
		func() {
			defer func() {
				if recover() != "mistake" {
					t.Error("the panic was swallowed")
				}
			}()
			_ = both(func() error { panic("mistake") })
		}()
		if got := names(t, db); got != "" {
			t.Errorf("a panic left %s", got)
		}
		if err := both(func() error { return nil }); err != nil {
			t.Fatalf("after a panic: %v", err)
		}
		if got := names(t, db); got != "ana bo" {
			t.Errorf("a commit left %q", got)
		}
	})
}

func TestATransactionWhoseCallerLeftIsUndone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx, leave := context.WithCancel(context.Background())
		rung := false
		err := db.InTx(ctx, func(tx *store.Tx) error {
			tx.AfterCommit(func() { rung = true })
			err := add(tx, "ana")
			leave()
			return err
		})
		if err == nil || rung {
			t.Errorf("it went on: %v, rung %v", err, rung)
		}
		if got := names(t, db); got != "" {
			t.Errorf("it left %s", got)
		}
	})
}

func TestWorkAroundTheCommitRunsInOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var did []string
		seen := ""
		err := db.InTx(context.Background(), func(tx *store.Tx) error {
			tx.AfterCommit(func() { did = append(did, "after one") })
			tx.AfterCommit(func() { did = append(did, "after two"); seen = names(t, db) })
			tx.BeforeCommit(func() error {
				did = append(did, "before one")
				tx.BeforeCommit(func() error { did = append(did, "before three"); return nil })
				return add(tx, "bo")
			})
			tx.BeforeCommit(func() error { did = append(did, "before two"); return nil })
			did = append(did, "work")
			return add(tx, "ana")
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"work", "before one", "before two", "before three", "after one", "after two"}
		if !slices.Equal(did, want) {
			t.Errorf("did %q, want %q", did, want)
		}
		if seen != "ana bo" {
			t.Errorf("after the commit %q was there", seen)
		}
	})
}

func TestNothingIsRungForWhatWasUndone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		refusal := errors.New("too late")
		rung := false
		err := db.InTx(context.Background(), func(tx *store.Tx) error {
			tx.AfterCommit(func() { rung = true })
			tx.BeforeCommit(func() error { return refusal })
			return add(tx, "ana")
		})
		if !errors.Is(err, refusal) || rung || names(t, db) != "" {
			t.Errorf("%v, rung %v, left %q", err, rung, names(t, db))
		}
	})
}

func TestAValueLastsForOneTry(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	type key struct{}
	for range 2 {
		made := 0
		err := db.InTx(context.Background(), func(tx *store.Tx) error {
			first := store.Value(tx, key{}, func() *int { made++; return new(int) })
			if second := store.Value(tx, key{}, func() *int { made++; return new(int) }); first != second {
				t.Error("asked twice, got two values")
			}
			return nil
		})
		if err != nil || made != 1 {
			t.Errorf("made %d values, %v", made, err)
		}
	}
}

func TestTransactionsThatDeadlockBothSucceed(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	ctx := context.Background()
	var ana, bo causeway.ID
	err := db.InTx(ctx, func(tx *store.Tx) error {
		for name, id := range map[string]*causeway.ID{"ana": &ana, "bo": &bo} {
			camp, err := tx.Campaign.Create().SetName(name).SetCreatedAt(noon).Save(ctx)
			if err != nil {
				return err
			}
			*id = camp.ID
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var tries, rung atomic.Int32
	var holding sync.WaitGroup // each holds its first row
	holding.Add(2)
	count := func(first, second causeway.ID) error {
		try := 0
		return db.InTx(ctx, func(tx *store.Tx) error {
			tries.Add(1)
			try++
			tx.AfterCommit(func() { rung.Add(1) })
			if err := tx.Campaign.UpdateOneID(first).AddEventSeq(1).Exec(ctx); err != nil {
				return err
			}
			if try == 1 {
				holding.Done()
				holding.Wait()
			}
			return tx.Campaign.UpdateOneID(second).AddEventSeq(1).Exec(ctx)
		})
	}
	var counting sync.WaitGroup
	for _, order := range [][2]causeway.ID{{ana, bo}, {bo, ana}} {
		counting.Go(func() {
			if err := count(order[0], order[1]); err != nil {
				t.Error(err)
			}
		})
	}
	counting.Wait()
	if tries.Load() != 3 || rung.Load() != 2 {
		t.Errorf("%d tries and %d rings, want one repeated", tries.Load(), rung.Load())
	}
	for _, camp := range db.Reader().Campaign.Query().AllX(ctx) {
		if camp.EventSeq != 2 {
			t.Errorf("%s was counted %d times, want 2", camp.Name, camp.EventSeq)
		}
	}
}

func TestWritersQueueAndNoneIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		var id causeway.ID
		err := db.InTx(ctx, func(tx *store.Tx) error {
			camp, err := tx.Campaign.Create().SetName("ana").SetCreatedAt(noon).Save(ctx)
			if err == nil {
				id = camp.ID
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var writing sync.WaitGroup
		for range 20 {
			writing.Go(func() {
				for range 10 {
					err := db.InTx(ctx, func(tx *store.Tx) error {
						return tx.Campaign.UpdateOneID(id).AddEventSeq(1).Exec(ctx)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		if n := db.Reader().Campaign.GetX(ctx, id).EventSeq; n != 200 {
			t.Errorf("counted %d of 200", n)
		}
	})
}
