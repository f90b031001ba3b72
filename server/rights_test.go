package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"causeway/internal/platform/simulator"
)

// right is who may do what.
type right struct {
	operation string // root field
	query     string
	variables func(s *house) data
	// before makes true what each try begins with.
	before                         func(s *house)
	foreign, agent, manager, admin string
}

// rights is every operation, in an order in which none takes away what a later one
// needs.
func rights() []right {
	ids := (*house).ids
	var spare, token, answered string
	var bystander, doomed, word string
	var closing string // a queue
	made := 0          // queues
	return []right{
		{
			operation: "Query.node", query: `query($c: ID!) { node(id: $c) { id } }`, variables: ids,
			foreign: null, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.nodes", query: `query($c: ID!, $n: ID!) { nodes(ids: [$c, $n]) { id } }`, variables: ids,
			foreign: null, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.viewer", query: `{ viewer { id email } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.accessTokens", query: `{ accessTokens { id } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.users", query: `{ users { totalCount edges { node { email } } } }`,
			foreign: forbidden, agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Query.campaign", query: `query($c: ID!) { campaign(id: $c) { name } }`, variables: ids,
			foreign: null, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.campaigns", query: `{ campaigns { totalCount } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.connection", query: `query($n: ID!) { connection(id: $n) { name } }`, variables: ids,
			foreign: null, agent: works, manager: works, admin: works,
		},
		{
			operation: "Query.conversation", query: `query($v: ID!) { conversation(id: $v) { status } }`, variables: ids,
			foreign: null, agent: works, manager: works, admin: works,
		},

		{
			operation: "Query.facebookLogin", query: `query($l: ID!) { facebookLogin(id: $l) { status pages { name } } }`, variables: ids,
			foreign: null, agent: null, manager: works, admin: null, // who started it sees it alone
		},

		{
			operation: "Subscription.facebookLoginUpdated", query: `subscription($l: ID!) { facebookLoginUpdated(id: $l) { status } }`, variables: ids,
			foreign: notFound, agent: notFound, manager: works, admin: notFound,
		},
		{
			operation: "Subscription.events", query: `subscription($c: ID!, $a: Cursor) { events(campaignId: $c, after: $a) { cursor } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.messageAdded", query: `subscription($c: ID!, $v: ID, $a: Cursor) { messageAdded(campaignId: $c, conversationId: $v, after: $a) { cursor } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.messageUpdated", query: `subscription($c: ID!, $v: ID, $a: Cursor) { messageUpdated(campaignId: $c, conversationId: $v, after: $a) { cursor } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.conversationUpdated", query: `subscription($c: ID!, $v: ID, $a: Cursor) { conversationUpdated(campaignId: $c, conversationId: $v, after: $a) { cursor } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.connectionUpdated", query: `subscription($c: ID!, $a: Cursor) { connectionUpdated(campaignId: $c, after: $a) { cursor } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.webhookReceived", query: `subscription($n: ID!) { webhookReceived(connectionId: $n) { id } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Subscription.typing", query: `subscription($v: ID!) { typing(conversationId: $v) { typing user { name } } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},

		{
			operation: "Subscription.presenceUpdated", query: `subscription($c: ID!) { presenceUpdated(campaignId: $c) { presence } }`, variables: ids,
			foreign: notFound, agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.setPresence", query: `mutation { setPresence(presence: AWAY) { user { presence } userErrors { code field } } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.updateConnection", query: `mutation($n: ID!, $q: ID) { updateConnection(input: {id: $n, queueId: $q}) { connection { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.assignConversation", query: `mutation($v: ID!, $u: ID, $q: ID) { assignConversation(input: {id: $v, assigneeId: $u, queueId: $q}) { conversation { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.takeConversation", query: `mutation($v: ID!) { takeConversation(id: $v) { conversation { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.setConversationStatus", query: `mutation($v: ID!) { setConversationStatus(input: {id: $v, status: PENDING}) { conversation { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.createQueue", query: `mutation($c: ID!, $w: String!) { createQueue(input: {campaignId: $c, name: $w}) { queue { id } userErrors { code field } } }`,
			before:    func(*house) { made++ },
			variables: func(s *house) data { return data{"c": s.campaign, "w": fmt.Sprint("Queue ", made)} },
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.updateQueue", query: `mutation($q: ID!) { updateQueue(input: {id: $q, assignment: LEAST_BUSY}) { queue { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.deleteQueue", query: `mutation($q: ID!) { deleteQueue(id: $q) { deletedId userErrors { code field } } }`,
			before: func(s *house) {
				made++
				closing = s.program.queue(s.campaign, fmt.Sprint("Queue ", made), "MANUAL")
			},
			variables: func(*house) data { return data{"q": closing} },
			foreign:   "NOT_FOUND@id", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.signIn", query: `mutation { signIn(input: {email: "fay@example.com", password: "a long password"}) { token userErrors { code field } } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.createUser", query: `mutation($e: String!) { createUser(input: {email: $e, name: "New", password: "a long password"}) { user { id } userErrors { code field } } }`,
			variables: func(*house) data { return data{"e": "new@example.com"} },
			foreign:   forbidden, agent: forbidden, manager: forbidden, admin: works,
		},
		{
			operation: "Mutation.updateUser", query: `mutation($u: ID!) { updateUser(input: {id: $u, language: "vi"}) { user { language } userErrors { code field } } }`,
			before: func(s *house) {
				if bystander == "" {
					bystander = s.user("Bo", s.campaign, "AGENT").id()
				}
			},
			variables: func(*house) data { return data{"u": bystander} },
			foreign:   "NOT_FOUND@input.id", agent: forbidden, manager: forbidden, admin: works,
		},
		{
			operation: "Mutation.createAccessToken", query: `mutation { createAccessToken(input: {name: "script"}) { secret userErrors { code field } } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.revokeAccessToken", query: `mutation($k: ID!) { revokeAccessToken(id: $k) { deletedId userErrors { code field } } }`,
			before: func(s *house) {
				token = s.admin().does(`mutation { createAccessToken(input: {name: "mine"}) { accessToken { id } userErrors { code } } }`, nil).
					at("accessToken").text("id")
			},
			variables: func(*house) data { return data{"k": token} },
			foreign:   "NOT_FOUND@id", agent: "NOT_FOUND@id", manager: "NOT_FOUND@id", admin: works,
		},
		{
			operation: "Mutation.createCampaign", query: `mutation { createCampaign(input: {name: "New"}) { campaign { id } userErrors { code field } } }`,
			foreign: forbidden, agent: forbidden, manager: forbidden, admin: works,
		},
		{
			operation: "Mutation.updateCampaign", query: `mutation($c: ID!) { updateCampaign(input: {id: $c, name: "Shop"}) { campaign { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.setCampaignMember", query: `mutation($c: ID!, $u: ID!) { setCampaignMember(input: {campaignId: $c, userId: $u}) { campaign { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.removeCampaignMember", query: `mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { campaign { id } userErrors { code field } } }`,
			before: func(s *house) {
				if doomed == "" {
					doomed = s.user("Di", "", "").id()
				}
				s.joins(s.campaign, doomed, "AGENT")
			},
			variables: func(s *house) data { return data{"c": s.campaign, "u": doomed} },
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.sendMessage", query: `mutation($v: ID!) { sendMessage(input: {conversationId: $v, text: "Yes"}) { message { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.conversationId", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.retryMessage", query: `mutation($m: ID!) { retryMessage(id: $m) { message { id } userErrors { code field } } }`,
			before: func(s *house) {
				eventually(s.t, "nothing waits to be sent", func() error {
					if waits := s.column("SELECT id FROM messages WHERE status = 'QUEUED'"); len(waits) > 0 {
						return fmt.Errorf("%v waits", waits)
					}
					return nil
				})
				s.telegram.FailNext("sendMessage", simulator.Failure{Status: 400})
				answered = s.admin().answers(s.conversation, "No")
				s.becomes(answered, "FAILED", "PLATFORM_ERROR")
			},
			variables: func(*house) data { return data{"m": answered} },
			foreign:   "NOT_FOUND@id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.addNote", query: `mutation($v: ID!) { addNote(input: {conversationId: $v, text: "Asks twice"}) { message { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.conversationId", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.markConversationRead", query: `mutation($v: ID!) { markConversationRead(id: $v) { conversation { unreadCount } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.setTyping", query: `mutation($v: ID!) { setTyping(conversationId: $v) { userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@conversationId", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.tagConversation", query: `mutation($v: ID!, $tag: ID!) { tagConversation(input: {id: $v, addTagIds: [$tag]}) { conversation { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: works, manager: works, admin: works,
		},
		{ // on this platform there is nobody to hand it to, as those who may are told
			operation: "Mutation.handOverConversation", query: `mutation($v: ID!) { handOverConversation(input: {id: $v}) { conversation { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.id", agent: "CONFLICT@input.id", manager: "CONFLICT@input.id", admin: "CONFLICT@input.id",
		},
		{
			operation: "Mutation.saveTag", query: `mutation($c: ID!, $tag: ID!) { saveTag(input: {id: $tag, campaignId: $c, name: "VIP", color: "#ff0000"}) { tag { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.campaignId", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.saveQuickReply", query: `mutation($c: ID!, $quick: ID!) { saveQuickReply(input: {id: $quick, campaignId: $c, shortcut: "hello", text: "Hi!"}) { quickReply { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.campaignId", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.deleteTag", query: `mutation($doomed: ID!) { deleteTag(id: $doomed) { deletedId userErrors { code field } } }`,
			before: func(s *house) {
				word = s.agent.saves(s.campaign, fmt.Sprint("doomed ", time.Now().UnixNano()))
			},
			variables: func(*house) data { return data{"doomed": word} },
			foreign:   "NOT_FOUND@id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.deleteQuickReply", query: `mutation($doomed: ID!) { deleteQuickReply(id: $doomed) { deletedId userErrors { code field } } }`,
			before: func(s *house) {
				word = s.agent.savesQuickReply(s.campaign, fmt.Sprint("doomed", time.Now().UnixNano()), "", "Bye")
			},
			variables: func(*house) data { return data{"doomed": word} },
			foreign:   "NOT_FOUND@id", agent: works, manager: works, admin: works,
		},
		{
			operation: "Mutation.startFacebookLogin", query: `mutation($c: ID!) { startFacebookLogin(input: {campaignId: $c}) { login { id } authorizationUrl userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.connectTelegramBot", query: `mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id } userErrors { code field } } }`,
			variables: func(s *house) data { return data{"c": s.campaign, "t": s.bot.Token()} },
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.connectFacebookPages",
			query: `mutation($c: ID!, $l: ID!, $first: String!) { connectFacebookPages(input: {campaignId: $c, loginId: $l, pageIds: [$first]}) {
				results { connection { id } userErrors { code field } } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: "NOT_FOUND@input.loginId", // who logged in connects
		},
		{
			operation: "Mutation.connectFacebookPageWithToken",
			query: `mutation($c: ID!, $first: String!, $token: String!) { connectFacebookPageWithToken(input: {campaignId: $c, pageId: $first, accessToken: $token}) {
				connection { id } userErrors { code field } } }`,
			variables: func(s *house) data {
				return data{"c": s.campaign, "first": s.facebook.pages[0].ID(), "token": s.facebook.pages[0].Token(s.facebook.app, s.facebook.mai)}
			},
			foreign: "NOT_FOUND@input.campaignId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.changeFacebookPage",
			query: `mutation($page: ID!, $l: ID!, $first: String!) { changeFacebookPage(input: {connectionId: $page, loginId: $l, pageId: $first}) {
				connection { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.connectionId", agent: forbidden, manager: works, admin: "NOT_FOUND@input.loginId",
		},
		{
			operation: "Mutation.changeTelegramBot", query: `mutation($n: ID!, $t: String!) { changeTelegramBot(input: {connectionId: $n, botToken: $t}) { connection { id } userErrors { code field } } }`,
			variables: func(s *house) data { return data{"n": s.connection, "t": s.bot.Token()} },
			foreign:   "NOT_FOUND@input.connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.reconnect", query: `mutation($n: ID!) { reconnect(connectionId: $n) { connection { id } report { passed } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.registerWebhook", query: `mutation($n: ID!) { registerWebhook(connectionId: $n) { connection { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.testConnection", query: `mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { passed } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@input.connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.testWebhook", query: `mutation($n: ID!) { testWebhook(connectionId: $n) { report { passed } log { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.replayWebhook", query: `mutation($log: ID!) { replayWebhook(id: $log) { log { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@id", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.replayWebhooks", query: `mutation($n: ID!) { replayWebhooks(connectionId: $n, filter: {status: FAILED}) { replayedCount userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.clearWebhookQueue", query: `mutation($n: ID!) { clearWebhookQueue(connectionId: $n) { clearedCount connection { id } userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.disconnect", query: `mutation($n: ID!) { disconnect(connectionId: $n) { connection { id } openConversations userErrors { code field } } }`,
			variables: ids,
			foreign:   "NOT_FOUND@connectionId", agent: forbidden, manager: works, admin: works,
		},
		{
			operation: "Mutation.archiveCampaign", query: `mutation($c: ID!) { archiveCampaign(id: $c) { campaign { id } userErrors { code field } } }`,
			before: func(s *house) {
				if spare == "" {
					spare = s.program.campaign("Spare")
					s.joins(spare, s.agentID, "AGENT")
					s.joins(spare, s.manager.id(), "MANAGER")
				}
			},
			variables: func(*house) data { return data{"c": spare} },
			foreign:   "NOT_FOUND@id", agent: forbidden, manager: forbidden, admin: works,
		},
		{
			operation: "Mutation.unarchiveCampaign", query: `mutation($c: ID!) { unarchiveCampaign(id: $c) { campaign { id } userErrors { code field } } }`,
			variables: func(*house) data { return data{"c": spare} },
			foreign:   "NOT_FOUND@id", agent: forbidden, manager: forbidden, admin: works,
		},
		{
			operation: "Mutation.signOut", query: `mutation { signOut { userErrors { code field } } }`,
			foreign: works, agent: works, manager: works, admin: works,
		},
	}
}

// public are the operations that nobody in particular may do.
var public = []string{"Mutation.signIn"}

func TestEveryOperationIsTriedAsEverybody(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	table := rights()
	everyOperationIsIn(t, table)
	for _, r := range table {
		for _, try := range []struct {
			name    string
			who     person
			outcome string
		}{
			{"nobody", s.nobody(), ""},
			{"an agent of another campaign", s.foreign, r.foreign},
			{"an agent", s.agent, r.agent},
			{"a manager", s.manager, r.manager},
			{"an administrator", s.admin(), r.admin},
		} {
			if r.before != nil {
				r.before(s)
			}
			var variables data
			if r.variables != nil {
				variables = s.only(r.query, r.variables(s))
			}
			if try.name == "nobody" {
				if !slices.Contains(public, r.operation) {
					s.refusedWhole(r, variables)
				}
				continue
			}
			if got := s.outcome(r, try.who, variables); got != try.outcome {
				t.Errorf("%s by %s: %s, want %s", r.operation, try.name, got, try.outcome)
			}
		}
	}
}

// everyOperationIsIn fails for a root field of the schema that the table leaves out.
func everyOperationIsIn(t *testing.T, table []right) {
	t.Helper()
	var listed, there []string
	for _, r := range table {
		listed = append(listed, r.operation)
	}
	own := ownSchema(t)
	for _, root := range []*ast.Definition{own.Query, own.Mutation, own.Subscription} {
		for _, field := range root.Fields {
			if !strings.HasPrefix(field.Name, "__") {
				there = append(there, root.Name+"."+field.Name)
			}
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Fatalf("the table has %v,\nthe schema has %v", listed, there)
	}
}

// refusedWhole checks that an operation without a token is not even begun.
func (s *house) refusedWhole(r right, variables data) {
	s.t.Helper()
	a := s.nobody().asks(r.query, variables)
	if a.Status != 200 || a.code() != "UNAUTHENTICATED" || len(a.Errors) != 1 || strings.Contains(a.Body, `"data"`) {
		s.t.Errorf("%s by nobody: %d %s", r.operation, a.Status, a.Body)
	}
}

func TestAnAgentReadsLogsWithoutTheirPayload(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	const logs = `query($n: ID!) { connection(id: $n) { webhookLogs { edges { node { eventType payload messages { id } } } } } }`
	for _, reader := range []struct {
		who  person
		sees bool
	}{{s.agent, false}, {s.manager, true}, {s.admin(), true}} {
		for _, log := range reader.who.gets(logs, data{"n": s.connection}).at("connection").nodes("webhookLogs") {
			if (log["payload"] != nil) != reader.sees || log.text("eventType") == "" {
				t.Errorf("who may see payloads (%v) sees %v", reader.sees, log)
			}
		}
	}
}

func TestAnArchivedCampaignIsReadOnly(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	admin := s.admin()
	archive := `mutation($c: ID!) { archiveCampaign(id: $c) { userErrors { code field message } } }`
	busy := admin.asks(archive, data{"c": s.campaign}).Data.at("archiveCampaign").list("userErrors")
	if len(busy) != 1 || busy[0].text("code") != "CONFLICT" || path(busy[0]) != "id" || !strings.Contains(busy[0].text("message"), "2") {
		t.Errorf("archiving what is connected: %v", busy)
	}
	answer := s.agent.answers(s.conversation, "Yes")
	for _, connection := range []string{s.connection, s.page} {
		admin.does(`mutation($n: ID!) { disconnect(connectionId: $n) { userErrors { code } } }`, data{"n": connection})
	}
	admin.does(archive, data{"c": s.campaign})
	inside := []string{"updateCampaign", "startFacebookLogin", "setCampaignMember", "removeCampaignMember", "connectTelegramBot", "testConnection", "testWebhook", "replayWebhook", "replayWebhooks", "clearWebhookQueue", "disconnect", "archiveCampaign", "sendMessage", "retryMessage",
		"connectFacebookPages", "connectFacebookPageWithToken", "changeFacebookPage", "changeTelegramBot", "reconnect", "registerWebhook",
		"addNote", "markConversationRead", "setTyping", "tagConversation", "handOverConversation", "saveTag", "saveQuickReply", "deleteTag", "deleteQuickReply",
		"updateConnection", "assignConversation", "takeConversation", "setConversationStatus", "createQueue", "updateQueue", "deleteQueue"}
	for _, r := range rights() {
		_, field, _ := strings.Cut(r.operation, ".")
		if !slices.Contains(inside, field) {
			continue
		}
		variables := data{"q": s.queue, "w": "Late", "c": s.campaign, "n": s.connection, "u": s.agentID, "t": s.bot.Token(), "v": s.conversation, "m": answer, "tag": s.tag, "quick": s.quickReply,
			"l": s.login, "page": s.page, "first": s.facebook.pages[0].ID(), "token": "EAAtoken", "log": s.ids()["log"]}
		if variables["doomed"] = s.tag; field == "deleteQuickReply" {
			variables["doomed"] = s.quickReply
		}
		for name, who := range map[string]person{"a manager": s.manager, "an administrator": admin} {
			if name == "a manager" && field == "archiveCampaign" {
				continue // is not theirs
			}
			if got := s.outcome(r, who, s.only(r.query, variables)); !strings.HasPrefix(got, "CONFLICT@") {
				t.Errorf("%s by %s: %s", field, name, got)
			}
		}
	}
	if n := len(s.agent.gets(`query($c: ID!) { campaign(id: $c) { conversations { edges { node { id } } } } }`, data{"c": s.campaign}).at("campaign").nodes("conversations")); n != 1 {
		t.Errorf("an agent reads %d conversations", n)
	}
	for archived, n := range map[bool]int{true: 1, false: 0} {
		if got := s.agent.gets(`query($i: Boolean) { campaigns(includeArchived: $i) { totalCount } }`, data{"i": archived}).at("campaigns").number("totalCount"); got != n {
			t.Errorf("with archived ones %v: %d campaigns", archived, got)
		}
	}
	admin.does(`mutation($c: ID!) { unarchiveCampaign(id: $c) { campaign { archivedAt } userErrors { code } } }`, data{"c": s.campaign})
	admin.does(`mutation($c: ID!) { updateCampaign(input: {id: $c, name: "Again"}) { userErrors { code } } }`, data{"c": s.campaign})
}
