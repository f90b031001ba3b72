package messenger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/internal/platform"
)

const (
	pageToken = "EAAGplantedPageTokenThatNobodyMaySee"
	appSecret = "planted-app-secret-0123456789"
)

// request is a call as the Graph API got it.
type request struct {
	call   string // GET /v25.0/101
	query  url.Values
	token  string
	header http.Header
	body   []byte
	size   int64
}

// json is the body as plain data.
func (r request) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("the call is no JSON: %v", err)
	}
	return v
}

func (r request) form(t *testing.T) url.Values {
	t.Helper()
	v, err := url.ParseQuery(string(r.body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// answer is what the Graph API says to one call.
type answer struct {
	status int // zero: 200
	body   string
	header map[string]string
}

// facebook gives the answers one after the other, the last one for ever.
type facebook struct {
	url     string
	mu      sync.Mutex
	calls   []request
	answers []answer
}

func startFacebook(t *testing.T, answers ...answer) *facebook {
	t.Helper()
	f := &facebook{answers: answers}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // whoever sent it broke off
		}
		f.mu.Lock()
		f.calls = append(f.calls, request{
			call: r.Method + " " + r.URL.EscapedPath(), query: r.URL.Query(), header: r.Header, body: body, size: r.ContentLength,
			token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "),
		})
		a := f.answers[min(len(f.calls), len(f.answers))-1]
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		for key, value := range a.header {
			w.Header().Set(key, value)
		}
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func says(body string) answer { return answer{body: body} }

func refuses(code, subcode int) answer {
	return answer{400, fmt.Sprintf(`{"error":{"message":"said %d","type":"OAuthException","code":%d,"error_subcode":%d,"fbtrace_id":"Axx"}}`, code, code, subcode), nil}
}

func (f *facebook) asked() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// last is the newest call there was.
func (f *facebook) last(t *testing.T) request {
	t.Helper()
	calls := f.asked()
	if len(calls) == 0 {
		t.Fatal("nothing was asked")
	}
	return calls[len(calls)-1]
}

func (f *facebook) client() *Client {
	return New(Config{GraphURL: f.url + "/", Version: "v25.0", AppSecret: appSecret, Media: http.DefaultClient, Locale: true}, "101", pageToken)
}

func TestATextGoesOutAsItWasTyped(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"recipient_id":"7001","message_id":"m_X"}`))
	sent, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", Text: "Hi <b>Lan</b> 😀", ReplyTo: "m_A", Metadata: "msg_1"})
	if err != nil || sent.ID != "m_X" || sent.At.IsZero() {
		t.Fatalf("%+v, %v", sent, err)
	}
	r := fb.last(t)
	want := map[string]any{
		"recipient": map[string]any{"id": "7001"}, "messaging_type": "RESPONSE",
		"message": map[string]any{"text": "Hi <b>Lan</b> 😀", "metadata": "msg_1"}, "reply_to": map[string]any{"mid": "m_A"},
	}
	if r.call != "POST /v25.0/101/messages" || !reflect.DeepEqual(r.json(t), want) {
		t.Errorf("asked %s %s", r.call, r.body)
	}
	proof := strings.TrimPrefix(Sign(appSecret, []byte(pageToken)), "sha256=")
	if r.token != pageToken || r.query.Get("appsecret_proof") != proof || len(r.query) != 1 {
		t.Errorf("it was asked with %q and %v", r.token, r.query)
	}

	if _, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "user_ref:u-1", Text: "late", HumanAgent: true}); err != nil {
		t.Fatal(err)
	}
	want = map[string]any{
		"recipient": map[string]any{"user_ref": "u-1"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT",
		"message": map[string]any{"text": "late"},
	}
	if got := fb.last(t).json(t); !reflect.DeepEqual(got, want) {
		t.Errorf("asked %v", got)
	}
}

func TestAMessageIsSentThoughWhatItAnswersIsGone(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, refuses(100, 0), says(`{"recipient_id":"7001","message_id":"m_X"}`))
	sent, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", Text: "Hi", ReplyTo: "m_gone"})
	if err != nil || sent.ID != "m_X" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if calls := fb.asked(); len(calls) != 2 || calls[1].json(t)["reply_to"] != nil {
		t.Errorf("asked %v", calls)
	}
	for name, refusal := range map[string]answer{
		"no such person": refuses(100, 2018001), "window": refuses(10, 2018278), "trouble": {status: 502},
	} {
		fb := startFacebook(t, refusal)
		_, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", Text: "Hi", ReplyTo: "m_A"})
		if err == nil || len(fb.asked()) != 1 {
			t.Errorf("%s: asked %d times, %v", name, len(fb.asked()), err)
		}
	}
}

func TestAFileGoesOutByUpload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind       platform.AttachmentKind
		mime, want string
	}{
		"image":              {platform.Image, "image/png", "image"},
		"video":              {platform.Video, "video/mp4", "video"},
		"audio":              {platform.Audio, "audio/mpeg", "audio"},
		"voice":              {platform.Voice, "audio/mp4", "audio"},
		"file":               {platform.File, "image/png", "file"},
		"kind against type":  {platform.Image, "application/pdf", "file"},
		"without reply, tag": {platform.File, "application/pdf", "file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fb := startFacebook(t, says(`{"recipient_id":"7001","message_id":"m_Y","attachment_id":"987"}`))
			data := bytes.Repeat([]byte("0123456789"), 50_000)
			opened := 0
			m := platform.Outgoing{
				Chat: "7001", Metadata: "msg_1/1",
				File: &platform.OutgoingFile{
					Kind: c.kind, Name: "bảng \"giá\"\r\n.bin", MimeType: c.mime, Size: int64(len(data)),
					Open: func() (io.ReadCloser, error) { opened++; return io.NopCloser(bytes.NewReader(data)), nil },
				},
			}
			if name != "without reply, tag" {
				m.ReplyTo, m.HumanAgent = "m_A", true
			}
			sent, err := fb.client().Send(t.Context(), m)
			if err != nil || sent.ID != "m_Y" || opened != 1 {
				t.Fatalf("%+v, %v, opened %d times", sent, err, opened)
			}
			r := fb.last(t)
			if r.size != int64(len(r.body)) {
				t.Errorf("the size was not announced: %d of %d", r.size, len(r.body))
			}
			_, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			form, err := multipart.NewReader(bytes.NewReader(r.body), params["boundary"]).ReadForm(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{
				"recipient": {`{"id":"7001"}`}, "messaging_type": {"RESPONSE"},
				"message": {`{"metadata":"msg_1/1","attachment":{"type":"` + c.want + `","payload":{}}}`},
			}
			if m.HumanAgent {
				want["messaging_type"], want["tag"], want["reply_to"] = []string{"MESSAGE_TAG"}, []string{"HUMAN_AGENT"}, []string{`{"mid":"m_A"}`}
			}
			if !reflect.DeepEqual(form.Value, want) {
				t.Errorf("asked %v, want %v", form.Value, want)
			}
			file := form.File["filedata"][0]
			f, _ := file.Open()
			got, _ := io.ReadAll(f)
			if !bytes.Equal(got, data) || file.Header.Get("Content-Type") != c.mime || !strings.Contains(file.Filename, "giá") {
				t.Errorf("the file arrived as %d bytes of %s, %q", len(got), file.Header.Get("Content-Type"), file.Filename)
			}
		})
	}
}

func TestAFileThatCannotBeReadDidNotGoOut(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() (io.ReadCloser, error){
		"gone":  func() (io.ReadCloser, error) { return nil, errors.New("planted") },
		"short": func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("less")), nil },
		"breaks off": func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("less"), errReader{})), nil
		},
	} {
		fb := startFacebook(t, says(`{"message_id":"m_Y"}`))
		_, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", File: &platform.OutgoingFile{
			Kind: platform.File, Name: "a", MimeType: "application/pdf", Size: 1000, Open: open,
		}})
		if r := platform.Refused(err); r == nil || r.Kind != platform.FileRejected || r.Sent {
			t.Errorf("%s: %+v", name, r)
		}
		keepsSecrets(t, fb.url, err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("planted") }

func TestEveryRefusalIsOfTheRightKind(t *testing.T) {
	t.Parallel()
	kind := func(k platform.RefusalKind) platform.Refusal { return platform.Refusal{Kind: k} }
	throttled := func(s platform.RefusalScope) platform.Refusal {
		return platform.Refusal{Kind: platform.RetryAfter, Scope: s, Wait: time.Minute}
	}
	for _, c := range []struct {
		code, subcode int
		want          platform.Refusal
	}{
		{1, 0, kind(platform.Unavailable)},
		{1, 99, kind(platform.Rejected)},
		{1, 1357046, kind(platform.Rejected)},
		{2, 0, kind(platform.Unavailable)},
		{2, 2018344, kind(platform.Restricted)},
		{3, 0, kind(platform.PermissionMissing)},
		{4, 0, throttled(platform.ScopeApp)},
		{4, 2018354, throttled(platform.ScopeChat)},
		{10, 0, kind(platform.PermissionMissing)},
		{10, 2018278, kind(platform.WindowClosed)},
		{10, 2534022, kind(platform.WindowClosed)},
		{10, 2018065, kind(platform.WindowClosed)},
		{10, 2018108, kind(platform.Blocked)},
		{10, 2018336, kind(platform.Rejected)},
		{10, 1893063, kind(platform.Restricted)},
		{10, 2534122, kind(platform.Restricted)},
		{10, 2534029, kind(platform.Restricted)},
		{10, 1893015, kind(platform.Blocked)},
		{10, 2534077, kind(platform.PermissionMissing)},
		{10, 2018300, kind(platform.ThreadTaken)},
		{17, 0, throttled(platform.ScopeAccount)},
		{32, 0, throttled(platform.ScopeAccount)},
		{100, 0, kind(platform.Rejected)},
		{100, 33, kind(platform.Rejected)},
		{100, 2018001, kind(platform.Blocked)},
		{100, 2018008, kind(platform.FileRejected)},
		{100, 2018014, kind(platform.Rejected)},
		{100, 2018047, kind(platform.FileRejected)},
		{100, 2018074, kind(platform.Rejected)},
		{100, 2018109, kind(platform.TooLarge)},
		{100, 2018164, kind(platform.Rejected)},
		{100, 2018294, kind(platform.Unavailable)},
		{100, 2534029, kind(platform.Rejected)},
		{100, 2534037, kind(platform.ThreadTaken)},
		{100, 463, kind(platform.Rejected)},
		{102, 0, kind(platform.Unauthorized)},
		{104, 0, kind(platform.Unauthorized)},
		{2500, 0, kind(platform.Unauthorized)},
		{190, 0, kind(platform.Unauthorized)},
		{190, 458, kind(platform.Unauthorized)},
		{190, 460, kind(platform.Unauthorized)},
		{190, 463, platform.Refusal{Kind: platform.Unauthorized, Expired: true}},
		{190, 492, platform.Refusal{Kind: platform.Unauthorized, RoleLost: true}},
		{200, 0, kind(platform.PermissionMissing)},
		{200, 1545041, kind(platform.Blocked)},
		{200, 2018021, kind(platform.NotLive)},
		{200, 2018028, kind(platform.NotLive)},
		{230, 0, kind(platform.PermissionMissing)},
		{341, 0, throttled(platform.ScopeApp)},
		{368, 0, kind(platform.Restricted)},
		{506, 0, kind(platform.Rejected)},
		{551, 0, kind(platform.Blocked)},
		{551, 1545041, kind(platform.Blocked)},
		{613, 0, throttled(platform.ScopeUnknown)},
		{613, 2018338, kind(platform.Restricted)},
		{1200, 0, kind(platform.Unavailable)},
		{2018321, 0, kind(platform.ThreadTaken)},
		{2018300, 0, kind(platform.ThreadTaken)},
		{2018218, 0, kind(platform.PermissionMissing)},
		{9000001, 0, kind(platform.Rejected)},
		{80001, 0, throttled(platform.ScopeAccount)},
		{80006, 0, throttled(platform.ScopeAccount)},
		{987654, 0, kind(platform.Rejected)},
	} {
		t.Run(fmt.Sprintf("%d/%d", c.code, c.subcode), func(t *testing.T) {
			t.Parallel()
			fb := startFacebook(t, refuses(c.code, c.subcode))
			_, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", Text: "Hi"})
			c.want.Method, c.want.Sent = "messages", true
			c.want.Code = strings.TrimSuffix(fmt.Sprintf("%d/%d", c.code, c.subcode), "/0")
			c.want.Message = fmt.Sprintf("said %d (fbtrace_id Axx)", c.code)
			if got := platform.Refused(err); got == nil || *got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			keepsSecrets(t, fb.url, err)
		})
	}
}

func TestWhatIsNoAnswerOfFacebooksIsTroubleOfItsOwn(t *testing.T) {
	t.Parallel()
	const gateway = "an answer that is not the Graph API's, perhaps of a gateway"
	for name, c := range map[string]struct {
		answer answer
		want   platform.Refusal
	}{
		"a page":             {answer{502, "<html>planted</html>", nil}, platform.Refusal{Kind: platform.Unavailable, Code: "502", Message: gateway}},
		"too large":          {answer{413, "<html>planted</html>", nil}, platform.Refusal{Kind: platform.TooLarge, Code: "413", Message: "too large, says a gateway"}},
		"a page with 401":    {answer{401, "<html>who are you</html>", nil}, platform.Refusal{Kind: platform.Unavailable, Code: "401", Message: gateway}},
		"nothing":            {answer{200, "", nil}, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: gateway}},
		"null":               {answer{200, "null", nil}, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: gateway}},
		"an odd error":       {answer{400, `{"error":"invalid"}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "400", Message: gateway}},
		"no error":           {answer{500, `{}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "500", Message: gateway}},
		"an error with 200":  {answer{200, `{"error":{"message":"no","code":190}}`, nil}, platform.Refusal{Kind: platform.Unauthorized, Code: "190", Message: "no"}},
		"no code":            {answer{403, `{"error":{"message":"no"}}`, nil}, platform.Refusal{Kind: platform.Rejected, Code: "403", Message: "no"}},
		"no code, 500":       {answer{500, `{"error":{"message":"no"}}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "500", Message: "no"}},
		"transient":          {answer{400, `{"error":{"message":"no","code":4242,"is_transient":true}}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "4242", Message: "no"}},
		"code as text":       {answer{400, `{"error":{"message":"no","code":"190","error_subcode":"463"}}`, nil}, platform.Refusal{Kind: platform.Unauthorized, Code: "190/463", Message: "no", Expired: true}},
		"words for a person": {answer{400, `{"error":{"message":"no","code":368,"error_user_msg":"Wait a while."}}`, nil}, platform.Refusal{Kind: platform.Restricted, Code: "368", Message: "no Wait a while."}},
		"gateway throttles":  {answer{429, "<html></html>", map[string]string{"Retry-After": "11"}}, platform.Refusal{Kind: platform.RetryAfter, Code: "429", Message: "too many requests, says a gateway", Wait: 11 * time.Second}},
		"wait in minutes": {answer{400, `{"error":{"message":"no","code":80006}}`, map[string]string{"X-Business-Use-Case-Usage": `{"101":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":7}]}`}},
			platform.Refusal{Kind: platform.RetryAfter, Scope: platform.ScopeAccount, Code: "80006", Message: "no", Wait: 7 * time.Minute}},
		"wait for ever": {answer{400, `{"error":{"message":"no","code":4}}`, map[string]string{"Retry-After": "4000000000"}}, platform.Refusal{Kind: platform.RetryAfter, Scope: platform.ScopeApp, Code: "4", Message: "no", Wait: 24 * time.Hour}},
		"too long":      {answer{200, `{"id":"` + strings.Repeat("x", maxAnswer) + `"}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "the answer is longer than any of the Graph API"}},
		"not done":      {answer{200, `{"success":"false"}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "it was not done, and no reason is given"}},
		"other shape":   {answer{200, `{"data":5}`, nil}, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "the answer has not the shape the Graph API gives it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fb := startFacebook(t, c.answer)
			_, err := fb.client().Subscribed(t.Context())
			c.want.Method, c.want.Sent = "subscribed_apps", true
			if got := platform.Refused(err); got == nil || *got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			keepsSecrets(t, fb.url, err)
		})
	}
	for _, body := range []string{"{}", `{"recipient_id":"7001"}`, "<html>"} {
		fb := startFacebook(t, says(body))
		_, err := fb.client().Send(t.Context(), platform.Outgoing{Chat: "7001", Text: "Hi"})
		if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || !r.Sent {
			t.Errorf("a send that got %s is %+v: it may have gone out", body, r)
		}
	}
}

