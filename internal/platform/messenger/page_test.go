package messenger

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform"
)

func TestACustomerIsDescribedAsFarAsFacebookTells(t *testing.T) {
	t.Parallel()
	const noOne = `{"data":[]}`
	const talk = `{"data":[{"id":"t_77","participants":{"data":[{"name":"Shop A","id":"101"},{"name":"Lan Tran","id":"7001"}]}}]}`
	for name, c := range map[string]struct {
		answers []answer
		want    platform.ContactProfile
		fails   platform.RefusalKind
		calls   int
	}{
		"all": {[]answer{says(`{"id":"7001","name":"Lan Trần","first_name":"Lan","last_name":"Trần","profile_pic":"https://pic.example/p?psid=1","locale":"vi_VN"}`)},
			platform.ContactProfile{Name: "Lan Trần", AvatarRef: "https://pic.example/p?psid=1", Language: "vi-VN"}, 0, 1},
		"names apart":      {[]answer{says(`{"first_name":"Lan","last_name":"Trần"}`)}, platform.ContactProfile{Name: "Lan Trần"}, 0, 1},
		"no language":      {[]answer{refuses(200, 0), says(`{"name":"Lan"}`)}, platform.ContactProfile{Name: "Lan"}, 0, 2},
		"only the id":      {[]answer{says(`{"id":"7001"}`), says(talk)}, platform.ContactProfile{Name: "Lan Tran"}, 0, 2},
		"nothing anywhere": {[]answer{says(`{}`), says(noOne)}, platform.ContactProfile{}, 0, 2},
		"not allowed":      {[]answer{refuses(100, 2018247), refuses(100, 2018247), says(talk)}, platform.ContactProfile{Name: "Lan Tran"}, 0, 3},
		"no profile":       {[]answer{refuses(100, 2018218), refuses(100, 2018218), says(noOne)}, platform.ContactProfile{}, 0, 3},
		"not visible":      {[]answer{refuses(100, 33), refuses(100, 33), refuses(200, 0)}, platform.ContactProfile{}, 0, 3},
		"token dead":       {[]answer{refuses(190, 460)}, platform.ContactProfile{}, platform.Unauthorized, 1},
		"throttled":        {[]answer{refuses(4, 0)}, platform.ContactProfile{}, platform.RetryAfter, 1},
		"down":             {[]answer{{status: 503}}, platform.ContactProfile{}, platform.Unavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fb := startFacebook(t, c.answers...)
			got, err := fb.client().Describe(t.Context(), "7001")
			if r := platform.Refused(err); c.fails != 0 && (r == nil || r.Kind != c.fails) || c.fails == 0 && err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
			calls := fb.asked()
			if len(calls) != c.calls || calls[0].call != "GET /v25.0/7001" || !strings.Contains(calls[0].query.Get("fields"), "locale") {
				t.Errorf("asked %v", calls)
			}
		})
	}
	if got, err := startFacebook(t, says("{}")).client().Describe(t.Context(), "user_ref:u"); err != nil || got != (platform.ContactProfile{}) {
		t.Errorf("somebody without an id is %+v, %v", got, err)
	}
}

