package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

const connect = `mutation($c: ID!, $t: String!, $u: String, $n: String, $l: String, $e: Boolean = true) {
	connectTelegramBot(input: {campaignId: $c, botToken: $t, botUsername: $u, botName: $n, language: $l, enabled: $e}) {
		connection { id name status enabled language authorizedBy connectedAt reconnectedAt problem { code } warnings { code message }
			account { ... on TelegramBot { botId username name canJoinGroups privacyMode commands { command description } } }
			token { valid } webhook { delivery url status subscribedFields pendingCount } }
		report { id kind passed checks { name outcome message problem { code } } }
		userErrors { code message causes solutions field platformCode platformMessage retryable } } }`

// connects asks to connect a bot and returns the payload.
func (who person) connects(variables data) data {
	who.p.t.Helper()
	return who.gets(connect, variables).at("connectTelegramBot")
}

// refusedFor is the only userError of a payload that has nothing else.
func refusedFor(t *testing.T, payload data, code, field string) data {
	t.Helper()
	problems := payload.list("userErrors")
	if len(problems) != 1 || problems[0].text("code") != code || path(problems[0]) != field || payload["connection"] != nil || payload["report"] != nil {
		t.Fatalf("got %v, want %s at %q", payload, code, field)
	}
	if problems[0].text("message") == "" || len(problems[0]["causes"].([]any)) == 0 || len(problems[0]["solutions"].([]any)) == 0 {
		t.Errorf("%s is told without words: %v", code, problems[0])
	}
	return problems[0]
}

func TestABotIsConnectedTestedAndDisconnected(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	bot := p.telegram.AddBot("shop_bot", "The Shop", simulator.WithCommands(simulator.Command{Command: "help", Description: "What I can do"}))
	payload := mai.connects(data{"c": campaign, "t": " " + bot.Token() + "\n", "u": "@Shop_Bot", "l": "vi"})
	c, account := payload.at("connection"), payload.at("connection", "account")
	if len(payload.list("userErrors")) > 0 || c.text("status") != "ACTIVE" || c.text("name") != "The Shop" || c.text("language") != "vi" ||
		c["enabled"] != true || c.text("authorizedBy") != "Mai" || c.at("token")["valid"] != true || c["reconnectedAt"] != nil {
		t.Errorf("the connection is %v", payload)
	}
	if account.text("botId") != fmt.Sprint(bot.ID()) || account.text("username") != "shop_bot" || account["privacyMode"] != true ||
		len(account.list("commands")) != 1 || account.list("commands")[0].text("command") != "help" {
		t.Errorf("the bot is %v", account)
	}
	if warnings := c.list("warnings"); len(warnings) != 1 || warnings[0].text("code") != "PRIVACY_MODE_ON" || warnings[0].text("message") == "" {
		t.Errorf("warned of %v", warnings)
	}
	hook := bot.Webhook()
	if w := c.at("webhook"); w.text("delivery") != "WEBHOOK" || w.text("url") != hook.URL || w.text("status") != "ACTIVE" || len(w["subscribedFields"].([]any)) == 0 {
		t.Errorf("the webhook is %v, registered is %+v", w, hook)
	}
	if strings.Contains(hook.URL, bot.Token()) || hook.Secret == "" || strings.Contains(hook.URL, hook.Secret) {
		t.Error("the address holds a secret")
	}
	report := payload.at("report")
	outcomes := map[string]string{}
	for _, check := range report.list("checks") {
		outcomes[check.text("name")] = check.text("outcome")
	}
	want := map[string]string{"TOKEN": "PASSED", "ACCOUNT": "PASSED", "WEBHOOK_REGISTRATION": "PASSED", "PRIVACY_MODE": "WARNING"}
	if report.text("kind") != "CONNECTION" || report["passed"] != true || !maps.Equal(outcomes, want) {
		t.Errorf("the report is %v", report)
	}

	bot.RevokeToken()
	tested := mai.does(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { passed connection { status token { valid } problem { code platformCode } } } userErrors { code } } }`,
		data{"n": c.text("id")}).at("report")
	after := tested.at("connection")
	if tested["passed"] != false || after.text("status") != "INACTIVE" || after.at("problem").text("code") != "TOKEN_REVOKED" || after.at("token")["valid"] != false {
		t.Errorf("with a revoked token: %v", tested)
	}

	gone := mai.does(`mutation($n: ID!) { disconnect(connectionId: $n) { openConversations connection { status disconnectedAt token { valid } } userErrors { code } } }`, data{"n": c.text("id")})
	if gone.at("connection").text("status") != "INACTIVE" || gone.at("connection")["disconnectedAt"] == nil {
		t.Errorf("disconnected: %v", gone)
	}
	again := mai.asks(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { id } userErrors { code field } } }`, data{"n": c.text("id")})
	if problems := again.Data.at("testConnection").list("userErrors"); len(problems) != 1 || problems[0].text("code") != "NOT_CONNECTED" || path(problems[0]) != "input.connectionId" {
		t.Errorf("testing what is disconnected: %s", again.Body)
	}
	lists := mai.gets(`query($c: ID!) { campaign(id: $c) { now: connections { id } ever: connections(includeDisconnected: true) { id }
		none: connections(includeDisconnected: true, platform: ZALO) { id } inactive: connections(includeDisconnected: true, status: INACTIVE, platform: TELEGRAM) { id }
		active: connections(includeDisconnected: true, status: ACTIVE) { id } platforms { platform connected connectionCount } } }`, data{"c": campaign}).at("campaign")
	for name, n := range map[string]int{"now": 0, "ever": 1, "none": 0, "inactive": 1, "active": 0} {
		if len(lists.list(name)) != n {
			t.Errorf("%s: %v", name, lists[name])
		}
	}
}

