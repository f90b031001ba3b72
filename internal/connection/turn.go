package connection

import (
	"context"
	"sync"
)

// turns lets those who would change the link of one account go one after the other,
// so that a double click is two calls and no race. It keeps nothing of accounts that
// nobody waits for.
type turns struct {
	mu      sync.Mutex
	waiting map[string]*turn
}

type turn struct {
	free  chan struct{} // holds a token while nobody has the turn
	users int
}

func newTurns() turns { return turns{waiting: map[string]*turn{}} }

// take waits until the account is ours and returns what gives it back.
func (t *turns) take(ctx context.Context, account string) (done func(), err error) {
	t.mu.Lock()
	own := t.waiting[account]
	if own == nil {
		own = &turn{free: make(chan struct{}, 1)}
		own.free <- struct{}{}
		t.waiting[account] = own
	}
	own.users++
	t.mu.Unlock()

	select {
	case <-own.free:
		return func() {
			own.free <- struct{}{}
			t.leave(account, own)
		}, nil
	case <-ctx.Done():
		t.leave(account, own)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(account string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.waiting, account)
	}
}
