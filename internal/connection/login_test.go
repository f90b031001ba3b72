package connection_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/facebooklogin"
	"causeway/internal/auth"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/problem"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// lobby is a world in which Mai looks after four pages.
type lobby struct {
	*world
	mai      *simulator.Person
	pages    []*simulator.Page
	callback http.Handler
	ana      context.Context // a manager, who logs in as Mai
}

func newLobby(t testing.TB, s *store.Store, opts ...option) *lobby {
	t.Helper()
	desk := func(cfg *connection.Config) { cfg.Origins = []string{"https://desk.example.com"} }
	l := &lobby{world: newWorld(t, s, append([]option{desk}, opts...)...)}
	l.mai = l.fb.AddPerson("Mai Pham")
	for _, name := range []string{"Shop A", "Shop B", "Shop C", "Shop D"} {
		page := l.fb.AddPage(name, simulator.WithFollowers(120))
		page.Appoints(l.mai)
		l.pages = append(l.pages, page)
	}
	problems, err := problem.New()
	must(t, err)
	l.callback = connection.NewCallback(l.service, problems)
	l.ana = l.manager()
	return l
}

// starts opens a login and answers its id and the dialog's address.
func (l *lobby) starts() (causeway.ID, *url.URL) {
	l.Helper()
	started, err := l.service.StartLogin(l.ana, l.campaign, nil)
	must(l, err)
	dialog, err := url.Parse(started.AuthorizationURL)
	must(l, err)
	return started.Login, dialog
}

// goesThrough is a person who fills in the dialog, and answers where Facebook sends
// them back to.
func (l *lobby) goesThrough(dialog *url.URL, form url.Values) *url.URL {
	l.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(dialog.String(), form)
	must(l, err)
	defer func() { _ = res.Body.Close() }()
	back, err := res.Location()
	if err != nil {
		l.Fatalf("the dialog answered %d and no way back", res.StatusCode)
	}
	return back
}

// agrees is Mai who chooses pages and leaves out some permissions.
func (l *lobby) agrees(dialog *url.URL, pages []*simulator.Page, declined ...string) *url.URL {
	l.Helper()
	form := url.Values{"person": {l.mai.ID()}, "do": {"continue"}}
	for _, page := range pages {
		form.Add("page", page.ID())
	}
	for scope := range strings.SplitSeq(dialog.Query().Get("scope"), ",") {
		if !slices.Contains(declined, scope) {
			form.Add("permission", scope)
		}
	}
	return l.goesThrough(dialog, form)
}

// comesBack is the browser that follows Facebook's redirect.
func (l *lobby) comesBack(back *url.URL, header ...string) *httptest.ResponseRecorder {
	l.Helper()
	r := httptest.NewRequestWithContext(l.Context(), http.MethodGet, back.RequestURI(), nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.callback.ServeHTTP(w, r)
	return w
}

func (l *lobby) login(id causeway.ID) *ent.FacebookLogin {
	l.Helper()
	login, err := l.store.Reader().FacebookLogin.Get(context.Background(), id)
	must(l, err)
	return login
}

// ends makes sure how a login ended.
func (l *lobby) ends(id causeway.ID, status facebooklogin.Status, code causeway.Code) *ent.FacebookLogin {
	l.Helper()
	login := l.login(id)
	if got := l.service.LoginStatus(login); got != status || codeIn(l.service.LoginProblem(login)) != code {
		l.Fatalf("the login is %s with %v, want %s with %q\n%s", got, l.service.LoginProblem(login), status, code, l.log)
	}
	return login
}

func TestWhoLogsInComesBackWithTheirPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		bell := l.bus.Subscribe(connection.LoginTopic)
		defer bell.Close()
		id, dialog := l.starts()
		query := dialog.Query()
		if query.Get("redirect_uri") != l.door.URL+"/oauth/facebook/callback" || query.Get("client_id") != l.app.ID() ||
			query.Get("auth_type") != "" || query.Get("scope") != "pages_show_list,pages_messaging,pages_manage_metadata,pages_read_engagement,business_management" {
			t.Errorf("the dialog's address is %s", dialog)
		}
		if pending := l.ends(id, facebooklogin.StatusPending, ""); pending.ReturnOrigin != l.door.URL || strings.Contains(pending.StateHash, query.Get("state")) {
			t.Errorf("the login is %v", pending)
		}
		page := l.comesBack(l.agrees(dialog, l.pages[:2]))
		login := l.ends(id, facebooklogin.StatusAuthorized, "")
		if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "Mai Pham") {
			t.Errorf("the page is %d %s", page.Code, page.Body)
		}
		if !login.ExpiresAt.Equal(l.clock.Now().Add(time.Hour)) || login.UserName == nil || *login.UserName != "Mai Pham" ||
			login.FacebookUserID == nil || *login.FacebookUserID != l.mai.ID() || login.TokenExpiresAt == nil {
			t.Errorf("the login is %v", login)
		}
		if len(login.Permissions) < 5 || !login.Permissions[4].Granted || login.Permissions[4].Required || !login.Permissions[0].Required {
			t.Errorf("the permissions are %v", login.Permissions)
		}
		pages, err := l.service.LoginPages(l.ana, login)
		must(t, err)
		if len(pages) < 2 || pages[0].ID != l.pages[0].ID() || pages[0].Name != "Shop A" || pages[0].Followers == nil || *pages[0].Followers != 120 ||
			!pages[0].Connectable || pages[0].Problem != nil || pages[0].Campaign != "" {
			t.Errorf("the pages are %+v", pages)
		}
		if hints := bell.Take().Hints; len(hints) != 1 || string(hints[0]) != string(id) {
			t.Errorf("told %q of it", hints)
		}
	})
}

