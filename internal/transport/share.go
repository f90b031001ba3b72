package transport

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Sharing is what Config.Share says of one subscriber of a subscription.
type Sharing struct {
	// Key holds everything of the subscriber that results depend on: subscribers of the
	// same document, operation and variables with the same Key get the same bytes. It
	// is a security boundary. Empty: executed for this subscriber alone.
	Key string
	// Run gives the context of the shared execution what resolvers need. It may hold
	// nothing of the subscriber that is not in Key.
	Run func(ctx context.Context) context.Context
	// After is the position after which the subscriber wants everything, if Resumes.
	// Where the position argument is given but cannot be read, Resumes is false and the
	// resolver says what is wrong with it.
	After   int64
	Resumes bool
	// Watch calls ended once when the subscriber's right ends: with the error to tell,
	// or with nil when the right became another one, upon which the subscriber is told
	// to come back, as after an overrun. stop may come twice. Watch may be nil.
	Watch func(ended func(err error)) (stop func())
	// Overrun is the error of a subscriber that fell behind; last is the position of
	// the last event that it got, or where it began. known is false where it has none.
	Overrun func(last int64, known bool) *gqlerror.Error
}

// event is one response of a subscription, marshalled once for everybody.
type event struct {
	position int64
	placed   bool   // it has a position
	payload  []byte // the response as JSON; nil: nothing but that all up to position was told
}

// batch is the events of one wake-up, and the frames last made of them: subscribers
// of one kind get the same bytes.
type batch struct {
	events []*event
	made   frames
}

// sink is where a subscriber's events go. Nothing of it but room may block, and none
// of it may call the hub.
type sink interface {
	// push takes events in order and returns how many there was room for. One that
	// ended takes them all and forgets them.
	push(b *batch) int
	// room waits until the reader is not behind; false when ctx ended first.
	room(ctx context.Context) bool
	// end says that nothing follows: the subscription is complete, or over with errs.
	// It comes once, and not after leave.
	end(errs gqlerror.List)
}

// hub executes subscriptions, equal ones once. A stream's lock is taken after the
// hub's, and a sink's own after the stream's.
type hub struct {
	engine *engine
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	streams map[string]*stream

	starting sync.Mutex // guards closed; taken last
	closed   bool
	running  sync.WaitGroup
}

