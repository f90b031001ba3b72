package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"testing"

	"causeway/internal/platform/simulator"
)

func TestWithoutAPublicAddressTheAgentSeesWhatWasFetched(t *testing.T) {
	t.Parallel()
	s := opensShop(t, polling)
	if hook := s.bot.Webhook(); hook.URL != "" {
		t.Fatalf("a webhook was set: %v", hook)
	}
	lan := s.telegram.Customer("Lan", "vi")
	for n := range 5 {
		lan.Writes(s.bot, fmt.Sprint("message ", n))
	}
	for n := range 5 {
		if m := s.added.message(); m.text("text") != fmt.Sprint("message ", n) {
			t.Errorf("instead of message %d the agent saw %v", n, m)
		}
	}
	if err := s.bot.WaitDelivered(t.Context()); err != nil {
		t.Error(err)
	}
	hook := s.admin().gets(`query($id: ID!) { connection(id: $id) { webhook { delivery url status } } }`, data{"id": s.connection}).at("connection", "webhook")
	if hook.text("delivery") != "POLLING" || hook["url"] != nil || hook.text("status") != "ACTIVE" {
		t.Errorf("the connection says %v", hook)
	}
}

func TestAnUpdateStoredButNotConfirmedWhenTheProgramIsKilledIsThereOnce(t *testing.T) {
	t.Parallel()
	s := spawn(t, simulator.StartTelegram(t), "--data", t.TempDir())
	campaign := s.campaign("Shop")
	bot, connection := s.bot(campaign, "shop_bot")
	agent := s.admin().collects(campaign, s.cursor(campaign))
	if err := bot.WaitPolled(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The poll that waits brings the update. The next one, which would confirm it, gets
	// nowhere.
	s.telegram.FailNext("getUpdates", simulator.Failure{Hang: true})
	lan := s.telegram.Customer("Lan", "vi")
	lan.Writes(bot, "1/1")
	if err := agent.until(agent.has(1)); err != nil {
		t.Fatal(err)
	}
	if bot.Pending() != 1 {
		t.Fatalf("%d updates are not confirmed instead of one", bot.Pending())
	}
	s.ends(syscall.SIGKILL)

	s.run()
	lan.Writes(bot, "1/2")
	agent.who = s.admin()
	if err := agent.until(agent.has(2)); err != nil {
		t.Fatal(err)
	}
	if err := bot.WaitDelivered(t.Context()); err != nil {
		t.Error(err)
	}
	if err := inOrderOnce(agent.texts, 1, 1, 2); err != nil {
		t.Error(err)
	}
	if logs := s.processed(connection, 2); logs["PROCESSED"] != 2 {
		t.Errorf("the logs are %v", logs)
	}
}

// anotherProgram calls the Bot API with the same token.
func anotherProgram(ctx context.Context, telegram *simulator.Telegram, bot *simulator.Bot, method string, parameters url.Values) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, telegram.URL()+"/bot"+bot.Token()+"/"+method+"?"+parameters.Encode(), nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// tellsOfTakeover waits until the connection says that another program has the bot.
func (p *program) tellsOfTakeover(connection string) {
	p.t.Helper()
	eventually(p.t, "the takeover is told", func() error {
		c := p.admin().gets(`query($id: ID!) { connection(id: $id) { status problem { code } webhook { status problem { code message solutions } } } }`,
			data{"id": connection}).at("connection")
		if c.at("webhook", "problem").text("code") != "WEBHOOK_TAKEN_OVER" || c.at("webhook").text("status") != "ERROR" ||
			c.at("problem").text("code") != "WEBHOOK_TAKEN_OVER" || c.text("status") != "ERROR" {
			return fmt.Errorf("%v", c)
		}
		return nil
	})
}

func TestAnotherProgramThatFetchesIsNoticedAndToldAndNotFought(t *testing.T) {
	t.Parallel()
	p := begin(t, polling)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	agent := p.admin().opens()
	agent.subscribes(`subscription($c: ID!, $a: Cursor) { connectionUpdated(campaignId: $c, after: $a) { connection { status problem { code } } } }`,
		data{"c": campaign, "a": p.cursor(campaign)})
	if err := bot.WaitPolled(t.Context()); err != nil {
		t.Fatal(err)
	}
	lan := p.telegram.Customer("Lan", "vi")
	theirs := make(chan string, 1)
	go func() {
		_, body, err := anotherProgram(t.Context(), p.telegram, bot, "getUpdates", url.Values{"timeout": {"30"}})
		if err != nil {
			body = err.Error()
		}
		theirs <- body
	}()
	p.tellsOfTakeover(connection)
	for {
		c := agent.sees().at("connectionUpdated", "connection")
		if c.text("status") == "ERROR" && c.at("problem").text("code") == "WEBHOOK_TAKEN_OVER" {
			break
		}
	}
	lan.Writes(bot, "Hello?")
	var answer struct {
		OK     bool
		Result []json.RawMessage
	}
	if body := <-theirs; json.Unmarshal([]byte(body), &answer) != nil || !answer.OK || len(answer.Result) != 1 {
		t.Errorf("the other program was fought: %s", body)
	}
}

func TestAWebhookOfAnotherProgramIsNoticedAndToldAndNotFought(t *testing.T) {
	t.Parallel()
	p := begin(t, polling)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	if err := bot.WaitPolled(t.Context()); err != nil {
		t.Fatal(err)
	}
	elsewhere := p.url + "/somewhere-else"
	if status, body, err := anotherProgram(t.Context(), p.telegram, bot, "setWebhook", url.Values{"url": {elsewhere}}); status != 200 {
		t.Fatal(status, body, err)
	}
	p.tellsOfTakeover(connection)
	if hook := bot.Webhook(); hook.URL != elsewhere {
		t.Errorf("the other program was fought: the webhook is %q", hook.URL)
	}
}

func TestDisconnectingFreesAFetchedBotForAnotherCampaign(t *testing.T) {
	t.Parallel()
	p := begin(t, polling)
	one, two := p.campaign("One"), p.campaign("Two")
	bot, connection := p.bot(one, "shop_bot")
	lan := p.telegram.Customer("Lan", "vi")
	first := p.admin().collects(one, p.cursor(one))
	lan.Writes(bot, "to one")
	if err := first.until(first.has(1)); err != nil {
		t.Fatal(err)
	}

	connect := `mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id status } userErrors { code field } } }`
	refused := p.admin().gets(connect, data{"c": two, "t": bot.Token()}).at("connectTelegramBot").list("userErrors")
	if len(refused) != 1 || refused[0].text("code") != "ALREADY_CONNECTED" {
		t.Errorf("the second campaign was answered %v", refused)
	}
	p.admin().does(`mutation($id: ID!) { disconnect(connectionId: $id) { connection { status } openConversations userErrors { code message } } }`, data{"id": connection})
	p.admin().does(connect, data{"c": two, "t": bot.Token()})

	second := p.admin().collects(two, p.cursor(two))
	lan.Writes(bot, "to two")
	if err := second.until(second.has(1)); err != nil {
		t.Fatal(err)
	}
	if texts := p.texts(one)[fmt.Sprint(lan.ID())]; len(texts) != 1 || texts[0] != "to one" {
		t.Errorf("the first campaign has %q", texts)
	}
	if texts := p.texts(two)[fmt.Sprint(lan.ID())]; len(texts) != 1 || texts[0] != "to two" {
		t.Errorf("the second campaign has %q", texts)
	}
}
