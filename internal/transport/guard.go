package transport

import (
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// guard measures a document that is parsed and not yet validated. Its own work grows
// with the document and with the limits, never with what the document would become:
// a fragment is measured once, however often it is spread.
type guard struct{ limits Limits }

// enough is where counting stops, so that sums of doubled numbers stay numbers.
const enough = 1 << 40

// size looks at what can be known before parsing.
func (g guard) size(query string) *gqlerror.Error {
	if len(query) > g.limits.Document {
		return tooMuch("bytes", len(query), g.limits.Document)
	}
	return nil
}

// shape is what a selection set becomes once every fragment is spread.
type shape struct {
	selections    int // fields, spreads and inline fragments
	work          int // the same, with their directives and values
	root          int // fields that are not inside another field
	depth         int // fields inside each other
	introspection int // the same below __schema and __type
	nesting       int // selections of any kind inside each other
}

// measuring is one document's pass.
type measuring struct {
	guard
	fragments  map[string]*ast.FragmentDefinition
	shapes     map[string]shape // of the fragments that are measured
	open       map[string]bool  // fragments being measured: meeting one again is a cycle
	directives int
	steps      int // selections and values looked at, for tests
	err        *gqlerror.Error
}

// measure refuses a document that is beyond the limits.
func (g guard) measure(doc *ast.QueryDocument) *gqlerror.Error {
	_, err := g.measured(doc)
	return err
}

// measured also tells how much was looked at.
func (g guard) measured(doc *ast.QueryDocument) (steps int, err *gqlerror.Error) {
	m := &measuring{
		guard:     g,
		fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments)),
		shapes:    make(map[string]shape, len(doc.Fragments)),
		open:      map[string]bool{},
	}
	for _, fragment := range doc.Fragments {
		if _, twice := m.fragments[fragment.Name]; !twice {
			m.fragments[fragment.Name] = fragment
		}
	}
	m.document(doc)
	return m.steps, m.err
}

func (m *measuring) document(doc *ast.QueryDocument) {
	m.atMost("operations", len(doc.Operations), m.limits.Operations)
	walked := 0
	for _, fragment := range doc.Fragments {
		if m.err != nil {
			return
		}
		walked = plus(walked, plus(m.applied(fragment.Directives), m.fragment(fragment.Name).work))
	}
	for _, op := range doc.Operations {
		if m.err != nil {
			return
		}
		walked = plus(walked, m.operation(op).work)
	}
	m.atMost("selections and values in all definitions", walked, m.limits.Walked)
	if m.err != nil {
		return
	}
	// From here on spreading every fragment is no more work than the limits allow.
	pairs := 0
	for _, op := range doc.Operations {
		pairs = plus(pairs, m.pairs([]ast.SelectionSet{op.SelectionSet}))
		m.sameMutations(op)
	}
	for _, fragment := range doc.Fragments {
		pairs = plus(pairs, m.pairs([]ast.SelectionSet{fragment.SelectionSet}))
	}
	m.atMost("pairs of selections to compare", pairs, m.limits.Comparisons)
}

func (m *measuring) operation(op *ast.OperationDefinition) shape {
	own := m.applied(op.Directives)
	for _, variable := range op.VariableDefinitions {
		own += 1 + m.applied(variable.Directives) + m.value(variable.DefaultValue, 1)
		m.atMost("lists inside each other", lists(variable.Type), m.limits.Nesting)
	}
	s := m.set(op.SelectionSet, 1)
	s.work = plus(s.work, own)
	m.atMost("selections", s.selections, m.limits.Fields)
	m.atMost("root fields", s.root, m.limits.RootFields)
	m.atMost("fields inside each other", s.depth, m.limits.Depth)
	m.atMost("fields inside each other for introspection", s.introspection, m.limits.IntrospectionDepth)
	m.atMost("selections inside each other", s.nesting, m.limits.Nesting)
	return s
}

// set measures a selection set; level is how deep it lies in its own definition.
func (m *measuring) set(set ast.SelectionSet, level int) shape {
	var whole shape
	if len(set) == 0 {
		return whole
	}
	if m.atMost("selections inside each other", level, m.limits.Nesting); m.err != nil {
		return whole
	}
	for _, selection := range set {
		if m.err != nil {
			return whole
		}
		m.steps++
		whole.add(m.selection(selection, level))
	}
	return whole
}

func (m *measuring) selection(selection ast.Selection, level int) (s shape) {
	own := 1
	switch selection := selection.(type) {
	case *ast.Field:
		own += m.applied(selection.Directives) + m.arguments(selection.Arguments)
		s = m.set(selection.SelectionSet, level+1)
		s.root = 1
		switch {
		case selection.Name == "__schema" || selection.Name == "__type":
			s.introspection = 1 + max(s.depth, s.introspection)
			s.depth = 1
		case s.introspection > 0:
			s.introspection++
			s.depth++
		default:
			s.depth++
		}
	case *ast.InlineFragment:
		own += m.applied(selection.Directives)
		s = m.set(selection.SelectionSet, level+1)
	case *ast.FragmentSpread:
		own += m.applied(selection.Directives)
		s = m.fragment(selection.Name)
	}
	s.selections = plus(s.selections, 1)
	s.work = plus(s.work, own)
	s.nesting++
	return s
}

