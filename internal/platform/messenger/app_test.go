package messenger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform"
)

const (
	userToken = "EAAGplantedUserTokenThatNobodyMaySee"
	loginCode = "AQDplanted-code-of-a-login"
	callback  = "https://shop.example/oauth/facebook/callback"
)

func (f *facebook) app(now time.Time) *App {
	return NewApp(AppConfig{
		ID: "555", Secret: appSecret, GraphURL: f.url, DialogURL: "https://dialog.example/", Version: "v25.0",
		Clock: &turned{now: now},
	})
}

func TestATokenIsNotLogged(t *testing.T) {
	t.Parallel()
	var written strings.Builder
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&written, nil)), slog.New(slog.NewJSONHandler(&written, nil))} {
		log.Info("logged in", "token", Token(userToken), "page", Page{ID: "101", Token: pageToken}, "none", Token(""))
	}
	if strings.Contains(written.String(), "planted") || !strings.Contains(written.String(), "***") {
		t.Errorf("the log says %s", written.String())
	}
}

func TestALoginBeginsAtTheDialog(t *testing.T) {
	t.Parallel()
	app := startFacebook(t, says("{}")).app(time.Now())
	for name, c := range map[string]struct {
		dialog Dialog
		want   url.Values
	}{
		"scopes": {Dialog{State: "st&te", Redirect: callback, Scopes: Scopes()}, url.Values{
			"scope": {"pages_show_list,pages_messaging,pages_manage_metadata,pages_read_engagement,business_management"},
		}},
		"configuration": {Dialog{State: "st&te", Redirect: callback, Scopes: Scopes(), ConfigID: "77"}, url.Values{"config_id": {"77"}}},
		"again": {Dialog{State: "st&te", Redirect: callback, Scopes: []string{"pages_messaging"}, Rerequest: true}, url.Values{
			"scope": {"pages_messaging"}, "auth_type": {"rerequest"},
		}},
	} {
		c.want["client_id"], c.want["redirect_uri"], c.want["state"] = []string{"555"}, []string{callback}, []string{"st&te"}
		c.want["response_type"], c.want["display"] = []string{"code"}, []string{"popup"}
		got, err := url.Parse(app.DialogURL(c.dialog))
		if err != nil || got.Scheme+"://"+got.Host+got.Path != "https://dialog.example/v25.0/dialog/oauth" {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		if !reflect.DeepEqual(got.Query(), c.want) {
			t.Errorf("%s: %v, want %v", name, got.Query(), c.want)
		}
	}
}

func TestACodeIsExchangedAndTheTokenExtended(t *testing.T) {
	t.Parallel()
	now := time.Unix(1790000000, 0).UTC()
	fb := startFacebook(t, says(`{"access_token":"`+userToken+`","token_type":"bearer","expires_in":5100}`))
	grant, err := fb.app(now).Exchange(t.Context(), loginCode, callback)
	if err != nil || grant.Token != userToken || !grant.ExpiresAt.Equal(now.Add(5100*time.Second)) {
		t.Fatalf("%v, %v", grant, err)
	}
	r := fb.last(t)
	form := r.form(t)
	if r.call != "POST /v25.0/oauth/access_token" || len(r.query) > 0 || form.Get("code") != loginCode ||
		form.Get("redirect_uri") != callback || form.Get("client_id") != "555" || form.Get("client_secret") != appSecret {
		t.Errorf("asked %s %v %v", r.call, r.query, form)
	}

	fb = startFacebook(t, says(`{"access_token":"EAAGlong","token_type":"bearer"}`))
	grant, err = fb.app(now).Extend(t.Context(), userToken)
	if err != nil || string(grant.Token) != "EAAGlong" || !grant.ExpiresAt.IsZero() {
		t.Fatalf("%v, %v", grant, err)
	}
	form = fb.last(t).form(t)
	if form.Get("grant_type") != "fb_exchange_token" || form.Get("fb_exchange_token") != userToken || len(fb.last(t).query) > 0 {
		t.Errorf("asked %v", form)
	}
}

func TestALoginThatFailsSaysWhyAndNoMore(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		answer answer
		kind   platform.RefusalKind
		code   string
	}{
		"used code":   {answer{400, `{"error":{"message":"This authorization code ` + loginCode + ` has been used.","code":100,"error_subcode":36009}}`, nil}, platform.Rejected, "100/36009"},
		"bad secret":  {answer{400, `{"error":{"message":"Error validating client secret ` + appSecret + `","code":1}}`, nil}, platform.Rejected, "1"},
		"down":        {answer{502, "<html>planted</html>", nil}, platform.Unavailable, "502"},
		"a page":      {answer{200, "<html>planted</html>", nil}, platform.Unavailable, "200"},
		"no token":    {says(`{"token_type":"bearer"}`), platform.Unavailable, "200"},
		"refused 200": {says(`{"error":{"message":"no","code":190}}`), platform.Unavailable, "200"},
	} {
		fb := startFacebook(t, c.answer)
		_, err := fb.app(time.Now()).Exchange(t.Context(), loginCode, callback)
		if r := platform.Refused(err); r == nil || r.Kind != c.kind || r.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
		keepsSecrets(t, fb.url, err)
	}
	app := NewApp(AppConfig{ID: "555", Secret: appSecret, GraphURL: gone.URL})
	_, err := app.Exchange(t.Context(), loginCode, callback)
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable {
		t.Errorf("nobody there: %v", err)
	}
	keepsSecrets(t, gone.URL, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = app.Exchange(ctx, loginCode, callback)
	if platform.Refused(err) == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestWhatATokenIsWorthIsTold(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"data":{"app_id":555,"type":"PAGE","application":"My App","data_access_expires_at":1799999999,"expires_at":0,"is_valid":true,"issued_at":1790000000,"profile_id":"101","user_id":"9","scopes":["pages_messaging","pages_show_list"],"granular_scopes":[{"scope":"pages_messaging","target_ids":["101",102]},{"scope":"pages_show_list"}]}}`))
	got, err := fb.app(time.Now()).DebugToken(t.Context(), userToken)
	want := TokenFacts{
		Valid: true, AppID: "555", Type: "PAGE", UserID: "9", ProfileID: "101",
		IssuedAt: time.Unix(1790000000, 0).UTC(), DataAccessExpiresAt: time.Unix(1799999999, 0).UTC(),
		Scopes: []string{"pages_messaging", "pages_show_list"}, Targets: map[string][]string{"pages_messaging": {"101", "102"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	r := fb.last(t)
	if r.call != "GET /v25.0/debug_token" || r.query.Get("input_token") != userToken || r.token != "555|"+appSecret {
		t.Errorf("asked %s %v with %s", r.call, r.query, r.token)
	}

	for name, c := range map[string]struct {
		said string
		want platform.Refusal
	}{
		"expired":      {`"error":{"code":190,"message":"Session has expired","subcode":463}`, platform.Refusal{Kind: platform.Unauthorized, Code: "190/463", Message: "Session has expired", Expired: true}},
		"password":     {`"error":{"code":190,"message":"changed ` + userToken + `","subcode":460}`, platform.Refusal{Kind: platform.Unauthorized, Code: "190/460", Message: "changed ***"}},
		"role":         {`"error":{"code":190,"message":"role","subcode":492}`, platform.Refusal{Kind: platform.Unauthorized, Code: "190/492", Message: "role", RoleLost: true}},
		"nothing said": {`"scopes":[]`, platform.Refusal{Kind: platform.Unauthorized, Code: "190", Message: "the token is not valid"}},
	} {
		fb := startFacebook(t, says(`{"data":{"app_id":"555","is_valid":false,`+c.said+`}}`))
		got, err := fb.app(time.Now()).DebugToken(t.Context(), userToken)
		c.want.Method, c.want.Sent = "debug_token", true
		if err != nil || got.Valid || got.Problem == nil || *got.Problem != c.want {
			t.Errorf("%s: %+v, %v", name, got.Problem, err)
		}
	}
	fb = startFacebook(t, answer{400, `{"error":{"code":100,"message":"input_token=` + userToken + ` is not good for 555|` + appSecret + `"}}`, nil})
	_, err = fb.app(time.Now()).DebugToken(t.Context(), userToken)
	if platform.Refused(err) == nil {
		t.Error("no refusal")
	}
	keepsSecrets(t, fb.url, err)
}

func TestWhatThePersonAgreedToIsRead(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t,
		says(`{"data":[{"permission":"pages_show_list","status":"granted"},{"permission":"pages_messaging","status":"declined"}],"paging":{"next":"x","cursors":{"after":"A"}}}`),
		says(`{"data":[{"permission":"pages_read_engagement","status":"expired"},{"permission":"pages_manage_metadata","status":"granted"}]}`))
	got, err := fb.app(time.Now()).Permissions(t.Context(), userToken)
	want := []Permission{{"pages_show_list", "granted"}, {"pages_messaging", "declined"}, {"pages_read_engagement", "expired"}, {"pages_manage_metadata", "granted"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v", got, err)
	}
	if missing := Missing(got, RequiredScopes()); !reflect.DeepEqual(missing, []string{"pages_messaging", "pages_read_engagement"}) {
		t.Errorf("missing are %v", missing)
	}
	if r := fb.last(t); r.call != "GET /v25.0/me/permissions" || r.query.Get("after") != "A" || r.token != userToken {
		t.Errorf("asked %s %v", r.call, r.query)
	}
}

func TestEveryPageOfTheListIsRead(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t,
		says(`{"data":[{"id":"101","name":"Shop A","access_token":"EAAGpage","tasks":["MESSAGING","MODERATE"],"followers_count":12,"picture":{"data":{"url":"https://scontent.example/p.jpg"}}},{"name":"no id"}],"paging":{"cursors":{"after":"A"},"next":"https://elsewhere.example/?access_token=planted"}}`),
		says(`{"data":[{"id":102,"is_published":false}],"paging":{"cursors":{"after":"B"}}}`))
	got, err := fb.app(time.Now()).Pages(t.Context(), userToken)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if a := got[0]; a.ID != "101" || string(a.Token) != "EAAGpage" || !a.May(TaskMessaging) || a.May(TaskManage) || *a.Followers != 12 || a.Published != nil {
		t.Errorf("the first is %+v", a)
	}
	if b := got[1]; b.ID != "102" || b.Name != "102" || b.Token != "" || *b.Published {
		t.Errorf("the second is %+v", b)
	}
	calls := fb.asked()
	if len(calls) != 2 || calls[0].query.Get("after") != "" || calls[1].query.Get("after") != "A" || calls[1].query.Get("fields") == "" {
		t.Errorf("asked %v", calls)
	}

	// A list without an end is read so far and no farther.
	endless := make([]answer, 60)
	for i := range endless {
		endless[i] = says(fmt.Sprintf(`{"data":[{"id":"%d"}],"paging":{"cursors":{"after":"c%d"},"next":"x"}}`, i, i))
	}
	fb = startFacebook(t, endless...)
	if got, err := fb.app(time.Now()).Pages(t.Context(), userToken); err != nil || len(got) != maxPages {
		t.Errorf("%d pages, %v", len(got), err)
	}
	fb = startFacebook(t, says(`{"data":[{"id":"1"}],"paging":{"cursors":{"after":"same"},"next":"x"}}`))
	if got, err := fb.app(time.Now()).Pages(t.Context(), userToken); err != nil || len(got) != 2 {
		t.Errorf("%d pages of a list that goes in a circle, %v", len(got), err)
	}
	fb = startFacebook(t, says(`{"data":[{"id":"1"}],"paging":{"cursors":{"after":"A"},"next":"x"}}`), refuses(190, 463))
	if got, err := fb.app(time.Now()).Pages(t.Context(), userToken); err == nil || got != nil {
		t.Errorf("half a list was taken for one: %v, %v", got, err)
	}
}

func TestPeopleAppsAndPagesAreKnownByTheirTokens(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"id":"9","name":"Ana"}`))
	app := fb.app(time.Now())
	if me, err := app.Me(t.Context(), userToken); err != nil || me != (Person{"9", "Ana"}) || fb.last(t).call != "GET /v25.0/me" {
		t.Errorf("%v, %v", me, err)
	}
	if of, err := app.AppOf(t.Context(), pageToken); err != nil || of != (AppName{"9", "Ana"}) || fb.last(t).call != "GET /v25.0/app" || fb.last(t).query.Get("appsecret_proof") != "" {
		t.Errorf("%v, %v", of, err)
	}
	if _, err := app.Verify(t.Context()); err != nil || fb.last(t).call != "GET /v25.0/555" || fb.last(t).token != "555|"+appSecret {
		t.Errorf("asked %v, %v", fb.last(t), err)
	}
	fb = startFacebook(t, says(`{"access_token":"EAAGpage","id":"101"}`))
	if token, err := fb.app(time.Now()).PageToken(t.Context(), userToken, "101"); err != nil || string(token) != "EAAGpage" {
		t.Errorf("%v, %v", token, err)
	}
	for _, empty := range []string{`{}`, `{"id":{}}`} {
		app := startFacebook(t, says(empty)).app(time.Now())
		if _, err := app.Me(t.Context(), userToken); platform.Refused(err) == nil {
			t.Errorf("%s is somebody", empty)
		}
		if _, err := app.AppOf(t.Context(), userToken); platform.Refused(err) == nil {
			t.Errorf("%s is an app", empty)
		}
	}
}

