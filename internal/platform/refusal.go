package platform

import (
	"errors"
	"fmt"
	"time"
)

// RefusalKind is why a platform would not do what it was asked.
type RefusalKind int

// The kinds of refusals.
const (
	// Rejected: this very request will never be taken.
	Rejected RefusalKind = iota + 1
	// RetryAfter: too many requests; the same one may be taken after Wait.
	RetryAfter
	// Unauthorized: the token is not, or no longer, good.
	Unauthorized
	// Blocked: the other side does not want to hear from us, or is gone.
	Blocked
	// NotOurs: another program holds what was asked for (webhook, poller, thread).
	NotOurs
	// Unavailable: the platform is in trouble itself (5xx, a gateway's HTML page).
	Unavailable
	// Unreachable: no answer at all.
	Unreachable
	// TooLarge: a file is larger than the platform takes or hands out.
	TooLarge
	// WindowClosed: too long since the customer last wrote.
	WindowClosed
	// ThreadTaken: another app has the chat.
	ThreadTaken
	// Restricted: the platform keeps the account from sending for a while.
	Restricted
	// PermissionMissing: the token is good, but may not do this.
	PermissionMissing
	// FileRejected: the file of the message will never be taken.
	FileRejected
	// NotLive: the app is in development; only people with a role in it can be written to.
	NotLive
)

// Refusal is a platform's answer that is no success. It holds no secret.
type Refusal struct {
	Kind    RefusalKind
	Method  string        // what was asked
	Code    string        // the platform's own code: 401, 190/463; empty without an answer
	Message string        // the platform's own words; empty without an answer
	Wait    time.Duration // how long to wait, for RetryAfter; zero if it does not say
	// Sent tells whether the request may have reached the platform: false means that
	// nothing of it was written, so that sending again cannot do it twice.
	Sent bool
	// Expired: the token's time is over, where Kind is Unauthorized.
	Expired bool
	// RoleLost: the person behind the token may not speak for the account any more, where
	// Kind is Unauthorized.
	RoleLost bool
	// Scope is whom a RetryAfter stops, where the platform says so.
	Scope RefusalScope
	// MovedTo is the chat's new id where the refusal is that it moved.
	MovedTo string
}

// Error is the operator's sentence.
func (r *Refusal) Error() string {
	if r.Code == "" {
		return fmt.Sprintf("%s: %s", r.Method, r.Message)
	}
	return fmt.Sprintf("%s: %s %s", r.Method, r.Code, r.Message)
}

// Refused returns the refusal in err's chain, or nil.
func Refused(err error) *Refusal {
	r, _ := errors.AsType[*Refusal](err)
	return r
}

// RefusalScope is whom a platform asks to wait.
type RefusalScope int

// The scopes there are.
const (
	ScopeUnknown RefusalScope = iota
	ScopeChat
	ScopeAccount
	ScopeApp
)
