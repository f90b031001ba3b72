package store

import (
	"context"
	"strings"
	"unicode/utf8"

	"entgo.io/ent"
)

// Clean is text as both databases can keep it: valid UTF-8 without NUL, which
// PostgreSQL takes no more than broken bytes.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// storeCleanText cleans every text field of everything that is written through ent.
func storeCleanText(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		for _, name := range m.Fields() {
			v, _ := m.Field(name)
			text, ok := v.(string)
			if !ok {
				continue
			}
			if clean := Clean(text); clean != text {
				if err := m.SetField(name, clean); err != nil {
					return nil, err
				}
			}
		}
		return next.Mutate(ctx, m)
	})
}
