package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// audited are the entries of a campaign's audit log, newest first: who did what to what.
func (who person) audited(campaign string) []string {
	who.p.t.Helper()
	var told []string
	for _, e := range who.gets(`query($c: ID!) { campaign(id: $c) { auditLog(first: 200) { edges { node { action actor { name } details
		subject { __typename ... on Campaign { name } ... on User { name } ... on Connection { name } ... on Tag { name } ... on Conversation { contact { name } } ... on Message { text } } } } } } }`,
		data{"c": campaign}).at("campaign").nodes("auditLog") {
		name := e.at("subject").text("name") + e.at("subject").text("text") + e.at("subject", "contact").text("name")
		told = append(told, strings.Join([]string{e.at("actor").text("name"), e.text("action"), e.at("subject").text("__typename"), name}, " "))
	}
	return told
}

func TestTheAuditLogTellsManagersWhoDidWhat(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.manager.does(`mutation($c: ID!) { updateCampaign(input: {id: $c, name: "Umbrellas"}) { userErrors { code } } }`, data{"c": s.campaign})
	s.manager.does(`mutation($c: ID!) { updateCampaign(input: {id: $c, name: "Umbrellas"}) { userErrors { code } } }`, data{"c": s.campaign}) // changes nothing
	s.agent.does(`mutation($v: ID!) { addNote(input: {conversationId: $v, text: "in a hurry"}) { message { id } userErrors { code } } }`, data{"v": s.conversation})
	doomed := s.agent.saves(s.campaign, "doomed")
	s.agent.does(`mutation($t: ID!) { deleteTag(id: $t) { deletedId userErrors { code } } }`, data{"t": doomed})
	s.agent.does(`mutation($v: ID!) { markConversationRead(id: $v) { userErrors { code } } }`, data{"v": s.conversation})
	s.agent.answers(s.conversation, "Yes, red ones")
	s.manager.does(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { userErrors { code } } }`, data{"n": s.connection})
	s.manager.does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { userErrors { code } } }`, data{"c": s.campaign, "u": s.agentID})
	s.joins(s.campaign, s.agentID, "AGENT")
	s.manager.does(`mutation($n: ID!) { disconnect(connectionId: $n) { userErrors { code } } }`, data{"n": s.connection})
	admin := s.admin().gets(`{ viewer { name } }`, nil).at("viewer").text("name")
	want := []string{
		"Mai disconnect Connection Shop shop_bot",
		admin + " setCampaignMember User Ana",
		"Mai removeCampaignMember User Ana",
		"Mai testConnection Connection Shop shop_bot",
		"Ana deleteTag  ", // it is gone, and so is what it names
		"Ana saveTag  ",
		"Ana addNote Message in a hurry",
		"Mai updateCampaign Campaign Umbrellas",
		"Mai connectFacebookPages Connection Shop A",
		"Ana tagConversation Conversation Lan Nguyen",
		"Ana saveQuickReply QuickReply ",
		"Ana saveTag Tag VIP",
		admin + " connectTelegramBot Connection Shop shop_bot",
		admin + " createQueue Queue ",
		admin + " setCampaignMember User Mai",
		admin + " setCampaignMember User Ana",
		admin + " createCampaign Campaign Umbrellas",
	}
	for name, who := range map[string]person{"a manager": s.manager, "an administrator": s.admin()} {
		if got := who.audited(s.campaign); !slices.Equal(got, want) {
			t.Errorf("%s reads\n\t%s\nnot\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}

	// Pages add up, and details say what changed.
	page := `query($c: ID!, $a: Cursor) { campaign(id: $c) { auditLog(first: 4, after: $a) { totalCount pageInfo { hasNextPage endCursor } edges { node { id action details } } } } }`
	var actions, ids []string
	variables := data{"c": s.campaign}
	for more := true; more; {
		log := s.manager.gets(page, variables).at("campaign", "auditLog")
		for _, e := range s.manager.gets(page, variables).at("campaign").nodes("auditLog") {
			actions, ids = append(actions, e.text("action")), append(ids, e.text("id"))
			if e.text("action") == "updateCampaign" {
				if details, _ := json.Marshal(e["details"]); string(details) != `{"name":{"from":"Shop","to":"Umbrellas"}}` {
					t.Errorf("renaming: %s", details)
				}
			}
		}
		more, _ = log.at("pageInfo")["hasNextPage"].(bool)
		variables["a"] = log.at("pageInfo")["endCursor"]
		if log.number("totalCount") != len(want) {
			t.Errorf("%d entries in all", log.number("totalCount"))
		}
	}
	if len(actions) != len(want) {
		t.Errorf("the pages hold %v", actions)
	}

	// An agent is told nothing, and no error.
	if a := s.agent.asks(`query($c: ID!) { campaign(id: $c) { name auditLog { totalCount } } }`, data{"c": s.campaign}); len(a.Errors) > 0 ||
		a.Data.at("campaign")["auditLog"] != nil || a.Data.at("campaign").text("name") == "" {
		t.Errorf("an agent is answered %s", a.Body)
	}
	if n := s.agent.seen(ids); n != 0 {
		t.Errorf("an agent finds %d entries", n)
	}
	if n := s.manager.seen(ids); n != len(want) {
		t.Errorf("a manager finds %d entries", n)
	}
}

func TestANoteIsSeenByColleaguesAndNeverByTheCustomer(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	watch := s.manager.opens()
	watch.subscribes(`subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { message { text direction authorKind status author { name } attempts } } }`,
		data{"c": s.campaign, "a": s.cursor(s.campaign)})
	note := s.agent.does(`mutation($v: ID!) { addNote(input: {conversationId: $v, text: "Wants a discount"}) { message { id text direction authorKind author { name } } userErrors { code } } }`,
		data{"v": s.conversation}).at("message")
	if note.text("direction") != "INTERNAL" || note.text("authorKind") != "AGENT" || note.at("author").text("name") != "Ana" {
		t.Errorf("the agent is answered %v", note)
	}
	if m := watch.sees().at("messageAdded", "message"); m.text("text") != "Wants a discount" || m.text("direction") != "INTERNAL" || m.text("status") == "QUEUED" {
		t.Errorf("the manager sees %v", m)
	}
	answer := s.agent.answers(s.conversation, "Ten per cent off")
	s.becomes(answer, "SENT", "")
	if got := received(s.lan, s.bot); !slices.Equal(got, []string{"Ten per cent off"}) {
		t.Errorf("Lan got %q", got)
	}
	found := s.agent.gets(`query($c: ID!) { campaign(id: $c) { conversations(filter: {search: "discount"}) { totalCount edges { node { lastMessage { text } } } } } }`, data{"c": s.campaign})
	if found.at("campaign", "conversations").number("totalCount") != 1 {
		t.Errorf("searching finds %v", found)
	}
}

func TestAnInboxIsWorkedThroughByTagsAndWhatIsUnread(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	_, second := s.writesFirst(s.campaign, s.bot, "Minh")
	urgent := s.agent.saves(s.campaign, "an urgent one")
	s.agent.tags(second, urgent)
	s.agent.tags(s.conversation, urgent)
	updates := s.manager.opens()
	updates.subscribes(`subscription($c: ID!, $a: Cursor) { conversationUpdated(campaignId: $c, after: $a) { conversation { id unreadCount tags { name color } } } }`,
		data{"c": s.campaign, "a": s.cursor(s.campaign)})
	list := func(filter string) []string {
		t.Helper()
		var ids []string
		for _, c := range s.agent.gets(`query($c: ID!, $urgent: ID!, $vip: ID!, $u: ID!) { node(id: $u) { id } a: node(id: $urgent) { id } b: node(id: $vip) { id } campaign(id: $c) {
			conversations(orderBy: {field: CREATED_AT, direction: ASC}, filter: `+filter+`) { edges { node { id } } } } }`,
			data{"c": s.campaign, "urgent": urgent, "vip": s.tag, "u": s.agentID}).at("campaign").nodes("conversations") {
			ids = append(ids, c.text("id"))
		}
		return ids
	}
	for filter, want := range map[string][]string{
		`{tagId: $urgent}`: {s.conversation, second}, `{tagId: $vip}`: {s.conversation}, `{tagId: $vip, unread: false}`: nil,
		`{tagId: "nothing"}`: nil, `{assigneeId: $u}`: nil, `{unassigned: true, tagId: $urgent}`: {s.conversation, second},
		`{unassigned: true, assigneeId: $u}`: nil, `{unassigned: false}`: nil, `{queueId: $vip}`: nil,
	} {
		if got := list(filter); !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", filter, got, want)
		}
	}
	s.agent.does(`mutation($v: ID!) { markConversationRead(id: $v) { conversation { unreadCount } userErrors { code } } }`, data{"v": s.conversation})
	if c := updates.sees().at("conversationUpdated", "conversation"); c.text("id") != s.conversation || c.number("unreadCount") != 0 ||
		len(c.list("tags")) != 2 || c.list("tags")[0].text("name") != "an urgent one" || c.list("tags")[1].text("name") != "VIP" {
		t.Errorf("after reading: %v", c)
	}
	s.agent.does(`mutation($c: ID!, $t: ID!) { saveTag(input: {id: $t, campaignId: $c, name: "VIP", color: "#FFD700"}) { tag { color } userErrors { code } } }`,
		data{"c": s.campaign, "t": s.tag})
	if c := updates.sees().at("conversationUpdated", "conversation"); c.list("tags")[1].text("color") != "#ffd700" {
		t.Errorf("after recolouring: %v", c)
	}
	s.agent.does(`mutation($t: ID!) { deleteTag(id: $t) { deletedId userErrors { code } } }`, data{"t": urgent})
	for range 2 {
		if c := updates.sees().at("conversationUpdated", "conversation"); slices.ContainsFunc(c.list("tags"), func(d data) bool { return d.text("name") != "VIP" }) {
			t.Errorf("after deleting: %v", c)
		}
	}
	if got := list(`{unread: true}`); !slices.Equal(got, []string{second}) {
		t.Errorf("unread are %v", got)
	}
	if url := s.agent.gets(`query($v: ID!) { conversation(id: $v) { platformUrl } }`, data{"v": second}).at("conversation")["platformUrl"]; url != nil {
		t.Errorf("a Telegram chat is at %v", url)
	}
}

func TestQuickRepliesComeByLanguageAndShortcut(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.agent.savesQuickReply(s.campaign, "/Hello", "vi", "Xin chào!")
	s.agent.savesQuickReply(s.campaign, "price", "ru", "Цена")
	list := func(arguments string) []string {
		t.Helper()
		var found []string
		for _, q := range s.agent.gets(`query($c: ID!) { campaign(id: $c) { quickReplies`+arguments+` { shortcut language campaign { id } } } }`, data{"c": s.campaign}).at("campaign").list("quickReplies") {
			found = append(found, strings.TrimSpace(q.text("shortcut")+" "+q.text("language")))
			if q.at("campaign").text("id") != s.campaign {
				t.Errorf("it is of %v", q.at("campaign"))
			}
		}
		return found
	}
	for arguments, want := range map[string][]string{
		``: {"hello vi", "hello", "price ru"}, `(language: "vi-VN")`: {"hello vi", "hello"}, `(language: "vi", search: "/he")`: {"hello vi", "hello"},
		`(search: "цен")`: {"price ru"}, `(search: "nothing")`: nil,
	} {
		if got := list(arguments); !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", arguments, got, want)
		}
	}
	taken := s.agent.gets(`mutation($c: ID!) { saveQuickReply(input: {campaignId: $c, shortcut: "HELLO", language: "vi", text: "x"}) { quickReply { id } userErrors { code field message } } }`,
		data{"c": s.campaign}).at("saveQuickReply").list("userErrors")
	if len(taken) != 1 || taken[0].text("code") != "CONFLICT" || path(taken[0]) != "input.shortcut" || !strings.Contains(taken[0].text("message"), "shortcut") {
		t.Errorf("the same again: %v", taken)
	}
}

