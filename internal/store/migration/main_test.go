package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
)

const migrations = "../migrations"

// One after the other: ent prepares its tables in place for each dialect.

func TestTheSQLiteMigrationsMakeWhatTheSchemaSays(t *testing.T) {
	expectNoDifference(t, diffSQLite(t.Context(), copyOf(t, migrations+"/sqlite"), "drift"))
}

func TestThePostgresMigrationsMakeWhatTheSchemaSays(t *testing.T) {
	address := os.Getenv("CAUSEWAY_TEST_POSTGRES")
	if address == "" {
		t.Skip("CAUSEWAY_TEST_POSTGRES is not set")
	}
	expectNoDifference(t, diffPostgres(t.Context(), copyOf(t, migrations+"/postgres"), scratchDatabase(t, address), "drift"))
}

func expectNoDifference(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("ent/schema has changed since the migrations were written: run go run ./internal/store/migration --name … --postgres …")
	}
	if !errors.Is(err, migrate.ErrNoPlan) {
		t.Fatal(err)
	}
}

// copyOf keeps a difference that is found from being written beside the real files.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func scratchDatabase(t *testing.T, address string) string {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := "causeway_migration_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
