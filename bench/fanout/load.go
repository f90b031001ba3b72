package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostEvents     = 1 << 20
	steadyPace     = 20_000 // deliveries a second
	floodInFlight  = 16
	drainWithin    = 20 * time.Second
	feedsOfTheDeaf = 20
)

// load is many sockets that count what comes.
type load struct {
	address string
	sockets []*reader
	wanted  int32
	came    []atomic.Int32  // of each event
	done    chan int        // events that came to all
	marked  atomic.Bool     // arrivals are noted
	stored  map[int32]int64 // when events were, Unix nanoseconds; for who measures
}

// reader is one socket.
type reader struct {
	load  *load
	conn  net.Conn
	acked chan struct{}
	ack   sync.Once

	mu       sync.Mutex
	last     int // event
	wrong    int // events that came out of order or twice
	arrivals []arrival
}

type arrival struct {
	event int32
	at    int64 // Unix nanoseconds
}

func runLoad(address, text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	l := &load{address: address, wanted: int32(p.Sockets), came: make([]atomic.Int32, mostEvents), done: make(chan int, 4096)}
	var r report
	if err := l.run(p, &r); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (l *load) run(p plan, r *report) error {
	before, err := l.usage(true)
	if err != nil {
		return err
	}
	if err := l.open(p.Sockets); err != nil {
		return err
	}
	idle, err := l.usage(true)
	if err != nil {
		return err
	}
	r.Idle = float64(idle.RSS-before.RSS) / float64(p.Sockets)
	subscription, err := l.subscription()
	if err != nil {
		return err
	}
	for _, s := range l.sockets {
		if err := s.write(1, subscription); err != nil {
			return err
		}
	}
	if err := l.warm(); err != nil {
		return err
	}
	if r.Single, err = l.measure(p.Lasting, func(end time.Time) (int, int, error) { return l.inFlight(1, end) }); err != nil {
		return err
	}
	if r.Steady, err = l.measure(p.Lasting, l.steadily); err != nil {
		return err
	}
	flood := func(end time.Time) (int, int, error) { return l.inFlight(floodInFlight, end) }
	if r.Flood, err = l.measure(p.Lasting, flood); err != nil {
		return err
	}
	busy, err := l.usage(true)
	if err != nil {
		return err
	}
	r.Busy = float64(busy.RSS-before.RSS) / float64(p.Sockets)
	if p.Stalled > 0 {
		return l.stall(p, subscription, flood, r)
	}
	return nil
}

// stall adds readers that never read, floods until the server has had the time to cut
// them off, and looks whether it did.
func (l *load) stall(p plan, subscription []byte, flood func(time.Time) (int, int, error), r *report) (err error) {
	var deaf []*reader
	for range p.Stalled {
		s, err := l.dial()
		if err != nil {
			return err
		}
		// Several feeds each, so that the kernel's buffers do not hold all there is.
		for id := range feedsOfTheDeaf {
			text := bytes.Replace(subscription, []byte(`"id":"1"`), fmt.Appendf(nil, `"id":"%d"`, id), 1)
			if err := s.write(1, text); err != nil {
				return err
			}
		}
		deaf = append(deaf, s)
	}
	if r.Stalled, err = l.measure(p.Lasting, flood); err != nil {
		return err
	}
	// The write deadline is ten seconds; the loads go on meanwhile.
	if _, err = l.measure(15*time.Second, l.steadily); err != nil {
		return err
	}
	r.StalledAll = len(deaf)
	for _, s := range deaf {
		if s.isCutOff() {
			r.CutOff++
		}
	}
	return nil
}

// isCutOff tells whether the server has closed the socket: then it resets who writes.
func (s *reader) isCutOff() bool {
	for range 10 {
		if s.write(9, nil) != nil {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// subscription is the message that starts the same subscription on each server.
func (l *load) subscription() ([]byte, error) {
	res, err := http.Get("http://" + l.address + "/graphql?campaign")
	if err != nil {
		return nil, err
	}
	campaign, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{
		"query":     "subscription($c: ID!) { messageAdded(campaignId: $c) { cursor at change message { id text } } }",
		"variables": map[string]string{"c": strings.TrimSpace(string(campaign))},
	}})
}

func (l *load) usage(collect bool) (u usage, err error) {
	address := "http://" + l.address + "/usage"
	if collect {
		address += "?collect"
	}
	res, err := http.Get(address)
	if err != nil {
		return u, err
	}
	defer func() { _ = res.Body.Close() }()
	return u, json.NewDecoder(res.Body).Decode(&u)
}

func (l *load) emit(n int) (e emitted, err error) {
	res, err := http.Post("http://"+l.address+"/emit?n="+strconv.Itoa(n), "", nil)
	if err != nil {
		return e, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return e, fmt.Errorf("emit: %s", text)
	}
	return e, json.NewDecoder(res.Body).Decode(&e)
}

// open dials so many sockets, some at a time.
func (l *load) open(n int) error {
	var (
		dialing sync.WaitGroup
		mu      sync.Mutex
		failed  error
	)
	turns := make(chan struct{}, 32)
	for range n {
		turns <- struct{}{}
		dialing.Go(func() {
			s, err := l.dial()
			if err == nil {
				go s.read()
				<-s.acked
			}
			mu.Lock()
			if err != nil {
				failed = err
			} else {
				l.sockets = append(l.sockets, s)
			}
			mu.Unlock()
			<-turns
		})
	}
	dialing.Wait()
	return failed
}

// dial speaks HTTP and WebSocket by hand: the load must not cost what it measures.
func (l *load) dial() (*reader, error) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	request := "GET /graphql HTTP/1.1\r\nHost: " + l.address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	s := &reader{load: l, conn: conn, acked: make(chan struct{})}
	if err := s.upgraded(); err != nil {
		return nil, err
	}
	return s, s.write(1, []byte(`{"type":"connection_init","payload":{"authorization":"Bearer `+token+`"}}`))
}

// upgraded reads the answer byte by byte, so that no frame is read with it.
func (s *reader) upgraded() error {
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := s.conn.Read(one); err != nil {
			return err
		}
		head = append(head, one[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("the upgrade was answered %s", head)
	}
	return nil
}

// write sends one frame, masked with zeros.
func (s *reader) write(kind byte, text []byte) error {
	frame := []byte{0x80 | kind, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(frame[2:], uint16(len(text)))
	if len(text) < 126 {
		frame = []byte{0x80 | kind, 0x80 | byte(len(text)), 0, 0, 0, 0}
	}
	_, err := s.conn.Write(append(frame, text...))
	return err
}

// read counts events until the socket ends.
func (s *reader) read() {
	in := bufio.NewReaderSize(s.conn, 8<<10)
	for {
		head, err := in.Peek(4)
		if err != nil && len(head) < 2 {
			return
		}
		kind, length, skip := head[0]&15, int(head[1]), 2
		if length == 126 {
			length, skip = int(binary.BigEndian.Uint16(head[2:])), 4
		}
		_, _ = in.Discard(skip)
		text, err := in.Peek(length)
		if err != nil {
			return
		}
		switch kind {
		case 1:
			s.take(text)
		case 9:
			_ = s.write(10, text)
		}
		_, _ = in.Discard(length)
	}
}

func (s *reader) take(text []byte) {
	i := bytes.IndexByte(text, '#')
	if i < 0 || i+9 > len(text) {
		s.ack.Do(func() { close(s.acked) })
		return
	}
	event := 0
	for _, digit := range text[i+1 : i+9] {
		event = event*10 + int(digit-'0')
	}
	s.mu.Lock()
	if event <= s.last {
		s.wrong++
	}
	s.last = event
	if s.load.marked.Load() {
		s.arrivals = append(s.arrivals, arrival{int32(event), time.Now().UnixNano()})
	}
	s.mu.Unlock()
	if s.load.came[event].Add(1) == s.load.wanted {
		s.load.done <- event
	}
}

// warm emits events until one came to all: then every subscription has begun.
func (l *load) warm() error {
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		e, err := l.emit(1)
		if err != nil {
			return err
		}
		select {
		case event := <-l.done:
			for event < e.First {
				select {
				case event = <-l.done:
				case <-time.After(5 * time.Second):
					event = e.First
				}
			}
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	return errors.New("no event came to all sockets within a minute")
}

// measure puts the server under one load and gathers what came of it.
func (l *load) measure(lasting time.Duration, how func(end time.Time) (first, n int, err error)) (m measured, err error) {
	for _, s := range l.sockets {
		s.mu.Lock()
		s.arrivals, s.wrong = s.arrivals[:0], 0
		s.mu.Unlock()
	}
	l.stored = map[int32]int64{}
	before, err := l.usage(false)
	if err != nil {
		return m, err
	}
	l.marked.Store(true)
	began := time.Now()
	first, n, err := how(began.Add(lasting))
	if err != nil {
		return m, err
	}
	m.Wall = time.Since(began)
	after, err := l.usage(false)
	if err != nil {
		return m, err
	}
	l.marked.Store(false)
	m.Events, m.CPU = n, after.CPU-before.CPU
	var late []time.Duration
	for _, s := range l.sockets {
		s.mu.Lock()
		got := 0
		for _, a := range s.arrivals {
			if int(a.event) >= first {
				got++
				late = append(late, time.Duration(a.at-l.stored[a.event]))
			}
		}
		m.Deliveries += got
		m.Lost += n - got + s.wrong
		s.mu.Unlock()
	}
	slices.Sort(late)
	m.P50, m.P99, m.Max = quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)
	return m, nil
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Microsecond)
}

func (l *load) emitNoted(n int) (first int, err error) {
	e, err := l.emit(n)
	for i := range n {
		l.stored[int32(e.First+i)] = e.Stored
	}
	return e.First, err
}

// inFlight keeps so many events on their way until the end, and waits for the last.
func (l *load) inFlight(most int, end time.Time) (first, n int, err error) {
	open, free := 0, most
	for {
		if free > 0 && time.Now().Before(end) {
			at, err := l.emitNoted(free)
			if err != nil {
				return first, n, err
			}
			if n == 0 {
				first = at
			}
			n, open, free = n+free, open+free, 0
		}
		if open == 0 {
			return first, n, nil
		}
		select {
		case <-l.done:
			open, free = open-1, free+1
			for more := true; more; {
				select {
				case <-l.done:
					open, free = open-1, free+1
				default:
					more = false
				}
			}
		case <-time.After(drainWithin):
			return first, n, nil
		}
	}
}

// steadily emits at a pace, and waits for what is on its way at the end.
func (l *load) steadily(end time.Time) (first, n int, err error) {
	pace := time.NewTicker(time.Duration(float64(time.Second) * float64(l.wanted) / steadyPace))
	defer pace.Stop()
	open := 0
	for {
		select {
		case <-pace.C:
			if time.Now().After(end) {
				pace.Stop()
				break
			}
			at, err := l.emitNoted(1)
			if err != nil {
				return first, n, err
			}
			if n == 0 {
				first = at
			}
			n, open = n+1, open+1
		case <-l.done:
			open--
		case <-time.After(drainWithin):
			return first, n, nil
		}
		if open == 0 && time.Now().After(end) {
			return first, n, nil
		}
	}
}
