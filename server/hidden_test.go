package main

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect/sql/schema"

	"causeway"
	entmigrate "causeway/ent/migrate"
	"causeway/internal/auth"
)

// empty are the tables that hold nothing of the full campaign.
var empty = []string{"feed_trims", "facebook_logins", "notices", "notice_letters"}

// everyID is every id that the database has of a campaign, by table; of people and
// tokens, those that only the campaign's members know.
func (s *house) everyID(campaign string) map[string][]string {
	s.t.Helper()
	all := map[string][]string{"users": {s.agentID, s.manager.id()}, "campaigns": {campaign}}
	for _, table := range entmigrate.Tables {
		query := "SELECT id FROM " + table.Name + " WHERE campaign_id = '" + campaign + "'"
		switch {
		case table.Name == "campaigns" || table.Name == "users" || table.Name == "taggings": // they have no ids
			continue
		case table.Name == "access_tokens":
			query = "SELECT id FROM access_tokens WHERE user_id <> '" + s.foreign.id() + "'"
		case !slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == "campaign_id" }):
			s.t.Fatalf("%s has no campaign_id: say here whose its rows are", table.Name)
		}
		all[table.Name] = s.column(query)
		if len(all[table.Name]) == 0 && !slices.Contains(empty, table.Name) {
			s.t.Errorf("the full campaign has no %s: nothing would be tried", table.Name)
		}
	}
	return all
}

// seen counts which of ids somebody finds through nodes, in pages.
func (who person) seen(ids []string) int {
	who.p.t.Helper()
	n := 0
	for page := range slices.Chunk(ids, 200) {
		for _, node := range who.gets(`query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`, data{"ids": page})["nodes"].([]any) {
			if node != nil {
				n++
			}
		}
	}
	return n
}

