package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/mattn/go-sqlite3"
)

// sqliteReaders bounds the pool of readers. Reads are short and the machine has few
// cores; more connections would only hold more page caches.
const sqliteReaders = 8

// sqliteStatements is how many prepared statements a connection keeps. The same few
// dozen come back all the time, and to prepare one takes as long as to run it.
const sqliteStatements = "128"

// sqliteConnector opens connections to one file without registering a driver in the
// process.
type sqliteConnector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c sqliteConnector) Driver() driver.Driver                        { return c.driver }

// openSQLite makes the file if there is none, for its owner alone, and opens
// one writer and a pool of read-only readers on it.
// synchronous=FULL is asked for: with WAL it makes a commit durable before it
// returns, which is what a webhook's 200 promises.
func openSQLite(ctx context.Context, path string) (writer, readers *sql.DB, err error) {
	common := url.Values{
		"_busy_timeout":    {"5000"},
		"_foreign_keys":    {"on"},
		"_cache_size":      {"-65536"}, // KiB
		"_stmt_cache_size": {sqliteStatements},
	}
	write := url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
	}
	if err := makeFile(path); err != nil {
		return nil, nil, err
	}
	writer = sqlitePool(path, common, write)
	writer.SetMaxOpenConns(1)
	// The first connection turns WAL on, which readers then find.
	if err := writer.PingContext(ctx); err != nil {
		_ = writer.Close()
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	readers = sqlitePool(path, common, url.Values{"mode": {"ro"}, "_query_only": {"on"}})
	readers.SetMaxOpenConns(sqliteReaders)
	readers.SetMaxIdleConns(sqliteReaders)
	return writer, readers, nil
}

// makeFile makes an empty database, which SQLite would make readable to everybody on
// the machine; its other files take over the mode of this one. One that is there is
// not touched: to close it again would drop this process's locks on it.
func makeFile(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return file.Close()
}

func sqlitePool(path string, settings ...url.Values) *sql.DB {
	query := url.Values{}
	for _, s := range settings {
		for name, values := range s {
			query[name] = values
		}
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
	return sql.OpenDB(sqliteConnector{
		dsn: dsn,
		driver: &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
			_, err := conn.Exec("PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 268435456", nil)
			return err
		}},
	})
}
