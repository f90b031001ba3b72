//go:build ignore

// Command entc generates the package ent from ent/schema.
package main

import (
	"bytes"
	"errors"
	"log"
	"os"
	"regexp"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

func main() {
	// Without the transaction template: a transaction that spans a GraphQL operation
	// would stay open across calls to platforms.
	gql, err := entgql.NewExtension(entgql.WithTemplates(
		entgql.CollectionTemplate,
		entgql.EnumTemplate,
		entgql.NodeTemplate,
		entgql.PaginationTemplate,
		entgql.EdgeTemplate,
	))
	if err != nil {
		log.Fatalf("entgql: %v", err)
	}
	err = entc.Generate("./schema", &gen.Config{
		Features: []gen.Feature{
			gen.FeatureIntercept,
			gen.FeatureLock,
			gen.FeatureUpsert,
			gen.FeatureModifier,
			gen.FeatureExecQuery,
		},
	}, entc.Extensions(gql))
	if err != nil {
		log.Fatalf("ent: %v", err)
	}
	if err := keepColumnsOfAliases("gql_collection.go"); err != nil {
		log.Fatalf("entgql: %v", err)
	}
}

// eagerEdge is where entgql notes what to load of an edge to one object.
var eagerEdge = regexp.MustCompile(`(?m)^(\t+)_q\.(with[A-Z]\w*) = query$`)

// keepColumnsOfAliases mends what entgql does to an object that is asked for twice
// under two names: it loads the columns of the last alone, and the first one's fields
// are empty. Asked for twice, all columns are loaded.
func keepColumnsOfAliases(file string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	mended := eagerEdge.ReplaceAll(source, []byte("${1}if _q.${2} != nil {\n${1}\tquery.ctx.Fields = nil\n${1}}\n${1}_q.${2} = query"))
	if bytes.Equal(mended, source) {
		return errors.New("nothing was found to mend: has the template changed?")
	}
	return os.WriteFile(file, mended, 0o644)
}
