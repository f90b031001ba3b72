package transport

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origins are the web pages that may call from a browser: this server's own, and
// those of the setting.
type origins struct{ allowed []string }

func newOrigins(allowed []string) origins {
	o := origins{}
	for _, a := range allowed {
		o.allowed = append(o.allowed, strings.ToLower(strings.TrimSuffix(a, "/")))
	}
	return o
}

// refuses tells whether a WebSocket's request comes from a page of another origin.
// Browsers do not ask before opening one, so it is for the server to refuse; the
// origin "null" is anybody. Requests without an Origin come from no browser.
func (o origins) refuses(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin != "" && !o.knows(origin) && !same(origin, r.Host)
}

// Headers that a page may send, and read. Those with preflight in their name exist so
// that a browser asks first: an upload is a form, which any page may post without.
const (
	corsRequestHeaders = "Authorization, Content-Type, Accept, Accept-Language, Last-Event-ID, GraphQL-Cost, " +
		"Apollo-Require-Preflight, GraphQL-Require-Preflight, X-Apollo-Operation-Name, " +
		"ApolloGraphQL-Client-Name, ApolloGraphQL-Client-Version, Cache-Control"
	corsResponseHeaders = "Retry-After, Allow"
	corsMethods         = "GET, POST, OPTIONS"
)

// allow writes the CORS headers for a page of an allowed origin.
func (o origins) allow(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !o.knows(origin) {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", corsResponseHeaders)
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", corsMethods)
		w.Header().Set("Access-Control-Allow-Headers", corsRequestHeaders)
		w.Header().Set("Access-Control-Max-Age", "600")
	}
}

// asksFirst tells whether a browser would not have sent this request across origins
// without asking.
func asksFirst(r *http.Request) bool {
	for _, name := range []string{"Apollo-Require-Preflight", "GraphQL-Require-Preflight", "X-Apollo-Operation-Name"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

func (o origins) knows(origin string) bool {
	return slices.Contains(o.allowed, strings.ToLower(origin))
}

func same(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