func TestTheLastPageOfTheLoginTellsItsOpenerAloneAndHoldsNoSecret(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	back := l.agrees(dialog, l.pages)
	page := l.comesBack(back, "Accept-Language", "vi")
	body, csp := page.Body.String(), page.Header().Get("Content-Security-Policy")
	for _, secret := range []string{back.Query().Get("code"), back.Query().Get("state"), l.app.Secret()} {
		if strings.Contains(body, secret) {
			t.Errorf("the page holds %s", secret)
		}
	}
	if !strings.Contains(body, `lang="vi"`) || !strings.Contains(body, "Đã đăng nhập Facebook") {
		t.Errorf("the page is not in Vietnamese: %s", body)
	}
	told := `postMessage({ loginId: "` + string(id) + `", status: "AUTHORIZED" }, "` + l.door.URL + `")`
	if !strings.Contains(body, told) {
		t.Errorf("the page does not say %s: %s", told, body)
	}
	_, nonce, _ := strings.Cut(csp, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if nonce == "" || !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || !strings.Contains(body, `<script nonce="`+nonce+`">`) {
		t.Errorf("the policy is %s", csp)
	}
	if h := page.Header(); h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the headers are %v", h)
	}
	again := l.comesBack(back)
	if next := again.Header().Get("Content-Security-Policy"); next == csp {
		t.Error("the nonce came twice")
	}
}

func TestTheLastPageSpeaksTheLanguageOfWhoStartedTheLogin(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	viewer, err := auth.From(l.ana)
	must(t, err)
	l.write(func(tx *store.Tx) error {
		return tx.User.UpdateOneID(viewer.UserID).SetLanguage("ru").Exec(tx.Context())
	})
	for asked, language := range map[string]string{"": "ru", "zh-TW": "zh-Hant", "zh-CN": "zh-Hans", "de": "ru"} {
		_, dialog := l.starts()
		page := l.comesBack(l.goesThrough(dialog, url.Values{"person": {l.mai.ID()}, "do": {"cancel"}}), "Accept-Language", asked)
		if !strings.Contains(page.Body.String(), `lang="`+language+`"`) {
			t.Errorf("asked for %q: %s", asked, page.Body)
		}
	}
}

// FuzzCallback: whatever a stranger brings to the end of the popup is refused in words,
// tells no window anything and asks nothing of Facebook.
func FuzzCallback(f *testing.F) {
	f.Add("code=abc&state=made-up", "vi")
	f.Add("error=access_denied&error_message=<script>alert(1)</script>", "")
	f.Add("state=%00%ff&state=2", "zh-TW;q=0.5,*")
	f.Add("%zz;=;", "\xff")
	l := newLobby(f, storetest.SQLite(f))
	f.Fuzz(func(t *testing.T, query, language string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, connection.CallbackPath, nil)
		r.URL.RawQuery = query
		r.Header["Accept-Language"] = []string{language}
		w := httptest.NewRecorder()
		l.callback.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != http.StatusBadRequest || strings.Contains(body, "postMessage") || strings.Contains(body, "alert(") {
			t.Errorf("answered %d %s", w.Code, body)
		}
		if n := len(l.fb.Calls()); n != 0 {
			t.Errorf("Facebook was asked %d times", n)
		}
	})
}

