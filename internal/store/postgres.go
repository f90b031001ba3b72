package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresConns bounds each of the two pools. A server beside others leaves room in
// PostgreSQL's default of 100 connections.
const postgresConns = 16

// openPostgres opens a pool that writes and one whose sessions are read-only, so
// that a write outside InTx fails here as it does on SQLite.
func openPostgres(ctx context.Context, address string) (writer, readers *sql.DB, err error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// pgx quotes the address, which holds the password.
		return nil, nil, fmt.Errorf("open the database: not a valid postgres:// address, such as postgres://user:password@host:5432/causeway")
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	writer = stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(readTimesInUTC))
	writer.SetMaxOpenConns(postgresConns)
	writer.SetMaxIdleConns(postgresConns)
	if err := writer.PingContext(ctx); err != nil {
		_ = writer.Close()
		return nil, nil, fmt.Errorf("open the database at %s:%d: %w", cfg.Host, cfg.Port, err)
	}
	readOnly := cfg.Copy()
	readOnly.RuntimeParams = maps.Clone(cfg.RuntimeParams)
	readOnly.RuntimeParams["default_transaction_read_only"] = "on"
	readers = stdlib.OpenDB(*readOnly, stdlib.OptionAfterConnect(readTimesInUTC))
	readers.SetMaxOpenConns(postgresConns)
	readers.SetMaxIdleConns(postgresConns)
	return writer, readers, nil
}

// readTimesInUTC makes times come back in UTC; pgx would answer them in the zone of
// the machine, whatever the session's is.
func readTimesInUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name:  "timestamptz",
		OID:   pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}
