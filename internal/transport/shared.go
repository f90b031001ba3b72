package transport

import (
	"context"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	// keptEvents and keptBytes bound what a stream keeps for those who join late: enough
	// for a socket that was lost for a moment.
	keptEvents = 256
	keptBytes  = 256 << 10
	// aheadEvents is how far a stream's execution may be ahead of handing out. What
	// gathers while one wake-up is written leaves with the next.
	aheadEvents = 64
	// gatherAtMost is how long a busy stream waits for more before it hands out.
	gatherAtMost = 2 * time.Millisecond
	// joinEvents is how much a subscriber that replays may be behind when it joins.
	joinEvents = 32
)

// stream is a subscription that is executed once for all its members. One goroutine
// executes; another hands out what has gathered, so that several events of a busy
// moment reach each member together.
type stream struct {
	hub    *hub
	key    string
	cancel context.CancelFunc
	wanted int // subscribers that hold it, members or on their way; guarded by hub.mu

	// lock guards what was handed out and to whom. It is held while one batch is.
	lock    sync.Mutex
	members []*subscriber
	kept    []*event // with positions: the newest that were handed out
	bytes   int      // of kept
	begun   bool     // base is known
	base    int64    // everything after it was kept, or is to come
	head    int64    // position up to which all was handed out
	over    bool
	ready   chan struct{} // closed when the resolver has said where it begins, or nothing

	gathering sync.Mutex
	changed   *sync.Cond // of what follows
	gathered  []*event
	ended     bool
	errs      gqlerror.List
}

func newStream(h *hub, key string) *stream {
	st := &stream{hub: h, key: key, ready: make(chan struct{})}
	st.changed = sync.NewCond(&st.gathering)
	return st
}

// begin executes the stream in a context that is nobody's in particular.
func (st *stream) begin(ctx context.Context, op *graphql.OperationContext, run func(context.Context) context.Context) {
	ctx, st.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { st.end(nil) })
	st.hub.goes(func() {
		defer stop()
		prepared := ctx
		if run != nil {
			prepared = run(ctx)
		}
		errs := st.hub.execute(prepared, op, execution{
			begun:   func() { st.gather(&event{}) },
			deliver: st.gather,
			upTo:    func(position int64) { st.gather(&event{position: position, placed: true}) },
		})
		st.end(errs)
	})
	st.hub.goes(func() { st.handOut(ctx) })
}

// gather adds an event to what waits to be handed out. It waits while that is too
// much, unless the event is only a position.
func (st *stream) gather(e *event) bool {
	st.gathering.Lock()
	defer st.gathering.Unlock()
	for e.payload != nil && len(st.gathered) >= aheadEvents && !st.ended {
		st.changed.Wait()
	}
	if st.ended {
		return false
	}
	st.gathered = append(st.gathered, e)
	st.changed.Broadcast()
	return true
}

// end says that nothing more is gathered. What was is still handed out.
func (st *stream) end(errs gqlerror.List) {
	st.gathering.Lock()
	defer st.gathering.Unlock()
	if !st.ended {
		st.ended, st.errs = true, errs
		st.changed.Broadcast()
	}
}

// handOut gives members what gathers, until the stream ended; then it tells them so.
//
// After a wake-up that had several events it waits a moment for the next ones, at most
// a quarter of what handing out took: in a flood each write carries more, and what is
// late anyway is hardly later. An event that comes alone is never kept waiting.
func (st *stream) handOut(ctx context.Context) {
	pause := time.Duration(0)
	for {
		events, errs, ok := st.take(pause)
		if !ok {
			st.finish(ctx, errs)
			return
		}
		began := time.Now()
		for _, s := range st.deliver(events) {
			s.overrun()
		}
		if pause = 0; len(events) > 1 {
			pause = min(time.Since(began)/4, gatherAtMost)
		}
	}
}

// take waits for events, and then a moment for more.
func (st *stream) take(pause time.Duration) (events []*event, errs gqlerror.List, ok bool) {
	st.gathering.Lock()
	defer st.gathering.Unlock()
	for len(st.gathered) == 0 && !st.ended {
		st.changed.Wait()
	}
	if pause > 0 && !st.ended {
		st.gathering.Unlock()
		time.Sleep(pause)
		st.gathering.Lock()
	}
	events, st.gathered = st.gathered, nil
	st.changed.Broadcast()
	return events, st.errs, len(events) > 0
}

