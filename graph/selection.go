package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// plain is the context in which a list is read: what the client selects of it, by the
// fields' own names. entgql looks for edges, node, pageInfo and totalCount by their
// aliases, answers an empty list or a zero where it does not find them, and guesses
// pageInfo when the edges are not asked for.
func plain(ctx context.Context) context.Context {
	field := graphql.GetFieldContext(ctx)
	if field == nil {
		return ctx
	}
	list := field.Field
	list.Selections = byName(graphql.GetOperationContext(ctx), list.Selections)
	if has(list.Selections, "pageInfo") && !has(list.Selections, "edges") {
		list.Selections = append(list.Selections, &ast.Field{Name: "edges", Alias: "edges"})
	}
	return graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: field.Object, Args: field.Args, Field: list})
}

// byName is a list's selection without fragments and aliases, down to its nodes.
func byName(op *graphql.OperationContext, set ast.SelectionSet) ast.SelectionSet {
	var named ast.SelectionSet
	for _, f := range graphql.CollectFields(op, set, nil) {
		field := *f.Field
		field.Alias, field.SelectionSet = field.Name, f.Selections
		if field.Name == "edges" {
			field.SelectionSet = byName(op, f.Selections)
		}
		named = append(named, &field)
	}
	return named
}

func has(set ast.SelectionSet, name string) bool {
	for _, selection := range set {
		if field, ok := selection.(*ast.Field); ok && field.Name == name {
			return true
		}
	}
	return false
}
