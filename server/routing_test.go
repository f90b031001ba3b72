package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/internal/platform/simulator"
	"causeway/internal/store/storetest"
)

// queue makes a queue that people serve.
func (p *program) queue(campaign, name, assignment string, members ...string) string {
	p.t.Helper()
	return p.admin().does(`mutation($c: ID!, $n: String!, $m: [ID!], $a: AssignmentPolicy!) {
		createQueue(input: {campaignId: $c, name: $n, memberIds: $m, assignment: $a}) { queue { id } userErrors { code message } } }`,
		data{"c": campaign, "n": name, "m": members, "a": assignment}).at("queue").text("id")
}

// says is setPresence.
func (who person) says(presence string) {
	who.p.t.Helper()
	said := who.does(`mutation($p: Presence!) { setPresence(presence: $p) { user { presence } userErrors { code message } } }`, data{"p": presence})
	if got := said.at("user").text("presence"); got != presence {
		who.p.t.Fatalf("said %s and is %s", presence, got)
	}
}

// enters makes what is new of a connection enter a queue.
func (p *program) enters(connection, queue string) {
	p.t.Helper()
	p.admin().does(`mutation($n: ID!, $q: ID!) { updateConnection(input: {id: $n, queueId: $q}) { connection { id } userErrors { code message } } }`,
		data{"n": connection, "q": queue})
}

