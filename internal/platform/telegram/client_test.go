package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform"
)

const (
	botToken   = "123456789:AAF-planted_token_that-nobody_may_see"
	hookSecret = "planted-hook-secret_1"
)

// request is a call as the Bot API got it.
type request struct {
	path   string
	params map[string]any
}

// botAPI gives every call the same answer, and hands over the calls it got.
func botAPI(t *testing.T, status int, answer string) (*Client, func() request) {
	t.Helper()
	calls := make(chan request, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := request{path: r.Method + " " + r.URL.Path}
		if err := json.NewDecoder(r.Body).Decode(&got.params); err != nil {
			t.Errorf("the call is no JSON: %v", err)
		}
		calls <- got
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	return New(srv.URL+"/", botToken, srv.Client()), func() request { return <-calls }
}

func TestTheBotIsReadWhenItIsConnected(t *testing.T) {
	t.Parallel()
	c, asked := botAPI(t, 200, `{"ok":true,"result":{"id":123456789,"is_bot":true,"first_name":"Shop Bot","username":"shop_bot","can_join_groups":true,"can_read_all_group_messages":false,"new_field":{}}}`)
	got, err := c.GetMe(t.Context())
	want := platform.Profile{ID: "123456789", Name: "Shop Bot", Username: "shop_bot", CanJoinGroups: true, PrivacyMode: true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if r := asked(); r.path != "POST /bot"+botToken+"/getMe" {
		t.Errorf("asked %s", r.path)
	}

	c, _ = botAPI(t, 200, `{"ok":true,"result":[{"command":"start","description":"Begin"}]}`)
	commands, err := c.GetMyCommands(t.Context())
	if err != nil || !reflect.DeepEqual(commands, []platform.Command{{Command: "start", Description: "Begin"}}) {
		t.Errorf("commands %v, %v", commands, err)
	}

	c, asked = botAPI(t, 200, `{"ok":true,"result":{"total_count":2,"photos":[[{"file_id":"small","width":160,"height":160},{"file_id":"big","width":640,"height":640}]]}}`)
	photo, err := c.GetUserProfilePhotos(t.Context(), "123456789")
	if err != nil || photo != "big" {
		t.Errorf("photo %q, %v", photo, err)
	}
	if r := asked(); r.params["user_id"] != 123456789.0 || r.params["limit"] != 1.0 {
		t.Errorf("asked %v", r.params)
	}

	c, _ = botAPI(t, 200, `{"ok":true,"result":{"total_count":0,"photos":[]}}`)
	if photo, err := c.GetUserProfilePhotos(t.Context(), "123456789"); err != nil || photo != "" {
		t.Errorf("photo %q, %v of a bot that has none", photo, err)
	}
}

func TestAWebhookIsRegisteredReadBackAndTakenAway(t *testing.T) {
	t.Parallel()
	c, asked := botAPI(t, 200, `{"ok":true,"result":true,"description":"Webhook was set"}`)
	err := c.SetWebhook(t.Context(), SetWebhook{
		URL: "https://hook.example/tg/abc", Secret: hookSecret, AllowedUpdates: AllowedUpdates(), MaxConnections: 40, DropPending: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := asked()
	if r.params["url"] != "https://hook.example/tg/abc" || r.params["secret_token"] != hookSecret ||
		r.params["max_connections"] != 40.0 || r.params["drop_pending_updates"] != true {
		t.Errorf("asked %v", r.params)
	}
	if kinds, _ := r.params["allowed_updates"].([]any); len(kinds) != 7 {
		t.Errorf("asked for the updates %v", r.params["allowed_updates"])
	}
	if platform.Refused(c.SetWebhook(t.Context(), SetWebhook{})) == nil {
		t.Error("an empty address, which Telegram takes for none, was passed on")
	}

	c, _ = botAPI(t, 200, `{"ok":true,"result":{"url":"https://hook.example/tg/abc","pending_update_count":3,"last_error_date":1790000000,"last_error_message":"Wrong response from the webhook: 500","max_connections":40,"allowed_updates":["message"]}}`)
	info, err := c.GetWebhookInfo(t.Context())
	want := WebhookInfo{
		URL: "https://hook.example/tg/abc", Pending: 3, LastErrorAt: time.Unix(1790000000, 0).UTC(),
		LastError: "Wrong response from the webhook: 500", MaxConnections: 40, AllowedUpdates: []string{"message"},
	}
	if err != nil || !reflect.DeepEqual(info, want) {
		t.Errorf("got %+v, %v, want %+v", info, err, want)
	}

	c, asked = botAPI(t, 200, `{"ok":true,"result":true}`)
	if err := c.DeleteWebhook(t.Context(), false); err != nil {
		t.Error(err)
	}
	if r := asked(); r.params["drop_pending_updates"] != false {
		t.Errorf("asked %v", r.params)
	}
}

func TestFetchedUpdatesAreKeptByteForByte(t *testing.T) {
	t.Parallel()
	first, second := `{ "update_id":7 , "message":{"text":"a\u0041", "x":1e2}}`, `{"new_kind":{},"update_id":"9"}`
	c, asked := botAPI(t, 200, `{"ok":true,"result":[`+first+`, `+second+`]}`)
	got, err := c.GetUpdates(t.Context(), 7, 100, 25*time.Second)
	want := []Update{{ID: 7, Raw: json.RawMessage(first)}, {ID: 9, Raw: json.RawMessage(second)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	r := asked()
	if r.params["offset"] != 7.0 || r.params["limit"] != 100.0 || r.params["timeout"] != 25.0 || r.params["allowed_updates"] == nil {
		t.Errorf("asked %v", r.params)
	}
	for _, strange := range []string{`{"ok":true,"result":[{"message":{}}]}`, `{"ok":true,"result":[5]}`, `{"ok":true,"result":5}`} {
		c, _ = botAPI(t, 200, strange)
		if _, err := c.GetUpdates(t.Context(), 0, 1, 0); platform.Refused(err) == nil {
			t.Errorf("%s was taken: %v", strange, err)
		}
	}
}

func TestATapThatIsTooOldNeedsNoAnswer(t *testing.T) {
	t.Parallel()
	c, asked := botAPI(t, 400, `{"ok":false,"error_code":400,"description":"Bad Request: query is too old and response timeout expired or query ID is invalid"}`)
	if err := c.AnswerTap(t.Context(), "4382"); err != nil {
		t.Error(err)
	}
	if r := asked(); !strings.HasSuffix(r.path, "/answerCallbackQuery") || r.params["callback_query_id"] != "4382" {
		t.Errorf("asked %v", r)
	}
	c, _ = botAPI(t, 400, `{"ok":false,"error_code":400,"description":"Bad Request: something else"}`)
	if err := c.AnswerTap(t.Context(), "4382"); platform.Refused(err) == nil {
		t.Errorf("another refusal was swallowed: %v", err)
	}
}

func TestEveryRefusalIsOfTheRightKind(t *testing.T) {
	t.Parallel()
	said := func(code int, description string) string {
		return fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q}`, code, description)
	}
	for _, c := range []struct {
		status int
		answer string
		want   platform.Refusal
	}{
		{401, said(401, "Unauthorized"), platform.Refusal{Kind: platform.Unauthorized, Code: "401", Message: "Unauthorized"}},
		{404, said(404, "Not Found"), platform.Refusal{Kind: platform.Unauthorized, Code: "404", Message: "Not Found"}},
		{404, said(404, "Not Found: method not found"), platform.Refusal{Kind: platform.Rejected, Code: "404", Message: "Not Found: method not found"}},
		{421, said(421, "Misdirected Request: unallowed token specified"), platform.Refusal{Kind: platform.Unauthorized, Code: "421", Message: "Misdirected Request: unallowed token specified"}},
		{403, said(403, "Forbidden: bot was blocked by the user"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: bot was blocked by the user"}},
		{403, said(403, "Forbidden: user is deactivated"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: user is deactivated"}},
		{403, said(403, "Forbidden: bot can't initiate conversation with a user"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: bot can't initiate conversation with a user"}},
		{403, said(403, "Forbidden: bot was kicked from the supergroup chat"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: bot was kicked from the supergroup chat"}},
		{403, said(403, "Forbidden: bot is not a member of the channel chat"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: bot is not a member of the channel chat"}},
		{403, said(403, "Forbidden: the group chat was deleted"), platform.Refusal{Kind: platform.Blocked, Code: "403", Message: "Forbidden: the group chat was deleted"}},
		{403, said(403, "Forbidden: not enough rights"), platform.Refusal{Kind: platform.Rejected, Code: "403", Message: "Forbidden: not enough rights"}},
		{409, said(409, "Conflict: terminated by other getUpdates request"), platform.Refusal{Kind: platform.NotOurs, Code: "409", Message: "Conflict: terminated by other getUpdates request"}},
		{429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}`, platform.Refusal{Kind: platform.RetryAfter, Code: "429", Message: "Too Many Requests: retry after 7", Wait: 7 * time.Second}},
		{429, said(429, "Too Many Requests"), platform.Refusal{Kind: platform.RetryAfter, Code: "429", Message: "Too Many Requests", Wait: 11 * time.Second}},
		{429, `<html>slow down</html>`, platform.Refusal{Kind: platform.RetryAfter, Code: "429", Message: "too many requests, says a gateway", Wait: 11 * time.Second}},
		{429, `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":1e300}}`, platform.Refusal{Kind: platform.RetryAfter, Code: "429", Message: "x", Wait: 24 * time.Hour}},
		{400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001234}}`, platform.Refusal{Kind: platform.Rejected, Code: "400", Message: "Bad Request: group chat was upgraded to a supergroup chat", MovedTo: "-1001234"}},
		{400, said(400, "Bad Request: chat not found"), platform.Refusal{Kind: platform.Rejected, Code: "400", Message: "Bad Request: chat not found"}},
		{500, said(500, "Internal Server Error: restart"), platform.Refusal{Kind: platform.Unavailable, Code: "500", Message: "Internal Server Error: restart"}},
		{502, "<html>Bad Gateway</html>", platform.Refusal{Kind: platform.Unavailable, Code: "502", Message: "an answer that is not the Bot API's, perhaps of a gateway"}},
		{401, "<html>who are you</html>", platform.Refusal{Kind: platform.Unavailable, Code: "401", Message: "an answer that is not the Bot API's, perhaps of a gateway"}},
		{200, "", platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "an answer that is not the Bot API's, perhaps of a gateway"}},
		{200, "null", platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "an answer that is not the Bot API's, perhaps of a gateway"}},
		{200, "{}", platform.Refusal{Kind: platform.Unavailable, Code: "200"}},
		{200, `{"ok":true}`, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "the result has not the shape the Bot API gives it"}},
		{200, `{"ok":true,"result":"shop"}`, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "the result has not the shape the Bot API gives it"}},
		{200, `{"ok":true,"result":{}}`, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "a bot without an id"}},
		{200, `{"ok":true,"result":"` + strings.Repeat("x", maxAnswer) + `"}`, platform.Refusal{Kind: platform.Unavailable, Code: "200", Message: "the answer is longer than any of the Bot API"}},
	} {
		t.Run(fmt.Sprintf("%d %.60s", c.status, c.answer), func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.status == 429 {
					w.Header().Set("Retry-After", "11")
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.answer)
			}))
			t.Cleanup(srv.Close)
			_, err := New(srv.URL, botToken, srv.Client()).GetMe(t.Context())
			c.want.Method, c.want.Sent = "getMe", true
			if got := platform.Refused(err); got == nil || *got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			keepsSecrets(t, srv.URL, err)
		})
	}
}

// keepsSecrets looks for what nobody may see in everything an error says.
func keepsSecrets(t *testing.T, address string, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, said := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for _, secret := range []string{botToken, botToken[10:], url.QueryEscape(botToken), "planted", address + "/bot"} {
				if strings.Contains(strings.ToLower(said), strings.ToLower(secret)) {
					t.Errorf("%q gives away %q", said, secret)
				}
			}
		}
	}
}

func TestWhatTelegramEchoesIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, echo := range []string{
		botToken, strings.ToUpper(botToken), url.QueryEscape(botToken), strings.ToLower(url.QueryEscape(botToken)), botToken[10:],
		"http://127.0.0.1/bot" + botToken + "/setWebhook", "bot" + botToken, hookSecret, "secret=" + hookSecret + "&",
		strings.Repeat("long ", 95) + botToken + botToken,
	} {
		c, _ := botAPI(t, 400, fmt.Sprintf(`{"ok":false,"error_code":400,"description":"Bad Request: cannot use %s here"}`, echo))
		err := c.SetWebhook(t.Context(), SetWebhook{URL: "https://hook.example/x", Secret: hookSecret})
		if err == nil {
			t.Fatal("no refusal")
		}
		keepsSecrets(t, strings.TrimSuffix(c.base, "/bot"+botToken+"/"), err)
		if !strings.Contains(err.Error(), "Bad Request") {
			t.Errorf("%q lost the platform's words", err)
		}
	}
	c, _ := botAPI(t, 200, `{"ok":true,"result":{"url":"","last_error_message":"Wrong response: `+botToken+`"}}`)
	if info, err := c.GetWebhookInfo(t.Context()); err != nil || strings.Contains(info.LastError, "planted") {
		t.Errorf("%+v, %v", info, err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, c); s != "telegram bot 123456789" {
			t.Errorf("a client prints as %s", s)
		}
	}
}

func TestARedirectDoesNotCarryTheTokenElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the call arrived elsewhere")
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 307, 308} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		}))
		t.Cleanup(srv.Close)
		_, err := New(srv.URL, botToken, nil).GetMe(t.Context())
		if r := platform.Refused(err); r == nil || r.Kind != platform.Unavailable {
			t.Errorf("%d became %v", status, err)
		}
		keepsSecrets(t, elsewhere.URL, err)
	}
}

func TestNoAnswerTellsWhetherTheCallMayHaveArrived(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // until the caller has had enough
	}))
	t.Cleanup(hanging.Close)
	hangingUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(hangingUp.Close)
	halfway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"ok":true,`)
	}))
	t.Cleanup(halfway.Close)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain of our distrust
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	blabbing := &http.Client{Transport: &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		return nil, errors.New("no proxy for " + r.URL.String())
	}}}

	for name, c := range map[string]struct {
		address string
		client  *http.Client
		sent    bool
		message string
	}{
		"refused":    {gone.URL, nil, false, "connection refused"},
		"hanging up": {hangingUp.URL, nil, true, "the connection was closed before the answer"},
		"halfway":    {halfway.URL, nil, true, "the connection was closed before the answer"},
		"hanging":    {hanging.URL, nil, true, "no answer in time"},
		"untrusted":  {untrusted.URL, nil, false, "the certificate of the Bot API's host is not valid"},
		"no proxy":   {gone.URL, blabbing, false, "the connection failed"},
		"no address": {"http://bad host", nil, false, "the address of the Bot API is not valid"},
		"no scheme":  {"127.0.0.1:1", nil, false, ""},
		"odd scheme": {"gopher://127.0.0.1:1", nil, false, "the connection failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if name == "hanging" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err := New(c.address, botToken, c.client).GetMe(ctx)
			r := platform.Refused(err)
			if r == nil || r.Kind != platform.Unreachable || r.Sent != c.sent {
				t.Fatalf("got %+v from %v, want Sent %v", r, err, c.sent)
			}
			if c.message != "" && r.Message != c.message {
				t.Errorf("it says %q, want %q", r.Message, c.message)
			}
			if (name == "hanging") != errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v tells the wrong thing of the caller's deadline", err)
			}
			keepsSecrets(t, c.address, err)
		})
	}
}

