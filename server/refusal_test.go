package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"causeway"
	"causeway/internal/feed"
	"causeway/internal/problem"
	"causeway/internal/store"
)

func TestARefusedFieldLeavesItsNeighboursAlone(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	a := s.agent.asks(`mutation($n: ID!) { createCampaign(input: {name: "Mine"}) { campaign { id } } createAccessToken(input: {name: "script"}) { secret userErrors { code } }
		disconnect(connectionId: $n) { openConversations } other: revokeAccessToken(id: "token_1") { deletedId userErrors { code field } } }`, data{"n": s.connection})
	if len(a.Errors) != 2 || a.Data["createCampaign"] != nil || a.Data["disconnect"] != nil ||
		a.Data.at("createAccessToken").text("secret") == "" || len(a.Data.at("other").list("userErrors")) != 1 {
		t.Fatalf("answered %s", a.Body)
	}
	for i, field := range []string{"createCampaign", "disconnect"} {
		e := a.Errors[i]
		if e.Extensions["code"] != "FORBIDDEN" || len(e.Path) != 1 || e.Path[0] != field || e.Message == "" {
			t.Errorf("%s: %v", field, e)
		}
	}
}

func TestWhatIsNotThereIsNullWithoutAnError(t *testing.T) {
	t.Parallel()
	p := begin(t)
	a := p.admin().asks(`query($ids: [ID!]!) {
		campaign(id: "camp_01jd0000000000000000000000") { id } connection(id: "nonsense") { id } conversation(id: "") { id }
		node(id: "msg_01jd0000000000000000000000") { id } odd: node(id: "'; DROP TABLE users; --") { id } nodes(ids: $ids) { id } }`,
		data{"ids": []string{"camp_01jd0000000000000000000000", "user_x", "", "x", "\x00", "camp_01jd0000000000000000000000"}})
	if len(a.Errors) > 0 || len(a.Data["nodes"].([]any)) != 6 {
		t.Fatalf("answered %s", a.Body)
	}
	nodes := a.Data["nodes"].([]any)
	delete(a.Data, "nodes")
	for _, value := range append(nodes, slices.Collect(maps.Values(a.Data))...) {
		if value != nil {
			t.Errorf("answered %s", a.Body)
		}
	}
	me := p.admin().id()
	found := p.admin().gets(`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, data{"ids": []string{me, "user_x", me}})["nodes"]
	if fmt.Sprint(found) != fmt.Sprintf("[map[id:%s] <nil> map[id:%s]]", me, me) {
		t.Errorf("nodes are %v", found)
	}
	if a := p.admin().asks(`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, data{"ids": slices.Repeat([]string{me}, 201)}); a.code() != "BAD_USER_INPUT" {
		t.Errorf("201 nodes: %s", a.Body)
	}
}

// Scalars of the types that lists hold.
const (
	conversationScalars = `__typename id title status unreadCount lastMessageAt createdAt closedAt`
	messageScalars      = `__typename id direction authorKind text payload status albumId forwardedFrom externalId sentAt createdAt editedAt`
	contactScalars      = `__typename id platform externalId name username language blocked createdAt`
	campaignScalars     = `__typename id name description archivedAt createdAt viewerRole eventCursor`
	connectionScalars   = `__typename id platform name status authorizedBy enabled language openConversations connectedAt reconnectedAt disconnectedAt lastSyncedAt nextCheckAt`
	logScalars          = `__typename id receivedAt processedAt eventType payload responseStatus status error attempts durationMs test`
	pageInfo            = `totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }`
)

