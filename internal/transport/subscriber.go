package transport

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// subscriber is one subscription of one client: a member of a stream, on its way to
// become one by replaying what it missed, or executed alone.
type subscriber struct {
	hub     *hub
	op      *graphql.OperationContext
	sink    sink
	cancel  context.CancelFunc
	sharing Sharing

	place int   // among the stream's members, -1 outside; guarded by stream.lock
	from  int64 // nothing up to it comes again; guarded by stream.lock

	last   atomic.Int64 // position of the last event it got, or where it began
	placed atomic.Bool  // last is known

	mu     sync.Mutex
	closed bool
	stream *stream
	stop   func() // of watching its right
}

// start finds out what the subscriber may share, and joins or executes.
func (s *subscriber) start(ctx context.Context) {
	sharing, key, err := s.hub.sharing(ctx, s.op)
	if err != nil {
		s.close(gqlerror.List{s.present(ctx, err)}, true)
		return
	}
	s.sharing = sharing
	if sharing.Resumes {
		s.got(sharing.After)
	}
	if !s.watch(ctx) {
		return
	}
	if key == "" {
		s.replay(ctx, nil)
		return
	}
	st := s.hub.stream(key, s.op, sharing)
	if !s.hold(st) {
		return
	}
	switch {
	case !sharing.Resumes && !s.positioned() && st.join(s):
	case sharing.Resumes && st.joinAfter(s, sharing.After, keptEvents, false):
	default:
		s.replay(ctx, st)
		return
	}
	s.left()
}

// positioned tells whether the client gave a position, readable or not.
func (s *subscriber) positioned() bool {
	fields := graphql.CollectFields(s.op, s.op.Operation.SelectionSet, []string{s.hub.engine.cfg.Schema.Schema().Subscription.Name})
	return fields[0].ArgumentMap(s.op.Variables)[s.hub.engine.cfg.PositionArgument] != nil
}

// watch follows the subscriber's right; false if it ended meanwhile.
func (s *subscriber) watch(ctx context.Context) bool {
	if s.sharing.Watch == nil {
		return true
	}
	stop := s.sharing.Watch(func(err error) {
		if err == nil {
			s.overrun()
			return
		}
		s.close(gqlerror.List{s.present(graphql.WithOperationContext(ctx, s.op), err)}, true)
	})
	s.mu.Lock()
	s.stop = stop
	closed := s.closed
	s.mu.Unlock()
	if closed {
		stop()
	}
	return !closed
}

// hold keeps the stream for as long as the subscriber is there.
func (s *subscriber) hold(st *stream) bool {
	s.mu.Lock()
	s.stream = st
	closed := s.closed
	s.mu.Unlock()
	if closed {
		s.hub.release(st)
	}
	return !closed
}

// left takes the subscriber out again if it was closed while it joined.
func (s *subscriber) left() {
	s.mu.Lock()
	closed, st := s.closed, s.stream
	s.mu.Unlock()
	if closed {
		st.leave(s)
	}
}

// replay executes the operation for this subscriber alone, at the pace of its reader,
// in a goroutine of its own. Where there is a stream, it joins that as soon as the
// stream has everything that follows.
func (s *subscriber) replay(ctx context.Context, st *stream) {
	s.hub.goes(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.hub.ctx, cancel)()
		var joined atomic.Bool
		join := func(position int64) bool {
			if st == nil || joined.Load() || !st.joinAfter(s, position, joinEvents, true) {
				return joined.Load()
			}
			joined.Store(true)
			cancel()
			return true
		}
		if st != nil {
			select {
			case <-st.ready: // from now on joining can succeed
			case <-ctx.Done():
				return
			}
		}
		errs := s.hub.execute(ctx, s.op, execution{deliver: func(e *event) bool {
			if joined.Load() {
				return false
			}
			for pushed := 0; pushed == 0; pushed = s.sink.push(&batch{events: []*event{e}}) {
				if !s.sink.room(ctx) {
					return false
				}
			}
			if !e.placed {
				return true
			}
			s.got(e.position)
			return !join(e.position)
		}, upTo: func(position int64) { join(position) }})
		switch {
		case joined.Load():
			s.left()
		case ctx.Err() == nil:
			s.close(errs, true)
		}
	})
}

// receive takes a batch of the stream; false if there was no room for all of it. The
// stream's lock is held.
func (s *subscriber) receive(b *batch) bool {
	if first := b.events[0]; first.placed && first.position <= s.from {
		b = b.after(s.from)
	}
	n := s.sink.push(b)
	if n > 0 && b.events[n-1].placed {
		s.got(b.events[n-1].position)
	}
	return n == len(b.events)
}

// after is the batch without what is not after a position.
func (b *batch) after(position int64) *batch {
	events := b.events
	for len(events) > 0 && events[0].position <= position {
		events = events[1:]
	}
	return &batch{events: events}
}

func (s *subscriber) got(position int64) {
	s.last.Store(position)
	s.placed.Store(true)
}

// overrun ends a subscriber that could not keep up, with where to go on.
func (s *subscriber) overrun() {
	var errs gqlerror.List
	if s.sharing.Overrun != nil {
		errs = append(errs, s.sharing.Overrun(s.last.Load(), s.placed.Load()))
	} else {
		errs = append(errs, requestError(CodeOverrun, "the subscriber fell behind"))
	}
	s.close(errs, true)
}

// close ends the subscriber once; with tell its sink is told how.
func (s *subscriber) close(errs gqlerror.List, tell bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	st, stop := s.stream, s.stop
	s.mu.Unlock()
	s.cancel()
	if stop != nil {
		stop()
	}
	if st != nil {
		st.leave(s)
		s.hub.release(st)
	}
	if tell {
		s.sink.end(errs)
	}
}

func (s *subscriber) present(ctx context.Context, err error) *gqlerror.Error {
	if present := s.hub.engine.cfg.ErrorPresenter; present != nil {
		return present(ctx, err)
	}
	return asGraphQL(err)
}

// CodeOverrun is the code of a subscription whose subscriber fell behind, where
// Config.Share has no better error.
const CodeOverrun = "FEED_OVERRUN"
