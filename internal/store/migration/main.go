// Command migration writes what ent/schema changed as new migration files, one per
// dialect, beside the ones that are there:
//
//	go run ./internal/store/migration --name add_queues --postgres postgres://localhost/scratch
//
// It replays the files on an empty SQLite database in memory and on the given
// scratch PostgreSQL database, which must be empty, and writes the difference. After
// a file is written or changed by hand, --hash brings the folders' sums up to date.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/jackc/pgx/v5/stdlib" // the scratch database's driver
	_ "github.com/mattn/go-sqlite3"    // the driver of the database in memory

	entmigrate "causeway/ent/migrate"
)

func main() {
	name := flag.String("name", "", "what the change is called, such as add_queues")
	postgres := flag.String("postgres", "", "address of an empty scratch PostgreSQL database")
	dir := flag.String("dir", "internal/store/migrations", "where the files are")
	hash := flag.Bool("hash", false, "only bring the sums of the folders up to date")
	flag.Parse()
	if err := run(context.Background(), *dir, *name, *postgres, *hash); err != nil {
		fmt.Fprintln(os.Stderr, "migration:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, name, postgres string, hash bool) error {
	sqliteDir, postgresDir := filepath.Join(dir, "sqlite"), filepath.Join(dir, "postgres")
	if hash {
		return errors.Join(rehash(sqliteDir), rehash(postgresDir))
	}
	if name == "" || postgres == "" {
		return errors.New("--name and --postgres are needed")
	}
	return errors.Join(
		ignoreNoPlan(diffSQLite(ctx, sqliteDir, name)),
		ignoreNoPlan(diffPostgres(ctx, postgresDir, postgres, name)),
	)
}

func rehash(dir string) error {
	d, err := migrate.NewLocalDir(dir)
	if err != nil {
		return err
	}
	sum, err := d.Checksum()
	if err != nil {
		return err
	}
	return migrate.WriteSumFile(d, sum)
}

func ignoreNoPlan(err error) error {
	if errors.Is(err, migrate.ErrNoPlan) {
		return nil
	}
	return err
}

// diffSQLite writes what the schema has and the files in dir do not make. Without a
// difference it writes nothing and answers migrate.ErrNoPlan.
func diffSQLite(ctx context.Context, dir, name string) error {
	return diff(ctx, dialect.SQLite, "sqlite3", "file:migration?mode=memory&cache=shared&_foreign_keys=on", dir, name)
}

// diffPostgres is diffSQLite on an empty PostgreSQL database.
func diffPostgres(ctx context.Context, dir, address, name string) error {
	return diff(ctx, dialect.Postgres, "pgx", address, dir, name)
}

func diff(ctx context.Context, entDialect, driver, address, dir, name string) error {
	local, err := migrate.NewLocalDir(dir)
	if err != nil {
		return err
	}
	db, err := entsql.Open(driver, address)
	if err != nil {
		return fmt.Errorf("open the scratch database: %w", err)
	}
	defer func() { _ = db.Close() }()
	m, err := schema.NewMigrate(entsql.OpenDB(entDialect, db.DB()),
		schema.WithDir(local),
		schema.WithMigrationMode(schema.ModeReplay),
		schema.WithFormatter(migrate.DefaultFormatter),
		schema.WithErrNoPlan(true),
		schema.WithDropColumn(true),
		schema.WithDropIndex(true),
	)
	if err != nil {
		return err
	}
	if err := m.NamedDiff(ctx, name, entmigrate.Tables...); err != nil {
		return fmt.Errorf("%s: %w", entDialect, err)
	}
	return nil
}
