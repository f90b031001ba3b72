package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// endsWithin is how soon a subscription ends whose right has ended.
const endsWithin = 5 * time.Second

// refusal reads on until a subscription ends with an error, and tells its code.
func (s *socket) refusal(id string) string {
	s.t.Helper()
	for {
		m, err := s.reads()
		if err != nil {
			s.t.Fatalf("waiting for the end of the subscription: %v", err)
		}
		if m.ID != id {
			continue
		}
		if code := m.code(); code != "" {
			return code
		}
		if m.Type == "complete" {
			s.t.Fatal("the subscription ended without an error")
		}
	}
}

// code is that of the error a message brings: those of a running subscription are a
// list, or a single one in the older protocol; that of one which did not begin is a
// result's.
func (m message) code() string {
	var a answer
	switch m.Type {
	case "next", "data":
		_ = json.Unmarshal(m.Payload, &a)
	case "error":
		if json.Unmarshal(m.Payload, &a.Errors) != nil {
			a.Errors = make([]gqlError, 1)
			_ = json.Unmarshal(m.Payload, &a.Errors[0])
		}
	}
	return a.code()
}

func TestWhoIsNoLongerAMemberSeesNoMore(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, connection := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT")
	userID := ana.gets(`{ viewer { id } }`, nil).at("viewer").text("id")
	from := data{"c": campaign, "a": p.cursor(campaign)}
	lan := p.telegram.Customer("Lan", "vi")

	newer := ana.opens()
	older, err := ana.dials("graphql-ws")
	if err != nil {
		t.Fatal(err)
	}
	messages, legacy := newer.subscribes(messageAdded, from), older.subscribes(messageAdded, from)
	sse := ana.streams(messageAdded, from)
	logs := ana.opens()
	received := logs.subscribes(`subscription($id: ID!) { webhookReceived(connectionId: $id) { id } }`, data{"id": connection})
	lan.Writes(bot, "Hello?")
	newer.sees()
	older.sees()
	sse.sees()

	removed := time.Now()
	p.admin().does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { campaign { id } userErrors { code message } } }`,
		data{"c": campaign, "u": userID})
	lan.Writes(bot, "This is not for Ana")
	for name, code := range map[string]string{
		"newer": newer.refusal(messages), "older": older.refusal(legacy), "logs": logs.refusal(received), "sse": sse.refusal(),
	} {
		if code != "NOT_FOUND" {
			t.Errorf("%s ended with %q", name, code)
		}
	}
	if took := time.Since(removed); took > endsWithin {
		t.Errorf("it took %s", took)
	}
	// The socket is hers still, and what she may not see is not there.
	again := newer.subscribes(messageAdded, from)
	if code := newer.refusal(again); code != "NOT_FOUND" {
		t.Errorf("subscribing again ended with %q", code)
	}
}

// refusal reads on until the stream ends with an error, and tells its code.
func (s *stream) refusal() string {
	s.t.Helper()
	for {
		event, payload, err := s.next()
		if err != nil || event == "complete" {
			s.t.Fatalf("the stream ended without an error: %q %v", event, err)
		}
		if code := payload.code(); code != "" {
			return code
		}
	}
}

func TestARevokedTokenEndsItsSubscriptionsAndItsSocket(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	ana := p.user("Ana", campaign, "AGENT")
	made := ana.does(`mutation { createAccessToken(input: {name: "phone"}) { secret accessToken { id } userErrors { code message } } }`, nil)
	phone := person{p, made.text("secret")}
	from := data{"c": campaign, "a": p.cursor(campaign)}
	s, desk := phone.opens(), ana.opens()
	id := s.subscribes(messageAdded, from)
	desk.subscribes(messageAdded, from)
	sse := phone.streams(messageAdded, from)
	bot, _ := p.bot(campaign, "shop_bot")
	lan := p.telegram.Customer("Lan", "vi")
	lan.Writes(bot, "Hello?")
	s.sees() // so all of them are under way
	sse.sees()
	desk.sees()

	revoked := time.Now()
	ana.does(`mutation($id: ID!) { revokeAccessToken(id: $id) { deletedId userErrors { code message } } }`, data{"id": made.at("accessToken").text("id")})
	if code := s.refusal(id); code != "UNAUTHENTICATED" {
		t.Errorf("the subscription ended with %q", code)
	}
	if code := s.closeCode(); code != 4403 {
		t.Errorf("the socket was closed with %d", code)
	}
	if code := sse.refusal(); code != "UNAUTHENTICATED" {
		t.Errorf("the stream ended with %q", code)
	}
	if took := time.Since(revoked); took > endsWithin {
		t.Errorf("it took %s", took)
	}
	if _, err := phone.dials("graphql-transport-ws"); !closedWith(err, 4403) {
		t.Errorf("a revoked token opened a socket: %v", err)
	}
	// Her other token is as good as before.
	lan.Writes(bot, "Are you there?")
	if m := desk.sees().at("messageAdded", "message"); m.text("text") != "Are you there?" {
		t.Errorf("the other socket saw %v", m)
	}
}

func TestSigningOutEndsTheSocketsOfThatSession(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	p.user("Ana", campaign, "AGENT")
	session := person{p, p.nobody().does(`mutation { signIn(input: {email: "ana@example.com", password: "a long password"}) { token userErrors { code message } } }`, nil).text("token")}
	s := session.opens()
	bot, _ := p.bot(campaign, "shop_bot")
	id := s.subscribes(messageAdded, data{"c": campaign, "a": p.cursor(campaign)})
	p.telegram.Customer("Lan", "vi").Writes(bot, "Hello?")
	s.sees() // so it is under way
	session.does(`mutation { signOut { userErrors { code message } } }`, nil)
	if code := s.refusal(id); code != "UNAUTHENTICATED" {
		t.Errorf("the subscription ended with %q", code)
	}
	if code := s.closeCode(); code != 4403 {
		t.Errorf("the socket was closed with %d", code)
	}
}

func closedWith(err error, code int) bool {
	closed, ok := errors.AsType[*websocket.CloseError](err)
	return ok && closed.Code == code
}

func TestASocketNeedsAGoodToken(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for _, protocol := range []string{"graphql-transport-ws", "graphql-ws"} {
		for _, payload := range []string{
			"", `,"payload":null`, `,"payload":{}`, `,"payload":{"authorization":7}`, `,"payload":{"authorization":""}`,
			`,"payload":{"authorization":"Bearer "}`, `,"payload":{"authorization":"Bearer not-a-token"}`,
			`,"payload":{"authorization":"` + adminToken + `"}`, `,"payload":{"authorization":"Bearer ` + adminToken + `x"}`,
		} {
			if err := p.inits(protocol, `{"type":"connection_init"`+payload+`}`); !closedWith(err, 4403) {
				t.Errorf("%s with %s: %v", protocol, payload, err)
			}
		}
		if _, err := p.admin().dials(protocol); err != nil {
			t.Errorf("%s with a good token: %v", protocol, err)
		}
	}
}

// inits sends a first message and returns how the socket ended.
func (p *program) inits(protocol, first string) error {
	dialer := websocket.Dialer{Subprotocols: []string{protocol}, HandshakeTimeout: patience}
	conn, res, err := dialer.DialContext(p.t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+"/graphql", nil)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	defer func() { _ = conn.Close() }()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(first)); err != nil {
		return err
	}
	s := &socket{t: p.t, conn: conn}
	for {
		m, err := s.reads()
		if err != nil {
			return err
		}
		if m.Type == "connection_ack" {
			return errors.New("acknowledged")
		}
	}
}
