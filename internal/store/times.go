package store

import (
	"context"
	"time"

	"entgo.io/ent"

	"causeway"
)

// storeStampedTimes cuts every time that is written through ent as causeway.Stamp
// does. SQLite keeps a time as text with its zone, and compares it as text: one that
// is not UTC would stand in the wrong place.
func storeStampedTimes(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		for _, name := range m.Fields() {
			v, _ := m.Field(name)
			at, ok := v.(time.Time)
			if !ok {
				continue
			}
			if err := m.SetField(name, causeway.Stamp(at)); err != nil {
				return nil, err
			}
		}
		return next.Mutate(ctx, m)
	})
}
