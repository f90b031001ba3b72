// Package transport serves a GraphQL schema over HTTP, SSE and WebSocket. It knows
// nothing of the schema's types: who may call what without signing in, and how a
// token becomes a viewer, it is told.
//
// The transports themselves are gqlgen's, behind New; sockets are gorilla's, with a
// deadline before every write, so that a reader that stalls is cut off and delays
// nobody. Handler is safe for several goroutines; Close may come twice.
package transport

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	gqltransport "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Limits that no setting changes.
const (
	maxBody           = 1 << 20 // bytes of a request
	maxSocketMessage  = 1 << 20 // bytes of one message from a client
	writeDeadline     = 10 * time.Second
	pingInterval      = 25 * time.Second
	initTimeout       = 10 * time.Second
	parserTokenLimit  = 5000
	complexityCeiling = 200_000
)

// Config is what a handler is built of.
type Config struct {
	Schema graphql.ExecutableSchema
	// Authenticate makes a bearer token into a context with its viewer. An error means
	// that the token is not good.
	Authenticate func(ctx context.Context, bearer string) (context.Context, error)
	// SignedIn tells whether a context has a viewer.
	SignedIn func(ctx context.Context) bool
	// Prepare adds what a request brings besides its token; acceptLanguage is empty
	// where it brings none.
	Prepare func(ctx context.Context, acceptLanguage string) context.Context
	// Watch tells when the context's viewer is no longer good; stop ends the watching.
	Watch func(ctx context.Context) (ended <-chan error, stop func())
	// PublicFields are root fields that need no viewer, besides introspection.
	PublicFields []string
	// Unauthenticated is the error of an operation that needs a viewer and has none.
	Unauthenticated func(ctx context.Context) *gqlerror.Error
	// AllowedOrigins may call from a browser besides this server's own origin.
	AllowedOrigins []string
	Introspection  bool
	ErrorPresenter graphql.ErrorPresenterFunc
	Recover        graphql.RecoverFunc
	// Extensions run after the token was looked at.
	Extensions []graphql.HandlerExtension
}

// Handler serves GraphQL.
type Handler struct {
	cfg     Config
	server  *handler.Server
	sockets sockets
	open    context.Context // ends with Close
	close   context.CancelFunc
}

// New makes a handler for /graphql.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, server: handler.New(cfg.Schema)}
	h.sockets.origins = newOrigins(cfg.AllowedOrigins)
	h.open, h.close = context.WithCancel(context.Background())
	limit := int64(maxSocketMessage)
	for _, t := range []graphql.Transport{
		gqltransport.Websocket{
			Implementation:        &h.sockets,
			InitFunc:              h.initSocket,
			InitTimeout:           initTimeout,
			KeepAlivePingInterval: pingInterval,
			PingPongInterval:      pingInterval,
			PayloadReadLimit:      &limit,
		},
		gqltransport.Options{AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodOptions}},
		gqltransport.SSE{KeepAlivePingInterval: pingInterval},
		withoutData{gqltransport.GET{}},
		withoutData{gqltransport.POST{}},
	} {
		h.server.AddTransport(t)
	}
	h.server.SetErrorPresenter(cfg.ErrorPresenter)
	h.server.SetRecoverFunc(cfg.Recover)
	h.server.SetParserTokenLimit(parserTokenLimit)
	if cfg.Introspection {
		h.server.Use(extension.Introspection{})
	}
	h.server.Use(gate{h})
	h.server.Use(extension.FixedComplexityLimit(complexityCeiling))
	for _, e := range cfg.Extensions {
		h.server.Use(e)
	}
	h.server.AroundOperations(h.endStreams)
	return h
}

// ServeHTTP answers one request, or serves one socket until it closes.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.sockets.origins.refuses(r) {
		http.Error(w, "this origin is not allowed", http.StatusForbidden)
		return
	}
	h.sockets.origins.allow(w, r)
	if r.ContentLength > maxBody {
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	}
	ctx := h.cfg.Prepare(r.Context(), r.Header.Get("Accept-Language"))
	if bearer, ok := bearerOf(r.Header.Get("Authorization")); ok {
		if signedIn, err := h.cfg.Authenticate(ctx, bearer); err == nil {
			ctx = signedIn
		}
	}
	ctx, socket := withSocket(ctx)
	defer socket.release()
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	out := &responseWriter{ResponseWriter: w, control: http.NewResponseController(w)}
	h.server.ServeHTTP(out, r.WithContext(withResponse(ctx, out)))
}

// Close tells every socket that the server goes away (1001), refuses new ones and cuts
// off streams over SSE. Other requests under way go on.
func (h *Handler) Close() error {
	h.close()
	h.sockets.closeAll()
	return nil
}

// bearerOf reads "Bearer TOKEN"; the scheme's case does not count.
func bearerOf(authorization string) (string, bool) {
	scheme, token, ok := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// gate refuses an operation whole that needs a viewer and has none.
type gate struct{ h *Handler }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = gate{}

func (gate) ExtensionName() string                          { return "SignedIn" }
func (gate) Validate(schema graphql.ExecutableSchema) error { return nil }

func (g gate) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if g.h.cfg.SignedIn(ctx) || public(op, g.h.cfg.PublicFields) {
		return nil
	}
	refuse(ctx, http.StatusUnauthorized)
	return g.h.cfg.Unauthenticated(ctx)
}
