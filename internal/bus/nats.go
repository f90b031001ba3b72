package bus

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// What goes over NATS, in plain text. Every server hears every ring and keeps those
// it has subscribers for: rings are small and servers few, while subscribing to each
// topic at NATS would cost a round trip per agent and open a gap in which a ring is
// lost.
//
//	causeway.ring   "42 feed.camp_01…"   number, topic
//	causeway.hint   "4 logslog_01…"      length of the topic, topic, payload
//
// Another subject of the prefix is of a newer version and passed over.
const (
	subjects    = "causeway.*"
	ringSubject = "causeway.ring"
	hintSubject = "causeway.hint"
)

const (
	// inbox is how many messages from NATS wait to be rung here. Ringing takes
	// microseconds, so a full inbox is a burst; what does not fit rings everybody.
	inbox = 4096
	// writeTimeout is after how long a NATS server that reads nothing is given up.
	writeTimeout = 5 * time.Second
	// pingEvery finds out within half a minute that the other end is gone.
	pingEvery = 10 * time.Second
	// reconnectWait, with as much again at random, is between two tries.
	reconnectWait = 500 * time.Millisecond
)

// NATS is the bus of several servers over one database. It wraps a Local, which
// serves this server's subscribers at once and without NATS; what is published here
// goes to the others, and NATS does not send it back. It reconnects for ever; while it
// cannot, the others' subscribers poll, rings for them are kept (one per topic) until
// it can, and hints for them are lost. After every reconnect all doorbells of this
// server ring once, with the number 0, for what may have been missed.
type NATS struct {
	local *Local
	conn  *nats.Conn
	log   *slog.Logger

	outbox  *outbox
	inbox   chan *nats.Msg
	stop    chan struct{} // closed by Close
	closing sync.Once
	running sync.WaitGroup

	mu      sync.Mutex
	trouble error // why Ready is not nil
}

var _ Bus = (*NATS)(nil)

// errConnecting is what Ready says until the first connection stands.
var errConnecting = errors.New("connecting to NATS")

// OpenNATS joins the bus at address: one nats://host:port, or several of one cluster
// separated by commas; tls, ws and wss are taken too, and a name and password or a
// token may stand before the host. It waits for the first try at each address only: a
// NATS server that is away, or turns us away, is tried again for ever, and Ready says
// so. The only error is an address that is none; it repeats nothing of it.
func OpenNATS(address string, log *slog.Logger) (*NATS, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	n := &NATS{
		local:   NewLocal(),
		log:     log,
		outbox:  newOutbox(),
		inbox:   make(chan *nats.Msg, inbox),
		stop:    make(chan struct{}),
		trouble: errConnecting,
	}
	if err := n.connect(address); err != nil {
		return nil, err
	}
	n.running.Go(n.receive)
	n.running.Go(n.send)
	return n, nil
}

func (n *NATS) connect(address string) error {
	n.running.Add(1) // until nats.go has called the closed handler, its last act
	conn, err := nats.Connect(address,
		nats.Name("causeway"),
		nats.NoEcho(), // this server's subscribers have heard it already
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1), // the outbox keeps what waits, one ring per topic
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingEvery),
		nats.ConnectHandler(n.connected),
		nats.ReconnectHandler(n.connected),
		nats.DisconnectErrHandler(n.disconnected),
		nats.ReconnectErrHandler(n.disconnected),
		nats.ErrorHandler(n.failed),
		nats.ClosedHandler(func(*nats.Conn) { n.running.Done() }),
	)
	if err != nil {
		return errNotAnAddress // the address was checked; nats.go may quote it
	}
	n.conn = conn
	if _, err := conn.ChanSubscribe(subjects, n.inbox); err != nil {
		conn.Close()
		return fmt.Errorf("subscribe to %s: %w", subjects, err)
	}
	return nil
}

var errNotAnAddress = errors.New("the NATS address is not one; write nats://host:4222, several separated by commas")

// checkAddress finds what nats.Connect would refuse, so that an address with a
// password never comes back in an error of another's making.
func checkAddress(address string) error {
	for part := range strings.SplitSeq(address, ",") {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Hostname() == "" {
			return errNotAnAddress
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return errNotAnAddress
		}
	}
	return nil
}

// Publish rings this server's subscribers now, and the others' through NATS.
func (n *NATS) Publish(topic string, seq int64) {
	n.local.Publish(topic, seq)
	n.outbox.ring(topic, seq)
}

// Hint leaves payload with this server's subscribers now, and with the others'
// through NATS if it can be reached.
func (n *NATS) Hint(topic string, payload []byte) error {
	if err := n.local.Hint(topic, payload); err != nil {
		return err
	}
	if n.Ready() == nil {
		n.outbox.hint(topic, payload)
	}
	return nil
}

