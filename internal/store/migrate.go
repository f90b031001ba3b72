package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
)

// migrations are the files that `go run ./internal/store/migration` writes, one
// folder per dialect, applied in the order of their names.
//
//go:embed migrations
var migrations embed.FS

// migrationLock is what servers that start together on one PostgreSQL queue for.
const migrationLock = 0x6361757365776179

// Migrate brings the tables to this version of the program and tells which
// migrations it applied, none if there was nothing to do. Several processes may call
// it at once: one migrates, the others wait. Each file is applied whole or not at
// all. A database of a newer version is an error.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if s.dialect == dialect.Postgres {
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		defer func() {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		}()
	}
	names, err := migrationNames(s.dialect)
	if err != nil {
		return nil, err
	}
	if s.dialect == dialect.SQLite {
		// Rebuilding a table, as SQLite must to alter one, breaks references for a moment.
		if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = ON") }()
	}
	for _, name := range names {
		did, err := s.applyMigration(ctx, conn, names, name)
		if err != nil {
			return applied, fmt.Errorf("migrate: %s: %w", name, err)
		}
		if did {
			applied = append(applied, name)
		}
	}
	return applied, nil
}

// applyMigration applies one file unless it was, in a transaction that takes
// SQLite's write lock before it looks.
func (s *Store) applyMigration(ctx context.Context, conn *sql.Conn, known []string, name string) (bool, error) {
	statements, err := migrations.ReadFile(path.Join(migrationFolder(s.dialect), name))
	if err != nil {
		return false, err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (name varchar(255) PRIMARY KEY)`); err != nil {
		return false, err
	}
	there, err := appliedMigrations(ctx, tx)
	if err != nil {
		return false, err
	}
	for _, n := range there {
		if !slices.Contains(known, n) {
			return false, fmt.Errorf("the database was migrated by a newer version of this program (%s): start that version", n)
		}
	}
	if slices.Contains(there, name) {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
		return false, err
	}
	// The names are our own files': nothing of them needs quoting.
	if _, err := tx.ExecContext(ctx, "INSERT INTO schema_migrations (name) VALUES ('"+name+"')"); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

func appliedMigrations(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM schema_migrations ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func migrationFolder(of string) string {
	if of == dialect.SQLite {
		return "migrations/sqlite"
	}
	return "migrations/postgres"
}

func migrationNames(dialect string) ([]string, error) {
	entries, err := fs.ReadDir(migrations, migrationFolder(dialect))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".sql") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
