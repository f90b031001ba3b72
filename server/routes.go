package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"causeway"
	"causeway/graph"
	"causeway/internal/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/playground"
	"causeway/internal/webhook"
)

// readyWithin bounds the look at everything that /readyz speaks for.
const readyWithin = 3 * time.Second

// overdueAfter is how long an update may wait before the program is called not ready:
// longer than all tries of one that a chat waits behind.
const overdueAfter = 5 * time.Minute

// routes are the program's addresses.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", withAddress(a.graphql))
	mux.Handle(webhook.TelegramPath, a.metrics.webhooks(platform.Telegram, a.webhooks))
	facebook := a.metrics.webhooks(platform.Messenger, a.webhooks)
	mux.Handle(webhook.FacebookPath, facebook)
	mux.Handle(webhook.FacebookPath+"/", facebook)
	mux.Handle(connection.CallbackPath, a.callback)
	mux.Handle("/media/{id}", a.files)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", a.metrics.handler())
	page := playground.Config{Endpoint: "/graphql"}
	if a.settings.Introspection {
		page.SchemaURL = "/schema.graphqls"
		mux.Handle("GET /schema.graphqls", playground.Schema(causeway.Schema()))
	}
	if a.settings.Playground {
		served := playground.New(page)
		mux.Handle("GET /{$}", served)
		mux.Handle("GET /playground/", served)
	}
	return mux
}

// ready tells whether the program can do its work, and if not, why.
func (a *app) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	err := a.store.Ready(ctx)
	if err == nil {
		err = a.bus.Ready()
	}
	if err == nil {
		err = a.workersReady(ctx)
	}
	if err != nil {
		a.log.Warn("not ready", "error", err)
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

// workersReady tells whether stored updates are processed.
func (a *app) workersReady(ctx context.Context) error {
	late, err := intake.Overdue(ctx, a.store, causeway.System{}.Now().Add(-overdueAfter))
	if err == nil && late {
		err = fmt.Errorf("workers: stored updates have waited for more than %s to be processed", overdueAfter)
	}
	return err
}

// withAddress notes whom a request comes from, for the limits on signing in.
func withAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(graph.WithAddress(r.Context(), addressOf(r))))
	})
}

// addressOf is who asks: the other end of the connection or, where that is a proxy on
// this machine or its private network, whom it forwards for. Proxies add to
// X-Forwarded-For at its end; what stands before is only what they were told.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.Unmap().IsLoopback() && !peer.Unmap().IsPrivate() {
		return host
	}
	words := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	last, err := netip.ParseAddr(strings.TrimSpace(words[len(words)-1]))
	if err != nil {
		return host
	}
	return last.String()
}
