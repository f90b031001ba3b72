package connection_test

import (
	"strings"
	"testing"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/internal/connection"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// ownPage is a page that somebody reaches by an app of their own, with a token made by
// hand.
func (w *world) ownPage(opts ...simulator.AppOption) (*simulator.App, *simulator.Page, string) {
	own := w.fb.AddApp("Lan's app", opts...)
	lan, page := w.fb.AddPerson("Lan"), w.fb.AddPage("Lan's flowers")
	page.Appoints(lan)
	lan.Allows(own, []*simulator.Page{page}, simulator.PagesMessaging, simulator.PagesManageMetadata, simulator.PagesReadEngagement)
	return own, page, page.Token(own, lan)
}

func (w *world) pasted(page *simulator.Page, token, secret string) connection.PageTokenInput {
	in := connection.PageTokenInput{
		CampaignID: w.campaign, PageID: " " + page.ID(), AccessToken: token + " ", Options: connection.Options{Enabled: true},
	}
	if secret != "" {
		in.AppSecret = &secret
	}
	return in
}

func TestAPageOfAPersonsOwnAppHasAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st, withoutFacebook)
		own, page, token := w.ownPage(simulator.RequiringProof())
		name := "Flowers"
		in := w.pasted(page, token, own.Secret())
		in.Options.Name = &name
		result, err := w.service.ConnectFacebookPageWithToken(w.manager(), in)
		must(t, err)
		w.is(result.Connection, entconnection.StatusActive, "")
		row := w.row(result.Connection)
		if row.Name != "Flowers" || *row.AppID != own.ID() || *row.AuthorizedBy != "Ana" || row.AuthorizerID != nil {
			t.Errorf("connected was %+v", row)
		}
		hook := own.Webhook()
		shown, err := w.service.VerifyToken(row)
		must(t, err)
		if hook.URL != w.door.URL+"/webhooks/facebook/"+row.WebhookKey || hook.URL != w.service.WebhookAddress(row) ||
			hook.VerifyToken == "" || hook.VerifyToken != shown {
			t.Errorf("the app delivers to %s", hook.URL)
		}
		if page.Subscription(own) == nil || w.app.Webhook().URL != "" {
			t.Error("the subscription is not the own app's")
		}
		endpoint, err := w.service.Endpoint(t.Context(), row.WebhookKey)
		must(t, err)
		if string(endpoint.Secret) != own.Secret() || string(endpoint.VerifyToken) != shown {
			t.Error("what comes in is not verified by the own app's secret")
		}
		if _, err := w.service.Page(t.Context(), page.ID()); causeway.CodeOf(err) != causeway.NotFound {
			t.Error("this server's own app would be believed about the page")
		}
		if !w.report(result.Report).Passed {
			t.Errorf("reported %+v", w.report(result.Report).Checks)
		}
		for _, secret := range []string{token, own.Secret(), shown} {
			if strings.Contains(w.log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
		must(t, w.service.Disconnect(w.manager(), row.ID))
		if hasSecrets(w.row(row.ID)) || page.Subscription(own) != nil {
			t.Error("disconnecting left secrets, or the subscription")
		}
	})
}

func TestATokenMadeInThisServersAppNeedsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	token := s.pages[0].Token(w.app, s.mia)
	result, err := w.service.ConnectFacebookPageWithToken(w.manager(), w.pasted(s.pages[0], token, ""))
	must(t, err)
	w.is(result.Connection, entconnection.StatusActive, "")
	if w.app.Webhook().URL != w.door.URL+"/webhooks/facebook" {
		t.Errorf("the app delivers to %s", w.app.Webhook().URL)
	}
	// Logging in repairs it in place, and keeps her token from then on.
	if s.connectsPage(s.pages[0]).Connection != result.Connection || s.kept(result.Connection, w.row(result.Connection).SealedUserToken) != s.person {
		t.Error("the login did not take it over")
	}
}

func TestWhatIsWrongWithAPastedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	own, page, token := w.ownPage()
	other := w.fb.AddApp("Another app")
	for name, c := range map[string]struct {
		in     connection.PageTokenInput
		code   causeway.Code
		reason causeway.Reason
		field  string
	}{
		"nonsense":             {w.pasted(page, "nonsense", own.Secret()), causeway.InvalidPageToken, "", "accessToken"},
		"none":                 {w.pasted(page, "", own.Secret()), causeway.InvalidPageToken, "", "accessToken"},
		"no secret":            {w.pasted(page, token, ""), causeway.InvalidInput, causeway.ReasonRequired, "appSecret"},
		"another app's secret": {w.pasted(page, token, other.Secret()), causeway.InvalidPageToken, causeway.ReasonAppSecretWrong, "appSecret"},
		"a person's token":     {w.pasted(s.pages[0], s.person, ""), causeway.InvalidPageToken, causeway.ReasonTokenOfPerson, "accessToken"},
		"another page's":       {w.pasted(s.pages[0], token, own.Secret()), causeway.InvalidPageToken, causeway.ReasonTokenOfOtherPage, "accessToken"},
	} {
		_, err := w.service.ConnectFacebookPageWithToken(w.manager(), c.in)
		if problem := refused(t, err, c.code, "input", c.field); problem.Reason != c.reason {
			t.Errorf("%s: the reason is %q", name, problem.Reason)
		}
	}
	w.fb.ExpireToken(token)
	_, err := w.service.ConnectFacebookPageWithToken(w.manager(), w.pasted(page, token, own.Secret()))
	refused(t, err, causeway.InvalidPageToken, "input", "accessToken")
	if w.count() != 0 {
		t.Errorf("%d connections are there", w.count())
	}
	_, err = w.service.ConnectFacebookPageWithToken(w.member("AGENT", w.campaign), w.pasted(page, token, own.Secret()))
	refused(t, err, causeway.Forbidden)
}
