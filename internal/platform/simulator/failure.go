package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Failure is how a call goes wrong on purpose. The zero value is a 500.
type Failure struct {
	// Status is the HTTP status and error_code; zero means 429 with a RetryAfter, 400
	// with a MigrateTo and else 500.
	Status int
	// Description is told as it is; empty takes the usual one of the status.
	Description string
	// RetryAfter, in seconds, is told in the body and in the header.
	RetryAfter int
	// MigrateTo is told as parameters.migrate_to_chat_id.
	MigrateTo int64
	// HTML answers with a gateway's page instead of JSON.
	HTML bool
	// Hang answers nothing until the caller gives up or the look-alike is closed.
	Hang bool
	// Lost lets the call take effect and hangs up instead of answering.
	Lost bool
	// Cut sends the first half of a download and hangs up. Of other calls it is Lost.
	Cut bool
	// Chat makes only calls that name this chat fail; zero means any call.
	Chat int64
	// Times is how many calls fail; zero means one.
	Times int
}

// FileRoute is the name under which downloads are counted and made to fail.
const FileRoute = "file"

// AnyMethod as a method's name makes the next call fail whatever it is.
const AnyMethod = "*"

// FailNext makes the next calls of a method fail, after those already asked to that
// mean the same chat. Methods are named as Telegram does, in any case; AnyMethod and
// FileRoute are too.
func (tg *Telegram) FailNext(method string, failure Failure) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	failure.Times = max(failure.Times, 1)
	method = strings.ToLower(method)
	tg.failures[method] = append(tg.failures[method], &failure)
}

// FailNoMore takes back what FailNext asked of a method and has not come yet; without a
// name, of all.
func (tg *Telegram) FailNoMore(methods ...string) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	if len(methods) == 0 {
		clear(tg.failures)
	}
	for _, method := range methods {
		delete(tg.failures, strings.ToLower(method))
	}
}

// Down hangs up on every call, those that wait too, and posts nothing to webhooks
// until Up. What customers do meanwhile waits.
func (tg *Telegram) Down() { tg.setDown(true) }

// Up ends Down.
func (tg *Telegram) Up() { tg.setDown(false) }

func (tg *Telegram) setDown(down bool) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	tg.down = down
	tg.changed.ring()
}

// nextFailure takes what was asked for a call of method in a chat, or in none; nil when
// nothing was.
func (tg *Telegram) nextFailure(method string, chat int64) *Failure {
	for _, name := range []string{strings.ToLower(method), AnyMethod} {
		asked := tg.failures[name]
		i := slices.IndexFunc(asked, func(f *Failure) bool { return f.Chat == 0 || f.Chat == chat })
		if i < 0 {
			continue
		}
		failure := asked[i]
		if failure.Times--; failure.Times == 0 {
			tg.failures[name] = slices.Delete(asked, i, i+1)
		}
		return failure
	}
	return nil
}

// answer is what the failure says instead of a result.
func (f *Failure) answer() answer {
	a := answer{status: f.Status, description: f.Description, retryAfter: f.RetryAfter, migrateTo: f.MigrateTo}
	switch {
	case a.status != 0:
	case f.RetryAfter > 0:
		a.status = http.StatusTooManyRequests
	case f.MigrateTo != 0:
		a.status = http.StatusBadRequest
	default:
		a.status = http.StatusInternalServerError
	}
	if a.description == "" {
		a.description = f.usual(a.status)
	}
	return a
}

func (f *Failure) usual(status int) string {
	switch {
	case f.MigrateTo != 0:
		return "Bad Request: group chat was upgraded to a supergroup chat"
	case status == http.StatusTooManyRequests:
		return "Too Many Requests: retry after " + strconv.Itoa(f.RetryAfter)
	case status == http.StatusForbidden:
		return "Forbidden: bot was blocked by the user"
	default:
		return http.StatusText(status)
	}
}

// page is what a gateway in front of the platform says.
func (a answer) page() string {
	return fmt.Sprintf("<html>\r\n<head><title>%[1]d %[2]s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s</h1></center>\r\n"+
		"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", a.status, http.StatusText(a.status))
}
