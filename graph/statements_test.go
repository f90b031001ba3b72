package graph_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"causeway/ent/feedevent"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// TestAPageOf50AsksNoMoreThanAPageOf5 counts the statements of each list with what
// its rows show of other tables. Loaders gather what is asked within a moment, so on
// a busy machine one may come to two statements; one per row is what must not be.
func TestAPageOf50AsksNoMoreThanAPageOf5(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, asked *storetest.Statements) {
		d := newDesk(t, db)
		few, many := d.fill("few", 5, 5), d.fill("many", 50, 50)
		for i := range 50 {
			d.fill(fmt.Sprint("campaign", i), 1, 1)
		}
		conversationOf := func(f full) string {
			return d.gets(d.admin, `query($c: ID!) { campaign(id: $c) { conversations(first: 1, orderBy: {field: CREATED_AT, direction: ASC}) { edges { node { id } } } } }`,
				map[string]any{"c": f.campaign})["campaign"].(map[string]any)["conversations"].(map[string]any)["edges"].([]any)[0].(map[string]any)["node"].(map[string]any)["id"].(string)
		}
		first := map[full]string{few: conversationOf(few), many: conversationOf(many)}
		for _, query := range []string{
			`query($c: ID!, $n: Int) { campaign(id: $c) { conversations(first: $n) { totalCount edges { node { title contact { name } connection { name platform } lastMessage { text } campaign { name } } } } } }`,
			`query($c: ID!, $n: Int) { campaign(id: $c) { conversations(first: $n) { edges { node { contact { conversations { id } }
				lastMessage { contact { name } replyTo { text contact { name } } attachments { kind } reactions { emoji contact { name } } } } } } } }`,
			`query($c: ID!, $n: Int) { campaign(id: $c) { connections { name openConversations webhook { pendingCount } campaign { name viewerRole } } members { user { name } }
				conversations(first: $n) { totalCount } } }`,
			`query($n: Int) { campaigns(first: $n) { totalCount edges { node { name viewerRole eventCursor platforms { connectionCount } } } } }`,
			`query($v: ID!, $n: Int) { conversation(id: $v) { messages(first: $n) { totalCount edges { node { text contact { name } replyTo { text }
				conversation { title contact { name } } attachments { kind } reactions { emoji contact { name } } } } } } }`,
			`query($k: ID!, $n: Int) { connection(id: $k) { webhookLogs(first: $n) { totalCount edges { node { payload connection { name } messages { text contact { name } } } } }
				testReports(first: $n) { kind checks { name } connection { name } } } }`,
			`query($c: ID!, $n: Int) { campaign(id: $c) { tags { name campaign { name } } quickReplies { text campaign { name } }
				conversations(first: $n) { edges { node { tags { name campaign { name } } } } } } }`,
			`query($c: ID!, $n: Int) { campaign(id: $c) { queues { name assignment openConversations members { name presence } campaign { name } }
				connections { assignee { name } queue { name members { name } } } conversations(first: $n) { edges { node { assignee { name } queue { name openConversations } } } } } }`,
			`query($c: ID!, $n: Int) { campaign(id: $c) { auditLog(first: $n) { totalCount edges { node { at action details actor { name }
				subject { id ... on Conversation { contact { name } } ... on Connection { campaign { name } } } other: subject { __typename ... on Contact { name } } } } } } }`,
		} {
			for _, viewer := range []*auth.Viewer{d.admin, d.agent} {
				count := func(f full, n int) int {
					variables := map[string]any{"c": f.campaign, "v": first[f], "k": f.connection, "n": n}
					for name := range variables {
						if !strings.Contains(query, "$"+name+":") {
							delete(variables, name)
						}
					}
					asked.Take()
					d.gets(viewer, query, variables)
					return len(asked.Take())
				}
				of5, of50 := count(few, 5), count(many, 50)
				if of5 == 0 || of50 > of5+2 {
					t.Errorf("%d statements for 5, %d for 50: %s", of5, of50, query)
				}
			}
		}
		ids := func(n int) []any {
			var all []any
			for _, edge := range d.gets(d.admin, `query($c: ID!, $n: Int) { campaign(id: $c) { conversations(first: $n) { edges { node { id contact { id } } } } } }`,
				map[string]any{"c": many.campaign, "n": n})["campaign"].(map[string]any)["conversations"].(map[string]any)["edges"].([]any) {
				node := edge.(map[string]any)["node"].(map[string]any)
				all = append(all, node["id"], node["contact"].(map[string]any)["id"])
			}
			return all
		}
		nodes := func(n int) int {
			list := ids(n)
			asked.Take()
			d.gets(d.agent, `query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Conversation { contact { name } } ... on Contact { name } } }`, map[string]any{"ids": list})
			return len(asked.Take())
		}
		if of5, of50 := nodes(5), nodes(50); of5 != of50 {
			t.Errorf("nodes: %d statements for 5 of each kind, %d for 50", of5, of50)
		}
	})
}