// Subscribe hears of topic from this server and the others.
func (n *NATS) Subscribe(topic string) *Doorbell { return n.local.Subscribe(topic) }

// Ready tells why the other servers cannot be reached, if so.
func (n *NATS) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trouble
}

func (n *NATS) setTrouble(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !errors.Is(n.trouble, ErrClosed) {
		n.trouble = err
	}
}

// Close sends what rings still wait, if NATS takes them within a few seconds, and
// leaves it.
func (n *NATS) Close() error {
	n.closing.Do(func() {
		_ = n.local.Close() // never errs
		close(n.stop)
	})
	n.running.Wait()
	n.setTrouble(ErrClosed)
	return nil
}

// send moves rings and hints from the outbox to NATS. It alone waits when NATS is
// slow.
func (n *NATS) send() {
	defer n.conn.Close()
	for {
		select {
		case <-n.outbox.filled:
			n.flushOutbox()
		case <-n.stop:
			n.flushOutbox()
			return
		}
	}
}

func (n *NATS) flushOutbox() {
	if n.Ready() != nil {
		return // the rings stay where they are; connected comes back for them
	}
	rings, hints := n.outbox.empty()
	for topic, seq := range rings {
		if err := n.conn.Publish(ringSubject, encodeRing(topic, seq)); err != nil {
			n.outbox.keep(topic, seq)
		}
	}
	for _, hint := range hints {
		_ = n.conn.Publish(hintSubject, hint) // lost like any hint
	}
}

// receive rings here what the other servers published.
func (n *NATS) receive() {
	for {
		select {
		case msg := <-n.inbox:
			n.deliver(msg)
		case <-n.stop:
			return
		}
	}
}

// deliver passes over what no version of this program wrote.
func (n *NATS) deliver(msg *nats.Msg) {
	switch msg.Subject {
	case ringSubject:
		if topic, seq, ok := decodeRing(msg.Data); ok {
			n.local.Publish(topic, seq)
		}
	case hintSubject:
		if topic, payload, ok := decodeHint(msg.Data); ok {
			_ = n.local.Hint(topic, payload) // too long or closed: lost like any hint
		}
	}
}

// connected runs whenever a connection stands. Only after a round trip is it certain
// that NATS knows our subscription.
func (n *NATS) connected(conn *nats.Conn) {
	if err := conn.FlushTimeout(writeTimeout); err != nil {
		n.setTrouble(fmt.Errorf("NATS does not answer: %w", err))
		// Try anew, and the handlers run again. It errs only after Close.
		_ = conn.ForceReconnect()
		return
	}
	n.setTrouble(nil)
	n.log.Info("Connected to NATS", "server", conn.ConnectedServerName())
	n.local.ringAll()
	n.outbox.wake()
}

// disconnected runs when a connection is lost, and when a try at a new one fails.
func (n *NATS) disconnected(_ *nats.Conn, err error) {
	trouble := errors.New("disconnected from NATS")
	if err != nil {
		trouble = fmt.Errorf("disconnected from NATS: %w", err)
	}
	before := n.Ready()
	n.setTrouble(trouble)
	if before == nil || errors.Is(before, errConnecting) {
		n.log.Warn("Lost NATS; trying again", "error", trouble)
	}
}

// failed hears of what goes wrong while the connection stands.
func (n *NATS) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		n.local.ringAll()
		return
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		n.setTrouble(fmt.Errorf("NATS forbids this server to use %s: %w", subjects, err))
	}
	n.log.Warn("Heard of trouble from NATS", "error", err)
}

func encodeRing(topic string, seq int64) []byte {
	return append(strconv.AppendInt(nil, seq, 10), " "+topic...)
}

func decodeRing(data []byte) (topic string, seq int64, ok bool) {
	number, rest, ok := bytes.Cut(data, []byte(" "))
	if !ok {
		return "", 0, false
	}
	seq, err := strconv.ParseInt(string(number), 10, 64)
	return string(rest), seq, err == nil
}

func encodeHint(topic string, payload []byte) []byte {
	data := strconv.AppendInt(nil, int64(len(topic)), 10)
	data = append(data, " "+topic...)
	return append(data, payload...)
}

func decodeHint(data []byte) (topic string, payload []byte, ok bool) {
	number, rest, ok := bytes.Cut(data, []byte(" "))
	if !ok {
		return "", nil, false
	}
	length, err := strconv.Atoi(string(number))
	if err != nil || length < 0 || length > len(rest) {
		return "", nil, false
	}
	return string(rest[:length]), rest[length:], true
}
