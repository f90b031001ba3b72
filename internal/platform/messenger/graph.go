package messenger

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"causeway/internal/platform"
)

const (
	// callTimeout is the deadline of a call whose context has none, and uploadTimeout of
	// one that carries a file.
	callTimeout   = 15 * time.Second
	uploadTimeout = 2 * time.Minute
	// maxAnswer is the most that is read of an answer. A hundred pages with all their
	// fields are a fraction of it.
	maxAnswer = 8 << 20
)

// graph makes calls of the Graph API. Tokens go in the Authorization header, secrets in
// the body of a POST; only a token that is asked about (debug_token) stands in an
// address, since Facebook takes it nowhere else. No address ever leaves this type.
type graph struct {
	base   string // address up to the path, with the version and a slash
	http   *http.Client
	secret string // of the app that the tokens belong to; empty: calls go without proof
}

func newGraph(address, version string, hc *http.Client, secret string) graph {
	base := strings.TrimRight(address, "/") + "/"
	if version = strings.Trim(version, "/"); version != "" {
		base += version + "/"
	}
	g := graph{base: base, http: &http.Client{CheckRedirect: stay}, secret: secret}
	if hc != nil {
		g.http.Transport = hc.Transport
	}
	return g
}

// stay keeps a redirect from carrying the token elsewhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// call is one call of the Graph API.
type call struct {
	name    string // what it is called in refusals
	verb    string
	path    []string // segments
	query   url.Values
	content *content // of a POST; nil: none
	token   string
	secrets []string // what else must not come back in an error
	// heard is told the headers of every answer.
	heard func(http.Header)
}

// content is what a call carries.
type content struct {
	mimeType string
	size     int64
	open     func() (io.ReadCloser, error)
	// broken tells that reading it failed, so that it never arrived whole; nil: it cannot.
	broken *atomic.Bool
	upload bool
}

func inMemory(mimeType string, b []byte) *content {
	return &content{mimeType: mimeType, size: int64(len(b)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// asJSON is v, which is of our own making, as JSON.
func asJSON(v any) *content {
	b, _ := json.Marshal(v)
	return inMemory("application/json", b)
}

func asForm(v url.Values) *content {
	return inMemory("application/x-www-form-urlencoded", []byte(v.Encode()))
}

// do makes a call and reads the answer into result, if that is not nil. Every error is
// a *platform.Refusal; if the context ended, it also is the context's error.
func (g graph) do(ctx context.Context, c call, result any) error {
	bounded := ctx
	if _, has := ctx.Deadline(); !has {
		timeout := callTimeout
		if c.content != nil && c.content.upload {
			timeout = uploadTimeout
		}
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	refusal := g.ask(bounded, c, result)
	if refusal == nil {
		return nil
	}
	refusal.Method = c.name
	refusal.Message = scrub(refusal.Message, append([]string{c.token, g.secret, g.proof(c.token)}, c.secrets...))
	if refusal.Kind == platform.Unreachable && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", refusal, ctx.Err())
	}
	return refusal
}

// ask makes the call. The refusal's Method is not set yet and its Message not scrubbed.
func (g graph) ask(ctx context.Context, c call, result any) *platform.Refusal {
	address, ok := g.address(c)
	if !ok {
		return &platform.Refusal{Kind: platform.Rejected, Message: "an id that is none"}
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// A further try on another connection is made only when nothing was written on
		// the one before.
		GetConn: func(string) { sent.Store(false) },
		// From having a connection on, bytes may be on their way, even if writing the
		// whole request then failed.
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, c.verb, address, nil)
	if err != nil {
		return &platform.Refusal{Kind: platform.Unreachable, Message: "the address of the Graph API is not valid"}
	}
	if c.content != nil {
		if req.Body, err = c.content.open(); err != nil {
			return unreadable()
		}
		req.GetBody = c.content.open
		req.ContentLength = c.content.size
		req.Header.Set("Content-Type", c.content.mimeType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		if c.content != nil && c.content.broken != nil && c.content.broken.Load() {
			return unreadable()
		}
		return unreachable(err, sent.Load())
	}
	defer resp.Body.Close()
	if c.heard != nil {
		c.heard(resp.Header)
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return unreachable(err, true)
	}
	if len(said) > maxAnswer {
		return unavailable(resp.StatusCode, "the answer is longer than any of the Graph API")
	}
	return understand(resp, said, result)
}

// unreadable is a file of ours that could not be read to its end: what went out of it is
// less than was announced, so that nobody took it for whole.
func unreadable() *platform.Refusal {
	return &platform.Refusal{Kind: platform.FileRejected, Message: "the file cannot be read"}
}

// address is where a call goes; false if a segment of its path could lead elsewhere.
func (g graph) address(c call) (string, bool) {
	segments := make([]string, len(c.path))
	for i, s := range c.path {
		if s == "" || s == "." || s == ".." || len(s) > maxIdent {
			return "", false
		}
		segments[i] = url.PathEscape(s)
	}
	query := url.Values{}
	for key, values := range c.query {
		query[key] = values
	}
	if proof := g.proof(c.token); proof != "" {
		query.Set("appsecret_proof", proof)
	}
	address := g.base + strings.Join(segments, "/")
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address, true
}

// proof shows that a call comes from who holds the app's secret, without telling it.
func (g graph) proof(token string) string {
	if g.secret == "" || token == "" {
		return ""
	}
	return hex.EncodeToString(sign(g.secret, []byte(token)))
}

// understand reads an answer: nil if it is a success, whose content is then in result.
func understand(resp *http.Response, said []byte, result any) *platform.Refusal {
	var a struct {
		Error   *graphError `json:"error"`
		Success *yes        `json:"success"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(said), []byte("{")) || json.Unmarshal(said, &a) != nil {
		return noAnswer(resp)
	}
	switch {
	case a.Error != nil:
		return a.Error.refusal(resp)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return noAnswer(resp)
	case a.Success != nil && !bool(*a.Success):
		return unavailable(resp.StatusCode, "it was not done, and no reason is given")
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(said, result); err != nil {
		return unavailable(resp.StatusCode, "the answer has not the shape the Graph API gives it")
	}
	return nil
}

// yes is a truth that Facebook writes with or without quotation marks.
type yes bool

// UnmarshalJSON never fails: what is not true is false.
func (y *yes) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*y = s == "true" || s == "1"
	return nil
}
