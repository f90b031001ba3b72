package transport

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Codes of request errors, in extensions.code, besides gqlgen's own for documents
// that do not parse or validate. A Config's ErrorPresenter may give them other names.
const (
	// CodeTooComplex is refused by a limit of the guard.
	CodeTooComplex = "COMPLEXITY_LIMIT_EXCEEDED"
	// CodeRateLimited is refused by the rate limit.
	CodeRateLimited = "RATE_LIMITED"
	// CodePersistedQueryNotFound asks a client to send the whole document once.
	CodePersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND"
	// CodeBadRequest is a request whose parts do not fit together.
	CodeBadRequest = errcode.ValidationFailed
)

// maxMessage bounds the message of one error, which may quote the document.
const maxMessage = 1000

// engine makes requests into operations, and runs them, whatever they came over.
type engine struct {
	cfg       *Config
	exec      *executor.Executor
	guard     guard
	rules     []validator.Rule
	sizes     map[string]int // of introspection's lists
	persisted *persisted
	rates     *rates
}

func newEngine(cfg *Config) *engine {
	e := &engine{
		cfg:       cfg,
		exec:      executor.New(cfg.Schema),
		guard:     guard{cfg.Limits},
		rules:     validationRules(cfg.Introspection),
		sizes:     introspected(cfg.Schema.Schema()),
		persisted: newPersisted(cfg.Limits.PersistedBytes),
		rates:     newRates(cfg.Limits.Rate, cfg.Limits.Burst),
	}
	if cfg.ErrorPresenter != nil {
		e.exec.SetErrorPresenter(cfg.ErrorPresenter)
	}
	if cfg.Recover != nil {
		e.exec.SetRecoverFunc(cfg.Recover)
	}
	e.exec.SetQueryCache(checkedDocument{})
	e.exec.Use(preparation{e})
	e.exec.AroundResponses(e.finish)
	for _, extension := range cfg.Extensions {
		e.exec.Use(extension)
	}
	return e
}

// prepare makes a request into an operation that may run: persisted documents are
// found, the guard measures, the document is validated, variables are coerced, the
// signed-out are refused what is not public, and extensions have their say. The
// operation's document is its own: extensions may change it.
//
// It returns an operation always. With errors it is only good for refuse.
func (e *engine) prepare(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	ctx = graphql.StartOperationTrace(ctx)
	refused := func(status int, errs ...*gqlerror.Error) (*graphql.OperationContext, gqlerror.List) {
		op := &graphql.OperationContext{RawQuery: params.Query, Headers: params.Headers, Extensions: params.Extensions}
		setStatus(op, status)
		return op, errs
	}
	if err := e.rates.take(callerOf(ctx)); err != nil {
		return refused(http.StatusTooManyRequests, err)
	}
	hash, err := e.persisted.find(params)
	if err != nil {
		return refused(http.StatusBadRequest, err)
	}
	doc, errs := e.check(params.Query)
	if len(errs) > 0 {
		return refused(http.StatusBadRequest, errs...)
	}
	if hash != "" {
		e.persisted.add(hash, params.Query)
	}
	op, errs := e.exec.CreateOperationContext(context.WithValue(ctx, documentKey{}, doc), params)
	if len(errs) > 0 && statusOf(op) == 0 {
		setStatus(op, http.StatusBadRequest)
	}
	return op, errs
}

// check parses a document once, measures it, and only then validates it: validation
// takes time quadratic in what the guard counts.
func (e *engine) check(query string) (*ast.QueryDocument, gqlerror.List) {
	if err := e.guard.size(query); err != nil {
		return nil, gqlerror.List{err}
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, e.cfg.Limits.Tokens)
	if err != nil {
		located := asGraphQL(err)
		errcode.Set(located, errcode.ParseFailed)
		return nil, gqlerror.List{located}
	}
	if len(doc.Operations) == 0 {
		return nil, gqlerror.List{requestError(CodeBadRequest, "the document has no operation")}
	}
	if err := e.guard.measure(doc); err != nil {
		return nil, gqlerror.List{err}
	}
	errs := e.validate(doc)
	return doc, errs
}

// validate applies the specification's rules, up to as many errors as are told: each
// further one would only cost time.
func (e *engine) validate(doc *ast.QueryDocument) (errs gqlerror.List) {
	type enoughErrors struct{}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(enoughErrors); !ok {
				panic(r)
			}
		}
	}()
	observers := &validator.Events{}
	for _, rule := range e.rules {
		rule.RuleFunc(observers, func(options ...validator.ErrorOption) {
			if len(errs) == e.cfg.Limits.Errors {
				panic(enoughErrors{})
			}
			err := &gqlerror.Error{Rule: rule.Name}
			for _, option := range options {
				option(err)
			}
			errcode.Set(err, errcode.ValidationFailed)
			errs = append(errs, err)
		})
	}
	validator.Walk(e.cfg.Schema.Schema(), doc, observers)
	return errs
}

// run executes an operation that was prepared. The handler answers nil when there is
// nothing more; it wants the context that comes with it.
func (e *engine) run(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	return e.exec.DispatchOperation(ctx, op)
}

