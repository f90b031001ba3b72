package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causeway/internal/platform/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reply is the Bot API's envelope as a caller reads it.
type reply struct {
	status      int
	header      http.Header
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	Code        int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		RetryAfter int   `json:"retry_after"`
		MigrateTo  int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
}

func (r reply) into(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(r.Result, &o); err != nil {
		t.Fatalf("result %s: %v", r.Result, err)
	}
	return o
}

func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func read(t *testing.T, response *http.Response) reply {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: response.StatusCode, header: response.Header}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// call posts JSON.
func call(t *testing.T, tg *simulator.Telegram, token, method string, params any) reply {
	t.Helper()
	response, err := post(t, tg, token, method, params)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return read(t, response)
}

func post(t *testing.T, tg *simulator.Telegram, token, method string, params any) (*http.Response, error) {
	t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(within(t), http.MethodPost, tg.URL()+"/bot"+token+"/"+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return client(t).Do(request)
}

type o = map[string]any

func refused(t *testing.T, r reply, status int, description string) {
	t.Helper()
	if r.OK || r.status != status || r.Code != status || !strings.Contains(r.Description, description) {
		t.Fatalf("got %d %q, want %d %q", r.status, r.Description, status, description)
	}
}

func worked(t *testing.T, r reply) reply {
	t.Helper()
	if !r.OK || r.status != 200 {
		t.Fatalf("got %d %q", r.status, r.Description)
	}
	return r
}

// hook is a webhook that remembers what came and answers as told.
type hook struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []map[string]any
	headers []http.Header
	answer  func(update map[string]any, w http.ResponseWriter)
}

func newHook(t *testing.T, answer func(update map[string]any, w http.ResponseWriter)) *hook {
	t.Helper()
	h := &hook{answer: answer}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var update map[string]any
		if err := json.NewDecoder(r.Body).Decode(&update); err != nil {
			t.Errorf("an update is no JSON: %v", err)
		}
		h.mu.Lock()
		h.bodies = append(h.bodies, update)
		h.headers = append(h.headers, r.Header)
		h.mu.Unlock()
		if h.answer != nil {
			h.answer(update, w)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) got() []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.bodies)
}

func text(update map[string]any) string {
	for _, kind := range []string{"message", "edited_message", "channel_post"} {
		if m, ok := update[kind].(map[string]any); ok {
			s, _ := m["text"].(string)
			return s
		}
	}
	return ""
}

func TestABotIntroducesItself(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("@shop_bot", "Shop Bot", simulator.WithCommands(simulator.Command{Command: "start", Description: "Begin"}))
	me := worked(t, call(t, tg, b.Token(), "GETME", o{})).into(t)
	if me["username"] != "shop_bot" || me["first_name"] != "Shop Bot" || int64(me["id"].(float64)) != b.ID() ||
		me["is_bot"] != true || me["can_join_groups"] != true || me["can_read_all_group_messages"] != false {
		t.Fatalf("getMe: %v", me)
	}
	open := tg.AddBot("open_bot", "Open", simulator.WithoutPrivacy(), simulator.WithoutGroups())
	me = worked(t, call(t, tg, open.Token(), "getMe", o{})).into(t)
	if me["can_join_groups"] != false || me["can_read_all_group_messages"] != true {
		t.Fatalf("getMe of a bot without privacy: %v", me)
	}
	if got := string(worked(t, call(t, tg, b.Token(), "getMyCommands", o{})).Result); !strings.Contains(got, `"description":"Begin"`) {
		t.Fatalf("getMyCommands: %s", got)
	}
	worked(t, call(t, tg, b.Token(), "setMyCommands", o{"commands": []o{{"command": "help", "description": "Help"}}}))
	if got := string(worked(t, call(t, tg, b.Token(), "getMyCommands", o{})).Result); !strings.Contains(got, `"help"`) {
		t.Fatalf("getMyCommands after a change: %s", got)
	}
	refused(t, call(t, tg, b.Token(), "setMyCommands", o{"commands": []o{{"command": "HELP", "description": "x"}}}), 400, "BOT_COMMAND_INVALID")
}

func TestTokensAreRefusedAsTelegramRefusesThem(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	old := b.Token()
	wrong := strings.Split(old, ":")[0] + ":" + strings.Repeat("x", 35)
	refused(t, call(t, tg, wrong, "getMe", o{}), 401, "Unauthorized")
	refused(t, call(t, tg, "nonsense", "getMe", o{}), 404, "Not Found")
	refused(t, call(t, tg, old, "getYou", o{}), 404, "Not Found: method not found")
	fresh := b.ReplaceToken()
	refused(t, call(t, tg, old, "getMe", o{}), 401, "Unauthorized")
	worked(t, call(t, tg, fresh, "getMe", o{}))
	b.RevokeToken()
	refused(t, call(t, tg, fresh, "getMe", o{}), 401, "Unauthorized")

	request, _ := http.NewRequestWithContext(within(t), http.MethodPut, tg.URL()+"/bot"+old+"/getMe", http.NoBody)
	response, err := client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, read(t, response), 405, "Method Not Allowed")
}