// wholeTables are the statements whose answer is a whole table: an administrator sees
// all campaigns, of which there are as many as teams.
var wholeTables = []string{
	"SELECT campaigns.id, campaigns.event_seq FROM campaigns",
	"SELECT COUNT(campaigns.id) FROM campaigns WHERE campaigns.archived_at IS NULL",
}

// explains fails for every statement that reads a whole table without having to, and
// tells how many there were.
func explains(t *testing.T, db *store.Store, what string, asked []storetest.Statement) int {
	t.Helper()
	for _, statement := range asked {
		if slices.Contains(wholeTables, strings.NewReplacer("`", "", `"`, "").Replace(statement.Query)) {
			continue
		}
		if scan := storetest.FullScan(t, db, statement); scan != "" {
			t.Errorf("%s\nasks %s\nwhich reads a whole table:\n%s", what, statement.Query, scan)
		}
	}
	return len(asked)
}

func TestFeedsAndQueuesRunAlongAnIndex(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, asked *storetest.Statements) {
		d := newDesk(t, db)
		f := d.fill("campaign", 1, 3)
		events := feed.New(feed.Config{Store: db, Bus: bus.NewLocal()})
		defer func() { _ = events.Close() }()
		d.write(func(_ context.Context, tx *store.Tx) error {
			events.Append(tx, feed.Event{Campaign: f.campaign, Kind: feedevent.KindMessage, Change: feed.ChangeAdded, Conversation: f.conversation, Message: f.message})
			return nil
		})
		asked.Take()
		for _, want := range []feed.Filter{
			{}, {Kind: feedevent.KindMessage, Changes: feed.OnlyAdded}, {Kind: feedevent.KindMessage, Changes: feed.OnlyAdded, Conversation: f.conversation},
		} {
			follower, err := events.Follow(t.Context(), f.campaign, 0, want)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := follower.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			follower.Close()
			if explains(t, db, fmt.Sprintf("following %+v", want), asked.Take()) == 0 {
				t.Error("nothing was asked")
			}
		}
		if _, err := intake.Overdue(t.Context(), db, noon); err != nil {
			t.Fatal(err)
		}
		explains(t, db, "looking for overdue updates", asked.Take())
	})
}

// TestEveryListRunsAlongAnIndex asks for every list in every order and with every
// filter, and lets the database explain each statement that came of it.
func TestEveryListRunsAlongAnIndex(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, db *store.Store, asked *storetest.Statements) {
		d := newDesk(t, db)
		f := d.fill("campaign", 3, 12)
		variables := map[string]any{"c": f.campaign, "k": f.connection, "v": f.conversation, "o": f.contact, "m": f.message, "l": f.log, "r": f.report, "u": d.agent.UserID, "t": f.tag, "q": f.queue, "s": f.quickReply}
		asked.Take()
		n := 0
		for _, query := range listQueries() {
			used := map[string]any{}
			head, _, _ := strings.Cut(query, "{")
			for name, value := range variables {
				if strings.Contains(head, "$"+name+":") {
					used[name] = value
				}
			}
			for _, viewer := range []*auth.Viewer{d.admin, d.manager, d.agent} {
				if viewer == d.agent && strings.Contains(query, "users") {
					continue
				}
				d.gets(viewer, query, used)
				n += explains(t, db, query, asked.Take())
			}
		}
		if n < 100 {
			t.Errorf("only %d statements were explained", n)
		}
	})
}

