package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// sqliteReaders bounds the pool of readers. Reads are short and the machine has few
// cores; more connections would only hold more page caches.
const sqliteReaders = 8

// sqliteConnector opens connections to one file without registering a driver in the
// process.
type sqliteConnector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c sqliteConnector) Driver() driver.Driver                        { return c.driver }

// openSQLite opens one writer and a pool of read-only readers on a file.
// synchronous=FULL is asked for: with WAL it makes a commit durable before it
// returns, which is what a webhook's 200 promises.
func openSQLite(ctx context.Context, path string) (writer, readers *sql.DB, err error) {
	common := url.Values{
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"on"},
		"_cache_size":   {"-65536"}, // KiB
	}
	write := url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
	}
	writer = sqlitePool(path, common, write)
	writer.SetMaxOpenConns(1)
	// The first connection makes the file and turns WAL on, which readers then find.
	if err := writer.PingContext(ctx); err != nil {
		_ = writer.Close()
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	readers = sqlitePool(path, common, url.Values{"mode": {"ro"}, "_query_only": {"on"}})
	readers.SetMaxOpenConns(sqliteReaders)
	readers.SetMaxIdleConns(sqliteReaders)
	return writer, readers, nil
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