func TestALookupFindsWhatWentOut(t *testing.T) {
	t.Parallel()
	const talk = `{"data":[{"id":"t_77","messages":{"data":[
		{"id":"m_5","created_time":"2026-11-20T08:00:20+0000","from":{"id":"101"},"message":"Hello"},
		{"id":"m_4","created_time":"2026-11-20T08:00:10+0000","from":{"id":"101"},"message":"Hello\n"},
		{"id":"m_3","created_time":"2026-11-20T15:00:09+0700","from":{"id":"101"},"message":"","attachments":{"data":[{"id":"a1"}]}},
		{"id":"m_2","created_time":"2026-11-20T08:00:04+0000","from":{"id":"7001"},"message":"Hello"},
		{"id":"m_1","created_time":"2026-11-20T07:00:00+0000","from":{"id":"101"},"message":"Hello"}]}}]}`
	began := time.Date(2026, 11, 20, 8, 0, 12, 0, time.UTC)
	for name, c := range map[string]struct {
		trace Trace
		want  string
		at    string
	}{
		"the oldest since":   {Trace{Text: "Hello", Since: began}, "m_4", "2026-11-20T08:00:10Z"},
		"but not another":    {Trace{Text: "Hello", Since: began, Not: []string{"m_4"}}, "m_5", "2026-11-20T08:00:20Z"},
		"a file":             {Trace{Since: began}, "m_3", "2026-11-20T08:00:09Z"},
		"by its id":          {Trace{ID: "m_1", Since: began}, "m_1", "2026-11-20T07:00:00Z"},
		"an id that is not":  {Trace{ID: "m_9", Text: "Hello", Since: began}, "", ""},
		"another text":       {Trace{Text: "Bye", Since: began}, "", ""},
		"before it was sent": {Trace{Text: "Hello", Since: began.Add(time.Hour)}, "", ""},
	} {
		fb := startFacebook(t, says(talk))
		c.trace.Chat = "7001"
		sent, found, err := fb.client().Lookup(t.Context(), c.trace)
		if err != nil || found != (c.want != "") || sent.ID != c.want || found && sent.At.Format(time.RFC3339) != c.at {
			t.Errorf("%s: %+v, %v, %v", name, sent, found, err)
		}
		if r := fb.last(t); r.call != "GET /v25.0/101/conversations" || r.query.Get("user_id") != "7001" || r.query.Get("platform") != "messenger" {
			t.Errorf("%s: asked %s %v", name, r.call, r.query)
		}
	}
	fb := startFacebook(t, refuses(10, 0))
	if _, found, err := fb.client().Lookup(t.Context(), Trace{Chat: "7001", Text: "Hello"}); found || platform.Refused(err) == nil {
		t.Errorf("a refusal was taken for an answer: %v", err)
	}
}