// inbox is a campaign's conversations, oldest first: who wrote, and who has it.
func (p *program) inbox(campaign string) []data {
	p.t.Helper()
	return p.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 100, orderBy: {field: CREATED_AT, direction: ASC}) { edges { node {
		id status closedAt contact { name } assignee { name } queue { id } } } } } }`, data{"c": campaign}).at("campaign").nodes("conversations")
}

// loads is how many conversations each has; those that nobody has are "".
func (p *program) loads(campaign string) map[string]int {
	p.t.Helper()
	loads := map[string]int{}
	for _, conv := range p.inbox(campaign) {
		loads[conv.at("assignee").text("name")]++
	}
	return loads
}

func (p *program) awaitsLoads(what, campaign string, want map[string]int) {
	p.t.Helper()
	eventually(p.t, what, func() error {
		if got := p.loads(campaign); !maps.Equal(got, want) {
			return fmt.Errorf("%v instead of %v", got, want)
		}
		return nil
	})
}

func TestTwentyCustomersAtOnceAreSharedFairly(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"ROUND_ROBIN", "LEAST_BUSY"} {
		for name, address := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteAddress, "postgres": storetest.PostgresAddress} {
			t.Run(policy+" "+name, func(t *testing.T) {
				t.Parallel()
				p := begin(t, onDatabase(address(t)))
				campaign := p.campaign("Shop")
				bot, connection := p.bot(campaign, "shop_bot")
				var people []string
				want := map[string]int{}
				for _, name := range []string{"Ana", "Bo", "Chi", "Duc"} {
					who := p.user(name, campaign, "AGENT")
					people = append(people, who.id())
					who.says("ONLINE")
					want[name] = 5
				}
				away := p.user("Ed", campaign, "AGENT")
				away.says("AWAY")
				p.enters(connection, p.queue(campaign, "Sales", policy, append(people, away.id())...))
				var writing sync.WaitGroup
				for i := range 20 {
					customer := p.telegram.Customer(fmt.Sprint("Customer ", i), "vi")
					writing.Go(func() {
						customer.Writes(bot, "Hello?")
						customer.Writes(bot, "Anybody?")
					})
				}
				writing.Wait()
				p.awaitsLoads("everybody has five", campaign, want)
			})
		}
	}
}

func TestWhoComesOnlineGetsWhatWaitsOldestFirst(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT")
	queue := p.queue(campaign, "Sales", "LEAST_BUSY", ana.id())
	p.enters(connection, queue)
	for i := range 5 {
		p.telegram.Customer(fmt.Sprint("Customer ", i), "vi").Writes(bot, "Hello?")
		p.awaitsLoads("it waits", campaign, map[string]int{"": i + 1})
	}
	if n := ana.gets(`query($q: ID!) { node(id: $q) { ... on Queue { openConversations members { name } } } }`, data{"q": queue}).at("node").number("openConversations"); n != 5 {
		t.Errorf("%d are open in the queue", n)
	}
	watch := ana.opens()
	watch.subscribes(`subscription($c: ID!, $a: Cursor) { conversationUpdated(campaignId: $c, after: $a) { conversation { contact { name } assignee { name } } } }`,
		data{"c": campaign, "a": p.cursor(campaign)})
	ana.says("ONLINE")
	for i := range 5 {
		conv := watch.sees().at("conversationUpdated", "conversation")
		if conv.at("contact").text("name") != fmt.Sprint("Customer ", i) || conv.at("assignee").text("name") != "Ana" {
			t.Errorf("event %d is of %v", i, conv)
		}
	}
	ana.says("OFFLINE")
	p.awaitsLoads("going away moves nothing", campaign, map[string]int{"Ana": 5})
}

func TestWhoComesOnlineAtOneServerGetsWhatWaitsAtTheOther(t *testing.T) {
	t.Parallel()
	one, two := beginCluster(t)
	campaign := one.campaign("Shop")
	bot, connection := one.bot(campaign, "shop_bot")
	ana, bo := one.user("Ana", campaign, "AGENT"), one.user("Bo", campaign, "AGENT")
	one.enters(connection, one.queue(campaign, "Sales", "ROUND_ROBIN", ana.id()))
	one.telegram.Customer("Lan", "vi").Writes(bot, "Hello?")
	one.awaitsLoads("it waits", campaign, map[string]int{"": 1})
	watch := bo.opens()
	watch.subscribes(`subscription($c: ID!) { presenceUpdated(campaignId: $c) { name presence } }`, data{"c": campaign})
	elsewhere := person{two, ana.token}
	elsewhere.says("ONLINE")
	one.awaitsLoads("Ana has it", campaign, map[string]int{"Ana": 1})
	// The subscription may have begun after that was said.
	seen := make(chan data, 1)
	go func() { seen <- watch.sees().at("presenceUpdated") }()
	for presence := "AWAY"; ; presence = map[string]string{"ONLINE": "AWAY", "AWAY": "ONLINE"}[presence] {
		elsewhere.says(presence)
		select {
		case who := <-seen:
			if who.text("name") != "Ana" {
				t.Errorf("Bo saw %v", who)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// shiftedClock is the machine's clock, as far ahead as it was turned.
type shiftedClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	timers map[*shiftedTimer]bool
}

func newShiftedClock() *shiftedClock { return &shiftedClock{timers: map[*shiftedTimer]bool{}} }

func (c *shiftedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return causeway.Stamp(time.Now().Add(c.ahead))
}

func (c *shiftedClock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &shiftedTimer{clock: c, at: time.Now().Add(c.ahead + d), c: make(chan time.Time, 1)}
	t.real = time.AfterFunc(d, t.fire)
	c.timers[t] = true
	return t
}

// turn moves the clock and fires what is due.
func (c *shiftedClock) turn(d time.Duration) {
	c.mu.Lock()
	c.ahead += d
	var due []*shiftedTimer
	for t := range c.timers {
		if !t.at.After(time.Now().Add(c.ahead)) {
			due = append(due, t)
		}
	}
	c.mu.Unlock()
	for _, t := range due {
		t.fire()
	}
}

type shiftedTimer struct {
	clock *shiftedClock
	at    time.Time
	c     chan time.Time
	real  *time.Timer
}

func (t *shiftedTimer) C() <-chan time.Time { return t.c }

func (t *shiftedTimer) fire() {
	t.Stop()
	select {
	case t.c <- t.clock.Now():
	default:
	}
}

func (t *shiftedTimer) Stop() {
	t.clock.mu.Lock() // which NewTimer holds until real is there
	defer t.clock.mu.Unlock()
	t.real.Stop()
	delete(t.clock.timers, t)
}

// beginAt is begin by a clock that the test turns.
func beginAt(t *testing.T, clock causeway.Clock, options ...option) *program {
	t.Helper()
	p := &program{t: t, telegram: simulator.StartTelegram(t), log: &lockedBuffer{}}
	p.settings = testSettings(t.TempDir(), p.telegram.URL())
	for _, o := range options {
		o(&p.settings)
	}
	a, err := startBy(t.Context(), p.settings, clock, newLogger(p.settings, p.log))
	if err != nil {
		t.Fatal(err)
	}
	p.app, p.url = a, a.url
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the program:\n%s", p.log)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *program) presence(of string) string {
	p.t.Helper()
	return p.admin().gets(`query($u: ID!) { node(id: $u) { ... on User { presence } } }`, data{"u": of}).at("node").text("presence")
}

func TestAnAgentIsOfflineAMinuteAfterTheLastSocketClosed(t *testing.T) {
	t.Parallel()
	clock := newShiftedClock()
	p := beginAt(t, clock)
	campaign := p.campaign("Shop")
	ana, mai := p.user("Ana", campaign, "AGENT"), p.user("Mai", campaign, "MANAGER")
	id := ana.id()
	watch := mai.opens()
	watch.subscribes(`subscription($c: ID!) { presenceUpdated(campaignId: $c) { name presence } }`, data{"c": campaign})
	eventually(t, "Mai hears of Ana", func() error { // once her subscription has begun
		ana.says("AWAY")
		ana.says("ONLINE")
		m := watch.sees().at("presenceUpdated")
		if m.text("name") != "Ana" {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	until := func(what, want string, step time.Duration) {
		t.Helper()
		eventually(t, what, func() error {
			clock.turn(step)
			if is := p.presence(id); is != want {
				return fmt.Errorf("she is %s", is)
			}
			return nil
		})
	}
	clock.turn(5 * time.Minute)
	if is := p.presence(id); is != "ONLINE" {
		t.Errorf("without any socket she said ONLINE and is %s", is)
	}
	for name, opens := range map[string]func() (closes func()){
		"a WebSocket": func() func() {
			s := ana.opens()
			return func() { _ = s.conn.Close() }
		},
		"an event stream": func() func() {
			return ana.streams(`subscription($c: ID!) { conversationUpdated(campaignId: $c) { cursor } }`, data{"c": campaign}).close
		},
	} {
		closes := opens()
		until(name+" brings her back", "ONLINE", 0)
		eventually(t, "the socket is noted", func() error {
			if len(p.column("SELECT id FROM users WHERE name = 'Ana' AND seen_at IS NOT NULL")) == 0 {
				return fmt.Errorf("she was never seen")
			}
			return nil
		})
		closes()
		closed := clock.Now()
		until(name+" closed a minute ago", "OFFLINE", time.Second)
		if away := clock.Now().Sub(closed); away < time.Minute-time.Second {
			t.Errorf("%s: OFFLINE after %s", name, away)
		}
	}
	again := ana.opens()
	until("she came back", "ONLINE", 0)
	_ = again.conn.Close()
	for last := ""; last != "OFFLINE"; {
		last = watch.sees().at("presenceUpdated").text("presence")
	}
}

func TestAStalledAgentsAssignmentsArriveAfterResume(t *testing.T) {
	t.Parallel()
	const chats, each = 8, 40
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT")
	from := p.cursor(campaign)
	var texts strings.Builder
	for i := range 100 {
		fmt.Fprintf(&texts, " t%d: text", i)
	}
	wide := `subscription($c: ID!, $a: Cursor) { conversationUpdated(campaignId: $c, after: $a) { cursor conversation { contact { name } assignee { name } lastMessage {` + texts.String() + ` } } } }`
	stalled := ana.dialsNarrow()
	payload, _ := json.Marshal(map[string]any{"query": wide, "variables": data{"c": campaign, "a": from}})
	if err := stalled.conn.WriteJSON(message{ID: "1", Type: "subscribe", Payload: payload}); err != nil {
		t.Fatal(err)
	}
	hook := posterTo(t, bot)
	for n := 1; n <= each; n++ {
		for chat := 1; chat <= chats; chat++ {
			hook.mustPost(t, textUpdate(chat, n, strings.Repeat("x", 4000)), 200)
		}
	}
	eventually(t, "all are heard", func() error {
		if n := len(p.column("SELECT id FROM messages")); n != chats*each {
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	for _, conv := range p.inbox(campaign) {
		p.admin().does(`mutation($v: ID!, $u: ID!) { assignConversation(input: {id: $v, assigneeId: $u}) { conversation { id } userErrors { code message } } }`,
			data{"v": conv.text("id"), "u": ana.id()})
	}
	end := p.cursor(campaign) // of the last assignment
	eventually(t, "the stalled agent is cut off", func() error {
		if err := stalled.conn.WriteJSON(message{Type: "pong"}); err == nil {
			return fmt.Errorf("she is still there")
		}
		return nil
	})
	for {
		m, err := stalled.reads() // what had been sent to her
		if err != nil {
			break
		}
		var a answer
		if err := json.Unmarshal(m.Payload, &a); err != nil || a.Data == nil {
			break
		}
		from = a.Data.at("conversationUpdated").text("cursor")
		if from == end {
			t.Fatal("all of it went into the buffers: nothing stalled")
		}
	}
	resumed := ana.opens()
	resumed.subscribes(`subscription($c: ID!, $a: Cursor) { conversationUpdated(campaignId: $c, after: $a) { cursor conversation { contact { name } assignee { name } } } }`,
		data{"c": campaign, "a": from})
	var seen []string
	for at := ""; at != end; {
		event := resumed.sees().at("conversationUpdated")
		at = event.text("cursor")
		seen = append(seen, event.at("conversation", "contact").text("name")+" "+event.at("conversation", "assignee").text("name"))
	}
	last := seen[max(0, len(seen)-chats):]
	slices.Sort(last)
	for i, got := range last {
		if got != fmt.Sprintf("Customer %d Ana", i+1) {
			t.Errorf("the last that she saw is %v", last)
			break
		}
	}
}

func TestWhoLeavesTheCampaignGivesTheirConversationsToOthers(t *testing.T) {
	t.Parallel()
	for how, mutation := range map[string]string{
		"removed":     `mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { campaign { id } userErrors { code message } } }`,
		"deactivated": `mutation($u: ID!) { updateUser(input: {id: $u, deactivated: true}) { user { id presence } userErrors { code message } } }`,
		"demoted":     `mutation($u: ID!) { updateUser(input: {id: $u, role: AGENT}) { user { id } userErrors { code message } } }`,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := begin(t)
			campaign := p.campaign("Shop")
			bot, connection := p.bot(campaign, "shop_bot")
			ana, bo := p.user("Ana", campaign, "AGENT"), p.user("Bo", campaign, "AGENT")
			variables := data{"c": campaign, "u": ana.id()}
			if how == "demoted" {
				p.admin().does(`mutation($u: ID!) { updateUser(input: {id: $u, role: ADMIN}) { user { id } userErrors { code } } }`, data{"u": ana.id()})
				p.admin().does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { userErrors { code } } }`, variables)
			}
			queue := p.queue(campaign, "Sales", "ROUND_ROBIN", ana.id(), bo.id())
			p.admin().does(`mutation($n: ID!, $q: ID!, $u: ID!) { updateConnection(input: {id: $n, queueId: $q, assigneeId: $u}) { connection { id } userErrors { code message } } }`,
				data{"n": connection, "q": queue, "u": ana.id()})
			ana.says("ONLINE")
			bo.says("ONLINE")
			p.telegram.Customer("Lan", "vi").Writes(bot, "Hello?")
			p.awaitsLoads("Ana has it", campaign, map[string]int{"Ana": 1})
			watch := bo.opens()
			watch.subscribes(`subscription($c: ID!, $a: Cursor) { events(campaignId: $c, after: $a) { __typename ... on ConversationEvent { conversation { assignee { name } queue { id } } }
				... on ConnectionEvent { connection { assignee { name } queue { name members { name } } } } } }`, data{"c": campaign, "a": p.cursor(campaign)})
			if how != "removed" {
				delete(variables, "c")
			}
			done := p.admin().does(mutation, variables)
			if how == "deactivated" && done.at("user").text("presence") != "OFFLINE" {
				t.Errorf("she is %v", done)
			}
			first, second := watch.sees().at("events"), watch.sees().at("events")
			if first.at("conversation", "assignee").text("name") != "Bo" || first.at("conversation", "queue").text("id") != queue {
				t.Errorf("the conversation: %v", first)
			}
			members := second.at("connection", "queue").list("members")
			if second.at("connection")["assignee"] != nil || len(members) != 1 || members[0].text("name") != "Bo" {
				t.Errorf("the connection: %v", second)
			}
			p.telegram.Customer("Minh", "vi").Writes(bot, "Hello?")
			p.awaitsLoads("Bo has both", campaign, map[string]int{"Bo": 2})
		})
	}
}

