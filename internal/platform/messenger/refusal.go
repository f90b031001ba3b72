package messenger

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

// graphError is how the Graph API says no.
type graphError struct {
	Message     opaque `json:"message"`
	Code        number `json:"code"`
	Subcode     number `json:"error_subcode"`
	UserMessage opaque `json:"error_user_msg"`
	Trace       opaque `json:"fbtrace_id"`
	Transient   yes    `json:"is_transient"`
}

// noWaitSaid is how long to wait where Facebook throttles and does not say how long. It
// counts by the hour and the day, so that less is of no use.
const noWaitSaid = time.Minute

// refusal classifies an error by its code and subcode, never by its words
// (Messenger Platform, "Error Codes"; Graph API, "Handling Errors").
func (e *graphError) refusal(resp *http.Response) *platform.Refusal {
	r := e.verdict(resp.StatusCode)
	r.Sent = true
	r.Code = e.code(resp.StatusCode)
	r.Message = string(e.Message)
	if e.UserMessage != "" && e.UserMessage != e.Message {
		r.Message = joined(" ", r.Message, string(e.UserMessage))
	}
	if e.Trace != "" {
		r.Message = joined(" ", r.Message, "(fbtrace_id "+string(e.Trace)+")")
	}
	if r.Kind == platform.RetryAfter {
		r.Wait = wait(resp)
	}
	return &r
}

// code is Facebook's code and subcode: 190/463.
func (e *graphError) code(status int) string {
	if e.Code == 0 {
		return strconv.Itoa(status)
	}
	code := strconv.FormatInt(int64(e.Code), 10)
	if e.Subcode != 0 {
		code += "/" + strconv.FormatInt(int64(e.Subcode), 10)
	}
	return code
}

// verdict is the kind of an error and what belongs to it.
func (e *graphError) verdict(status int) platform.Refusal {
	if r, known := bySubcode(e.Code, e.Subcode); known {
		return r
	}
	of := func(kind platform.RefusalKind) platform.Refusal { return platform.Refusal{Kind: kind} }
	throttled := func(scope platform.RefusalScope) platform.Refusal {
		return platform.Refusal{Kind: platform.RetryAfter, Scope: scope}
	}
	switch code := e.Code; {
	case code == 102, code == 104, code == 190, code == 2500:
		return of(platform.Unauthorized)
	case code == 4, code == 341:
		return throttled(platform.ScopeApp)
	case code == 17, code == 32, 80000 <= code && code <= 80014:
		return throttled(platform.ScopeAccount)
	case code == 613:
		return throttled(platform.ScopeUnknown)
	case code == 3, code == 10, 200 <= code && code <= 299:
		return of(platform.PermissionMissing)
	case code == 368:
		return of(platform.Restricted)
	case code == 551:
		return of(platform.Blocked)
	case code == 1, code == 2, code == 1200, bool(e.Transient):
		return of(platform.Unavailable)
	case status == http.StatusTooManyRequests:
		return throttled(platform.ScopeUnknown)
	case status >= 500:
		return of(platform.Unavailable)
	default:
		return of(platform.Rejected)
	}
}

