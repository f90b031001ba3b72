package transport

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Cost is what an operation costs by the schema's own reckoning, and what it may cost:
// one for a field, and for a list its size times what an item costs; the lists of
// introspection have the schema's own sizes. A client gets it in extensions.cost if its request has extensions {"cost": true} or the header
// GraphQL-Cost: report.
type Cost struct {
	Requested int `json:"requested"`
	Limit     int `json:"limit"`
}

const costKey = "Cost"

// asksForCost tells whether a request wants to know.
func asksForCost(op *graphql.OperationContext) bool {
	asked, _ := op.Extensions["cost"].(bool)
	return asked || strings.EqualFold(op.Headers.Get("GraphQL-Cost"), "report")
}

// cost is the cost of a validated operation. A fragment is reckoned once.
func (e *engine) cost(ctx context.Context, op *graphql.OperationContext) Cost {
	c := e.costing(ctx, op.Variables)
	return Cost{Requested: c.set(op.Operation.SelectionSet), Limit: e.cfg.Limits.Cost}
}

func (e *engine) costing(ctx context.Context, variables map[string]any) *costing {
	return &costing{
		ctx: ctx, schema: e.cfg.Schema, sizes: e.sizes, variables: variables, fragments: map[*ast.FragmentDefinition]int{},
	}
}

type costing struct {
	ctx       context.Context
	schema    graphql.ExecutableSchema
	sizes     map[string]int
	variables map[string]any
	fragments map[*ast.FragmentDefinition]int
	steps     int // selections looked at, for tests
}

func (c *costing) set(set ast.SelectionSet) int {
	sum := 0
	for _, selection := range set {
		c.steps++
		switch s := selection.(type) {
		case *ast.Field:
			sum = plus(sum, c.field(s))
		case *ast.InlineFragment:
			sum = plus(sum, c.set(s.SelectionSet))
		case *ast.FragmentSpread:
			sum = plus(sum, c.fragment(s.Definition))
		}
	}
	return sum
}

func (c *costing) fragment(definition *ast.FragmentDefinition) int {
	cost, known := c.fragments[definition]
	if !known {
		cost = c.set(definition.SelectionSet)
		c.fragments[definition] = cost
	}
	return cost
}

func (c *costing) field(field *ast.Field) int {
	inside := c.set(field.SelectionSet)
	if strings.HasPrefix(field.ObjectDefinition.Name, "__") {
		return plus(1, times(max(c.sizes[field.Name], 1), inside))
	}
	arguments := field.ArgumentMap(c.variables)
	if field.ObjectDefinition.Kind != ast.Interface {
		return c.of(field.ObjectDefinition, field, inside, arguments)
	}
	most := 0 // an interface's field costs what it costs with the dearest type
	for _, possible := range c.schema.Schema().GetPossibleTypes(field.ObjectDefinition) {
		most = max(most, c.of(possible, field, inside, arguments))
	}
	return most
}

func (c *costing) of(object *ast.Definition, field *ast.Field, inside int, arguments map[string]any) int {
	cost, ok := c.schema.Complexity(c.ctx, object.Name, field.Name, inside, arguments)
	if !ok || cost < 1 || cost > enough {
		// One of its own is overdrawn where sizes were multiplied beyond all numbers.
		if ok && inside > 0 && (cost < 1 || cost > enough) {
			return enough
		}
		return plus(1, inside)
	}
	return cost
}

// introspected is how long the lists of introspection are in a schema, those of each
// type on average.
func introspected(schema *ast.Schema) map[string]int {
	var fields, arguments, inputs, values int
	for _, t := range schema.Types {
		values += len(t.EnumValues)
		if t.Kind == ast.InputObject {
			inputs += len(t.Fields)
			continue
		}
		fields += len(t.Fields)
		for _, field := range t.Fields {
			arguments += len(field.Arguments)
		}
	}
	average := func(sum, n int) int { return (sum + n - 1) / max(n, 1) }
	types := len(schema.Types)
	return map[string]int{
		"types":         types,
		"directives":    len(schema.Directives),
		"fields":        average(fields, types),
		"args":          average(arguments, fields),
		"inputFields":   average(inputs, types),
		"enumValues":    average(values, types),
		"interfaces":    1,
		"possibleTypes": 1,
	}
}

// times multiplies, up to enough.
func times(a, b int) int {
	if b != 0 && a > enough/b {
		return enough
	}
	return a * b
}
