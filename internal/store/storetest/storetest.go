// Package storetest opens migrated, empty databases for tests, one kind after the
// other, so that a suite runs the same on both.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // to make and drop databases

	"causeway/internal/store"
)

// PostgresVariable names the address of a PostgreSQL server on which tests may make
// databases. Without it they run on SQLite alone and say so.
const PostgresVariable = "CAUSEWAY_TEST_POSTGRES"

// Each runs a test on SQLite and, where there is one, on PostgreSQL.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// SQLite opens an empty database in a file of its own.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, SQLiteAddress(t))
}

// SQLiteAddress is where a test may have a SQLite file.
func SQLiteAddress(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "causeway.db")
}

// Postgres opens an empty database that is dropped at the end; it skips the test,
// with the reason, where there is no server.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, PostgresAddress(t))
}

// PostgresAddress makes an empty database that is dropped at the end.
func PostgresAddress(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresVariable)
	if server == "" {
		t.Skip(PostgresVariable + " is not set: not run on PostgreSQL")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "causeway_test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Open opens and migrates the database at an address, and closes it at the end.
func Open(t testing.TB, address string) *store.Store {
	t.Helper()
	return open(t, store.Config{Address: address})
}

func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}
