package simulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

// send posts a message with the page's token.
func (s *shop) send(t *testing.T, c *simulator.PageCustomer, message o, more o) graphReply {
	t.Helper()
	return graph(t, s.m, "POST", s.page.ID()+"/messages", s.token, s.letter(c, message, more))
}

func (s *shop) letter(c *simulator.PageCustomer, message, more o) o {
	params := o{"recipient": o{"id": c.ID()}, "messaging_type": "RESPONSE"}
	if message != nil {
		params["message"] = message
	}
	for name, value := range more {
		params[name] = value
	}
	return params
}

// upload sends a file as a form does.
func (s *shop) upload(t *testing.T, c *simulator.PageCustomer, kind, mime string, data []byte, reusable bool) graphReply {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	message, _ := json.Marshal(o{"attachment": o{"type": kind, "payload": o{"is_reusable": reusable}}, "metadata": "our-key"})
	_ = w.WriteField("recipient", `{"id":"`+c.ID()+`"}`)
	_ = w.WriteField("messaging_type", "RESPONSE")
	_ = w.WriteField("message", string(message))
	part, _ := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="filedata"; filename="bill.bin"`}, "Content-Type": {mime},
	})
	_, _ = part.Write(data)
	_ = w.Close()
	request, err := http.NewRequestWithContext(within(t), http.MethodPost, s.m.URL()+"/"+s.page.ID()+"/messages", &form)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", w.FormDataContentType())
	request.Header.Set("Authorization", "Bearer "+s.token)
	r, err := readGraph(client(t).Do(request))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestACustomerGetsWhatThePageSendsInOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	first := lan.Writes("hi")
	r := succeeded(t, s.send(t, lan, o{"text": "Hello", "metadata": "k1"}, o{"reply_to": o{"mid": first.ID}}))
	if r.body["recipient_id"] != lan.ID() || !strings.HasPrefix(fmt.Sprint(r.body["message_id"]), "m_") {
		t.Fatalf("answer: %s", r.raw)
	}
	succeeded(t, s.send(t, lan, nil, o{"sender_action": "typing_on"}))
	succeeded(t, s.send(t, lan, nil, o{"sender_action": "mark_seen"}))
	r2 := succeeded(t, graph(t, s.m, "POST", "me/messages", s.token, s.letter(lan, o{"text": "Still there?"}, nil)))
	got, err := lan.WaitReceived(within(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Text != "Hello" || got[0].ReplyTo != first.ID || got[0].Metadata != "k1" || got[0].App != s.app.ID() ||
		got[0].ID != r.body["message_id"] || got[1].ID != r2.body["message_id"] || !got[1].At.After(got[0].At) {
		t.Fatalf("received: %+v", got)
	}
	if sees := lan.Sees(); !slices.Equal(sees, []string{"typing_on", "mark_seen"}) {
		t.Fatalf("seen: %v", sees)
	}
	calls := s.m.Calls("POST messages")
	if len(calls) != 4 || calls[0].Chat != lan.ID() || calls[0].Status != 200 || calls[0].Page != s.page.ID() {
		t.Fatalf("calls: %+v", calls)
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	refusedWith(t, s.send(t, lan, o{"text": strings.Repeat("ế", 2001)}, nil), 100, 0)
	succeeded(t, s.send(t, lan, o{"text": strings.Repeat("ế", 2000)}, nil))
	refusedWith(t, s.send(t, lan, o{"text": " "}, nil), 100, 0)
	refusedWith(t, s.send(t, lan, o{}, nil), 100, 0)
	refusedWith(t, s.send(t, lan, nil, nil), 100, 0)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, o{"sender_action": "typing_on"}), 100, 2018014)
	refusedWith(t, s.send(t, lan, o{"text": "x", "attachment": o{"type": "image"}}, nil), 100, 0)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, o{"reply_to": o{"mid": "m_unknown"}}), 100, 0)
	refusedWith(t, s.send(t, lan, o{"text": "x", "metadata": strings.Repeat("m", 1001)}, nil), 100, 0)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, o{"messaging_type": "GREETING"}), 100, 0)
	refusedWith(t, s.send(t, lan, o{"attachment": o{"type": "image", "payload": o{"url": "https://x.example/a.png"}}}, nil), 100, 2018008)
	refusedWith(t, graph(t, s.m, "POST", s.page.ID()+"/messages", s.token, o{"message": o{"text": "x"}}), 100, 0)
	refusedWith(t, graph(t, s.m, "POST", s.page.ID()+"/messages", s.token, o{"recipient": o{"id": "1"}, "message": o{"text": "x"}}), 100, 2018001)
	other := s.m.AddPage("Shop B")
	refusedWith(t, s.send(t, other.Customer("Bob"), o{"text": "x"}, nil), 100, 2018001)
	refusedWith(t, graph(t, s.m, "POST", other.ID()+"/messages", s.token, s.letter(lan, o{"text": "x"}, nil)), 100, 33)
	succeeded(t, s.send(t, lan, o{"text": "Which?", "quick_replies": []o{{"content_type": "text", "title": "Red", "payload": "R"}}}, nil))
}

func TestTheWindowClosesAfterADayAndForPeopleAfterAWeek(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 100, 2018001)
	lan.Writes("hi")
	human := o{"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
	s.m.Passes(24 * time.Hour)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 2018278)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, o{"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}), 100, 0)
	succeeded(t, s.send(t, lan, o{"text": "x"}, human))
	s.m.Passes(6 * 24 * time.Hour)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, human), 10, 2018278)
	lan.Reacts(simulator.PageMessage{ID: lan.Received()[0].ID}, "love", "❤")
	succeeded(t, s.send(t, lan, o{"text": "x"}, nil))

	strict := s.m.AddApp("No review", simulator.WithoutHumanAgent())
	s.person.Allows(strict, []*simulator.Page{s.page})
	refusedWith(t, graph(t, s.m, "POST", "me/messages", s.page.Token(strict, s.person), s.letter(lan, o{"text": "x"}, human)), 10, 0)
}

func TestPeopleWhoCannotBeWrittenToAreRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	lan.Blocks()
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 551, 1545041)
	lan.Writes("I am back")
	succeeded(t, s.send(t, lan, o{"text": "x"}, nil))
	s.page.Restrict(true)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 1893063)
	s.page.Restrict(false)
	s.app.SetLive(false)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 200, 2018028)
	tester := s.page.Customer("Tess", simulator.WithRoleIn(s.app))
	tester.Writes("testing")
	succeeded(t, s.send(t, tester, o{"text": "x"}, nil))
	s.app.SetLive(true)
	lan.StopsNotifications()
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 1893015)
	tester.Deactivates()
	refusedWith(t, s.send(t, tester, o{"text": "x"}, nil), 551, 0)
	s.person.Withdraws(s.app, simulator.PagesMessaging)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 230, 0)
	events := s.hook.wait(t, "policy_enforcement", 2)
	if in(events[0].item, "policy_enforcement", "action") != "block" || events[0].item["sender"] != nil ||
		in(events[1].item, "policy_enforcement", "reason") != nil {
		t.Fatalf("policy: %v", events)
	}
}

func TestFilesAreUploadedOnceAndSentAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	data := bytes.Repeat([]byte("byte"), 300)
	r := succeeded(t, s.upload(t, lan, "image", "image/png", data, true))
	id, _ := r.body["attachment_id"].(string)
	if id == "" {
		t.Fatalf("answer: %s", r.raw)
	}
	refusedWith(t, s.upload(t, lan, "image", "application/pdf", data, false), 100, 2018047)
	refusedWith(t, s.upload(t, lan, "image", "image/png", nil, false), 100, 2018047)
	refusedWith(t, s.upload(t, lan, "video", "video/mp4", make([]byte, 25<<20+1), false), 100, 2018109)
	succeeded(t, s.upload(t, lan, "file", "application/pdf", data, false))
	succeeded(t, s.send(t, lan, o{"attachment": o{"type": "image", "payload": o{"attachment_id": id}}}, nil))
	refusedWith(t, s.send(t, lan, o{"attachment": o{"type": "image", "payload": o{"attachment_id": "12"}}}, nil), 100, 2018074)
	got := lan.Received()
	if len(got) != 3 || !bytes.Equal(got[0].Data, data) || got[0].FileKind != "image" || got[0].MIME != "image/png" || got[0].Metadata != "our-key" ||
		got[1].FileKind != "file" || got[1].FileName != "bill.bin" || !bytes.Equal(got[2].Data, data) {
		t.Fatalf("received: %d %+v", len(got), got)
	}
	s.hook.wait(t, "message", 4)
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.hook.all("message") {
		if attachments, is := in(e.item, "message", "attachments").([]any); is {
			address, _ := in(attachments[0], "payload", "url").(string)
			if status, _, body := browse(t, address, nil); status != 200 || body != string(data) {
				t.Fatalf("%s: %d", address, status)
			}
		}
	}
}

func TestAddressesOfPicturesExpire(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.SendsPicture()
	e := s.hook.wait(t, "message", 1)[0]
	address, _ := in(in(e.item, "message", "attachments").([]any)[0], "payload", "url").(string)
	if status, _, body := browse(t, address, nil); status != 200 || !strings.HasPrefix(body, "\x89PNG") {
		t.Fatalf("a picture: %d", status)
	}
	s.m.FailNext("media", simulator.GraphFailure{Status: 503, HTML: true})
	if status, _, _ := browse(t, address, nil); status != 503 {
		t.Fatalf("a scripted failure: %d", status)
	}
	forged := strings.Replace(address, "oh=", "oh=0", 1)
	if status, _, _ := browse(t, forged, nil); status != 403 {
		t.Fatalf("a forged address: %d", status)
	}
	s.m.Passes(4 * 24 * time.Hour)
	if status, _, _ := browse(t, address, nil); status != 403 {
		t.Fatalf("an old address: %d", status)
	}
	if status, _, _ := browse(t, s.m.URL()+"/cdn/v/1/x.png?oe=7fffffff&oh=0", nil); status != 404 {
		t.Fatalf("no picture: %d", status)
	}
}

func TestScriptedFailuresMeetTheCallsTheyAreMeantFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan, bob := s.page.Customer("Lan Tran"), s.page.Customer("Bob")
	lan.Writes("hi")
	bob.Writes("hi")
	for _, known := range [][2]int{
		{1, 99}, {2, 0}, {4, 0}, {10, 0}, {10, 2018108}, {10, 2534022}, {17, 0}, {32, 0}, {100, 33}, {102, 0}, {190, 464}, {190, 467},
		{200, 1545041}, {341, 0}, {368, 0}, {613, 0}, {1200, 0}, {80006, 0}, {9000001, 0},
	} {
		s.m.FailNext("messages", simulator.Refusing(known[0], known[1]))
		refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), known[0], known[1])
	}
	throttle := simulator.Refusing(613, 0)
	throttle.Chat, throttle.Times, throttle.Status = lan.ID(), 2, 429
	throttle.Header = http.Header{"X-Business-Use-Case-Usage": {`{"101":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":3}]}`}}
	s.m.FailNext("POST messages", throttle)
	succeeded(t, s.send(t, bob, o{"text": "x"}, nil))
	for range 2 {
		r := s.send(t, lan, o{"text": "x"}, nil)
		refusedWith(t, r, 613, 0)
		if r.status != 429 || r.header.Get("X-Business-Use-Case-Usage") == "" {
			t.Fatalf("got %d %v", r.status, r.header)
		}
	}
	succeeded(t, s.send(t, lan, o{"text": "x"}, nil))

	s.m.FailNext("messages", simulator.GraphFailure{Status: 502, HTML: true})
	if r := s.send(t, lan, o{"text": "x"}, nil); r.status != 502 || !strings.HasPrefix(string(r.raw), "<!DOCTYPE html>") {
		t.Fatalf("got %d %s", r.status, r.raw)
	}
	s.m.FailNext("*", simulator.GraphFailure{Times: -1})
	r := s.send(t, lan, o{"text": "x"}, nil)
	if refusedWith(t, r, 2, 0); r.status != 500 || in(r.body, "error", "is_transient") != true || in(r.body, "error", "fbtrace_id") == "" {
		t.Fatalf("got %d %s", r.status, r.raw)
	}
	s.m.Works()
	s.m.UsageHeaders(http.Header{"X-App-Usage": {`{"call_count":90}`}})
	if r := succeeded(t, s.send(t, lan, o{"text": "x"}, nil)); r.header.Get("X-App-Usage") != `{"call_count":90}` {
		t.Fatalf("usage: %v", r.header)
	}
	before := len(lan.Received())
	s.m.FailNext("messages", simulator.GraphFailure{Lost: true})
	if _, err := graphTry(t, s.m, "POST", "me/messages", s.token, s.letter(lan, o{"text": "lost"}, nil)); err == nil {
		t.Fatal("a lost answer came")
	}
	got := lan.Received()
	if len(got) != before+1 || got[before].Text != "lost" {
		t.Fatalf("what was lost did not take effect: %v", got)
	}
}

func TestACallMayHangBeforeAndAfterItTookEffect(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	for _, lost := range []bool{false, true} {
		s.m.FailNext("messages", simulator.GraphFailure{Hang: true, Lost: lost})
		ended := make(chan error, 1)
		go func() {
			_, err := graphTry(t, s.m, "POST", "me/messages", s.token, s.letter(lan, o{"text": "x"}, nil))
			ended <- err
		}()
		calls := 1
		if lost {
			calls = 2
			if _, err := lan.WaitReceived(within(t), 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.m.WaitCalls(within(t), "messages", calls); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatalf("it did not hang: %v", err)
		default:
		}
		s.m.Down()
		if err := <-ended; !errors.Is(err, io.EOF) && err == nil {
			t.Fatal("an answer came from a platform that is down")
		}
		s.m.Up()
	}
	if got := lan.Received(); len(got) != 1 {
		t.Fatalf("received %d", len(got))
	}
}

func TestProfilesTellWhatThePermissionsAllow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran", simulator.WithLocale("vi_VN"))
	fields := o{"fields": "name,first_name,last_name,profile_pic"}
	refusedWith(t, graph(t, s.m, "GET", lan.ID(), s.token, fields), 100, 33)
	lan.Writes("hi")
	r := succeeded(t, graph(t, s.m, "GET", lan.ID(), s.token, fields))
	picture, _ := r.body["profile_pic"].(string)
	if r.body["name"] != "Lan Tran" || r.body["last_name"] != "Tran" || picture == "" {
		t.Fatalf("profile: %s", r.raw)
	}
	refusedWith(t, graph(t, s.m, "GET", lan.ID(), s.token, o{"fields": "name,locale"}), 100, 2018247)
	s.person.Allows(s.app, []*simulator.Page{s.page}, "pages_user_locale")
	if r := succeeded(t, graph(t, s.m, "GET", lan.ID(), s.token, o{"fields": "locale"})); r.body["locale"] != "vi_VN" {
		t.Fatalf("locale: %s", r.raw)
	}
	for kind, want := range map[string]string{simulator.ProfileEmpty: "{}", simulator.ProfileIDOnly: `{"id":"%s"}`} {
		c := s.page.Customer(kind, simulator.WithProfile(kind))
		c.Writes("hi")
		if r := succeeded(t, graph(t, s.m, "GET", c.ID(), s.token, fields)); string(r.raw) != strings.Replace(want, "%s", c.ID(), 1) {
			t.Fatalf("%s: %s", kind, r.raw)
		}
	}
	for kind, subcode := range map[string]int{simulator.ProfileForbidden: 2018247, simulator.ProfileUnavailable: 2018218} {
		c := s.page.Customer(kind, simulator.WithProfile(kind))
		c.Writes("hi")
		refusedWith(t, graph(t, s.m, "GET", c.ID(), s.token, fields), 100, subcode)
	}
	other := s.m.AddPage("Shop B")
	stranger := other.Customer("Lan Tran")
	stranger.Writes("hi")
	refusedWith(t, graph(t, s.m, "GET", stranger.ID(), s.token, fields), 100, 33)
}

func TestConversationsAreReadBack(t *testing.T) {
	t.Parallel()
	s := newShopAt(t, simulator.StartMessengerWith(t, simulator.MessengerOptions{RetryScale: 0.001, Limits: true}))
	lan := s.page.Customer("Lan Tran")
	lan.SendsPicture()
	for range 21 {
		lan.Writes("hi")
	}
	s.page.CustomerWrites("Bob", "hello")
	sent := succeeded(t, s.send(t, lan, o{"text": "Hello", "metadata": "k1"}, nil))
	path := s.page.ID() + "/conversations"
	fields := "id,updated_time,unread_count,message_count,can_reply,snippet,participants,messages.limit(23){id,created_time,from,to,message,attachments}"
	r := succeeded(t, graph(t, s.m, "GET", path, s.token, o{"platform": "messenger", "user_id": lan.ID(), "fields": fields}))
	list := r.list(t)
	if len(list) != 1 || list[0]["message_count"] != 23.0 || list[0]["can_reply"] != true || list[0]["snippet"] != "Hello" ||
		!strings.HasSuffix(fmt.Sprint(list[0]["updated_time"]), "+0000") {
		t.Fatalf("conversations: %s", r.raw)
	}
	messages, _ := in(list[0], "messages", "data").([]any)
	if len(messages) != 23 || in(messages[0], "id") != sent.body["message_id"] || in(messages[0], "message") != "Hello" ||
		in(messages[0], "from", "id") != s.page.ID() || in(messages[22], "message") != nil || strings.Contains(string(r.raw), "k1") {
		t.Fatalf("messages: %s", r.raw)
	}
	oldest, _ := in(messages[22], "id").(string)
	refusedWith(t, graph(t, s.m, "GET", oldest, s.token, o{"fields": "message"}), 9000001, 0)
	refusedWith(t, graph(t, s.m, "GET", path, s.token, nil), 613, 0)
	s.m.Passes(time.Second)
	if got := graph(t, s.m, "GET", path, s.token, nil).list(t); len(got) != 2 {
		t.Fatalf("conversations: %v", got)
	}
	mid, _ := sent.body["message_id"].(string)
	if r := succeeded(t, graph(t, s.m, "GET", mid, s.token, o{"fields": "message,created_time"})); r.body["message"] != "Hello" {
		t.Fatalf("a message: %s", r.raw)
	}
	s.m.Passes(time.Second)
	s.person.Withdraws(s.app, simulator.PagesReadEngagement)
	refusedWith(t, graph(t, s.m, "GET", path, s.token, nil), 10, 0)
}

func TestACallMayBeAFormAndHaveNoVersion(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	form := url.Values{
		"access_token": {s.token}, "recipient": {`{"id":` + lan.ID() + `}`}, "message": {`{"text":"by form"}`}, "messaging_type": {"UPDATE"},
	}
	if status, _, body := browse(t, s.m.URL()+"/me/messages", form); status != 200 {
		t.Fatalf("a form without a version: %d %s", status, body)
	}
	if got := lan.Received(); len(got) != 1 || got[0].Text != "by form" || got[0].Type != "UPDATE" {
		t.Fatalf("received: %+v", got)
	}
	if call := s.m.Calls("messages")[0]; call.TokenIn != "body" || call.Version != "" || call.Chat != lan.ID() {
		t.Fatalf("call: %+v", call)
	}
	refusedWith(t, graph(t, s.m, "GET", "1234", s.token, nil), 100, 33)
}

func TestOnlyTheLatestIsKept(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.page.DropSubscription(s.app)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	for i := range 5000 {
		lan.AnsweredBy(s.app, fmt.Sprint(i), "")
	}
	got := lan.Received()
	if len(got) > 2000 || len(got) < 1000 || got[len(got)-1].Text != "4999" {
		t.Fatalf("%d messages are kept, the last is %q", len(got), got[len(got)-1].Text)
	}
	first := lan.SendsFile("file", simulator.File{Name: "big.bin", Data: make([]byte, 60<<20)})
	lan.SendsFile("file", simulator.File{Name: "big.bin", Data: make([]byte, 60<<20)})
	lan.SendsFile("file", simulator.File{Name: "big.bin", Data: make([]byte, 60<<20)})
	r := succeeded(t, graph(t, s.m, "GET", first.ID, s.token, o{"fields": "attachments"}))
	address, _ := in(in(r.body, "attachments", "data").([]any)[0], "file_url").(string)
	if status, _, _ := browse(t, address, nil); status != 404 {
		t.Fatalf("the oldest of three big files: %d", status)
	}
}
