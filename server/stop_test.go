package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"

	"go.uber.org/goleak"
)

// TestAStopFinishesWhatIsUnderWayAndLeavesNothingRunning does not run beside other
// tests: what runs is counted.
func TestAStopFinishesWhatIsUnderWayAndLeavesNothingRunning(t *testing.T) { //nolint:paralleltest // see above
	http.DefaultClient.CloseIdleConnections()
	before := goleak.IgnoreCurrent()
	t.Run("stop", stopsGracefully)
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func stopsGracefully(t *testing.T) { //nolint:paralleltest // what runs is counted
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	newer := p.admin().opens()
	newer.subscribes(messageAdded, data{"c": campaign})
	older, err := p.admin().dials("graphql-ws")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := p.admin().dials("graphql-transport-ws")
	if err != nil {
		t.Fatal(err)
	}
	stream := p.admin().streams(messageAdded, data{"c": campaign})

	// A webhook is under way: its handler has begun to read the body, half of which has
	// not come yet.
	hook := posterTo(t, bot)
	update := textUpdate(1, 1, "just in time")
	body, rest := io.Pipe()
	reading := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
	answered := make(chan reply, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.url, body)
		if err != nil {
			answered <- reply{err: err}
			return
		}
		req.Header.Set("Expect", "100-continue")
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", hook.secret)
		res, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: patience, DisableKeepAlives: true}}).Do(req)
		if err != nil {
			answered <- reply{err: err}
			return
		}
		answered <- reply{status: res.StatusCode, err: res.Body.Close()}
	}()
	<-reading
	_, _ = rest.Write(update[:len(update)/2])

	running := p.app
	stopped := make(chan error, 1)
	go func() { stopped <- running.stop() }()
	for _, s := range []*socket{newer, older, silent} {
		if code := s.closeCode(); code != 1001 {
			t.Errorf("a socket was closed with %d", code)
		}
	}
	// The sockets are told before the requests are waited for, so it is stopping now.
	if _, err := p.admin().dials("graphql-transport-ws"); err == nil {
		t.Error("a stopping server took a new socket")
	}
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait for the webhook: %v", err)
	default:
	}
	_, _ = rest.Write(update[len(update)/2:])
	_ = rest.Close()
	if r := <-answered; r.err != nil || r.status != 200 {
		t.Errorf("the webhook under way was answered %d %v", r.status, r.err)
	}
	for { // it breaks off: "complete" would tell the client not to come back
		event, _, err := stream.next()
		if err != nil {
			break
		}
		if event != "next" {
			t.Errorf("the stream ended with %q", event)
		}
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := running.stop(); err != nil {
		t.Errorf("the second stop: %v", err)
	}
	if _, _, err := hook.posts(context.Background(), update); err == nil {
		t.Error("a stopped server answers")
	}

	p.start()
	eventually(t, "what was answered 200 during the stop is there", func() error {
		if texts := p.texts(campaign)["5001"]; len(texts) != 1 || texts[0] != "just in time" {
			return fmt.Errorf("%q", texts)
		}
		return nil
	})
}
