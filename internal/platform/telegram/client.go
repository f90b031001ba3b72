package telegram

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"causeway/internal/platform"
)

const (
	// callTimeout is the deadline of a call whose context has none.
	callTimeout = 15 * time.Second
	// pollSlack is what getUpdates gets beyond the time Telegram is asked to wait.
	pollSlack = 10 * time.Second
	// maxAnswer is the most that is read of an answer. A hundred updates, of all that
	// people write, are a fraction of it; of the longest that can be made, some twenty.
	maxAnswer = 8 << 20
)

// Client makes the calls of one bot. It is safe for several goroutines.
//
// A call without a deadline in its context gets one of 15 seconds; what a file may
// take longer stands at Send and Fetch. Every error is a *platform.Refusal, but for a
// file of our own that cannot be read; if the context ended, it also is the context's
// error. No error holds the token, the address of a call, or anything else secret that
// the call carried, whatever the platform answers. Redirects are not followed: they
// would carry the token elsewhere.
type Client struct {
	base  string // address up to the method's name: it holds the token
	files string // address up to a file's path: it holds the token
	token string
	http  *http.Client
}

var (
	_ platform.Account   = (*Client)(nil)
	_ platform.Fetcher   = (*Client)(nil)
	_ platform.Typist    = (*Client)(nil)
	_ platform.Describer = (*Client)(nil)
)

// New is a client of the bot with this token, at the Bot API served at apiURL
// (https://api.telegram.org, or a server of one's own). The transport of hc is used,
// and nothing else of it; nil is Go's own.
func New(apiURL, token string, hc *http.Client) *Client {
	api := strings.TrimRight(apiURL, "/")
	c := &Client{
		base:  api + "/bot" + token + "/",
		files: api + "/file/bot" + token + "/",
		token: token,
		http:  &http.Client{CheckRedirect: stay},
	}
	if hc != nil {
		c.http.Transport = hc.Transport
	}
	return c
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// String names the bot and not its token, in whatever way a client is printed.
func (c *Client) String() string {
	id, _ := ParseToken(c.token)
	return "telegram bot " + cmp.Or(id, "?")
}

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// answer is the envelope of everything the Bot API says.
type answer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		MovedTo    ident   `json:"migrate_to_chat_id"`
		RetryAfter float64 `json:"retry_after"`
	} `json:"parameters"`
}

// call asks for method with params and reads the result into result, if that is not
// nil. secrets are what else must not come back in an error.
func (c *Client) call(ctx context.Context, method string, params, result any, secrets ...string) error {
	return c.callWithin(ctx, callTimeout, method, params, result, secrets...)
}

func (c *Client) callWithin(
	ctx context.Context, timeout time.Duration, method string, params, result any, secrets ...string,
) error {
	text, err := json.Marshal(params)
	if err != nil {
		return &platform.Refusal{Kind: platform.Rejected, Method: method, Message: "the request cannot be written as JSON"}
	}
	return c.deliver(ctx, timeout, method, written(text), result, secrets...)
}

// parcel is the body of a call.
type parcel struct {
	mimeType string
	size     int64
	// open reads it from the start, each time it is called.
	open func() (io.ReadCloser, error)
	// arrived tells whether all of it went to the platform, and lets nothing more of it
	// go there; nil for what is so short that a part of it is as good as all.
	arrived func() bool
}

// written is a parcel of JSON.
func written(text []byte) parcel {
	return parcel{mimeType: "application/json", size: int64(len(text)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(text)), nil
	}}
}

// deliver makes a call, within timeout unless ctx says how long.
func (c *Client) deliver(
	ctx context.Context, timeout time.Duration, method string, p parcel, result any, secrets ...string,
) error {
	bounded := ctx
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return c.told(ctx, method, c.ask(bounded, method, p, result), secrets...)
}

