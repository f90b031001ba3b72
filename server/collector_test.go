package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// collector is a client that loses nothing: when its subscription ends, for whatever
// reason, it subscribes again after the last cursor that it saw. It may be used in a
// goroutine of its own, and so fails by its errors.
type collector struct {
	who      person
	campaign string
	from     string // cursor; empty: now
	socket   *socket

	cursors []string
	texts   []string
	resumed int // how often
}

const collected = `subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { cursor message { text } } }`

func (who person) collects(campaign, from string) *collector {
	return &collector{who: who, campaign: campaign, from: from}
}

// connect subscribes, once.
func (c *collector) connect() error {
	s, err := c.who.dials("graphql-transport-ws")
	if err != nil {
		return err
	}
	variables := data{"c": c.campaign}
	if c.from != "" {
		variables["a"] = c.from
	}
	payload, err := json.Marshal(map[string]any{"query": collected, "variables": variables})
	if err != nil {
		return err
	}
	c.socket = s
	return s.conn.WriteJSON(message{ID: "1", Type: "subscribe", Payload: payload})
}

// next reads one event.
func (c *collector) next() error {
	m, err := c.socket.reads()
	if err != nil {
		return err
	}
	if m.Type != "next" {
		return fmt.Errorf("%s %s", m.Type, m.Payload)
	}
	var a answer
	if err := json.Unmarshal(m.Payload, &a); err != nil {
		return err
	}
	if len(a.Errors) > 0 {
		return fmt.Errorf("an event with errors: %s", m.Payload)
	}
	event := a.Data.at("messageAdded")
	c.from = event.text("cursor")
	c.cursors = append(c.cursors, c.from)
	c.texts = append(c.texts, event.at("message").text("text"))
	return nil
}

// drops tears the connection down as a lost network does: without a goodbye.
func (c *collector) drops() {
	if c.socket != nil {
		_ = c.socket.conn.NetConn().Close()
		c.socket = nil
	}
}

// until reads on, and resumes where it has to, until enough says so. It is patient
// three times: what a killed process worked on comes only when its lease has ended.
func (c *collector) until(enough func() bool) error {
	var why []error
	waited := 0
	for !enough() {
		var err error
		if c.socket == nil {
			err = c.connect()
		}
		if err == nil {
			err = c.next()
		}
		if err == nil {
			continue
		}
		c.drops()
		c.resumed++
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			waited++
		}
		if why = append(why, err); len(why) > 10 || waited == 3 {
			return fmt.Errorf("%d events came: %w", len(c.texts), errors.Join(why...))
		}
	}
	return nil
}

// has is until for a number of events.
func (c *collector) has(n int) func() bool {
	return func() bool { return len(c.texts) >= n }
}

// numbered is the text that customer chat writes as their nth.
func numbered(chat, n int) string { return fmt.Sprintf("%d/%d", chat, n) }

// perChat sorts numbered texts by chat, in the order they came.
func perChat(texts []string) map[int][]int {
	found := map[int][]int{}
	for _, text := range texts {
		chat, n, _ := strings.Cut(text, "/")
		c, _ := strconv.Atoi(chat)
		i, _ := strconv.Atoi(n)
		found[c] = append(found[c], i)
	}
	return found
}

// inOrderOnce checks that every chat's texts are there from first to last: nothing
// missed, nothing twice, in order. A first of 0 lets each chat begin and end anywhere.
func inOrderOnce(texts []string, chats, first, last int) error {
	found := perChat(texts)
	var errs []error
	for chat := 1; chat <= chats; chat++ {
		numbers := found[chat]
		from, to := first, last
		if first == 0 && len(numbers) > 0 {
			from, to = numbers[0], numbers[len(numbers)-1]
		}
		var want []int
		for n := from; n <= to && from > 0; n++ {
			want = append(want, n)
		}
		if !slices.Equal(numbers, want) {
			errs = append(errs, fmt.Errorf("chat %d: %d to %d were expected, these came: %v", chat, from, to, numbers))
		}
	}
	return errors.Join(errs...)
}

// talks lets each of chats customers write texts first to last, each waiting for the
// answer to the one before, as Telegram does. A text that was not taken is sent again.
// It tells of each that was taken on the channel, and closes it at the end.
func (p *poster) talks(t *testing.T, chats, first, last int) <-chan string {
	t.Helper()
	taken := make(chan string, chats*(last-first+1))
	done := make(chan struct{}, chats)
	for chat := 1; chat <= chats; chat++ {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := first; n <= last; n++ {
				status, _, err := p.posts(t.Context(), textUpdate(chat, n, numbered(chat, n)))
				for status == 503 {
					status, _, err = p.posts(t.Context(), textUpdate(chat, n, numbered(chat, n)))
				}
				if err != nil || status != 200 {
					t.Errorf("update %s was answered %d %v", numbered(chat, n), status, err)
					return
				}
				taken <- numbered(chat, n)
			}
		}()
	}
	go func() {
		for range chats {
			<-done
		}
		close(taken)
	}()
	return taken
}