// bySubcode is the verdict where the subcode decides; false where the code does. Some
// subcodes also come as codes.
func bySubcode(code, subcode number) (platform.Refusal, bool) {
	var r platform.Refusal
	if subcode == 0 {
		subcode = code
	}
	switch subcode {
	case 2018278, 2534022, 2018065:
		r.Kind = platform.WindowClosed
	case 2018300, 2018321, 2534037:
		r.Kind = platform.ThreadTaken
	case 2018001, 2018108, 1545041, 1893015:
		r.Kind = platform.Blocked
	case 1893063, 2534122, 2018338, 2018344:
		r.Kind = platform.Restricted
	case 2534029: // of a page; of Instagram, code 100, it is a request that is wrong
		r.Kind = platform.Restricted
		if code == 100 {
			r.Kind = platform.Rejected
		}
	case 2018021, 2018027, 2018028:
		r.Kind = platform.NotLive
	case 2018008, 2018047:
		r.Kind = platform.FileRejected
	case 2018109:
		r.Kind = platform.TooLarge
	case 2018294:
		r.Kind = platform.Unavailable
	case 2018354:
		r.Kind, r.Scope = platform.RetryAfter, platform.ScopeChat
	case 2018336, 1357046:
		r.Kind = platform.Rejected
	case 2018218, 2018247, 2534041, 2534077:
		r.Kind = platform.PermissionMissing
	case 99:
		if code != 1 {
			return r, false
		}
		r.Kind = platform.Rejected
	case 463, 492:
		if code != 190 {
			return r, false
		}
		r.Kind, r.Expired, r.RoleLost = platform.Unauthorized, subcode == 463, subcode == 492
	default:
		return r, false
	}
	return r, true
}

// noAnswer is an answer that is not the Graph API's: a gateway's page, a redirect. What
// it says is not repeated; only being told to wait, or that it is too large, is believed of a
// gateway.
func noAnswer(resp *http.Response) *platform.Refusal {
	if resp.StatusCode == http.StatusTooManyRequests {
		return &platform.Refusal{
			Kind: platform.RetryAfter, Code: strconv.Itoa(resp.StatusCode),
			Message: "too many requests, says a gateway", Wait: wait(resp), Sent: true,
		}
	}
	if resp.StatusCode == http.StatusRequestEntityTooLarge {
		return &platform.Refusal{
			Kind: platform.TooLarge, Code: strconv.Itoa(resp.StatusCode), Message: "too large, says a gateway", Sent: true,
		}
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return unavailable(resp.StatusCode, "a redirect, which is not followed")
	}
	return unavailable(resp.StatusCode, "an answer that is not the Graph API's, perhaps of a gateway")
}

func unavailable(status int, message string) *platform.Refusal {
	return &platform.Refusal{
		Kind: platform.Unavailable, Code: strconv.Itoa(status), Message: message, Sent: true,
	}
}

// wait is how long the headers say to wait, a day at most; a minute if they do not.
func wait(resp *http.Response) time.Duration {
	var said time.Duration
	if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 32); err == nil {
		said = time.Duration(n) * time.Second
	}
	if usage, there := readUsage(resp.Header); there {
		said = max(said, usage.Regain)
	}
	if said == 0 {
		return noWaitSaid
	}
	return min(said, 24*time.Hour)
}

// unreachable is no answer. Go's errors print the address, which holds the proof and
// perhaps a token, so they are put into words of our own.
func unreachable(err error, sent bool) *platform.Refusal {
	return &platform.Refusal{Kind: platform.Unreachable, Message: why(err), Sent: sent}
}

func why(err error) string {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host was not found"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the host's certificate is not valid"
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
		return "no way to the host"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer"
	default:
		return "the connection failed"
	}
}

// maxMessage is how much is kept of the platform's words, in bytes.
const maxMessage = 500

// scrub takes out of the platform's words what is secret: secrets themselves, in whatever
// case and also where they are escaped for an address, and whatever else looks like a
// token of Facebook's.
func scrub(text string, secrets []string) string {
	if text == "" {
		return ""
	}
	const tooShort = 4 // would be found inside common words
	for _, secret := range secrets {
		if len(secret) < tooShort {
			continue
		}
		for _, form := range []string{secret, url.PathEscape(secret), url.QueryEscape(secret)} {
			text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(form)).ReplaceAllLiteralString(text, "***")
		}
	}
	for _, looks := range []string{`EAA[\w-]{8,}`, `(?i)(access_token|client_secret|input_token|appsecret_proof)=[^&\s"']+`, `\d{3,}(\||%7C)[\w-]{8,}`} {
		text = regexp.MustCompile(looks).ReplaceAllLiteralString(text, "***")
	}
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
