package causeway

import (
	"errors"
	"maps"
	"time"
)

// Code says what went wrong to a machine. The first group are the codes of the
// contract's ProblemCode enum; the second the codes of top-level GraphQL errors.
type Code string

// Codes of problems: values in a payload's userErrors, on connections, checks and
// messages.
const (
	InvalidInput              Code = "INVALID_INPUT"
	NotFound                  Code = "NOT_FOUND"
	Conflict                  Code = "CONFLICT"
	InvalidBotToken           Code = "INVALID_BOT_TOKEN"
	BotUsernameMismatch       Code = "BOT_USERNAME_MISMATCH"
	InvalidPageToken          Code = "INVALID_PAGE_TOKEN"
	LoginExpired              Code = "LOGIN_EXPIRED"
	LoginCancelled            Code = "LOGIN_CANCELLED"
	PermissionsMissing        Code = "PERMISSIONS_MISSING"
	PageNotInList             Code = "PAGE_NOT_IN_LIST"
	PageNotPublished          Code = "PAGE_NOT_PUBLISHED"
	PageRoleInsufficient      Code = "PAGE_ROLE_INSUFFICIENT"
	AlreadyConnected          Code = "ALREADY_CONNECTED"
	PlatformNotConfigured     Code = "PLATFORM_NOT_CONFIGURED"
	PlatformNotAvailable      Code = "PLATFORM_NOT_AVAILABLE"
	AppNotLive                Code = "APP_NOT_LIVE"
	TokenExpired              Code = "TOKEN_EXPIRED"
	TokenRevoked              Code = "TOKEN_REVOKED"
	DataAccessExpiring        Code = "DATA_ACCESS_EXPIRING"
	AccountDeleted            Code = "ACCOUNT_DELETED"
	AccountRestricted         Code = "ACCOUNT_RESTRICTED"
	WebhookSubscriptionFailed Code = "WEBHOOK_SUBSCRIPTION_FAILED"
	WebhookUnreachable        Code = "WEBHOOK_UNREACHABLE"
	WebhookNotRegistered      Code = "WEBHOOK_NOT_REGISTERED"
	WebhookFailing            Code = "WEBHOOK_FAILING"
	WebhookTakenOver          Code = "WEBHOOK_TAKEN_OVER"
	WebhookFieldsMissing      Code = "WEBHOOK_FIELDS_MISSING"
	PrivacyModeOn             Code = "PRIVACY_MODE_ON"
	UnusuallyQuiet            Code = "UNUSUALLY_QUIET"
	NotConnected              Code = "NOT_CONNECTED"
	ThreadOwnedByAnotherApp   Code = "THREAD_OWNED_BY_ANOTHER_APP"
	ReplyWindowClosed         Code = "REPLY_WINDOW_CLOSED"
	RecipientUnreachable      Code = "RECIPIENT_UNREACHABLE"
	BlockedByContact          Code = "BLOCKED_BY_CONTACT"
	MessageTooLong            Code = "MESSAGE_TOO_LONG"
	AttachmentRejected        Code = "ATTACHMENT_REJECTED"
	DeliveryUnconfirmed       Code = "DELIVERY_UNCONFIRMED"
	RateLimited               Code = "RATE_LIMITED"
	PlatformError             Code = "PLATFORM_ERROR"
	NetworkError              Code = "NETWORK_ERROR"
)

// Codes of top-level errors only; NotFound and RateLimited serve both.
const (
	Unauthenticated Code = "UNAUTHENTICATED"
	Forbidden       Code = "FORBIDDEN"
	BadUserInput    Code = "BAD_USER_INPUT"
	TooComplex      Code = "TOO_COMPLEX"
	FeedOverrun     Code = "FEED_OVERRUN"
	FeedTrimmed     Code = "FEED_TRIMMED"
	Internal        Code = "INTERNAL"
)

// Reason narrows a code down to one case that has words of its own in the
// catalogue. A problem without a reason is told in the words of its code.
type Reason string

