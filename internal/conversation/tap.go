package conversation

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// tapDeadline bounds one answer, and tapQueue how many may wait: an answer that
// comes late is worth nothing, the customer's client has stopped waiting.
const (
	tapDeadline = 15 * time.Second
	tapQueue    = 1024
	tapWorkers  = 4
)

// tapAnswerer tells platforms that taps were seen, apart from everything durable: a
// lost answer costs the customer a spinning button for some seconds.
type tapAnswerer struct {
	accounts Accounts
	log      *slog.Logger
	queue    chan tap
	stop     context.CancelFunc
	done     sync.WaitGroup
}

func answerTaps(accounts Accounts, log *slog.Logger) *tapAnswerer {
	ctx, stop := context.WithCancel(context.Background())
	a := &tapAnswerer{accounts: accounts, log: log, queue: make(chan tap, tapQueue), stop: stop}
	for range tapWorkers {
		a.done.Go(func() { a.run(ctx) })
	}
	return a
}

// enqueue never blocks: what does not fit is dropped.
func (a *tapAnswerer) enqueue(taps []tap) {
	for _, t := range taps {
		select {
		case a.queue <- t:
		default:
			a.log.Warn("tap not answered: too many wait", "connection", t.connection)
		}
	}
}

func (a *tapAnswerer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-a.queue:
			if err := a.answer(ctx, t); err != nil && ctx.Err() == nil {
				a.log.Warn("tap not answered", "connection", t.connection, "error", err)
			}
		}
	}
}

func (a *tapAnswerer) answer(ctx context.Context, t tap) error {
	ctx, cancel := context.WithTimeout(ctx, tapDeadline)
	defer cancel()
	account, err := a.accounts.Open(ctx, t.connection)
	if err != nil {
		return err
	}
	return account.AnswerTap(ctx, t.answerID)
}

func (a *tapAnswerer) close() error {
	a.stop()
	a.done.Wait()
	return nil
}