func TestAForgedAReplayedAnExpiredAndACancelledLoginEachEndInTheirOwnWords(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		exchanges := func() int { return len(l.fb.Calls("access_token")) }

		forged := l.comesBack(&url.URL{Path: connection.CallbackPath, RawQuery: "code=abc&state=made-up"})
		if forged.Code != http.StatusBadRequest || !strings.Contains(forged.Body.String(), "does not belong to a sign-in") {
			t.Errorf("a forged state: %d %s", forged.Code, forged.Body)
		}
		for _, none := range []string{"", "code=abc", "state=", "state=%00%ff&code=x", "error=access_denied"} {
			if page := l.comesBack(&url.URL{Path: connection.CallbackPath, RawQuery: none}); page.Code != http.StatusBadRequest {
				t.Errorf("%q: %d %s", none, page.Code, page.Body)
			}
		}

		late, dialog := l.starts()
		back := l.agrees(dialog, l.pages)
		l.clock.turn(10 * time.Minute)
		before := l.login(late)
		expired := l.comesBack(back)
		if expired.Code != http.StatusGone || !strings.Contains(expired.Body.String(), "no longer valid") {
			t.Errorf("an expired state: %d %s", expired.Code, expired.Body)
		}
		if after := l.login(late); after.UsedAt != nil || after.Status != before.Status {
			t.Errorf("an expired login became %v", after)
		}
		l.ends(late, facebooklogin.StatusExpired, causeway.LoginExpired)
		if n := exchanges(); n != 0 {
			t.Errorf("%d codes were exchanged", n)
		}

		id, dialog := l.starts()
		back = l.agrees(dialog, l.pages)
		l.comesBack(back)
		l.ends(id, facebooklogin.StatusAuthorized, "")
		n := exchanges()
		replayed := l.comesBack(back)
		if replayed.Code != http.StatusGone || !strings.Contains(replayed.Body.String(), "already used") || exchanges() != n {
			t.Errorf("a replayed state: %d %s", replayed.Code, replayed.Body)
		}
		denied := *back
		denied.RawQuery = url.Values{"state": {back.Query().Get("state")}, "error": {"access_denied"}}.Encode()
		l.comesBack(&denied)
		l.ends(id, facebooklogin.StatusAuthorized, "")
		for _, page := range []*httptest.ResponseRecorder{forged, expired, replayed} {
			if strings.Contains(page.Body.String(), "postMessage") {
				t.Errorf("a window is told: %s", page.Body)
			}
		}

		id, dialog = l.starts()
		n = exchanges()
		cancelled := l.comesBack(l.goesThrough(dialog, url.Values{"person": {l.mai.ID()}, "do": {"cancel"}}))
		l.ends(id, facebooklogin.StatusFailed, causeway.LoginCancelled)
		if cancelled.Code != http.StatusOK || !strings.Contains(cancelled.Body.String(), "was cancelled") || exchanges() != n ||
			!strings.Contains(cancelled.Body.String(), `status: "FAILED"`) {
			t.Errorf("a cancelled login: %d %s", cancelled.Code, cancelled.Body)
		}
	})
}

func TestAStateThatComesBackManyTimesAtOnceIsGoodOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		id, dialog := l.starts()
		back := l.agrees(dialog, l.pages)
		var all sync.WaitGroup
		codes := make([]int, 8)
		for i := range codes {
			all.Go(func() { codes[i] = l.comesBack(back).Code })
		}
		all.Wait()
		slices.Sort(codes)
		if codes[0] != http.StatusOK || slices.Index(codes, http.StatusGone) != 1 || codes[7] != http.StatusGone {
			t.Errorf("answered %v", codes)
		}
		l.ends(id, facebooklogin.StatusAuthorized, "")
	})
}

func TestWhoComesBackInTheLastSecondIsNotLateWhileFacebookIsAsked(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	back := l.agrees(dialog, l.pages)
	l.clock.turn(10*time.Minute - time.Second)
	slow := make(chan struct{})
	l.fb.FailNext("GET accounts", simulator.GraphFailure{Hang: true})
	go func() {
		defer close(slow)
		l.comesBack(back)
	}()
	_, err := l.fb.WaitCalls(within(t), "accounts", 1)
	must(t, err)
	l.clock.turn(5 * time.Second)
	l.ends(id, facebooklogin.StatusPending, "")
	must(t, l.service.Close())
	<-slow
	l.ends(id, facebooklogin.StatusFailed, causeway.NetworkError)
}