// listQueries are all lists, with what they are narrowed and ordered by.
func listQueries() []string {
	queries := []string{
		`{ viewer { id } accessTokens { id } users(first: 2) { totalCount pageInfo { endCursor } edges { node { name } } } }`,
		`{ users(last: 2) { edges { node { name } } } campaigns(first: 2) { totalCount edges { node { name viewerRole platforms { connectionCount } eventCursor } } } }`,
		`{ campaigns(last: 2, includeArchived: true) { totalCount edges { node { members { user { name } } connections { name } } } } }`,
		`query($c: ID!) { campaign(id: $c) { members { role user { name } } a: connections { name openConversations webhook { pendingCount } }
			b: connections(platform: TELEGRAM, status: ACTIVE, includeDisconnected: true) { name } } }`,
		`query($v: ID!) { conversation(id: $v) { contact { conversations { id } } connection { campaign { name } }
			a: messages(first: 3) { totalCount edges { node { replyTo { text } attachments { kind } reactions { contact { name } } } } } b: messages(last: 3) { edges { node { id } } } } }`,
		`query($k: ID!) { connection(id: $k) { testReports { id connection { name } } a: webhookLogs(first: 3) { totalCount edges { node { payload messages { id } connection { name } } } }
			b: webhookLogs(last: 3, filter: {status: PENDING}) { totalCount edges { node { id } } } c: webhookLogs(filter: {eventType: "message"}) { totalCount edges { node { id } } }
			d: webhookLogs(filter: {receivedAfter: "2026-05-04T12:03:00Z", receivedBefore: "2026-05-04T12:05:00Z"}) { totalCount edges { node { id } } } } }`,
	}
	queries = append(queries, `query($c: ID!) { campaign(id: $c) { queues { name openConversations members { name } } connections { assignee { name } queue { name } } } }`)
	queries = append(queries, `query($c: ID!) { campaign(id: $c) { tags { name campaign { name } } quickReplies { text campaign { name } } conversations(first: 3) { edges { node { tags { name } } } } } }`)
	queries = append(queries, `query($c: ID!) { campaign(id: $c) { a: auditLog(first: 3) { totalCount edges { node { action actor { name } subject { id } } } } b: auditLog(last: 3) { edges { node { id } } } } }`)
	for _, id := range []string{"c", "k", "v", "o", "m", "l", "r", "u", "t", "q", "s"} {
		queries = append(queries, `query($`+id+`: ID!) { node(id: $`+id+`) { id } nodes(ids: [$`+id+`, "user_x"]) { id } }`)
	}
	for _, order := range []string{"LAST_MESSAGE_AT", "CREATED_AT"} {
		for _, direction := range []string{"ASC", "DESC"} {
			for _, filter := range []string{
				`{}`, `{status: [OPEN]}`, `{status: [OPEN, PENDING]}`, `{platform: TELEGRAM}`, `{unread: true}`, `{unread: false}`, `{connectionId: $k}`,
				`{connectionId: $k, status: [CLOSED], unread: true}`, `{assigneeId: $u}`, `{unassigned: true}`, `{unassigned: false}`, `{queueId: $q}`, `{queueId: $q, status: [OPEN]}`,
				`{tagId: $t}`, `{tagId: $t, unassigned: true, status: [OPEN]}`, `{assigneeId: $u, unassigned: true}`, `{search: "hello wor"}`, `{search: "xin", status: [OPEN]}`,
			} {
				queries = append(queries, `query($c: ID!, $k: ID!, $u: ID!, $q: ID!, $t: ID!) { nodes(ids: [$u, $q, $t]) { id } connection(id: $k) { id } campaign(id: $c) {
					a: conversations(first: 3, orderBy: {field: `+order+`, direction: `+direction+`}, filter: `+filter+`) { totalCount edges { node { id lastMessage { text } contact { name } } } }
					b: conversations(last: 3, orderBy: {field: `+order+`, direction: `+direction+`}, filter: `+filter+`) { edges { node { id } } } } }`)
			}
		}
	}
	return queries
}
