package main

import (
	"encoding/json"
	"testing"
)

const messageWithRole = `subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { cursor message { text conversation { campaign { viewerRole } } } } }`

func roleOf(d data) string {
	return d.at("messageAdded", "message", "conversation", "campaign").text("viewerRole")
}

func TestEverybodySeesTheirOwnPartInWhatTheyShare(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	expected := map[string]string{"Ana": "AGENT", "Bo": "AGENT", "Chi": "MANAGER"}
	sockets := map[string]*socket{"admin": p.admin().opens()}
	for name, role := range expected {
		sockets[name] = p.user(name, campaign, role).opens()
	}
	expected["admin"] = "MANAGER"
	from := p.cursor(campaign)
	for _, s := range sockets {
		s.subscribes(messageWithRole, data{"c": campaign, "a": from})
	}
	lan := p.telegram.Customer("Lan Nguyen", "vi")
	for _, said := range []string{"one", "two", "three"} {
		lan.Writes(bot, said)
		for name, s := range sockets {
			seen := s.sees()
			if roleOf(seen) != expected[name] || seen.at("messageAdded", "message").text("text") != said {
				t.Errorf("%s saw %v", name, seen)
			}
		}
	}
}

func TestWhoGetsAnotherPartComesBackWithIt(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT")
	id := ana.gets(`{ viewer { id } }`, nil).at("viewer").text("id")
	socket := ana.opens()
	from := p.cursor(campaign)
	socket.subscribes(messageWithRole, data{"c": campaign, "a": from})
	lan := p.telegram.Customer("Lan Nguyen", "vi")
	lan.Writes(bot, "one")
	if seen := socket.sees(); roleOf(seen) != "AGENT" {
		t.Errorf("an agent saw %v", seen)
	}
	p.admin().does(`mutation($c: ID!, $u: ID!) { setCampaignMember(input: {campaignId: $c, userId: $u, role: MANAGER}) { campaign { id } userErrors { code message } } }`,
		data{"c": campaign, "u": id})
	m, err := socket.reads()
	if err != nil || m.Type != "error" {
		t.Fatalf("expected an error, got %s %s %v", m.Type, m.Payload, err)
	}
	var errs []gqlError
	if err := json.Unmarshal(m.Payload, &errs); err != nil || errs[0].Extensions["code"] != "FEED_OVERRUN" {
		t.Fatalf("ended with %s", m.Payload)
	}
	lan.Writes(bot, "two")
	socket.subscribes(messageWithRole, data{"c": campaign, "a": errs[0].Extensions["cursor"]})
	if seen := socket.sees(); roleOf(seen) != "MANAGER" || seen.at("messageAdded", "message").text("text") != "two" {
		t.Errorf("a manager saw %v", seen)
	}
}
