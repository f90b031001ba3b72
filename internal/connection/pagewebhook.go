package connection

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
)

// facebookPath is where Facebook posts for this server's own app; below it, by the
// connection's key, for a person's own.
const facebookPath = "/webhooks/facebook"

// facebookWebhookURL is the address that Facebook posts a page's updates to: by the
// connection's key for a person's own app; empty without a public address.
func (s *Service) facebookWebhookURL(key string, ownApp bool) string {
	switch {
	case s.publicURL == "":
		return ""
	case ownApp:
		return s.publicURL + facebookPath + "/" + key
	default:
		return s.publicURL + facebookPath
	}
}

// VerifyToken is what a platform shows when it looks at a connection's webhook address,
// for who sets up the app by hand; empty where none is shown, and of a connection that is
// disconnected.
func (s *Service) VerifyToken(row *ent.Connection) (string, error) {
	if row.Platform != platform.Messenger || row.DisconnectedAt != nil {
		return "", nil
	}
	if sealed(row.SealedAppSecret) == nil {
		return s.facebook.VerifyToken, nil
	}
	token, err := s.opened(sealed(row.SealedWebhookSecret), row.ID)
	if err != nil {
		return "", fmt.Errorf("open the verify token of %s: %w", row.ID, err)
	}
	return string(token), nil
}

// deliver sees to it that the app's webhook leads here and that the page is subscribed,
// as far as that is ours to do, and judges both. Another server's address in the app is
// replaced only while connecting.
func (i *pageLook) deliver(ctx context.Context) error {
	if i.svc.publicURL == "" {
		i.broken(entconnection.WebhookStatusInactive,
			causeway.FailWith(causeway.PlatformNotConfigured, causeway.ReasonNoPublicURL).With("settings", "--public-url"),
			"This server has no public address, so that Facebook cannot deliver.")
		return nil
	}
	tookOver, ok := i.arrangeApp(ctx)
	if !ok {
		return nil
	}
	fields, ok := i.arrangePage(ctx)
	if !ok {
		return nil
	}
	// Only what both the app and the page are subscribed to is delivered.
	fields = slices.DeleteFunc(fields, func(f string) bool { return !slices.Contains(i.heard, f) })
	i.hookStatus, i.subscribed = entconnection.WebhookStatusActive, fields
	seen := fmt.Sprintf("Facebook delivers %s to %s.", counted(len(fields), "kind")+" of events", hostOf(i.svc.publicURL))
	lacking := lackingFields(fields)
	switch {
	case tookOver != "":
		problem := causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonTookOver).With("host", tookOver)
		i.warn(platform.CheckWebhookRegistration, problem, seen+" Before the app delivered to "+tookOver+".")
	case len(lacking) > 0:
		names := strings.Join(lacking, ", ")
		problem := causeway.FailWith(causeway.WebhookFieldsMissing, causeway.ReasonNamedFields).With("fields", names)
		i.warn(platform.CheckWebhookRegistration, problem, seen+" It leaves out: "+names+".")
		i.warnings = append(i.warnings, *i.stamped(problem))
	default:
		i.pass(platform.CheckWebhookRegistration, seen)
	}
	return nil
}

func lackingFields(has []string) []string {
	var lacking []string
	for _, field := range messenger.Fields() {
		if !slices.Contains(has, field) {
			lacking = append(lacking, field)
		}
	}
	return lacking
}

// arrangeApp makes sure that the app's webhook is ours. It tells the host that lost it
// just now, and whether there is anything left to look at.
func (i *pageLook) arrangeApp(ctx context.Context) (tookOver string, ok bool) {
	wanted := i.svc.facebookWebhookURL(i.of.key, i.app.own)
	found, err := i.appWebhook(ctx)
	if err != nil {
		i.unread(err, "Facebook did not say where the app's webhooks go.")
		return "", false
	}
	ours := found.Callback == wanted
	i.heard = found.Fields
	due := i.of.connecting || !i.of.registered
	switch {
	case ours && (len(lackingFields(found.Fields)) == 0 || !due):
		return "", true
	case found.Callback != "" && !ours && !due:
		host := hostOf(found.Callback)
		i.broken(entconnection.WebhookStatusError,
			causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonCallbackElsewhere).With("host", host),
			"The Facebook app delivers to "+host+", which is another server.")
		return "", false
	}
	err = i.timed(platform.CheckWebhookRegistration, func() error {
		return i.app.SetWebhook(ctx, wanted, i.verifyToken(), messenger.Fields())
	})
	if err != nil {
		i.notRegistered(err, "Facebook did not take this server's address for the app's webhooks.")
		return "", false
	}
	i.heard = messenger.Fields()
	if found.Callback != "" && !ours {
		return hostOf(found.Callback), true
	}
	return "", true
}

