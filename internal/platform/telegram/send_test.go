package telegram_test

import (
	"strconv"
	"strings"
	"testing"

	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/platform/telegram"
)

func TestATextGoesOutAsItWasTyped(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	bot := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	lan := tg.Customer("Lan", "vi")
	asked := lan.Writes(bot, "Hello?")
	client := telegram.New(tg.URL(), bot.Token(), nil)
	chat := strconv.FormatInt(lan.ID(), 10)

	const text = "*Yes* <b>and</b> [no](x)"
	sent, err := client.Send(t.Context(), platform.Outgoing{Chat: chat, Text: text, ReplyTo: chat + "/" + strconv.FormatInt(asked.ID, 10)})
	if err != nil {
		t.Fatal(err)
	}
	got := lan.Received(bot)
	if len(got) != 1 || got[0].Text != text || got[0].ReplyTo != asked.ID {
		t.Fatalf("Lan got %v", got)
	}
	if sent.ID != chat+"/"+strconv.FormatInt(got[0].ID, 10) || sent.At.IsZero() {
		t.Errorf("it was sent as %v", sent)
	}
	params := tg.Calls("sendMessage")[0].Params
	if _, marked := params["parse_mode"]; marked {
		t.Errorf("the call has a parse_mode: %v", params)
	}

	// What it answers is gone, or is another chat's.
	for _, answered := range []string{chat + "/99999", "-1/" + strconv.FormatInt(asked.ID, 10), "nonsense"} {
		if _, err := client.Send(t.Context(), platform.Outgoing{Chat: chat, Text: "again", ReplyTo: answered}); err != nil {
			t.Errorf("answering %s: %v", answered, err)
		}
	}
}

func TestATextGoesIntoItsTopic(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	bot := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	client := telegram.New(tg.URL(), bot.Token(), nil)
	tg.FailNext("sendMessage", simulator.Failure{Times: 3})
	for chat, thread := range map[string]string{"-100:4": "4", "-100:1": "", "-100": ""} {
		before := len(tg.Calls("sendMessage"))
		_, _ = client.Send(t.Context(), platform.Outgoing{Chat: chat, Text: "Hello"})
		params := tg.Calls("sendMessage")[before].Params
		if params["chat_id"] != "-100" || params["message_thread_id"] != thread {
			t.Errorf("%s is sent to %v", chat, params)
		}
	}
}

func TestASendThatGotNoAnswerMayHaveArrived(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	bot := tg.AddBot("shop_bot", "Shop")
	lan := tg.Customer("Lan", "vi")
	lan.Writes(bot, "Hello?")
	client := telegram.New(tg.URL(), bot.Token(), nil)
	for name, try := range map[string]struct {
		failure simulator.Failure
		kind    platform.RefusalKind
		sent    bool
	}{
		"hung up":         {simulator.Failure{Lost: true}, platform.Unreachable, true},
		"a page with 200": {simulator.Failure{Status: 200, HTML: true}, platform.Unreachable, true},
		"a gateway":       {simulator.Failure{Status: 502, HTML: true}, platform.Unavailable, true},
		"blocked":         {simulator.Failure{Status: 403}, platform.Blocked, true},
		"too many":        {simulator.Failure{RetryAfter: 7}, platform.RetryAfter, true},
		"upgraded":        {simulator.Failure{MigrateTo: -1007}, platform.Rejected, true},
	} {
		tg.FailNext("sendMessage", try.failure)
		_, err := client.Send(t.Context(), platform.Outgoing{Chat: strconv.FormatInt(lan.ID(), 10), Text: name})
		r := platform.Refused(err)
		if r == nil || r.Kind != try.kind || r.Sent != try.sent || strings.Contains(err.Error(), bot.Token()) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if (r.MovedTo == "-1007") != (name == "upgraded") {
			t.Errorf("%s: moved to %q", name, r.MovedTo)
		}
	}
	_, err := client.Send(t.Context(), platform.Outgoing{Chat: "nobody", Text: "Hello"})
	if r := platform.Refused(err); r == nil || r.Kind != platform.Rejected || r.Sent {
		t.Errorf("a chat that is no number: %v", err)
	}
}