func TestParametersComeInEveryForm(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	base := tg.URL() + "/bot" + b.Token() + "/sendMessage"
	id := jsonNumber(lan.ID())

	forms := []func() (*http.Request, error){
		func() (*http.Request, error) {
			return http.NewRequestWithContext(within(t), http.MethodGet, base+"?text=one&chat_id="+id, http.NoBody)
		},
		func() (*http.Request, error) {
			r, err := http.NewRequestWithContext(within(t), http.MethodPost, base, strings.NewReader(url.Values{"chat_id": {id}, "text": {"two"}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r, err
		},
		func() (*http.Request, error) {
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			_ = w.WriteField("chat_id", id)
			_ = w.WriteField("text", "three")
			_ = w.Close()
			r, err := http.NewRequestWithContext(within(t), http.MethodPost, base, &body)
			r.Header.Set("Content-Type", w.FormDataContentType())
			return r, err
		},
	}
	for _, form := range forms {
		request, err := form()
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(t).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		worked(t, read(t, response))
	}
	worked(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": lan.ID(), "text": "four"}))
	var texts []string
	for _, sent := range lan.Received(b) {
		texts = append(texts, sent.Text)
	}
	if strings.Join(texts, " ") != "one two three four" {
		t.Fatalf("received %v", texts)
	}
	if calls := tg.Calls("sendmessage"); len(calls) != 4 || calls[3].Params["text"] != "four" || calls[3].Status != 200 {
		t.Fatalf("calls %+v", calls)
	}
}

func jsonNumber(n int64) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

func TestAScriptedFailureIsWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	send := o{"chat_id": lan.ID(), "text": "hi"}

	tg.FailNext("sendMessage", simulator.Failure{RetryAfter: 7, Times: 2})
	for range 2 {
		r := call(t, tg, b.Token(), "sendMessage", send)
		refused(t, r, 429, "Too Many Requests: retry after 7")
		if r.Parameters.RetryAfter != 7 || r.header.Get("Retry-After") != "7" {
			t.Fatalf("retry after %d, header %q", r.Parameters.RetryAfter, r.header.Get("Retry-After"))
		}
	}
	tg.FailNext("sendMessage", simulator.Failure{MigrateTo: -100123})
	if r := call(t, tg, b.Token(), "sendMessage", send); r.Parameters.MigrateTo != -100123 || r.status != 400 {
		t.Fatalf("migrate: %+v", r)
	}
	tg.FailNext(simulator.AnyMethod, simulator.Failure{Status: 502, HTML: true})
	response, err := post(t, tg, b.Token(), "sendMessage", send)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if response.StatusCode != 502 || !bytes.Contains(page, []byte("<h1>502 Bad Gateway</h1>")) {
		t.Fatalf("%d %s", response.StatusCode, page)
	}
	if got := lan.Received(b); len(got) != 0 {
		t.Fatalf("failed calls sent %v", got)
	}

	tg.FailNext("sendMessage", simulator.Failure{Lost: true})
	if _, err := post(t, tg, b.Token(), "sendMessage", send); err == nil {
		t.Fatal("an answer that is lost came")
	}
	if got := lan.Received(b); len(got) != 1 {
		t.Fatalf("a call whose answer is lost sent %d messages", len(got))
	}
	worked(t, call(t, tg, b.Token(), "sendMessage", send))
}

func TestAFailureOfOneChatIsNoOthers(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	lan, minh := tg.Customer("Lan", "vi"), tg.Customer("Minh", "vi")
	lan.Starts(b, "")
	minh.Starts(b, "")
	send := func(c *simulator.Customer) reply {
		return call(t, tg, b.Token(), "sendMessage", o{"chat_id": c.ID(), "text": "hi"})
	}
	tg.FailNext("sendMessage", simulator.Failure{Chat: lan.ID(), RetryAfter: 3, Times: 2})
	tg.FailNext("sendMessage", simulator.Failure{Chat: minh.ID(), Status: 403})
	tg.FailNext("sendMessage", simulator.Failure{Chat: lan.ID(), Status: 500, Times: 100})
	refused(t, send(minh), 403, "blocked")
	worked(t, send(minh))
	refused(t, send(lan), 429, "retry after 3")
	worked(t, send(minh))
	refused(t, send(lan), 429, "retry after 3")
	for range 3 {
		refused(t, send(lan), 500, "")
	}
	tg.FailNoMore("sendmessage")
	worked(t, send(lan))
	tg.FailNext(simulator.AnyMethod, simulator.Failure{})
	tg.FailNoMore()
	worked(t, send(lan))
}

func TestACallThatHangsEndsAtClose(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	tg.FailNext("getMe", simulator.Failure{Hang: true})
	failed := make(chan error, 1)
	go func() {
		_, err := post(t, tg, b.Token(), "getMe", o{})
		failed <- err
	}()
	if _, err := tg.WaitCalls(within(t), "getMe", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tg.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if <-failed == nil {
		t.Fatal("a call that hangs was answered")
	}
}

func TestNothingAnswersWhileTelegramIsDown(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop Bot")
	h := newHook(t, nil)
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	tg.Down()
	if _, err := post(t, tg, b.Token(), "getMe", o{}); err == nil {
		t.Fatal("answered while down")
	}
	ref := tg.Customer("Lan", "vi").Writes(b, "hello?")
	if got := h.got(); len(got) != 0 || b.Pending() != 1 {
		t.Fatalf("while down %d updates came and %d wait", len(got), b.Pending())
	}
	tg.Up()
	worked(t, call(t, tg, b.Token(), "getMe", o{}))
	if err := ref.WaitDelivered(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestTheSameSeedMakesTheSameBots(t *testing.T) {
	t.Parallel()
	one, two := simulator.NewTelegram(simulator.Options{Seed: 3}), simulator.NewTelegram(simulator.Options{Seed: 3})
	defer one.Close()
	defer two.Close()
	if a, b := one.AddBot("a_bot", "A"), two.AddBot("a_bot", "A"); a.Token() != b.Token() {
		t.Fatalf("%s and %s", a.Token(), b.Token())
	}
}
