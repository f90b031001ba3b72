package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"causeway/internal/webhook"
)

const (
	chats = 1000
	// textLength makes an update of about 600 bytes.
	textLength = 220
)

// measure loads one mode's server and asks what that cost it.
func measure(mode string, lasting time.Duration, connections int, profiles string) (result, error) {
	data, err := os.MkdirTemp("", "causeway-bench-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(data) }()
	server, err := startServer(mode, data, profiles)
	if err != nil {
		return result{}, err
	}
	defer server.stop()
	if _, err := load(server.address, time.Second/2, connections, 1); err != nil { // warm up
		return result{}, err
	}
	before, err := server.drained(-1)
	if err != nil {
		return result{}, err
	}
	latencies, err := load(server.address, lasting, connections, 1_000_000_000)
	if err != nil {
		return result{}, err
	}
	after, err := server.drained(before.Finished + int64(len(latencies)))
	if err != nil {
		return result{}, err
	}
	return result{mode: mode, requests: len(latencies), cpu: after.CPU - before.CPU, latencies: sorted(latencies)}, nil
}

// serverProcess is a mode's server, in a process of its own.
type serverProcess struct {
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

func startServer(mode, data, profiles string) (*serverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve", mode, "-data", data, "-profiles", profiles)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server said no address: %w", err)
	}
	return &serverProcess{address: strings.TrimSpace(address), cmd: cmd, stdin: stdin}, nil
}

func (s *serverProcess) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}

// drained waits until want updates went all the way, where the mode counts them, and
// returns what the server used by then. -1 waits until nothing more goes through.
func (s *serverProcess) drained(want int64) (usage, error) {
	deadline := time.Now().Add(time.Minute)
	last := int64(-2)
	for {
		var u usage
		res, err := http.Get("http://" + s.address + "/usage")
		if err != nil {
			return u, err
		}
		err = json.NewDecoder(res.Body).Decode(&u)
		_ = res.Body.Close()
		if err != nil {
			return u, err
		}
		if u.Finished < 0 || want >= 0 && u.Finished >= want || want < 0 && u.Finished == last {
			return u, nil
		}
		if time.Now().After(deadline) {
			return u, fmt.Errorf("only %d of %d updates went all the way", u.Finished, want)
		}
		last = u.Finished
		time.Sleep(100 * time.Millisecond)
	}
}

// load posts different updates over keep-alive connections for a while and returns
// how long each answer took.
func load(address string, lasting time.Duration, connections int, firstUpdate int64) ([]time.Duration, error) {
	var (
		next   atomic.Int64
		mu     sync.Mutex
		all    []time.Duration
		failed error
		wait   sync.WaitGroup
	)
	next.Store(firstUpdate)
	end := time.Now().Add(lasting)
	for range connections {
		wait.Go(func() {
			latencies, err := post(address, end, &next)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, latencies...)
			if err != nil {
				failed = err
			}
		})
	}
	wait.Wait()
	return all, failed
}

// post speaks HTTP/1.1 by hand: the load must not cost what it measures.
func post(address string, end time.Time, next *atomic.Int64) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	var latencies []time.Duration
	var request bytes.Buffer
	for time.Now().Before(end) {
		body := update(next.Add(1))
		request.Reset()
		fmt.Fprintf(&request, "POST %s%s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"+
			"X-Telegram-Bot-Api-Secret-Token: %s\r\nX-Signature: %s\r\nContent-Length: %d\r\n\r\n",
			webhook.TelegramPath, webhookKey, secretToken, hex.EncodeToString(sign(body)), len(body))
		request.Write(body)
		began := time.Now()
		if _, err := conn.Write(request.Bytes()); err != nil {
			return latencies, err
		}
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return latencies, err
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return latencies, fmt.Errorf("answered %s", res.Status)
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies, nil
}

var filler = strings.Repeat("how long until it is delivered? ", textLength/32+1)[:textLength]

// update is a text message as Telegram posts one.
func update(n int64) []byte {
	chat := strconv.FormatInt(10_000+n%chats, 10)
	person := `"id":` + chat + `,"first_name":"Customer","last_name":"Number ` + chat + `","username":"customer` + chat + `"`
	return []byte(`{"update_id":` + strconv.FormatInt(n, 10) + `,"message":{"message_id":` + strconv.FormatInt(n, 10) +
		`,"from":{` + person + `,"is_bot":false,"language_code":"en"},"chat":{` + person + `,"type":"private"},"date":1790000000,"text":"` +
		strconv.FormatInt(n, 10) + ` ` + filler + `"}}`)
}