func TestACallThatIsGivenUpEndsAtOnce(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := New(srv.URL, botToken, nil).GetUpdates(ctx, 0, 100, 50*time.Second)
	if r := platform.Refused(err); r == nil || !r.Sent || !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", r, err)
	}
	keepsSecrets(t, srv.URL, err)
}

// transport answers by a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoCallWaitsForEver(t *testing.T) {
	t.Parallel()
	var left time.Duration
	c := New("https://api.example", botToken, &http.Client{
		Timeout: time.Nanosecond, // not the client's to decide
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			deadline, ok := r.Context().Deadline()
			if !ok {
				t.Error("a call without a deadline")
			}
			left = time.Until(deadline)
			return nil, errors.New("enough")
		}),
	})
	within := func(what string, want time.Duration) {
		if left > want || left < want-10*time.Second {
			t.Errorf("%s may take %v, want %v", what, left, want)
		}
	}
	c.GetMe(t.Context())
	within("getMe", 15*time.Second)
	c.GetUpdates(t.Context(), 0, 100, 50*time.Second)
	within("getUpdates", 60*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	c.GetMe(ctx)
	within("getMe of a patient caller", time.Hour)
}

func TestATokenIsKnownByItsShape(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("aB3_-", 7)
	for token, id := range map[string]string{
		botToken:                               "123456789",
		"1:" + secret:                          "1",
		"18014398509481983:" + secret:          "18014398509481983",
		"18014398509481984:" + secret:          "",
		"0123:" + secret:                       "",
		"0:" + secret:                          "",
		"-1:" + secret:                         "",
		"+1:" + secret:                         "",
		":" + secret:                           "",
		"":                                     "",
		"123456789":                            "",
		"123456789:short":                      "",
		"123456789:" + secret + " ":            "",
		" 123456789:" + secret:                 "",
		"123456789:" + secret + "/x":           "",
		"123456789:" + secret + ":x":           "",
		"123456789:" + secret + "é":            "",
		"123456789:" + strings.Repeat("a", 70): "123456789",
		"123456789:" + strings.Repeat("a", 71): "",
		"١٢٣:" + secret:                        "",
	} {
		got, ok := ParseToken(token)
		if got != id || ok != (id != "") {
			t.Errorf("%q is of bot %q, %v, want %q", token, got, ok, id)
		}
	}
}
