package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"causeway/internal/platform/simulator"
)

// patience bounds every wait of these tests. It is long because it is only ever
// waited out by a test that fails.
const patience = 30 * time.Second

// adminToken is the token of every program under test.
const adminToken = "an-administrator-of-the-tests"

// program is the whole program, started as main does it, with a simulated Telegram.
type program struct {
	t        *testing.T
	app      *app
	url      string
	settings settings
	telegram *simulator.Telegram
	log      *lockedBuffer
}

// option changes the settings that a test starts with.
type option func(*settings)

// polling leaves out the public address, so that updates are fetched.
func polling(s *settings) { s.PublicURL = "" }

// onDatabase uses another database than a SQLite file of its own.
func onDatabase(address string) option {
	return func(s *settings) {
		if strings.HasPrefix(address, "postgres") {
			s.Database = database(address)
		}
	}
}

// begin starts the program on a free port and ends it with the test. Telegram reaches
// it by webhook at that port, unless the option polling is given.
func begin(t *testing.T, options ...option) *program {
	t.Helper()
	return beginWith(t, simulator.StartTelegram(t), options...)
}

// beginWith is begin with a Telegram that is there already.
func beginWith(t *testing.T, telegram *simulator.Telegram, options ...option) *program {
	t.Helper()
	p := &program{t: t, telegram: telegram, log: &lockedBuffer{}}
	p.settings = testSettings(t.TempDir(), telegram.URL())
	for _, o := range options {
		o(&p.settings)
	}
	p.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the program:\n%s", p.log)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func testSettings(data, telegramURL string) settings {
	return settings{
		Listen: "127.0.0.1:0", PublicURL: ownAddress, Data: data, Database: databaseSQLite,
		AdminToken: adminToken, TelegramAPIURL: webURL(telegramURL),
		CheckInterval: duration(time.Hour), KeepWebhookLogs: duration(720 * time.Hour), KeepEvents: duration(168 * time.Hour),
		MaxUpload:  64 << 20,
		Playground: true, Introspection: true, LogLevel: logLevel(slog.LevelDebug), LogFormat: "text",
	}
}

func (p *program) start() {
	p.t.Helper()
	cfg := p.settings
	a, err := start(p.t.Context(), cfg, newLogger(cfg, p.log))
	if err != nil {
		p.t.Fatalf("start the program: %v\n%s", err, p.log)
	}
	p.app, p.url = a, a.url
}

func (p *program) stop() {
	if p.app == nil {
		return
	}
	if err := p.app.stop(); err != nil {
		p.t.Errorf("stop the program: %v", err)
	}
	p.app = nil
}

// data is an answer's data, or part of it, decoded.
type data map[string]any

// answer is a GraphQL response.
type answer struct {
	Status int        `json:"-"`
	Data   data       `json:"data"`
	Errors []gqlError `json:"errors"`
	Body   string     `json:"-"`
}

type gqlError struct {
	Message    string         `json:"message"`
	Path       []any          `json:"path"`
	Extensions map[string]any `json:"extensions"`
}

// code is the code of the only error; empty if there is none.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// person asks the API with a token; an empty one is nobody.
type person struct {
	p     *program
	token string
}

func (p *program) admin() person  { return person{p, adminToken} }
func (p *program) nobody() person { return person{p, ""} }