// The reasons there are. Args in braces are what the words need.
const (
	ReasonRequired         Reason = "required"          // INVALID_INPUT: a field is empty
	ReasonTooLong          Reason = "too_long"          // INVALID_INPUT {max}: longer than max characters
	ReasonCannotClear      Reason = "cannot_clear"      // INVALID_INPUT: null for what cannot be empty
	ReasonBadEmail         Reason = "bad_email"         // INVALID_INPUT: not an address
	ReasonEmailTaken       Reason = "email_taken"       // INVALID_INPUT: another user has it
	ReasonShortPassword    Reason = "short_password"    // INVALID_INPUT {min}: fewer than min characters
	ReasonWrongPassword    Reason = "wrong_password"    // INVALID_INPUT: the current password is not this
	ReasonWrongCredentials Reason = "wrong_credentials" // INVALID_INPUT: signIn, without a field
	ReasonBadLanguage      Reason = "bad_language"      // INVALID_INPUT: not a BCP 47 tag
	ReasonInThePast        Reason = "in_the_past"       // INVALID_INPUT: an end that is already over
	ReasonTooManySignIns   Reason = "too_many_sign_ins" // RATE_LIMITED {minutes}: wrong passwords
	ReasonArchived         Reason = "archived"          // CONFLICT: the campaign is read-only
	ReasonLiveConnections  Reason = "live_connections"  // CONFLICT {count}: disconnect them first
	ReasonLastAdmin        Reason = "last_admin"        // CONFLICT: somebody must remain administrator
	ReasonDeactivatedUser  Reason = "deactivated_user"  // CONFLICT: the person is shut out
	ReasonAlreadyHere      Reason = "already_here"      // ALREADY_CONNECTED {campaign}: in a campaign the viewer may see
	ReasonAlreadyElsewhere Reason = "already_elsewhere" // ALREADY_CONNECTED: in one the viewer may not see
	ReasonTakenByWebhook   Reason = "taken_by_webhook"  // WEBHOOK_TAKEN_OVER {host}: another program's address is registered
	ReasonTakenByPoller    Reason = "taken_by_poller"   // WEBHOOK_TAKEN_OVER: another program fetches the updates
	ReasonTookOver         Reason = "took_over"         // WEBHOOK_TAKEN_OVER {host}: connecting replaced another program's webhook
	ReasonFacebookApp      Reason = "facebook_app"      // PLATFORM_NOT_CONFIGURED {settings}: settings this server lacks
	ReasonTooLongToSend    Reason = "too_long_to_send"  // MESSAGE_TOO_LONG {max}: the platform takes max characters
	ReasonNotFailed        Reason = "not_failed"        // CONFLICT: only a message that FAILED can be sent again
	ReasonNoHandOver       Reason = "no_hand_over"      // CONFLICT: on this platform nobody else can answer in a chat
	ReasonNameTaken        Reason = "name_taken"        // CONFLICT: another tag or queue of the campaign has this name
	ReasonShortcutTaken    Reason = "shortcut_taken"    // CONFLICT: another quick reply has this shortcut and language
	ReasonBadShortcut      Reason = "bad_shortcut"      // INVALID_INPUT: a shortcut is one word
	ReasonBadColor         Reason = "bad_color"         // INVALID_INPUT: not #rrggbb
	ReasonNotMember        Reason = "not_member"        // INVALID_INPUT: who is no member of the campaign is given no work in it

	// Of Facebook, of webhooks, and of sending. A {date} is written 2026-11-21, a moment
	// ({since}, {closedAt}) 2026-11-21 13:12 UTC, a {max} of a file 25 MB; several names
	// are joined by a comma and a space.
	ReasonNamedPermissions    Reason = "named_permissions"     // PERMISSIONS_MISSING {permissions}: Facebook did not grant these
	ReasonBusinessPagesHidden Reason = "business_pages_hidden" // PERMISSIONS_MISSING: without business_management, pages of a portfolio may stay hidden
	ReasonLoginPending        Reason = "login_pending"         // CONFLICT: the Facebook window is still open
	ReasonLoginUnknown        Reason = "login_unknown"         // LOGIN_EXPIRED: the answer belongs to no sign-in that is waiting here
	ReasonLoginUsed           Reason = "login_used"            // LOGIN_EXPIRED: Facebook's answer was already taken
	ReasonOriginNotAllowed    Reason = "origin_not_allowed"    // INVALID_INPUT: no login may be started from this origin
	ReasonPageUnpublished     Reason = "page_unpublished"      // PAGE_NOT_PUBLISHED {page}: this page
	ReasonPageTaskMissing     Reason = "page_task_missing"     // PAGE_ROLE_INSUFFICIENT {page}: whoever signed in has no Messages task on it
	ReasonTokenOfOtherApp     Reason = "token_of_other_app"    // INVALID_PAGE_TOKEN: it was made with an app other than the one entered
	ReasonTokenOfOtherPage    Reason = "token_of_other_page"   // INVALID_PAGE_TOKEN {page}: it belongs to this page
	ReasonTokenOfPerson       Reason = "token_of_person"       // INVALID_PAGE_TOKEN: it is a person's or an app's token
	ReasonAppSecretWrong      Reason = "app_secret_wrong"      // INVALID_PAGE_TOKEN: the app secret does not fit the token's app
	ReasonNoPublicURL         Reason = "no_public_url"         // PLATFORM_NOT_CONFIGURED {settings}: Messenger needs an address that Facebook can reach
	ReasonAppInDevelopment    Reason = "app_in_development"    // APP_NOT_LIVE: the app is in development mode
	ReasonNoAdvancedAccess    Reason = "no_advanced_access"    // APP_NOT_LIVE {permissions}: the app is live, but reaches only people with a role in it
	ReasonPasswordChanged     Reason = "password_changed"      // TOKEN_REVOKED: whoever connected the page changed the password, or Facebook ended all sessions
	ReasonSecurityCheckpoint  Reason = "security_checkpoint"   // TOKEN_REVOKED: Facebook wants whoever connected the page to sign in and answer
	ReasonAppRemoved          Reason = "app_removed"           // TOKEN_REVOKED: whoever connected the page removed the app
	ReasonBotTokenReplaced    Reason = "bot_token_replaced"    // TOKEN_REVOKED: Telegram no longer knows the bot's token
	ReasonDataAccessEnds      Reason = "data_access_ends"      // DATA_ACCESS_EXPIRING {date}: Facebook stops sharing then
	ReasonPolicyWarning       Reason = "policy_warning"        // ACCOUNT_RESTRICTED {words}: Facebook warns; sending still works
	ReasonCallbackNotVerified Reason = "callback_not_verified" // WEBHOOK_SUBSCRIPTION_FAILED: Facebook called our address and did not get the answer it expects
	ReasonAddressUnknown      Reason = "address_unknown"       // WEBHOOK_UNREACHABLE {host}: the name does not resolve
	ReasonConnectionRefused   Reason = "connection_refused"    // WEBHOOK_UNREACHABLE {host}: nobody listens there
	ReasonCertificateInvalid  Reason = "certificate_invalid"   // WEBHOOK_UNREACHABLE {host}: the certificate is not trusted, or is for another name
	ReasonCertificateExpired  Reason = "certificate_expired"   // WEBHOOK_UNREACHABLE {host} {date}: the certificate, or one above it, ended then
	ReasonAddressTimedOut     Reason = "address_timed_out"     // WEBHOOK_UNREACHABLE {host} {seconds}: no answer in that time
	ReasonAddressAnswersWrong Reason = "address_answers_wrong" // WEBHOOK_UNREACHABLE {host} {status}: it answers, but not as this server does
	ReasonUnsubscribed        Reason = "unsubscribed"          // WEBHOOK_NOT_REGISTERED: Facebook no longer lists the app among the page's
	ReasonPlatformSays        Reason = "platform_says"         // WEBHOOK_FAILING {words}: the platform's last error
	ReasonCallbackElsewhere   Reason = "callback_elsewhere"    // WEBHOOK_TAKEN_OVER {host}: the Facebook app's callback address is another server's
	ReasonNamedFields         Reason = "named_fields"          // WEBHOOK_FIELDS_MISSING {fields}: these kinds of event do not come
	ReasonQuietSince          Reason = "quiet_since"           // UNUSUALLY_QUIET {since}: when the last message came
	ReasonThreadOwnedBy       Reason = "thread_owned_by"       // THREAD_OWNED_BY_ANOTHER_APP {app}: this app
	ReasonOtherAppsListen     Reason = "other_apps_listen"     // THREAD_OWNED_BY_ANOTHER_APP {apps}: these get the page's messages, too
	ReasonThreadInPageInbox   Reason = "thread_in_page_inbox"  // THREAD_OWNED_BY_ANOTHER_APP: a person answers in the page's own inbox
	ReasonThreadAutomated     Reason = "thread_automated"      // THREAD_OWNED_BY_ANOTHER_APP: an automatic answer of Facebook's own is running
	ReasonWindowClosedAt      Reason = "window_closed_at"      // REPLY_WINDOW_CLOSED {closedAt}: when the last moment was
	ReasonNoHumanAgent        Reason = "no_human_agent"        // REPLY_WINDOW_CLOSED: over 24 hours, and the app may not use the HUMAN_AGENT tag
	ReasonPersonUnavailable   Reason = "person_unavailable"    // RECIPIENT_UNREACHABLE: Facebook says the person cannot be written to
	ReasonBotNotInGroup       Reason = "bot_not_in_group"      // RECIPIENT_UNREACHABLE: the bot was removed from the group, or may not write there
	ReasonFileTooLarge        Reason = "file_too_large"        // ATTACHMENT_REJECTED {max}: larger than the platform takes
	ReasonFileTypeRefused     Reason = "file_type_refused"     // ATTACHMENT_REJECTED {type}: the platform does not take this kind
	ReasonFileEmpty           Reason = "file_empty"            // ATTACHMENT_REJECTED: it has no bytes
	ReasonTooManyFiles        Reason = "too_many_files"        // INVALID_INPUT {max}: more than max files in one message
)

