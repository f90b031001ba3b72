package simulator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

func TestTheDemosCustomersWriteAndAnswer(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	var (
		mu        sync.Mutex
		languages = map[string]bool{}
		contents  = map[string]bool{}
		answer    sync.Once
		customer  = make(chan int64, 1)
	)
	enough := make(chan struct{})
	h := newHook(t, func(update map[string]any, _ http.ResponseWriter) {
		mu.Lock()
		defer mu.Unlock()
		for kind := range update {
			contents[kind] = true
		}
		m, _ := update["message"].(map[string]any)
		from, _ := m["from"].(map[string]any)
		chat, _ := m["chat"].(map[string]any)
		if language, _ := from["language_code"].(string); chat["type"] == "private" {
			languages[language] = true
			answer.Do(func() { customer <- int64(chat["id"].(float64)) })
		}
		for key := range m {
			contents[key] = true
		}
		if contents["chat "+strings.TrimSpace(asText(chat["type"]))] = true; len(languages) == 5 &&
			contents["photo"] && contents["edited_message"] && contents["reply_to_message"] && contents["voice"] &&
			contents["media_group_id"] && contents["chat group"] && contents["message_reaction"] {
			select {
			case <-enough:
			default:
				close(enough)
			}
		}
	})
	worked(t, call(t, tg, b.Token(), "setWebhook", o{
		"url": h.URL, "allowed_updates": []string{"message", "edited_message", "my_chat_member", "message_reaction"},
	}))
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tg.Demo(ctx, b, simulator.DemoOptions{Every: 2 * time.Millisecond})
	}()
	worked(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": <-customer, "text": "How can I help?"}))
	select {
	case <-enough:
	case <-ctx.Done():
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("languages %v, contents %v", languages, contents)
	}
	cancel()
	<-ended
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

func TestTheSameSeedTellsTheSameStories(t *testing.T) {
	t.Parallel()
	told := func() []string {
		clock := &turned{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), made: make(chan time.Duration, 10_000)}
		tg := simulator.NewTelegram(simulator.Options{Clock: clock, Seed: 7})
		defer tg.Close()
		if err := tg.Start(); err != nil {
			t.Fatal(err)
		}
		b := tg.AddBot("shop_bot", "Shop")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			tg.Demo(within(t), b, simulator.DemoOptions{Every: time.Second, Seed: 7})
		}()
		var updates []map[string]any
		for len(updates) < 30 {
			select {
			case d := <-clock.made:
				clock.turn(d)
			case <-within(t).Done():
				t.Fatal("the demo stands still")
			}
			if err := json.Unmarshal(worked(t, call(t, tg, b.Token(), "getUpdates", o{})).Result, &updates); err != nil {
				t.Fatal(err)
			}
		}
		tg.Close()
		<-ended
		var texts []string
		for _, update := range updates[:30] {
			texts = append(texts, text(update))
		}
		return texts
	}
	if one, two := told(), told(); !reflect.DeepEqual(one, two) {
		t.Fatalf("%q\nand\n%q", one, two)
	}
}

// turning turns the clock from wait to wait until the bot was told enough.
func turning(t *testing.T, clock *turned, tg *simulator.Telegram, b *simulator.Bot, enough func(updates []map[string]any) bool) {
	t.Helper()
	for {
		var updates []map[string]any
		if err := json.Unmarshal(worked(t, call(t, tg, b.Token(), "getUpdates", o{})).Result, &updates); err != nil {
			t.Fatal(err)
		}
		if enough(updates) {
			return
		}
		select {
		case d := <-clock.made:
			clock.turn(d)
		case <-within(t).Done():
			t.Fatalf("the demo stands still after %v", updates)
		}
	}
}

func TestACustomerOfTheDemoThanksOnceForSeveralPictures(t *testing.T) {
	t.Parallel()
	clock := &turned{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), made: make(chan time.Duration, 10_000)}
	tg := simulator.NewTelegram(simulator.Options{Clock: clock, Seed: 3})
	defer tg.Close()
	if err := tg.Start(); err != nil {
		t.Fatal(err)
	}
	b := tg.AddBot("shop_bot", "Shop")
	ended := make(chan struct{})
	defer func() { tg.Close(); <-ended }()
	go func() {
		defer close(ended)
		tg.Demo(within(t), b, simulator.DemoOptions{Every: time.Second, Seed: 3})
	}()
	var chat string
	turning(t, clock, tg, b, func(updates []map[string]any) bool {
		for _, u := range updates {
			if m, ok := u["message"].(map[string]any); ok && at(t, m, "chat", "type") == "private" {
				chat = jsonNumber(int64(at(t, m, "chat", "id").(float64)))
			}
		}
		return chat != ""
	})
	first := worked(t, upload(t, tg, b.Token(), "sendPhoto", map[string]string{"chat_id": chat}, "photo", "p.png", drawn(t, 90, 90))).into(t)
	for range 4 {
		worked(t, call(t, tg, b.Token(), "sendPhoto", o{"chat_id": chat, "photo": at(t, first, "photo", 0, "file_id")}))
	}
	thanks := func(updates []map[string]any) (n int) {
		for _, u := range updates {
			for _, words := range []string{"Thanks for the picture", "Ảnh đẹp", "Спасибо за фото", "謝謝你的照片", "谢谢发来的图片"} {
				if strings.Contains(text(u), words) {
					n++
				}
			}
		}
		return n
	}
	turning(t, clock, tg, b, func(updates []map[string]any) bool { return thanks(updates) > 0 })
	turning(t, clock, tg, b, func(updates []map[string]any) bool {
		if n := thanks(updates); n != 1 {
			t.Fatalf("the customer thanked %d times", n)
		}
		return len(updates) > 20
	})
}
