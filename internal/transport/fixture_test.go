package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// fixtureSchema is a schema that this room has never heard of.
const fixtureSchema = `
scalar Upload
enum Colour { RED GREEN }
input Filter { colour: Colour, words: [String!] }
interface Node { id: ID! }
type Item implements Node { id: ID!  name: String!  items(first: Int, filter: Filter): [Item!]!  broken: String!  flawed: String }
type Query {
  hello(name: String): String
  secret: String
  open: String
  item(id: ID!, filter: Filter): Item
  items(first: Int, filter: Filter): [Item!]!
  node(id: ID!): Node
  long(n: Int!): String
}
type Mutation {
  set(value: String!): String
  upload(file: Upload!): String
  uploads(files: [Upload!]!): [String!]
}
type Subscription {
  count(to: Int!, after: String): Int
  silence: Int
}
`

// fixture runs the schema by walking the operation.
type fixture struct{ schema *ast.Schema }

var _ graphql.ExecutableSchema = fixture{}

func newFixture() fixture {
	return fixture{gqlparser.MustLoadSchema(&ast.Source{Name: "fixture", Input: fixtureSchema})}
}

// Schema is the fixture's.
func (f fixture) Schema() *ast.Schema { return f.schema }

// Complexity multiplies by first.
func (f fixture) Complexity(_ context.Context, _, field string, inside int, args map[string]any) (int, bool) {
	if field != "items" {
		return 0, false
	}
	n := 10
	if first, err := graphql.UnmarshalInt(args["first"]); err == nil && args["first"] != nil {
		n = first
	}
	return 1 + n*inside, true
}

// Exec runs the operation in the context.
func (f fixture) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	switch op.Operation.Operation {
	case ast.Subscription:
		return f.subscribe(ctx, op)
	case ast.Mutation:
		return f.once(op, f.schema.Mutation)
	default:
		return f.once(op, f.schema.Query)
	}
}

func (f fixture) once(op *graphql.OperationContext, root *ast.Definition) graphql.ResponseHandler {
	asked := false
	return func(ctx context.Context) *graphql.Response {
		if asked {
			return nil
		}
		asked = true
		return f.response(ctx, op, root, map[string]any{})
	}
}

func (f fixture) response(ctx context.Context, op *graphql.OperationContext, root *ast.Definition, values map[string]any) *graphql.Response {
	var b bytes.Buffer
	if err := f.object(ctx, op, root, op.Operation.SelectionSet, values, &b); err != nil {
		graphql.AddError(ctx, err)
		return &graphql.Response{Data: json.RawMessage("null")}
	}
	return &graphql.Response{Data: b.Bytes()}
}

func (f fixture) subscribe(ctx context.Context, op *graphql.OperationContext) graphql.ResponseHandler {
	field := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})[0]
	args := field.ArgumentMap(op.Variables)
	if field.Name == "silence" {
		return func(context.Context) *graphql.Response { <-ctx.Done(); return nil }
	}
	to, _ := graphql.UnmarshalInt(args["to"])
	n := 0
	if after, ok := args["after"].(string); ok {
		var err error
		if n, err = strconv.Atoi(after); err != nil {
			graphql.AddError(ctx, errors.New("after is not a position"))
		}
	}
	UpTo(ctx, int64(n))
	return func(ctx2 context.Context) *graphql.Response {
		if n++; n > to {
			return nil
		}
		At(ctx, int64(n))
		return f.response(ctx2, op, f.schema.Subscription, map[string]any{"count": n})
	}
}

