package connection

import (
	"net/url"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
)

// WebhookAddress is where a connection's platform posts updates to; empty without a
// public address.
func (s *Service) WebhookAddress(row *ent.Connection) string {
	if row.Platform == platform.Messenger {
		return s.facebookWebhookURL(row.WebhookKey, sealed(row.SealedAppSecret) != nil)
	}
	return s.botWebhookURL(row.WebhookKey)
}

// unread fails the check because the platform did not say what is registered: evidence
// neither for nor against it.
func (i *inspection) unread(err error, seen string) {
	problem := trouble(err)
	if i.of.connecting {
		i.registerError = err // what was asked for was not done
	}
	if !i.of.registered {
		i.hookStatus, i.hookProblem = entconnection.WebhookStatusInactive, i.stamped(problem)
	}
	i.fail(platform.CheckWebhookRegistration, problem, seen)
}

// broken fails the check by what was seen.
func (i *inspection) broken(status entconnection.WebhookStatus, problem *causeway.Error, seen string) {
	i.hookStatus, i.hookProblem = status, i.stamped(problem)
	i.proven = true
	i.fail(platform.CheckWebhookRegistration, problem, seen)
}

// notRegistered fails the check because the platform did not do what registering
// takes.
func (i *inspection) notRegistered(err error, seen string) {
	i.registerError = err
	problem := trouble(err)
	if refused(err) && !unauthorized(err) {
		problem = subscriptionFailed(err)
		i.proven = true
	}
	i.hookStatus, i.hookProblem = entconnection.WebhookStatusInactive, i.stamped(problem)
	i.fail(platform.CheckWebhookRegistration, problem, seen)
}

// subscriptionFailed is the platform's no to a registration, in its own words.
func subscriptionFailed(err error) *causeway.Error {
	refusal := platform.Refused(err)
	failed := causeway.Fail(causeway.WebhookSubscriptionFailed)
	if refusal.Code == "2200" { // Facebook's, of a callback that did not answer its challenge
		failed = causeway.FailWith(causeway.WebhookSubscriptionFailed, causeway.ReasonCallbackNotVerified)
	}
	return failed.Platform(refusal.Code, refusal.Message).Because(err)
}

// hostOf is as much of an address as may be told: the rest can hold secrets.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "another address"
	}
	return u.Host
}