func TestWhatCannotBeConnectedIsSaidAtItsField(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	bot := p.telegram.AddBot("shop_bot", "Shop")
	unknown := "123456789:" + strings.Repeat("x", 35)
	for _, c := range []struct {
		in          data
		code, field string
	}{
		{data{"t": "hello"}, "INVALID_BOT_TOKEN", "input.botToken"},
		{data{"t": ""}, "INVALID_BOT_TOKEN", "input.botToken"},
		{data{"t": bot.Token(), "u": "other_bot"}, "BOT_USERNAME_MISMATCH", "input.botUsername"},
		{data{"t": bot.Token(), "n": strings.Repeat("ж", 201)}, "INVALID_INPUT", "input.botName"},
		{data{"t": bot.Token(), "l": "not a language"}, "INVALID_INPUT", "input.language"},
		{data{"t": bot.Token(), "c": "camp_01jd0000000000000000000000"}, "NOT_FOUND", "input.campaignId"},
	} {
		variables := data{"c": campaign}
		maps.Copy(variables, c.in)
		refusedFor(t, mai.connects(variables), c.code, c.field)
	}
	refused := refusedFor(t, mai.connects(data{"c": campaign, "t": unknown}), "INVALID_BOT_TOKEN", "input.botToken")
	if refused.text("platformCode") != "401" || refused.text("platformMessage") != "Unauthorized" || refused["retryable"] != false {
		t.Errorf("Telegram's own words: %v", refused)
	}
	p.telegram.FailNext("getMe", simulator.Failure{Status: 502, HTML: true})
	if trouble := refusedFor(t, mai.connects(data{"c": campaign, "t": bot.Token()}), "PLATFORM_ERROR", ""); trouble["retryable"] != true {
		t.Errorf("trouble of Telegram: %v", trouble)
	}
	p.telegram.Down()
	if trouble := refusedFor(t, mai.connects(data{"c": campaign, "t": bot.Token()}), "NETWORK_ERROR", ""); trouble["retryable"] != true {
		t.Errorf("no answer of Telegram: %v", trouble)
	}
	p.telegram.Up()
	no := "Bad Request: bad webhook: IP address 10.0.0.1 is reserved"
	p.telegram.FailNext("setWebhook", simulator.Failure{Status: 400, Description: no})
	if hook := refusedFor(t, mai.connects(data{"c": campaign, "t": bot.Token()}), "WEBHOOK_SUBSCRIPTION_FAILED", ""); hook.text("platformMessage") != no || hook.text("platformCode") != "400" {
		t.Errorf("Telegram's own words: %v", hook)
	}
	if n := len(p.column("SELECT id FROM connections")); n != 0 {
		t.Errorf("%d connections stayed", n)
	}
	if strings.Contains(p.log.String(), bot.Token()) || strings.Contains(p.log.String(), unknown) {
		t.Error("the log holds a token")
	}
}

