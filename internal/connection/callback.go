package connection

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"html/template"
	"net/http"

	"causeway"
	"causeway/ent"
	"causeway/ent/facebooklogin"
	"causeway/internal/problem"
	"causeway/internal/secret"
)

// Callback is the page at the end of the login popup. It tells the window that opened
// it which login is over and how, if that window is of the login's return origin, closes
// itself, and says what happened in words where it cannot: without JavaScript, or when
// the window that opened it is gone. A state that is not good gets the same words with
// a 4xx, and tells no window anything.
//
// Neither the page nor what it tells holds a token, a code or a state; it loads nothing
// and sends no referrer.
type Callback struct {
	service  *Service
	problems *problem.Catalogue
}

var _ http.Handler = (*Callback)(nil)

// NewCallback serves what comes back to CallbackPath.
func NewCallback(s *Service, problems *problem.Catalogue) *Callback {
	return &Callback{service: s, problems: problems}
}

// ServeHTTP takes the answer of Facebook's dialog.
func (c *Callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // a look at the address alone must not use up the state
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	login, err := c.service.FinishLogin(r.Context(), LoginAnswer{
		State: query.Get("state"), Code: query.Get("code"),
		Error: query.Get("error"), Reason: query.Get("error_reason"), Number: query.Get("error_code"),
		Words: cmp.Or(query.Get("error_description"), query.Get("error_message")),
	})
	asked := r.Header.Get("Accept-Language")
	refusal, refused := errors.AsType[*causeway.Error](err)
	switch {
	case refused && refusal.Code == causeway.LoginExpired:
		c.show(w, statusOf(refusal), c.page(problem.Choose(asked, ""), &refusal.Problem))
	case err != nil:
		c.service.log.ErrorContext(r.Context(), "a Facebook login was not finished", "error", err)
		c.show(w, http.StatusServiceUnavailable, c.page(problem.Choose(asked, ""), &causeway.Problem{Code: causeway.Internal}))
	default:
		c.show(w, http.StatusOK, c.pageOf(login, problem.Choose(asked, c.service.languageOf(r, login))))
	}
}

// statusOf is 400 for a state that nobody knows, and 410 for one that is used or over.
func statusOf(refusal *causeway.Error) int {
	if refusal.Reason == causeway.ReasonLoginUnknown {
		return http.StatusBadRequest
	}
	return http.StatusGone
}

// languageOf is the language of who started a login; empty if it cannot be read.
func (s *Service) languageOf(r *http.Request, login *ent.FacebookLogin) string {
	user, err := s.store.Reader().User.Get(r.Context(), login.UserID)
	if err != nil {
		return ""
	}
	return user.Language
}

//go:embed callback.html
var callbackHTML string

var callbackPage = template.Must(template.New("callback").Parse(callbackHTML))

// shownPage is what the template needs.
type shownPage struct {
	Language, Nonce string
	Title, Message  string
	Said, Platform  string // the platform's own words; empty if there are none
	Solutions       []string
	Close           string
	Origin          string // whom to tell; empty: nobody
	LoginID         causeway.ID
	Status          facebooklogin.Status
}

// pageOf shows what became of a login.
func (c *Callback) pageOf(login *ent.FacebookLogin, language string) shownPage {
	status, trouble := c.service.LoginStatus(login), c.service.LoginProblem(login)
	var page shownPage
	if trouble != nil {
		page = c.page(language, trouble)
	} else {
		words := loginWordsIn(language)
		page = shownPage{Language: language, Title: words.done, Message: words.choose, Close: words.close}
		if login.UserName != nil && *login.UserName != "" {
			page.Title = words.doneAs(*login.UserName)
		}
	}
	page.Origin, page.LoginID, page.Status = login.ReturnOrigin, login.ID, status
	return page
}

// page shows why a login did not work.
func (c *Callback) page(language string, trouble *causeway.Problem) shownPage {
	words, text := loginWordsIn(language), c.problems.Text(language, *trouble)
	return shownPage{
		Language: language, Title: words.failed, Message: text.Message,
		Said: words.said, Platform: trouble.PlatformMessage, Solutions: text.Solutions, Close: words.close,
	}
}

func (c *Callback) show(w http.ResponseWriter, status int, page shownPage) {
	page.Nonce = secret.RandomToken(16)
	var body bytes.Buffer
	if err := callbackPage.Execute(&body, page); err != nil {
		c.service.log.Error("the page at the end of a login was not made", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+page.Nonce+"'; style-src 'nonce-"+page.Nonce+
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // who closed the popup is told by facebookLoginUpdated
}