// asks posts an operation and returns what came back, whatever it is.
func (who person) asks(query string, variables data) answer {
	who.p.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		who.p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(who.p.t.Context(), http.MethodPost, who.p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		who.p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if who.token != "" {
		req.Header.Set("Authorization", "Bearer "+who.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		who.p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		who.p.t.Fatal(err)
	}
	a := answer{Status: res.StatusCode, Body: string(raw)}
	if err := json.Unmarshal(raw, &a); err != nil {
		who.p.t.Fatalf("not a GraphQL response (%d): %s", res.StatusCode, raw)
	}
	return a
}

// gets is asks for an operation that must work.
func (who person) gets(query string, variables data) data {
	who.p.t.Helper()
	a := who.asks(query, variables)
	if len(a.Errors) > 0 {
		who.p.t.Fatalf("%s\nanswered %s", query, a.Body)
	}
	return a.Data
}

// does is gets for a mutation: its payload, which must be without userErrors.
func (who person) does(query string, variables data) data {
	who.p.t.Helper()
	for _, payload := range who.gets(query, variables) {
		d := data(payload.(map[string]any))
		if problems := d.list("userErrors"); len(problems) > 0 {
			who.p.t.Fatalf("%s\nwas refused: %v", query, problems)
		}
		return d
	}
	who.p.t.Fatalf("%s\nhas no payload", query)
	return nil
}

// at walks into objects by keys.
func (d data) at(path ...string) data {
	for _, key := range path {
		next, ok := d[key].(map[string]any)
		if !ok {
			return nil
		}
		d = next
	}
	return d
}

func (d data) text(key string) string { s, _ := d[key].(string); return s }
func (d data) number(key string) int  { n, _ := d[key].(float64); return int(n) }
func (d data) list(key string) []data {
	items, _ := d[key].([]any)
	list := make([]data, 0, len(items))
	for _, item := range items {
		object, _ := item.(map[string]any)
		list = append(list, object)
	}
	return list
}

// nodes are the nodes of a Relay connection.
func (d data) nodes(key string) []data {
	var nodes []data
	for _, edge := range d.at(key).list("edges") {
		nodes = append(nodes, edge.at("node"))
	}
	return nodes
}

// campaign makes a campaign and returns its id.
func (p *program) campaign(name string) string {
	p.t.Helper()
	return p.admin().does(`mutation($n: String!) { createCampaign(input: {name: $n}) { campaign { id } userErrors { code message } } }`,
		data{"n": name}).at("campaign").text("id")
}

// cursor is where the campaign's feed is now. A test that subscribes after it and then
// lets something happen sees it, however late the subscription starts.
func (p *program) cursor(campaignID string) string {
	p.t.Helper()
	return p.admin().gets(`query($c: ID!) { campaign(id: $c) { eventCursor } }`, data{"c": campaignID}).at("campaign").text("eventCursor")
}

// user makes a user and a token of theirs; in a campaign with a role if one is given.
func (p *program) user(name, campaignID, role string) person {
	p.t.Helper()
	email := strings.ToLower(name) + "@example.com"
	id := p.admin().does(`mutation($e: String!, $n: String!) { createUser(input: {email: $e, name: $n, password: "a long password"}) { user { id } userErrors { code message } } }`,
		data{"e": email, "n": name}).at("user").text("id")
	if campaignID != "" {
		p.admin().does(`mutation($c: ID!, $u: ID!, $r: CampaignRole!) { setCampaignMember(input: {campaignId: $c, userId: $u, role: $r}) { campaign { id } userErrors { code message } } }`,
			data{"c": campaignID, "u": id, "r": role})
	}
	token, err := p.app.auth.IssueToken(p.t.Context(), email, "test")
	if err != nil {
		p.t.Fatal(err)
	}
	return person{p, token}
}

// bot makes a bot at the simulated Telegram and connects it; it returns the
// connection's id too.
func (p *program) bot(campaignID, username string) (*simulator.Bot, string) {
	p.t.Helper()
	bot := p.telegram.AddBot(username, "Shop "+username, simulator.WithoutPrivacy())
	connection := p.admin().does(`mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id status } userErrors { code message } } }`,
		data{"c": campaignID, "t": bot.Token()}).at("connection")
	if connection.text("status") != "ACTIVE" {
		p.t.Fatalf("the connection is %s", connection.text("status"))
	}
	return bot, connection.text("id")
}

// socket is a GraphQL client over graphql-transport-ws, or the older graphql-ws.
type socket struct {
	t      *testing.T
	conn   *websocket.Conn
	older  bool
	nextID int
}

// message is a message of the protocol.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// opens connects a socket and waits until it is acknowledged.
func (who person) opens() *socket {
	who.p.t.Helper()
	s, err := who.dials("graphql-transport-ws")
	if err != nil {
		who.p.t.Fatal(err)
	}
	return s
}

func (who person) dials(protocol string) (*socket, error) {
	dialer := websocket.Dialer{Subprotocols: []string{protocol}, HandshakeTimeout: patience}
	conn, res, err := dialer.DialContext(who.p.t.Context(), "ws"+strings.TrimPrefix(who.p.url, "http")+"/graphql", nil)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	s := &socket{t: who.p.t, conn: conn, older: conn.Subprotocol() == "graphql-ws"}
	who.p.t.Cleanup(func() { _ = conn.Close() })
	payload, _ := json.Marshal(map[string]string{"authorization": "Bearer " + who.token})
	if err := conn.WriteJSON(message{Type: "connection_init", Payload: payload}); err != nil {
		return nil, err
	}
	m, err := s.reads()
	if err != nil {
		return nil, err
	}
	if m.Type != "connection_ack" {
		return nil, fmt.Errorf("expected connection_ack, got %s %s", m.Type, m.Payload)
	}
	return s, nil
}

// reads the next message that says something: pings are answered and passed over.
func (s *socket) reads() (message, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return message{}, err
	}
	for {
		var m message
		if err := s.conn.ReadJSON(&m); err != nil {
			return message{}, err
		}
		switch m.Type {
		case "ping":
			if err := s.conn.WriteJSON(message{Type: "pong"}); err != nil {
				return message{}, err
			}
		case "pong", "ka":
		default:
			return m, nil
		}
	}
}

// closeCode reads until the socket closes and returns the code.
func (s *socket) closeCode() int {
	s.t.Helper()
	for {
		_, err := s.reads()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code
		}
		if err != nil {
			s.t.Fatalf("the socket ended without a close code: %v", err)
		}
	}
}

// subscribes starts a subscription and returns its id; sees reads its events.
func (s *socket) subscribes(query string, variables data) string {
	s.t.Helper()
	s.nextID++
	id := fmt.Sprint(s.nextID)
	payload, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		s.t.Fatal(err)
	}
	kind := "subscribe"
	if s.older {
		kind = "start"
	}
	if err := s.conn.WriteJSON(message{ID: id, Type: kind, Payload: payload}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// sees returns the data of the next event.
func (s *socket) sees() data {
	s.t.Helper()
	m, err := s.reads()
	if err != nil {
		s.t.Fatalf("waiting for an event: %v", err)
	}
	if m.Type != "next" && m.Type != "data" {
		s.t.Fatalf("expected an event, got %s %s", m.Type, m.Payload)
	}
	var a answer
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		s.t.Fatal(err)
	}
	if len(a.Errors) > 0 {
		s.t.Fatalf("an event with errors: %s", m.Payload)
	}
	return a.Data
}

// eventually waits until check answers nil, and tells why it did not otherwise.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// childVariable makes the test binary the program itself, for tests that kill it.
const childVariable = "CAUSEWAY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Args[0] = "causeway"
		main()
		return
	}
	os.Exit(m.Run())
}
