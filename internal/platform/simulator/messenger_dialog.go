package simulator

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// dialog is the page on which a person lets an app have pages. It needs no script: the
// address keeps what the app asked for, the form what the person chose.
var dialog = template.Must(template.New("dialog").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>{{.Title}}</title>
<style>
body{font:16px/1.4 system-ui,sans-serif;background:#f0f2f5;color:#1c1e21;margin:0}
main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:#fff;border-radius:8px;box-shadow:0 1px 3px #0003}
h1{font-size:1.25rem;margin:0 0 1rem}fieldset{border:1px solid #ccd0d5;border-radius:6px;margin:0 0 1rem}
label{display:block;padding:.3rem 0}.note{color:#606770;font-size:.875rem}
button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:6px;background:#e4e6eb;cursor:pointer;margin:.25rem .5rem .25rem 0}
button.main{background:#1877f2;color:#fff}
</style></head><body><main>
<p class="note">Simulated Facebook</p>
<h1>{{.Title}}</h1>
{{with .Words}}<p>{{.}}</p>{{end}}
{{if .People}}<form method="post">
{{range .People}}<button class="main" name="person" value="{{.ID}}">Continue as {{.Name}}</button><br>
{{end}}<button name="do" value="cancel">Cancel</button>
</form>{{end}}
{{if .Person}}<form method="post"><input type="hidden" name="person" value="{{.Person.ID}}">
<p>Signed in as <strong>{{.Person.Name}}</strong>.</p>
<fieldset><legend>Which pages may {{.App.Name}} use?</legend>
{{range .Pages}}<label><input type="checkbox" name="page" value="{{.ID}}"{{if .Chosen}} checked{{end}}> {{.Name}} <span class="note">{{.ID}}</span></label>
{{else}}<p>You do not look after any page.</p>{{end}}</fieldset>
<fieldset><legend>What may it do?</legend>
{{if .All}}<p class="note">All of this, or nothing:</p>{{end}}
{{range .Asked}}<label>{{if not $.All}}<input type="checkbox" name="permission" value="{{.}}" checked> {{end}}{{.}}</label>
{{end}}{{range .Granted}}<p class="note">Already allowed: {{.}}</p>{{end}}</fieldset>
<button class="main" name="do" value="continue">Continue</button>
<button name="do" value="cancel">Cancel</button>
</form>{{end}}
</main></body></html>
`))

// dialogPage is what the page shows: people to choose from, or one person's consent,
// or words alone.
type dialogPage struct {
	Title, Words   string
	App            named
	People         []named
	Person         *named
	Pages          []choice
	All            bool
	Asked, Granted []string
}

type named struct{ ID, Name string }

type choice struct {
	ID, Name string
	Chosen   bool
}

func (m *Messenger) plain(w http.ResponseWriter, status int, title, words string) {
	m.show(w, status, dialogPage{Title: title, Words: words})
}

func (m *Messenger) show(w http.ResponseWriter, status int, page dialogPage) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = dialog.Execute(w, page) // a reader who left is shown nothing
}

// serveDialog answers /dialog/oauth.
func (m *Messenger) serveDialog(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodGet && r.Method != http.MethodPost {
		m.plain(w, http.StatusBadRequest, "Sorry, something went wrong", "The request could not be read.")
		return
	}
	m.mu.Lock()
	call := &GraphCall{Method: r.Method, Edge: "oauth", Path: "dialog/oauth", At: m.now(), Params: map[string]string{}}
	for name, values := range r.Form {
		call.Params[name] = values[0]
	}
	m.calls = latest(append(m.calls, call), keptCalls)
	failure := m.nextFailure(call)
	target, page := "", dialogPage{}
	if failure == nil {
		target, page = m.consent(r)
	}
	m.changed.ring()
	m.mu.Unlock()
	switch {
	case failure != nil:
		failure.HTML = true
		m.fail(w, r, call, failure)
	case target != "":
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, target, http.StatusFound) //nolint:gosec // the app's own callback
	case page.Words != "":
		m.show(w, http.StatusBadRequest, page)
	default:
		m.show(w, http.StatusOK, page)
	}
}

// consent is where the person goes next, or what they are shown.
func (m *Messenger) consent(r *http.Request) (target string, page dialogPage) {
	a := m.apps[r.Form.Get("client_id")]
	if a == nil {
		return "", dialogPage{Title: "Invalid App ID", Words: "The provided app ID does not look like a valid app ID."}
	}
	redirect, err := url.Parse(r.Form.Get("redirect_uri"))
	if err != nil || redirect.Host == "" || !m.mayReturn(a, redirect) {
		return "", dialogPage{Title: "URL Blocked", Words: "This redirect failed because the redirect URI is not white-listed in the app's client OAuth settings."}
	}
	config := r.Form.Get("config_id")
	if config != "" && config != a.configID {
		return "", dialogPage{Title: "Feature unavailable", Words: "The configuration does not belong to this app."}
	}
	if kind := r.Form.Get("response_type"); kind != "" && !slices.Contains(strings.Fields(kind), "code") {
		return "", dialogPage{Title: "Feature unavailable", Words: "This look-alike hands out codes only."}
	}
	if r.Method == http.MethodPost && r.PostForm.Get("do") == "cancel" {
		return returning(redirect, url.Values{
			"error": {"access_denied"}, "error_code": {"200"}, "error_reason": {"user_denied"},
			"error_description": {"Permissions error"}, "state": {r.Form.Get("state")},
		}), page
	}
	p := m.whoIsThere(r)
	if p == nil {
		page = dialogPage{Title: "Log in to " + a.name}
		for _, p := range m.people {
			page.People = append(page.People, named{p.id, p.name})
		}
		if len(page.People) == 0 {
			page.Words = "Nobody has an account here."
		}
		return "", page
	}
	if !a.live && a.roles[p] == "" {
		return "", dialogPage{Title: "App not active", Words: "This app is not accessible right now and the app developer is aware of the issue."}
	}
	asked, granted := a.asks(p, r.Form)
	if r.Method == http.MethodPost && r.PostForm.Get("do") == "continue" {
		code := m.allow(a, p, r, asked)
		return returning(redirect, url.Values{"code": {code}, "state": {r.Form.Get("state")}}), page
	}
	page = dialogPage{
		Title: "Log in to " + a.name, App: named{a.id, a.name}, Person: &named{p.id, p.name},
		Pages: m.choices(a, p), All: config != "", Asked: asked, Granted: granted,
	}
	return "", page
}

func (m *Messenger) mayReturn(a *App, redirect *url.URL) bool {
	local := slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, redirect.Hostname())
	if m.opts.Cloud && redirect.Scheme != "https" && !local {
		return false
	}
	return a.redirects == nil || slices.Contains(a.redirects, redirect.String())
}

func returning(redirect *url.URL, answer url.Values) string {
	to := *redirect
	query := to.Query()
	for name, values := range answer {
		if values[0] != "" {
			query[name] = values
		}
	}
	to.RawQuery, to.Fragment = query.Encode(), "_=_"
	return to.String()
}

// whoIsThere is the person who was chosen, or the only one there is.
func (m *Messenger) whoIsThere(r *http.Request) *Person {
	for _, p := range m.people {
		if len(m.people) == 1 || p.id == r.PostForm.Get("person") {
			return p
		}
	}
	return nil
}

// asks is what the person is asked for: without auth_type=rerequest not again what they
// declined before, and never what they granted.
func (a *App) asks(p *Person, form url.Values) (asked, granted []string) {
	wanted := split(form.Get("scope"))
	if form.Get("config_id") != "" {
		wanted = a.configured
	}
	again := form.Get("auth_type") == "rerequest" || form.Get("config_id") != ""
	for _, permission := range wanted {
		status := ""
		if g := p.grants[a]; g != nil {
			status = g.permissions[permission]
		}
		switch {
		case status == "granted" || permission == "public_profile":
			granted = append(granted, permission)
		case status == "" || again:
			asked = append(asked, permission)
		}
	}
	return asked, granted
}

// choices are the person's pages; at the first login all are ticked, later those that
// the app has.
func (m *Messenger) choices(a *App, p *Person) []choice {
	pages := []*Page{}
	for _, page := range m.pages {
		if len(page.tasks[p]) > 0 && !page.deleted {
			pages = append(pages, page)
		}
	}
	slices.SortFunc(pages, func(a, b *Page) int { return a.rank - b.rank })
	var list []choice
	for _, page := range pages {
		g := p.grants[a]
		list = append(list, choice{page.id, page.name, g == nil || g.pages[page]})
	}
	return list
}

// allow does what the person chose, and makes the code for it.
func (m *Messenger) allow(a *App, p *Person, r *http.Request, asked []string) string {
	granted, declined := []string{"public_profile"}, []string{}
	for _, permission := range asked {
		if r.Form.Get("config_id") != "" || slices.Contains(r.PostForm["permission"], permission) {
			granted = append(granted, permission)
		} else {
			declined = append(declined, permission)
		}
	}
	var pages []*Page
	for _, id := range r.PostForm["page"] {
		if page := m.pages[id]; page != nil && len(page.tasks[p]) > 0 {
			pages = append(pages, page)
		}
	}
	code := "AQ" + m.draw(80)
	for old, made := range m.codes {
		if m.now().Sub(made.made) > 2*codeLife {
			delete(m.codes, old)
		}
	}
	m.codes[code] = &loginCode{
		app: a, person: p, grant: p.agree(a, pages, granted, declined), redirect: r.Form.Get("redirect_uri"), made: m.now(),
	}
	return code
}
