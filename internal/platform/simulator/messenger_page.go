package simulator

import (
	"context"
	"slices"
	"time"
)

// Page is a page on Facebook.
type Page struct {
	m        *Messenger
	id       string
	name     string
	username string
	category string
	picture  *storedFile
	business bool // owned by a business: listed with business_management only
	rank     int  // pages are listed in the order they were made

	// The lock of m guards the rest.
	followers  int
	published  bool
	restricted bool
	deleted    bool
	legacy     bool // the older handover calls are still in use
	ownerCode  bool // says 100/2534037 rather than 10/2018300
	defaultApp string
	secondary  []string
	tasks      map[*Person][]string
	hidden     map[*Person]bool // listed without a token
	subscribed map[*App][]string
	customers  []*PageCustomer
	bySender   map[string]*PageCustomer
	asked      []time.Time // calls of the Conversations API within the last second
}

// PageOption is something a page's owner chose.
type PageOption func(*Page)

// WithPageUsername gives a page a username.
func WithPageUsername(username string) PageOption { return func(p *Page) { p.username = username } }

// WithCategory names what kind of page it is.
func WithCategory(category string) PageOption { return func(p *Page) { p.category = category } }

// WithFollowers is how many people follow the page.
func WithFollowers(n int) PageOption { return func(p *Page) { p.followers = n } }

// Unpublished is a page that nobody but its people sees.
func Unpublished() PageOption { return func(p *Page) { p.published = false } }

// OwnedByBusiness is a page that is listed only with business_management granted.
func OwnedByBusiness() PageOption { return func(p *Page) { p.business = true } }

// WithLegacyHandover is a page that Conversation Routing has not reached: it has
// primary and secondary receivers.
func WithLegacyHandover() PageOption { return func(p *Page) { p.legacy = true } }

// WithOwnerCode2534037 makes another app's thread be refused as 100/2534037.
func WithOwnerCode2534037() PageOption { return func(p *Page) { p.ownerCode = true } }

// All a person can do for a page.
func allTasks() []string {
	return []string{"ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"}
}

// AddPage makes a page, published unless options say otherwise. Nobody looks after it yet.
func (m *Messenger) AddPage(name string, opts ...PageOption) *Page {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &Page{
		m: m, id: m.number(15), name: name, category: "Shopping", published: true, followers: 100 + m.random.IntN(900),
		picture: m.keep(m.draws(200, 200, "page.png")), rank: len(m.pages),
		tasks: map[*Person][]string{}, hidden: map[*Person]bool{}, subscribed: map[*App][]string{},
		bySender: map[string]*PageCustomer{},
	}
	for _, opt := range opts {
		opt(p)
	}
	m.pages[p.id] = p
	return p
}

// ID is the page's id.
func (p *Page) ID() string { return p.id }

// Name is the page's name.
func (p *Page) Name() string { return p.name }

func (p *Page) change(do func()) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	do()
	p.m.changed.ring()
}

// Appoints lets a person do these tasks for the page; all if none is named.
func (p *Page) Appoints(person *Person, tasks ...string) {
	if len(tasks) == 0 {
		tasks = allTasks()
	}
	p.change(func() { p.tasks[person] = tasks })
}

// Dismisses takes the person's role away: page tokens of theirs end (190/492).
func (p *Page) Dismisses(person *Person) { p.change(func() { delete(p.tasks, person) }) }

// HidesToken lists the page to the person without a token.
func (p *Page) HidesToken(person *Person) { p.change(func() { p.hidden[person] = true }) }

// Publish shows or hides the page.
func (p *Page) Publish(published bool) { p.change(func() { p.published = published }) }

// Restrict keeps the page from sending (10/1893063), or ends that. Apps that listen to
// messaging_policy_enforcement are told.
func (p *Page) Restrict(restricted bool) {
	p.change(func() {
		p.restricted = restricted
		enforcement := object{"action": "unblock"}
		if restricted {
			enforcement = object{"action": "block", "reason": "The page has sent messages that go against the platform's policies."}
		}
		p.announce("messaging_policy_enforcement", "policy_enforcement", enforcement)
	})
}

// Delete removes the page: nothing finds it any more (100/33).
func (p *Page) Delete() { p.change(func() { p.deleted = true }) }

// SetDefaultApp chooses the app that idle conversations belong to; nil for none, in
// which case every subscribed app may answer.
func (p *Page) SetDefaultApp(a *App) {
	p.change(func() {
		p.defaultApp = ""
		if a != nil {
			p.defaultApp = a.id
		}
	})
}

// SetReceivers names the primary and the secondary receivers of the older handover
// protocol; apps that listen to messaging_handovers are told their roles.
func (p *Page) SetReceivers(primary *App, secondary ...*App) {
	p.change(func() {
		p.legacy, p.defaultApp, p.secondary = true, primary.id, nil
		roles := object{primary.id: []string{"primary_receiver"}}
		for _, a := range secondary {
			p.secondary = append(p.secondary, a.id)
			roles[a.id] = []string{"secondary_receiver"}
		}
		p.announce("messaging_handovers", "app_roles", roles)
	})
}

// Token is the page's token for the app, through what the person allowed it; empty
// when the person did not allow the page.
func (p *Page) Token(a *App, person *Person) string {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	g := person.grants[a]
	if g == nil || !g.pages[p] {
		return ""
	}
	return p.m.issuePage(&accessToken{app: a, person: person, grant: g, long: true}, p).value
}

// Subscription are the fields that the app is subscribed to; nil when it is not.
func (p *Page) Subscription(a *App) []string {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return slices.Clone(p.subscribed[a])
}

// Subscribe subscribes the app to these fields, as POST subscribed_apps does.
func (p *Page) Subscribe(a *App, fields ...string) {
	p.change(func() { p.subscribed[a] = fields })
}

// DropSubscription is what Facebook does after an outage: the app hears nothing of the
// page any more, and is not told.
func (p *Page) DropSubscription(a *App) { p.change(func() { delete(p.subscribed, a) }) }

// WaitSubscribed waits until the app is subscribed to the page, or is not.
func (p *Page) WaitSubscribed(ctx context.Context, a *App, subscribed bool) error {
	return p.m.await(ctx, func() string {
		switch is := p.subscribed[a] != nil; {
		case is && !subscribed:
			return a.name + " is subscribed to " + p.name
		case !is && subscribed:
			return a.name + " is not subscribed to " + p.name
		}
		return ""
	})
}

// link is the page's address on Facebook.
func (p *Page) link() string { return "https://www.facebook.com/" + p.id }
