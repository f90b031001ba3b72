package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

func TestWebhooksAreSignedOverEscapedBytes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	written := s.page.CustomerWrites("Lan Tran", `chào 👋 <b> a/b`)
	e := s.hook.wait(t, "message", 1)[0]
	if in(e.item, "message", "text") != `chào 👋 <b> a/b` || in(e.item, "message", "mid") != written.ID || e.page != s.page.ID() ||
		in(e.item, "sender", "id") != written.Customer.ID() || int64(e.item["timestamp"].(float64)) != written.At.UnixMilli() {
		t.Fatalf("event: %v", e)
	}
	body := s.hook.bodies[0]
	if !bytes.Contains(body, []byte(`ch\u00e0o \ud83d\udc4b`)) || !bytes.Contains(body, []byte(`a\/b`)) {
		t.Fatalf("body: %s", body)
	}
	if i := bytes.IndexFunc(body, func(r rune) bool { return r > 126 }); i >= 0 {
		t.Fatalf("a byte beyond ASCII: %s", body)
	}
	posts := s.app.Post(within(t), body, "", 1)
	if len(posts) != 1 || !posts[0].Accepted() {
		t.Fatalf("posted again: %+v", posts)
	}
	if posts := s.app.Post(within(t), body, "sha256="+strings.Repeat("0", 64), 1); posts[0].Status != 401 {
		t.Fatalf("a forged signature: %+v", posts)
	}
}

func TestEveryKindOfEventComes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	first := lan.Writes("hi", simulator.ReferredBy(o{"ref": "camp1", "source": "ADS", "type": "OPEN_THREAD"}))
	lan.Writes("Red", simulator.TappingQuickReply("R"), simulator.Answering(first))
	lan.Edits(first, "hi there")
	lan.SendsDocument("bill.pdf")
	lan.SendsVoice(1)
	lan.SendsLocation(16.05, 108.2)
	lan.SendsLink("look", "https://x.example/a", "A page")
	lan.SendsSticker(simulator.LikeSticker, simulator.StickerAsImage)
	lan.SendsSticker(simulator.LikeSticker, simulator.StickerAsBoth)
	lan.SendsSticker(simulator.LikeSticker, simulator.StickerAsSticker)
	lan.Taps("Buy", "BUY")
	lan.GetsStarted(o{"ref": "qr"})
	lan.Comes(o{"ref": "camp2", "source": "SHORTLINK", "type": "OPEN_THREAD"})
	lan.OptsIn(o{"ref": "R"})
	lan.LinksAccount("code")
	lan.Unsends(first)
	succeeded(t, s.send(t, lan, o{"text": "Hello"}, nil))
	ours := lan.Received()[0].Ref()
	lan.Reacts(ours, "love", "❤")
	lan.Unreacts(ours)
	lan.Reads()
	s.page.Changes("feed", o{"item": "comment", "verb": "add"})
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	messages := s.hook.all("message")
	if len(messages) != 8+2+1 { // customer's, the deletion's and the echo
		t.Fatalf("%d messages: %v", len(messages), messages)
	}
	answer := messages[1].item
	if in(answer, "message", "quick_reply", "payload") != "R" || in(answer, "message", "reply_to", "mid") != first.ID ||
		in(answer, "message", "reply_to", "is_self_reply") != true {
		t.Fatalf("a quick reply: %v", answer)
	}
	var forms []string
	for _, e := range messages {
		var kinds []string
		attachments, _ := in(e.item, "message", "attachments").([]any)
		for _, a := range attachments {
			kinds = append(kinds, fmt.Sprint(in(a, "type")))
		}
		forms = append(forms, strings.Join(kinds, "+"))
	}
	want := []string{"", "", "file", "audio", "location", "fallback", "image", "image+sticker", "sticker", "", ""}
	if !slices.Equal(forms, want) {
		t.Fatalf("attachments: %q", forms)
	}
	for key, want := range map[string]int{
		"message_edit": 1, "postback": 2, "referral": 1, "optin": 1, "account_linking": 1, "reaction": 2, "read": 1, "delivery": 1, "field": 1,
	} {
		if got := s.hook.all(key); len(got) != want {
			t.Errorf("%d events with %s, not %d", len(got), key, want)
		}
	}
	echo := messages[10].item
	id, _ := json.Number(s.app.ID()).Float64()
	if in(echo, "message", "is_echo") != true || in(echo, "message", "app_id") != id || in(echo, "sender", "id") != s.page.ID() ||
		in(echo, "recipient", "id") != lan.ID() || in(echo, "message", "mid") != ours.ID {
		t.Fatalf("echo: %v", echo)
	}
	read := s.hook.all("read")[0].item
	if int64(in(read, "read", "watermark").(float64)) != ours.At.UnixMilli() {
		t.Fatalf("read: %v", read)
	}
	stamps := map[any]bool{}
	for _, e := range s.hook.all("sender") {
		if e.item["message"] == nil || in(e.item, "message", "is_echo") == nil {
			if stamps[e.item["timestamp"]] {
				t.Fatalf("two events of the same time: %v", e)
			}
			stamps[e.item["timestamp"]] = true
		}
	}
}