// Problem is something that went wrong, as plain data: it is stored on connections,
// checks and messages, and put into words only when somebody reads it (see the room
// internal/problem). It never holds a secret.
type Problem struct {
	Code            Code              `json:"code"`
	Reason          Reason            `json:"reason,omitempty"`
	Args            map[string]string `json:"args,omitempty"`
	Field           []string          `json:"field,omitempty"` // path of the input field at fault
	PlatformCode    string            `json:"platformCode,omitempty"`
	PlatformMessage string            `json:"platformMessage,omitempty"`
	Retryable       bool              `json:"retryable,omitempty"`
	Told            bool              `json:"told,omitempty"` // by the platform of its own accord, not found by looking
	OccurredAt      time.Time         `json:"occurredAt"`     // zero until it is stored or answered
}

// Error is a Problem on its way up through Go code: the problem for the person and
// the machine, the chain of causes for the operator.
type Error struct {
	Problem
	cause error
}

// Fail makes an error of a code. Add to it with the methods below, each of which
// returns a copy.
func Fail(code Code) *Error { return &Error{Problem: Problem{Code: code}} }

// FailWith makes an error of a code and the reason that narrows it.
func FailWith(code Code, reason Reason) *Error {
	return &Error{Problem: Problem{Code: code, Reason: reason}}
}