// deliver hands a batch to every member and returns those that fell behind.
func (st *stream) deliver(events []*event) (behind []*subscriber) {
	st.lock.Lock()
	defer st.lock.Unlock()
	b := &batch{events: make([]*event, 0, len(events))}
	for _, e := range events {
		st.keep(e)
		switch {
		case e.payload != nil:
			b.events = append(b.events, e)
		case !e.placed:
			close(st.ready)
		}
	}
	if len(b.events) == 0 {
		return nil
	}
	for _, s := range st.members {
		if !s.receive(b) {
			behind = append(behind, s)
		}
	}
	for _, s := range behind {
		st.drop(s)
	}
	return behind
}

// keep remembers an event for those who join late.
func (st *stream) keep(e *event) {
	if !e.placed {
		return
	}
	if !st.begun {
		// A resolver's first word is where it begins. Of one that only ever names its
		// values' positions no more is known than what follows the first.
		st.begun, st.base, st.head = true, e.position, e.position
		return
	}
	if e.payload == nil || e.position <= st.head {
		st.head = max(st.head, e.position) // a sign of life is not for later
		return
	}
	st.head = e.position
	st.kept = append(st.kept, e)
	st.bytes += len(e.payload)
	old := 0
	for len(st.kept)-old > keptEvents || st.bytes > keptBytes {
		st.base = st.kept[old].position
		st.bytes -= len(st.kept[old].payload)
		st.kept[old] = nil // free to go before the array is
		old++
	}
	st.kept = st.kept[old:]
}

// finish tells the members that the stream is over. When it was cancelled nobody is
// left to tell, but at the server's end, which says so itself.
func (st *stream) finish(ctx context.Context, errs gqlerror.List) {
	st.hub.mu.Lock()
	st.hub.forget(st)
	st.hub.mu.Unlock()
	st.lock.Lock()
	st.over = true
	select {
	case <-st.ready:
	default:
		close(st.ready)
	}
	members := st.members
	st.members = nil
	for _, s := range members {
		s.place = -1
	}
	st.lock.Unlock()
	cancelled := ctx.Err() != nil
	st.cancel()
	if cancelled {
		return
	}
	for _, s := range members {
		s.close(errs, true)
	}
}

// join makes s a member from now on.
func (st *stream) join(s *subscriber) bool {
	st.lock.Lock()
	defer st.lock.Unlock()
	if st.over {
		return false
	}
	if st.begun {
		s.got(st.head)
	}
	st.add(s)
	return true
}

// joinAfter makes s a member from a position on, if the stream still has everything
// after it and that is at most that many events. Ahead tells that s has got further
// than the stream may have: then nothing up to its position comes again.
func (st *stream) joinAfter(s *subscriber, position int64, most int, ahead bool) bool {
	st.lock.Lock()
	defer st.lock.Unlock()
	if st.over || !st.begun || position < st.base || (position > st.head && !ahead) {
		return false
	}
	missed := st.kept
	for len(missed) > 0 && missed[0].position <= position {
		missed = missed[1:]
	}
	if len(missed) > most {
		return false
	}
	s.from = position
	s.got(position)
	st.add(s)
	if len(missed) > 0 && !s.receive(&batch{events: missed}) {
		st.drop(s)
		go s.overrun() // not here: it takes the lock
	}
	return true
}

func (st *stream) add(s *subscriber) {
	s.place = len(st.members)
	st.members = append(st.members, s)
}

func (st *stream) drop(s *subscriber) {
	if s.place < 0 {
		return
	}
	last := len(st.members) - 1
	st.members[s.place] = st.members[last]
	st.members[s.place].place = s.place
	st.members[last] = nil
	st.members = st.members[:last]
	s.place = -1
}

func (st *stream) leave(s *subscriber) {
	st.lock.Lock()
	st.drop(s)
	st.lock.Unlock()
}