func TestTheAppsWebhookIsRegisteredReadBackAndAPageUnsubscribed(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"success":true}`))
	app := fb.app(time.Now())
	if err := app.SetWebhook(t.Context(), "https://shop.example/webhooks/facebook", "planted-verify", []string{"messages", "standby"}); err != nil {
		t.Fatal(err)
	}
	r := fb.last(t)
	want := url.Values{
		"object": {"page"}, "callback_url": {"https://shop.example/webhooks/facebook"}, "verify_token": {"planted-verify"},
		"fields": {"messages,standby"}, "include_values": {"true"},
	}
	if r.call != "POST /v25.0/555/subscriptions" || !reflect.DeepEqual(r.form(t), want) || r.token != "555|"+appSecret {
		t.Errorf("asked %s %v", r.call, r.form(t))
	}
	if err := app.UnsubscribePage(t.Context(), "102"); err != nil || fb.last(t).call != "DELETE /v25.0/102/subscribed_apps" || fb.last(t).token != "555|"+appSecret {
		t.Errorf("asked %v, %v", fb.last(t), err)
	}

	fb = startFacebook(t, says(`{"data":[{"object":"page","callback_url":"https://shop.example/webhooks/facebook","fields":[{"name":"messages","version":"v25.0"},{"name":"standby"}],"active":true}]}`))
	hooks, err := fb.app(time.Now()).Webhooks(t.Context())
	if err != nil || !reflect.DeepEqual(hooks, []AppWebhook{{"page", "https://shop.example/webhooks/facebook", []string{"messages", "standby"}, true}}) {
		t.Errorf("%v, %v", hooks, err)
	}

	fb = startFacebook(t, answer{400, `{"error":{"code":2200,"message":"callback verification failed for planted-verify"}}`, nil})
	err = fb.app(time.Now()).SetWebhook(t.Context(), "https://shop.example/x", "planted-verify", nil)
	if r := platform.Refused(err); r == nil || r.Kind != platform.Rejected || !strings.Contains(r.Message, "callback verification failed") {
		t.Errorf("%v", err)
	}
	keepsSecrets(t, fb.url, err)
}