func TestAConnectionIsChangedFieldByField(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	watch := s.agent.opens()
	const shown = `name enabled language queue { name } assignee { name }`
	watch.subscribes(`subscription($c: ID!, $a: Cursor) { connectionUpdated(campaignId: $c, after: $a) { connection { `+shown+` } } }`,
		data{"c": s.campaign, "a": s.cursor(s.campaign)})
	change := func(input data) answer {
		t.Helper()
		input["id"] = s.connection
		return s.manager.asks(`mutation($i: UpdateConnectionInput!) { updateConnection(input: $i) { connection { `+shown+` } userErrors { code field } } }`, data{"i": input})
	}
	for _, step := range []struct {
		input data
		want  string
	}{
		{data{"name": " Front desk ", "language": "vi"}, `{"assignee":null,"enabled":true,"language":"vi","name":"Front desk","queue":null}`},
		{data{"queueId": s.queue, "assigneeId": s.agentID}, `{"assignee":{"name":"Ana"},"enabled":true,"language":"vi","name":"Front desk","queue":{"name":"Front"}}`},
		{data{"enabled": false, "assigneeId": nil}, `{"assignee":null,"enabled":false,"language":"vi","name":"Front desk","queue":{"name":"Front"}}`},
		{data{"queueId": nil, "language": nil, "enabled": true}, `{"assignee":null,"enabled":true,"language":null,"name":"Front desk","queue":null}`},
	} {
		a := change(step.input)
		answered, _ := json.Marshal(a.Data.at("updateConnection", "connection"))
		seen, _ := json.Marshal(watch.sees().at("connectionUpdated", "connection"))
		if string(answered) != step.want || string(seen) != step.want {
			t.Errorf("%v: answered %s, seen %s, want %s", step.input, answered, seen, step.want)
		}
	}
	change(data{"name": "Front desk"}) // changes nothing, and is no event
	for _, step := range []struct {
		input data
		want  string
	}{
		{data{"name": nil}, "INVALID_INPUT@input.name"},
		{data{"name": "  "}, "INVALID_INPUT@input.name"},
		{data{"enabled": nil}, "INVALID_INPUT@input.enabled"},
		{data{"language": "??"}, "INVALID_INPUT@input.language"},
		{data{"queueId": s.connection}, "NOT_FOUND@input.queueId"},
		{data{"queueId": "nonsense"}, "NOT_FOUND@input.queueId"},
		{data{"assigneeId": s.foreign.id()}, "INVALID_INPUT@input.assigneeId"},
		{data{"assigneeId": "nonsense"}, "INVALID_INPUT@input.assigneeId"},
	} {
		problems := change(step.input).Data.at("updateConnection").list("userErrors")
		if len(problems) != 1 || problems[0].text("code")+"@"+path(problems[0]) != step.want {
			t.Errorf("%v: %v, want %s", step.input, problems, step.want)
		}
	}
	s.manager.does(`mutation($n: ID!) { updateConnection(input: {id: $n, name: "Last"}) { connection { id } userErrors { code } } }`, data{"n": s.connection})
	if name := watch.sees().at("connectionUpdated", "connection").text("name"); name != "Last" {
		t.Errorf("an event of what was refused or changed nothing: %s", name)
	}
}

