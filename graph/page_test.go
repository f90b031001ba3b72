package graph_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"causeway"
	"causeway/graph"
	"causeway/internal/feed"
	"causeway/internal/problem"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestAListHasASizeHoweverItIsAskedFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	for i := range 60 {
		d.fill(fmt.Sprint("campaign", i), 0, 0)
	}
	type variables = map[string]any
	for _, c := range []struct {
		query     string
		variables variables
		size      int // -1: refused
	}{
		{`{ campaigns { edges { cursor } } }`, nil, 50},
		{`{ campaigns(first: null) { edges { cursor } } }`, nil, 50},
		{`{ campaigns(first: null, last: null) { edges { cursor } } }`, nil, 50},
		{`{ campaigns(first: 3, last: null) { edges { cursor } } }`, nil, 3},
		{`{ campaigns(last: 4, first: null) { edges { cursor } } }`, nil, 4},
		{`{ campaigns(first: 0) { edges { cursor } } }`, nil, 0},
		{`{ campaigns(first: 200) { edges { cursor } } }`, nil, 60},
		{`{ campaigns(first: 201) { edges { cursor } } }`, nil, -1},
		{`{ campaigns(last: 201) { edges { cursor } } }`, nil, -1},
		{`{ campaigns(first: -1) { edges { cursor } } }`, nil, -1},
		{`{ campaigns(first: 1, last: 1) { edges { cursor } } }`, nil, -1},
		{`query($n: Int) { campaigns(first: $n) { edges { cursor } } }`, nil, 50},
		{`query($n: Int) { campaigns(first: $n) { edges { cursor } } }`, variables{"n": nil}, 50},
		{`query($n: Int) { campaigns(first: $n) { edges { cursor } } }`, variables{"n": 7}, 7},
		{`query($n: Int = 8) { campaigns(first: $n) { edges { cursor } } }`, nil, 8},
		{`query($n: Int = 8) { campaigns(first: $n) { edges { cursor } } }`, variables{"n": nil}, 50},
		{`query($n: Int = 500) { campaigns(first: $n) { edges { cursor } } }`, nil, -1},
		{`query($n: Int!) { campaigns(last: $n) { edges { cursor } } }`, variables{"n": 201}, -1},
		{`{ ...f } fragment f on Query { campaigns { edges { cursor } } }`, nil, 50},
		{`{ ...f } fragment f on Query { campaigns(first: 201) { edges { cursor } } }`, nil, -1},
		{`{ ... { ... on Query { campaigns { edges { cursor } } } } }`, nil, 50},
		{`{ ... { ... on Query { campaigns(last: 201) { edges { cursor } } } } }`, nil, -1},
		{`query($n: Int) { ...f } fragment f on Query { ...g } fragment g on Query { campaigns(last: $n) { edges { cursor } } }`, variables{"n": 5}, 5},
		{`query($n: Int) { ...f } fragment f on Query { ...g } fragment g on Query { campaigns(last: $n) { edges { cursor } } }`, variables{"n": 201}, -1},
	} {
		response := d.answers(d.admin, c.query, c.variables)
		if c.size < 0 {
			if len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != "BAD_USER_INPUT" || response.Data != nil && string(response.Data) != "null" {
				t.Errorf("%s %v: %s %v", c.query, c.variables, response.Data, response.Errors)
			}
			continue
		}
		if n := strings.Count(string(response.Data), `"cursor"`); n != c.size || len(response.Errors) > 0 {
			t.Errorf("%s %v: %d rows, want %d %v", c.query, c.variables, n, c.size, response.Errors)
		}
	}
}

func TestPagesMeetEachOther(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, _ *storetest.Statements) {
		d := newDesk(t, db)
		f := d.fill("campaign", 1, 17)
		for _, forward := range []bool{true, false} {
			var seen []string
			var cursor any
			for range 10 {
				arguments := `first: 4, after: $k`
				if !forward {
					arguments = `last: 4, before: $k`
				}
				page := d.gets(d.agent, `query($c: ID!, $k: Cursor) { campaign(id: $c) { conversations(`+arguments+`) {
					totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { node { id } } } } }`,
					map[string]any{"c": f.campaign, "k": cursor})["campaign"].(map[string]any)["conversations"].(map[string]any)
				info := page["pageInfo"].(map[string]any)
				var ids []string
				for _, edge := range page["edges"].([]any) {
					ids = append(ids, edge.(map[string]any)["node"].(map[string]any)["id"].(string))
				}
				more := "hasNextPage"
				if cursor = info["endCursor"]; forward {
					seen = append(seen, ids...)
				} else {
					cursor, more = info["startCursor"], "hasPreviousPage"
					seen = append(ids, seen...)
				}
				if page["totalCount"] != 17.0 {
					t.Errorf("the page says there are %v", page["totalCount"])
				}
				if info[more] != true {
					break
				}
			}
			unique := map[string]bool{}
			for _, id := range seen {
				unique[id] = true
			}
			if len(seen) != 17 || len(unique) != 17 || seen[0] != string(f.conversation) {
				t.Errorf("forward %v: the pages hold %d, %d of them different, the newest is %s", forward, len(seen), len(unique), seen[0])
			}
		}
	})
}

