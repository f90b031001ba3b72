package graph

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"causeway"
	"causeway/ent"
)

// Page sizes of the contract.
const (
	defaultPage = 50
	maxPage     = 200
)

// Pages is the extension that gives every list of an operation a size before
// anything reads its arguments: entgql knows no default and no maximum, and would
// read a table whole.
type Pages struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = Pages{}

// ExtensionName names it for gqlgen.
func (Pages) ExtensionName() string { return "Pages" }

// Validate has nothing to check.
func (Pages) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext writes first: 50 where neither first nor last is given, and
// refuses an operation with a size that no list has. The document belongs to this
// operation alone: documents are not cached.
func (Pages) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if err := sizePages(op.Operation.SelectionSet, op.Variables); err != nil {
		return err
	}
	for _, fragment := range op.Doc.Fragments {
		if err := sizePages(fragment.SelectionSet, op.Variables); err != nil {
			return err
		}
	}
	return nil
}

func sizePages(set ast.SelectionSet, variables map[string]any) *gqlerror.Error {
	for _, selection := range set {
		var err *gqlerror.Error
		switch s := selection.(type) {
		case *ast.Field:
			if err = sizePage(s, variables); err == nil {
				err = sizePages(s.SelectionSet, variables)
			}
		case *ast.InlineFragment:
			err = sizePages(s.SelectionSet, variables)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sizePage(field *ast.Field, variables map[string]any) *gqlerror.Error {
	if field.Definition == nil || field.Definition.Arguments.ForName("first") == nil {
		return nil
	}
	isRelay := field.Definition.Arguments.ForName("last") != nil
	first, err := size(field, "first", variables)
	if err != nil {
		return err
	}
	last, err := size(field, "last", variables)
	if err != nil {
		return err
	}
	switch {
	case first != nil && last != nil:
		return badPage(field, "give first or last, not both")
	case isRelay && first == nil && last == nil:
		giveFirst(field)
	case first == nil && last == nil:
		leaveOut(field, "first") // null is as if it were left out: the schema's default
	}
	return nil
}

func leaveOut(field *ast.Field, name string) {
	field.Arguments = slices.DeleteFunc(field.Arguments, func(a *ast.Argument) bool { return a.Name == name })
}

// size reads an argument; nil if it is not given, or null.
func size(field *ast.Field, name string, variables map[string]any) (*int64, *gqlerror.Error) {
	argument := field.Arguments.ForName(name)
	if argument == nil {
		return nil, nil
	}
	value, err := argument.Value.Value(variables)
	if err != nil || value == nil {
		return nil, nil
	}
	n, err := graphql.UnmarshalInt64(value)
	if err != nil || n < 0 || n > maxPage {
		return nil, badPage(field, fmt.Sprintf("%s is a number from 0 to %d", name, maxPage))
	}
	return &n, nil
}

func giveFirst(field *ast.Field) {
	value := &ast.Value{
		Raw:      strconv.Itoa(defaultPage),
		Kind:     ast.IntValue,
		Position: field.Position,
	}
	if argument := field.Arguments.ForName("first"); argument != nil {
		argument.Value = value
		return
	}
	field.Arguments = append(field.Arguments, &ast.Argument{Name: "first", Value: value, Position: field.Position})
}

func badPage(field *ast.Field, message string) *gqlerror.Error {
	err := &gqlerror.Error{
		Message:    field.Name + ": " + message,
		Extensions: map[string]any{"code": string(causeway.BadUserInput)},
	}
	if p := field.Position; p != nil {
		err.Locations = []gqlerror.Location{{Line: p.Line, Column: p.Column}}
	}
	return err
}

func cursorText(c ent.Cursor) string {
	var b strings.Builder
	c.MarshalGQL(&b)
	text, err := strconv.Unquote(b.String())
	if err != nil {
		return b.String()
	}
	return text
}

// orderedBy is what a list's cursors hold besides the id of their row.
type orderedBy string

const (
	byTime   orderedBy = "time"
	byNumber orderedBy = "number"
)

// of refuses cursors that another kind of list gave: the database would compare what
// cannot be compared, or answer nonsense.
func (p page) of(prefix string, by orderedBy) error {
	for name, cursor := range map[string]*ent.Cursor{"after": p.after, "before": p.before} {
		if cursor == nil || cursor.ID.Prefix() == prefix && orderOf(cursor.Value) == by {
			continue
		}
		return causeway.Fail(causeway.BadUserInput).At(name)
	}
	return nil
}

func orderOf(value any) orderedBy {
	if _, ok := value.(time.Time); ok {
		return byTime
	}
	if v := reflect.ValueOf(value); v.CanInt() || v.CanUint() {
		return byNumber
	}
	return ""
}
