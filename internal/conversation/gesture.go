package conversation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"causeway"
	"causeway/internal/platform"
)

// gestureDeadline bounds one gesture, and gestureQueue how many of a kind may wait: one
// that comes late is worth nothing, the customer's client has stopped waiting.
const (
	gestureDeadline = 15 * time.Second
	gestureQueue    = 1024
	gestureWorkers  = 4
)

// gesture is something small that a platform is told once: that a tap was seen, that
// somebody is typing. A lost one costs the customer a spinning button for some seconds.
type gesture struct {
	connection causeway.ID
	name       string // for the log
	do         func(ctx context.Context, account platform.Account) error
}

// gestures tells platforms apart from everything durable.
type gestures struct {
	accounts Accounts
	log      *slog.Logger
	queue    chan gesture
	stop     context.CancelFunc
	done     sync.WaitGroup
}

func startGestures(accounts Accounts, log *slog.Logger) *gestures {
	ctx, stop := context.WithCancel(context.Background())
	g := &gestures{accounts: accounts, log: log, queue: make(chan gesture, gestureQueue), stop: stop}
	for range gestureWorkers {
		g.done.Go(func() { g.run(ctx) })
	}
	return g
}

// enqueue never blocks: what does not fit is dropped.
func (g *gestures) enqueue(one gesture) {
	select {
	case g.queue <- one:
	default:
		g.log.Warn("a gesture was not made: too many wait", "gesture", one.name, "connection", one.connection)
	}
}

func (g *gestures) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-g.queue:
			if err := g.make(ctx, one); err != nil && ctx.Err() == nil {
				g.log.Warn("a gesture was not made", "gesture", one.name, "connection", one.connection, "error", err)
			}
		}
	}
}

func (g *gestures) make(ctx context.Context, one gesture) error {
	ctx, cancel := context.WithTimeout(ctx, gestureDeadline)
	defer cancel()
	account, err := g.accounts.Open(ctx, one.connection)
	if err != nil {
		return err
	}
	return one.do(ctx, account)
}

func (g *gestures) close() error {
	g.stop()
	g.done.Wait()
	return nil
}

// answer is the gesture that a tap was seen.
func (t tap) answer() gesture {
	return gesture{connection: t.connection, name: "answer a tap", do: func(ctx context.Context, account platform.Account) error {
		return account.AnswerTap(ctx, t.answerID)
	}}
}