func TestAListIsTheSameHoweverItsFieldsAreNamed(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, asked *storetest.Statements) {
		d := newDesk(t, db)
		f := d.fill("campaign", 1, 7)
		const fragments = ` fragment f on ConversationConnection { many: totalCount rows: edges { ...e } }
			fragment e on ConversationEdge { row: node { id who: contact { name } } }`
		ask := func(selection string) (map[string]any, int) {
			query := `query($c: ID!) { campaign(id: $c) { conversations(first: 5) { ` + selection + ` } } }`
			if strings.Contains(selection, "...f") {
				query += fragments
			}
			asked.Take()
			page := d.gets(d.agent, query, map[string]any{"c": f.campaign})["campaign"].(map[string]any)["conversations"].(map[string]any)
			return page, len(asked.Take())
		}
		whole, statements := ask(`totalCount pageInfo { hasNextPage hasPreviousPage endCursor } edges { node { id contact { name } } } many: totalCount rows: edges { row: node { id who: contact { name } } }`)
		if whole["totalCount"] != 7.0 || whole["pageInfo"].(map[string]any)["hasNextPage"] != true || len(whole["edges"].([]any)) != 5 {
			t.Fatalf("the page is %v", whole)
		}
		aliased, again := ask(`n: totalCount p: pageInfo { hasNextPage hasPreviousPage endCursor } a: edges { node { id } } a: edges { node { contact { name } } } ...f`)
		if fmt.Sprint(aliased["n"], aliased["p"], aliased["a"]) != fmt.Sprint(whole["totalCount"], whole["pageInfo"], whole["edges"]) ||
			fmt.Sprint(aliased["many"], aliased["rows"]) != fmt.Sprint(whole["many"], whole["rows"]) || again != statements {
			t.Errorf("by aliases, with %d statements for %d, the page is %v, not %v", again, statements, aliased, whole)
		}
		if alone, _ := ask(`pageInfo { hasNextPage hasPreviousPage endCursor }`); fmt.Sprint(alone["pageInfo"]) != fmt.Sprint(whole["pageInfo"]) {
			t.Errorf("without edges, the page is %v, not %v", alone["pageInfo"], whole["pageInfo"])
		}
	})
}

func TestAnErrorTellsACodeAndNothingOfTheInside(t *testing.T) {
	t.Parallel()
	problems, err := problem.New()
	if err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	r := &graph.Resolver{Problems: problems, Clock: causeway.System{}, Log: slog.New(slog.NewTextHandler(log, nil))}
	secret := errors.New("pq: password of 10.0.0.7 is hidden")
	for code, err := range map[string]error{
		"INTERNAL":     fmt.Errorf("read: %w", secret),
		"NOT_FOUND":    fmt.Errorf("read: %w", causeway.Missing("id").Because(secret)),
		"FORBIDDEN":    causeway.Fail(causeway.Forbidden).Because(secret),
		"FEED_TRIMMED": causeway.Fail(causeway.FeedTrimmed),
		"FEED_OVERRUN": &feed.Overrun{Campaign: "camp_1", Last: 7},
	} {
		shown := r.PresentError(t.Context(), err)
		if shown.Extensions["code"] != code || shown.Message == "" || strings.Contains(fmt.Sprint(shown.Message, shown.Extensions), "hidden") || shown.Unwrap() != nil {
			t.Errorf("%v is shown as %q %v", err, shown.Message, shown.Extensions)
		}
		id, isInternal := shown.Extensions["requestId"].(string)
		if isInternal != (code == "INTERNAL") || isInternal && !(strings.Contains(log.String(), id) && strings.Contains(log.String(), "10.0.0.7")) {
			t.Errorf("%s has request %q, the log says %s", code, id, log)
		}
		if _, cursor := shown.Extensions["cursor"]; cursor != (code == "FEED_OVERRUN") {
			t.Errorf("%s: %v", code, shown.Extensions)
		}
	}
	if shown := r.PresentError(t.Context(), r.Recover(t.Context(), "hidden")); shown.Extensions["code"] != "INTERNAL" || strings.Contains(shown.Message, "hidden") {
		t.Errorf("a panic is shown as %v", shown)
	}
}

// TestEveryFieldCanBeAskedForAlone finds resolvers that need a column which a list
// reads only when something else is asked for, too.
func TestEveryFieldCanBeAskedForAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	f := d.fill("campaign", 1, 3)
	schema := own(t)
	for typeName, id := range map[string]causeway.ID{
		"Campaign": f.campaign, "Connection": f.connection, "Conversation": f.conversation, "Contact": f.contact,
		"Message": f.message, "WebhookLog": f.log, "TestReport": f.report, "User": d.agent.UserID,
	} {
		for _, field := range schema.Types[typeName].Fields {
			selection := field.Name
			if of := schema.Types[field.Type.Name()]; of.Kind != ast.Scalar && of.Kind != ast.Enum {
				selection += " { __typename }"
			}
			query := `query($id: ID!) { node(id: $id) { ... on ` + typeName + ` { ` + selection + ` } } nodes(ids: [$id]) { ... on ` + typeName + ` { ` + selection + ` } } }`
			if response := d.answers(d.manager, query, map[string]any{"id": id}); len(response.Errors) > 0 {
				t.Errorf("%s.%s alone: %v", typeName, field.Name, response.Errors)
			}
		}
	}
}

func TestAnObjectAskedForUnderTwoNamesIsWholeUnderBoth(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	f := d.fill("campaign", 1, 1)
	node := d.gets(d.agent, `query($id: ID!) { conversation(id: $id) {
		whole: lastMessage { text createdAt contact { name } } one: lastMessage { text contact { name } } two: lastMessage { createdAt }
	} }`, map[string]any{"id": f.conversation})["conversation"].(map[string]any)
	whole := node["whole"].(map[string]any)
	one, two := node["one"].(map[string]any), node["two"].(map[string]any)
	if whole["text"] == nil || one["text"] != whole["text"] || two["createdAt"] != whole["createdAt"] ||
		fmt.Sprint(one["contact"]) != fmt.Sprint(whole["contact"]) {
		t.Errorf("the parts are %v and %v of %v", one, two, whole)
	}
}
