package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const entries = `subscription($a: String) { entries(after: $a) }`

func TestASocketIsClosedWithTheProtocolsCodes(t *testing.T) {
	t.Parallel()
	const (
		hello = `{"type":"connection_init","payload":{"authorization":"Bearer any/one"}}`
		sub   = `{"id":"1","type":"subscribe","payload":{"query":"subscription { entries }"}}`
	)
	for name, c := range map[string]struct {
		protocols []string
		says      []string
		code      int
	}{
		"no JSON":                        {says: []string{"what?"}, code: 4400},
		"no object":                      {says: []string{`"what?"`}, code: 4400},
		"an unknown type":                {says: []string{`{"type":"start"}`}, code: 4400},
		"a string as init payload":       {says: []string{`{"type":"connection_init","payload":"hello"}`}, code: 4400},
		"a number as id":                 {says: []string{hello, `{"id":1,"type":"subscribe","payload":{"query":"{hello}"}}`}, code: 4400},
		"no id":                          {says: []string{hello, `{"type":"subscribe","payload":{"query":"{hello}"}}`}, code: 4400},
		"no payload":                     {says: []string{hello, `{"id":"1","type":"subscribe"}`}, code: 4400},
		"no query":                       {says: []string{hello, `{"id":"1","type":"subscribe","payload":{}}`}, code: 4400},
		"variables that are a list":      {says: []string{hello, `{"id":"1","type":"subscribe","payload":{"query":"{hello}","variables":[]}}`}, code: 4400},
		"extensions that are a string":   {says: []string{hello, `{"id":"1","type":"subscribe","payload":{"query":"{hello}","extensions":"x"}}`}, code: 4400},
		"complete without an id":         {says: []string{hello, `{"type":"complete"}`}, code: 4400},
		"a ping with a string":           {says: []string{`{"type":"ping","payload":"x"}`}, code: 4400},
		"an operation before init":       {says: []string{sub}, code: 4401},
		"init without a token":           {says: []string{`{"type":"connection_init"}`}, code: 4403},
		"init with a bad token":          {says: []string{`{"type":"connection_init","payload":{"Authorization":"Bearer bad"}}`}, code: 4403},
		"trouble with the token":         {says: []string{`{"type":"connection_init","payload":{"Authorization":"Bearer unknown"}}`}, code: 1013},
		"no protocol":                    {protocols: []string{}, code: 4406},
		"an unknown protocol":            {protocols: []string{"soap"}, code: 4406},
		"no init":                        {code: 4408},
		"the same id twice":              {says: []string{hello, sub, sub}, code: 4409},
		"two inits":                      {says: []string{hello, hello}, code: 4429},
		"a message that is too long":     {says: []string{strings.Repeat(" ", 5000)}, code: 1009},
		"terminated in the old protocol": {protocols: []string{oldProtocol}, says: []string{hello, `{"type":"connection_terminate"}`}, code: 1000},
		"start before init":              {protocols: []string{oldProtocol}, says: []string{`{"id":"1","type":"start","payload":{"query":"{hello}"}}`}, code: 4401},
		"a bad token in the old one":     {protocols: []string{oldProtocol}, says: []string{`{"type":"connection_init","payload":{"authorization":"Bearer bad"}}`}, code: 4403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url := newJournal().serve(t, func(cfg *Config) {
				cfg.Sockets.Message = 4096
				if c.code == 4408 {
					cfg.Sockets.Init = 20 * time.Millisecond
				}
			})
			if c.protocols == nil {
				c.protocols = []string{protocol}
			}
			client := dials(t, url, c.protocols...)
			for _, text := range c.says {
				client.says(text)
			}
			if code, before := client.closes(); code != c.code {
				t.Errorf("closed with %d, not %d, after %v", code, c.code, before)
			}
		})
	}
}

func TestABinaryMessageIsRefused(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, nil)
	c := dials(t, url, protocol)
	if err := c.conn.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	if code, _ := c.closes(); code != 4400 {
		t.Errorf("closed with %d", code)
	}
}

func TestOfBothProtocolsTheNewOneIsTaken(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, nil)
	c := dials(t, url, oldProtocol, protocol)
	if c.conn.Subprotocol() != protocol {
		t.Errorf("took %q", c.conn.Subprotocol())
	}
}

func TestPingsAreAnsweredAtAnyTimeWithTheirPayload(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, nil)
	c := dials(t, url, protocol)
	c.says(`{"type":"ping","payload":{"a":[1,"b"]}}`)
	if m := c.hears("pong"); string(m.Payload) != `{"a":[1,"b"]}` {
		t.Errorf("the pong carries %s", m.Payload)
	}
	c.says(`{"type":"pong","payload":{"unasked":true}}`)
	c.says(`{"type":"connection_init","payload":{"authorization":"Bearer any/one"}}`)
	c.hears("connection_ack")
	c.says(`{"type":"ping"}`)
	if m := c.hears("pong"); len(m.Payload) != 0 {
		t.Errorf("the pong carries %s", m.Payload)
	}
}

func TestAQueryIsAnsweredAndComplete(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, nil)
	c := opens(t, url, "any/one")
	for range 3 { // the id is free again each time
		c.subscribes("q", `{ hello }`, `null`)
		if m := c.hears("next"); m.ID != "q" || string(m.Payload) != `{"data":{"hello":"Hello"}}` {
			t.Errorf("got %s %s", m.ID, m.Payload)
		}
		if m := c.hears("complete"); m.ID != "q" {
			t.Errorf("completed %s", m.ID)
		}
	}
}

