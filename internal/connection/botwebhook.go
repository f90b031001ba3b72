package connection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/secret"
)

const (
	// webhookPath is where Telegram posts; the key follows.
	webhookPath = "/webhooks/telegram/"

	webhookKeyBytes  = 32
	webhookKeyLength = 43 // of webhookKeyBytes in base64
	// patience is how long a registration waits at most when Telegram says "not so
	// fast": it takes one a second.
	patience = 5 * time.Second
)

// newWebhookKey names a connection in its webhook's address.
func newWebhookKey() string { return secret.RandomToken(webhookKeyBytes) }

// newWebhookSecret is what Telegram proves itself with.
func newWebhookSecret() string { return secret.RandomToken(32) }

// botWebhookURL is the address Telegram posts a connection's updates to; empty where they
// are fetched.
func (s *Service) botWebhookURL(key string) string {
	if s.publicURL == "" {
		return ""
	}
	return s.publicURL + webhookPath + key
}

// readWebhook asks what is registered at the platform. What the platform does not
// tell is kept for the check; the error is ours.
func (i *botLook) readWebhook(ctx context.Context) error {
	i.webhook = nil
	i.webhookErr = i.timed(platform.CheckWebhookRegistration, func() error {
		info, err := i.bot.GetWebhookInfo(ctx)
		if err == nil {
			i.webhook, i.pending = &info, new(int(info.Pending))
		}
		return err
	})
	if i.webhookErr != nil {
		return nil
	}
	own, err := i.svc.own(ctx, i.webhook.URL)
	i.own = own
	return err
}

// own tells whether an address is, or under another public address was, one of this
// server's webhooks.
func (s *Service) own(ctx context.Context, address string) (bool, error) {
	if s.publicURL != "" && strings.HasPrefix(address, s.publicURL+webhookPath) {
		return true, nil
	}
	_, key, found := strings.Cut(address, webhookPath)
	if !found || len(key) != webhookKeyLength {
		return false, nil
	}
	own, err := s.store.Reader().Connection.Query().Where(entconnection.WebhookKey(key)).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("look up a webhook's key: %w", err)
	}
	return own, nil
}

// foreign tells whether another program's address is registered.
func (i *botLook) foreign() bool { return i.webhook != nil && i.webhook.URL != "" && !i.own }

// deliver sees to it that updates reach us, as far as that is ours to do, and judges
// whether they do. Another program's webhook is replaced only while connecting.
func (i *botLook) deliver(ctx context.Context) error {
	switch {
	case i.webhookErr != nil:
		i.unread(i.webhookErr, "Telegram did not say which webhook is registered.")
		return nil
	case i.svc.delivery(platform.Telegram) == entconnection.DeliveryPolling:
		i.arrangeFetching(ctx)
		return nil
	default:
		return i.arrangeWebhook(ctx)
	}
}

// arrangeFetching makes sure that no webhook is in the way: Telegram answers fetches
// only where there is none.
func (i *botLook) arrangeFetching(ctx context.Context) {
	if i.foreign() {
		problem, seen := taken(i.webhook.URL)
		i.broken(entconnection.WebhookStatusError, problem, seen)
		return
	}
	if i.own {
		if err := i.timed(platform.CheckWebhookRegistration, func() error { return i.bot.DeleteWebhook(ctx, false) }); err != nil {
			i.notRegistered(err, "Telegram did not remove the webhook, so that updates cannot be fetched.")
			return
		}
	}
	i.registered = i.own || !i.of.registered || i.of.connecting
	if i.of.reported != nil && !i.registered {
		i.broken(entconnection.WebhookStatusError, (&causeway.Error{Problem: *i.of.reported}), "Updates could not be fetched.")
		return
	}
	i.hookStatus, i.subscribed = entconnection.WebhookStatusActive, telegram.AllowedUpdates()
	i.pass(platform.CheckWebhookRegistration,
		fmt.Sprintf("No webhook is registered; updates are fetched. %s at Telegram.", waiting(i.webhook.Pending)))
}

// arrangeWebhook registers the webhook where that is due, reads it back and judges it.
func (i *botLook) arrangeWebhook(ctx context.Context) error {
	tookOver := ""
	if i.registrationDue() {
		if i.foreign() {
			tookOver = hostOf(i.webhook.URL)
		}
		if err := i.register(ctx); err != nil {
			i.notRegistered(err, "Telegram did not register the webhook.")
			return nil
		}
		i.registered = true
		if err := i.readWebhook(ctx); err != nil {
			return err
		}
		if i.webhookErr != nil {
			i.hookStatus = entconnection.WebhookStatusActive
			i.fail(platform.CheckWebhookRegistration, botTrouble(i.webhookErr), "Telegram took the webhook but did not say how it stands.")
			return nil
		}
	}
	i.judgeWebhook(tookOver)
	return nil
}

