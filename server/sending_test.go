package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

// send is an agent's answer.
const send = `mutation($v: ID!, $t: String, $r: ID, $k: String) {
	sendMessage(input: {conversationId: $v, text: $t, replyToId: $r, idempotencyKey: $k}) {
		message { id status attempts } userErrors { code field message retryable }
	}
}`

// answers sends a text that must be taken, and returns the message's id.
func (who person) answers(conversation, text string) string {
	who.p.t.Helper()
	return who.does(send, data{"v": conversation, "t": text}).at("message").text("id")
}

// refused is the only userError of a sendMessage.
func (who person) refused(conversation, text string) data {
	who.p.t.Helper()
	problems := who.gets(send, data{"v": conversation, "t": text}).at("sendMessage").list("userErrors")
	if len(problems) != 1 {
		who.p.t.Fatalf("sendMessage was answered %v", problems)
	}
	return problems[0]
}

// conversationWith waits for the conversation of a customer who wrote.
func (p *program) conversationWith(campaign string, customer *simulator.Customer, name string) string {
	p.t.Helper()
	var id string
	eventually(p.t, name+" is heard", func() error {
		for _, c := range p.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { edges { node { id contact { externalId } } } } } }`,
			data{"c": campaign}).at("campaign").nodes("conversations") {
			if c.at("contact").text("externalId") == fmt.Sprint(customer.ID()) {
				id = c.text("id")
				return nil
			}
		}
		return fmt.Errorf("no conversation")
	})
	return id
}

// writesFirst makes a customer who wrote, since a bot cannot begin.
func (p *program) writesFirst(campaign string, bot *simulator.Bot, name string) (*simulator.Customer, string) {
	p.t.Helper()
	customer := p.telegram.Customer(name, "en")
	customer.Writes(bot, "Hello, "+name+" here")
	return customer, p.conversationWith(campaign, customer, name)
}

// message reads one message.
func (p *program) message(id string) data {
	p.t.Helper()
	return p.admin().gets(`query($m: ID!) { node(id: $m) { ... on Message { status attempts externalId sentAt text author { name } problem { code retryable platformMessage } } } }`,
		data{"m": id}).at("node")
}

// becomes waits until a message has a status and a problem, or none.
func (p *program) becomes(id, status, problem string) data {
	p.t.Helper()
	var m data
	eventually(p.t, id+" becomes "+status+" "+problem, func() error {
		m = p.message(id)
		if m.text("status") != status || m.at("problem").text("code") != problem {
			return fmt.Errorf("it is %s %v", m.text("status"), m.at("problem"))
		}
		return nil
	})
	return m
}

// texts are what a customer got.
func received(customer *simulator.Customer, bot *simulator.Bot) []string {
	var texts []string
	for _, sent := range customer.Received(bot) {
		texts = append(texts, sent.Text)
	}
	return texts
}

func TestAnAgentsAnswerReachesTheCustomer(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	question := s.agent.gets(`query($v: ID!) { conversation(id: $v) { messages(first: 1) { edges { node { id } } } } }`,
		data{"v": s.conversation}).at("conversation").nodes("messages")[0].text("id")
	from := s.cursor(s.campaign)
	const text = "Yes, *red* ones <b>too</b> _now_ [x](y) & more"
	sent := s.agent.does(send, data{"v": s.conversation, "t": text, "r": question}).at("message")
	if sent.text("status") != "QUEUED" {
		t.Errorf("sendMessage answered %v", sent)
	}

	watch := s.agent.opens()
	watch.subscribes(`subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { change status message { id direction authorKind text author { name } replyTo { id } } } }`,
		data{"c": s.campaign, "a": from})
	added := watch.sees().at("messageAdded")
	m := added.at("message")
	if m.text("id") != sent.text("id") || m.text("text") != text || m.text("direction") != "OUTBOUND" || m.text("authorKind") != "AGENT" ||
		m.at("author").text("name") != "Ana" || m.at("replyTo").text("id") != question || added["status"] != nil {
		t.Errorf("agents see %v", added)
	}
	updates := s.agent.opens()
	updates.subscribes(`subscription($c: ID!, $a: Cursor) { messageUpdated(campaignId: $c, after: $a) { change status message { id status externalId attempts problem { code } } } }`,
		data{"c": s.campaign, "a": from})
	updated := updates.sees().at("messageUpdated")
	if m := updated.at("message"); updated.text("change") != "STATUS" || updated.text("status") != "SENT" || m.text("status") != "SENT" ||
		m.number("attempts") != 1 || m.at("problem") != nil || !strings.HasPrefix(m.text("externalId"), fmt.Sprint(s.lan.ID(), "/")) {
		t.Errorf("agents see %v", updated)
	}
	got := s.lan.Received(s.bot)
	if len(got) != 1 || got[0].Text != text || got[0].ReplyTo == 0 {
		t.Errorf("Lan got %v", got)
	}

	conv := s.agent.gets(`query($c: ID!) { campaign(id: $c) { conversations(filter: {search: "red ones now"}) { edges { node {
		unreadCount lastMessage { id } replyPolicy { allowed window closesAt problem { code } } } } } } }`, data{"c": s.campaign}).
		at("campaign").nodes("conversations")
	if len(conv) != 1 || conv[0].at("lastMessage").text("id") != sent.text("id") {
		t.Fatalf("the conversation is not found by the answer's words: %v", conv)
	}
	if p := conv[0].at("replyPolicy"); p["allowed"] != true || p.text("window") != "UNLIMITED" || p["closesAt"] != nil || p["problem"] != nil {
		t.Errorf("the reply policy is %v", p)
	}
}

func TestWhatCannotBeSentIsRefusedBeforeItIsQueued(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	for _, try := range []struct{ text, code, field, says string }{
		{"", "INVALID_INPUT", "input.text", ""},
		{" \n", "INVALID_INPUT", "input.text", ""},
		{strings.Repeat("😀", 2049), "MESSAGE_TOO_LONG", "input.text", "4096"},
	} {
		problem := s.agent.refused(s.conversation, try.text)
		if problem.text("code") != try.code || path(problem) != try.field || !strings.Contains(problem.text("message"), try.says) {
			t.Errorf("%.10q is refused with %v", try.text, problem)
		}
	}
	s.becomes(s.agent.answers(s.conversation, strings.Repeat("😀", 2048)), "SENT", "")

	other, elsewhere := s.writesFirst(s.campaign, s.bot, "Minh")
	_ = other
	theirs := s.agent.answers(elsewhere, "for Minh")
	problems := s.agent.gets(send, data{"v": s.conversation, "t": "for Lan", "r": theirs}).at("sendMessage").list("userErrors")
	if len(problems) != 1 || problems[0].text("code") != "NOT_FOUND" || path(problems[0]) != "input.replyToId" {
		t.Errorf("an answer to another conversation's message: %v", problems)
	}
}

func TestACustomerWhoBlockedTheBotIsLeftAloneUntilTheyWrite(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.telegram.FailNext("sendMessage", simulator.Failure{Status: 403})
	first := s.agent.answers(s.conversation, "Are you there?")
	if m := s.becomes(first, "FAILED", "BLOCKED_BY_CONTACT"); m.at("problem").text("platformMessage") == "" || m.number("attempts") != 1 {
		t.Errorf("the message is %v", m)
	}
	policy := func() data {
		return s.agent.gets(`query($v: ID!) { conversation(id: $v) { contact { blocked } replyPolicy { allowed problem { code } } } }`,
			data{"v": s.conversation}).at("conversation")
	}
	if c := policy(); c.at("contact")["blocked"] != true || c.at("replyPolicy")["allowed"] != false || c.at("replyPolicy", "problem").text("code") != "BLOCKED_BY_CONTACT" {
		t.Errorf("after the refusal: %v", c)
	}
	if p := s.agent.refused(s.conversation, "Hello?"); p.text("code") != "BLOCKED_BY_CONTACT" {
		t.Errorf("sendMessage answers %v", p)
	}
	retry := `mutation($m: ID!) { retryMessage(id: $m) { message { id status } userErrors { code field } } }`
	if p := s.agent.gets(retry, data{"m": first}).at("retryMessage").list("userErrors"); len(p) != 1 || p[0].text("code") != "BLOCKED_BY_CONTACT" {
		t.Errorf("retryMessage answers %v", p)
	}

	s.lan.Writes(s.bot, "I am back")
	eventually(t, "Lan can be written to again", func() error {
		if c := policy(); c.at("contact")["blocked"] != false || c.at("replyPolicy")["allowed"] != true {
			return fmt.Errorf("%v", c)
		}
		return nil
	})
	again := s.agent.does(retry, data{"m": first}).at("message")
	if again.text("id") != first {
		t.Errorf("retryMessage answers %v", again)
	}
	if m := s.becomes(first, "SENT", ""); m.number("attempts") != 2 {
		t.Errorf("the message is %v", m)
	}
	if p := s.agent.gets(retry, data{"m": first}).at("retryMessage").list("userErrors"); len(p) != 1 || p[0].text("code") != "CONFLICT" {
		t.Errorf("retryMessage of what was sent answers %v", p)
	}
}

// gateway stands before a Telegram, and can be closed so that nobody is there.
type gateway struct {
	t       *testing.T
	address string
	handler http.Handler
	server  *http.Server
}

func before(t *testing.T, tg *simulator.Telegram) *gateway {
	t.Helper()
	to, err := url.Parse(tg.URL())
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, address: "127.0.0.1:0", handler: httputil.NewSingleHostReverseProxy(to)}
	g.up()
	t.Cleanup(g.down)
	return g
}

func (g *gateway) up() {
	g.t.Helper()
	listener, err := net.Listen("tcp4", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.address = listener.Addr().String()
	g.server = &http.Server{Handler: g.handler} //nolint:gosec // of a test
	go func(s *http.Server) { _ = s.Serve(listener) }(g.server)
}

func (g *gateway) down() { _ = g.server.Close() }

func TestAnswersOutliveTelegramBeingDown(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	way := before(t, tg)
	p := beginWith(t, tg, func(s *settings) { s.TelegramAPIURL = webURL("http://" + way.address) })
	campaign := p.campaign("Shop")
	ana := p.user("Ana", campaign, "AGENT")
	bot, _ := p.bot(campaign, "shop_bot")
	lan, conversation := p.writesFirst(campaign, bot, "Lan")

	way.down()
	var ids []string
	for _, text := range []string{"one", "two", "three"} {
		ids = append(ids, ana.answers(conversation, text))
	}
	if m := p.becomes(ids[0], "QUEUED", "NETWORK_ERROR"); m.at("problem")["retryable"] != true {
		t.Errorf("the first answer is %v", m)
	}
	way.up()
	for _, id := range ids {
		p.becomes(id, "SENT", "")
	}
	if got := received(lan, bot); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("Lan got %q", got)
	}
}

func TestOneChatThatIsToldToWaitDelaysNoOther(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	const others = 100
	customers := map[string]*simulator.Customer{}
	for i := range others + 1 {
		customer := p.telegram.Customer(fmt.Sprint("Customer ", i), "en")
		customer.Writes(bot, "Hello")
		customers[fmt.Sprint(customer.ID())] = customer
	}
	conversations := map[string]string{} // by customer
	eventually(t, "everybody is heard", func() error {
		for _, c := range p.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { edges { node { id contact { externalId } } } } } }`,
			data{"c": campaign}).at("campaign").nodes("conversations") {
			conversations[c.at("contact").text("externalId")] = c.text("id")
		}
		if len(conversations) != others+1 {
			return fmt.Errorf("%d conversations", len(conversations))
		}
		return nil
	})
	var slow string
	ids := map[string]string{} // of messages, by customer
	for customer, conversation := range conversations {
		if slow == "" {
			slow = customer
			p.telegram.FailNext("sendMessage", simulator.Failure{RetryAfter: 3600})
			ids[customer] = p.admin().answers(conversation, "Wait")
			m := p.becomes(ids[customer], "QUEUED", "RATE_LIMITED")
			if m.at("problem")["retryable"] != true || m.number("attempts") != 0 {
				t.Errorf("while it waits it is %v", m)
			}
			continue
		}
		ids[customer] = p.admin().answers(conversation, "Hello to you")
	}
	for customer, id := range ids {
		if customer != slow {
			p.becomes(id, "SENT", "")
		}
	}
	if m := p.message(ids[slow]); m.text("status") != "QUEUED" {
		t.Errorf("who was to wait is %v", m)
	}
	for id, customer := range customers {
		if got := received(customer, bot); id != slow && !slices.Equal(got, []string{"Hello to you"}) {
			t.Errorf("a customer got %q", got)
		}
	}
}

