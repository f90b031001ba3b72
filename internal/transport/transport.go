// Package transport serves a GraphQL schema over HTTP, SSE and WebSocket. It knows
// nothing of the schema's types: who may call what without signing in, how a token
// becomes a viewer, and which subscriptions are equal, it is told.
//
// A request becomes an operation in the engine, whatever it came over: there the guard
// measures it before validation does any work. Subscriptions go through the hub, which
// executes equal ones once, to sockets and event streams. gqlgen's executor runs
// everything; of its transports nothing is used.
//
// Handler is safe for several goroutines; Close may come twice.
package transport

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// ErrUnavailable is what Authenticate's error wraps when it could not be found out
// whether a token is good: the client is told to try again, not to sign in again.
var ErrUnavailable = errors.New("who is asking could not be found out")

// Config is what a handler is built of. Zero limits and times stand for their
// defaults.
type Config struct {
	Schema graphql.ExecutableSchema
	// Authenticate makes a bearer token into a context with its viewer. An error means
	// that the token is not good, unless it is ErrUnavailable.
	Authenticate func(ctx context.Context, bearer string) (context.Context, error)
	// SignedIn tells whether a context has a viewer.
	SignedIn func(ctx context.Context) bool
	// Prepare adds what a request brings besides its token; acceptLanguage is empty
	// where it brings none.
	Prepare func(ctx context.Context, acceptLanguage string) context.Context
	// Watch calls ended once, when the context's viewer is no longer good; stop ends the
	// watching and may come twice. Nil: a viewer stays good.
	Watch func(ctx context.Context, ended func(error)) (stop func())
	// Present is told of every WebSocket that signed in and of every event stream of a
	// subscription, with the viewer in ctx; gone is called once, when it is over. Neither
	// may wait. Nil: nobody wants to know.
	Present func(ctx context.Context) (gone func())
	// Address is whom a request without a good token comes from, for the rate limit:
	// behind a proxy, whom the proxy names. Nil: the other end of the connection.
	Address func(r *http.Request) string
	// PublicFields are root fields that need no viewer, besides introspection.
	PublicFields []string
	// Unauthenticated is the error of an operation that needs a viewer and has none.
	Unauthenticated func(ctx context.Context) *gqlerror.Error
	// AllowedOrigins may call from a browser besides this server's own origin.
	AllowedOrigins []string
	// Introspection shows the schema, and suggests names where a document has none.
	Introspection  bool
	ErrorPresenter graphql.ErrorPresenterFunc
	Recover        graphql.RecoverFunc
	// Extensions run after the token was looked at and the operation was found cheap
	// enough. They may change the operation's document.
	Extensions []graphql.HandlerExtension

	// Share tells which executions of a subscription are equal; field is its root field.
	// Without it every subscription is executed for itself.
	Share func(ctx context.Context, op *graphql.OperationContext, field *ast.Field) (Sharing, error)
	// PositionArgument names the argument of subscriptions that says after which event
	// to begin. It is no part of what makes two of them equal.
	PositionArgument string
	// EventID is a position as that argument takes it: the id of an event over SSE, which
	// comes back as Last-Event-ID. Empty if the subscription has none.
	EventID func(op *graphql.OperationContext, field *ast.Field, position int64) string

	Limits Limits
	// MaxBody and MaxUpload bound the bytes of a request: 1 MiB, and 25 MiB for one with
	// files.
	MaxBody, MaxUpload int64
	// ReadTimeout is how long a request's body may take: 30 seconds, and four times as
	// long with files.
	ReadTimeout time.Duration
	// WriteDeadline is how long a client may read nothing before it is cut off: 10
	// seconds.
	WriteDeadline time.Duration
	// KeepAlive is the time between signs of life of a silent stream: 15 seconds.
	KeepAlive time.Duration
	// Sockets bounds a WebSocket, and how far the reader of any stream may fall behind.
	Sockets SocketLimits
}

// withDefaults is the config with the defaults in place of zeros.
func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	c.Sockets = c.Sockets.withDefaults()
	orElse(&c.MaxBody, 1<<20)
	orElse(&c.MaxUpload, 25<<20)
	orElse(&c.ReadTimeout, 30*time.Second)
	orElse(&c.WriteDeadline, 10*time.Second)
	orElse(&c.KeepAlive, 15*time.Second)
	if c.Address == nil {
		c.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	if c.Prepare == nil {
		c.Prepare = func(ctx context.Context, _ string) context.Context { return ctx }
	}
	return c
}

func orElse[T comparable](value *T, instead T) {
	var zero T
	if *value == zero {
		*value = instead
	}
}

// Handler serves GraphQL.
type Handler struct {
	cfg     *Config
	engine  *engine
	hub     *hub
	origins origins
	sockets *sockets

	closeOnce sync.Once
	closing   chan struct{} // closed when event streams are to end
}

// New makes a handler for /graphql.
func New(cfg Config) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{cfg: &cfg, origins: newOrigins(cfg.AllowedOrigins), closing: make(chan struct{})}
	h.engine = newEngine(h.cfg)
	h.hub = newHub(h.engine)
	h.sockets = newSockets(h)
	return h
}

// ServeHTTP answers one request, or serves one stream or socket until it ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := h.cfg.Prepare(r.Context(), r.Header.Get("Accept-Language"))
	ctx = withCaller(ctx, addressCaller(h.cfg.Address(r)))
	r = r.WithContext(ctx)
	if isUpgrade(r) {
		if h.origins.refuses(r) {
			http.Error(w, "this origin is not allowed", http.StatusForbidden)
			return
		}
		h.sockets.serve(w, r)
		return
	}
	h.origins.allow(w, r)
	h.serveHTTP(w, r)
}

// isUpgrade tells whether a request wants to become a WebSocket.
func isUpgrade(r *http.Request) bool {
	for value := range strings.SplitSeq(r.Header.Get("Upgrade"), ",") {
		if strings.EqualFold(strings.TrimSpace(value), "websocket") {
			return true
		}
	}
	return false
}

// signIn is a context with the viewer of a bearer token, who is from then on counted
// by that token. An error means that the token is not good.
func (h *Handler) signIn(ctx context.Context, bearer string) (context.Context, error) {
	signedIn, err := h.cfg.Authenticate(ctx, bearer)
	if err != nil {
		return ctx, err
	}
	return withCaller(signedIn, tokenCaller(bearer)), nil
}

// Close tells every socket that the server goes away (1001), ends event streams and
// refuses new ones. It returns when nothing of them is left running.
func (h *Handler) Close() error {
	h.closeOnce.Do(func() { close(h.closing) })
	h.sockets.close()
	h.hub.close()
	return nil
}

// bearerOf reads "Bearer TOKEN"; the scheme's case does not count.
func bearerOf(authorization string) (string, bool) {
	scheme, token, ok := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