func TestWhoIsOfflineGetsByAWatermarkAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	lan.GoesOffline()
	succeeded(t, s.send(t, lan, o{"text": "one"}, nil))
	succeeded(t, s.send(t, lan, o{"text": "two"}, nil))
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.hook.all("delivery"); len(got) != 0 {
		t.Fatalf("delivered: %v", got)
	}
	lan.ComesOnline()
	e := s.hook.wait(t, "delivery", 1)[0].item
	if in(e, "delivery", "mids") != nil || int64(in(e, "delivery", "watermark").(float64)) != lan.Received()[1].At.UnixMilli() {
		t.Fatalf("delivery: %v", e)
	}
}

func TestTheEchoComesBeforeOrAfterTheAnswerAsTold(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	s.hook.wait(t, "message", 1)
	s.m.EchoWhen(simulator.EchoBefore)
	r := succeeded(t, s.send(t, lan, o{"text": "before", "metadata": "k1"}, nil))
	if echo := s.hook.all("message")[1].item; in(echo, "message", "mid") != r.body["message_id"] || in(echo, "message", "metadata") != "k1" {
		t.Fatalf("echo: %v", echo)
	}
	s.m.EchoWhen(simulator.EchoAfter)
	succeeded(t, s.send(t, lan, o{"text": "after"}, nil))
	s.hook.wait(t, "message", 3)
	s.m.EchoWhen(simulator.EchoNever)
	succeeded(t, s.send(t, lan, o{"text": "never"}, nil))
	s.hook.wait(t, "delivery", 3)
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.hook.all("message"); len(got) != 3 {
		t.Fatalf("%d messages", len(got))
	}
	s.m.EchoWhen(simulator.EchoBefore)
	s.m.FailNext("messages", simulator.GraphFailure{Lost: true})
	_, err := graphTry(t, s.m, "POST", "me/messages", s.token, s.letter(lan, o{"text": "lost", "metadata": "k2"}, nil))
	if err == nil {
		t.Fatal("a lost answer came")
	}
	if e := s.hook.wait(t, "message", 4)[3].item; in(e, "message", "metadata") != "k2" {
		t.Fatalf("the echo of a lost answer: %v", e)
	}
}