func TestABotIsConnectedIntoAQueue(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	bot := s.telegram.AddBot("second_bot", "Second")
	connect := func(queue, assignee string) answer {
		return s.manager.asks(`mutation($c: ID!, $t: String!, $q: ID, $u: ID) { connectTelegramBot(input: {campaignId: $c, botToken: $t, queueId: $q, assigneeId: $u}) {
			connection { queue { name } assignee { name } } userErrors { code field } } }`, data{"c": s.campaign, "t": bot.Token(), "q": queue, "u": assignee})
	}
	for _, refused := range []struct{ queue, assignee, want string }{
		{s.connection, s.agentID, "NOT_FOUND@input.queueId"},
		{s.queue, s.foreign.id(), "INVALID_INPUT@input.assigneeId"},
	} {
		problems := connect(refused.queue, refused.assignee).Data.at("connectTelegramBot").list("userErrors")
		if len(problems) != 1 || problems[0].text("code")+"@"+path(problems[0]) != refused.want {
			t.Errorf("%v, want %s", problems, refused.want)
		}
	}
	if bot.Webhook().URL != "" {
		t.Error("what was refused registered a webhook")
	}
	for range 2 { // a second time in place
		made := connect(s.queue, s.agentID).Data.at("connectTelegramBot", "connection")
		if made.at("queue").text("name") != "Front" || made.at("assignee").text("name") != "Ana" {
			t.Errorf("connected: %v", made)
		}
	}
	s.lan.Writes(bot, "Hello?")
	s.awaitsLoads("Ana has it", s.campaign, map[string]int{"": 1, "Ana": 1})
}