func (f fixture) object(ctx context.Context, op *graphql.OperationContext, of *ast.Definition, set ast.SelectionSet, values map[string]any, b *bytes.Buffer) error {
	satisfies := append([]string{of.Name}, of.Interfaces...)
	b.WriteByte('{')
	for i, field := range graphql.CollectFields(op, set, satisfies) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", field.Alias)
		if err := f.field(ctx, op, of, field, values, b); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func (f fixture) field(ctx context.Context, op *graphql.OperationContext, of *ast.Definition, field graphql.CollectedField, values map[string]any, b *bytes.Buffer) error {
	if field.Name == "__typename" {
		fmt.Fprintf(b, "%q", of.Name)
		return nil
	}
	if field.Name == "__schema" || field.Name == "__type" {
		b.WriteString("null")
		return nil
	}
	args := field.ArgumentMap(op.Variables)
	item := f.schema.Types["Item"]
	switch field.Name {
	case "item", "node":
		return f.object(ctx, op, item, field.Selections, map[string]any{"id": args["id"], "name": "an item"}, b)
	case "items":
		n, _ := graphql.UnmarshalInt(args["first"])
		b.WriteByte('[')
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := f.object(ctx, op, item, field.Selections, map[string]any{"id": strconv.Itoa(i), "name": "an item"}, b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case "flawed":
		graphql.AddError(ctx, errors.New("it has a flaw"))
		b.WriteString("null")
		return nil
	case "broken":
		return gqlerror.WrapPath(ast.Path{ast.PathName(field.Alias)}, errors.New("it is broken"))
	}
	raw, err := json.Marshal(answers(field.Name, args, values))
	b.Write(raw)
	return err
}

func answers(name string, args, values map[string]any) any {
	switch name {
	case "hello":
		if args["name"] == nil {
			return "Hello"
		}
		return fmt.Sprintf("Hello %v", args["name"])
	case "secret":
		return "a secret"
	case "open":
		return "anybody's"
	case "long":
		n, _ := graphql.UnmarshalInt(args["n"])
		return string(bytes.Repeat([]byte("long "), n))
	case "set":
		return args["value"]
	case "upload":
		return described(args["file"])
	case "uploads":
		var all []string
		for _, file := range args["files"].([]any) {
			all = append(all, described(file))
		}
		return all
	}
	return values[name]
}

func described(file any) string {
	upload, err := graphql.UnmarshalUpload(file)
	if err != nil {
		return err.Error()
	}
	content, err := io.ReadAll(upload.File)
	if err != nil {
		return err.Error()
	}
	if len(content) > 20 {
		return fmt.Sprintf("%s %d", upload.Filename, len(content))
	}
	return fmt.Sprintf("%s %s", upload.Filename, content)
}

type viewerKey struct{}

// fixtureConfig lets "good" in, and is open to anybody in all but secret and set.
func fixtureConfig() Config {
	return Config{
		Schema: newFixture(),
		Authenticate: func(ctx context.Context, bearer string) (context.Context, error) {
			if bearer == "unknown" {
				return ctx, ErrUnavailable
			}
			if bearer != "good" && bearer != "better" {
				return ctx, errors.New("no such token")
			}
			return context.WithValue(ctx, viewerKey{}, bearer), nil
		},
		SignedIn: func(ctx context.Context) bool { return ctx.Value(viewerKey{}) != nil },
		Watch:    func(context.Context, func(error)) func() { return func() {} },
		PublicFields: []string{
			"hello", "open", "item", "items", "node", "long", "upload", "uploads", "set", "count", "silence",
		},
		Unauthenticated: func(context.Context) *gqlerror.Error {
			return &gqlerror.Error{Message: "sign in", Extensions: map[string]any{"code": "UNAUTHENTICATED"}}
		},
		Introspection:    true,
		PositionArgument: "after",
		EventID: func(_ *graphql.OperationContext, _ *ast.Field, position int64) string {
			return strconv.FormatInt(position, 10)
		},
		Limits: Limits{Rate: -1},
	}
}

// serves starts a handler on a port of its own and returns its address.
func serves(t *testing.T, change func(*Config)) string {
	t.Helper()
	cfg := fixtureConfig()
	if change != nil {
		change(&cfg)
	}
	handler := New(cfg)
	t.Cleanup(func() {
		if err := handler.Close(); err != nil {
			t.Error(err)
		}
	})
	return servesHandler(t, handler)
}

// servesHandler is serves with a handler that is there already.
func servesHandler(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}