func TestEventsAreHeldAndComeInBatchesTwiceAndInDisorder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	second := s.m.AddPage("Shop B")
	second.Appoints(s.person)
	s.person.Allows(s.app, []*simulator.Page{s.page, second})
	second.Subscribe(s.app, strings.Split(allFields, ",")...)
	s.app.Hold()
	for i := range 6 {
		s.page.CustomerWrites("Lan Tran", fmt.Sprint("a", i))
		s.page.CustomerWrites("Bob", fmt.Sprint("b", i))
		second.CustomerWrites("Eve", fmt.Sprint("e", i))
	}
	if s.app.Pending() != 18 || len(s.hook.all("")) != 0 {
		t.Fatalf("%d wait", s.app.Pending())
	}
	s.app.Release(simulator.Batching{Size: 9, Shuffle: true, Copies: 2})
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if len(s.hook.bodies) != 4 {
		t.Fatalf("%d bodies", len(s.hook.bodies))
	}
	var mids []string
	entries := 0
	for _, body := range s.hook.bodies {
		entries += bytes.Count(body, []byte(`"id":"`+s.page.ID()+`","messaging"`))
	}
	for _, e := range s.hook.all("message") {
		mids = append(mids, fmt.Sprint(in(e.item, "message", "mid")))
	}
	if len(mids) != 36 || entries < 4 {
		t.Fatalf("%d events in %d entries of the page", len(mids), entries)
	}
	slices.Sort(mids)
	if got := len(slices.Compact(mids)); got != 18 {
		t.Fatalf("%d messages", got)
	}
	var times []float64
	for _, e := range s.hook.all("message") {
		times = append(times, e.item["timestamp"].(float64))
	}
	if slices.IsSorted(times) {
		t.Fatal("shuffled events came in order")
	}
}

func TestARefusedEventComesAgainAndLaterOnesPassIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var refusals atomic.Int32
	s.hook.answer = func(body []byte, w http.ResponseWriter) {
		if bytes.Contains(body, []byte("first")) && refusals.Add(1) <= 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	s.page.CustomerWrites("Lan Tran", "first")
	s.page.CustomerWrites("Lan Tran", "second")
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range s.hook.all("message") {
		texts = append(texts, fmt.Sprint(in(e.item, "message", "text")))
	}
	if len(texts) != 5 || texts[0] != "first" || texts[1] != "first" || texts[4] != "first" {
		t.Fatalf("texts: %q", texts)
	}
	tries := 0
	for _, p := range s.app.Posts() {
		tries = max(tries, p.Try)
	}
	if tries != 4 || s.app.Lost() != 0 {
		t.Fatalf("%d tries, %d lost", tries, s.app.Lost())
	}
}

func TestAWebhookThatFailsForAnHourLosesThePage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var broken atomic.Bool
	broken.Store(true)
	s.hook.answer = func(_ []byte, w http.ResponseWriter) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	s.page.CustomerWrites("Lan Tran", "one")
	s.hook.wait(t, "message", 2)
	if s.page.Subscription(s.app) == nil {
		t.Fatal("the page is lost at once")
	}
	s.m.Passes(61 * time.Minute)
	if err := s.page.WaitSubscribed(within(t), s.app, false); err != nil {
		t.Fatal(err)
	}
	broken.Store(false)
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	before := len(s.hook.all("message"))
	s.page.CustomerWrites("Lan Tran", "unheard")
	if s.app.Pending() != 0 || s.app.Webhook().URL == "" {
		t.Fatal("an app without a subscription is told")
	}
	succeeded(t, graph(t, s.m, "POST", s.page.ID()+"/subscribed_apps", s.token, o{"subscribed_fields": allFields}))
	s.page.CustomerWrites("Lan Tran", "heard")
	if got := s.hook.wait(t, "message", before+1); in(got[before].item, "message", "text") != "heard" {
		t.Fatalf("after subscribing again: %v", got[before])
	}
}

func TestASlowWebhookIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := newShopAt(t, simulator.StartMessengerWith(t, simulator.MessengerOptions{RetryScale: 0.001, WebhookTimeout: 20 * time.Millisecond}))
	release := make(chan struct{})
	var first sync.Once
	s.hook.answer = func([]byte, http.ResponseWriter) { first.Do(func() { <-release }) }
	s.page.CustomerWrites("Lan Tran", "hi")
	s.hook.wait(t, "message", 2)
	close(release)
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if posts := s.app.Posts(); posts[0].Status != 0 || posts[0].Trouble != "Read timeout expired" {
		t.Fatalf("posts: %+v", posts)
	}
}

func TestAppsHearOnlyWhatBothTheyAndThePageAskedFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.page.Subscribe(s.app, "messages")
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	lan.Reads()
	s.page.Subscribe(s.app, "messages", "message_reads", "message_context")
	s.page.Tells("message_context", o{"sender": o{"id": lan.ID()}})
	lan.Reads()
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.hook.all(""); len(got) != 2 || got[1].item["read"] == nil {
		t.Fatalf("heard: %v", got)
	}
	s.app.SetLive(false)
	lan.Writes("nobody hears me")
	s.page.Customer("Tess", simulator.WithRoleIn(s.app)).Writes("testing")
	if err := s.m.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.hook.all("message"); len(got) != 2 || in(got[1].item, "message", "text") != "testing" {
		t.Fatalf("heard in development: %v", got)
	}
}