func newHub(e *engine) *hub {
	h := &hub{engine: e, streams: map[string]*stream{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// close ends everything that is executed; sinks are not told. It returns when nothing
// is left running; who subscribes afterwards hears nothing.
func (h *hub) close() {
	h.starting.Lock()
	h.closed = true
	h.starting.Unlock()
	h.cancel()
	h.running.Wait()
}

// goes runs f unless the hub is closed, and has close wait for it.
func (h *hub) goes(f func()) {
	h.starting.Lock()
	defer h.starting.Unlock()
	if !h.closed {
		h.running.Go(f)
	}
}

// subscribe delivers what a prepared operation brings to the sink, until it ends or
// until leave. What is wrong at the start comes to the sink's end as well. leave may
// come twice and from several goroutines; when it returned, nothing follows.
func (h *hub) subscribe(ctx context.Context, op *graphql.OperationContext, to sink) (leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	s := &subscriber{hub: h, op: op, sink: to, cancel: cancel, place: -1}
	s.start(ctx)
	return func() { s.close(nil, false) }
}

// sharing asks who the subscriber is to this subscription, and returns the key under
// which it is executed; an empty one if for the subscriber alone.
func (h *hub) sharing(ctx context.Context, op *graphql.OperationContext) (Sharing, string, error) {
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{h.engine.cfg.Schema.Schema().Subscription.Name})
	if h.engine.cfg.Share == nil || len(fields) != 1 {
		return Sharing{}, "", nil
	}
	field := fields[0].Field
	sharing, err := h.engine.cfg.Share(ctx, op, field)
	if err != nil || sharing.Key == "" || asksForCost(op) {
		return sharing, "", err
	}
	variables, ok := h.shared(op, field)
	if !ok {
		return sharing, "", nil
	}
	encoded, err := json.Marshal(variables)
	if err != nil { // an upload or the like: nothing to share
		return sharing, "", nil
	}
	return sharing, strings.Join([]string{sharing.Key, op.OperationName, string(encoded), op.RawQuery}, "\x00"), nil
}

// shared is the operation's variables without the one that gives the position. It is
// not ok if the position cannot be taken out: one written into the document, one with
// a default, or one that is used elsewhere too.
func (h *hub) shared(op *graphql.OperationContext, field *ast.Field) (map[string]any, bool) {
	argument := field.Arguments.ForName(h.engine.cfg.PositionArgument)
	if argument == nil || argument.Value == nil || argument.Value.Kind == ast.NullValue {
		return op.Variables, true
	}
	name := argument.Value.Raw
	if argument.Value.Kind != ast.Variable || mentions(op.RawQuery, name) != 2 {
		return nil, false
	}
	if d := op.Operation.VariableDefinitions.ForName(name); d == nil || d.DefaultValue != nil {
		return nil, false
	}
	variables := make(map[string]any, len(op.Variables))
	for k, v := range op.Variables {
		if k != name {
			variables[k] = v
		}
	}
	return variables, true
}

// mentions counts where a document names a variable: once to define it, then to use it.
func mentions(document, variable string) int {
	n := 0
	for {
		i := strings.Index(document, "$"+variable)
		if i < 0 {
			return n
		}
		document = document[i+1+len(variable):]
		if document == "" || !inName(document[0]) {
			n++
		}
	}
}

func inName(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// execution is what is told of one. All of it is called by one goroutine at a time.
type execution struct {
	begun   func()               // the resolver runs
	deliver func(*event) bool    // false: no more
	upTo    func(position int64) // all up to a position was delivered
}

// execute tells of every response of an operation, until it ends; then it returns the
// errors that ended it. Cancel ctx afterwards: the resolver may still run.
func (h *hub) execute(ctx context.Context, op *graphql.OperationContext, x execution) (errs gqlerror.List) {
	defer func() {
		if panicked := recover(); panicked != nil {
			errs = gqlerror.List{asGraphQL(h.engine.exec.PresentRecoveredError(ctx, panicked))}
		}
	}()
	told := &telling{upTo: x.upTo}
	responses, ctx := h.engine.run(context.WithValue(ctx, tellingKey{}, told), op)
	if x.begun != nil {
		x.begun()
	}
	for {
		response := responses(ctx)
		if response == nil {
			return told.ending()
		}
		if response.Data == nil && len(response.Errors) > 0 {
			return response.Errors
		}
		payload, err := encode(response) // copies Data, whose bytes the next event overwrites
		if err != nil {
			return gqlerror.List{asGraphQL(h.engine.exec.PresentRecoveredError(ctx, err))}
		}
		position, placed := told.reached()
		if !x.deliver(&event{position: position, placed: placed, payload: payload}) {
			return nil
		}
		told.delivered()
	}
}

// stream is the stream of a key, started if there is none. It must be released.
func (h *hub) stream(key string, op *graphql.OperationContext, sharing Sharing) *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, ok := h.streams[key]
	if !ok {
		st = newStream(h, key)
		h.streams[key] = st
		st.begin(h.ctx, h.nobodys(op, sharing), sharing.Run)
	}
	st.wanted++
	return st
}

// nobodys is a copy of an operation with nothing of who sent it.
func (h *hub) nobodys(op *graphql.OperationContext, sharing Sharing) *graphql.OperationContext {
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{h.engine.cfg.Schema.Schema().Subscription.Name})
	variables, _ := h.shared(op, fields[0].Field)
	return &graphql.OperationContext{
		RawQuery:               op.RawQuery,
		Variables:              variables,
		OperationName:          op.OperationName,
		Doc:                    op.Doc,
		Operation:              op.Operation,
		DisableIntrospection:   op.DisableIntrospection,
		RecoverFunc:            op.RecoverFunc,
		ResolverMiddleware:     op.ResolverMiddleware,
		RootResolverMiddleware: op.RootResolverMiddleware,
	}
}

// release gives a stream back; the last one to do so ends it.
func (h *hub) release(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.wanted--
	if st.wanted == 0 {
		h.forget(st)
		st.cancel()
	}
}

// forget makes the next subscriber start anew. The hub's lock is held.
func (h *hub) forget(st *stream) {
	if h.streams[st.key] == st {
		delete(h.streams, st.key)
	}
}
