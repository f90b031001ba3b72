// Package bus tells the rest of the program, and the other servers of the same
// installation, that there is something new under a topic. It is a doorbell: the row
// in the database is the truth, and nothing that matters ever travels here. What is
// rung for is read from the database, by its own rules on who may see it.
//
// Whoever waits for a doorbell also polls, slowly. A ring may be lost (a server cut
// off from NATS, a full queue), may come twice, and may come late; a subscriber that
// polls loses a second by that and never a message. So a slow doorbell costs nothing:
// not to the publisher, who never waits, and not to the subscriber, who would have
// looked anyway.
//
// Everything here may be used from many goroutines at once. Two kinds of locks are
// held together, always in this order: a shard of Local's topics, then one Doorbell. Every
// other lock is held alone.
package bus

import (
	"errors"
	"fmt"
)

// MaxHint is the longest hint in bytes: an id and a word or two.
const MaxHint = 256

// HintQueue is how many hints wait for one subscriber. Sixty-four covers a burst
// while one answer is being written; of a reader that needs more, only the newest
// are worth keeping, since hints age quickly.
const HintQueue = 64

// Errors of Hint and Ready.
var (
	// ErrHintTooLong is returned for a hint over MaxHint bytes: it wants to be a row.
	ErrHintTooLong = fmt.Errorf("a hint is longer than %d bytes", MaxHint)
	// ErrClosed is returned by a bus that was closed.
	ErrClosed = errors.New("the bus is closed")
)

// Bus carries doorbells within one server (Local) or among several (NATS). A topic is
// a short string such as "feed.camp_01…", "logs" or "access"; any string will do, and
// a topic that nobody subscribes to costs nothing.
type Bus interface {
	// Publish tells subscribers of topic that something up to seq exists. Call it
	// after the commit. It never waits: a subscriber that is busy learns only of the
	// highest seq since it last looked. It may be lost and may come twice. Numbers
	// begin with 1; a topic without them is published with 0. After Close it does
	// nothing.
	Publish(topic string, seq int64)

	// Hint carries at most MaxHint bytes that may be lost, such as who is typing.
	// Each subscriber keeps the newest HintQueue of them; the payload is copied. The
	// only errors are ErrHintTooLong and ErrClosed: nil says nothing about arrival.
	Hint(topic string, payload []byte) error

	// Subscribe hears of topic from its return on. It is cheap, also a hundred
	// thousand times. The Doorbell must be closed; on a closed bus it stays silent.
	Subscribe(topic string) *Doorbell

	// Ready is nil while rings reach everybody they should, else it says why not.
	// A bus that is not ready still serves the subscribers of its own server.
	Ready() error

	// Close silences every Doorbell and returns when nothing of the bus is left
	// running. It may come twice.
	Close() error
}

// News is what came under a topic since it was last taken.
type News struct {
	// Rung is whether anything was published; hints alone leave it false.
	Rung bool
	// Seq is the highest number published, for a reader who has got that far and can
	// skip it; 0 when at least one ring had no number: look. Rings may overtake each
	// other, so it can be lower than one taken before.
	Seq int64
	// Hints are the newest hints, oldest first. They are shared: do not change them.
	Hints [][]byte
	// Lost counts the hints that came and did not fit.
	Lost int
}

// join is what two rings tell together: the higher number, or none if one had none,
// since that one may stand for anything.
func join(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return max(a, b)
}
