package transport

import (
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// public tells whether every root field of an operation may be had by anybody.
func public(op *graphql.OperationContext, fields []string) bool {
	return publicSelection(op.Operation.SelectionSet, fields)
}

func publicSelection(set ast.SelectionSet, fields []string) bool {
	for _, selection := range set {
		ok := false
		switch s := selection.(type) {
		case *ast.Field:
			ok = strings.HasPrefix(s.Name, "__") || slices.Contains(fields, s.Name)
		case *ast.InlineFragment:
			ok = publicSelection(s.SelectionSet, fields)
		case *ast.FragmentSpread:
			ok = s.Definition != nil && publicSelection(s.Definition.SelectionSet, fields)
		}
		if !ok {
			return false
		}
	}
	return true
}