func TestAPageOf200WithOneLevelOfObjectsIsNotTooMuch(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	for _, page := range []string{
		`{ users(first: 200) { ` + pageInfo + ` edges { cursor node { __typename id email name role language createdAt deactivatedAt } } } }`,
		`{ campaigns(last: 200) { ` + pageInfo + ` edges { cursor node { ` + campaignScalars + `
			platforms { platform name logoUrl availability connected connectionCount problem { code } } members { id role joinedAt }
			connections { ` + connectionScalars + ` } } } } }`,
		`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { ` + pageInfo + ` edges { cursor node { ` + conversationScalars + `
			campaign { ` + campaignScalars + ` } connection { ` + connectionScalars + ` } contact { ` + contactScalars + ` } lastMessage { ` + messageScalars + ` } } } } } }`,
		`query($v: ID!) { conversation(id: $v) { messages(last: 200) { ` + pageInfo + ` edges { cursor node { ` + messageScalars + `
			conversation { ` + conversationScalars + ` } contact { ` + contactScalars + ` } replyTo { ` + messageScalars + ` }
			attachments { __typename id kind state name mimeType size width height durationSeconds latitude longitude } reactions { emoji at } } } } } }`,
		`query($n: ID!) { connection(id: $n) { webhookLogs(first: 200) { ` + pageInfo + ` edges { cursor node { ` + logScalars + `
			connection { ` + connectionScalars + ` } messages { ` + messageScalars + ` } } } } testReports(first: 200) { id kind passed startedAt durationMs
			connection { ` + connectionScalars + ` } checks { name outcome message durationMs } } } }`,
	} {
		s.admin().gets(page, s.only(page, s.ids()))
	}
}

func TestPagesWithinPagesAreTooMuch(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	nested := `id`
	for range 5 {
		nested = `messages(first: $n) { edges { node { conversation { ` + nested + ` } } } }`
	}
	for _, query := range []string{
		`query($v: ID!, $n: Int) { conversation(id: $v) { ` + nested + ` } }`,
		`query($v: ID!, $n: Int) { node(id: $v) { ... on Conversation { ...f } } } fragment f on Conversation { ` + nested + ` }`,
		`subscription($c: ID!, $n: Int) { messageAdded(campaignId: $c) { message { conversation { ` + nested + ` } } } }`,
	} {
		for _, size := range []any{200, nil} { // 50 where nothing is said
			variables := s.only(query, s.ids())
			variables["n"] = size
			a := s.admin().asks(query, variables)
			if a.code() != "TOO_COMPLEX" || strings.Contains(a.Body, `"data"`) {
				t.Errorf("by %v: %s", size, a.Body)
			}
		}
	}
	s.admin().gets(`query($v: ID!, $n: Int) { conversation(id: $v) { `+nested+` } }`, data{"v": s.conversation, "n": 5})
}

func TestPagesHaveTheirSizes(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	lists := map[string]string{
		"users":         `query($first: Int, $last: Int) { users(first: $first, last: $last) { edges { cursor } totalCount } }`,
		"campaigns":     `query($first: Int, $last: Int) { campaigns(first: $first, last: $last) { edges { cursor } totalCount } }`,
		"conversations": `query($c: ID!, $first: Int, $last: Int) { campaign(id: $c) { conversations(first: $first, last: $last) { edges { cursor } totalCount } } }`,
		"messages":      `query($v: ID!, $first: Int, $last: Int) { conversation(id: $v) { messages(first: $first, last: $last) { edges { cursor } totalCount } } }`,
		"webhookLogs":   `query($n: ID!, $first: Int, $last: Int) { connection(id: $n) { webhookLogs(first: $first, last: $last) { edges { cursor } totalCount } } }`,
		"testReports":   `query($n: ID!, $first: Int) { connection(id: $n) { testReports(first: $first) { id } } }`,
	}
	for name, query := range lists {
		for _, size := range []struct {
			first, last any
			code        string
		}{
			{nil, nil, ""}, {0, nil, ""}, {1, nil, ""}, {200, nil, ""}, {nil, 0, ""}, {nil, 200, ""}, {1, nil, ""},
			{201, nil, "BAD_USER_INPUT"}, {-1, nil, "BAD_USER_INPUT"}, {nil, 201, "BAD_USER_INPUT"}, {nil, -1, "BAD_USER_INPUT"},
			{1, 1, "BAD_USER_INPUT"}, {0, 0, "BAD_USER_INPUT"}, {"ten", nil, "BAD_USER_INPUT"}, {1.5, nil, "BAD_USER_INPUT"}, {1 << 40, nil, "TOO_COMPLEX"},
		} {
			variables := s.only(query, s.ids())
			variables["first"], variables["last"] = size.first, size.last
			if name == "testReports" {
				if size.last != nil {
					continue
				}
				delete(variables, "last")
			}
			a := s.admin().asks(query, variables)
			if a.code() != size.code {
				t.Errorf("%s with first %v and last %v: %s", name, size.first, size.last, a.Body)
			}
			if size.first == 0 && size.code == "" && strings.Contains(a.Body, `"cursor":"`) {
				t.Errorf("%s with first 0: %s", name, a.Body)
			}
		}
	}
}

