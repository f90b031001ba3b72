package connection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
)

// dataAccessWarning is how long before Facebook stops sharing data it is warned of.
const dataAccessWarning = 14 * 24 * time.Hour

// facebookApp is an app at Facebook: this server's, or a person's own.
type facebookApp struct {
	*messenger.App
	id, secret string
	own        bool // a person's own
}

// serverApp is this server's app.
func (s *Service) serverApp() facebookApp {
	return facebookApp{App: s.app(), id: s.facebook.AppID, secret: s.facebook.AppSecret}
}

// ownApp is a person's own app.
func (s *Service) ownApp(id, secret string) facebookApp {
	return facebookApp{App: s.appClient(id, secret), id: id, secret: secret, own: true}
}

// appOf is the app that a page is connected through.
func (s *Service) appOf(row *ent.Connection) (facebookApp, error) {
	if sealed(row.SealedAppSecret) == nil {
		return s.serverApp(), nil
	}
	secret, err := s.opened(sealed(row.SealedAppSecret), row.ID)
	if err != nil {
		return facebookApp{}, fmt.Errorf("open the app secret of %s: %w", row.ID, err)
	}
	return s.ownApp(deref(row.AppID), string(secret)), nil
}

// page is a client for the page with this token, of app.
func (s *Service) page(app facebookApp, page, token string) *messenger.Client {
	return messenger.New(messenger.Config{
		GraphURL: s.facebook.GraphURL, Version: s.facebook.Version, HTTP: s.http, Media: s.outside,
		AppSecret: app.secret, Clock: s.clock,
	}, page, token)
}

// pageOf is a client for a connection that has a token.
func (s *Service) pageOf(row *ent.Connection) (*messenger.Client, facebookApp, string, error) {
	if sealed(row.SealedToken) == nil {
		return nil, facebookApp{}, "", causeway.Fail(causeway.NotConnected)
	}
	token, err := s.keys.Open(sealed(row.SealedToken), row.ID)
	if err != nil {
		return nil, facebookApp{}, "", fmt.Errorf("open the token of %s: %w", row.ID, err)
	}
	app, err := s.appOf(row)
	if err != nil {
		return nil, facebookApp{}, "", err
	}
	return s.page(app, row.AccountID, string(token)), app, string(token), nil
}

// pageLook is a look at a Facebook page. It asks in the order token, account,
// permissions, webhook, routing; nothing is asked with a bad token.
type pageLook struct {
	inspection
	page  *messenger.Client
	app   facebookApp
	token messenger.Token

	// What a login tells beside: the person's tasks on the page, and the token of theirs
	// from which the page's is had again; empty if it was pasted.
	tasks  []string
	person messenger.Token

	facts messenger.TokenFacts
	heard []string // the kinds of events that the app's webhook gets
}

var (
	_ examiner  = (*pageLook)(nil)
	_ rehearser = (*pageLook)(nil)
)

func (s *Service) lookAtPage(app facebookApp, page, token string) *pageLook {
	return &pageLook{inspection: s.inspect(), page: s.page(app, page, token), app: app, token: messenger.Token(token)}
}

// pageLookOf is a look at a connection that has a token.
func (s *Service) pageLookOf(row *ent.Connection, of subject) (*pageLook, error) {
	page, app, token, err := s.pageOf(row)
	if err != nil {
		return nil, err
	}
	person, err := s.opened(sealed(row.SealedUserToken), row.ID)
	if err != nil {
		return nil, fmt.Errorf("open the person's token of %s: %w", row.ID, err)
	}
	return &pageLook{
		inspection: s.inspectionOf(of), page: page, app: app, token: messenger.Token(token), person: messenger.Token(person),
	}, nil
}

// examine asks everything of a connection that stands already.
func (i *pageLook) examine(ctx context.Context) error {
	if err := i.identify(ctx); err != nil {
		return nil
	}
	return i.rest(ctx)
}

// rest asks what is left once token and account were found good.
func (i *pageLook) rest(ctx context.Context) error {
	i.judgeToken(ctx)
	i.judgeAccount()
	i.judgePermissions()
	if err := i.deliver(ctx); err != nil {
		return err
	}
	i.judgeRouting(ctx)
	return nil
}

// identify asks what the token is worth and reads the page. If either is refused, or not
// answered, the checks say so and the error is that answer.
func (i *pageLook) identify(ctx context.Context) error {
	err := i.timed(platform.CheckToken, func() error {
		facts, err := i.app.DebugToken(ctx, i.token)
		i.facts = facts
		if err == nil && facts.Problem != nil {
			return facts.Problem
		}
		return err
	})
	if err != nil {
		seen := "Facebook did not say what the token is worth."
		if unauthorized(err) {
			seen = "Facebook refuses the token."
		}
		return i.unidentified(platform.CheckToken, err, trouble(err), seen)
	}
	err = i.timed(platform.CheckAccount, func() error {
		page, err := i.page.Page(ctx)
		if err == nil {
			profile := profileOf(page)
			profile.Tasks, profile.Unspoken = i.tasks, false
			i.profile = &profile
		}
		return err
	})
	if err == nil {
		return nil
	}
	if unauthorized(err) {
		return i.unidentified(platform.CheckToken, err, trouble(err), "Facebook refuses the token.")
	}
	problem, seen := trouble(err), "Facebook did not describe the page."
	if refusal := platform.Refused(err); refusal != nil && refusal.Kind == platform.Rejected {
		problem = causeway.Fail(causeway.AccountDeleted).Platform(refusal.Code, refusal.Message).Because(err)
		seen = "Facebook does not show the page any more."
	}
	i.pass(platform.CheckToken, "Facebook takes the token.")
	return i.unidentified(platform.CheckAccount, err, problem, seen)
}

