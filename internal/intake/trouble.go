package intake

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"

	"causeway/internal/bus"
	"causeway/internal/store"
)

// errorLength is how long the error of a log may be, in characters.
const errorLength = 500

// OurTrouble tells whether err is this server's own trouble, so that the same can
// succeed later without any change: the database does not answer, is full, ended a
// transaction in favour of another; the bus is closed; a deadline passed. What the
// database refuses because of the data is not, except that somebody else was first.
func OurTrouble(err error) bool {
	if store.IsTaken(err) {
		return true
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		switch e.Code {
		case sqlite3.ErrConstraint, sqlite3.ErrTooBig, sqlite3.ErrMismatch, sqlite3.ErrError, sqlite3.ErrRange:
			return false
		}
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch class := e.Code[:min(2, len(e.Code))]; class {
		case "22", "23", "42": // data, integrity, syntax
			return false
		}
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, ours := range []error{
		context.Canceled, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, bus.ErrClosed,
	} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

// panicked is a panic while an update was applied. What was panicked with can hold
// anything, so only its type is kept.
type panicked struct{ kind string }

func (p panicked) Error() string { return "the program panicked (" + p.kind + ")" }

// quoted is what an error quotes: perhaps the words of a customer.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`)

// sentence is err for people to read: without anything it quotes, since that may be
// what a customer wrote, and not longer than a log keeps. A database's own words hold
// values, so of those only the code is told.
func sentence(err error) string {
	var text string
	sqlite, isSQLite := errors.AsType[sqlite3.Error](err)
	postgres, isPostgres := errors.AsType[*pgconn.PgError](err)
	switch {
	case isSQLite:
		text = fmt.Sprintf("trouble with the database (SQLite %d)", sqlite.ExtendedCode)
	case isPostgres:
		text = fmt.Sprintf("trouble with the database (SQLSTATE %s)", postgres.Code)
	default:
		text = quoted.ReplaceAllLiteralString(err.Error(), `"…"`)
	}
	text = strings.Join(strings.Fields(store.Clean(text)), " ")
	if runes := []rune(text); len(runes) > errorLength {
		text = string(runes[:errorLength-1]) + "…"
	}
	return text
}
