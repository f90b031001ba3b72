package messenger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"causeway"
	"causeway/internal/platform"
)

// Token is a secret of Facebook's that speaks for a person or a page. It prints as stars;
// string(t) is the token.
type Token string

// String hides the token, in whatever way it is printed.
func (t Token) String() string {
	if t == "" {
		return ""
	}
	return "***"
}

// GoString is String.
func (t Token) GoString() string { return t.String() }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// AppConfig is a Facebook app: this server's, or a person's own.
type AppConfig struct {
	ID, Secret string
	// GraphURL and DialogURL are the Graph API (https://graph.facebook.com) and the login
	// dialog (https://www.facebook.com), Version that of both (v25.0).
	GraphURL, DialogURL, Version string
	// HTTP is whose transport calls go through, and nothing else of it; nil is Go's own.
	HTTP *http.Client
	// Clock is the present; nil: the machine's.
	Clock causeway.Clock
}

// App makes the calls of a Facebook app. It is safe for several goroutines, and promises
// of its errors what Client does.
type App struct {
	graph
	id, dialog string
	clock      causeway.Clock
}

// NewApp is a client of an app.
func NewApp(config AppConfig) *App {
	dialog := strings.TrimRight(config.DialogURL, "/")
	if version := strings.Trim(config.Version, "/"); version != "" {
		dialog += "/" + version
	}
	a := &App{
		graph: newGraph(config.GraphURL, config.Version, config.HTTP, config.Secret),
		id:    config.ID, dialog: dialog + "/dialog/oauth", clock: config.Clock,
	}
	if a.clock == nil {
		a.clock = causeway.System{}
	}
	return a
}

// String names the app and not its secret, in whatever way it is printed.
func (a *App) String() string { return "facebook app " + a.id }

// GoString is String.
func (a *App) GoString() string { return a.String() }

// Scopes are the permissions to ask a person for. Without those of RequiredScopes nothing
// works; without business_management pages that belong to a business are not listed.
func Scopes() []string { return append(RequiredScopes(), "business_management") }

// RequiredScopes are the permissions without which a page cannot be connected.
func RequiredScopes() []string {
	return []string{"pages_show_list", "pages_messaging", "pages_manage_metadata", "pages_read_engagement"}
}

// Dialog is one question to a person.
type Dialog struct {
	// State comes back with the answer.
	State string
	// Redirect is where the answer goes; the exchange must name the same, byte for byte.
	Redirect string
	// Scopes are what is asked for. ConfigID, of a Facebook Login for Business
	// configuration, stands in for them.
	Scopes   []string
	ConfigID string
	// Rerequest asks again for what was declined before.
	Rerequest bool
}

// DialogURL is where to send the person, in a popup. It holds no secret.
func (a *App) DialogURL(d Dialog) string {
	config := a.oauth(d.Redirect)
	options := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("display", "popup")}
	if d.ConfigID != "" {
		options = append(options, oauth2.SetAuthURLParam("config_id", d.ConfigID))
	} else if len(d.Scopes) > 0 {
		options = append(options, oauth2.SetAuthURLParam("scope", strings.Join(d.Scopes, ",")))
	}
	if d.Rerequest {
		options = append(options, oauth2.SetAuthURLParam("auth_type", "rerequest"))
	}
	return config.AuthCodeURL(d.State, options...)
}

