package simulator

import (
	"slices"
	"time"
)

// Permissions that a page's app asks for, as Facebook spells them.
const (
	PagesShowList       = "pages_show_list"
	PagesMessaging      = "pages_messaging"
	PagesManageMetadata = "pages_manage_metadata"
	PagesReadEngagement = "pages_read_engagement"
	BusinessManagement  = "business_management"
)

func usualPermissions() []string {
	return []string{PagesShowList, PagesMessaging, PagesManageMetadata, PagesReadEngagement, BusinessManagement}
}

// Other apps that act in conversations.
const (
	PageInboxApp = "263902037430900"  // people in the page's own inbox
	AutomatedApp = "1517776481860111" // an automated flow of Meta's
)

// How long data stays accessible after a person's last login.
const dataAccess = 90 * 24 * time.Hour

// App is a Facebook app that somebody made at developers.facebook.com.
type App struct {
	m        *Messenger
	id       string
	secret   string
	name     string
	category string

	// The lock of m guards the rest.
	live         bool
	proof        bool // appsecret_proof is required
	humanAgent   bool
	redirects    []string // nil: any
	configID     string
	configured   []string // the configuration's permissions
	roles        map[*Person]string
	callback     string
	verifyToken  string
	fields       []string
	held         bool
	holding      []*notice
	lanes        map[string][]*notice
	posting      int
	retrying     int
	unsettled    int // events that are neither taken nor given up
	dropped      int
	posts        []*HookPost
	failingSince time.Time
}

// AppOption is something an app's developer chose.
type AppOption func(*App)

// InDevelopment keeps an app from everybody who has no role in it.
func InDevelopment() AppOption { return func(a *App) { a.live = false } }

// WithConfiguration gives an app a configuration of Facebook Login for Business: all of
// its permissions are granted, or none.
func WithConfiguration(id string, permissions ...string) AppOption {
	return func(a *App) { a.configID, a.configured = id, permissions }
}

// WithRedirects are the app's valid login callbacks; without, any is valid.
func WithRedirects(urls ...string) AppOption { return func(a *App) { a.redirects = urls } }

// RequiringProof refuses calls without appsecret_proof.
func RequiringProof() AppOption { return func(a *App) { a.proof = true } }

// WithoutHumanAgent is an app whose review for the HUMAN_AGENT tag was not passed.
func WithoutHumanAgent() AppOption { return func(a *App) { a.humanAgent = false } }

// AddApp makes an app, live and with all reviews passed unless options say otherwise.
func (m *Messenger) AddApp(name string, opts ...AppOption) *App {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &App{
		m: m, id: m.number(15), secret: m.drawHex(32), name: name, category: "Business and pages",
		live: true, humanAgent: true, roles: map[*Person]string{}, lanes: map[string][]*notice{},
	}
	for _, opt := range opts {
		opt(a)
	}
	m.apps[a.id] = a
	return a
}

func (m *Messenger) drawHex(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = "0123456789abcdef"[m.random.IntN(16)]
	}
	return string(text)
}

// ID is the app's id.
func (a *App) ID() string { return a.id }

// Name is the app's name.
func (a *App) Name() string { return a.name }

// Secret is what the app's dashboard shows.
func (a *App) Secret() string { return a.secret }

// Token is the app's own access token.
func (a *App) Token() string { return a.id + "|" + a.secret }

// SetLive switches between live and development mode.
func (a *App) SetLive(live bool) { a.change(func() { a.live = live }) }

// RequireProof switches whether calls need appsecret_proof.
func (a *App) RequireProof(required bool) { a.change(func() { a.proof = required }) }

// Gives gives a person a role in the app: "administrators", "developers" or "testers".
func (a *App) Gives(p *Person, role string) { a.change(func() { a.roles[p] = role }) }

func (a *App) change(do func()) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	do()
	a.m.changed.ring()
}

// AppWebhook is what an app has subscribed to for object page.
type AppWebhook struct {
	URL         string // empty: none
	VerifyToken string
	Fields      []string
}

