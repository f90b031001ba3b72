package bus

import "sync"

const (
	// outboxTopics is how many topics may have a ring waiting for NATS: more than an
	// installation has campaigns at work. Those beyond wait for the poll.
	outboxTopics = 10_000
	// outboxHints is how many hints may wait; the oldest are dropped.
	outboxHints = 1024
)

// outbox is what waits to be sent to NATS. Nobody who puts something in waits. Rings
// coalesce: one per topic, as join says.
type outbox struct {
	filled chan struct{} // holds a token when there is something to send

	mu    sync.Mutex
	rings map[string]int64
	hints [][]byte // encoded
}

func newOutbox() *outbox {
	return &outbox{filled: make(chan struct{}, 1), rings: map[string]int64{}}
}

func (o *outbox) ring(topic string, seq int64) {
	o.keep(topic, seq)
	o.wake()
}

// keep is ring without asking for it to be sent now: NATS could not take it.
func (o *outbox) keep(topic string, seq int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting, known := o.rings[topic]
	if !known && len(o.rings) >= outboxTopics {
		return
	}
	if known {
		seq = join(waiting, seq)
	}
	o.rings[topic] = max(seq, 0)
}

func (o *outbox) hint(topic string, payload []byte) {
	encoded := encodeHint(topic, payload)
	o.mu.Lock()
	if len(o.hints) >= outboxHints {
		o.hints = o.hints[1:]
	}
	o.hints = append(o.hints, encoded)
	o.mu.Unlock()
	o.wake()
}

func (o *outbox) wake() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// empty hands over all that waits.
func (o *outbox) empty() (map[string]int64, [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rings, hints := o.rings, o.hints
	o.rings, o.hints = map[string]int64{}, nil
	return rings, hints
}
