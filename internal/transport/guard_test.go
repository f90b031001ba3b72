package transport

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// many repeats a text with its number in place of every #.
func many(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// inside nests n times.
func inside(n int, open, core, shut string) string {
	return strings.Repeat(open, n) + core + strings.Repeat(shut, n)
}

// bombs are documents that grow with n: short to write, and dear for a server that
// follows them.
var bombs = map[string]func(n int) string{
	"fragments that double": func(n int) string {
		return "{...F0}" + many(n, "fragment F# on Query{a:hello ...G# ...G#}") + many(n, "fragment G# on Query{...F#1}")
	},
	"fragments that double, each the next": func(n int) string {
		var b strings.Builder
		b.WriteString("{...F0}")
		for i := range n {
			fmt.Fprintf(&b, "fragment F%d on Query{...F%d ...F%d}", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "fragment F%d on Query{hello}", n)
		return b.String()
	},
	"fragments that double inside fields": func(n int) string {
		var b strings.Builder
		b.WriteString("{item(id:1){...F0}}")
		for i := range n {
			fmt.Fprintf(&b, "fragment F%d on Item{a:items{...F%d} b:items{...F%d}}", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "fragment F%d on Item{id}", n)
		return b.String()
	},
	"the same field":               func(n int) string { return "{" + strings.Repeat("hello ", n) + "}" },
	"the same field with fields":   func(n int) string { return "{" + strings.Repeat("item(id:1){id name id name} ", n) + "}" },
	"the same field under aliases": func(n int) string { return "{" + many(n, "a#:hello ") + "}" },
	"the same alias deep inside": func(n int) string {
		return "{" + strings.Repeat("item(id:1){items(first:1){id id id id id id}}", n) + "}"
	},
	"fields inside each other": func(n int) string { return "{item(id:1){" + inside(n, "items(first:1){", "id", "}") + "}}" },
	"inline fragments inside each other": func(n int) string {
		return "{" + inside(n, "...{", strings.Repeat("hello ", n), "}") + "}"
	},
	"the same field inside inline fragments": func(n int) string {
		return "{item(id:1){" + inside(min(n, 50), "...{", strings.Repeat("id ", n), "}") + "}}"
	},
	"fragments side by side": func(n int) string {
		return "{" + many(n, "...F# ") + "}" + many(n, "fragment F# on Query{hello}")
	},
	"fragments that all use one": func(n int) string {
		return "{" + many(n, "...F# ") + "}" + many(n, "fragment F# on Query{...Big}") + "fragment Big on Query{" + many(n, "a#:hello ") + "}"
	},
	"fragments nobody uses": func(n int) string {
		return "{hello}" + many(n, "fragment F# on Query{...F0 ...Big}") + "fragment Big on Query{" + many(n, "a#:hello ") + "}"
	},
	"a chain of fragments":  func(n int) string { return "{...F0}" + chain(n) },
	"fragments in a circle": func(n int) string { return "{...F0}" + chain(n) + fmt.Sprintf("fragment F%d on Query{...F0}", n) },
	"operations that all use it": func(n int) string {
		return many(n, "query Q#{...Big}") + "fragment Big on Query{" + many(n, "a#:hello ") + "}"
	},
	"directives":                func(n int) string { return "{hello" + strings.Repeat(" @include(if:true)", n) + "}" },
	"unknown directives":        func(n int) string { return "{hello" + many(n, " @d#") + "}" },
	"a value inside a value":    func(n int) string { return "{hello(name:" + inside(n, "[", `"x"`, "]") + ")}" },
	"objects inside each other": func(n int) string { return "{items(filter:" + inside(n, "{a:", "1", "}") + "){id}}" },
	"a long list, often": func(n int) string {
		return "{" + many(n, "...F# ") + "}" + many(n, "fragment F# on Query{...Big}") +
			"fragment Big on Query{items(first:1,filter:{words:[" + strings.Repeat(`"x" `, n) + "]}){id}}"
	},
	"variables":                  func(n int) string { return "query(" + many(n, "$v#:Int ") + "){" + many(n, "a#:long(n:$v#) ") + "}" },
	"types inside each other":    func(n int) string { return "query($v:" + inside(n, "[", "Int", "]") + "){hello}" },
	"one mutation often":         func(n int) string { return "mutation{" + many(n, `a#:set(value:"x") `) + "}" },
	"comments":                   func(n int) string { return "{" + strings.Repeat("#\n", n) + "hello}" },
	"the schema often":           func(n int) string { return "{__schema{" + many(n, "a#:types{fields{args{type{name}}}}") + "}}" },
	"the schema inside itself":   func(n int) string { return "{__schema{types{" + inside(n, "fields{type{", "name", "}}") + "}}}" },
	"types of types":             func(n int) string { return `{__type(name:"Item"){` + inside(n, "ofType{", "name", "}") + "}}" },
	"lists of lists":             func(n int) string { return "{" + inside(min(n, 12), "items(first:200){", "id", "}") + "}" },
	"a text":                     func(n int) string { return `{hello(name:"` + strings.Repeat("x", 100*n) + `")}` },
	"names that nobody knows":    func(n int) string { return "{" + many(n, "helo# ") + "}" },
	"unions of everything":       func(n int) string { return `{node(id:1){` + strings.Repeat("...on Item{id name}", n) + "}}" },
	"a field beside its own set": func(n int) string { return "{" + many(n, "...{item(id:1){...{id}}}") + "}" },
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Query{hello ...F%d}", i, i+1)
	}
	return b.String()
}

// testEngine is an engine over the fixture.
func testEngine(limits Limits) *engine {
	cfg := fixtureConfig()
	cfg.Limits = limits
	if limits.Rate == 0 {
		cfg.Limits.Rate = -1
	}
	cfg = cfg.withDefaults()
	return newEngine(&cfg)
}

// prepared is whether a document passes everything before it runs.
func prepared(e *engine, query string) gqlerror.List {
	_, errs := e.prepare(context.Background(), &graphql.RawParams{Query: query})
	return errs
}

// visits is how often validation would look at something.
func visits(schema *ast.Schema, doc *ast.QueryDocument) (n int) {
	observers := &validator.Events{}
	observers.OnField(func(*validator.Walker, *ast.Field) { n++ })
	observers.OnFragmentSpread(func(*validator.Walker, *ast.FragmentSpread) { n++ })
	observers.OnInlineFragment(func(*validator.Walker, *ast.InlineFragment) { n++ })
	observers.OnDirective(func(*validator.Walker, *ast.Directive) { n++ })
	observers.OnValue(func(*validator.Walker, *ast.Value) { n++ })
	validator.Walk(schema, doc, observers)
	return n
}

func TestABombIsMeasuredInFewStepsAndRefused(t *testing.T) {
	t.Parallel()
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := testEngine(Limits{})
			refused := false
			for _, n := range []int{1, 4, 16, 64, 256, 1024, 4096, 8192} {
				query := bomb(n)
				work := workOf(t, e, query)
				if errs := prepared(e, query); len(errs) > 0 {
					refused = true
				}
				if work.measured > 2*e.cfg.Limits.Tokens+3*e.cfg.Limits.Walked {
					t.Errorf("n=%d: measured in %d steps", n, work.measured)
				}
				if work.validated > e.cfg.Limits.Walked {
					t.Errorf("n=%d: validation looks %d times", n, work.validated)
				}
				if work.reckoned > e.cfg.Limits.Tokens {
					t.Errorf("n=%d: the cost takes %d steps", n, work.reckoned)
				}
			}
			if !refused {
				t.Error("no size of it is refused")
			}
		})
	}
}