func TestNothingFollowsAnError(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, nil)
	c := opens(t, url, "any/one")
	c.subscribes("1", `{ helo }`, `null`)
	if m := c.hears("error"); m.ID != "1" || m.Payload[0] != '[' {
		t.Errorf("got %s %s", m.ID, m.Payload)
	}
	c.subscribes("1", entries, `{"a":"no position"}`)
	c.hears("error")
	c.says(`{"type":"ping"}`)
	c.hears("pong")
}

func TestAClientThatCompletesHearsNothingMore(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	c := opens(t, url, "any/one")
	c.subscribes("1", entries, `{"a":"0"}`)
	j.add(1)
	if n, _ := c.entry(); n != 1 {
		t.Errorf("got entry %d", n)
	}
	c.says(`{"id":"1","type":"complete"}`)
	c.says(`{"id":"1","type":"complete"}`)
	eventually(t, "the execution ended", func() bool { return j.running.Load() == 0 })
	j.add(1)
	c.says(`{"type":"ping"}`)
	c.hears("pong")
	c.subscribes("1", entries, `{"a":"1"}`) // the id is free
	if n, _ := c.entry(); n != 2 {
		t.Errorf("got entry %d", n)
	}
}

func TestASocketHasOnlySoManyOperations(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, func(cfg *Config) { cfg.Sockets.Operations = 3 })
	c := opens(t, url, "any/one")
	for i := range 4 {
		c.subscribes(fmt.Sprint(i), entries, `null`)
	}
	if m := c.hears("error"); m.ID != "3" || !strings.Contains(string(m.Payload), CodeRateLimited) {
		t.Errorf("got %s %s", m.ID, m.Payload)
	}
	c.says(`{"id":"1","type":"complete"}`)
	c.subscribes("5", `{ hello }`, `null`)
	c.hears("next")
	c.hears("complete")
}

func TestASocketEndsWhenItsTokenDoes(t *testing.T) {
	t.Parallel()
	end := make(chan func(error), 1)
	_, url := newJournal().serve(t, func(cfg *Config) {
		cfg.Watch = func(_ context.Context, ended func(error)) func() {
			end <- ended
			return func() {}
		}
	})
	c := opens(t, url, "any/one")
	c.subscribes("1", entries, `null`)
	c.says(`{"type":"ping"}`)
	c.hears("pong")
	(<-end)(context.Canceled)
	code, before := c.closes()
	if code != 4403 || len(before) != 1 || before[0].Type != "error" || !strings.Contains(string(before[0].Payload), "UNAUTHENTICATED") {
		t.Errorf("closed with %d after %v", code, before)
	}
}

func TestClosingTheServerTellsEverySocket(t *testing.T) {
	t.Parallel()
	j := newJournal()
	handler, url := j.serve(t, nil)
	var clients []*client
	for range 20 {
		c := opens(t, url, "any/one")
		c.subscribes("1", entries, `null`)
		clients = append(clients, c)
	}
	closed := make(chan error, 1)
	go func() { closed <- handler.Close() }()
	for _, c := range clients {
		if code, before := c.closes(); code != 1001 || len(before) > 0 {
			t.Errorf("closed with %d after %v", code, before)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, res, err := (&websocket.Dialer{Subprotocols: []string{protocol}}).Dial(url, nil); err == nil {
		_ = res.Body.Close()
	}
}

func TestForeignPagesOpenNoSocket(t *testing.T) {
	t.Parallel()
	_, url := newJournal().serve(t, func(cfg *Config) { cfg.AllowedOrigins = []string{"https://app.example.com"} })
	own := "http" + strings.TrimPrefix(url, "ws")
	for origin, allowed := range map[string]bool{
		"": true, own: true, "https://app.example.com": true,
		"null": false, "https://evil.example.com": false, "https://app.example.com.evil.example": false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		conn, res, err := (&websocket.Dialer{Subprotocols: []string{protocol}}).Dial(url, header)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != allowed || (!allowed && res.StatusCode != http.StatusForbidden) {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
}

func TestAClientThatIsGoneIsNoticed(t *testing.T) {
	t.Parallel()
	handler, url := newJournal().serve(t, func(cfg *Config) { cfg.Sockets.Ping = 15 * time.Millisecond })
	c := opens(t, url, "any/one")
	c.conn.SetPingHandler(func(string) error { return nil }) // never answers
	go func() { _, _ = c.next() }()
	eventually(t, "the socket is gone", func() bool { return len(handler.sockets.all()) == 0 })
}

func TestTheOlderProtocolIsSpoken(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	c := dials(t, url, oldProtocol)
	c.says(`{"type":"connection_init","payload":{"authorization":"Bearer any/one"}}`)
	c.says(`{"id":"1","type":"start","payload":{"query":"subscription { entries(after: \"0\") }"}}`)
	c.hears("connection_ack")
	c.hears("ka")
	j.add(1)
	if m := c.hears("data"); m.ID != "1" || !strings.Contains(string(m.Payload), `"entries":"1 for`) {
		t.Errorf("got %s %s", m.ID, m.Payload)
	}
	c.says(`{"id":"1","type":"stop"}`)
	c.says(`{"id":"2","type":"start","payload":{"query":"{ hello }"}}`)
	c.hears("data")
	c.hears("complete")
	c.says(`{"id":"3","type":"start","payload":{"query":"{ helo }"}}`)
	if m := c.hears("error"); m.Payload[0] != '{' {
		t.Errorf("the error is %s", m.Payload)
	}
}