func TestAThreadIsTakenAskedForPassedAndReleased(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"success":"true"}`))
	c := fb.client()
	for edge, call := range map[string]struct {
		do   func() error
		want string
	}{
		"take_thread_control":    {func() error { return c.TakeThread(t.Context(), "7001", "why") }, `{"recipient":{"id":"7001"},"metadata":"why"}`},
		"request_thread_control": {func() error { return c.RequestThread(t.Context(), "7001", "why") }, `{"recipient":{"id":"7001"},"metadata":"why"}`},
		"pass_thread_control":    {func() error { return c.PassThread(t.Context(), "7001", InboxApp, "") }, `{"recipient":{"id":"7001"},"target_app_id":"263902037430900"}`},
		"release_thread_control": {func() error { return c.ReleaseThread(t.Context(), "7001") }, `{"recipient":{"id":"7001"}}`},
	} {
		if err := call.do(); err != nil {
			t.Error(err)
		}
		if r := fb.last(t); r.call != "POST /v25.0/101/"+edge || string(r.body) != call.want {
			t.Errorf("asked %s %s", r.call, r.body)
		}
	}
	for body, want := range map[string]Owner{
		`{"data":[{"thread_owner":{"app_id":"555","expiration":1790000000}}]}`: {App: "555", Until: time.Unix(1790000000, 0).UTC()},
		`{"data":[{"thread_owner":{"app_id":263902037430900}}]}`:               {Inbox: true},
		`{"data":[]}`: {},
	} {
		fb := startFacebook(t, says(body))
		got, err := fb.client().ThreadOwner(t.Context(), "7001")
		if err != nil || got != want || got.Nobody() != (want == Owner{}) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
		if r := fb.last(t); r.call != "GET /v25.0/101/thread_owner" || r.query.Get("recipient") != "7001" {
			t.Errorf("asked %s %v", r.call, r.query)
		}
	}
}

func TestAThreadThatMayNotBeTakenIsAskedFor(t *testing.T) {
	t.Parallel()
	owned := says(`{"data":[{"thread_owner":{"app_id":"555"}}]}`)
	for name, c := range map[string]struct {
		answers []answer
		calls   []string
		owner   string
	}{
		"default app":     {[]answer{says(`{"success":true}`), owned}, []string{"take_thread_control", "thread_owner"}, "555"},
		"not the default": {[]answer{refuses(10, 0), says(`{"success":true}`), owned}, []string{"take_thread_control", "request_thread_control", "thread_owner"}, "555"},
		"neither":         {[]answer{refuses(100, 2018164), refuses(10, 2018300)}, []string{"take_thread_control", "request_thread_control"}, ""},
		"token dead":      {[]answer{refuses(190, 460)}, []string{"take_thread_control"}, ""},
	} {
		fb := startFacebook(t, c.answers...)
		owner, err := fb.client().ClaimThread(t.Context(), "7001", "why")
		if owner.App != c.owner || (err == nil) != (c.owner != "") {
			t.Errorf("%s: %+v, %v", name, owner, err)
		}
		var calls []string
		for _, r := range fb.asked() {
			calls = append(calls, r.call[strings.LastIndex(r.call, "/")+1:])
		}
		if !reflect.DeepEqual(calls, c.calls) {
			t.Errorf("%s: asked %v", name, calls)
		}
	}
}

func TestWhichAppsMayAnswerIsRead(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t,
		says(`{"messaging_feature_status":{"hop_v2":true,"msgr_multi_app":"true","ig_multi_app":false},"id":"101"}`),
		says(`{"data":[{"id":666,"name":"Bot"}]}`),
		says(`{"data":[{"category":"x","name":"Ours","id":"555","subscribed_fields":["messages",{"name":"standby","version":"v25.0"}]}]}`))
	got, err := fb.client().Routing(t.Context())
	want := Routing{
		ConversationRouting: true, MultiApp: true, Told: true, Secondary: []AppName{{"666", "Bot"}},
		Subscribed: []Subscription{{AppID: "555", AppName: "Ours", Fields: []string{"messages", "standby"}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	fb = startFacebook(t, refuses(100, 0), refuses(10, 0), says(`{"data":[]}`))
	if got, err := fb.client().Routing(t.Context()); err != nil || !reflect.DeepEqual(got, Routing{}) {
		t.Errorf("what is not told became %+v, %v", got, err)
	}
	fb = startFacebook(t, refuses(190, 460))
	if _, err := fb.client().Routing(t.Context()); platform.Refused(err) == nil {
		t.Error("a dead token was taken for an answer")
	}
}

func TestAPageIsReadAndSubscribed(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"id":101,"name":"Shop A","username":"shop.a","category":"Shopping","link":"https://facebook.example/101","followers_count":120,"fan_count":"100","is_published":true,"picture":{"data":{"url":"https://scontent.example/p.jpg","height":50}}}`))
	got, err := fb.client().Page(t.Context())
	followers, fans, published := 120, 100, true
	want := Page{
		ID: "101", Name: "Shop A", Username: "shop.a", Category: "Shopping", Link: "https://facebook.example/101",
		Picture: "https://scontent.example/p.jpg", Followers: &followers, Fans: &fans, Published: &published,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	fb = startFacebook(t, refuses(10, 0), says(`{"id":"101","name":"Shop A"}`))
	if got, err := fb.client().Page(t.Context()); err != nil || !reflect.DeepEqual(got, Page{ID: "101", Name: "Shop A"}) {
		t.Errorf("with few rights it is %+v, %v", got, err)
	}

	fb = startFacebook(t, says(`{"success":true}`))
	c := fb.client()
	if err := c.Subscribe(t.Context(), Fields()); err != nil {
		t.Fatal(err)
	}
	r := fb.last(t)
	fields := r.form(t).Get("subscribed_fields")
	if r.call != "POST /v25.0/101/subscribed_apps" {
		t.Errorf("asked %s", r.call)
	}
	for _, needed := range []string{"messages", "messaging_handovers", "standby", "messaging_customer_information", "messaging_pre_checkouts", "message_echoes", "message_deliveries", "message_reads"} {
		if !strings.Contains(","+fields+",", ","+needed+",") {
			t.Errorf("%s is not asked for: %s", needed, fields)
		}
	}
	if err := c.Unsubscribe(t.Context()); err != nil || fb.last(t).call != "DELETE /v25.0/101/subscribed_apps" {
		t.Errorf("asked %s, %v", fb.last(t).call, err)
	}
}