// verifyToken is what Facebook shows when it looks at the address: of an own app the
// connection's webhook secret, which no delivery needs there.
func (i *pageLook) verifyToken() string {
	if i.app.own {
		return i.of.secret
	}
	return i.svc.facebook.VerifyToken
}

// appWebhook is what the app has registered for pages; empty if nothing.
func (i *pageLook) appWebhook(ctx context.Context) (found messenger.AppWebhook, err error) {
	err = i.timed(platform.CheckWebhookRegistration, func() error {
		hooks, err := i.app.Webhooks(ctx)
		for _, hook := range hooks {
			if hook.Object == "page" {
				found = hook
			}
		}
		return err
	})
	return found, err
}

// arrangePage makes sure that the page is subscribed, and tells to what.
func (i *pageLook) arrangePage(ctx context.Context) (fields []string, ok bool) {
	fields, subscribed, err := i.pageFields(ctx)
	if err != nil {
		i.unread(err, "Facebook did not say what the page is subscribed to.")
		return nil, false
	}
	if subscribed && len(lackingFields(fields)) == 0 && !i.of.connecting {
		return fields, true
	}
	if !subscribed && i.of.registered && !i.of.connecting {
		i.broken(entconnection.WebhookStatusInactive,
			causeway.FailWith(causeway.WebhookNotRegistered, causeway.ReasonUnsubscribed),
			"The page is not subscribed to the app any more.")
		return nil, false
	}
	if subscribed && i.of.registered && !i.of.connecting {
		return fields, true // somebody chose fewer, and is told so
	}
	err = i.timed(platform.CheckWebhookRegistration, func() error { return i.page.Subscribe(ctx, messenger.Fields()) })
	if err != nil {
		i.notRegistered(err, "Facebook did not subscribe the page to the app.")
		return nil, false
	}
	fields, subscribed, err = i.pageFields(ctx)
	i.registered = err != nil || subscribed
	if err == nil && subscribed {
		return fields, true
	}
	if err == nil {
		i.broken(entconnection.WebhookStatusInactive, causeway.Fail(causeway.WebhookNotRegistered), "Facebook does not list the app among the page's.")
		return nil, false
	}
	i.hookStatus = entconnection.WebhookStatusActive
	i.fail(platform.CheckWebhookRegistration, trouble(err), "Facebook subscribed the page but did not say to what.")
	return nil, false
}

// pageFields are what the page delivers to our app.
func (i *pageLook) pageFields(ctx context.Context) (fields []string, subscribed bool, err error) {
	err = i.timed(platform.CheckWebhookRegistration, func() error {
		apps, err := i.page.Subscribed(ctx)
		for _, app := range apps {
			if app.AppID == i.app.id {
				fields, subscribed = app.Fields, true
			}
		}
		return err
	})
	return fields, subscribed, err
}

// testEvent is a change of a kind that Facebook does not have.
func (i *pageLook) testEvent() testEvent {
	body := fmt.Appendf(nil, `{"object":"page","entry":[{"id":%q,"time":%d,"changes":[{"field":"causeway_test","value":{}}]}]}`,
		i.of.account, i.svc.clock.Now().UnixMilli())
	return testEvent{
		address: i.svc.facebookWebhookURL(i.of.key, i.app.own),
		header:  http.Header{messenger.SignatureHeader: {messenger.Sign(i.app.secret, body)}},
		body:    body,
	}
}

// leave unsubscribes the page from the app, unless somebody connected it through the same
// one meanwhile.
func (i *pageLook) leave(ctx context.Context) error {
	taken, err := i.svc.store.Reader().Connection.Query().
		Where(entconnection.PlatformEQ(platform.Messenger), entconnection.AccountID(i.of.account),
			entconnection.DisconnectedAtIsNil(), entconnection.AppID(i.app.id)).
		Exist(ctx)
	if err != nil || taken {
		return err
	}
	return i.page.Unsubscribe(ctx)
}