// refuse is the response to an operation that is refused whole: it has no data.
func (e *engine) refuse(ctx context.Context, op *graphql.OperationContext, errs gqlerror.List) *graphql.Response {
	if op == nil {
		op = &graphql.OperationContext{}
	}
	if most := e.cfg.Limits.Errors; len(errs) > most {
		errs = errs[:most]
	}
	return e.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)
}

// finish bounds a response's errors and adds what the operation cost where it asked.
func (e *engine) finish(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response == nil {
		return nil
	}
	if most := e.cfg.Limits.Errors; len(response.Errors) > most {
		response.Errors = response.Errors[:most]
	}
	for _, err := range response.Errors {
		err.Message = shortened(err.Message)
	}
	if !graphql.HasOperationContext(ctx) {
		return response
	}
	op := graphql.GetOperationContext(ctx)
	if cost, ok := op.Stats.GetExtension(costKey).(Cost); ok && asksForCost(op) {
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions["cost"] = cost
	}
	return response
}

// encode is a response as the GraphQL specification has it: errors first, no data in
// the response to a request error. What is marshalled already is not looked at again.
func encode(response *graphql.Response) ([]byte, error) {
	b := make([]byte, 0, len(response.Data)+64)
	b = append(b, '{')
	for _, part := range []struct {
		name    string
		value   any
		present bool
	}{
		{"errors", response.Errors, len(response.Errors) > 0},
		{"data", response.Data, response.Data != nil},
		{"extensions", response.Extensions, len(response.Extensions) > 0},
	} {
		if !part.present {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, part.name...)
		b = append(b, '"', ':')
		if raw, ok := part.value.(json.RawMessage); ok {
			b = append(b, raw...)
			continue
		}
		value, err := json.Marshal(part.value)
		if err != nil {
			return nil, err
		}
		b = append(b, value...)
	}
	return append(b, '}'), nil
}

// documentKey hands the checked document through the executor, whose cache it is.
type documentKey struct{}

// checkedDocument is the executor's cache: it holds the document that was checked for
// this very operation, so that none is parsed twice and none is shared.
type checkedDocument struct{}

var _ graphql.Cache[*ast.QueryDocument] = checkedDocument{}

// Get returns the operation's document.
func (checkedDocument) Get(ctx context.Context, _ string) (*ast.QueryDocument, bool) {
	doc, ok := ctx.Value(documentKey{}).(*ast.QueryDocument)
	return doc, ok
}

// Add keeps nothing.
func (checkedDocument) Add(context.Context, string, *ast.QueryDocument) {}

// preparation is what every operation passes before extensions.
type preparation struct{ *engine }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = preparation{}

// ExtensionName names it for gqlgen.
func (preparation) ExtensionName() string { return "Preparation" }

// Validate has nothing to check.
func (preparation) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses the signed-out what is not public, and everybody
// what costs too much.
func (p preparation) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = !p.cfg.Introspection
	if !p.cfg.SignedIn(ctx) && !public(op, p.cfg.PublicFields) {
		setStatus(op, http.StatusUnauthorized)
		return p.cfg.Unauthenticated(ctx)
	}
	cost := p.cost(ctx, op)
	op.Stats.SetExtension(costKey, cost)
	if cost.Requested > cost.Limit {
		return requestError(CodeTooComplex, "the operation costs %d; at most %d is allowed", cost.Requested, cost.Limit)
	}
	return nil
}

const statusKey = "HTTPStatus"

// setStatus says with which HTTP status an operation is refused.
func setStatus(op *graphql.OperationContext, status int) { op.Stats.SetExtension(statusKey, status) }

// statusOf is what setStatus said; 0 if it said nothing.
func statusOf(op *graphql.OperationContext) int {
	if op == nil {
		return 0
	}
	status, _ := op.Stats.GetExtension(statusKey).(int)
	return status
}

// validationRules are the specification's, in the order of their names. Without
// introspection those that suggest names are replaced by their mute twins: suggestions
// spell out the schema.
func validationRules(introspection bool) []validator.Rule {
	all := rules.NewDefaultRules()
	if !introspection {
		for _, mute := range []validator.Rule{
			rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
			rules.KnownArgumentNamesRuleWithoutSuggestions,
			rules.KnownTypeNamesRuleWithoutSuggestions,
			rules.ScalarLeafsRuleWithoutSuggestions,
			rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
		} {
			all.ReplaceRule(strings.TrimSuffix(mute.Name, "WithoutSuggestions"), mute.RuleFunc)
		}
	}
	functions := all.GetInner()
	var ordered []validator.Rule
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		ordered = append(ordered, validator.Rule{Name: name, RuleFunc: functions[name]})
	}
	return ordered
}

func requestError(code, format string, args ...any) *gqlerror.Error {
	err := gqlerror.Errorf(format, args...)
	errcode.Set(err, code)
	return err
}

func asGraphQL(err error) *gqlerror.Error {
	if located, ok := err.(*gqlerror.Error); ok {
		return located
	}
	return gqlerror.Wrap(err)
}

func shortened(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "…"
}
