package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestAReaderThatStallsIsCutOffAndResumes(t *testing.T) {
	t.Parallel()
	const chats, each = 8, 50
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	from := p.cursor(campaign)

	// Its buffers are small and it asks for much: 400 events of 400 kB.
	stalled := p.admin().dialsNarrow()
	payload, _ := json.Marshal(map[string]any{"query": wide(100), "variables": data{"c": campaign, "a": from}})
	if err := stalled.conn.WriteJSON(message{ID: "1", Type: "subscribe", Payload: payload}); err != nil {
		t.Fatal(err)
	}
	others := p.admin().collects(campaign, from)
	hook := posterTo(t, bot)
	for n := 1; n <= each; n++ {
		for chat := 1; chat <= chats; chat++ {
			hook.mustPost(t, textUpdate(chat, n, numbered(chat, n)+" "+strings.Repeat("x", 4000)), 200)
		}
	}
	began := time.Now()
	if err := others.until(others.has(chats * each)); err != nil || others.resumed > 0 {
		t.Errorf("the others were held up, after %s and %d events: %v", time.Since(began), len(others.texts), err)
	}

	// It says hello from time to time, but reads nothing: in the end nobody listens.
	eventually(t, "the stalled reader is cut off", func() error {
		if err := stalled.conn.WriteJSON(message{Type: "pong"}); err == nil {
			return fmt.Errorf("after %s it is still there", time.Since(began))
		}
		return nil
	})
	late := p.admin().collects(campaign, from)
	for {
		m, err := stalled.reads() // what had been sent to it
		if err != nil {
			break
		}
		var a answer
		if err := json.Unmarshal(m.Payload, &a); err != nil {
			break // cut in two
		}
		event := a.Data.at("messageAdded")
		late.from = event.text("cursor")
		late.texts = append(late.texts, event.at("message").text("text"))
	}
	if len(late.texts) == chats*each {
		t.Fatal("all of it went into the buffers: nothing stalled")
	}
	if err := late.until(late.has(chats * each)); err != nil {
		t.Fatal(err)
	}
	for i := range late.texts {
		late.texts[i], _, _ = strings.Cut(late.texts[i], " ")
	}
	if err := inOrderOnce(late.texts, chats, 1, each); err != nil {
		t.Error(err)
	}
}

// wide asks for each message's text many times over.
func wide(times int) string {
	var fields strings.Builder
	for i := range times {
		fmt.Fprintf(&fields, " t%d: text", i)
	}
	return `subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { cursor message { text` + fields.String() + ` } } }`
}

// dialsNarrow opens a socket that the system buffers little for.
func (who person) dialsNarrow() *socket {
	who.p.t.Helper()
	dialer := websocket.Dialer{
		Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience,
		NetDialContext: (&net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if outer := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
			}); outer != nil {
				return outer
			}
			return err
		}}).DialContext,
	}
	conn, res, err := dialer.DialContext(who.p.t.Context(), "ws"+strings.TrimPrefix(who.p.url, "http")+"/graphql", nil)
	if err != nil {
		who.p.t.Fatal(err)
	}
	_ = res.Body.Close()
	who.p.t.Cleanup(func() { _ = conn.Close() })
	s := &socket{t: who.p.t, conn: conn}
	payload, _ := json.Marshal(map[string]string{"authorization": "Bearer " + who.token})
	if err := conn.WriteJSON(message{Type: "connection_init", Payload: payload}); err != nil {
		who.p.t.Fatal(err)
	}
	if m, err := s.reads(); err != nil || m.Type != "connection_ack" {
		who.p.t.Fatalf("expected connection_ack: %s %v", m.Type, err)
	}
	return s
}
