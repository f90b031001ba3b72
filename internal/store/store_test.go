package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/user"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// migrateVariable makes the test's program a process that migrates the database at
// the address and tells what it applied.
const migrateVariable = "CAUSEWAY_TEST_MIGRATE_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(migrateVariable); address != "" {
		if err := migrateAndTell(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// What comes back from a database is UTC wherever the server stands.
	time.Local = time.FixedZone("UTC+7", 7*60*60)
	os.Exit(m.Run())
}

func migrateAndTell(address string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Address: address})
	if err != nil {
		return err
	}
	applied, err := db.Migrate(ctx)
	for _, name := range applied {
		fmt.Println(name)
	}
	return errors.Join(err, db.Close())
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// add stores a user within a transaction.
func add(tx *store.Tx, name string) error {
	return tx.User.Create().SetEmail(name + "@example.com").SetName(name).SetRole(user.RoleAgent).
		SetPasswordHash("none").SetCreatedAt(noon).Exec(tx.Context())
}

func names(t *testing.T, db *store.Store) string {
	t.Helper()
	people, err := db.Reader().User.Query().Order(ent.Asc(user.FieldName)).All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, person := range people {
		all = append(all, person.Name)
	}
	return strings.Join(all, " ")
}

func TestADatabaseIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "causeway.db")
	db, err := store.Open(t.Context(), store.Config{Address: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s, with what customers wrote, is open to others: %04o", filepath.Base(file), mode)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		for name, client := range map[string]*ent.Client{"the reader": db.Reader(), "a new reader": db.NewReader()} {
			err := client.User.Create().SetEmail("a@example.com").SetName("a").SetRole(user.RoleAgent).
				SetPasswordHash("none").SetCreatedAt(noon).Exec(ctx)
			if err == nil {
				t.Errorf("%s wrote", name)
			}
			if _, err := client.User.Delete().Exec(ctx); err == nil {
				t.Errorf("%s deleted", name)
			}
		}
		for _, statement := range []string{
			"INSERT INTO schema_migrations (name) VALUES ('x')", "DROP TABLE schema_migrations", "CREATE TABLE x (y integer)",
		} {
			if _, err := db.Readers().ExecContext(ctx, statement); err == nil {
				t.Errorf("a reader did %s", statement)
			}
		}
	})
}

func TestACommittedRowIsReadAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		for i := range 50 {
			if err := db.InTx(context.Background(), func(tx *store.Tx) error { return add(tx, fmt.Sprint(i)) }); err != nil {
				t.Fatal(err)
			}
			if n := db.Reader().User.Query().CountX(context.Background()); n != i+1 {
				t.Fatalf("%d rows are read after %d commits", n, i+1)
			}
		}
	})
}

func TestTextIsCleanedForBothDatabases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		err := db.InTx(ctx, func(tx *store.Tx) error {
			if err := add(tx, "zero\x00 broken \xff\xfe fine đ 字"); err != nil {
				return err
			}
			camp, err := tx.Campaign.Create().SetName("a").SetDescription("x\x00").SetCreatedAt(noon).Save(ctx)
			if err != nil {
				return err
			}
			return tx.Campaign.UpdateOneID(camp.ID).SetName("\xc3(").SetDescription("a\x00b").Exec(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, db); got != "zero broken \uFFFD fine đ 字" {
			t.Errorf("stored %q", got)
		}
		camp := db.Reader().Campaign.Query().OnlyX(ctx)
		if camp.Name != "\uFFFD(" || *camp.Description != "ab" {
			t.Errorf("updated to %q, %q", camp.Name, *camp.Description)
		}
	})
}

func TestTimesComeBackInUTCToTheMillisecond(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		hanoi := time.FixedZone("Hanoi", 7*60*60)
		for i, at := range []time.Time{
			noon,
			time.Date(2026, 3, 4, 12, 0, 0, 987_654_321, hanoi),
			time.Date(2026, 3, 4, 12, 0, 0, 1_999_999, time.UTC),
			time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, hanoi),
		} {
			var id causeway.ID
			err := db.InTx(ctx, func(tx *store.Tx) error {
				camp, err := tx.Campaign.Create().SetName(fmt.Sprint(i)).SetCreatedAt(at).SetArchivedAt(at.In(hanoi)).Save(ctx)
				if err == nil {
					id = camp.ID
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			camp := db.Reader().Campaign.GetX(ctx, id)
			at = causeway.Stamp(at)
			for _, got := range []time.Time{camp.CreatedAt, *camp.ArchivedAt} {
				if !got.Equal(at) || got.Format(time.RFC3339Nano) != at.Format(time.RFC3339Nano) {
					t.Errorf("stored %s, read %s", at.Format(time.RFC3339Nano), got.Format(time.RFC3339Nano))
				}
			}
		}
	})
}

func TestAClashIsKnownFromTheConstraint(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ctx := context.Background()
		twice := db.InTx(ctx, func(tx *store.Tx) error {
			if err := add(tx, "ana"); err != nil {
				return err
			}
			return add(tx, "ana")
		})
		if !store.IsTaken(twice) || !store.IsTaken(fmt.Errorf("create: %w", twice)) {
			t.Errorf("the same address twice: %v", twice)
		}
		dangling := db.InTx(ctx, func(tx *store.Tx) error {
			return tx.CampaignMember.Create().SetCampaignID("camp_none").SetUserID("user_none").
				SetRole("AGENT").SetJoinedAt(noon).Exec(ctx)
		})
		if dangling == nil || store.IsTaken(dangling) || store.IsTaken(nil) {
			t.Errorf("a reference to nothing: %v", dangling)
		}
	})
}

func TestACommitOnSQLiteIsDurable(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	for pragma, want := range map[string]string{
		"synchronous":  "2", // FULL
		"journal_mode": "wal",
		"foreign_keys": "1",
		"busy_timeout": "5000",
	} {
		if got := pragmaOfWriter(t, db, pragma); got != want {
			t.Errorf("the writer's %s is %s, want %s", pragma, got, want)
		}
	}
	for pragma, want := range map[string]string{"query_only": "1", "journal_mode": "wal"} {
		var got string
		if err := db.Readers().QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("a reader's %s is %s, want %s: %v", pragma, got, want, err)
		}
	}
}

func pragmaOfWriter(t *testing.T, db *store.Store, pragma string) (value string) {
	t.Helper()
	ctx := context.Background()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, "PRAGMA "+pragma)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := rows.Scan(&value); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestAnAddressThatIsNoneIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "mysql://ana:hunter2@x/y", "postgres://ana:hunter2@[::1/x", "postgres://ana:hunter2@127.0.0.1:1/x",
		"sqlite:" + filepath.Join(t.TempDir(), "no", "such", "folder", "x.db")} {
		db, err := store.Open(context.Background(), store.Config{Address: address})
		if err == nil {
			_ = db.Close()
			t.Errorf("%q was opened", address)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestReadyTellsWhetherTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(testing.TB) string{
		dialect.SQLite: storetest.SQLiteAddress, dialect.Postgres: storetest.PostgresAddress,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(context.Background(), store.Config{Address: address(t)})
			if err != nil {
				t.Fatal(err)
			}
			if db.Dialect() != name {
				t.Errorf("it is %s", db.Dialect())
			}
			if err := db.Ready(context.Background()); err != nil {
				t.Error(err)
			}
			for range 2 {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := db.Ready(context.Background()); err == nil {
				t.Error("a closed one answers")
			}
		})
	}
}
