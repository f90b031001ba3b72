// Package scalar says how the schema's own scalars are written and read.
package scalar

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"causeway"
	"causeway/ent"
)

// timeFormat is RFC 3339 with milliseconds, as both databases keep them.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// maxCursor bounds what is read as a cursor; ours have about a hundred characters.
const maxCursor = 1024

// MarshalTime writes an instant in UTC with milliseconds.
func MarshalTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		b := make([]byte, 0, len(timeFormat)+2)
		b = append(b, '"')
		b = t.UTC().AppendFormat(b, timeFormat)
		b = append(b, '"')
		_, _ = w.Write(b)
	})
}

// UnmarshalTime reads RFC 3339 with an offset and cuts it to milliseconds.
func UnmarshalTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, badInput("a Time is a string such as \"2026-01-31T12:00:00Z\"")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, badInput("a Time is RFC 3339 with offset, such as \"2026-01-31T12:00:00Z\"")
	}
	return causeway.Stamp(t), nil
}

// MarshalCursor writes a position.
func MarshalCursor(c ent.Cursor) graphql.Marshaler {
	return graphql.WriterFunc(c.MarshalGQL)
}

// UnmarshalCursor reads a position that this server wrote. A time in it is read as
// both databases keep times; msgpack would answer it in the machine's own zone, which
// SQLite, comparing text, takes for another time.
func UnmarshalCursor(v any) (ent.Cursor, error) {
	var c ent.Cursor
	if s, ok := v.(string); !ok || len(s) > maxCursor {
		return c, badInput("a Cursor is passed back as this server gave it")
	}
	if err := c.UnmarshalGQL(v); err != nil {
		return c, badInput("a Cursor is passed back as this server gave it")
	}
	if at, ok := c.Value.(time.Time); ok {
		c.Value = causeway.Stamp(at)
	}
	return c, nil
}

// MarshalJSON writes stored JSON out unparsed; what is not valid JSON as a string.
func MarshalJSON(raw json.RawMessage) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		if !json.Valid(raw) {
			_, _ = io.WriteString(w, strconv.QuoteToASCII(string(raw)))
			return
		}
		_, _ = w.Write(raw)
	})
}

// UnmarshalJSON reads any value.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, badInput("not a JSON value")
	}
	return raw, nil
}

// badInput is refused with words for the developer who wrote the query.
func badInput(words string) error {
	return &InputError{words}
}

// InputError is a value that a scalar cannot be read from.
type InputError struct{ words string }

// Error tells the developer what the scalar looks like.
func (e *InputError) Error() string { return e.words }

// Is makes it a BAD_USER_INPUT.
func (e *InputError) Is(target error) bool {
	c, ok := target.(*causeway.Error)
	return ok && c.Code == causeway.BadUserInput
}
