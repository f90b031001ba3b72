package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway/ent"
)

// maxTxTries bounds how often InTx repeats a transaction that lost to another one.
const maxTxTries = 8

// Tx is a transaction on the writer. What is read through it is dead when it ends:
// pass ids out, not entities.
type Tx struct {
	*ent.Tx
	store  *Store
	ctx    context.Context
	before []func() error
	after  []func()
	values map[any]any
}

// InTx runs fn in a transaction and commits. A transaction that the database ended
// in favour of another (serialization failure, deadlock) is run again, so fn must be
// repeatable: it starts from nothing each time. Any other error of fn rolls back and
// is returned as it is. ctx bounds the whole.
//
// Rows that chats share come last in fn, each kind in id order: conversations, then
// connections' counters; campaigns' sequences follow in BeforeCommit.
func (s *Store) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	for try := 1; ; try++ {
		err := s.tryTx(ctx, fn)
		if err == nil || try == maxTxTries || !lostToAnother(err) {
			return err
		}
		s.log.DebugContext(ctx, "transaction repeated", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		}
	}
}

func (s *Store) tryTx(ctx context.Context, fn func(tx *Tx) error) (err error) {
	etx, err := s.write.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Tx: etx, store: s, ctx: ctx, values: map[any]any{}}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			_ = etx.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	for i := 0; i < len(tx.before); i++ {
		if err := tx.before[i](); err != nil {
			return err
		}
	}
	if err := etx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	for _, fn := range tx.after {
		fn()
	}
	return nil
}

// Context is the context that the transaction runs under.
func (tx *Tx) Context() context.Context { return tx.ctx }

// BeforeCommit runs fn when everything else of the transaction is done: the place
// for what takes the most contended locks. An error rolls back.
func (tx *Tx) BeforeCommit(fn func() error) { tx.before = append(tx.before, fn) }

// AfterCommit runs fn once the transaction is durable, and not at all if it is not.
// fn must not block: it rings doorbells.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Value keeps one value per key for as long as this try of the transaction lasts;
// make is called for the first who asks.
func Value[T any](tx *Tx, key any, make func() T) T {
	if v, ok := tx.values[key]; ok {
		return v.(T)
	}
	v := make()
	tx.values[key] = v
	return v
}

// SQL begins a statement in this database's dialect.
func (tx *Tx) SQL() *entsql.DialectBuilder { return tx.store.SQL() }

// Dialect is dialect.SQLite or dialect.Postgres.
func (tx *Tx) Dialect() string { return tx.store.dialect }

// Run executes a statement made with SQL and tells how many rows it changed.
func (tx *Tx) Run(statement entsql.Querier) (int, error) {
	query, args := statement.Query()
	res, err := tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// Rows executes a statement made with SQL that answers rows, and hands each to scan.
func (tx *Tx) Rows(statement entsql.Querier, scan func(rows *sql.Rows) error) error {
	query, args := statement.Query()
	rows, err := tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
