package telegram

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"causeway/internal/platform"
)

// refused classifies an answer with ok false. Telegram has no codes finer than the
// status; the wording shifts between versions, so the least is matched of it.
func refused(resp *http.Response, a answer) *platform.Refusal {
	status := a.ErrorCode
	if status == 0 {
		status = resp.StatusCode
	}
	r := &platform.Refusal{
		Kind:    kindOf(status, a.Description),
		Code:    strconv.Itoa(status),
		Message: a.Description,
		Sent:    true,
	}
	if r.Kind == platform.RetryAfter {
		r.Wait = wait(resp, a.Parameters.RetryAfter)
	}
	if a.Parameters.MovedTo.given {
		r.MovedTo = a.Parameters.MovedTo.String()
	}
	return r
}

func kindOf(status int, description string) platform.RefusalKind {
	switch status {
	case http.StatusUnauthorized, http.StatusMisdirectedRequest:
		return platform.Unauthorized
	case http.StatusNotFound:
		if mentions(description, "method not found") {
			return platform.Rejected
		}
		return platform.Unauthorized // how a malformed token is answered
	case http.StatusForbidden:
		if unwelcome(description) {
			return platform.Blocked
		}
		return platform.Rejected
	case http.StatusConflict:
		return platform.NotOurs
	case http.StatusTooManyRequests:
		return platform.RetryAfter
	}
	if status >= 400 && status < 500 {
		return platform.Rejected
	}
	return platform.Unavailable
}

// unwelcome tells the refusals that hold for a chat, until the other side changes
// its mind, from those that hold for one message in it.
func unwelcome(description string) bool {
	reason, _ := strings.CutPrefix(strings.ToLower(description), "forbidden: ")
	for _, start := range []string{
		"bot was blocked", "bot was kicked", "bot is not a member", "bot can't initiate",
		"bot can't send messages to", "bots can't send messages to", "user is deactivated",
		"the group chat was deleted", "the channel chat was deleted", "chat was deleted",
	} {
		if strings.HasPrefix(reason, start) {
			return true
		}
	}
	return false
}

// noAnswer is an answer that is not the Bot API's: a gateway's page, a redirect. What
// it says is not repeated; only being told to wait is believed of a gateway.
func noAnswer(resp *http.Response) *platform.Refusal {
	if resp.StatusCode == http.StatusTooManyRequests {
		return &platform.Refusal{
			Kind: platform.RetryAfter, Code: strconv.Itoa(resp.StatusCode),
			Message: "too many requests, says a gateway", Wait: wait(resp, 0), Sent: true,
		}
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return unavailable(resp.StatusCode, "a redirect, which is not followed")
	}
	return unavailable(resp.StatusCode, "an answer that is not the Bot API's, perhaps of a gateway")
}

func unavailable(status int, message string) *platform.Refusal {
	return &platform.Refusal{
		Kind: platform.Unavailable, Code: strconv.Itoa(status), Message: message, Sent: true,
	}
}

// wait is how long Telegram, or else the header, says to wait; zero if neither does,
// and a day at most.
func wait(resp *http.Response, seconds float64) time.Duration {
	if !(seconds > 0) {
		n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 32)
		if err != nil {
			return 0
		}
		seconds = float64(n)
	}
	return time.Duration(min(seconds, 24*60*60) * float64(time.Second))
}

// unreachable is no answer. Go's errors print the address, which holds the token, so
// they are put into words of our own.
func unreachable(err error, sent bool) *platform.Refusal {
	return &platform.Refusal{Kind: platform.Unreachable, Message: why(err), Sent: sent}
}

func why(err error) string {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host of the Bot API was not found"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate of the Bot API's host is not valid"
	}
	timed, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was given up"
	case errors.Is(err, context.DeadlineExceeded), isNet && timed.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "no way to the host of the Bot API"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer"
	default:
		return "the connection failed"
	}
}

// mentions tells whether text holds one of the parts, in whatever case.
func mentions(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, part := range parts {
		if strings.Contains(text, strings.ToLower(part)) {
			return true
		}
	}
	return false
}

// maxMessage is how much is kept of the platform's words, in bytes.
const maxMessage = 500

// scrub takes out of the platform's words what is secret: the token, its half after
// the colon, whatever else looks like a token, the address of calls, and secrets, in
// whatever case and also where they are escaped for an address.
func (c *Client) scrub(text string, secrets []string) string {
	if text == "" {
		return ""
	}
	_, half, _ := strings.Cut(c.token, ":")
	hidden := []string{c.files, c.base, strings.TrimSuffix(c.base, "/"), c.token, half}
	for _, secret := range append(hidden, secrets...) {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, url.PathEscape(secret), url.QueryEscape(secret)} {
			text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(form)).ReplaceAllLiteralString(text, "***")
		}
	}
	text = regexp.MustCompile(`(?i)\d{3,}(:|%3a)[\w-]{20,}`).ReplaceAllLiteralString(text, "***")
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