func TestAnAgentOfAnotherCampaignGetsNothingByAnyID(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.admin().does(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { id } userErrors { code } } }`, data{"n": s.connection})
	s.sendsParts()
	all := s.everyID(s.campaign)
	var ids []string
	for table, of := range all {
		ids = append(ids, of...)
		visible := s.admin().seen(of)
		switch table {
		case "campaign_members", "feed_events", "feed_trims", "reactions", "message_parts", "queue_members", "notices", "notice_letters": // no nodes
			if visible != 0 {
				t.Errorf("%d %s are nodes now: say here who sees them", visible, table)
			}
		case "access_tokens": // everyone's own
		case "facebook_logins": // who started them sees them alone
			if visible != 0 || s.manager.seen(of) != len(of) {
				t.Errorf("an administrator sees %d of a manager's %d logins", visible, len(of))
			}
		default:
			if visible != len(of) {
				t.Errorf("an administrator sees %d of %d %s", visible, len(of), table)
			}
		}
	}
	if n := s.foreign.seen(ids); n != 0 {
		t.Errorf("nodes shows %d of %d ids", n, len(ids))
	}
	s.nothingByAnyField(ids)
	s.nothingByAnySubscription(ids)
	s.nothingByAnyMutation(ids)
}

// nothingByAnyField asks every root field that takes an id, and the fields of the
// viewer's own campaign that take one, for each id.
func (s *house) nothingByAnyField(ids []string) {
	s.t.Helper()
	for _, id := range ids {
		a := s.foreign.asks(`query($id: ID!) { node(id: $id) { id } campaign(id: $id) { id } connection(id: $id) { id } conversation(id: $id) { id } facebookLogin(id: $id) { id } }`, data{"id": id})
		if len(a.Errors) > 0 || slices.ContainsFunc(slices.Collect(maps.Values(a.Data)), func(v any) bool { return v != nil }) {
			s.t.Errorf("%s: %s", id, a.Body)
		}
		filtered := s.foreign.gets(`query($c: ID!, $id: ID) { campaign(id: $c) { a: conversations(filter: {connectionId: $id}) { totalCount } b: conversations(filter: {assigneeId: $id}) { totalCount }
			c: conversations(filter: {queueId: $id}) { totalCount } d: conversations(filter: {tagId: $id}) { totalCount } } }`,
			data{"c": s.elsewhere, "id": id}).at("campaign")
		for name := range filtered {
			if n := filtered.at(name).number("totalCount"); n != 0 {
				s.t.Errorf("a filter on %s shows %d conversations", id, n)
			}
		}
	}
	whole := s.foreign.asks(`{ viewer { id } accessTokens { id } campaigns(includeArchived: true) { totalCount edges { node { id name
		members { id user { id } } connections(includeDisconnected: true) { id } platforms { connectionCount }
		tags { id } quickReplies { id } auditLog { edges { node { id } } } conversations { edges { node { id } } } } } } }`, nil)
	for _, id := range ids {
		if strings.Contains(whole.Body, id) {
			s.t.Errorf("%s shows up in %s", id, whole.Body)
		}
	}
}

// nothingByAnySubscription tries each id as every argument that takes one.
func (s *house) nothingByAnySubscription(ids []string) {
	s.t.Helper()
	socket := s.foreign.opens()
	refused := func(query string, variables data) {
		s.t.Helper()
		socket.subscribes(query, variables)
		m, err := socket.reads()
		if err != nil {
			s.t.Fatal(err)
		}
		if code := codeOf(s.t, m); code != notFound {
			s.t.Errorf("%s %v: %s", query, variables, code)
		}
		if m.Type == "next" {
			if m, err = socket.reads(); err != nil || m.Type != "complete" {
				s.t.Fatalf("after the refusal: %v %v", m, err)
			}
		}
	}
	for _, id := range ids {
		for _, field := range []string{"events", "messageAdded", "messageUpdated", "conversationUpdated", "connectionUpdated"} {
			refused(`subscription($id: ID!) { `+field+`(campaignId: $id) { cursor } }`, data{"id": id})
		}
		for _, field := range []string{"messageAdded", "messageUpdated", "conversationUpdated"} {
			refused(`subscription($c: ID!, $id: ID) { `+field+`(campaignId: $c, conversationId: $id) { cursor } }`, data{"c": s.elsewhere, "id": id})
		}
		refused(`subscription($id: ID!) { presenceUpdated(campaignId: $id) { id } }`, data{"id": id})
		refused(`subscription($id: ID!) { webhookReceived(connectionId: $id) { id } }`, data{"id": id})
		refused(`subscription($id: ID!) { facebookLoginUpdated(id: $id) { id } }`, data{"id": id})
		refused(`subscription($id: ID!) { typing(conversationId: $id) { typing } }`, data{"id": id})
		refused(`subscription($id: ID!) { typing(conversationId: $id) { typing user { id } } }`, data{"id": id})
	}
}

// nothingByAnyMutation tries each id as every argument that takes one.
func (s *house) nothingByAnyMutation(ids []string) {
	s.t.Helper()
	for _, m := range []struct{ name, call string }{
		{"updateUser", `updateUser(input: {id: $id, name: "Mine"})`},
		{"revokeAccessToken", `revokeAccessToken(id: $id)`},
		{"updateCampaign", `updateCampaign(input: {id: $id, name: "Mine"})`},
		{"archiveCampaign", `archiveCampaign(id: $id)`},
		{"unarchiveCampaign", `unarchiveCampaign(id: $id)`},
		{"setCampaignMember", `setCampaignMember(input: {campaignId: $id, userId: "` + s.foreign.id() + `"})`},
		{"removeCampaignMember", `removeCampaignMember(input: {campaignId: $id, userId: "` + s.agentID + `"})`},
		{"connectTelegramBot", `connectTelegramBot(input: {campaignId: $id, botToken: "` + s.bot.Token() + `"})`},
		{"startFacebookLogin", `startFacebookLogin(input: {campaignId: $id})`},
		{"connectFacebookPages", `connectFacebookPages(input: {campaignId: $id, loginId: $id, pageIds: ["1"]})`},
		{"connectFacebookPageWithToken", `connectFacebookPageWithToken(input: {campaignId: $id, pageId: "1", accessToken: "EAA"})`},
		{"changeFacebookPage", `changeFacebookPage(input: {connectionId: $id, loginId: $id, pageId: "1"})`},
		{"changeTelegramBot", `changeTelegramBot(input: {connectionId: $id, botToken: "` + s.bot.Token() + `"})`},
		{"reconnect", `reconnect(connectionId: $id)`},
		{"registerWebhook", `registerWebhook(connectionId: $id)`},
		{"testConnection", `testConnection(input: {connectionId: $id})`},
		{"testWebhook", `testWebhook(connectionId: $id)`},
		{"replayWebhook", `replayWebhook(id: $id)`},
		{"replayWebhooks", `replayWebhooks(connectionId: $id, filter: {})`},
		{"clearWebhookQueue", `clearWebhookQueue(connectionId: $id)`},
		{"disconnect", `disconnect(connectionId: $id)`},
		{"updateConnection", `updateConnection(input: {id: $id, name: "Mine"})`},
		{"assignConversation", `assignConversation(input: {id: $id})`},
		{"takeConversation", `takeConversation(id: $id)`},
		{"setConversationStatus", `setConversationStatus(input: {id: $id, status: CLOSED})`},
		{"createQueue", `createQueue(input: {campaignId: $id, name: "Mine"})`},
		{"updateQueue", `updateQueue(input: {id: $id, name: "Mine"})`},
		{"deleteQueue", `deleteQueue(id: $id)`},
		{"addNote", `addNote(input: {conversationId: $id, text: "Mine"})`},
		{"markConversationRead", `markConversationRead(id: $id)`},
		{"setTyping", `setTyping(conversationId: $id)`},
		{"tagConversation", `tagConversation(input: {id: $id})`},
		{"handOverConversation", `handOverConversation(input: {id: $id})`},
		{"saveTag", `saveTag(input: {campaignId: $id, name: "Mine"})`},
		{"saveTag", `saveTag(input: {id: $id, campaignId: "` + s.elsewhere + `", name: "Mine"})`},
		{"deleteTag", `deleteTag(id: $id)`},
		{"saveQuickReply", `saveQuickReply(input: {campaignId: $id, shortcut: "mine", text: "Mine"})`},
		{"saveQuickReply", `saveQuickReply(input: {id: $id, campaignId: "` + s.elsewhere + `", shortcut: "mine", text: "Mine"})`},
		{"deleteQuickReply", `deleteQuickReply(id: $id)`},
	} {
		for _, id := range ids {
			a := s.foreign.asks(`mutation($id: ID!) { `+m.call+` { userErrors { code } } }`, data{"id": id})
			problems := a.Data.at(m.name).list("userErrors")
			if len(problems) != 1 || problems[0].text("code") != notFound {
				s.t.Errorf("%s %s: %s", m.name, id, a.Body)
			}
		}
	}
	s.lan.Writes(s.bot, "Are you still there?")
	if status := s.admin().gets(`query($n: ID!) { connection(id: $n) { status } }`, data{"n": s.connection}).at("connection").text("status"); status != "ACTIVE" {
		s.t.Errorf("the connection is %s", status)
	}
}

// TestEveryEntityIsGuarded reads every entity there is through the viewers' client,
// whatever the schema shows of it: a new one fails until its room guards it.
func TestEveryEntityIsGuarded(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	s.admin().does(`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { userErrors { code } } }`, data{"n": s.connection})
	viewers := s.app.store.NewReader()
	guard(viewers)
	hidden := map[causeway.ID]bool{}
	s.sendsParts()
	for _, ids := range s.everyID(s.campaign) {
		for _, id := range ids {
			hidden[causeway.ID(id)] = true
		}
	}
	foreign, err := s.app.auth.Authenticate(t.Context(), s.foreign.token)
	if err != nil {
		t.Fatal(err)
	}
	guarded := 0
	for name, entity := range reflect.ValueOf(viewers).Elem().Fields() {
		query := entity.MethodByName("Query")
		if !query.IsValid() {
			continue
		}
		guarded++
		read := func(ctx context.Context) ([]causeway.ID, error) {
			if !query.Call(nil)[0].MethodByName("IDs").IsValid() { // rows without ids are told by their campaign
				return campaignsOf(query.Call(nil)[0], ctx)
			}
			answer := query.Call(nil)[0].MethodByName("IDs").Call([]reflect.Value{reflect.ValueOf(ctx)})
			err, _ := answer[1].Interface().(error)
			return answer[0].Interface().([]causeway.ID), err
		}
		if _, err := read(t.Context()); causeway.CodeOf(err) != causeway.Unauthenticated {
			t.Errorf("%s is read without a viewer: %v", name.Name, err)
		}
		ids, err := read(auth.WithViewer(t.Context(), foreign))
		if err != nil {
			t.Errorf("%s: %v", name.Name, err)
		}
		for _, id := range ids {
			if hidden[id] {
				t.Errorf("%s: an agent of another campaign reads %s", name.Name, id)
			}
		}
	}
	if guarded != len(entmigrate.Tables) {
		t.Errorf("%d of %d tables were tried", guarded, len(entmigrate.Tables))
	}
}

// campaignsOf are the campaigns of the rows that a query of any entity finds.
func campaignsOf(query reflect.Value, ctx context.Context) ([]causeway.ID, error) {
	answer := query.MethodByName("All").Call([]reflect.Value{reflect.ValueOf(ctx)})
	var campaigns []causeway.ID
	for i := range answer[0].Len() {
		campaigns = append(campaigns, answer[0].Index(i).Elem().FieldByName("CampaignID").Interface().(causeway.ID))
	}
	err, _ := answer[1].Interface().(error)
	return campaigns, err
}