func TestACursorOpensOnlyTheListThatGaveIt(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	given := s.admin().gets(`query($c: ID!, $v: ID!, $n: ID!) {
		users(first: 1) { edges { cursor } } campaigns(first: 1) { edges { cursor } }
		campaign(id: $c) { eventCursor conversations(first: 1) { edges { cursor } } }
		conversation(id: $v) { messages(first: 1) { edges { cursor } } } connection(id: $n) { webhookLogs(first: 1) { edges { cursor } } } }`,
		data{"c": s.campaign, "v": s.conversation, "n": s.connection})
	cursors := map[string]string{
		"users":         given.at("users").list("edges")[0].text("cursor"),
		"campaigns":     given.at("campaigns").list("edges")[0].text("cursor"),
		"conversations": given.at("campaign", "conversations").list("edges")[0].text("cursor"),
		"messages":      given.at("conversation", "messages").list("edges")[0].text("cursor"),
		"webhookLogs":   given.at("connection", "webhookLogs").list("edges")[0].text("cursor"),
		"eventCursor":   given.at("campaign").text("eventCursor"),
		"nothing":       "", "nonsense": "nonsense", "base64": "aGVsbG8", "huge": strings.Repeat("A", 5000),
	}
	lists := map[string]string{
		"users":         `query($k: Cursor) { users(SIDE: $k) { edges { cursor } } }`,
		"campaigns":     `query($k: Cursor) { campaigns(SIDE: $k) { edges { cursor } } }`,
		"conversations": `query($c: ID!, $k: Cursor) { campaign(id: $c) { conversations(SIDE: $k) { edges { cursor } } } }`,
		"messages":      `query($v: ID!, $k: Cursor) { conversation(id: $v) { messages(SIDE: $k) { edges { cursor } } } }`,
		"webhookLogs":   `query($n: ID!, $k: Cursor) { connection(id: $n) { webhookLogs(SIDE: $k) { edges { cursor } } } }`,
	}
	for list, query := range lists {
		for _, side := range []string{"after", "before"} {
			for giver, cursor := range cursors {
				code := "BAD_USER_INPUT"
				if giver == list {
					code = ""
				}
				query := strings.ReplaceAll(query, "SIDE", side)
				variables := s.only(query, s.ids())
				variables["k"] = cursor
				if a := s.admin().asks(query, variables); a.code() != code {
					t.Errorf("%s %s a cursor of %s: %s", list, side, giver, a.Body)
				}
			}
		}
	}
}

func TestAFeedIsResumedOnlyFromItsOwnCursors(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	socket := s.admin().opens()
	refused := func(campaign, after, code string) {
		t.Helper()
		socket.subscribes(`subscription($c: ID!, $a: Cursor) { events(campaignId: $c, after: $a) { cursor } }`, data{"c": campaign, "a": after})
		m, err := socket.reads()
		if err != nil {
			t.Fatal(err)
		}
		if got := codeOf(t, m); got != code {
			t.Errorf("after %q: %s, want %s", after, got, code)
		}
		if m.Type == "next" {
			if _, err := socket.reads(); err != nil {
				t.Fatal(err)
			}
		}
	}
	page := s.admin().gets(`query($c: ID!) { campaigns(first: 1) { edges { cursor } } campaign(id: $c) { conversations { edges { cursor } } } }`, data{"c": s.campaign})
	refused(s.elsewhere, s.began, "BAD_USER_INPUT") // of another campaign
	refused(s.campaign, page.at("campaigns").list("edges")[0].text("cursor"), "BAD_USER_INPUT")
	refused(s.campaign, page.at("campaign", "conversations").list("edges")[0].text("cursor"), "BAD_USER_INPUT")
	refused(s.campaign, "nonsense", "BAD_USER_INPUT")
	refused(s.campaign, "", "BAD_USER_INPUT")
	refused(s.campaign, positionOf(s.campaign, 1_000_000), "FEED_TRIMMED") // the sequence has not got so far
}

// positionOf is a cursor of a campaign's feed as the server writes it.
func positionOf(campaign string, seq int64) string {
	var b strings.Builder
	feed.Cursor(causeway.ID(campaign), seq).MarshalGQL(&b)
	return strings.Trim(b.String(), `"`)
}

func TestProblemsAreToldInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	p := begin(t)
	words, err := problem.New()
	if err != nil {
		t.Fatal(err)
	}
	ana := p.user("Ana", "", "")
	ask := func(acceptLanguage string) (userError, topLevel, whole string) {
		headers := map[string]string{"Accept-Language": acceptLanguage, "Authorization": "Bearer " + ana.token, "Accept": plainJSON}
		_, _, body := p.posts(`mutation { updateCampaign(input: {id: "camp_1"}) { userErrors { message causes solutions } } createCampaign(input: {name: "x"}) { campaign { id } } }`, headers)
		var a answer
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Errors) != 1 {
			t.Fatalf("%s: %s", acceptLanguage, body)
		}
		delete(headers, "Authorization")
		_, _, refused := p.posts(`{ viewer { id } }`, headers)
		return a.Data.at("updateCampaign").list("userErrors")[0].text("message"), a.Errors[0].Message, refused
	}
	for header, language := range map[string]string{
		"vi": "vi", "ru": "ru", "zh-TW": "zh-Hant", "zh-CN": "zh-Hans", "en": "en", "": "en", "fr": "en", "vi-VN,en;q=0.5": "vi",
		"fr;q=1, zh-HK;q=0.8, en;q=0.1": "zh-Hant", ";;;": "en",
	} {
		userError, topLevel, whole := ask(header)
		if want := words.Text(language, causeway.Problem{Code: causeway.NotFound}).Message; userError != want {
			t.Errorf("%q: userError %q, want %q", header, userError, want)
		}
		if want := words.Text(language, causeway.Problem{Code: causeway.Forbidden}).Message; topLevel != want {
			t.Errorf("%q: error %q, want %q", header, topLevel, want)
		}
		if want := words.Text(language, causeway.Problem{Code: causeway.Unauthenticated}).Message; !strings.Contains(whole, want) {
			t.Errorf("%q: refusal %s, want %q", header, whole, want)
		}
	}
	ana.does(`mutation($u: ID!) { updateUser(input: {id: $u, language: "ru"}) { userErrors { code } } }`, data{"u": ana.id()})
	if userError, _, _ := ask(""); userError != words.Text("ru", causeway.Problem{Code: causeway.NotFound}).Message {
		t.Errorf("who reads Russian is told %q", userError)
	}
}

func TestTroubleInsideIsToldByARequestIDAlone(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	err := s.app.store.InTx(t.Context(), func(tx *store.Tx) error {
		for _, table := range []string{"test_reports", "feed_events"} {
			if _, err := tx.ExecContext(t.Context(), "ALTER TABLE "+table+" RENAME TO gone_"+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop() })
	for _, query := range []string{
		`query($n: ID!) { viewer { id } connection(id: $n) { testReports { id } } }`,
		`mutation($n: ID!) { testConnection(input: {connectionId: $n}) { report { id } } }`,
	} {
		a := s.admin().asks(query, data{"n": s.connection})
		if a.code() != "INTERNAL" || len(a.Errors) != 1 {
			t.Fatalf("%s: %s", query, a.Body)
		}
		id, _ := a.Errors[0].Extensions["requestId"].(string)
		if id == "" || !strings.Contains(s.log.String(), id) {
			t.Errorf("the log does not know request %q", id)
		}
		for _, inside := range []string{"table", "sql", "SQL", "test_reports", "feed_events", "ent:"} {
			if strings.Contains(a.Body, inside) {
				t.Errorf("%s tells %q: %s", query, inside, a.Body)
			}
		}
	}
}

func TestBadRequestsAreRefusedWithACode(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for query, code := range map[string]string{
		`{ viewer { password } }`: "BAD_USER_INPUT", `{ viewer `: "BAD_USER_INPUT", `{ campaign { id } }`: "BAD_USER_INPUT",
		`mutation { createCampaign(input: {}) { campaign { id } } }`: "BAD_USER_INPUT",
		`{ ` + strings.Repeat(`viewer { id } `, 2000) + `}`:          "BAD_USER_INPUT",
		`query A { viewer { id } } query B { viewer { id } }`:        "BAD_USER_INPUT",
		``: "BAD_USER_INPUT",
	} {
		a := p.admin().asks(query, nil)
		if a.code() != code || strings.Contains(a.Body, `"data"`) {
			t.Errorf("%.80s: %d %.300s", query, a.Status, a.Body)
		}
	}
}
