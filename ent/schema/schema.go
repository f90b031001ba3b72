// Package schema declares the entities: what is stored, what is unique, and which
// columns the lists and claims run along. No behaviour lives here.
//
// Foreign keys are fields, so that index columns stand in the order they are
// written. Every time is UTC, cut to milliseconds, and stamped by the caller's
// clock: no field has a time of its own making.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"

	"causeway"
)

// identified gives an entity its TypeID.
type identified struct {
	mixin.Schema
	prefix string
}

func (m identified) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").
			GoType(causeway.ID("")).
			DefaultFunc(func() causeway.ID { return causeway.NewID(m.prefix) }).
			Immutable(),
	}
}

// with is the mixin of an entity whose ids have this prefix.
func with(prefix string) []ent.Mixin { return []ent.Mixin{identified{prefix: prefix}} }

// ref is the column of a foreign key that never changes.
func ref(name string) ent.Field {
	return field.String(name).GoType(causeway.ID("")).Immutable()
}

// optionalRef is the column of a foreign key that may be empty and may change.
func optionalRef(name string) ent.Field {
	return field.String(name).GoType(causeway.ID("")).Optional().Nillable()
}

// rawBytes is the column type of bytes that are kept as they came.
var rawBytes = map[string]string{dialect.SQLite: "blob", dialect.Postgres: "bytea"}
