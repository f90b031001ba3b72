package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"causeway/internal/store/storetest"
)

// runNATS starts a NATS server within the test.
func runNATS(t *testing.T) string {
	t.Helper()
	n, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() {
		n.Shutdown()
		n.WaitForShutdown()
	})
	if !n.ReadyForConnections(patience) {
		t.Fatal("NATS does not take connections")
	}
	return n.ClientURL()
}

// beginCluster starts two servers over one PostgreSQL and one NATS. The first is the
// one that Telegram knows.
func beginCluster(t *testing.T) (one, two *program) {
	t.Helper()
	shared := onDatabase(storetest.PostgresAddress(t))
	nats := runNATS(t)
	keys := base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32])
	together := func(s *settings) { s.NATS, s.SecretKeys = natsURL(nats), keys }
	one = begin(t, shared, together)
	return one, beginWith(t, one.telegram, shared, together)
}

func TestAWebhookToOneServerIsSeenAtTheOther(t *testing.T) {
	t.Parallel()
	one, two := beginCluster(t)
	campaign := one.campaign("Shop")
	bot, _ := one.bot(campaign, "shop_bot")
	agent := two.admin().opens()
	from := two.cursor(campaign)
	agent.subscribes(messageAdded, data{"c": campaign, "a": from})
	one.telegram.Customer("Lan", "vi").Writes(bot, "Hello?")
	if m := agent.sees().at("messageAdded", "message"); m.text("text") != "Hello?" {
		t.Errorf("the agent saw %v", m)
	}
}

func TestTwoServersApplyEachUpdateOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const chats, each = 8, 60
	one, two := beginCluster(t)
	campaign := one.campaign("Shop")
	bot, connection := one.bot(campaign, "shop_bot")
	from := one.cursor(campaign)
	hook := posterTo(t, bot)
	hooks := []*poster{hook, hook.at(two.url)}

	// Each chat's updates come in order, but to either server by turns; every third is
	// delivered to both at once.
	posted := make(chan struct{})
	for chat := 1; chat <= chats; chat++ {
		go func() {
			defer func() { posted <- struct{}{} }()
			for n := 1; n <= each; n++ {
				update := textUpdate(chat, n, numbered(chat, n))
				again := make(chan struct{})
				go func() {
					defer close(again)
					if n%3 == 0 {
						hooks[(n+chat+1)%2].mustPost(t, update, 200)
					}
				}()
				hooks[(n+chat)%2].mustPost(t, update, 200)
				<-again
			}
		}()
	}
	seen := make(chan []string, 2)
	for _, p := range []*program{one, two} {
		go func() {
			agent := p.admin().collects(campaign, from)
			if err := agent.until(agent.has(chats * each)); err != nil {
				t.Error(err)
			}
			seen <- agent.texts
		}()
	}
	for range chats {
		<-posted
	}
	for range 2 {
		if err := inOrderOnce(<-seen, chats, 1, each); err != nil {
			t.Error(err)
		}
	}
	want := map[string]int{"PROCESSED": chats * each, "DUPLICATE": chats * each / 3}
	if logs := two.processed(connection, chats*each*4/3); !maps.Equal(logs, want) {
		t.Errorf("the logs are %v instead of %v", logs, want)
	}
}

func TestWhatEndsAtOneServerEndsAtTheOther(t *testing.T) {
	t.Parallel()
	one, two := beginCluster(t)
	campaign := one.campaign("Shop")
	bot, connection := one.bot(campaign, "shop_bot")
	ana := one.user("Ana", campaign, "AGENT")
	userID := ana.gets(`{ viewer { id } }`, nil).at("viewer").text("id")
	s := person{two, ana.token}.opens()
	id := s.subscribes(messageAdded, data{"c": campaign, "a": one.cursor(campaign)})
	one.telegram.Customer("Lan", "vi").Writes(bot, "Hello?")
	s.sees()

	one.admin().does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { campaign { id } userErrors { code message } } }`,
		data{"c": campaign, "u": userID})
	if code := s.refusal(id); code != "NOT_FOUND" {
		t.Errorf("the subscription at the other server ended with %q", code)
	}

	hook := posterTo(t, bot).at(two.url)
	one.admin().does(`mutation($id: ID!) { disconnect(connectionId: $id) { openConversations userErrors { code message } } }`, data{"id": connection})
	eventually(t, "the other server knows that the connection is over", func() error {
		if status, _, err := hook.posts(t.Context(), textUpdate(1, 1, "Hello?")); err != nil || status != 410 {
			return fmt.Errorf("answered %d %v", status, err)
		}
		return nil
	})
}
