package main

import "testing"

const messageAdded = `subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { cursor message { id text contact { name } conversation { id unreadCount } } } }`

func TestACustomerWritesAndTheAgentSeesIt(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT").opens()
	ana.subscribes(messageAdded, data{"c": campaign, "a": p.cursor(campaign)})

	lan := p.telegram.Customer("Lan Nguyen", "vi")
	lan.Writes(bot, "Xin chào, còn hàng không?")

	message := ana.sees().at("messageAdded", "message")
	if message.text("text") != "Xin chào, còn hàng không?" || message.at("contact").text("name") != "Lan Nguyen" {
		t.Errorf("the agent saw %v", message)
	}
}
