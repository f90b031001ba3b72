package transport

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// operation is what a socket runs under one id. Whatever ends it, its id is free and
// nothing more is said under it afterwards.
type operation struct {
	session *session
	id      string
	ctx     context.Context
	cancel  context.CancelFunc

	mu    sync.Mutex // held while a frame is written, so that none follows the last
	over  bool
	leave func()
}

var _ sink = (*operation)(nil)

func (o *operation) run(params *graphql.RawParams) {
	engine := o.session.sockets.handler.engine
	op, errs := engine.prepare(o.ctx, params)
	if len(errs) > 0 {
		o.end(engine.refuse(o.ctx, op, errs).Errors)
		return
	}
	if op.Operation.Operation == ast.Subscription {
		o.hold(o.session.sockets.handler.hub.subscribe(o.ctx, op, o))
		return
	}
	errs = o.session.sockets.handler.hub.execute(o.ctx, op, execution{deliver: func(e *event) bool {
		if !o.room(o.ctx) {
			return false
		}
		if b := (&batch{events: []*event{e}}); o.push(b) == 0 {
			o.pushAnyhow(b)
		}
		return true
	}, upTo: func(int64) {}})
	o.end(errs)
}

// hold keeps how to leave what the operation takes part in.
func (o *operation) hold(leave func()) {
	o.mu.Lock()
	over := o.over
	o.leave = leave
	o.mu.Unlock()
	if over {
		leave()
	}
}

// stop ends the operation without a word: the client wants no more, or is gone.
func (o *operation) stop() {
	o.mu.Lock()
	o.over = true
	leave := o.leave
	o.mu.Unlock()
	o.cancel()
	o.session.forget(o)
	if leave != nil {
		leave()
	}
}

// push writes events as far as there is room.
func (o *operation) push(b *batch) int {
	kind := typeNext
	if o.session.old {
		kind = oldData
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return len(b.events)
	}
	return o.session.writer.push(b.framesOf(o.id, kind))
}

// pushAnyhow writes an answer that is larger than what may wait: it must go out some
// time, and its operation waits for nothing else.
func (o *operation) pushAnyhow(b *batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.session.writer.must(b.made.bytes)
	}
}

// room waits until the socket's reader is not behind.
func (o *operation) room(ctx context.Context) bool { return o.session.writer.room(ctx) }

// end says that the operation is complete, or over with errors. Its id is free before
// the client can read that.
func (o *operation) end(errs gqlerror.List) {
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	o.over = true
	o.session.forget(o)
	if len(errs) > 0 {
		o.session.sendErrors(o.id, errs)
	} else {
		o.session.send(o.id, typeComplete, nil)
	}
	leave := o.leave
	o.mu.Unlock()
	o.cancel()
	if leave != nil {
		leave()
	}
}