func TestAMissingPermissionIsNamedAndAskedForAgain(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	page := l.comesBack(l.agrees(dialog, l.pages, "pages_messaging"))
	login := l.ends(id, facebooklogin.StatusFailed, causeway.PermissionsMissing)
	if login.Problem.Args["permissions"] != "pages_messaging" || !strings.Contains(page.Body.String(), "pages_messaging") {
		t.Errorf("the problem is %v, the page %s", login.Problem, page.Body)
	}
	if login.SealedToken != nil && len(*login.SealedToken) > 0 || len(login.Pages) > 0 {
		t.Errorf("a failed login keeps %v", login)
	}
	other, err := l.service.StartLogin(l.manager(), l.campaign, nil)
	must(t, err)
	if strings.Contains(other.AuthorizationURL, "rerequest") {
		t.Errorf("somebody else is asked again: %s", other.AuthorizationURL)
	}
	id, dialog = l.starts()
	if dialog.Query().Get("auth_type") != "rerequest" {
		t.Fatalf("the dialog's address is %s", dialog)
	}
	l.comesBack(l.agrees(dialog, l.pages))
	l.ends(id, facebooklogin.StatusAuthorized, "")
	if _, dialog = l.starts(); dialog.Query().Has("auth_type") {
		t.Errorf("who agreed to everything is asked again: %s", dialog)
	}
}

func TestWithoutBusinessManagementALoginIsGood(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	l.comesBack(l.agrees(dialog, l.pages, "business_management"))
	if login := l.ends(id, facebooklogin.StatusAuthorized, ""); login.Permissions[4].Granted || login.Permissions[4].Required {
		t.Errorf("the permissions are %v", login.Permissions)
	}
}

func TestAConfigurationReplacesTheListOfPermissions(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t), func(cfg *connection.Config) { cfg.Facebook.ConfigID = "4242" })
	_, dialog := l.starts()
	if dialog.Query().Has("scope") || dialog.Query().Get("config_id") != "4242" {
		t.Errorf("the dialog's address is %s", dialog)
	}
}

func TestTroubleAtFacebookFailsTheLoginAndMayPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edge    string
		failure simulator.GraphFailure
		code    causeway.Code
	}{
		"the exchange is answered with a gateway's page": {"access_token", simulator.GraphFailure{HTML: true}, causeway.PlatformError},
		"the token is not looked at":                     {"debug_token", simulator.GraphFailure{}, causeway.PlatformError},
		"who it is is not told":                          {"me", simulator.GraphFailure{Lost: true, Times: -1}, causeway.NetworkError},
		"the permissions are too many calls":             {"permissions", simulator.Refusing(4, 0), causeway.PlatformError},
		"the pages fail":                                 {"accounts", simulator.GraphFailure{Code: 2, Times: -1}, causeway.PlatformError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLobby(t, storetest.SQLite(t))
			id, dialog := l.starts()
			back := l.agrees(dialog, l.pages)
			l.fb.FailNext(c.edge, c.failure)
			l.fb.FailNext("GET "+c.edge, c.failure)
			page := l.comesBack(back)
			login := l.ends(id, facebooklogin.StatusFailed, c.code)
			if !login.Problem.Retryable || page.Code != http.StatusOK {
				t.Errorf("answered %d, the problem is %v", page.Code, login.Problem)
			}
			l.fb.Works()
			id, dialog = l.starts()
			l.comesBack(l.agrees(dialog, l.pages))
			l.ends(id, facebooklogin.StatusAuthorized, "")
		})
	}
}

func TestClosingEndsALoginThatHangsAtFacebook(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	back := l.agrees(dialog, l.pages)
	l.fb.FailNext("debug_token", simulator.GraphFailure{Hang: true, Times: -1})
	answered := make(chan int, 1)
	go func() { answered <- l.comesBack(back).Code }()
	_, err := l.fb.WaitCalls(within(t), "debug_token", 1)
	must(t, err)
	must(t, l.service.Close())
	if code := <-answered; code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
	l.ends(id, facebooklogin.StatusFailed, causeway.NetworkError)
	late := l.comesBack(back)
	if late.Code != http.StatusGone {
		t.Errorf("after closing: %d", late.Code)
	}
}

