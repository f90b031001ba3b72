package messenger

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"causeway"
	"causeway/internal/platform"
)

// Config says where Facebook is and what its calls need.
type Config struct {
	// GraphURL is the Graph API (https://graph.facebook.com), Version its version (v25.0).
	GraphURL, Version string
	// HTTP is whose transport calls go through, and nothing else of it; nil is Go's own.
	HTTP *http.Client
	// Media is what fetches addresses found in messages and profiles, redirects and all.
	// They are strangers' words: it must refuse what is private. Nil: nothing is fetched.
	Media *http.Client
	// AppSecret is of the app that the page's token belongs to. Every call then proves that
	// its secret is known (appsecret_proof); empty: calls go without.
	AppSecret string
	// Locale: the app may read people's language (pages_user_locale). Asking for it
	// without costs the whole profile.
	Locale bool
	// Clock is the present; nil: the machine's.
	Clock causeway.Clock
}

// Client makes the calls of one page. It is safe for several goroutines.
//
// A call without a deadline in its context gets one of 15 seconds, with a file of two
// minutes. Every error is a *platform.Refusal; if the context ended, it also is the
// context's error. No error holds a token, a secret, the address of a call or a query,
// whatever the platform answers. Redirects of the Graph API are not followed.
type Client struct {
	graph
	page, token string
	media       *http.Client
	locale      bool
	clock       causeway.Clock

	mu    sync.Mutex
	usage Usage
}

var (
	_ platform.Account   = (*Client)(nil)
	_ platform.Fetcher   = (*Client)(nil)
	_ platform.Typist    = (*Client)(nil)
	_ platform.Pacer     = (*Client)(nil)
	_ platform.Seer      = (*Client)(nil)
	_ platform.Describer = (*Client)(nil)
)

// New is a client of the page with this id and token.
func New(config Config, page, token string) *Client {
	c := &Client{
		graph: newGraph(config.GraphURL, config.Version, config.HTTP, config.AppSecret),
		page:  page, token: token,
		media: config.Media, locale: config.Locale, clock: config.Clock,
	}
	if c.clock == nil {
		c.clock = causeway.System{}
	}
	return c
}

// String names the page and not its token, in whatever way a client is printed.
func (c *Client) String() string { return "facebook page " + c.page }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// get reads what lies at path; post and remove change it.
func (c *Client) get(ctx context.Context, name string, path []string, query url.Values, result any) error {
	return c.do(ctx, call{name: name, verb: http.MethodGet, path: path, query: query, token: c.token, heard: c.heard}, result)
}

func (c *Client) post(ctx context.Context, name string, path []string, content *content, result any) error {
	return c.do(ctx, call{name: name, verb: http.MethodPost, path: path, content: content, token: c.token, heard: c.heard}, result)
}

func (c *Client) remove(ctx context.Context, name string, path []string) error {
	return c.do(ctx, call{name: name, verb: http.MethodDelete, path: path, token: c.token, heard: c.heard}, nil)
}

// AnswerTap does nothing: nobody waits for an answer to a tap on Messenger.
func (c *Client) AnswerTap(context.Context, string) error { return nil }
