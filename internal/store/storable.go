package store

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"entgo.io/ent"

	"causeway"
)

// Clean is text as both databases can keep it: valid UTF-8 without NUL, which
// PostgreSQL takes no more than broken bytes.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// storable makes everything that is written through ent comparable on both databases:
// texts as Clean does, times as causeway.Stamp does. SQLite keeps a time as text with
// its zone, and compares it as text: one that is not UTC would stand in the wrong place.
func storable(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		for _, name := range m.Fields() {
			value, _ := m.Field(name)
			clean := value
			switch v := value.(type) {
			case string:
				clean = Clean(v)
			case time.Time:
				clean = causeway.Stamp(v)
			default:
				continue
			}
			if clean == value {
				continue
			}
			if err := m.SetField(name, clean); err != nil {
				return nil, err
			}
		}
		return next.Mutate(ctx, m)
	})
}