func TestWhatHappensWhileThePlatformIsDownComesLater(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.m.Down()
	s.page.CustomerWrites("Lan Tran", "hi")
	if _, err := graphTry(t, s.m, "GET", "me", s.token, nil); err == nil {
		t.Fatal("an answer came")
	}
	if len(s.hook.all("")) != 0 {
		t.Fatal("an event came")
	}
	s.m.Up()
	s.hook.wait(t, "message", 1)
}

func TestAConversationBelongsToOneAppAtATime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	bot := s.m.AddApp("Bot")
	botHook := newPageHook(t, bot)
	if err := bot.SetWebhook(within(t), botHook.URL, "let-me-in", strings.Split(allFields, ",")...); err != nil {
		t.Fatal(err)
	}
	s.person.Allows(bot, []*simulator.Page{s.page})
	botToken := s.page.Token(bot, s.person)
	s.page.Subscribe(bot, strings.Split(allFields, ",")...)
	lan := s.page.Customer("Lan Tran")

	lan.Writes("to both")
	s.hook.wait(t, "message", 1)
	if e := botHook.wait(t, "message", 1)[0]; e.list != "messaging" {
		t.Fatalf("without a default app: %v", e)
	}
	s.page.SetDefaultApp(bot)
	lan.Taps("Buy", "BUY")
	ours, theirs := s.hook.wait(t, "postback", 1)[0], botHook.wait(t, "postback", 1)[0]
	if ours.list != "standby" || in(ours.item, "postback", "payload") != nil || theirs.list != "messaging" || in(theirs.item, "postback", "payload") != "BUY" {
		t.Fatalf("ours %v, theirs %v", ours, theirs)
	}
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 2018300)
	path := func(edge string) string { return s.page.ID() + "/" + edge }
	about := o{"recipient": o{"id": lan.ID()}, "metadata": "please"}
	refusedWith(t, graph(t, s.m, "POST", path("take_thread_control"), s.token, about), 10, 0)
	succeeded(t, graph(t, s.m, "POST", path("request_thread_control"), s.token, about))
	if e := botHook.wait(t, "request_thread_control", 1)[0].item; in(e, "request_thread_control", "requested_owner_app_id") != s.app.ID() {
		t.Fatalf("request: %v", e)
	}
	succeeded(t, graph(t, s.m, "POST", path("pass_thread_control"), botToken, o{"recipient": o{"id": lan.ID()}, "target_app_id": s.app.ID()}))
	if e := s.hook.wait(t, "pass_thread_control", 1)[0].item; in(e, "pass_thread_control", "new_owner_app_id") != s.app.ID() ||
		in(e, "pass_thread_control", "previous_owner_app_id") != bot.ID() {
		t.Fatalf("pass: %v", e)
	}
	owner := graph(t, s.m, "GET", path("thread_owner"), s.token, o{"recipient": lan.ID()}).list(t)
	if in(owner[0], "thread_owner", "app_id") != s.app.ID() {
		t.Fatalf("owner: %v", owner)
	}
	succeeded(t, s.send(t, lan, o{"text": "mine now"}, nil))
	if e := botHook.wait(t, "message", 2)[1]; e.list != "standby" || in(e.item, "message", "is_echo") != true {
		t.Fatalf("the other's echo: %v", e)
	}
	succeeded(t, graph(t, s.m, "POST", path("take_thread_control"), botToken, about))
	s.hook.wait(t, "take_thread_control", 1)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 2018300)

	lan.Inbox("A person here")
	taken := s.hook.wait(t, "take_thread_control", 2)[1].item
	if in(taken, "take_thread_control", "new_owner_app_id") != simulator.PageInboxApp || lan.Owner() != simulator.PageInboxApp {
		t.Fatalf("the inbox: %v", taken)
	}
	refusedWith(t, graph(t, s.m, "POST", path("pass_thread_control"), botToken, o{"recipient": o{"id": lan.ID()}, "target_app_id": s.app.ID()}), 10, 2018300)
	lan.PassedTo(s.app.ID(), "over to you")
	refusedWith(t, graph(t, s.m, "POST", path("pass_thread_control"), s.token, o{"recipient": o{"id": lan.ID()}, "target_app_id": "99"}), 100, 2018164)
	succeeded(t, graph(t, s.m, "POST", path("release_thread_control"), s.token, about))
	if lan.Owner() != bot.ID() || len(graph(t, s.m, "GET", path("thread_owner"), s.token, o{"recipient": lan.ID()}).list(t)) != 0 {
		t.Fatalf("released to %s", lan.Owner())
	}
	lan.TakenBy(simulator.AutomatedApp)
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 10, 2018321)
	s.m.Passes(25 * time.Hour)
	lan.Writes("a day later")
	if lan.Owner() != bot.ID() {
		t.Fatalf("owner after a day: %q", lan.Owner())
	}
}