// worked is counted work on one document; none where the step before refused it.
type worked struct{ measured, validated, reckoned int }

func workOf(t testing.TB, e *engine, query string) (w worked) {
	t.Helper()
	if e.guard.size(query) != nil {
		return w
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, e.cfg.Limits.Tokens)
	if err != nil || len(doc.Operations) == 0 {
		return w
	}
	var refused *gqlerror.Error
	if w.measured, refused = e.guard.measured(doc); refused != nil {
		return w
	}
	w.validated = visits(e.cfg.Schema.Schema(), doc)
	if errs := e.validate(doc); len(errs) > 0 {
		if len(errs) > e.cfg.Limits.Errors {
			t.Errorf("%d errors are told", len(errs))
		}
		return w
	}
	for _, op := range doc.Operations {
		c := e.costing(context.Background(), nil)
		c.set(op.SelectionSet)
		w.reckoned += c.steps
	}
	return w
}

func TestTheIntrospectionQueriesOfToolsPass(t *testing.T) {
	t.Parallel()
	query, err := os.ReadFile("testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	if errs := prepared(testEngine(Limits{}), string(query)); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestEachLimitIsWhereItIsSet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits       Limits
		passes, over string
	}{
		"document":      {Limits{Document: 10}, `{hello}   `, `{hello}    `},
		"tokens":        {Limits{Tokens: 4}, `{hello open}`, `{hello a:open}`},
		"operations":    {Limits{Operations: 1}, `query A{hello}`, `query A{hello} query B{hello}`},
		"directives":    {Limits{Directives: 1}, `{hello @skip(if:false)}`, `{hello @skip(if:false) open @skip(if:false)}`},
		"fields":        {Limits{Fields: 3}, `{...F} fragment F on Query{hello open}`, `{...F open} fragment F on Query{hello open}`},
		"walked":        {Limits{Walked: 4}, `{...F hello} fragment F on Query{hello}`, `{...F hello} fragment F on Query{hello open}`},
		"values":        {Limits{Walked: 4}, `{items(filter:{words:[]}){id}}`, `{items(filter:{words:["a"]}){id}}`},
		"root fields":   {Limits{RootFields: 2}, `{hello ...{open}}`, `{hello ...{open a:open}}`},
		"same mutation": {Limits{SameMutation: 1}, `mutation{set(value:"a")}`, `mutation{set(value:"a") ...{b:set(value:"b")}}`},
		"depth":         {Limits{Depth: 2}, `{item(id:1){id}}`, `{item(id:1){items(first:1){id}}}`},
		"introspection": {Limits{IntrospectionDepth: 2, Depth: 1}, `{__schema{description}}`, `{__schema{types{name}}}`},
		"nesting":       {Limits{Nesting: 2}, `{...{hello}}`, `{...{...{hello}}}`},
		"nested lists":  {Limits{Nesting: 2}, `query($v:[String!]){items(first:1,filter:{words:$v}){id}}`, `query($v:[[[String!]]]){items(first:1,filter:{words:$v}){id}}`},
		"nested values": {Limits{Nesting: 2}, `{items(first:1,filter:{words:"a"}){id}}`, `{items(first:1,filter:{words:["a"]}){id}}`},
		"comparisons":   {Limits{Comparisons: 3}, `{hello hello hello}`, `{hello hello hello hello}`},
		"cost":          {Limits{Cost: 6}, `{items(first:5){id}}`, `{items(first:6){id}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := testEngine(c.limits)
			if errs := prepared(e, c.passes); len(errs) > 0 {
				t.Errorf("%s is within the limit and refused: %v", c.passes, errs)
			}
			if errs := prepared(e, c.over); len(errs) == 0 {
				t.Errorf("%s is beyond the limit and passes", c.over)
			} else if code := errs[0].Extensions["code"]; code != CodeTooComplex && name != "tokens" {
				t.Errorf("%s is refused as %v: %v", c.over, code, errs)
			}
		})
	}
}

func TestTheCostCountsWhatListsMultiply(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]int{
		`{hello}`:                              1,
		`{items(first:5){id name}}`:            11,
		`{items(first:5){items(first:5){id}}}`: 31,
		`{...F ...F} fragment F on Query{items(first:5){id}}`:                                          12,
		`{a:items(first:3){id} b:items(first:4){id}}`:                                                  9,
		`query($n:Int=7){items(first:$n){id}}`:                                                         8,
		`{items(first:2000000){items(first:2000000){items(first:2000000){items(first:2000000){id}}}}}`: enough,
	} {
		e := testEngine(Limits{Cost: enough})
		op, errs := e.prepare(context.Background(), &graphql.RawParams{Query: query})
		if len(errs) > 0 {
			t.Errorf("%s: %v", query, errs)
			continue
		}
		if got := e.cost(context.Background(), op).Requested; got != want {
			t.Errorf("%s costs %d, expected %d", query, got, want)
		}
	}
}

func TestTheCostIsShownToWhoAsks(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	plain := headers("Content-Type", asJSON)
	asked{header: plain, body: `{"query":"{hello}"}`, status: 200, hasNot: "cost"}.try(t, at)
	asked{header: plain, body: `{"query":"{hello}","extensions":{"cost":true}}`, status: 200, has: `"extensions":{"cost":{"requested":1,"limit":200000}}`}.try(t, at)
	asked{header: headers("Content-Type", asJSON, "GraphQL-Cost", "report"), body: `{"query":"{items(first:200){items(first:200){items(first:200){id}}}}"}`,
		status: 200, has: `"cost":{"requested":8040201`, hasNot: `"data"`}.try(t, at)
}

func TestAResponseHasAtMostTwentyErrors(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"{" + many(29, "helo# ") + "}",
		"{hello" + many(90, " @d#") + "}",
		"{items(first:50){flawed}}",
	} {
		e := testEngine(Limits{})
		params := &graphql.RawParams{Query: query}
		op, errs := e.prepare(t.Context(), params)
		response := e.refuse(t.Context(), op, errs)
		if len(errs) == 0 {
			responses, ctx := e.run(t.Context(), op)
			response = responses(ctx)
		}
		if len(response.Errors) != 20 {
			t.Errorf("%s has %d errors", query, len(response.Errors))
		}
	}
}

func FuzzGuard(f *testing.F) {
	for _, bomb := range bombs {
		for _, n := range []int{1, 3, 20} {
			f.Add(bomb(n))
		}
	}
	if query, err := os.ReadFile("testdata/introspection.graphql"); err == nil {
		f.Add(string(query))
	}
	e := testEngine(Limits{})
	f.Fuzz(func(t *testing.T, query string) {
		w := workOf(t, e, query)
		if w.measured > 2*tokens(query)+3*e.cfg.Limits.Walked || w.validated > e.cfg.Limits.Walked || w.reckoned > e.cfg.Limits.Tokens {
			t.Errorf("%+v for %q", w, query)
		}
		for _, err := range prepared(e, query) {
			if err.Message == "" {
				t.Errorf("an error without words for %q", query)
			}
		}
	})
}

// tokens counts a document's tokens.
func tokens(query string) (n int) {
	l := lexer.New(&ast.Source{Input: query})
	for {
		token, err := l.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return n
		}
		n++
	}
}
