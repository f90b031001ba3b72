package transport

import (
	"context"
	"sync"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// At says, before a subscription's resolver sends a value, at which position of its
// sequence that is. Positions grow. It is for the one goroutine that
// sends the values.
func At(ctx context.Context, position int64) {
	if t, ok := ctx.Value(tellingKey{}).(*telling); ok {
		t.at(position)
	}
}

// UpTo says that everything up to a position was sent. A resolver says so once before
// its first value, of where it begins; again, where it knows that nothing of the
// sequence lies between, so that subscribers that resume can join others sooner.
func UpTo(ctx context.Context, position int64) {
	if t, ok := ctx.Value(tellingKey{}).(*telling); ok {
		t.passed(position)
	}
}

// EndWith says with which error a subscription ends, before its resolver closes the
// channel. Without it the subscription is complete.
func EndWith(ctx context.Context, err *gqlerror.Error) {
	if t, ok := ctx.Value(tellingKey{}).(*telling); ok {
		t.mu.Lock()
		t.end = err
		t.mu.Unlock()
	}
}

type tellingKey struct{}

// telling is what a resolver tells besides its values, kept until the value it
// belongs to was delivered.
type telling struct {
	upTo func(position int64)

	mu    sync.Mutex
	marks []mark
	end   *gqlerror.Error
}

type mark struct {
	position int64
	value    bool // of a value that was sent; else everything up to it was
}

func (t *telling) at(position int64) {
	t.mu.Lock()
	t.marks = append(t.marks, mark{position, true})
	t.mu.Unlock()
}

func (t *telling) passed(position int64) {
	t.mu.Lock()
	waits := len(t.marks) > 0
	if waits {
		t.marks = append(t.marks, mark{position, false})
	}
	t.mu.Unlock()
	if !waits {
		t.upTo(position)
	}
}

// reached is the position of the value that just came.
func (t *telling) reached() (position int64, placed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.marks) == 0 {
		return 0, false
	}
	return t.marks[0].position, true
}

// delivered says that the value that just came was handed on, and passes on what was
// told after it.
func (t *telling) delivered() {
	t.mu.Lock()
	if len(t.marks) > 0 {
		t.marks = t.marks[1:]
	}
	var last mark
	told := false
	for len(t.marks) > 0 && !t.marks[0].value {
		last, told = t.marks[0], true
		t.marks = t.marks[1:]
	}
	t.mu.Unlock()
	if told {
		t.upTo(last.position)
	}
}

func (t *telling) ending() gqlerror.List {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil {
		return nil
	}
	return gqlerror.List{t.end}
}
