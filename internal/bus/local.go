package bus

import (
	"bytes"
	"hash/maphash"
	"sync"
)

// shards is how many locks the topics are spread over, so that agents who come and
// go do not wait for busy campaigns. It is a power of two.
const shards = 64

// Local is the bus of a single server: a table of doorbells. It runs nothing of its
// own; Publish and Hint do the ringing, and nobody's slowness can hold them up. It is
// always ready until closed.
type Local struct {
	seed   maphash.Seed
	shards [shards]shard
}

var _ Bus = (*Local)(nil)

type shard struct {
	mu     sync.RWMutex
	topics map[string][]*Doorbell // a topic without bells is not in it
	closed bool
}

// NewLocal is a bus without subscribers.
func NewLocal() *Local {
	l := &Local{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].topics = map[string][]*Doorbell{}
	}
	return l
}

// Publish rings every subscriber of topic.
func (l *Local) Publish(topic string, seq int64) {
	s := l.shard(topic)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, bell := range s.topics[topic] {
		bell.publish(seq)
	}
}

// Hint leaves a copy of payload with every subscriber of topic.
func (l *Local) Hint(topic string, payload []byte) error {
	if len(payload) > MaxHint {
		return ErrHintTooLong
	}
	s := l.shard(topic)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	bells := s.topics[topic]
	if len(bells) == 0 {
		return nil
	}
	shared := bytes.Clone(payload)
	for _, bell := range bells {
		bell.hint(shared)
	}
	return nil
}

// Subscribe adds a doorbell to topic.
func (l *Local) Subscribe(topic string) *Doorbell {
	bell := &Doorbell{local: l, topic: topic, rung: make(chan struct{}, 1)}
	s := l.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		bell.shut()
		return bell
	}
	bell.place = len(s.topics[topic])
	s.topics[topic] = append(s.topics[topic], bell)
	return bell
}

// remove takes bell out of the table, if it is still there. The last one of its topic
// takes its place, so that leaving a crowd costs no more than leaving a pair.
func (l *Local) remove(bell *Doorbell) {
	s := l.shard(bell.topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	bells := s.topics[bell.topic]
	if bell.place >= len(bells) || bells[bell.place] != bell {
		return
	}
	last := len(bells) - 1
	bells[bell.place] = bells[last]
	bells[bell.place].place = bell.place
	bells[last] = nil
	if last == 0 {
		delete(s.topics, bell.topic)
		return
	}
	s.topics[bell.topic] = bells[:last]
}

// ringAll rings every doorbell there is without a number: something may have been
// missed, everybody look.
func (l *Local) ringAll() {
	for i := range l.shards {
		l.shards[i].ringAll()
	}
}

func (s *shard) ringAll() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, bells := range s.topics {
		for _, bell := range bells {
			bell.publish(0)
		}
	}
}

// Ready is nil until Close.
func (l *Local) Ready() error {
	s := &l.shards[0]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return nil
}

// Close silences every doorbell. What is ringing meanwhile is over when it returns.
func (l *Local) Close() error {
	for i := range l.shards {
		l.shards[i].close()
	}
	return nil
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, bells := range s.topics {
		for _, bell := range bells {
			bell.shut()
		}
	}
	s.topics = nil
}

func (l *Local) shard(topic string) *shard {
	return &l.shards[maphash.String(l.seed, topic)&(shards-1)]
}