// keepsSecrets looks for what nobody may see in everything an error says.
func keepsSecrets(t *testing.T, address string, err error) {
	t.Helper()
	var look func(error)
	look = func(e error) {
		if e == nil {
			return
		}
		for _, said := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for _, secret := range []string{"planted", pageToken, appSecret, Sign(appSecret, []byte(pageToken))[7:], address + "/v25.0"} {
				if strings.Contains(strings.ToLower(said), strings.ToLower(secret)) {
					t.Errorf("%q gives away %q", said, secret)
				}
			}
		}
		switch e := e.(type) {
		case interface{ Unwrap() error }:
			look(e.Unwrap())
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				look(inner)
			}
		}
	}
	look(err)
}

func TestWhatFacebookEchoesIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, echo := range []string{
		pageToken, strings.ToUpper(pageToken), appSecret, "555|" + appSecret, url.QueryEscape("555|" + appSecret),
		Sign(appSecret, []byte(pageToken))[7:], "EAAGanotherTokenplanted",
		"https://graph.example/v25.0/me?access_token=plantedsomething&x=1",
		strings.Repeat("long ", 95) + pageToken + pageToken,
	} {
		body, _ := json.Marshal(map[string]any{"error": map[string]any{"code": 190, "message": "Malformed token " + echo + " here"}})
		fb := startFacebook(t, answer{400, string(body), nil})
		err := fb.client().Subscribe(t.Context(), Fields())
		if err == nil || !strings.Contains(err.Error(), "Malformed token") {
			t.Fatalf("%v lost the platform's words", err)
		}
		keepsSecrets(t, fb.url, err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		c := New(Config{AppSecret: appSecret}, "101", pageToken)
		if s := fmt.Sprintf(format, c); s != "facebook page 101" {
			t.Errorf("a client prints as %s", s)
		}
		a := NewApp(AppConfig{ID: "555", Secret: appSecret})
		if s := fmt.Sprintf(format, a); s != "facebook app 555" {
			t.Errorf("an app prints as %s", s)
		}
		for _, v := range []any{Page{Token: pageToken}, &Page{Token: pageToken}, Grant{Token: pageToken}, []Page{{Token: pageToken}}} {
			if s := fmt.Sprintf(format, v); strings.Contains(s, "planted") {
				t.Errorf("%T prints as %s", v, s)
			}
		}
	}
	if b, _ := json.Marshal(Page{Token: pageToken}); strings.Contains(string(b), "planted") {
		t.Errorf("a page is written as %s", b)
	}
}

func TestARedirectDoesNotCarryTheTokenElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := startFacebook(t, says("{}"))
	for _, status := range []int{301, 302, 307, 308} {
		fb := startFacebook(t, answer{status, "", map[string]string{"Location": elsewhere.url}})
		_, err := fb.client().Subscribed(t.Context())
		if r := platform.Refused(err); r == nil || r.Kind != platform.Unavailable {
			t.Errorf("%d became %v", status, err)
		}
	}
	if calls := elsewhere.asked(); len(calls) > 0 {
		t.Errorf("the call arrived elsewhere: %v", calls)
	}
}

func TestNoAnswerTellsWhetherTheCallMayHaveArrived(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // until the caller has had enough
	}))
	t.Cleanup(hanging.Close)
	hangingUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(hangingUp.Close)
	halfway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"message_id":`)
	}))
	t.Cleanup(halfway.Close)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain of our distrust
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)

	for name, c := range map[string]struct {
		address string
		sent    bool
		message string
	}{
		"refused":    {gone.URL, false, "connection refused"},
		"hanging up": {hangingUp.URL, true, "the connection was closed before the answer"},
		"halfway":    {halfway.URL, true, "the connection was closed before the answer"},
		"hanging":    {hanging.URL, true, "no answer in time"},
		"untrusted":  {untrusted.URL, false, "the host's certificate is not valid"},
		"no address": {"http://bad host", false, "the address of the Graph API is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if name == "hanging" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err := New(Config{GraphURL: c.address, AppSecret: appSecret}, "101", pageToken).Send(ctx, platform.Outgoing{Chat: "7001", Text: "Hi"})
			r := platform.Refused(err)
			if r == nil || r.Kind != platform.Unreachable || r.Sent != c.sent || r.Message != c.message {
				t.Fatalf("got %+v from %v, want Sent %v, %q", r, err, c.sent, c.message)
			}
			if (name == "hanging") != errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v tells the wrong thing of the caller's deadline", err)
			}
			keepsSecrets(t, c.address, err)
		})
	}
}

func TestAnIDDoesNotLeadToAnotherCall(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"id":"1"}`))
	for _, id := range []string{"", ".", "..", strings.Repeat("1", maxIdent+1)} {
		_, err := fb.client().Describe(t.Context(), id)
		if err == nil && len(fb.asked()) > 0 {
			t.Errorf("%.20q was asked for: %v", id, fb.last(t))
		}
	}
	if _, err := fb.client().Describe(t.Context(), "../me?x=1#y"); err != nil {
		t.Fatal(err)
	}
	if got := fb.asked()[0].call; got != "GET /v25.0/..%2Fme%3Fx=1%23y" {
		t.Errorf("asked %s", got)
	}
}

