package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"

	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// eachAddress runs a test with the address of an empty database of each kind.
func eachAddress(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	for name, address := range map[string]func(testing.TB) string{
		dialect.SQLite: storetest.SQLiteAddress, dialect.Postgres: storetest.PostgresAddress,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, address(t))
		})
	}
}

func open(t *testing.T, address string) *store.Store {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestServersThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	eachAddress(t, func(t *testing.T, address string) {
		var mu sync.Mutex
		var applied []string
		var starting sync.WaitGroup
		for range 6 {
			db := open(t, address)
			starting.Go(func() {
				names, err := db.Migrate(context.Background())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				applied = append(applied, names...)
			})
		}
		starting.Wait()
		once(t, applied)
	})
}

func TestProcessesThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	eachAddress(t, func(t *testing.T, address string) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		outputs := make([]bytes.Buffer, 3)
		var starting sync.WaitGroup
		for i := range outputs {
			starting.Go(func() {
				process := exec.Command(self)
				process.Env = append(os.Environ(), migrateVariable+"="+address)
				var complaint bytes.Buffer
				process.Stdout, process.Stderr = &outputs[i], &complaint
				if err := process.Run(); err != nil {
					t.Errorf("%v: %s", err, &complaint)
				}
			})
		}
		starting.Wait()
		var applied []string
		for i := range outputs {
			applied = append(applied, strings.Fields(outputs[i].String())...)
		}
		once(t, applied)
		again, err := open(t, address).Migrate(context.Background())
		if err != nil || len(again) != 0 {
			t.Errorf("once more applied %v, %v", again, err)
		}
	})
}

// once checks that something was applied and nothing twice.
func once(t *testing.T, applied []string) {
	t.Helper()
	slices.Sort(applied)
	if all := len(applied); all == 0 || len(slices.Compact(applied)) != all {
		t.Errorf("applied %v", applied)
	}
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		const future = "99990101000000_something_new.sql"
		err := db.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO schema_migrations (name) VALUES ('"+future+"')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		applied, err := db.Migrate(ctx)
		if err == nil || !strings.Contains(err.Error(), future) || len(applied) != 0 {
			t.Errorf("applied %v, %v", applied, err)
		}
		// Being refused leaves no lock behind.
		if _, again := db.Migrate(ctx); again == nil || again.Error() != err.Error() {
			t.Errorf("once more: %v", again)
		}
	})
}

func TestAMigratedDatabaseChecksItsReferences(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	if got := pragmaOfWriter(t, db, "foreign_keys"); got != "1" {
		t.Errorf("foreign_keys is %s after migrating", got)
	}
	if got := pragmaOfWriter(t, db, "foreign_key_check"); got != "" {
		t.Errorf("broken: %s", got)
	}
}

func TestMigratingCanBeCutShortAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	eachAddress(t, func(t *testing.T, address string) {
		db := open(t, address)
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := db.Migrate(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
		if applied, err := db.Migrate(context.Background()); err != nil || len(applied) == 0 {
			t.Errorf("taken up again: %v, %v", applied, err)
		}
	})
}