// told is a refusal as callers get it: with the method's name, without secrets, and
// with the context's error if that is why there was no answer.
func (c *Client) told(ctx context.Context, method string, refusal *platform.Refusal, secrets ...string) error {
	if refusal == nil {
		return nil
	}
	refusal.Method = method
	refusal.Message = c.scrub(refusal.Message, secrets)
	if refusal.Kind == platform.Unreachable && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", refusal, ctx.Err())
	}
	return refusal
}

// ask makes the call. The refusal's Method is not set yet and its Message not scrubbed.
func (c *Client) ask(ctx context.Context, method string, p parcel, result any) *platform.Refusal {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// A further try on another connection is made only when nothing was written on
		// the one before.
		GetConn: func(string) { sent.Store(false) },
		// From having a connection on, bytes may be on their way, even if writing the
		// whole request then failed.
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	body, err := p.open()
	if err != nil {
		return &platform.Refusal{Kind: platform.FileRejected, Message: "the file cannot be opened"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+method, body)
	if err != nil {
		_ = body.Close() // it was only read
		return &platform.Refusal{Kind: platform.Unreachable, Message: "the address of the Bot API is not valid"}
	}
	req.GetBody, req.ContentLength = p.open, p.size
	req.Header.Set("Content-Type", p.mimeType)
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err, sent.Load() && (p.arrived == nil || p.arrived()))
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return unreachable(err, true)
	}
	if len(said) > maxAnswer {
		return unavailable(resp.StatusCode, "the answer is longer than any of the Bot API")
	}
	return understand(resp, said, result)
}

// understand reads an answer: nil if it is a success, whose result is then in result.
func understand(resp *http.Response, said []byte, result any) *platform.Refusal {
	var a answer
	if err := json.Unmarshal(said, &a); err != nil || !bytes.HasPrefix(bytes.TrimSpace(said), []byte("{")) {
		return noAnswer(resp)
	}
	if !a.OK {
		return refused(resp, a)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return unavailable(resp.StatusCode, "the result has not the shape the Bot API gives it")
	}
	return nil
}

// AnswerTap tells Telegram that a tap on a button was seen. Too late is no error.
func (c *Client) AnswerTap(ctx context.Context, answerID string) error {
	err := c.call(ctx, "answerCallbackQuery", map[string]any{"callback_query_id": answerID}, nil)
	r := platform.Refused(err)
	if r != nil && r.Kind == platform.Rejected &&
		mentions(r.Message, "query is too old", "query ID is invalid", "QUERY_ID_INVALID") {
		return nil
	}
	return err
}

// Update is one update as Telegram sent it, byte for byte, and its number.
type Update struct {
	ID  int64
	Raw json.RawMessage
}

// GetUpdates fetches up to limit updates (1 to 100) from number offset on, waiting up
// to timeout (50 s at most, in whole seconds) for the first. Asking from offset on
// tells Telegram that all before it are safe, and it forgets them. NotOurs means that
// a webhook is registered or that another program fetches as well; Unavailable, among
// other things, that so many were too long together: ask for fewer.
func (c *Client) GetUpdates(ctx context.Context, offset int64, limit int, timeout time.Duration) ([]Update, error) {
	var raws []json.RawMessage
	err := c.callWithin(ctx, timeout+pollSlack, "getUpdates", map[string]any{
		"offset":          offset,
		"limit":           limit,
		"timeout":         int(timeout / time.Second),
		"allowed_updates": AllowedUpdates(),
	}, &raws)
	if err != nil {
		return nil, err
	}
	updates := make([]Update, len(raws))
	for i, raw := range raws {
		id, ok := whole(member(raw, "update_id"))
		if !ok {
			return nil, &platform.Refusal{
				Kind: platform.Unavailable, Method: "getUpdates", Code: strconv.Itoa(http.StatusOK),
				Message: "an update without its number", Sent: true,
			}
		}
		updates[i] = Update{ID: id, Raw: raw}
	}
	return updates, nil
}