func TestWhatFacebookWritesIntoTheAddressIsShownAsWords(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	back := &url.URL{Path: connection.CallbackPath, RawQuery: url.Values{
		"state": {dialog.Query().Get("state")}, "error_code": {"1349168"}, "error_message": {"<script>alert(1)</script>\x00 Can't Load URL"},
	}.Encode()}
	page := l.comesBack(back)
	login := l.ends(id, facebooklogin.StatusFailed, causeway.PlatformError)
	if login.Problem.PlatformCode != "1349168" || strings.Contains(page.Body.String(), "<script>alert") || !strings.Contains(page.Body.String(), "Load URL") {
		t.Errorf("the problem is %v, the page %s", login.Problem, page.Body)
	}
}

func TestALookAtTheCallbackAloneUsesNothingUp(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	id, dialog := l.starts()
	back := l.agrees(dialog, l.pages)
	w := httptest.NewRecorder()
	l.callback.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, back.RequestURI(), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("answered %d", w.Code)
	}
	l.comesBack(back)
	l.ends(id, facebooklogin.StatusAuthorized, "")
}

func TestALoginIsStartedByManagersFromOriginsThatAreKnown(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	for origin, kept := range map[string]string{
		"":                             l.door.URL,
		l.door.URL:                     l.door.URL,
		"https://desk.example.com":     "https://desk.example.com",
		"HTTPS://Desk.Example.com:443": "https://desk.example.com",
	} {
		started, err := l.service.StartLogin(l.ana, l.campaign, &origin)
		must(t, err)
		if login := l.login(started.Login); login.ReturnOrigin != kept {
			t.Errorf("%q is kept as %q", origin, login.ReturnOrigin)
		}
	}
	for _, origin := range []string{"https://evil.example", "https://desk.example.com.evil.example", "http://desk.example.com", "https://a@desk.example.com",
		"javascript:alert(1)", "null", "*", "https://desk.example.com:8443"} {
		_, err := l.service.StartLogin(l.ana, l.campaign, &origin)
		refused(t, err, causeway.InvalidInput, "input", "returnOrigin")
	}
	_, err := l.service.StartLogin(l.member(campaignmember.RoleAgent, l.campaign), l.campaign, nil)
	refused(t, err, causeway.Forbidden)
	_, err = l.service.StartLogin(l.member(campaignmember.RoleManager, l.other), l.campaign, nil)
	refused(t, err, causeway.NotFound, "input", "campaignId")
	_, err = l.service.StartLogin(t.Context(), l.campaign, nil)
	refused(t, err, causeway.Unauthenticated)
	l.archive(l.campaign)
	_, err = l.service.StartLogin(l.ana, l.campaign, nil)
	refused(t, err, causeway.Conflict, "input", "campaignId")

	bare := l.newService(func(cfg *connection.Config) { cfg.PublicURL = ""; cfg.Facebook = connection.Facebook{AppID: "1"} })
	_, err = bare.StartLogin(l.admin(), l.other, nil)
	if lacks := refused(t, err, causeway.PlatformNotConfigured); !strings.Contains(lacks.Args["settings"], "--facebook-app-secret") {
		t.Errorf("it lacks %v", lacks.Args)
	}
}

func TestALoginIsSeenByWhoStartedItAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		id, _ := l.starts()
		viewers := s.NewReader()
		connection.Guard(viewers)
		viewer, err := auth.From(l.ana)
		must(t, err)
		for name, c := range map[string]struct {
			who  context.Context
			sees bool
		}{
			"who started it":                 {l.ana, true},
			"another manager":                {l.manager(), false},
			"an administrator":               {l.admin(), false},
			"somebody of another campaign":   {l.member(campaignmember.RoleManager, l.other), false},
			"the same part, nobody's own":    {auth.WithViewer(t.Context(), &auth.Viewer{Standing: &auth.Standing{Campaign: l.campaign, Role: campaignmember.RoleManager}}), false},
			"who started it, of other rooms": {auth.WithViewer(t.Context(), &auth.Viewer{UserID: viewer.UserID, Admin: true}), true},
		} {
			found, err := viewers.FacebookLogin.Query().Where(facebooklogin.ID(id)).Exist(c.who)
			must(t, err)
			if found != c.sees {
				t.Errorf("%s sees it: %v", name, found)
			}
		}
		if _, err := viewers.FacebookLogin.Query().Exist(t.Context()); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("nobody in particular: %v", err)
		}
		l.write(func(tx *store.Tx) error {
			_, err := tx.CampaignMember.Delete().Where(campaignmember.UserID(viewer.UserID)).Exec(tx.Context())
			return err
		})
		if found, err := viewers.FacebookLogin.Query().Exist(l.ana); err != nil || found {
			t.Errorf("who left the campaign sees it: %v, %v", found, err)
		}
	})
}

