package transport

// Limits bound what one request may cost before and while it runs. Zero stands for
// the default, which lets the introspection queries of GraphiQL and of code generators
// through.
type Limits struct {
	// Document is the length of a document in bytes; texts belong into variables.
	Document int `placeholder:"N" help:"Length of a document in bytes. Default: 131072."`
	// Tokens is the number of lexical tokens of a document, comments included.
	Tokens int `placeholder:"N" help:"Lexical tokens of a document. Default: 5000."`
	// Operations is the number of operations of a document.
	Operations int `placeholder:"N" help:"Operations in a document. Default: 20."`
	// Directives is the number of directives written in a document.
	Directives int `placeholder:"N" help:"Directives in a document. Default: 100."`
	// Fields is the number of selections of an operation once every fragment is spread:
	// fields, spreads and inline fragments.
	Fields int `placeholder:"N" help:"Selections of an operation once every fragment is spread. Default: 2000."`
	// Walked is that number summed over all operations and fragments of a document, with
	// their directives and values: how often validation looks at something.
	Walked int `placeholder:"N" help:"Selections, directives and values of all operations and fragments of a document once every fragment is spread. Default: 6000."`
	// RootFields is the number of fields at the root of an operation.
	RootFields int `placeholder:"N" help:"Root fields of an operation. Default: 30."`
	// SameMutation is how often one mutation may be in an operation, under aliases.
	SameMutation int `placeholder:"N" help:"How often one operation may contain the same mutation. Default: 10."`
	// Depth is how deep fields may be inside each other.
	Depth int `placeholder:"N" help:"Fields inside each other. Default: 25."`
	// IntrospectionDepth is Depth below __schema and __type.
	IntrospectionDepth int `placeholder:"N" help:"Fields inside each other below __schema and __type. Default: 30."`
	// Nesting is how deep selections of any kind, and values, may be inside each other.
	Nesting int `placeholder:"N" help:"Selections and values of any kind inside each other. Default: 64."`
	// Comparisons is how many pairs of selections of the same response name there are, and
	// of fragments spread side by side: validation compares each.
	Comparisons int `placeholder:"N" help:"Pairs of selections that validation must compare. Default: 10000."`
	// Cost is what an operation may cost, lists counted with their sizes.
	Cost int `placeholder:"N" help:"Cost of an operation; a list costs its size times what an item costs. Default: 200000."`
	// Errors is the number of errors in one response.
	Errors int `placeholder:"N" help:"Errors in one response. Default: 20."`
	// Rate is how many operations a token, or an address without one, may start in a
	// second in the long run, and Burst how many at once. A negative Rate is no limit.
	Rate  float64 `placeholder:"N" help:"Operations a second for a token, or for an address without one, in the long run. Negative: no limit. Default: 500."`
	Burst int     `placeholder:"N" help:"Operations at once for a token, or for an address without one. Default: 5000."`
	// PersistedBytes bounds the memory for automatic persisted queries; those that were
	// not used for the longest time are forgotten.
	PersistedBytes int `placeholder:"N" help:"Memory for automatic persisted queries in bytes. Default: 8388608."`
}

// withDefaults is the limits with the default in place of every zero.
func (l Limits) withDefaults() Limits {
	for _, limit := range l.numbers() {
		if *limit.value == 0 {
			*limit.value = limit.instead
		}
	}
	if l.Rate == 0 {
		l.Rate = 500
	}
	return l
}

// Negative names the first limit that is less than nothing, as its flag does; empty if
// there is none.
func (l Limits) Negative() string {
	for _, limit := range l.numbers() {
		if *limit.value < 0 {
			return limit.name
		}
	}
	return ""
}

type number struct {
	name    string
	value   *int
	instead int
}

func (l *Limits) numbers() []number {
	return []number{
		{"document", &l.Document, 128 << 10},
		{"tokens", &l.Tokens, 5000},
		{"operations", &l.Operations, 20},
		{"directives", &l.Directives, 100},
		{"fields", &l.Fields, 2000},
		{"walked", &l.Walked, 6000},
		{"root-fields", &l.RootFields, 30},
		{"same-mutation", &l.SameMutation, 10},
		{"depth", &l.Depth, 25},
		{"introspection-depth", &l.IntrospectionDepth, 30},
		{"nesting", &l.Nesting, 64},
		{"comparisons", &l.Comparisons, 10_000},
		{"cost", &l.Cost, 200_000},
		{"errors", &l.Errors, 20},
		{"burst", &l.Burst, 5000},
		{"persisted-bytes", &l.PersistedBytes, 8 << 20},
	}
}