func TestReceiversAndFeaturesAreReadable(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.WithLegacyHandover(), simulator.WithOwnerCode2534037())
	bot := s.m.AddApp("Bot")
	s.page.SetReceivers(bot, s.app)
	if e := s.hook.wait(t, "app_roles", 1)[0].item; e["sender"] != nil || fmt.Sprint(in(e, "app_roles", bot.ID())) != "[primary_receiver]" {
		t.Fatalf("roles: %v", e)
	}
	got := graph(t, s.m, "GET", s.page.ID()+"/secondary_receivers", s.token, nil).list(t)
	if len(got) != 1 || got[0]["id"] != s.app.ID() {
		t.Fatalf("receivers: %v", got)
	}
	r := succeeded(t, graph(t, s.m, "GET", "me", s.token, o{"fields": "messaging_feature_status"}))
	if in(r.body, "messaging_feature_status", "hop_v2") != false {
		t.Fatalf("features: %s", r.raw)
	}
	lan := s.page.Customer("Lan Tran")
	lan.Writes("hi")
	refusedWith(t, s.send(t, lan, o{"text": "x"}, nil), 100, 2534037)
	other := lan.AnsweredBy(bot, "beep", "robot")
	echo := s.hook.wait(t, "message", 2)[1]
	if echo.list != "standby" || in(echo.item, "message", "metadata") != "robot" || in(echo.item, "message", "mid") != other.ID {
		t.Fatalf("echo: %v", echo)
	}
}

func TestTheDashboardsTestComesFromNoPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if p := s.app.Test(within(t), "messages"); !p.Accepted() {
		t.Fatalf("posted: %+v", p)
	}
	if got := s.hook.all(""); len(got) != 1 || got[0].page != "0" || got[0].list != "changes" || in(got[0].item, "field") != "messages" {
		t.Fatalf("events: %v", got)
	}
}

func TestIdsMayBeNumbers(t *testing.T) {
	t.Parallel()
	s := newShopAt(t, simulator.StartMessengerWith(t, simulator.MessengerOptions{RetryScale: 0.001, NumberIDs: true}))
	written := s.page.CustomerWrites("Lan Tran", "hi")
	s.hook.wait(t, "message", 1)
	if want := []byte(`"sender":{"id":` + written.Customer.ID() + `}`); !bytes.Contains(s.hook.bodies[0], want) {
		t.Fatalf("body: %s", s.hook.bodies[0])
	}
}

func TestTheMessengerDemosCustomersWriteReadAndAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.m.Demo(ctx, s.page, simulator.DemoOptions{Every: time.Millisecond})
	}()
	s.hook.wait(t, "message", 20)
	var c *simulator.PageCustomer
	for _, name := range []string{"Olivia Bennett", "Nguyễn Thị Lan", "Marcus Reid", "Priya Nair", "王小明", "林怡君"} {
		if candidate := s.page.Customer(name); s.send(t, candidate, o{"text": "How can I help?"}, nil).status == 200 {
			c = candidate
			break
		}
	}
	if c == nil {
		t.Fatal("nobody can be answered")
	}
	reads := s.hook.wait(t, "read", 1)
	if in(reads[0].item, "sender", "id") != c.ID() {
		t.Fatalf("read by somebody else: %v", reads)
	}
	s.hook.wait(t, "reaction", 1)
	s.hook.wait(t, "message_edit", 1)
	cancel()
	<-ended
}

