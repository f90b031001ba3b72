package simulator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

func TestSetWebhookRefusesWhatTelegramRefuses(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	_ = closed.Close()

	for name, c := range map[string]struct {
		cloud  bool
		params o
		want   string
	}{
		"no host":          {false, o{"url": "https:///x"}, "invalid webhook URL specified"},
		"no scheme":        {false, o{"url": "example"}, "invalid webhook URL specified"},
		"long secret":      {false, o{"url": nobody, "secret_token": strings.Repeat("a", 257)}, "secret token is too long"},
		"strange secret":   {false, o{"url": nobody, "secret_token": "a b"}, "secret token contains unallowed characters"},
		"nobody listens":   {false, o{"url": nobody}, "bad webhook: Connection refused"},
		"not a list":       {false, o{"url": nobody, "allowed_updates": "x"}, "can't parse allowed updates JSON object"},
		"http on cloud":    {true, o{"url": "http://shop.example"}, "bad webhook: An HTTPS URL must be provided for webhook"},
		"port on cloud":    {true, o{"url": "https://shop.example:8080"}, "Webhook can be set up only on ports 80, 88, 443 or 8443"},
		"private on cloud": {true, o{"url": "https://10.0.0.1"}, "IP address 10.0.0.1 is reserved"},
		"ipv6 on cloud":    {true, o{"url": "https://[2001:db8::1]"}, "IPv6-only addresses are not allowed"},
		"bad ip_address":   {true, o{"url": "https://shop.example", "ip_address": "x"}, "Invalid IP address specified"},
		"unknown host":     {true, o{"url": "https://shop.example"}, "Failed to resolve host: Name or service not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tg := simulator.NewTelegram(simulator.Options{Cloud: c.cloud, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "shop.example") {
					return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}})
			defer tg.Close()
			if err := tg.Start(); err != nil {
				t.Fatal(err)
			}
			b := tg.AddBot("shop_bot", "Shop")
			refused(t, call(t, tg, b.Token(), "setWebhook", c.params), 400, c.want)
		})
	}
}

func TestWebhookSettingsAreKeptAndTold(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	h := newHook(t, nil)
	if info := worked(t, call(t, tg, b.Token(), "getWebhookInfo", o{})).into(t); info["url"] != "" || info["pending_update_count"] != 0.0 {
		t.Fatalf("info without a webhook: %v", info)
	}
	params := o{"url": h.URL + "/tg", "secret_token": "s3cret", "max_connections": 7, "allowed_updates": []string{"message"}}
	if r := worked(t, call(t, tg, b.Token(), "setWebhook", params)); r.Description != "Webhook was set" {
		t.Fatal(r.Description)
	}
	if r := worked(t, call(t, tg, b.Token(), "setWebhook", params)); r.Description != "Webhook is already set" {
		t.Fatal(r.Description)
	}
	info := worked(t, call(t, tg, b.Token(), "getWebhookInfo", o{})).into(t)
	if info["url"] != h.URL+"/tg" || info["max_connections"] != 7.0 || fmt.Sprint(info["allowed_updates"]) != "[message]" {
		t.Fatalf("info: %v", info)
	}
	if set := b.Webhook(); set.Secret != "s3cret" || set.URL != h.URL+"/tg" {
		t.Fatalf("webhook: %+v", set)
	}
	lan := tg.Customer("Lan", "vi")
	ref := lan.Writes(b, "xin chào 🥰")
	if update := lan.Blocks(b); update != 0 {
		t.Fatal("my_chat_member was told to a bot that does not want it")
	}
	if err := b.WaitDelivered(within(t), ref.Update); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	header := h.headers[0]
	h.mu.Unlock()
	if header.Get("X-Telegram-Bot-Api-Secret-Token") != "s3cret" || header.Get("Content-Type") != "application/json" {
		t.Fatalf("header %v", header)
	}
	if text(h.got()[0]) != "xin chào 🥰" {
		t.Fatalf("update %v", h.got()[0])
	}
	if r := worked(t, call(t, tg, b.Token(), "deleteWebhook", o{})); r.Description != "Webhook was deleted" {
		t.Fatal(r.Description)
	}
	if r := worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": ""})); r.Description != "Webhook is already deleted" {
		t.Fatal(r.Description)
	}
}

func TestSetWebhookMoreThanOncePerSecondHasToWait(t *testing.T) {
	t.Parallel()
	tg := simulator.NewTelegram(simulator.Options{Limits: true})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	h := newHook(t, nil)
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	refused(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL + "/other"}), 429, "retry after 1")
}

