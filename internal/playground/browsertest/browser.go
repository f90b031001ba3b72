// Package browsertest drives a page in a headless Chromium, as a person with a mouse
// and a keyboard would, over the DevTools protocol. It is for tests only and needs no
// more than the browser; where there is none, the test is skipped.
//
// A Browser and its Pages may be used by several goroutines.
package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// patience bounds every wait. It is waited out only by a test that fails.
const patience = 60 * time.Second

// names under which Chromium is installed; $CHROMIUM goes before them.
var names = [...]string{"chromium", "chromium-browser", "google-chrome", "chrome"}

// Browser is a Chromium of the test's own, with an empty profile.
type Browser struct {
	conn *websocket.Conn

	mu      sync.Mutex
	nextID  int
	answers map[int]chan reply
	pages   map[string]*Page // by session
	ended   chan struct{}
}

// frame is a message of the protocol, of either direction.
type frame struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type reply struct {
	result json.RawMessage
	err    error
}

// Start starts a Chromium that ends with the test. Where none is installed, the test
// is skipped and says so.
func Start(t *testing.T) *Browser {
	t.Helper()
	program := find()
	if program == "" {
		t.Skip("needs Chromium: none of ", names, " is on the PATH and $CHROMIUM names none")
	}
	profile, err := os.MkdirTemp("", "browsertest-")
	if err != nil {
		t.Fatal(err)
	}
	// Without these, Chromium looks for updates and for its maker's services.
	arguments := []string{
		"--headless", "--remote-debugging-port=0", "--user-data-dir=" + profile, "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--disable-breakpad", "--disable-crash-reporter", "--hide-scrollbars",
	}
	if os.Geteuid() == 0 { // Chromium's sandbox refuses to be started by root
		arguments = append(arguments, "--no-sandbox")
	}
	ctx, kill := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, program, append(arguments, "about:blank")...)
	command.WaitDelay = patience
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	b := &Browser{answers: map[int]chan reply{}, pages: map[string]*Page{}, ended: make(chan struct{})}
	t.Cleanup(func() {
		if b.conn != nil {
			_, _ = b.call("", "Browser.close", nil)
			<-b.ended
			_ = b.conn.Close()
		}
		kill()
		_ = command.Wait()        // it was told to end; how it ended tells nothing
		_ = os.RemoveAll(profile) // Chromium's helpers may still be writing there
	})
	address, err := listening(stderr)
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatalf("connect to %s: %v", program, err)
	}
	_ = res.Body.Close()
	b.conn = conn
	go b.read()
	return b
}

func find() string {
	if named := os.Getenv("CHROMIUM"); named != "" {
		return named
	}
	for _, name := range names {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

// listening reads where the browser listens from what it prints, and goes on reading
// so that the browser never waits for a reader.
func listening(stderr io.Reader) (string, error) {
	lines, said := bufio.NewReader(stderr), []string{}
	for {
		line, err := lines.ReadString('\n')
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "DevTools listening on "); ok {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return address, nil
		}
		if err != nil {
			return "", fmt.Errorf("it ended: %s", strings.Join(said, " "))
		}
		said = append(said, strings.TrimSpace(line))
	}
}

// read hands answers to who waits for them, and events to their page.
func (b *Browser) read() {
	defer close(b.ended)
	for {
		var f frame
		if err := b.conn.ReadJSON(&f); err != nil {
			return
		}
		b.mu.Lock()
		waiting, page := b.answers[f.ID], b.pages[f.SessionID]
		delete(b.answers, f.ID)
		b.mu.Unlock()
		switch {
		case waiting != nil && f.Error != nil:
			waiting <- reply{err: fmt.Errorf("%s", f.Error.Message)}
		case waiting != nil:
			waiting <- reply{result: f.Result}
		case page != nil:
			page.hears(f.Method, f.Params)
		}
	}
}

// call asks the browser for something and waits for the answer.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answered := make(chan reply, 1)
	b.mu.Lock()
	b.nextID++
	f := frame{ID: b.nextID, SessionID: session, Method: method, Params: raw}
	if params == nil {
		f.Params = nil
	}
	b.answers[f.ID] = answered
	err = b.conn.WriteJSON(f)
	b.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case r := <-answered:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", method, r.err)
		}
		return r.result, nil
	case <-b.ended:
		return nil, fmt.Errorf("%s: the browser ended", method)
	case <-timeout.C:
		return nil, fmt.Errorf("%s: no answer within %s", method, patience)
	}
}
