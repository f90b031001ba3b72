package feed

// ring is a campaign's newest events as they were at one moment. It is never
// changed: the campaign's reader publishes the next one. Several rings share one
// array, of which each sees only what was there when it was made.
type ring struct {
	first  int64   // number of events[0]; of the next event if there is none
	events []Event // without gaps
	// over is closed when the next ring is published: one close wakes every
	// follower that waits, however many there are.
	over chan struct{}
}

func emptyRing(head int64) *ring {
	return &ring{first: head + 1, over: make(chan struct{})}
}

func (r *ring) head() int64 { return r.first + int64(len(r.events)) - 1 }

// covers tells whether every event after position at is either in the ring or still
// to come.
func (r *ring) covers(at int64) bool { return at >= r.first-1 }

// after is what the ring has after position at, which it covers.
func (r *ring) after(at int64) []Event {
	if at >= r.head() {
		return nil
	}
	return r.events[at-r.first+1:]
}

// with is the next ring, with what came since. It keeps at least window events and
// less than twice as many, so that moving them costs little per event. After a gap,
// which retention can tear into a ring that could not be filled for too long, it
// begins anew.
func (r *ring) with(news []Event, window int64) *ring {
	next := &ring{first: r.first, over: make(chan struct{})}
	if news[0].Seq == r.head()+1 {
		next.events = append(r.events, news...)
	} else {
		next.first, next.events = news[0].Seq, news
	}
	if extra := int64(len(next.events)) - window; extra >= window {
		next.first += extra
		next.events = append(make([]Event, 0, 2*window), next.events[extra:]...)
	}
	return next
}
