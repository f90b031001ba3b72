package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"causeway/internal/platform/simulator"
)

// house is a campaign in which everything has happened that can, and the people who
// may or may not know of it.
type house struct {
	*program
	campaign, connection, conversation string
	tag, quickReply                    string
	began                              string // the feed's position before anything happened
	bot                                *simulator.Bot
	lan                                *simulator.Customer
	facebook                           *facebook
	login                              string // the manager's, at Facebook
	page                               string // the connection of the first of its pages

	elsewhere               string // a campaign of other people
	foreign, agent, manager person
	agentID                 string
	queue                   string // that Ana serves, and no connection enters
}

// opensHouse starts the program with a shop.
func opensHouse(t *testing.T, options ...option) *house {
	t.Helper()
	f := opensFacebook(t)
	s := &house{program: begin(t, append([]option{f.ours}, options...)...), facebook: f}
	s.campaign, s.elsewhere = s.program.campaign("Shop"), s.program.campaign("Elsewhere")
	s.foreign = s.user("Fay", s.elsewhere, "AGENT")
	s.agent = s.user("Ana", s.campaign, "AGENT")
	s.manager = s.user("Mai", s.campaign, "MANAGER")
	s.agentID = s.agent.id()
	s.queue = s.program.queue(s.campaign, "Front", "MANUAL", s.agentID)
	s.began = s.cursor(s.campaign)
	s.bot, s.connection = s.program.bot(s.campaign, "shop_bot")
	s.lan = s.telegram.Customer("Lan Nguyen", "vi")
	first := s.lan.Writes(s.bot, "Do you have umbrellas?")
	s.lan.SendsPhoto(s.bot, "such as this", simulator.InReplyTo(first))
	s.lan.Edits(first, "Do you have red umbrellas?")
	s.lan.Reacts(first, "👍")
	eventually(t, "the shop's customers are heard", func() error {
		conversations := s.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations { edges { node {
			id messages { edges { node { text attachments { id state } reactions { emoji } } } } } } } } }`, data{"c": s.campaign}).
			at("campaign").nodes("conversations")
		if len(conversations) != 1 {
			return fmt.Errorf("%d conversations", len(conversations))
		}
		s.conversation = conversations[0].text("id")
		messages := conversations[0].nodes("messages")
		if len(messages) != 2 || messages[0].text("text") != "Do you have red umbrellas?" ||
			len(messages[0].list("reactions")) != 1 || len(messages[1].list("attachments")) != 1 || messages[1].list("attachments")[0].text("state") != "STORED" {
			return fmt.Errorf("messages %v", messages)
		}
		return nil
	})
	s.tag, s.quickReply = s.agent.saves(s.campaign, "VIP"), s.agent.savesQuickReply(s.campaign, "hello", "", "Hello!")
	s.agent.tags(s.conversation, s.tag)
	s.login = s.manager.logsIn(f, s.campaign, f.pages...)
	s.page = s.manager.connectsPage(s.campaign, s.login, f.pages[0])
	eventually(t, "the page has its picture", func() error { // which is an event, too
		page := s.admin().gets(`query($n: ID!) { connection(id: $n) { account { ... on FacebookPage { avatarUrl } } } }`, data{"n": s.page})
		if page.at("connection", "account").text("avatarUrl") == "" {
			return errors.New("it has none")
		}
		return nil
	})
	return s
}

// saves makes a tag.
func (who person) saves(campaign, name string) string {
	who.p.t.Helper()
	return who.does(`mutation($c: ID!, $n: String!) { saveTag(input: {campaignId: $c, name: $n}) { tag { id } userErrors { code message } } }`,
		data{"c": campaign, "n": name}).at("tag").text("id")
}

// tags puts a tag on a conversation.
func (who person) tags(conversation, tag string) {
	who.p.t.Helper()
	who.does(`mutation($v: ID!, $t: ID!) { tagConversation(input: {id: $v, addTagIds: [$t]}) { conversation { id } userErrors { code message } } }`,
		data{"v": conversation, "t": tag})
}

// savesQuickReply makes a quick reply, of every language if none is given.
func (who person) savesQuickReply(campaign, shortcut, language, text string) string {
	who.p.t.Helper()
	variables := data{"c": campaign, "s": shortcut, "t": text}
	if language != "" {
		variables["l"] = language
	}
	return who.does(`mutation($c: ID!, $s: String!, $l: String, $t: String!) { saveQuickReply(input: {campaignId: $c, shortcut: $s, language: $l, text: $t}) { quickReply { id } userErrors { code message } } }`,
		variables).at("quickReply").text("id")
}

// types says that somebody types, or ceased to.
func (who person) types(conversation string, typing bool) {
	who.p.t.Helper()
	who.does(`mutation($v: ID!, $t: Boolean!) { setTyping(conversationId: $v, typing: $t) { userErrors { code message } } }`,
		data{"v": conversation, "t": typing})
}

// id is who this is.
func (who person) id() string {
	who.p.t.Helper()
	return who.gets(`{ viewer { id } }`, nil).at("viewer").text("id")
}

// Outcomes of an operation. One with an @ is the code of a userError and the path of
// the input at fault.
const (
	works     = "works"
	null      = "null" // and no error
	forbidden = "FORBIDDEN"
	notFound  = "NOT_FOUND" // of a subscription
)

func (s *house) ids() data {
	return data{"q": s.queue, "c": s.campaign, "n": s.connection, "v": s.conversation, "u": s.agentID, "a": s.began, "tag": s.tag, "quick": s.quickReply, "l": s.login,
		"page": s.page, "first": s.facebook.pages[0].ID(),
		"log": s.column("SELECT id FROM webhook_logs WHERE connection_id = '" + s.connection + "' ORDER BY position LIMIT 1")[0]}
}

// joins makes a user a member.
func (p *program) joins(campaign, user, role string) {
	p.t.Helper()
	p.admin().does(`mutation($c: ID!, $u: ID!, $r: CampaignRole!) { setCampaignMember(input: {campaignId: $c, userId: $u, role: $r}) { campaign { id } userErrors { code message } } }`,
		data{"c": campaign, "u": user, "r": role})
}

// only leaves the variables that a query declares.
func (s *house) only(query string, variables data) data {
	used := maps.Clone(variables)
	maps.DeleteFunc(used, func(name string, _ any) bool { return !strings.Contains(query, "$"+name+":") })
	return used
}

func ownSchema(t *testing.T) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
}

// outcome tries an operation and tells what came of it.
func (s *house) outcome(r right, who person, variables data) string {
	s.t.Helper()
	root, field, _ := strings.Cut(r.operation, ".")
	if root == "Subscription" {
		return s.firstWord(who, r.query, variables)
	}
	a := who.asks(r.query, variables)
	value := a.Data[field]
	if len(a.Errors) > 0 {
		if value != nil {
			return "an error beside a payload: " + a.Body
		}
		return a.code()
	}
	if list, ok := value.([]any); ok && len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return v != nil }) {
		return null
	}
	if value == nil {
		return null
	}
	if root != "Mutation" {
		return works
	}
	problems := a.Data.at(field).list("userErrors")
	if len(problems) == 0 {
		return works
	}
	for name, other := range a.Data.at(field) {
		if list, ok := other.([]any); ok && len(list) == 0 {
			continue
		}
		if name != "userErrors" && other != nil && other != 0.0 {
			return "a refusal beside a result: " + a.Body
		}
	}
	return problems[0].text("code") + "@" + path(problems[0])
}

// path is the input at fault.
func path(problem data) string {
	steps, _ := problem["field"].([]any)
	words := make([]string, 0, len(steps))
	for _, step := range steps {
		words = append(words, fmt.Sprint(step))
	}
	return strings.Join(words, ".")
}

// firstWord subscribes and tells what comes first: an event, or the code of an error.
// Customers write until something comes, for subscriptions that begin now.
func (s *house) firstWord(who person, query string, variables data) string {
	s.t.Helper()
	socket := who.opens()
	defer func() { _ = socket.conn.Close() }()
	socket.subscribes(query, variables)
	first, failed := make(chan message, 1), make(chan error, 1)
	go func() {
		m, err := socket.reads()
		if err != nil {
			failed <- err
			return
		}
		first <- m
	}()
	writing := time.NewTicker(200 * time.Millisecond)
	defer writing.Stop()
	for presence := "ONLINE"; ; {
		select {
		case m := <-first:
			return codeOf(s.t, m)
		case err := <-failed:
			return err.Error()
		case <-writing.C:
			s.lan.Writes(s.bot, "Is anybody there?")
			s.agent.types(s.conversation, true)
			s.agent.says(presence)
			presence = map[string]string{"ONLINE": "AWAY", "AWAY": "ONLINE"}[presence]
		}
	}
}

// codeOf is what a protocol's message says: works for an event, else the code of its
// error, which comes by itself or as a result without data.
func codeOf(t *testing.T, m message) string {
	t.Helper()
	var a answer
	var err error
	switch m.Type {
	case "next":
		err = json.Unmarshal(m.Payload, &a)
	case "error":
		err = json.Unmarshal(m.Payload, &a.Errors)
	default:
		return m.Type
	}
	switch {
	case err != nil:
		t.Fatalf("%v: %s", err, m.Payload)
	case len(a.Errors) == 0:
		return works
	case a.Data != nil:
		return "an error beside data: " + string(m.Payload)
	}
	return a.code()
}

func (p *program) column(query string) []string {
	p.t.Helper()
	rows, err := p.app.store.Readers().QueryContext(p.t.Context(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var values []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			p.t.Fatal(err)
		}
		values = append(values, v)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
	return values
}