// unidentified fails one check and skips those that follow.
func (i *pageLook) unidentified(check platform.CheckName, err error, problem *causeway.Error, seen string) error {
	i.fail(check, problem, seen)
	why := "Nothing can be asked without the page."
	if check == platform.CheckToken {
		why = "Nothing can be asked without the token."
		i.skip(why, platform.CheckAccount)
	}
	i.skip(why, platform.CheckPermissions, platform.CheckWebhookRegistration, platform.CheckRouting)
	return err
}

// judgeToken tells when the token's rights end: with the person's own, where that ends
// earlier.
func (i *pageLook) judgeToken(ctx context.Context) {
	i.expiry = i.ends(ctx)
	seen := "Facebook takes the token, which does not expire."
	if i.expiry != nil && i.expiry.token != nil {
		seen = "Facebook takes the token until " + i.expiry.token.UTC().Format(time.DateOnly) + "."
	}
	ends := i.facts.DataAccessExpiresAt
	if ends.IsZero() || i.svc.clock.Now().Before(ends.Add(-dataAccessWarning)) {
		i.pass(platform.CheckToken, seen)
		return
	}
	date := ends.UTC().Format(time.DateOnly)
	problem := causeway.FailWith(causeway.DataAccessExpiring, causeway.ReasonDataAccessEnds).With("date", date)
	i.warn(platform.CheckToken, problem, seen+" Facebook shares data with it until "+date+".")
	i.warnings = append(i.warnings, *i.stamped(problem))
}

// ends is when the token's rights end; nil if Facebook does not say of the person's.
func (i *pageLook) ends(ctx context.Context) *expiry {
	own := &expiry{token: unlessZero(i.facts.ExpiresAt), data: unlessZero(i.facts.DataAccessExpiresAt)}
	if i.person == "" {
		return own
	}
	var facts messenger.TokenFacts
	err := i.timed(platform.CheckToken, func() (err error) {
		facts, err = i.app.DebugToken(ctx, i.person)
		return err
	})
	if err != nil || facts.Problem != nil {
		return nil
	}
	return &expiry{
		token: earlier(own.token, unlessZero(facts.ExpiresAt)),
		data:  earlier(own.data, unlessZero(facts.DataAccessExpiresAt)),
	}
}

// earlier is the first of two times, of which nil never comes.
func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

func unlessZero(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// judgeAccount tells whether customers can write to the page.
func (i *pageLook) judgeAccount() {
	if i.profile.Published != nil && !*i.profile.Published {
		problem := causeway.FailWith(causeway.PageNotPublished, causeway.ReasonPageUnpublished).With("page", i.profile.Name)
		i.fail(platform.CheckAccount, problem, "The page "+i.profile.Name+" is not published.")
		return
	}
	i.pass(platform.CheckAccount, "This is the page "+i.profile.Name+".")
}

// required are the permissions without which the connection does not work. A token that
// was pasted came without a login, so that it need not list pages.
func (i *pageLook) required() []string {
	if i.app.own {
		return []string{"pages_messaging", "pages_manage_metadata"}
	}
	return messenger.RequiredScopes()
}

// judgePermissions tells what the token may do.
func (i *pageLook) judgePermissions() {
	var missing []string
	i.permissions = nil
	for _, name := range messenger.Scopes() {
		p := platform.Permission{Name: name, Granted: i.grants(name), Required: slices.Contains(i.required(), name)}
		i.permissions = append(i.permissions, p)
		if p.Required && !p.Granted {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		names := strings.Join(missing, ", ")
		i.fail(platform.CheckPermissions,
			causeway.FailWith(causeway.PermissionsMissing, causeway.ReasonNamedPermissions).With("permissions", names),
			"The token lacks: "+names+".")
		return
	}
	if !i.app.own && !i.grants("business_management") {
		i.warn(platform.CheckPermissions, causeway.FailWith(causeway.PermissionsMissing, causeway.ReasonBusinessPagesHidden),
			"The token has all that is required, but not business_management.")
		return
	}
	i.pass(platform.CheckPermissions, "The token has all permissions.")
}

// grants tells whether the token has a permission for this page.
func (i *pageLook) grants(name string) bool {
	if !slices.Contains(i.facts.Scopes, name) {
		return false
	}
	pages, chosen := i.facts.Targets[name]
	return !chosen || name == "business_management" || slices.Contains(pages, i.profile.ID)
}

// judgeRouting tells which apps may answer on the page.
func (i *pageLook) judgeRouting(ctx context.Context) {
	var routing messenger.Routing
	err := i.timed(platform.CheckRouting, func() (err error) {
		routing, err = i.page.Routing(ctx)
		return err
	})
	if err != nil {
		i.fail(platform.CheckRouting, trouble(err), "Facebook did not say which apps may answer.")
		return
	}
	var others []string
	for _, app := range routing.Subscribed {
		if app.AppID != i.app.id && !messenger.IsInbox(app.AppID) && slices.Contains(app.Fields, "messages") {
			others = append(others, named(app.AppName, app.AppID))
		}
	}
	if others == nil {
		i.pass(platform.CheckRouting, "No other app answers on the page.")
		return
	}
	names := strings.Join(others, ", ")
	problem := causeway.FailWith(causeway.ThreadOwnedByAnotherApp, causeway.ReasonOtherAppsListen).With("apps", names)
	i.warn(platform.CheckRouting, problem, "These apps get the page's messages too, and may hold conversations: "+names+".")
	i.warnings = append(i.warnings, *i.stamped(problem))
}

func named(name, id string) string {
	if name == "" {
		return id
	}
	return name
}
