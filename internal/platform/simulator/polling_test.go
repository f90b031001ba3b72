package simulator_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"causeway/internal/platform/simulator"
)

// polled are the texts of the updates that one getUpdates gave, and the last id.
func polled(t *testing.T, r reply) (texts []string, last int64) {
	t.Helper()
	var updates []map[string]any
	if err := json.Unmarshal(worked(t, r).Result, &updates); err != nil {
		t.Fatal(err)
	}
	for _, update := range updates {
		texts = append(texts, text(update))
		last = int64(update["update_id"].(float64))
	}
	return texts, last
}

func TestPollingRepeatsUntilAnOffsetConfirms(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	var refs []simulator.MessageRef
	for i := range 5 {
		refs = append(refs, lan.Writes(b, fmt.Sprint(i)))
	}
	for range 2 {
		if texts, _ := polled(t, call(t, tg, b.Token(), "getUpdates", o{"limit": 2})); fmt.Sprint(texts) != "[0 1]" {
			t.Fatalf("got %v", texts)
		}
	}
	if texts, _ := polled(t, call(t, tg, b.Token(), "getUpdates", o{"offset": refs[1].Update + 1})); fmt.Sprint(texts) != "[2 3 4]" {
		t.Fatalf("got %v", texts)
	}
	if err := b.WaitDelivered(within(t), refs[0].Update, refs[1].Update); err != nil {
		t.Fatal(err)
	}
	if b.Pending() != 3 {
		t.Fatalf("%d wait", b.Pending())
	}
	texts, last := polled(t, call(t, tg, b.Token(), "getUpdates", o{"offset": -1}))
	if fmt.Sprint(texts) != "[4]" {
		t.Fatalf("a negative offset gave %v", texts)
	}
	if texts, _ := polled(t, call(t, tg, b.Token(), "getUpdates", o{"offset": last + 1})); len(texts) != 0 {
		t.Fatalf("got %v", texts)
	}
	if err := tg.Idle(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestALongPollAnswersWhenSomethingHappens(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	got := make(chan reply, 1)
	go func() { got <- call(t, tg, b.Token(), "getUpdates", o{"timeout": 50}) }()
	if err := b.WaitPolled(within(t)); err != nil {
		t.Fatal(err)
	}
	tg.Customer("Lan", "vi").Writes(b, "hello")
	if texts, _ := polled(t, <-got); fmt.Sprint(texts) != "[hello]" {
		t.Fatalf("got %v", texts)
	}
}

func TestALongPollComesBackEmptyInTheEnd(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	if texts, _ := polled(t, call(t, tg, b.Token(), "getUpdates", o{"timeout": 1})); len(texts) != 0 {
		t.Fatalf("got %v", texts)
	}
}

func TestOnlyOneReceivesABotsUpdates(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	h := newHook(t, nil)

	first := make(chan reply, 1)
	go func() { first <- call(t, tg, b.Token(), "getUpdates", o{"timeout": 50}) }()
	if err := b.WaitPolled(within(t)); err != nil {
		t.Fatal(err)
	}
	polled(t, call(t, tg, b.Token(), "getUpdates", o{}))
	refused(t, <-first, 409, "terminated by other getUpdates request")

	go func() { first <- call(t, tg, b.Token(), "getUpdates", o{"timeout": 50}) }()
	if err := b.WaitPolled(within(t)); err != nil {
		t.Fatal(err)
	}
	worked(t, call(t, tg, b.Token(), "setWebhook", o{"url": h.URL}))
	refused(t, <-first, 409, "terminated by setWebhook request")
	refused(t, call(t, tg, b.Token(), "getUpdates", o{}), 409, "can't use getUpdates method while webhook is active")
	worked(t, call(t, tg, b.Token(), "deleteWebhook", o{}))
	polled(t, call(t, tg, b.Token(), "getUpdates", o{}))
}

func TestALongPollIsCutOffWhenTelegramGoesDown(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	failed := make(chan error, 1)
	go func() {
		_, err := post(t, tg, b.Token(), "getUpdates", o{"timeout": 50})
		failed <- err
	}()
	if err := b.WaitPolled(within(t)); err != nil {
		t.Fatal(err)
	}
	tg.Down()
	if <-failed == nil {
		t.Fatal("answered while down")
	}
}

func TestOnlyWantedUpdatesAreMade(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	ref := lan.Writes(b, "one")
	if lan.Reacts(ref, "👍") != 0 {
		t.Fatal("reactions are not told unless asked for")
	}
	polled(t, call(t, tg, b.Token(), "getUpdates", o{"allowed_updates": []string{"message", "message_reaction"}}))
	if lan.Reacts(ref, "🔥") == 0 || lan.Edits(ref, "two").Update != 0 {
		t.Fatal("allowed_updates are not followed")
	}
	polled(t, call(t, tg, b.Token(), "getUpdates", o{"allowed_updates": []string{}}))
	if lan.Reacts(ref) != 0 || lan.Edits(ref, "three").Update == 0 {
		t.Fatal("an empty list does not mean the default ones")
	}
}