func TestABotThatIsTakenIsNamedOnlyToWhoMaySee(t *testing.T) {
	t.Parallel()
	p := begin(t)
	here, there := p.campaign("Here"), p.campaign("Winter sale")
	mai := p.user("Mai", here, "MANAGER")
	bot, id := p.bot(there, "shop_bot")
	if said := refusedFor(t, mai.connects(data{"c": here, "t": bot.Token()}), "ALREADY_CONNECTED", "input.botToken"); strings.Contains(fmt.Sprint(said), "Winter sale") {
		t.Errorf("a stranger is told %v", said)
	}
	if said := refusedFor(t, p.admin().connects(data{"c": here, "t": bot.Token()}), "ALREADY_CONNECTED", "input.botToken"); !strings.Contains(said.text("message"), "Winter sale") {
		t.Errorf("an administrator is told %v", said)
	}
	again := p.admin().connects(data{"c": there, "t": bot.Token()})
	if again.at("connection").text("id") != id || len(again.list("userErrors")) != 0 || again.at("connection")["reconnectedAt"] == nil {
		t.Errorf("in its own campaign: %v", again)
	}
	p.admin().does(`mutation($n: ID!) { disconnect(connectionId: $n) { userErrors { code } } }`, data{"n": id})
	if moved := mai.connects(data{"c": here, "t": bot.Token()}); moved.at("connection").text("status") != "ACTIVE" || moved.at("connection").text("id") == id {
		t.Errorf("once it is free: %v", moved)
	}
}

func TestTheCardsOfAllPlatforms(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	want := map[string]string{
		"TELEGRAM": "AVAILABLE true 1", "FACEBOOK_MESSENGER": "AVAILABLE true 1", "INSTAGRAM": "COMING_SOON false 0",
		"WHATSAPP": "COMING_SOON false 0", "ZALO": "COMING_SOON false 0",
	}
	got := map[string]string{}
	cards := s.agent.gets(`query($c: ID!) { campaign(id: $c) { platforms { platform name logoUrl availability connected connectionCount problem { code message } } } }`, data{"c": s.campaign})
	for _, card := range cards.at("campaign").list("platforms") {
		got[card.text("platform")] = fmt.Sprint(card.text("availability"), " ", card["connected"], " ", card.number("connectionCount"))
		if card.text("name") == "" || !strings.HasPrefix(card.text("logoUrl"), "data:image/") {
			t.Errorf("the card is %v", card)
		}
		if card["problem"] != nil {
			t.Errorf("the card is %v", card)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the cards are %v", got)
	}
}

func TestAServerWithoutAFacebookAppSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	const cards = `query($c: ID!) { campaign(id: $c) { platforms { platform availability problem { code message } } } }`
	f := opensFacebook(t)
	for lacks, with := range map[string]option{
		"--facebook-app-id": func(*settings) {},
		"--facebook-verify-token": func(s *settings) {
			f.ours(s)
			s.Facebook.VerifyToken = ""
		},
		"--public-url": func(s *settings) {
			f.ours(s)
			s.PublicURL = ""
		},
	} {
		p := begin(t, with)
		campaign := p.campaign("Shop")
		for _, card := range p.admin().gets(cards, data{"c": campaign}).at("campaign").list("platforms") {
			if card.text("platform") == "FACEBOOK_MESSENGER" &&
				(card.text("availability") != "NOT_CONFIGURED" || !strings.Contains(card.at("problem").text("message"), lacks)) {
				t.Errorf("without %s the card is %v", lacks, card)
			}
		}
		started := p.admin().gets(`mutation($c: ID!) { startFacebookLogin(input: {campaignId: $c}) { login { id } authorizationUrl userErrors { code message } } }`, data{"c": campaign}).at("startFacebookLogin")
		if refused := started.list("userErrors"); len(refused) != 1 || refused[0].text("code") != "PLATFORM_NOT_CONFIGURED" || started["login"] != nil ||
			started["authorizationUrl"] != nil || !strings.Contains(refused[0].text("message"), lacks) {
			t.Errorf("without %s a login answers %v", lacks, started)
		}
	}
}
