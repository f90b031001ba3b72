package bus

import "sync"

// Doorbell is one subscription to one topic. Wait at C, then Take:
//
//	bell := b.Subscribe("feed." + campaign.String())
//	defer bell.Close()
//	for {
//		read what is new from the database
//		select {
//		case <-bell.C():
//			news := bell.Take()
//		case <-poll.C():
//		case <-ctx.Done():
//			return
//		}
//	}
//
// Subscribe before reading the first time, or what comes between is heard of only by
// the poll.
type Doorbell struct {
	local *Local
	topic string
	place int // among the topic's bells; guarded by the shard's lock
	rung  chan struct{}

	mu     sync.Mutex
	news   News
	closed bool
}

// C receives once when there is news, however much of it comes before Take. It is
// never closed: after Close it stays silent.
func (d *Doorbell) C() <-chan struct{} { return d.rung }

// Take hands over the news since the last Take and silences C until there is more.
// Without any it is the zero News. It never waits, so a poll can use it as well.
func (d *Doorbell) Take() News {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silence()
	news := d.news
	d.news = News{}
	return news
}

// Close ends the subscription. Once it has returned, nothing rings at C any more and
// Take is empty. It may come twice, and after the bus was closed.
func (d *Doorbell) Close() {
	d.shut()
	d.local.remove(d)
}

// shut makes the bell deaf and forgets what was not taken.
func (d *Doorbell) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.news = News{}
	d.silence()
}

func (d *Doorbell) silence() {
	select {
	case <-d.rung:
	default:
	}
}

func (d *Doorbell) publish(seq int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if d.news.Rung {
		seq = join(d.news.Seq, seq)
	}
	d.news.Rung, d.news.Seq = true, max(seq, 0)
	d.ring()
}

// hint keeps payload, which nobody changes any more, in the place of the oldest when
// there is no other.
func (d *Doorbell) hint(payload []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if len(d.news.Hints) == HintQueue {
		copy(d.news.Hints, d.news.Hints[1:])
		d.news.Hints = d.news.Hints[:HintQueue-1]
		d.news.Lost++
	}
	d.news.Hints = append(d.news.Hints, payload)
	d.ring()
}

func (d *Doorbell) ring() {
	select {
	case d.rung <- struct{}{}:
	default: // it is ringing already
	}
}
