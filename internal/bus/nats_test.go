package bus_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"causeway/internal/bus"
)

func TestAServerStartsBeforeItsNATS(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	n, err := bus.OpenNATS(fmt.Sprintf("nats://127.0.0.1:%d", port), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenNATS: %v", err)
	}
	t.Cleanup(func() { shut(t, n) })
	if n.Ready() == nil {
		t.Fatal("ready without NATS")
	}
	bell := listen(t, n, topic())
	n.Publish("access", 0)
	mustBeSilent(t, bell)
	runNATS(t, &server.Options{Host: "127.0.0.1", Port: port})
	mustBeReady(t, n)
	await(t, bell, "the ring for what may have been missed", func(n bus.News) bool { return n.Rung && n.Seq == 0 })
}

func TestWhatHappenedWhileNATSWasAwayIsRungForWhenItIsBack(t *testing.T) {
	t.Parallel()
	first := runNATS(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	address, port := first.ClientURL(), first.Addr().(*net.TCPAddr).Port
	here, there := open(t, address), open(t, address)
	a := topic()
	home, far := listen(t, here, a), listen(t, there, a)

	first.Shutdown()
	first.WaitForShutdown()
	become(t, "cut off", here, func(err error) bool { return err != nil })
	become(t, "cut off", there, func(err error) bool { return err != nil })
	here.Publish(a, 41)
	here.Publish(a, 42)
	await(t, home, "the ring at home", func(n bus.News) bool { return n.Seq == 42 })
	mustBeSilent(t, far)

	runNATS(t, &server.Options{Host: "127.0.0.1", Port: port})
	mustBeReady(t, here)
	mustBeReady(t, there)
	await(t, far, "a ring after the reconnect", rung)
}

func TestANATSThatReadsNothingHoldsUpNoPublisher(t *testing.T) {
	t.Parallel()
	stuck := newStuckNATS(t)
	n := open(t, stuck.address)
	stuck.stopReading()
	payload := bytes.Repeat([]byte("x"), bus.MaxHint)
	var longest time.Duration
	for i := range 200_000 { // some 60 MB, more than any buffer on the way
		start := time.Now()
		n.Publish(fmt.Sprint("feed.", i), 1)
		if err := n.Hint("typing", payload); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(start))
	}
	// A write to this server is given up after five seconds; a publisher who had
	// waited for one would have taken at least that.
	if longest > 4*time.Second {
		t.Fatalf("one publisher waited for %v", longest)
	}
}

func TestABadAddressIsRefusedAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "nats://", "http://ana:hunter2@host", "nats://ana:hunter2@host:port", "nats://ana:hun%ter2@host",
		"nats://host,", "nats://host,ws://ana:hunter2@host",
	} {
		n, err := bus.OpenNATS(address, slog.New(slog.DiscardHandler))
		if err == nil {
			shut(t, n)
			t.Errorf("%q was taken", address)
			continue
		}
		if strings.Contains(err.Error(), "hun") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func TestAWrongPasswordIsToldAndTriedAgainWithoutShowingIt(t *testing.T) {
	t.Parallel()
	s := runNATS(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: "ana", Password: "right"})
	var log lockedBuffer
	address := strings.Replace(s.ClientURL(), "nats://", "nats://ana:hunter2@", 1)
	n, err := bus.OpenNATS(address, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatalf("OpenNATS: %v", err)
	}
	become(t, "refused with a reason", n, func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "Authorization")
	})
	told := n.Ready().Error()
	shut(t, n)
	if strings.Contains(told+log.String(), "hunter2") {
		t.Errorf("the password shows: %s %s", told, log.String())
	}
}

func TestAServerThatMayNotListenIsNotReady(t *testing.T) {
	t.Parallel()
	s := runNATS(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Users: []*server.User{{
		Username:    "ana",
		Password:    "right",
		Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"causeway.>"}}},
	}}})
	n, err := bus.OpenNATS(strings.Replace(s.ClientURL(), "nats://", "nats://ana:right@", 1), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenNATS: %v", err)
	}
	t.Cleanup(func() { shut(t, n) })
	become(t, "refused with a reason", n, func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "forbids")
	})
}

func TestWhatAnotherProgramSaysOnNATSHarmsNothing(t *testing.T) {
	t.Parallel()
	address := startNATS(t)
	n := open(t, address)
	bell, end := listen(t, n, "logs"), listen(t, n, "end")
	stranger, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.Close)
	for _, data := range []string{"", " ", "x", "x logs", "9999999999999999999 logs", "-1 logs", "4", "5 logs", "-4 logsx", "4 logs" + strings.Repeat("x", 5000)} {
		for _, subject := range []string{"causeway.ring", "causeway.hint", "causeway.other"} {
			if err := stranger.Publish(subject, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := stranger.Publish("causeway.ring", []byte("77 end")); err != nil {
		t.Fatal(err)
	}
	await(t, end, "the ring behind them", func(n bus.News) bool { return n.Seq == 77 })
	if news := bell.Take(); news.Seq > 5 || len(news.Hints) > 0 {
		t.Errorf("logs heard %+v", news)
	}
}

// freePort is one that was free a moment ago, for a server that starts later.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// stuckNATS greets its only client like a NATS server, answers its pings, and stops
// reading when told.
type stuckNATS struct {
	address  string
	listener net.Listener
	release  chan struct{} // closed when the test is over
	deaf     chan struct{} // closed when it shall stop reading
	served   sync.WaitGroup
}

func newStuckNATS(t *testing.T) *stuckNATS {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stuckNATS{
		address:  "nats://" + listener.Addr().String(),
		listener: listener,
		release:  make(chan struct{}),
		deaf:     make(chan struct{}),
	}
	s.served.Go(s.serve)
	t.Cleanup(func() {
		close(s.release)
		_ = listener.Close()
		s.served.Wait()
	})
	return s
}

func (s *stuckNATS) stopReading() { close(s.deaf) }

func (s *stuckNATS) serve() {
	conn, err := s.listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, `INFO {"server_id":"stuck","server_name":"stuck","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}`+"\r\n")
	buffer := make([]byte, 4096)
	for {
		select {
		case <-s.deaf:
			<-s.release
			return
		default:
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		for range bytes.Count(buffer[:n], []byte("PING\r\n")) {
			_, _ = io.WriteString(conn, "PONG\r\n")
		}
	}
}

// lockedBuffer takes a log from any goroutine.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
