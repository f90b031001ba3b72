package messenger

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"causeway/internal/platform"
)

// Fetch opens the address that a message or a profile names. It holds no token and gets
// none. Such addresses end after some days; what Facebook then says (403, 404 or 410) is
// Rejected. A refusal of Config.Media itself, such as of a private address, is in the
// error's chain.
func (c *Client) Fetch(ctx context.Context, ref string) (platform.Download, error) {
	refuse := func(kind platform.RefusalKind, code int, message string, sent bool) error {
		r := &platform.Refusal{Kind: kind, Method: "fetch", Message: message, Sent: sent}
		if code != 0 {
			r.Code = strconv.Itoa(code)
		}
		return r
	}
	if c.media == nil {
		return platform.Download{}, refuse(platform.Rejected, 0, "nothing here fetches what strangers point to", false)
	}
	if address(opaque(ref)) == "" {
		return platform.Download{}, refuse(platform.Rejected, 0, "not an address of the web", false)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ref, nil)
	if err != nil {
		return platform.Download{}, refuse(platform.Rejected, 0, "not an address of the web", false)
	}
	resp, err := c.media.Do(req)
	if err != nil {
		r := unreachable(err, false)
		r.Method = "fetch"
		return platform.Download{}, &fetchError{r, inner(err)}
	}
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		return platform.Download{
			Body: resp.Body, Size: resp.ContentLength, MimeType: mediaType(resp.Header), Name: nameSaid(resp.Header, ref),
		}, nil
	case status == http.StatusTooManyRequests, status >= 500:
		err = refuse(platform.Unavailable, status, "it is not handed out now", true)
	case status == http.StatusRequestEntityTooLarge:
		err = refuse(platform.TooLarge, status, "it is too large to be handed out", true)
	default:
		err = refuse(platform.Rejected, status, "it is not there any more", true)
	}
	resp.Body.Close()
	return platform.Download{}, err
}

// fetchError is a refusal whose cause can be asked for, and which does not print it: an
// address may be signed.
type fetchError struct {
	refusal *platform.Refusal
	cause   error
}

func (e *fetchError) Error() string   { return e.refusal.Error() }
func (e *fetchError) Unwrap() []error { return []error{e.refusal, e.cause} }

// inner is the cause without the address around it.
func inner(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

func mediaType(h http.Header) string {
	base, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return base
}

func nameSaid(h http.Header, ref string) string {
	if _, params, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		return params["filename"]
	}
	return fileName(opaque(ref))
}
