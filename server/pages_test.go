package main

import (
	"fmt"
	"testing"

	"causeway/internal/platform/simulator"
)

// chatOf is the conversation that a customer of a page began, as soon as it is there.
func (who person) chatOf(campaign, connection string) (conversation string) {
	who.p.t.Helper()
	eventually(who.p.t, "the page's customer is heard", func() error {
		found := who.gets(`query($c: ID!, $n: ID!) { campaign(id: $c) { conversations(filter: {connectionId: $n}) { edges { node { id } } } } }`,
			data{"c": campaign, "n": connection}).at("campaign").nodes("conversations")
		if len(found) != 1 {
			return fmt.Errorf("%d conversations", len(found))
		}
		conversation = found[0].text("id")
		return nil
	})
	return conversation
}

// isNow waits until a connection has a status, with a problem's code or none.
func (who person) isNow(connection, status, code string) {
	who.p.t.Helper()
	eventually(who.p.t, "the connection is "+status, func() error {
		c := who.gets(`query($n: ID!) { connection(id: $n) { status problem { code } } }`, data{"n": connection}).at("connection")
		if c.text("status") != status || c.at("problem").text("code") != code {
			return fmt.Errorf("it is %v", c)
		}
		return nil
	})
}

func TestAMessageWhosePagesTokenDiesGoesOutAfterANewLogin(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		f := opensFacebook(t)
		p := begin(t, f.ours, on)
		campaign := p.campaign("Shop")
		mai := p.user("Mai", campaign, "MANAGER")
		ana := p.user("Ana", campaign, "AGENT")
		page := f.pages[0]
		connection := mai.connectsPage(campaign, mai.logsIn(f, campaign, f.pages...), page)
		bo := page.Customer("Bo")
		bo.Writes("Do you have umbrellas?")
		chat := ana.chatOf(campaign, connection)

		f.mai.ChangesPassword()
		message := ana.answers(chat, "Yes, red ones")
		ana.isNow(connection, "INACTIVE", "TOKEN_REVOKED")
		if waits := p.message(message); waits.text("status") != "QUEUED" || len(bo.Received()) != 0 {
			t.Errorf("the message is %v", waits)
		}
		if again := mai.connectsPage(campaign, mai.logsIn(f, campaign, f.pages...), page); again != connection {
			t.Errorf("the new login made %s", again)
		}
		eventually(t, "the customer is answered", func() error {
			m := p.message(message)
			if got := bo.Received(); m.text("status") == "QUEUED" || m.text("status") == "FAILED" || len(got) != 1 {
				return fmt.Errorf("the message is %v, the customer got %d", m, len(got))
			}
			return nil
		})
	})
}

func TestConversationsOfAChangedPageStayAndAreClosedToAnswers(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai := p.user("Mai", campaign, "MANAGER")
	login := mai.logsIn(f, campaign, f.pages...)
	connection := mai.connectsPage(campaign, login, f.pages[0])
	f.pages[0].Customer("Bo").Writes("Hello?")
	chat := mai.chatOf(campaign, connection)
	changed := mai.does(`mutation($n: ID!, $l: ID!, $p: String!) { changeFacebookPage(input: {connectionId: $n, loginId: $l, pageId: $p}) {
		connection { id status account { ... on FacebookPage { pageId name connectedTo { id } connectable tasks } } } report { passed } userErrors { code message } } }`,
		data{"n": connection, "l": login, "p": f.pages[1].ID()})
	account := changed.at("connection", "account")
	if changed.at("connection").text("id") != connection || account.text("pageId") != f.pages[1].ID() || account.text("name") != "Shop B" ||
		account.at("connectedTo").text("id") != campaign || account["connectable"] != true || changed.at("report")["passed"] != true {
		t.Errorf("changed was %v", changed)
	}
	if refused := mai.refused(chat, "Yes"); refused.text("code") != "NOT_CONNECTED" {
		t.Errorf("an answer to the old page's customer: %v", refused)
	}
	f.pages[1].Customer("Chi").Writes("Hello!")
	eventually(t, "the new page's customer is heard", func() error {
		if n := mai.gets(`query($c: ID!) { campaign(id: $c) { conversations { totalCount } } }`, data{"c": campaign}).at("campaign", "conversations").number("totalCount"); n != 2 {
			return fmt.Errorf("%d conversations", n)
		}
		return nil
	})
}

func TestAPageOfAnOwnAppDeliversToItsOwnAddress(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	mai, ana := p.user("Mai", campaign, "MANAGER"), p.user("Ana", campaign, "AGENT")
	own, lan, page := f.AddApp("Lan's app"), f.AddPerson("Lan"), f.AddPage("Lan's flowers")
	page.Appoints(lan)
	lan.Allows(own, []*simulator.Page{page})
	made := mai.does(`mutation($c: ID!, $p: String!, $t: String!, $s: String!) {
		connectFacebookPageWithToken(input: {campaignId: $c, pageId: $p, accessToken: $t, appSecret: $s}) {
		connection { id status permissions { name granted required } token { valid expiresAt refreshAt } webhook { url verifyToken delivery status } }
		report { passed checks { name outcome } } userErrors { code message } } }`,
		data{"c": campaign, "p": page.ID(), "t": page.Token(own, lan), "s": own.Secret()})
	connection := made.at("connection")
	hook := connection.at("webhook")
	if connection.text("status") != "ACTIVE" || made.at("report")["passed"] != true || len(connection.list("permissions")) == 0 ||
		hook.text("url") != own.Webhook().URL || hook.text("verifyToken") != own.Webhook().VerifyToken || hook.text("status") != "ACTIVE" {
		t.Errorf("connected was %v", made)
	}
	seen := ana.gets(`query($n: ID!) { connection(id: $n) { webhook { url verifyToken } } }`, data{"n": connection.text("id")}).at("connection", "webhook")
	if seen["verifyToken"] != nil || seen.text("url") == "" {
		t.Errorf("an agent reads %v", seen)
	}
	page.Customer("Bo").Writes("Roses?")
	ana.chatOf(campaign, connection.text("id"))
	tested := mai.does(`mutation($n: ID!) { testWebhook(connectionId: $n) { report { passed checks { name outcome message } } log { test status } userErrors { code message } } }`,
		data{"n": connection.text("id")})
	if tested.at("report")["passed"] != true || tested.at("log")["test"] != true {
		t.Errorf("its address, tested, is %v", tested)
	}
}

func TestTheDemosPageIsWrittenTo(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	d, err := p.app.setUpDemo(t.Context(), p.telegram, f.Messenger, f.app)
	if err != nil {
		t.Fatal(err)
	}
	d.page.Customer("Bo").Writes("Is it open today?")
	eventually(t, "the demo's page is heard", func() error {
		n := p.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations { totalCount } } }`, data{"c": d.campaign}).
			at("campaign", "conversations").number("totalCount")
		if n != 1 {
			return fmt.Errorf("%d conversations", n)
		}
		return nil
	})
}
