package connection

import (
	"causeway"
	"causeway/internal/platform"
)

// trouble is what a call that did not succeed says about a connection, for those who
// read its status and its reports.
func trouble(err error) *causeway.Error {
	refusal := platform.Refused(err)
	if refusal == nil {
		return causeway.Fail(causeway.NetworkError).CanRetry().Because(err)
	}
	return codeOf(refusal).Platform(refusal.Code, refusal.Message).Because(err)
}

// botTrouble is trouble for a Telegram bot: of a token that it refuses, Telegram says no
// more than that.
func botTrouble(err error) *causeway.Error {
	told := trouble(err)
	if told.Code == causeway.TokenRevoked && told.Reason == "" {
		told.Reason = causeway.ReasonBotTokenReplaced
	}
	return told
}

func codeOf(refusal *platform.Refusal) *causeway.Error {
	switch refusal.Kind {
	case platform.Unauthorized:
		return tokenTrouble(refusal)
	case platform.PermissionMissing:
		return causeway.Fail(causeway.PermissionsMissing)
	case platform.Restricted:
		return causeway.Fail(causeway.AccountRestricted)
	case platform.NotLive:
		return causeway.Fail(causeway.AppNotLive)
	case platform.Unreachable:
		return causeway.Fail(causeway.NetworkError).CanRetry()
	case platform.Unavailable, platform.RetryAfter:
		return causeway.Fail(causeway.PlatformError).CanRetry()
	case platform.NotOurs:
		return causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonTakenByPoller)
	default:
		return causeway.Fail(causeway.PlatformError)
	}
}

// tokenTrouble is why a platform does not take a token, as far as it says
// (Graph API, "Handling Errors": subcodes of 190).
func tokenTrouble(refusal *platform.Refusal) *causeway.Error {
	switch {
	case refusal.Expired:
		return causeway.Fail(causeway.TokenExpired)
	case refusal.RoleLost:
		return causeway.Fail(causeway.PageRoleInsufficient)
	}
	switch refusal.Code {
	case "190/458":
		return causeway.FailWith(causeway.TokenRevoked, causeway.ReasonAppRemoved)
	case "190/459":
		return causeway.FailWith(causeway.TokenRevoked, causeway.ReasonSecurityCheckpoint)
	case "190/460":
		return causeway.FailWith(causeway.TokenRevoked, causeway.ReasonPasswordChanged)
	default:
		return causeway.Fail(causeway.TokenRevoked)
	}
}

// refused tells whether the platform understood and said no, as opposed to saying
// nothing, or that it cannot say now.
func refused(err error) bool {
	refusal := platform.Refused(err)
	if refusal == nil {
		return false
	}
	switch refusal.Kind {
	case platform.Unreachable, platform.Unavailable, platform.RetryAfter:
		return false
	default:
		return true
	}
}

func unauthorized(err error) bool {
	refusal := platform.Refused(err)
	return refusal != nil && refusal.Kind == platform.Unauthorized
}

// same tells whether two problems are one that goes on.
func same(a, b *causeway.Problem) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Code == b.Code && a.Reason == b.Reason
}
