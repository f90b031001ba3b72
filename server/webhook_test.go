package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"causeway/internal/platform/simulator"
	"causeway/internal/store/storetest"
)

// onEachDatabase tells a story on SQLite and, where there is one, on PostgreSQL.
func onEachDatabase(t *testing.T, story func(t *testing.T, database option)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		story(t, func(*settings) {})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		story(t, onDatabase(storetest.PostgresAddress(t)))
	})
}

// poster posts updates to a webhook as Telegram does, but tells what came back and
// does nothing about it.
type poster struct {
	url, secret string
	client      *http.Client
}

// posterTo posts to the webhook that the program gave Telegram.
func posterTo(t *testing.T, bot *simulator.Bot) *poster {
	t.Helper()
	hook := bot.Webhook()
	if hook.URL == "" || hook.Secret == "" {
		t.Fatal("the bot has no webhook with a secret")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &poster{url: hook.URL, secret: hook.Secret, client: &http.Client{Transport: transport}}
}

// at is the same webhook of a program that listens elsewhere.
func (p *poster) at(program string) *poster {
	u, _ := url.Parse(p.url)
	moved := *p
	moved.url = program + u.Path
	return &moved
}

// posts answers the status and Retry-After, or why there was no answer.
func (p *poster) posts(ctx context.Context, body []byte) (status int, retryAfter string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if p.secret != "" {
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", p.secret)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Retry-After"), err
}

// mustPost posts what has to be answered with status.
func (p *poster) mustPost(t *testing.T, body []byte, status int) {
	t.Helper()
	got, _, err := p.posts(t.Context(), body)
	if err != nil || got != status {
		t.Errorf("answered %d %v instead of %d", got, err, status)
	}
}

// textUpdate is the update of a text in a private chat. Texts of one chat are numbered
// from 1, and updates are numbered over all chats.
func textUpdate(chat, n int, text string) []byte {
	person := map[string]any{"id": 5000 + chat, "is_bot": false, "first_name": fmt.Sprintf("Customer %d", chat)}
	body, err := json.Marshal(map[string]any{
		"update_id": 1_000_000*(chat+1) + n,
		"message": map[string]any{
			"message_id": n, "date": 1_760_000_000 + n, "text": text, "from": person,
			"chat": map[string]any{"id": 5000 + chat, "type": "private", "first_name": person["first_name"]},
		},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// webhook is what a connection says of its webhook, and how many logs it has of each
// status.
func (p *program) webhook(connection string) (data, map[string]int) {
	p.t.Helper()
	count := ""
	for _, status := range []string{"PENDING", "PROCESSED", "DUPLICATE", "IGNORED", "FAILED"} {
		count += fmt.Sprintf(" %[1]s: webhookLogs(first: 0, filter: {status: %[1]s}) { totalCount }", status)
	}
	c := p.admin().gets(`query($id: ID!) { connection(id: $id) { status webhook { status totalReceived rejectedCount errorCount pendingCount problem { code } }`+count+` } }`,
		data{"id": connection}).at("connection")
	logs := map[string]int{}
	for key, value := range c {
		if list, ok := value.(map[string]any); ok && key != "webhook" {
			if n := data(list).number("totalCount"); n > 0 {
				logs[key] = n
			}
		}
	}
	return c.at("webhook"), logs
}

// processed waits until n updates have been dealt with, however.
func (p *program) processed(connection string, n int) map[string]int {
	p.t.Helper()
	var logs map[string]int
	eventually(p.t, "the updates are processed", func() error {
		_, before := p.webhook(connection)
		if _, logs = p.webhook(connection); !maps.Equal(logs, before) { // read status by status
			return fmt.Errorf("%v, then %v", before, logs)
		}
		total := 0
		for _, count := range logs {
			total += count
		}
		if total < n || logs["PENDING"] > 0 {
			return fmt.Errorf("%d of %d: %v", total, n, logs)
		}
		return nil
	})
	return logs
}

// texts are those of all customers' messages of a campaign, per conversation in order.
func (p *program) texts(campaign string) map[string][]string {
	p.t.Helper()
	found := map[string][]string{}
	list := p.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { edges { node { id contact { externalId } } } } } }`,
		data{"c": campaign}).at("campaign").nodes("conversations")
	for _, conversation := range list {
		chat := conversation.at("contact").text("externalId")
		found[chat] = []string{}
		for after := any(nil); ; {
			page := p.admin().gets(`query($id: ID!, $a: Cursor) { conversation(id: $id) { messages(first: 200, after: $a) { pageInfo { hasNextPage endCursor } edges { node { text authorKind } } } } }`,
				data{"id": conversation.text("id"), "a": after}).at("conversation")
			for _, m := range page.nodes("messages") {
				if m.text("authorKind") == "CUSTOMER" {
					found[chat] = append(found[chat], m.text("text"))
				}
			}
			info := page.at("messages", "pageInfo")
			if info["hasNextPage"] != true {
				break
			}
			after = info.text("endCursor")
		}
	}
	return found
}