// registrationDue tells whether the webhook is ours to register now: somebody asked
// for it, it never was, or what is registered is ours and no longer what we want.
func (i *botLook) registrationDue() bool {
	if i.of.connecting || !i.of.registered {
		return true
	}
	return i.own && (i.webhook.URL != i.svc.botWebhookURL(i.of.key) || len(i.lacking()) > 0)
}

// lacking are the kinds of updates that are understood here and not delivered.
func (i *botLook) lacking() []string {
	var lacking []string
	for _, kind := range telegram.AllowedUpdates() {
		if !slices.Contains(i.webhook.AllowedUpdates, kind) {
			lacking = append(lacking, kind)
		}
	}
	return lacking
}

func (i *botLook) register(ctx context.Context) error {
	return i.timed(platform.CheckWebhookRegistration, func() error { return i.set(ctx, i.wanted()) })
}

// wanted is the webhook as this server wants it.
func (i *botLook) wanted() telegram.SetWebhook {
	return telegram.SetWebhook{
		URL: i.svc.botWebhookURL(i.of.key), Secret: i.of.secret, AllowedUpdates: telegram.AllowedUpdates(),
	}
}

// set registers a webhook, and once more where Telegram says "not so fast".
func (i *botLook) set(ctx context.Context, webhook telegram.SetWebhook) error {
	err := i.bot.SetWebhook(ctx, webhook)
	refusal := platform.Refused(err)
	if refusal == nil || refusal.Kind != platform.RetryAfter || refusal.Wait > patience {
		return err
	}
	if !i.svc.wait(ctx, refusal.Wait, nil) {
		return err
	}
	return i.bot.SetWebhook(ctx, webhook)
}

// judgeWebhook tells from what is registered whether updates reach us. tookOver is
// the host of the program that lost them just now.
func (i *botLook) judgeWebhook(tookOver string) {
	switch wanted := i.svc.botWebhookURL(i.of.key); {
	case i.webhook.URL == "":
		i.broken(entconnection.WebhookStatusInactive, causeway.Fail(causeway.WebhookNotRegistered), "No webhook is registered at Telegram.")
		return
	case i.webhook.URL != wanted:
		problem, seen := taken(i.webhook.URL)
		i.broken(entconnection.WebhookStatusError, problem, seen)
		return
	case i.failing():
		problem := causeway.Fail(causeway.WebhookFailing).Platform("", i.webhook.LastError)
		i.hookStatus, i.hookProblem = entconnection.WebhookStatusError, i.stamped(problem)
		i.proven = i.proven || i.webhook.Pending > 0
		i.fail(platform.CheckWebhookRegistration, problem,
			fmt.Sprintf("Telegram could not deliver. %s there.", waiting(i.webhook.Pending)))
		return
	}
	i.hookStatus, i.subscribed = entconnection.WebhookStatusActive, i.webhook.AllowedUpdates
	seen := fmt.Sprintf("Telegram delivers to %s. %s there.", hostOf(i.webhook.URL), waiting(i.webhook.Pending))
	switch lacking := i.lacking(); {
	case tookOver != "":
		problem := causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonTookOver).With("host", tookOver)
		i.warn(platform.CheckWebhookRegistration, problem, seen+" Before it delivered to "+tookOver+".")
	case len(lacking) > 0:
		problem := causeway.Fail(causeway.WebhookFieldsMissing)
		i.warn(platform.CheckWebhookRegistration, problem, seen+" It leaves out: "+strings.Join(lacking, ", ")+".")
		i.warnings = append(i.warnings, *i.stamped(problem))
	default:
		i.pass(platform.CheckWebhookRegistration, seen)
	}
}

// failing tells whether the last delivery that Telegram tried went wrong, and lately.
// Telegram keeps the error after deliveries work again, so that an update which came
// in later outweighs it.
func (i *botLook) failing() bool {
	at := i.webhook.LastErrorAt
	if at.IsZero() || i.registered {
		return false
	}
	recent := at.After(i.svc.clock.Now().Add(-i.svc.interval))
	sinceRegistered := !at.Before(i.of.since.Truncate(time.Second)) // Telegram tells seconds
	return recent && sinceRegistered && i.of.received.Before(at)
}

// taken says that the webhook is another program's.
func taken(address string) (*causeway.Error, string) {
	host := hostOf(address)
	return causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonTakenByWebhook).With("host", host),
		"Telegram delivers this bot's updates to " + host + ", which is another program."
}

func waiting(n int64) string {
	if n == 1 {
		return "1 update waits"
	}
	return fmt.Sprintf("%d updates wait", n)
}

// endsWithKey tells whether an address is the webhook of this key.
func endsWithKey(address, key string) bool { return strings.HasSuffix(address, webhookPath+key) }
