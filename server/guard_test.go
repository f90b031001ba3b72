package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"causeway/internal/transport"
)

func TestOrdinaryPagesAreCheapEnoughAndNestedOnesAreNot(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	const page = `conversations(first: 200) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node {
		id title status unreadCount lastMessageAt createdAt closedAt contact { id name } connection { id name } lastMessage { id text } } } }`
	a := p.admin().asks(`query($c: ID!) { campaign(id: $c) { id name `+page+` } }`, data{"c": campaign})
	if len(a.Errors) > 0 {
		t.Errorf("a page of 200 is refused: %s", a.Body)
	}
	const messages, conversation, shut = `messages(first: 200) { edges { node { `, `conversation { `, ` } } } `
	inside := messages + conversation + messages + conversation + messages + ` id ` + shut + ` } ` + shut + ` } ` + shut
	a = p.admin().asks(`query { campaigns(first: 200) { edges { node { conversations(first: 200) { edges { node { `+inside+` } } } } } } }`, nil)
	if a.code() != "TOO_COMPLEX" || strings.Contains(a.Body, `"data"`) {
		t.Errorf("pages inside pages: %s", a.Body)
	}
}

func TestToolsReadTheWholeSchema(t *testing.T) {
	t.Parallel()
	p := begin(t)
	query, err := os.ReadFile("../internal/transport/testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	d := p.nobody().gets(string(query), nil)
	if len(d.at("__schema").list("types")) == 0 {
		t.Error("the schema has no types")
	}
}

func TestAPersistedQueryThatIsNotKnownIsAskedFor(t *testing.T) {
	t.Parallel()
	p := begin(t)
	sum := sha256.Sum256([]byte("{__typename}"))
	extensions := `{"persistedQuery":{"version":1,"sha256Hash":"` + hex.EncodeToString(sum[:]) + `"}}`
	codes := []string{}
	for _, query := range []string{"", "{__typename}", ""} {
		res, err := http.Get(p.url + "/graphql?query=" + url.QueryEscape(query) + "&extensions=" + url.QueryEscape(extensions))
		if err != nil {
			t.Fatal(err)
		}
		var a answer
		err = json.NewDecoder(res.Body).Decode(&a)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, a.code())
	}
	if strings.Join(codes, ",") != "PERSISTED_QUERY_NOT_FOUND,," {
		t.Errorf("codes %v", codes)
	}
}

func TestWhoAsksTooOftenIsToldToWait(t *testing.T) {
	t.Parallel()
	p := begin(t, func(s *settings) { s.Limits = transport.Limits{Rate: 0.001, Burst: 2} })
	codes := []string{}
	for range 3 {
		codes = append(codes, p.admin().asks(`{ __typename }`, nil).code())
	}
	if strings.Join(codes, ",") != ",,RATE_LIMITED" {
		t.Errorf("codes %v", codes)
	}
	if code := p.nobody().asks(`{ __typename }`, nil).code(); code != "" {
		t.Errorf("somebody else is told %s", code)
	}
}

// eventSource reads events over SSE.
type eventSource struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (who person) listens(query string, variables data, lastEventID string) *eventSource {
	who.p.t.Helper()
	raw, err := json.Marshal(variables)
	if err != nil {
		who.p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(who.p.t.Context(), patience)
	who.p.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		who.p.url+"/graphql?query="+url.QueryEscape(query)+"&variables="+url.QueryEscape(string(raw)), nil)
	if err != nil {
		who.p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+who.token)
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		who.p.t.Fatal(err)
	}
	who.p.t.Cleanup(func() { _ = res.Body.Close() })
	return &eventSource{who.p.t, bufio.NewScanner(res.Body)}
}

// hears returns the next event.
func (s *eventSource) hears() (event map[string]string, err error) {
	event = map[string]string{}
	for s.lines.Scan() {
		line := s.lines.Text()
		name, value, ok := strings.Cut(line, ":")
		switch {
		case line == "" && len(event) > 0:
			return event, nil
		case ok && name != "":
			event[name] = strings.TrimPrefix(value, " ")
		}
	}
	return nil, errors.Join(errors.New("the stream ended"), s.lines.Err())
}

func TestAnEventStreamGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	start := p.cursor(campaign)
	lan := p.telegram.Customer("Lan Nguyen", "vi")
	for _, text := range []string{"one", "two", "three"} {
		lan.Writes(bot, text)
	}
	first := p.admin().listens(messageAdded, data{"c": campaign, "a": start}, "")
	event, err := first.hears()
	if err != nil {
		t.Fatal(err)
	}
	heard := []string{textOf(t, event)}
	again := p.admin().listens(messageAdded, data{"c": campaign, "a": start}, event["id"])
	for range 2 {
		event, err := again.hears()
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, textOf(t, event))
	}
	if strings.Join(heard, " ") != "one two three" {
		t.Errorf("heard %v", heard)
	}
}

func textOf(t *testing.T, event map[string]string) string {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(event["data"]), &a); err != nil {
		t.Fatalf("%v: %v", event, err)
	}
	added := a.Data.at("messageAdded")
	if added.text("cursor") != event["id"] {
		t.Errorf("the event's id is %s, its cursor %s", event["id"], added.text("cursor"))
	}
	return added.at("message").text("text")
}
