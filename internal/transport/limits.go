package transport

// Limits bound what one request may cost before and while it runs. Zero stands for
// the default, which lets the introspection queries of GraphiQL and of code generators
// through.
type Limits struct {
	// Document is the length of a document in bytes; texts belong into variables.
	Document int `help:"Length of a document in bytes." default:"131072"`
	// Tokens is the number of lexical tokens of a document, comments included.
	Tokens int `help:"Lexical tokens of a document." default:"5000"`
	// Operations is the number of operations of a document.
	Operations int `help:"Operations in a document." default:"20"`
	// Directives is the number of directives written in a document.
	Directives int `help:"Directives in a document." default:"100"`
	// Fields is the number of selections of an operation once every fragment is spread:
	// fields, spreads and inline fragments.
	Fields int `help:"Selections of an operation once every fragment is spread." default:"2000"`
	// Walked is that number summed over all operations and fragments of a document, with
	// their directives and values: how often validation looks at something.
	Walked int `help:"Selections, directives and values of all operations and fragments of a document once every fragment is spread." default:"6000"`
	// RootFields is the number of fields at the root of an operation.
	RootFields int `help:"Root fields of an operation." default:"30"`
	// SameMutation is how often one mutation may be in an operation, under aliases.
	SameMutation int `help:"How often one operation may contain the same mutation." default:"10"`
	// Depth is how deep fields may be inside each other.
	Depth int `help:"Fields inside each other." default:"16"`
	// IntrospectionDepth is Depth below __schema and __type.
	IntrospectionDepth int `help:"Fields inside each other below __schema and __type." default:"24"`
	// Nesting is how deep selections of any kind, and values, may be inside each other.
	Nesting int `help:"Selections and values of any kind inside each other." default:"64"`
	// Comparisons is how many pairs of selections of the same response name there are, and
	// of fragments spread side by side: validation compares each.
	Comparisons int `help:"Pairs of selections that validation must compare." default:"10000"`
	// Cost is what an operation may cost, lists counted with their sizes.
	Cost int `help:"Cost of an operation; a list costs its size times what an item costs." default:"200000"`
	// Errors is the number of errors in one response.
	Errors int `help:"Errors in one response." default:"20"`
	// Rate is how many operations a token, or an address without one, may start in a
	// second in the long run, and Burst how many at once. A negative Rate is no limit.
	Rate  float64 `help:"Operations a second for a token, or for an address without one, in the long run. Negative: no limit." default:"100"`
	Burst int     `help:"Operations at once for a token, or for an address without one." default:"400"`
	// PersistedBytes bounds the memory for automatic persisted queries; those that were
	// not used for the longest time are forgotten.
	PersistedBytes int `help:"Memory for automatic persisted queries in bytes." default:"8388608"`
}

// withDefaults is the limits with the default in place of every zero.
func (l Limits) withDefaults() Limits {
	for _, limit := range l.numbers() {
		if *limit.value == 0 {
			*limit.value = limit.instead
		}
	}
	if l.Rate == 0 {
		l.Rate = 100
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
		{"depth", &l.Depth, 16},
		{"introspection-depth", &l.IntrospectionDepth, 24},
		{"nesting", &l.Nesting, 64},
		{"comparisons", &l.Comparisons, 10_000},
		{"cost", &l.Cost, 200_000},
		{"errors", &l.Errors, 20},
		{"burst", &l.Burst, 400},
		{"persisted-bytes", &l.PersistedBytes, 8 << 20},
	}
}
