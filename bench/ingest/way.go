package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"causeway/internal/platform/simulator"
)

const adminToken = "an-administrator-of-the-benchmark"

// timeTheWay starts the whole program, with a simulated Telegram that is only asked
// to register the webhook, and times messages from the webhook's request to the
// socket of a subscriber, one after the other.
func timeTheWay(messages int) error {
	telegram := simulator.NewTelegram(simulator.Options{})
	if err := telegram.Start(); err != nil {
		return err
	}
	defer func() { _ = telegram.Close() }()
	program, err := startProgram(telegram.URL())
	if err != nil {
		return err
	}
	defer program.stop()
	campaign, hook, err := program.connect(telegram)
	if err != nil {
		return err
	}
	socket, err := program.subscribe(campaign)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	latencies := make([]time.Duration, 0, messages)
	for n := range messages {
		began := time.Now()
		if err := hook.post(update(int64(n + 1))); err != nil {
			return err
		}
		if err := nextEvent(socket); err != nil {
			return err
		}
		latencies = append(latencies, time.Since(began))
	}
	sorted(latencies)
	fmt.Printf("first delivery, webhook to socket, %d messages one after the other: p50 %s, p99 %s, max %s\n",
		messages, at(latencies, 0.5), at(latencies, 0.99), at(latencies, 1))
	return nil
}

// programProcess is the whole program, in a process of its own.
type programProcess struct {
	url  string
	cmd  *exec.Cmd
	data string
}

func startProgram(telegramURL string) (*programProcess, error) {
	data, err := os.MkdirTemp("", "causeway-bench-")
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(data, "causeway")
	if out, err := exec.Command("go", "build", "-o", binary, "./server").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the program (run this from the repository's top folder): %s", out)
	}
	p := &programProcess{data: data}
	p.cmd = exec.Command(binary, "--listen", "127.0.0.1:0", "--data", data, "--admin-token", adminToken,
		"--telegram-api-url", telegramURL, "--public-url", telegramURL) // only reached to see that it answers
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the program said no address: %w", err)
	}
	p.url = strings.TrimSpace(line[strings.Index(line, "http"):])
	return p, nil
}

func (p *programProcess) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.data)
}

// ask posts an operation and decodes its data.
func (p *programProcess) ask(query string, into any) error {
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+adminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return json.NewDecoder(res.Body).Decode(&struct{ Data any }{into})
}

// hook is where the bot's updates go.
type hook struct{ url, secret string }

func (h hook) post(body []byte) error {
	req, err := http.NewRequest(http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Telegram-Bot-Api-Secret-Token", h.secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the webhook answered %s", res.Status)
	}
	return nil
}

// connect makes a campaign with a bot and returns where its updates are posted.
func (p *programProcess) connect(telegram *simulator.Telegram) (string, hook, error) {
	var made struct {
		CreateCampaign struct{ Campaign struct{ ID string } }
	}
	if err := p.ask(`mutation { createCampaign(input: {name: "Benchmark"}) { campaign { id } } }`, &made); err != nil {
		return "", hook{}, err
	}
	campaign := made.CreateCampaign.Campaign.ID
	bot := telegram.AddBot("benchmark_bot", "Benchmark")
	var connected struct {
		ConnectTelegramBot struct {
			UserErrors []struct{ Code, Message string }
		}
	}
	err := p.ask(fmt.Sprintf(`mutation { connectTelegramBot(input: {campaignId: %q, botToken: %q}) { userErrors { code message } } }`,
		campaign, bot.Token()), &connected)
	if err != nil {
		return "", hook{}, err
	}
	if problems := connected.ConnectTelegramBot.UserErrors; len(problems) > 0 {
		return "", hook{}, fmt.Errorf("connect the bot: %v", problems)
	}
	calls := telegram.Calls("setWebhook")
	if len(calls) == 0 {
		return "", hook{}, fmt.Errorf("the program registered no webhook")
	}
	registered := calls[len(calls)-1].Params
	path := registered["url"][strings.Index(registered["url"], "/webhooks/"):]
	return campaign, hook{url: p.url + path, secret: registered["secret_token"]}, nil
}

func (p *programProcess) subscribe(campaign string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
	conn, res, err := dialer.DialContext(context.Background(), "ws"+strings.TrimPrefix(p.url, "http")+"/graphql", nil)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	messages := []string{
		`{"type":"connection_init","payload":{"authorization":"Bearer ` + adminToken + `"}}`,
		fmt.Sprintf(`{"id":"1","type":"subscribe","payload":{"query":"subscription { messageAdded(campaignId: \"%s\") { cursor message { text contact { name } conversation { id } } } }"}}`, campaign),
	}
	for _, m := range messages {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(m)); err != nil {
			return nil, err
		}
	}
	if _, _, err := conn.ReadMessage(); err != nil { // connection_ack
		return nil, err
	}
	// The subscription has begun when the server has answered a query sent after it.
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"id":"2","type":"subscribe","payload":{"query":"{ viewer { id } }"}}`)); err != nil {
		return nil, err
	}
	for range 2 { // next and complete
		if _, _, err := conn.ReadMessage(); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

// nextEvent waits for an event, passing over pings.
func nextEvent(conn *websocket.Conn) error {
	for {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		var m struct{ Type string }
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		if m.Type == "next" {
			return nil
		}
	}
}