func TestWhatAMessageCarriesIsFetchedWithoutTheToken(t *testing.T) {
	t.Parallel()
	private := errors.New("a private address")
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || strings.Contains(r.URL.String(), pageToken) {
			t.Errorf("a stranger got the token: %v", r)
		}
		switch r.URL.Path {
		case "/a/price%20list.pdf", "/a/price list.pdf":
			w.Header().Set("Content-Type", "application/pdf; charset=x")
			_, _ = io.WriteString(w, "bytes")
		case "/named":
			w.Header().Set("Content-Disposition", `attachment; filename="bill.pdf"`)
		case "/moved":
			http.Redirect(w, r, "/named", http.StatusFound)
		case "/ended":
			w.WriteHeader(http.StatusForbidden)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/large":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(media.Close)
	c := New(Config{Media: &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/named" {
			return private
		}
		return nil
	}}}, "101", pageToken)

	d, err := c.Fetch(t.Context(), media.URL+"/a/price%20list.pdf?oh=planted")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(d.Body)
	d.Body.Close()
	if err != nil || string(b) != "bytes" || d.Size != 5 || d.MimeType != "application/pdf" || d.Name != "price list.pdf" {
		t.Errorf("got %q, %+v, %v", b, d, err)
	}
	d, err = c.Fetch(t.Context(), media.URL+"/named")
	if err != nil || d.Name != "bill.pdf" {
		t.Fatalf("%+v, %v", d, err)
	}
	d.Body.Close()

	for ref, want := range map[string]platform.RefusalKind{
		media.URL + "/ended?oh=planted": platform.Rejected,
		media.URL + "/gone?oh=planted":  platform.Rejected,
		media.URL + "/busy?oh=planted":  platform.Unavailable,
		media.URL + "/large?oh=planted": platform.TooLarge,
		media.URL + "/moved?oh=planted": platform.Unreachable,
		"http://127.0.0.1:1/?planted":   platform.Unreachable,
		"file:///etc/passwd":            platform.Rejected,
		"":                              platform.Rejected,
		"http://bad host/":              platform.Rejected,
	} {
		_, err := c.Fetch(t.Context(), ref)
		if r := platform.Refused(err); r == nil || r.Kind != want {
			t.Errorf("%s: %v", ref, err)
		}
		if strings.Contains(ref, "/moved") && !errors.Is(err, private) {
			t.Errorf("%v does not tell why", err)
		}
		keepsSecrets(t, media.URL, err)
	}
	if _, err := New(Config{}, "101", pageToken).Fetch(t.Context(), media.URL+"/named"); platform.Refused(err) == nil {
		t.Error("something unguarded fetched it")
	}
}

func TestTheInboxIsFound(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(InboxURL("101"))
	if err != nil || u.Scheme != "https" || u.Query().Get("asset_id") != "101" {
		t.Errorf("%v, %v", u, err)
	}
}

func TestAFileIsSentAsWhatMessengerShows(t *testing.T) {
	t.Parallel()
	limits := Limits()
	for mimeType, want := range map[string]platform.AttachmentKind{
		"image/png": platform.Image, "IMAGE/JPEG": platform.Image, "image/svg+xml": platform.File, "image/webp": platform.File,
		"video/mp4; codecs=x": platform.Video, "audio/mpeg": platform.Audio, "audio/ogg": platform.File,
		"application/pdf": platform.File, "": platform.File,
	} {
		if got := limits.As(mimeType); got != want {
			t.Errorf("%s is sent as %s, want %s", mimeType, got, want)
		}
		if limits.Files[limits.As(mimeType)] == 0 {
			t.Errorf("%s is refused", mimeType)
		}
	}
}