func (a *App) oauth(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.id, ClientSecret: a.secret, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{
			AuthURL: a.dialog, TokenURL: a.base + "oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// Grant is a token and when it ends.
type Grant struct {
	Token Token
	// ExpiresAt is zero where Facebook does not say; DebugToken does.
	ExpiresAt time.Time
}

// Exchange turns the code of a login into the person's token, which lives an hour or two.
// A code that was used, is too old or of another redirect is Rejected (100); so is the
// secret of another app (1).
func (a *App) Exchange(ctx context.Context, code, redirect string) (Grant, error) {
	const name = "oauth/access_token"
	bounded := ctx
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	got, err := a.oauth(redirect).Exchange(context.WithValue(bounded, oauth2.HTTPClient, a.http), code)
	if err == nil {
		return a.grant(got.AccessToken, got.ExpiresIn), nil
	}
	refusal := a.misexchanged(err)
	refusal.Method = name
	refusal.Message = scrub(refusal.Message, []string{a.secret, code})
	if refusal.Kind == platform.Unreachable && ctx.Err() != nil {
		return Grant{}, fmt.Errorf("%w: %w", refusal, ctx.Err())
	}
	return Grant{}, refusal
}

// misexchanged puts package oauth2's errors, which quote what was answered, into ours.
func (a *App) misexchanged(err error) *platform.Refusal {
	if said, ok := errors.AsType[*oauth2.RetrieveError](err); ok && said.Response != nil {
		if refusal := understand(said.Response, said.Body, nil); refusal != nil {
			if refusal.Code == "1" && said.Response.StatusCode < 500 {
				refusal.Kind = platform.Rejected // here it is no trouble of Facebook's: the secret is wrong
			}
			return refusal
		}
		return unavailable(said.Response.StatusCode, "an answer without a token")
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return unreachable(err, true)
	}
	return unavailable(http.StatusOK, "an answer without a token")
}

func (a *App) grant(token string, seconds int64) Grant {
	g := Grant{Token: Token(token)}
	const tenYears = 10 * 365 * 24 * 60 * 60
	if seconds > 0 {
		g.ExpiresAt = a.clock.Now().Add(time.Duration(min(seconds, tenYears)) * time.Second)
	}
	return g
}

// Extend exchanges a person's token, or a pasted page's, for one that lives some 60 days.
// A token that has ended cannot be exchanged: the person must log in again.
func (a *App) Extend(ctx context.Context, token Token) (Grant, error) {
	var got struct {
		Token   opaque `json:"access_token"`
		Expires number `json:"expires_in"`
	}
	const name = "oauth/access_token"
	err := a.do(ctx, call{
		name: name, verb: http.MethodPost, path: []string{"oauth", "access_token"},
		content: asForm(url.Values{
			"grant_type": {"fb_exchange_token"}, "client_id": {a.id}, "client_secret": {a.secret},
			"fb_exchange_token": {string(token)},
		}),
		secrets: []string{string(token)},
	}, &got)
	if err != nil {
		return Grant{}, err
	}
	if got.Token == "" {
		return Grant{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: name, Code: "200", Message: "an answer without a token", Sent: true,
		}
	}
	return a.grant(string(got.Token), int64(got.Expires)), nil
}

// appToken speaks for the app itself.
func (a *App) appToken() string { return a.id + "|" + a.secret }

// asApp makes a call that speaks for the app.
func (a *App) asApp(ctx context.Context, c call, result any) error {
	c.token = a.appToken()
	return a.do(ctx, c, result)
}

// asPerson reads what lies at path for whom a token speaks for.
func (a *App) asPerson(ctx context.Context, token Token, name string, path []string, query url.Values, result any) error {
	return a.do(ctx, call{name: name, verb: http.MethodGet, path: path, query: query, token: string(token)}, result)
}

// Verify asks Facebook whether id and secret belong together: a wrong secret is
// Unauthorized or Rejected. It tells the app's name.
func (a *App) Verify(ctx context.Context) (AppName, error) {
	var app graphApp
	err := a.asApp(ctx, call{name: "app", verb: http.MethodGet, path: []string{a.id}, query: url.Values{"fields": {"id,name"}}}, &app)
	return AppName{ID: string(app.ID), Name: string(app.Name)}, err
}

type graphApp struct {
	ID   ident  `json:"id"`
	Name opaque `json:"name"`
}

// AppOf tells which app a token belongs to, whose secret need not be known here, unless
// that app demands proof of it: then the token must be of this one.
func (a *App) AppOf(ctx context.Context, token Token) (AppName, error) {
	query := url.Values{"fields": {"id,name"}}
	bare := a.graph
	bare.secret = ""
	var app graphApp
	err := bare.do(ctx, call{name: "app", verb: http.MethodGet, path: []string{"app"}, query: query, token: string(token)}, &app)
	if r := platform.Refused(err); r != nil && r.Kind == platform.Rejected && a.secret != "" {
		err = a.asPerson(ctx, token, "app", []string{"app"}, query, &app)
	}
	if err != nil {
		return AppName{}, err
	}
	if app.ID == "" {
		return AppName{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: "app", Code: "200", Message: "an app without an id", Sent: true,
		}
	}
	return AppName{ID: string(app.ID), Name: string(app.Name)}, nil
}

// AppWebhook is where Facebook delivers an app's webhooks of one kind of object.
type AppWebhook struct {
	Object   string // page
	Callback string
	Fields   []string
	Active   bool
}

// SetWebhook registers where the webhooks of the app's pages go, in place of whatever was
// registered before. Facebook asks the address at once (VerifyHandshake with verifyToken)
// and refuses if it does not answer.
func (a *App) SetWebhook(ctx context.Context, callback, verifyToken string, fields []string) error {
	return a.asApp(ctx, call{
		name: "subscriptions", verb: http.MethodPost, path: []string{a.id, "subscriptions"},
		content: asForm(url.Values{
			"object": {"page"}, "callback_url": {callback}, "verify_token": {verifyToken},
			"fields": {strings.Join(fields, ",")}, "include_values": {"true"},
		}),
		secrets: []string{verifyToken},
	}, nil)
}

// Webhooks reads back what is registered.
func (a *App) Webhooks(ctx context.Context) ([]AppWebhook, error) {
	var found struct {
		Data []struct {
			Object   opaque            `json:"object"`
			Callback opaque            `json:"callback_url"`
			Fields   []subscribedField `json:"fields"`
			Active   yes               `json:"active"`
		} `json:"data"`
	}
	err := a.asApp(ctx, call{name: "subscriptions", verb: http.MethodGet, path: []string{a.id, "subscriptions"}}, &found)
	if err != nil {
		return nil, err
	}
	var hooks []AppWebhook
	for _, d := range found.Data {
		hook := AppWebhook{Object: string(d.Object), Callback: string(d.Callback), Active: bool(d.Active)}
		for _, field := range d.Fields {
			hook.Fields = append(hook.Fields, string(field))
		}
		hooks = append(hooks, hook)
	}
	return hooks, nil
}

// UnsubscribePage ends the app's webhooks for a page whose token is not known here.
func (a *App) UnsubscribePage(ctx context.Context, page string) error {
	return a.asApp(ctx, call{name: "subscribed_apps", verb: http.MethodDelete, path: []string{page, "subscribed_apps"}}, nil)
}
