package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// graphError is a refusal of the Graph API.
type graphError struct {
	status        int
	kind          string
	code, subcode int
	message       string
	transient     bool
}

// usualWords are what Facebook says to a code and subcode, about.
func usualWords(code, subcode int) string {
	words := map[int]string{
		99:      "An unknown error occurred",
		458:     "Error validating access token: The user has not authorized the application.",
		459:     "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
		460:     "Error validating access token: The session has been invalidated because the user changed their password.",
		463:     "Error validating access token: Session has expired.",
		464:     "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.",
		466:     "Error validating access token: The session has been invalidated.",
		467:     "Error validating access token: The session is invalid because the user logged out.",
		492:     "Error validating access token: The user must be an administrator, editor, or moderator of the page.",
		36007:   "This authorization code has expired.",
		36008:   "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
		36009:   "This authorization code has been used.",
		1545041: "This person isn't available right now.",
		1893015: "(#10) The person has stopped notifications.",
		1893063: "(#10) This Page is temporarily restricted.",
		2018001: "(#100) No matching user found",
		2018008: "(#100) Failed to fetch the file from the url",
		2018014: "(#100) Message and sender action cannot be sent together.",
		2018028: "(#200) Cannot message users who are not admins, developers or testers of the app until the permission is reviewed and the app is live.",
		2018047: "(#100) Upload attachment failure.",
		2018065: "(#10) This message is sent outside of allowed window.",
		2018074: "(#100) Invalid attachment ID. It may have been deleted or you may not be the owner.",
		2018108: "(#10) This Person Cannot Receive Messages: This person isn't receiving messages from you right now.",
		2018109: "(#100) Attachment size exceeds allowable limit",
		2018164: "(#100) The app id does not exist or is not subscribed to this page.",
		2018218: "(#100) No profile available for this user.",
		2018247: "(#100) Insufficient permission to access user profile.",
		2018278: "(#10) This message is sent outside of allowed window.",
		2018300: "(#10) Message not sent: another app is controlling this thread now.",
		2018321: "(#10) An automated flow is controlling this thread now.",
		2534022: "(#10) This message is sent outside of allowed window.",
		2534037: "(#100) The app is not the owner of the thread.",
	}
	if text, known := words[subcode]; known {
		return text
	}
	switch code {
	case 1:
		return "An unknown error occurred"
	case 2:
		return "Service temporarily unavailable"
	case 4:
		return "(#4) Application request limit reached"
	case 17:
		return "(#17) User request limit reached"
	case 32:
		return "(#32) Page request limit reached"
	case 104:
		return "An access token is required to request this resource."
	case 190:
		return "Invalid OAuth access token - Cannot parse access token"
	case 200:
		return "(#200) Permissions error"
	case 230:
		return "(#230) Requires pages_messaging permission to manage the object"
	case 341:
		return "(#341) Feed action request limit reached"
	case 368:
		return "The action attempted has been deemed abusive or is otherwise disallowed"
	case 551:
		return "(#551) This person isn't available right now."
	case 613:
		return "(#613) Calls to this api have exceeded the rate limit."
	case 1200:
		return "(#1200) Temporary send message failure. Please try again later."
	}
	return fmt.Sprintf("(#%d) The request was refused", code)
}

// GraphFailure is how a call to the Graph API goes wrong on purpose. The zero value is
// a 500 with code 2.
type GraphFailure struct {
	// Code and Subcode are those of the error; Message empty takes the usual words.
	Code, Subcode int
	Message       string
	// Transient is told as is_transient.
	Transient bool
	// Status is the HTTP status; zero means 400 with a Code, 500 without.
	Status int
	// Header is added to the answer: usage, say.
	Header http.Header
	// HTML answers with a gateway's page instead of JSON.
	HTML bool
	// Hang answers nothing until the caller gives up or the look-alike is closed.
	Hang bool
	// Lost lets the call take effect and hangs up instead of answering; with Hang it
	// leaves the caller waiting instead.
	Lost bool
	// Page and Chat are the page's id and the customer's PSID that are meant; empty: any.
	Page, Chat string
	// Times is how many calls fail; zero means one, below zero all until Works.
	Times int

	edge string
}

// Refusing is the failure with this code and subcode.
func Refusing(code, subcode int) GraphFailure { return GraphFailure{Code: code, Subcode: subcode} }

// FailNext makes the next calls of an edge fail, after those already asked to. Edges are
// named by the last part of their address (messages, subscribed_apps, accounts,
// debug_token, access_token, me, app) or by what is read: page, profile, conversation,
// message, media. A method may stand before: "DELETE subscribed_apps". AnyMethod is any.
func (m *Messenger) FailNext(edge string, failure GraphFailure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if failure.Times == 0 {
		failure.Times = 1
	}
	failure.edge = edge
	m.failures = append(m.failures, &failure)
}

// Works takes back every failure that was asked for.
func (m *Messenger) Works() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = nil
}

// UsageHeaders are added to every answer of the Graph API from now on: X-App-Usage,
// X-Business-Use-Case-Usage or X-Page-Usage with their JSON. Nil ends it.
func (m *Messenger) UsageHeaders(headers http.Header) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usage = headers.Clone()
}

// nextFailure takes what was asked for this call; nil when nothing was.
func (m *Messenger) nextFailure(call *GraphCall) *GraphFailure {
	for i, f := range m.failures {
		method, edge, both := strings.Cut(f.edge, " ")
		if !both {
			method, edge = call.Method, f.edge
		}
		meant := strings.EqualFold(method, call.Method) && (edge == AnyMethod || strings.EqualFold(edge, call.Edge)) &&
			(f.Page == "" || f.Page == call.Page) && (f.Chat == "" || f.Chat == call.Chat)
		if !meant {
			continue
		}
		if f.Times--; f.Times == 0 {
			m.failures = slices.Delete(slices.Clone(m.failures), i, i+1)
		}
		return f
	}
	return nil
}

func (f *GraphFailure) error() *graphError {
	code := f.Code
	e := refuse(code, f.Subcode)
	if code == 0 {
		e = refuse(2, f.Subcode).with(http.StatusInternalServerError)
		e.transient = true
	}
	if f.Status != 0 {
		e.status = f.Status
	}
	if f.Message != "" {
		e.message = f.Message
	}
	e.transient = e.transient || f.Transient
	return e
}