// fragment is the shape of a fragment, measured the first time it is met. One that
// does not exist is for validation to complain about.
func (m *measuring) fragment(name string) shape {
	if s, ok := m.shapes[name]; ok {
		return s
	}
	definition, ok := m.fragments[name]
	if !ok || m.err != nil {
		return shape{}
	}
	if m.open[name] {
		m.err = requestError(errcode.ValidationFailed, "Cannot spread fragment %q within itself.", shortened(name))
		return shape{}
	}
	m.open[name] = true
	s := m.set(definition.SelectionSet, 1)
	delete(m.open, name)
	m.shapes[name] = s
	return s
}

// applied counts directives as they are written, and returns how many nodes they are.
func (m *measuring) applied(directives ast.DirectiveList) int {
	m.directives += len(directives)
	m.atMost("directives", m.directives, m.limits.Directives)
	nodes := len(directives)
	for _, directive := range directives {
		nodes += m.arguments(directive.Arguments)
	}
	return nodes
}

func (m *measuring) arguments(arguments ast.ArgumentList) int {
	nodes := 0
	for _, argument := range arguments {
		nodes += m.value(argument.Value, 1)
	}
	return nodes
}

// value bounds how deep a value is, since a complaint about it quotes each level anew,
// and returns how many nodes it has.
func (m *measuring) value(value *ast.Value, level int) int {
	if value == nil || m.err != nil {
		return 0
	}
	m.steps++
	if m.atMost("values inside each other", level, m.limits.Nesting); m.err != nil {
		return 0
	}
	nodes := 1
	for _, child := range value.Children {
		nodes += m.value(child.Value, level+1)
	}
	return nodes
}

// pairs counts what validation compares in sets that are merged into one: selections
// of the same response name, and fragments side by side, anew at each inline fragment
// around them; then what is inside them.
func (m *measuring) pairs(sets []ast.SelectionSet) int {
	inside := map[string][]ast.SelectionSet{}
	times := map[string]int{}
	spreads := 0
	spread := map[string]bool{}
	deepest := 1
	var collect func(set ast.SelectionSet, level int)
	collect = func(set ast.SelectionSet, level int) {
		deepest = max(deepest, level)
		for _, selection := range set {
			m.steps++
			switch s := selection.(type) {
			case *ast.Field:
				times[s.Alias]++
				if len(s.SelectionSet) > 0 {
					inside[s.Alias] = append(inside[s.Alias], s.SelectionSet)
				}
			case *ast.InlineFragment:
				collect(s.SelectionSet, level+1)
			case *ast.FragmentSpread:
				spreads++
				if definition, ok := m.fragments[s.Name]; ok && !spread[s.Name] {
					spread[s.Name] = true
					collect(definition.SelectionSet, level+1)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set, 1)
	}
	count := spreads * (spreads - 1) / 2
	for _, n := range times {
		count = plus(count, n*(n-1)/2)
	}
	count *= deepest
	for _, sets := range inside {
		count = plus(count, m.pairs(sets))
	}
	return count
}

// sameMutations bounds how often one mutation is asked for under aliases.
func (m *measuring) sameMutations(op *ast.OperationDefinition) {
	if op.Operation != ast.Mutation {
		return
	}
	times := map[string]int{}
	var collect func(set ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, selection := range set {
			m.steps++
			switch s := selection.(type) {
			case *ast.Field:
				times[s.Name]++
				m.atMost("times the same mutation", times[s.Name], m.limits.SameMutation)
			case *ast.InlineFragment:
				collect(s.SelectionSet)
			case *ast.FragmentSpread:
				if definition, ok := m.fragments[s.Name]; ok {
					collect(definition.SelectionSet)
				}
			}
		}
	}
	collect(op.SelectionSet)
}

// lists is how many lists a type is inside.
func lists(t *ast.Type) (n int) {
	for ; t != nil && t.Elem != nil; t = t.Elem {
		n++
	}
	return n
}

// atMost notes the first limit that is passed.
func (m *measuring) atMost(what string, n, limit int) {
	if n > limit && m.err == nil {
		m.err = tooMuch(what, n, limit)
	}
}

// add puts another selection's shape beside this one's.
func (s *shape) add(other shape) {
	s.selections = plus(s.selections, other.selections)
	s.work = plus(s.work, other.work)
	s.root = plus(s.root, other.root)
	s.depth = max(s.depth, other.depth)
	s.introspection = max(s.introspection, other.introspection)
	s.nesting = max(s.nesting, other.nesting)
}

// plus adds, up to enough.
func plus(a, b int) int { return min(a+b, enough) }

func tooMuch(what string, n, limit int) *gqlerror.Error {
	return requestError(CodeTooComplex, "the document has %d %s; at most %d are allowed", n, what, limit)
}