func TestClosingEndsEverythingThatWaits(t *testing.T) {
	t.Parallel()
	m := simulator.NewMessenger(simulator.MessengerOptions{})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err == nil {
		t.Fatal("a closed look-alike was started")
	}
	m = simulator.NewMessenger(simulator.MessengerOptions{})
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	s := newShopAt(t, m)
	s.hook.answer = func(_ []byte, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
	for i := range 20 {
		s.page.CustomerWrites(fmt.Sprint("Customer ", i), "hi")
	}
	s.hook.wait(t, "message", 40) // each waits half a minute now
	m.FailNext("me", simulator.GraphFailure{Hang: true})
	ended := make(chan error, 1)
	go func() {
		_, err := graphTry(t, m, "GET", "me", s.token, nil)
		ended <- err
	}()
	if _, err := m.WaitCalls(within(t), "me", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err == nil {
		t.Fatal("an answer came from a closed look-alike")
	}
}

func FuzzGraphAnswersWhateverIsAsked(f *testing.F) {
	m := simulator.NewMessenger(simulator.MessengerOptions{})
	f.Cleanup(func() { _ = m.Close() })
	app, mai, page := m.AddApp("Causeway"), m.AddPerson("Mai"), m.AddPage("Shop")
	page.Appoints(mai)
	user := mai.Allows(app, []*simulator.Page{page})
	lan := page.Customer("Lan")
	lan.Writes("hi")
	token := page.Token(app, mai)
	for _, seed := range []string{
		"me/messages", "me/accounts", "me", "v25.0/" + page.ID(), page.ID() + "/conversations", lan.ID(), "debug_token", "oauth/access_token",
		"v25.0/dialog/oauth", "v25.0", page.ID() + "/pass_thread_control", app.ID() + "/subscriptions", "cdn/v/1/2", "",
	} {
		f.Add("POST", seed, `{"recipient":{"id":"`+lan.ID()+`"},"message":{"text":"x"}}`, "name,picture.limit(2){url},messages{id}")
		f.Add("GET", seed, "", "a{b{c},d.x(}")
	}
	f.Fuzz(func(t *testing.T, method, path, body, fields string) {
		for _, bearer := range []string{token, user, app.Token()} {
			request, err := http.NewRequest(method, "http://graph.test/x", strings.NewReader(body))
			if err != nil {
				return
			}
			request.URL.Path = "/" + path
			query := request.URL.Query()
			query.Set("fields", fields)
			query.Set("limit", fields)
			query.Set("after", fields)
			request.URL.RawQuery = query.Encode()
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+bearer)
			w := httptest.NewRecorder()
			m.ServeHTTP(w, request)
			if w.Code < 200 || w.Code > 599 {
				t.Fatalf("%s %s: %d", method, path, w.Code)
			}
			if bytes.Contains(w.Body.Bytes(), []byte(app.Secret())) && bearer != app.Token() {
				t.Fatalf("%s %s tells the secret", method, path)
			}
		}
	})
}

func FuzzEscapedBodiesSayTheSame(f *testing.F) {
	f.Add("chào 👋 </b>")
	f.Add("\u2028\x7f\x00")
	f.Fuzz(func(t *testing.T, text string) {
		body := simulator.EscapeAsFacebook(map[string]any{"text": text})
		var got, want map[string]string
		plain, _ := json.Marshal(map[string]any{"text": text})
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := json.Unmarshal(plain, &want); err != nil || got["text"] != want["text"] {
			t.Fatalf("%q became %q", want["text"], got["text"])
		}
		if i := bytes.IndexFunc(body, func(r rune) bool { return r > 127 }); i >= 0 {
			t.Fatalf("a byte beyond ASCII: %s", body)
		}
	})
}
