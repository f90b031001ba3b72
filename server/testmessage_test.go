package main

import (
	"strings"
	"testing"
)

func TestAManagerSendsATestMessageToAConversation(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	other, _ := s.program.bot(s.campaign, "other_bot")
	customer := s.telegram.Customer("Binh", "vi")
	customer.Writes(other, "Hello other")
	foreign := s.conversationWith(s.campaign, customer, "Binh")
	const test = `mutation($n: ID!, $v: ID) { testConnection(input: {connectionId: $n, conversationId: $v}) {
		report { checks { name outcome message problem { code } } } userErrors { code field } } }`
	checks := func(v any) map[string]string {
		t.Helper()
		outcomes := map[string]string{}
		for _, c := range s.manager.does(test, data{"n": s.connection, "v": v}).at("report").list("checks") {
			outcomes[c.text("name")] = c.text("outcome")
		}
		return outcomes
	}
	before := len(s.bot.Sent(s.lan.ID()))
	if got := checks(nil); got["TEST_MESSAGE"] != "SKIPPED" || got["SENDING"] != "PASSED" {
		t.Errorf("without a conversation: %v", got)
	}
	if got := checks(s.conversation); got["TEST_MESSAGE"] != "PASSED" {
		t.Errorf("with one: %v", got)
	}
	sent := s.bot.Sent(s.lan.ID())
	if len(sent) != before+1 || !strings.Contains(sent[before].Text, "test message") {
		t.Errorf("Lan got %+v", sent)
	}
	last := s.manager.gets(`query($v: ID!) { conversation(id: $v) { lastMessage { authorKind direction status author { name } } } }`, data{"v": s.conversation}).
		at("conversation").at("lastMessage")
	if last.text("authorKind") != "SYSTEM" || last.text("direction") != "OUTBOUND" || last.text("status") != "SENT" || last["author"] != nil {
		t.Errorf("the message is %v", last)
	}
	for _, v := range []string{foreign, "conv_nothing"} {
		problems := s.manager.gets(test, data{"n": s.connection, "v": v}).at("testConnection").list("userErrors")
		if len(problems) != 1 || problems[0].text("code") != "NOT_FOUND" || path(problems[0]) != "input.conversationId" {
			t.Errorf("%s: %v", v, problems)
		}
	}
}
