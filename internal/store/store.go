// Package store is the way to the database: dialects, pools, migrations,
// transactions with work before and after the commit, and the errors of
// constraints. Product rules do not enter.
//
// There are two ent clients over one schema. Writes happen inside InTx, on the
// writer; everything else reads on the readers, which cannot write. On SQLite the
// writer is a single connection, so that writers queue in Go and never in the file's
// lock; on PostgreSQL both are pools. Everything here is safe for several
// goroutines; a Tx belongs to one.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway/ent"
)

// Config says which database to open.
type Config struct {
	// Address is "sqlite:" and a file's path, or a postgres:// URL.
	Address string
	Log     *slog.Logger // none: silent
	// Trace is told every statement that a reader of ent is about to ask, so that tests
	// can count and explain them; none: nobody is.
	Trace func(query string, args []any)
}

// Store is an open database.
type Store struct {
	dialect string
	writer  *sql.DB
	readers *sql.DB
	write   *ent.Client
	read    *ent.Client
	log     *slog.Logger
	trace   func(query string, args []any)
}

// Open opens the database without changing its tables. A SQLite file is made if it
// is not there. Call Migrate before anything else, and Close at the end.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{log: cfg.Log, trace: cfg.Trace}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	switch scheme, rest, _ := strings.Cut(cfg.Address, ":"); scheme {
	case "sqlite":
		s.dialect = dialect.SQLite
		s.writer, s.readers, err = openSQLite(ctx, filepath.Clean(rest))
	case "postgres", "postgresql":
		s.dialect = dialect.Postgres
		s.writer, s.readers, err = openPostgres(ctx, cfg.Address)
	default:
		return nil, fmt.Errorf("open the database: %q is neither sqlite nor postgres", scheme)
	}
	if err != nil {
		return nil, err
	}
	s.write = ent.NewClient(ent.Driver(entsql.OpenDB(s.dialect, s.writer)))
	s.write.Use(storable)
	s.read = s.NewReader()
	return s, nil
}

// Close closes every connection. It may come twice. The writer goes last: only the last
// connection of all tidies SQLite's files up, and readers may not write.
func (s *Store) Close() error {
	return errors.Join(closePool(s.readers), closePool(s.writer))
}

// closePool closes a pool and returns when its connections are closed, for which it
// waits a second: one whose context ended under way is given back a moment after its
// caller was told.
func closePool(pool *sql.DB) error {
	err := pool.Close()
	for range 1000 {
		if pool.Stats().OpenConnections == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return err
}

// Reader is the client for the server's own reads: it sees everything.
func (s *Store) Reader() *ent.Client { return s.read }

// NewReader returns a further client over the readers, for those who add
// interceptors of their own: the viewers' reads.
func (s *Store) NewReader() *ent.Client {
	var driver dialect.Driver = entsql.OpenDB(s.dialect, s.readers)
	if s.trace != nil {
		driver = traced{driver, s.trace}
	}
	return ent.NewClient(ent.Driver(driver))
}

// Readers is the readers' pool, for statements that ent does not know.
func (s *Store) Readers() *sql.DB { return s.readers }

// Dialect is dialect.SQLite or dialect.Postgres.
func (s *Store) Dialect() string { return s.dialect }

// SQL begins a statement in this database's dialect.
func (s *Store) SQL() *entsql.DialectBuilder { return entsql.Dialect(s.dialect) }

// Ready tells whether the database answers. A long transaction on SQLite's one
// writer is no failure, so only readers are asked there.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.readers.PingContext(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if s.dialect == dialect.SQLite {
		return nil
	}
	if err := s.writer.PingContext(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}
