package transport

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// stalls makes the client take as little as the kernel lets it, and read no more.
func (c *client) stalls() *client {
	c.t.Helper()
	if err := c.conn.NetConn().(*net.TCPConn).SetReadBuffer(narrowBuffer); err != nil {
		c.t.Fatal(err)
	}
	return c
}

func TestAReaderThatFallsBehindIsToldWhereToGoOn(t *testing.T) {
	t.Parallel()
	j := newJournal()
	j.size, j.narrow = 4000, true
	_, url := j.serve(t, func(cfg *Config) {
		cfg.Sockets.QueueBytes, cfg.Sockets.QueueFrames = 256<<10, 60
		cfg.Sockets.Write = time.Minute
	})
	quick, slow := opens(t, url, "any/quick"), opens(t, url, "any/slow").stalls()
	quick.subscribes("1", entries, `{"a":"0"}`)
	slow.subscribes("slow", entries, `{"a":"0"}`)
	j.add(1)
	quick.entry()
	slow.entry()
	// Until the kernel's buffers and the queue are full.
	const all = 800
	for want := int64(2); want <= all+1; want++ {
		if want%20 == 2 {
			j.add(20)
		}
		if n, _ := quick.entry(); n != want {
			t.Fatalf("quick: entry %d instead of %d", n, want)
		}
	}
	// It is told where to go on, comes back for the rest on the same socket, and may be
	// told again while it catches up.
	last, told := int64(1), 0
	for last < all+1 {
		m, err := slow.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == "error" {
			if !strings.Contains(string(m.Payload), CodeOverrun) || !strings.Contains(string(m.Payload), fmt.Sprintf(`"cursor":"%d"`, last)) {
				t.Fatalf("after entry %d it was told %s", last, m.Payload)
			}
			told++
			slow.subscribes("slow", entries, fmt.Sprintf(`{"a":"%d"}`, last))
			continue
		}
		var n int64
		if _, err := fmt.Sscanf(string(m.Payload), `{"data":{"entries":"%d`, &n); err != nil || n != last+1 {
			t.Fatalf("entry %d after %d: %v", n, last, err)
		}
		last = n
	}
	if told == 0 {
		t.Fatal("it was not behind")
	}
}

func TestAReaderThatReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	j := newJournal()
	j.size = 100_000
	handler, url := j.serve(t, func(cfg *Config) { cfg.Sockets.Write = 50 * time.Millisecond })
	c := opens(t, url, "any/one").stalls()
	c.subscribes("1", entries, `{"a":"0"}`)
	eventually(t, "the socket is closed", func() bool {
		j.add(1)
		return len(handler.sockets.all()) == 0
	})
	eventually(t, "its execution ended", func() bool { return j.running.Load() == 0 })
}

func TestWhoAsksAndDoesNotReadIsNotAnsweredForEver(t *testing.T) {
	t.Parallel()
	handler, url := newJournal().serve(t, func(cfg *Config) {
		cfg.Sockets.QueueBytes, cfg.Sockets.Write = 16<<10, 50*time.Millisecond
	})
	c := opens(t, url, "any/one").stalls()
	ping := []byte(`{"type":"ping","payload":{"x":"` + strings.Repeat("x", 10_000) + `"}}`)
	go func() {
		for c.conn.WriteMessage(1, ping) == nil {
		}
	}()
	eventually(t, "the socket is closed", func() bool { return len(handler.sockets.all()) == 0 })
}

// latencies makes entries one by one and returns how long each took to reach all.
func latencies(j *journal, clients []*client, entries int) []time.Duration {
	var all []time.Duration
	for range entries {
		began := time.Now()
		j.add(1)
		var reading sync.WaitGroup
		for _, c := range clients {
			reading.Go(func() { c.entry() })
		}
		reading.Wait()
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all
}

func TestAThousandReadersDoNotNoticeTheOneThatStalls(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a thousand sockets")
	}
	t.Parallel()
	j := newJournal()
	j.size, j.narrow = 300, true
	handler, url := j.serve(t, func(cfg *Config) { cfg.Sockets.QueueBytes = 64 << 10 })
	clients := make([]*client, manyReaders)
	var opening sync.WaitGroup
	for part := range slices.Chunk(clients, 50) {
		opening.Go(func() {
			for i := range part {
				part[i] = opens(t, url, "any/one")
				part[i].subscribes("1", entries, `{"a":"0"}`)
			}
		})
	}
	opening.Wait()
	latencies(j, clients, 5)
	eventually(t, "all have joined", func() bool { return handler.hub.members() == manyReaders })
	without := latencies(j, clients, 25)
	stalled := opens(t, url, "any/stalled").stalls()
	const feeds = 100 // so that it is behind soon
	for i := range feeds {
		stalled.subscribes(fmt.Sprint(i), entries, `{}`)
	}
	eventually(t, "it has joined", func() bool { return handler.hub.members() == manyReaders+feeds })
	with := latencies(j, clients, 25)
	if n := handler.hub.members(); n >= manyReaders+feeds {
		t.Errorf("it did not fall behind: there are %d members", n)
	}
	before, after := without[len(without)/2], with[len(with)/2]
	t.Logf("to all %d: p50 %v, max %v; beside one that stalls: p50 %v, max %v", manyReaders, before, without[len(without)-1], after, with[len(with)-1])
	// Were the others to wait for it even once, that would be the write deadline.
	if limit := 10 * time.Second; with[len(with)-1] > limit/2 {
		t.Errorf("an entry took %v to reach all", with[len(with)-1])
	}
	if after > 4*before {
		t.Errorf("half of the entries took more than %v instead of %v", after, before)
	}
}
