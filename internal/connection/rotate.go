package connection

import (
	"context"
	"database/sql"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/ent/facebooklogin"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// rotateBatch is how many rows are looked at, and at most sealed anew, in one
// transaction: little enough that whoever waits for one of them does not notice.
const rotateBatch = 50

// secretColumns are where sealed secrets are kept, each table's sealed with its row's id.
var secretColumns = []struct {
	table   string
	columns []string
}{
	{entconnection.Table, []string{
		entconnection.FieldSealedToken, entconnection.FieldSealedUserToken,
		entconnection.FieldSealedAppSecret, entconnection.FieldSealedWebhookSecret,
	}},
	{facebooklogin.Table, []string{facebooklogin.FieldSealedToken}},
}

// Rotation is what RotateSecrets did.
type Rotation struct {
	// Renewed counts the secrets that were sealed with the newest key.
	Renewed int
	// Lost are the rows with a secret that no key opens, which stays as it is.
	Lost []causeway.ID
}

// RotateSecrets seals every stored secret anew that another key than the ring's first
// sealed. Servers may run meanwhile if they have that key, too: to them it is as if the
// connection had been authorised again, so that what was being found out about one just
// then is found out once more. It can be repeated, and goes on where it was cut off: what
// it tells together with an error was done. A secret that no key opens ends nothing.
func RotateSecrets(ctx context.Context, db *store.Store, keys *secret.Ring) (Rotation, error) {
	var all Rotation
	for _, of := range secretColumns {
		var last causeway.ID
		for {
			var batch Rotation
			var read []sealedRow
			err := db.InTx(ctx, func(tx *store.Tx) (err error) {
				if read, err = sealedRows(tx, of.table, of.columns, last); err != nil {
					return err
				}
				batch, err = reseal(tx, of.table, of.columns, read, keys)
				return err
			})
			if err != nil {
				return all, fmt.Errorf("seal the secrets of %s anew: %w", of.table, err)
			}
			all.Renewed += batch.Renewed
			all.Lost = append(all.Lost, batch.Lost...)
			if len(read) < rotateBatch {
				break
			}
			last = read[len(read)-1].id
		}
	}
	return all, nil
}

// sealedRow is a row's secrets, in the order of its table's columns; empty where it has
// none.
type sealedRow struct {
	id      causeway.ID
	secrets [][]byte
}

// sealedRows are the next rows after one that hold any secret. Nobody else changes them
// until the transaction ends; on SQLite the transaction itself is the lock.
func sealedRows(tx *store.Tx, table string, columns []string, after causeway.ID) ([]sealedRow, error) {
	var rows []sealedRow
	err := tx.Rows(selectSealed(tx.SQL(), table, columns, after), func(scan *sql.Rows) error {
		row := sealedRow{secrets: make([][]byte, len(columns))}
		into := []any{&row.id}
		for i := range row.secrets {
			into = append(into, &row.secrets[i])
		}
		if err := scan.Scan(into...); err != nil {
			return err
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// selectSealed is the statement of sealedRows. It runs along the primary key.
func selectSealed(db *entsql.DialectBuilder, table string, columns []string, after causeway.ID) entsql.Querier {
	const id = "id"
	var held []*entsql.Predicate
	for _, column := range columns {
		held = append(held, entsql.NotNull(column))
	}
	query := db.Select(append([]string{id}, columns...)...).
		From(entsql.Table(table)).
		Where(entsql.And(entsql.GT(id, string(after)), entsql.Or(held...))).
		OrderBy(id).
		Limit(rotateBatch)
	if query.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	return query
}

// reseal seals anew what is not sealed with the newest key.
func reseal(tx *store.Tx, table string, columns []string, rows []sealedRow, keys *secret.Ring) (done Rotation, err error) {
	for _, row := range rows {
		update, renewed, lost := tx.SQL().Update(table), 0, false
		for i, was := range row.secrets {
			if len(was) == 0 || !keys.NeedsRotation(was) {
				continue
			}
			plain, err := keys.Open(was, row.id)
			if err != nil {
				lost = true
				continue
			}
			now, err := keys.Seal(plain, row.id)
			if err != nil {
				return Rotation{}, err
			}
			update.Set(columns[i], now)
			renewed++
		}
		if lost {
			done.Lost = append(done.Lost, row.id)
		}
		if renewed == 0 {
			continue
		}
		if _, err := tx.Run(update.Where(entsql.EQ("id", string(row.id)))); err != nil {
			return Rotation{}, err
		}
		done.Renewed += renewed
	}
	return done, nil
}