func TestALoginEndsAfterAnHourAndItsTokenIsErased(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		id, dialog := l.starts()
		l.comesBack(l.agrees(dialog, l.pages))
		if login := l.ends(id, facebooklogin.StatusAuthorized, ""); login.SealedToken == nil || len(*login.SealedToken) == 0 {
			t.Fatal("it keeps no token")
		}
		waiting, _ := l.starts()
		l.clock.turn(time.Hour)
		if pages, err := l.service.LoginPages(l.ana, l.ends(id, facebooklogin.StatusExpired, causeway.LoginExpired)); err != nil || len(pages) > 0 {
			t.Errorf("its pages are %v, %v", pages, err)
		}
		l.start()
		l.eventually(func() string {
			for _, id := range []causeway.ID{id, waiting} {
				login := l.login(id)
				if login.Status != facebooklogin.StatusExpired || login.SealedToken != nil && len(*login.SealedToken) > 0 || len(login.Pages) > 0 {
					return "a login whose time is over is kept"
				}
			}
			return ""
		})
		l.ends(id, facebooklogin.StatusExpired, causeway.LoginExpired)
		l.clock.turn(91 * 24 * time.Hour)
		l.eventually(func() string {
			if n, err := s.Reader().FacebookLogin.Query().Count(context.Background()); err != nil || n > 0 {
				return "logins are kept for ever"
			}
			return ""
		})
	})
}

func TestPagesThatCannotBeConnectedAreListedWithTheReason(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLobby(t, s)
		l.pages[0].Appoints(l.mai, "ANALYZE")
		l.pages[1].Publish(false)
		hidden := l.fb.AddPage("Hidden plans")
		hidden.Appoints(l.mai)
		here, elsewhere := l.hasPage(l.campaign, l.pages[2], l.mai.ID()), l.hasPage(l.other, l.pages[3], l.mai.ID())
		lost := l.hasPage(l.campaign, l.fb.AddPage("Not chosen"), l.mai.ID())
		l.hasPage(l.campaign, l.fb.AddPage("Somebody else's"), "77")
		id, dialog := l.starts()
		l.comesBack(l.agrees(dialog, append(slices.Clone(l.pages), hidden)))
		login := l.ends(id, facebooklogin.StatusAuthorized, "")
		pages, err := l.service.LoginPages(l.ana, login)
		must(t, err)
		want := []struct {
			connectable bool
			code        causeway.Code
			campaign    causeway.ID
		}{
			{false, causeway.PageRoleInsufficient, ""},
			{true, causeway.PageNotPublished, ""},
			{true, "", l.campaign},
			{false, causeway.AlreadyConnected, l.other},
			{true, "", ""},
		}
		for i, w := range want {
			if p := pages[i]; p.Connectable != w.connectable || codeIn(p.Problem) != w.code || p.Campaign != w.campaign {
				t.Errorf("%s: %v, %v, in %s", p.Name, p.Connectable, p.Problem, p.Campaign)
			}
		}
		if pages[3].Problem.Reason != causeway.ReasonAlreadyElsewhere {
			t.Errorf("who may not see the campaign is told %v", pages[3].Problem)
		}
		gone, err := l.service.LostConnections(l.ana, login)
		must(t, err)
		if !slices.Equal(gone, []causeway.ID{lost}) {
			t.Errorf("it silences %v, want %s; here %s, elsewhere %s", gone, lost, here, elsewhere)
		}
	})
}

// hasPage is a page that is connected to a campaign with a person's token.
func (w *world) hasPage(campaign causeway.ID, page *simulator.Page, person string) causeway.ID {
	w.Helper()
	id := causeway.NewID(causeway.PrefixConnection)
	w.write(func(tx *store.Tx) error {
		return tx.Connection.Create().
			SetID(id).
			SetCampaignID(campaign).
			SetPlatform(platform.Messenger).
			SetAccountID(page.ID()).
			SetProfile(platform.Profile{ID: page.ID(), Name: page.Name()}).
			SetName(page.Name()).
			SetAuthorizerID(person).
			SetStatus("ACTIVE").
			SetDelivery("WEBHOOK").
			SetWebhookStatus("ACTIVE").
			SetWebhookKey(string(id)).
			SetConnectedAt(w.clock.Now()).
			Exec(tx.Context())
	})
	return id
}