func TestWhatWaitsForAConnectionGoesOutWhenItWorksAgain(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.bot.RevokeToken()
	first := s.agent.answers(s.conversation, "one")
	s.becomes(first, "QUEUED", "TOKEN_REVOKED")
	eventually(t, "the connection is known not to work", func() error {
		c := s.agent.gets(`query($n: ID!) { connection(id: $n) { status } }`, data{"n": s.connection}).at("connection")
		if c.text("status") != "INACTIVE" {
			return fmt.Errorf("it is %v", c)
		}
		return nil
	})
	policy := s.agent.gets(`query($v: ID!) { conversation(id: $v) { replyPolicy { allowed problem { code } } } }`, data{"v": s.conversation}).
		at("conversation", "replyPolicy")
	if policy["allowed"] != true || policy.at("problem").text("code") != "TOKEN_REVOKED" {
		t.Errorf("the reply policy is %v", policy)
	}
	second := s.agent.answers(s.conversation, "two")

	s.manager.does(`mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id } userErrors { code message } } }`,
		data{"c": s.campaign, "t": s.bot.ReplaceToken()})
	for _, id := range []string{first, second} {
		if m := s.becomes(id, "SENT", ""); m.number("attempts") != 1 {
			t.Errorf("it became %v", m)
		}
	}
	if got := received(s.lan, s.bot); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("Lan got %q", got)
	}
}

func TestDisconnectingEndsWhatWaitsToBeSent(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.telegram.FailNext("sendMessage", simulator.Failure{RetryAfter: 3600})
	first, second := s.agent.answers(s.conversation, "one"), s.agent.answers(s.conversation, "two")
	s.becomes(first, "QUEUED", "RATE_LIMITED")
	s.manager.does(`mutation($n: ID!) { disconnect(connectionId: $n) { userErrors { code } } }`, data{"n": s.connection})
	for _, id := range []string{first, second} {
		if m := s.message(id); m.text("status") != "FAILED" || m.at("problem").text("code") != "NOT_CONNECTED" {
			t.Errorf("it is %v", m)
		}
	}
	if p := s.agent.refused(s.conversation, "three"); p.text("code") != "NOT_CONNECTED" {
		t.Errorf("sendMessage answers %v", p)
	}
	if got := received(s.lan, s.bot); got != nil {
		t.Errorf("Lan got %q", got)
	}
}