// Webhook is the app's webhook as it is now.
func (a *App) Webhook() AppWebhook {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	return AppWebhook{URL: a.callback, VerifyToken: a.verifyToken, Fields: slices.Clone(a.fields)}
}

// Person is somebody with a Facebook account who looks after pages.
type Person struct {
	m    *Messenger
	id   string
	name string

	// The lock of m guards the rest.
	passwords  int // how often it was changed
	checkpoint bool
	grants     map[*App]*grant
}

// grant is what a person allowed an app.
type grant struct {
	permissions map[string]string // granted or declined
	pages       map[*Page]bool    // chosen ones
	at          time.Time         // of the last login
	ended       bool              // the person removed the app
}

func (g *grant) has(permission string) bool { return g.permissions[permission] == "granted" }

// AddPerson makes a person. The login dialog lets choose among all of them.
func (m *Messenger) AddPerson(name string) *Person {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &Person{m: m, id: m.number(17), name: name, grants: map[*App]*grant{}}
	m.people = append(m.people, p)
	return p
}

// ID is the person's id, the same for every app.
func (p *Person) ID() string { return p.id }

// Name is the person's name.
func (p *Person) Name() string { return p.name }

// ChangesPassword ends all tokens of the person (190/460).
func (p *Person) ChangesPassword() { p.change(func() { p.passwords++ }) }

// MeetsCheckpoint makes the person's tokens wait for a look at facebook.com (190/459),
// or ends that.
func (p *Person) MeetsCheckpoint(waits bool) { p.change(func() { p.checkpoint = waits }) }

// RemovesApp ends what the person allowed the app (190/458).
func (p *Person) RemovesApp(a *App) {
	p.change(func() {
		if g := p.grants[a]; g != nil {
			g.ended = true
			delete(p.grants, a)
			p.m.silence(a)
		}
	})
}

// Withdraws takes one permission back from the app.
func (p *Person) Withdraws(a *App, permission string) {
	p.change(func() {
		if g := p.grants[a]; g != nil {
			g.permissions[permission] = "declined"
		}
	})
}

// LetsDataAccessLapse is as if the person had not logged in for 90 days.
func (p *Person) LetsDataAccessLapse(a *App) {
	p.change(func() {
		if g := p.grants[a]; g != nil {
			g.at = p.m.now().Add(-dataAccess)
		}
	})
}

func (p *Person) change(do func()) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	do()
	p.m.changed.ring()
}

// Allows logs the person in to the app without the dialog, for these pages and
// permissions, the usual five if none is named, and returns the long-lived token.
func (p *Person) Allows(a *App, pages []*Page, permissions ...string) string {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if len(permissions) == 0 {
		permissions = usualPermissions()
	}
	g := p.agree(a, pages, permissions, nil)
	return p.m.issueUser(a, p, g, true).value
}

// agree records an answer to the login dialog. Pages that are not among those chosen
// this time are taken from the app.
func (p *Person) agree(a *App, pages []*Page, granted, declined []string) *grant {
	g := p.grants[a]
	if g == nil {
		g = &grant{permissions: map[string]string{}}
		p.grants[a] = g
	}
	g.at = p.m.now()
	for _, permission := range granted {
		g.permissions[permission] = "granted"
	}
	for _, permission := range declined {
		g.permissions[permission] = "declined"
	}
	g.pages = map[*Page]bool{}
	for _, page := range pages {
		g.pages[page] = true
	}
	p.m.silence(a)
	p.m.changed.ring()
	return g
}

// silence ends the app's subscription of pages that nobody lets it have any more.
func (m *Messenger) silence(a *App) {
	for _, page := range m.pages {
		if page.subscribed[a] == nil {
			continue
		}
		allowed := slices.ContainsFunc(m.people, func(p *Person) bool {
			g := p.grants[a]
			return g != nil && g.pages[page]
		})
		if !allowed {
			delete(page.subscribed, a)
		}
	}
}