func TestAChatStaysInOrderWhenItsUpdatesFailWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	var mu sync.Mutex
	failures := map[string]int{"a1": 3, "a2": 1}
	freed := make(chan struct{})
	h := newHook(t, func(update map[string]any, w http.ResponseWriter) {
		said := text(update)
		if said == "a1" {
			<-freed // until b is through
		}
		if said == "b2" {
			close(freed)
		}
		mu.Lock()
		defer mu.Unlock()
		if failures[said] > 0 {
			failures[said]--
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	ana, ben := tg.Customer("Ana", "en"), tg.Customer("Ben", "en")
	first := ana.Writes(b, "a1")
	ana.Writes(b, "a2")
	ana.Writes(b, "a3")
	ben.Writes(b, "b1")
	ben.Writes(b, "b2")
	if err := tg.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	var ofAna, ofBen []string
	for _, update := range h.got() {
		if said := text(update); said[0] == 'a' {
			ofAna = append(ofAna, said)
		} else {
			ofBen = append(ofBen, said)
		}
	}
	if fmt.Sprint(ofAna) != "[a1 a1 a1 a1 a2 a2 a3]" || fmt.Sprint(ofBen) != "[b1 b2]" {
		t.Fatalf("ana %v, ben %v", ofAna, ofBen)
	}
	var statuses []int
	for _, a := range b.Answers(first.Update) {
		statuses = append(statuses, a.Status)
	}
	if fmt.Sprint(statuses) != "[500 500 500 200]" {
		t.Fatalf("answers %v", statuses)
	}
	info := worked(t, call(t, tg, b.Token(), "getWebhookInfo", o{})).into(t)
	if info["last_error_message"] != "Wrong response from the webhook: 500 Internal Server Error" || info["last_error_date"] == 0.0 {
		t.Fatalf("info %v", info)
	}
}

func TestNoMoreConnectionsThanAskedFor(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	var mu sync.Mutex
	now, most := 0, 0
	full := make(chan struct{})
	h := newHook(t, func(map[string]any, http.ResponseWriter) {
		mu.Lock()
		now++
		most = max(most, now)
		if now == 3 {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full
		mu.Lock()
		now--
		mu.Unlock()
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL, "max_connections": 3}))
	for i := range 12 {
		tg.Customer(fmt.Sprint("C", i), "en").Writes(b, "hi")
	}
	if err := tg.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if most != 3 {
		t.Fatalf("%d at once", most)
	}
}

func TestRetriesFollowTelegramsScheduleAndRetryAfter(t *testing.T) {
	t.Parallel()
	clock := &turned{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), made: make(chan time.Duration, 100)}
	tg := simulator.NewTelegram(simulator.Options{Clock: clock, WebhookTimeout: time.Hour * 100})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	var tries int
	h := newHook(t, func(_ map[string]any, w http.ResponseWriter) {
		tries++ // one at a time
		switch tries {
		case 5:
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 12:
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	ref := tg.Customer("Lan", "vi").Writes(b, "hi")
	want := []time.Duration{2, 4, 8, 90, 32, 64} // the first again is at once
	for i, seconds := range want {
		pause := next(t, clock)
		most := seconds * time.Second
		if i == len(want)-1 {
			if pause < time.Minute || pause > most { // capped at random between one and two minutes
				t.Fatalf("pause %d is %v", i, pause)
			}
		} else if pause != most {
			t.Fatalf("pause %d is %v, not %v", i, pause, most)
		}
		clock.turn(pause)
	}
	for tries := 8; tries < 12; tries++ {
		pause := next(t, clock)
		if pause < time.Minute || pause > 2*time.Minute {
			t.Fatalf("a late pause is %v", pause)
		}
		clock.turn(pause)
	}
	if err := ref.WaitDelivered(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAnUpdateIsDroppedAfterADay(t *testing.T) {
	t.Parallel()
	clock := &turned{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), made: make(chan time.Duration, 100)}
	tg := simulator.NewTelegram(simulator.Options{Clock: clock})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	lan.Writes(b, "old")
	clock.turn(24 * time.Hour)
	lan.Writes(b, "new")
	if info := worked(t, call(t, tg, b.Token(), "getWebhookInfo", o{})).into(t); info["pending_update_count"] != 1.0 {
		t.Fatalf("info %v", info)
	}
	h := newHook(t, nil)
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	if err := tg.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := h.got(); len(got) != 1 || text(got[0]) != "new" {
		t.Fatalf("got %v", got)
	}
}

func TestAWebhookThatIsGoneForADayIsRemoved(t *testing.T) {
	t.Parallel()
	clock := &turned{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), made: make(chan time.Duration, 100)}
	tg := simulator.NewTelegram(simulator.Options{Clock: clock, WebhookTimeout: 100 * time.Hour})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	h := newHook(t, func(_ map[string]any, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	tg.Customer("Lan", "vi").Writes(b, "hi")
	next(t, clock)
	clock.turn(23*time.Hour + time.Minute)
	if err := b.WaitWebhook(within(t), false); err != nil {
		t.Fatal(err)
	}
	if info := worked(t, call(t, tg, b.Token(), "getWebhookInfo", o{})).into(t); info["url"] != "" || info["pending_update_count"] != 1.0 {
		t.Fatalf("info %v", info)
	}
}

func TestAWebhookThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	tg := simulator.NewTelegram(simulator.Options{RetryScale: 0.001, WebhookTimeout: 50 * time.Millisecond})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	var once sync.Once
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		once.Do(func() { <-r.Context().Done() }) // until Telegram hangs up
	}))
	defer h.Close()
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	ref := tg.Customer("Lan", "vi").Writes(b, "hi")
	if err := ref.WaitDelivered(within(t)); err != nil {
		t.Fatal(err)
	}
	answers := b.Answers()
	if len(answers) < 2 || answers[0].Status != 0 || answers[0].Trouble != "Read timeout expired" {
		t.Fatalf("answers %+v", answers)
	}
}

func TestAWebhookAnswersWithAMethod(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	h := newHook(t, func(_ map[string]any, w http.ResponseWriter) {
		fmt.Fprintf(w, `{"method":"sendMessage","chat_id":%d,"text":"in the answer"}`, lan.ID())
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	lan.Writes(b, "hi")
	sent, err := b.WaitSent(within(t), lan.ID(), 1)
	if err != nil || sent[0].Text != "in the answer" {
		t.Fatalf("%v %v", sent, err)
	}
}

func TestTheSameUpdateComesManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	var mu sync.Mutex
	waiting, all := 0, make(chan struct{})
	h := newHook(t, func(update map[string]any, _ http.ResponseWriter) {
		if text(update) == "alone" {
			return
		}
		mu.Lock()
		if waiting++; waiting == 5 {
			close(all)
		}
		mu.Unlock()
		<-all // all five are here at the same time
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	id, answers, err := b.DeliverAtOnce(within(t), o{"message": o{
		"message_id": 1, "date": 1790000000, "chat": o{"id": 42, "type": "private", "first_name": "Lan"}, "text": "five",
	}}, 5)
	if err != nil || len(answers) != 5 {
		t.Fatalf("%v %v", answers, err)
	}
	if err := b.WaitDelivered(within(t), id); err != nil {
		t.Fatal(err)
	}
	ref := tg.Customer("Lan", "vi").Writes(b, "alone")
	if err := ref.WaitDelivered(within(t)); err != nil {
		t.Fatal(err)
	}
	again, err := b.Redeliver(within(t), ref.Update, 3)
	if err != nil || len(again) != 3 || again[0].Status != 200 {
		t.Fatalf("%v %v", again, err)
	}
	counts := map[float64]int{}
	for _, update := range h.got() {
		counts[update["update_id"].(float64)]++
	}
	if counts[float64(id)] != 5 || counts[float64(ref.Update)] != 4 {
		t.Fatalf("counts %v", counts)
	}
}

func TestAnythingCanBeDelivered(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	h := newHook(t, nil)
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL, "allowed_updates": []string{"message"}}))
	one, err := b.Deliver([]byte(`{"update_id":77,"brand_new":{"chat":{"id":5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Deliver(o{"message": 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WaitDelivered(within(t), one, two); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, update := range h.got() {
		for kind := range update {
			if kind != "update_id" {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	if one != 77 || fmt.Sprint(kinds) != "[brand_new message]" {
		t.Fatalf("%d %v", one, kinds)
	}
	if _, err := b.Deliver([]byte("[")); err == nil {
		t.Fatal("broken JSON was taken")
	}
}

func TestDroppingPendingUpdatesForgetsThem(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	lan.Writes(b, "forgotten")
	h := newHook(t, nil)
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL, "drop_pending_updates": true}))
	if err := lan.Writes(b, "kept").WaitDelivered(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := h.got(); len(got) != 1 || text(got[0]) != "kept" {
		t.Fatalf("got %v", got)
	}
}