// turned is a clock that a test turns.
type turned struct {
	causeway.System
	now time.Time
}

func (c *turned) Now() time.Time { return c.now }

func TestCallsSlowDownBeforeFacebookRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header map[string]string
		slow   time.Duration
		after  map[time.Duration]time.Duration
	}{
		"nothing said": {nil, 0, nil},
		"little":       {map[string]string{"X-App-Usage": `{"call_count":28,"total_time":80,"total_cputime":12}`}, 0, nil},
		"much":         {map[string]string{"X-App-Usage": `{"call_count":28,"total_time":90,"total_cputime":12}`}, 2500 * time.Millisecond, map[time.Duration]time.Duration{9 * time.Minute: 2500 * time.Millisecond, 11 * time.Minute: 0}},
		"of the page":  {map[string]string{"X-Page-Usage": `{"call_count":84}`}, time.Second, nil},
		"all":          {map[string]string{"X-App-Usage": `{"call_count":100}`}, time.Minute, map[time.Duration]time.Duration{40 * time.Second: 20 * time.Second, 2 * time.Minute: 0}},
		"all, with time": {map[string]string{"X-Business-Use-Case-Usage": `{"101":[{"type":"pages","call_count":5},{"type":"messenger","call_count":104,"estimated_time_to_regain_access":7}]}`},
			7 * time.Minute, map[time.Duration]time.Duration{5 * time.Minute: 2 * time.Minute, 8 * time.Minute: 0}},
		"nonsense": {map[string]string{"X-App-Usage": `much`, "X-Page-Usage": `[]`, "X-Business-Use-Case-Usage": `{"101":5}`}, 0, nil},
		"absurd":   {map[string]string{"X-Business-Use-Case-Usage": `{"101":[{"call_count":1e300,"estimated_time_to_regain_access":1e300}]}`}, 24 * time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fb := startFacebook(t, answer{200, `{"data":[]}`, c.header})
			clock := &turned{now: time.Unix(1790000000, 0)}
			client := New(Config{GraphURL: fb.url, Clock: clock}, "101", pageToken)
			if client.Slow() != 0 {
				t.Error("slow before anything was said")
			}
			if _, err := client.Subscribed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := client.Slow(); got != c.slow {
				t.Errorf("slow by %v, want %v; usage %+v", got, c.slow, client.Usage())
			}
			for later, want := range c.after {
				clock.now = time.Unix(1790000000, 0).Add(later)
				if got := client.Slow(); got != want {
					t.Errorf("%v later slow by %v, want %v", later, got, want)
				}
			}
		})
	}
}

func TestTheCustomerSeesThatSomebodyTypesAndReads(t *testing.T) {
	t.Parallel()
	fb := startFacebook(t, says(`{"recipient_id":"7001"}`))
	c := fb.client()
	for action, do := range map[string]func() error{
		"typing_on":  func() error { return c.ShowTyping(t.Context(), "7001", true) },
		"typing_off": func() error { return c.ShowTyping(t.Context(), "7001", false) },
		"mark_seen":  func() error { return c.MarkSeen(t.Context(), "7001") },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
		want := map[string]any{"recipient": map[string]any{"id": "7001"}, "sender_action": action}
		if got := fb.last(t).json(t); !reflect.DeepEqual(got, want) {
			t.Errorf("asked %v", got)
		}
	}
	if err := c.AnswerTap(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}