const typing = `subscription($v: ID!) { typing(conversationId: $v) { typing user { name } contact { name } } }`

// typesUntilSeen says that somebody types until a follower, whose subscription may be on
// its way still, sees it.
func typesUntilSeen(t *testing.T, who person, conversation string, follower *socket) data {
	t.Helper()
	first, again := make(chan message, 1), time.NewTicker(100*time.Millisecond)
	defer again.Stop()
	go func() {
		m, err := follower.reads()
		if err != nil {
			m.Type = err.Error()
		}
		first <- m
	}()
	for {
		select {
		case m := <-first:
			var a answer
			if err := json.Unmarshal(m.Payload, &a); err != nil || m.Type != "next" || len(a.Errors) > 0 {
				t.Fatalf("instead of somebody typing: %s %s", m.Type, m.Payload)
			}
			return a.Data.at("typing")
		case <-again.C:
			who.types(conversation, true)
		}
	}
}

func TestColleaguesAndTheCustomerSeeWhoTypes(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	follower := s.manager.opens()
	follower.subscribes(typing, data{"v": s.conversation})
	if e := typesUntilSeen(t, s.agent, s.conversation, follower); e["typing"] != true || e.at("user").text("name") != "Ana" || e["contact"] != nil {
		t.Errorf("Mai sees %v", e)
	}
	s.agent.types(s.conversation, true)
	s.agent.types(s.conversation, false)
	if e := follower.sees().at("typing"); e["typing"] != false || e.at("user").text("name") != "Ana" {
		t.Errorf("Mai sees %v", e)
	}
	s.admin().types(s.conversation, true) // who is no member is seen all the same
	if e := follower.sees().at("typing"); e["typing"] != true || e.at("user").text("name") == "" {
		t.Errorf("Mai sees %v", e)
	}
	s.admin().answers(s.conversation, "Yes")
	if e := follower.sees().at("typing"); e["typing"] != false {
		t.Errorf("Mai sees %v", e)
	}
	eventually(t, "Lan sees that somebody types", func() error {
		for _, action := range s.bot.Actions(s.lan.ID()) {
			if action.Action == "typing" {
				return nil
			}
		}
		return fmt.Errorf("she saw %v", s.bot.Actions(s.lan.ID()))
	})
}

func TestWhoTypesAtOneServerIsSeenAtTheOther(t *testing.T) {
	t.Parallel()
	one, two := beginCluster(t)
	campaign := one.campaign("Shop")
	bot, _ := one.bot(campaign, "shop_bot")
	_, conversation := one.writesFirst(campaign, bot, "Lan")
	ana := one.user("Ana", campaign, "AGENT")
	follower := person{two, ana.token}.opens()
	follower.subscribes(typing, data{"v": conversation})
	if e := typesUntilSeen(t, one.admin(), conversation, follower); e["typing"] != true {
		t.Errorf("the other server tells %v", e)
	}
	one.admin().types(conversation, false)
	if e := follower.sees().at("typing"); e["typing"] != false {
		t.Errorf("the other server tells %v", e)
	}
}