// Invalid is INVALID_INPUT for the input field at path: Invalid(reason, "input", "email").
func Invalid(reason Reason, path ...string) *Error {
	return FailWith(InvalidInput, reason).At(path...)
}

// Missing is NOT_FOUND for the id given at path. It says the same of what does not
// exist and of what the viewer may not see.
func Missing(path ...string) *Error { return Fail(NotFound).At(path...) }

// At names the input field at fault.
func (e *Error) At(path ...string) *Error {
	c := *e
	c.Field = path
	return &c
}

// With gives the catalogue's words an argument.
func (e *Error) With(name, value string) *Error {
	c := *e
	c.Args = maps.Clone(e.Args)
	if c.Args == nil {
		c.Args = map[string]string{}
	}
	c.Args[name] = value
	return &c
}

// Because attaches the cause, for the log; clients never see it.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Platform adds the platform's own code and words, already without secrets.
func (e *Error) Platform(code, message string) *Error {
	c := *e
	c.PlatformCode, c.PlatformMessage = code, message
	return &c
}

// CanRetry marks that the same call can succeed later without any change.
func (e *Error) CanRetry() *Error {
	c := *e
	c.Retryable = true
	return &c
}

// Error is the operator's sentence: the code, the reason, the causes.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Reason != "" {
		s += " (" + string(e.Reason) + ")"
	}
	if e.PlatformMessage != "" {
		s += ": " + e.PlatformMessage
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, causeway.Fail(code)) true for every error of that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Reason == "" || t.Reason == e.Reason)
}

// CodeOf is the code of the first causeway.Error in err's chain; Internal for an
// error that has none, empty for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
