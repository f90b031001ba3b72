package simulator

import (
	"context"
	"encoding/json"
	"time"
)

// poll is one getUpdates that waits.
type poll struct{ ended string } // why, when somebody else ended it

// getUpdates answers what waits, or waits for something. An answer without a status
// means hanging up.
func (b *Bot) getUpdates(ctx context.Context, p params) (answer, error) {
	allowed, given, err := readAllowed(p)
	if err != nil {
		return answer{}, err
	}
	limit := 100
	if n := p.number("limit"); n > 0 {
		limit = int(min(n, 100))
	}
	patience := time.Duration(min(max(p.number("timeout"), 0), 50)) * time.Second

	mine := &poll{}
	if err := b.startPoll(mine, p.number("offset"), allowed, given); err != nil {
		return answer{}, err
	}
	defer b.stopPoll(mine)
	if patience > 0 {
		limited, stop := b.tg.limited(ctx, patience, context.DeadlineExceeded)
		defer stop()
		_ = b.tg.await(limited, func() string {
			if b.waiting > 0 || mine.ended != "" || b.tg.closed || b.tg.down {
				return ""
			}
			return "nothing has happened"
		})
	}
	return b.finishPoll(mine, limit)
}

// startPoll confirms what the offset says and takes the place of an earlier poll.
func (b *Bot) startPoll(mine *poll, offset int64, allowed []string, given bool) error {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if b.hook != nil {
		return conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
	}
	b.endPoll("terminated by other getUpdates request; make sure that only one bot instance is running")
	b.poll = mine
	if given {
		b.allowed = allowed
	}
	b.dropOld()
	if offset < 0 {
		offset = b.lastButOne(-offset)
	}
	for _, u := range b.pending {
		if u.id < offset {
			b.confirm(u)
		}
	}
	b.tg.changed.ring()
	return nil
}

// lastButOne is the id of the nth waiting update from the end, as a negative offset asks for.
func (b *Bot) lastButOne(n int64) int64 {
	for i := len(b.pending) - 1; i >= 0; i-- {
		if b.pending[i].settled() {
			continue
		}
		if n--; n == 0 {
			return b.pending[i].id
		}
	}
	return 0
}

func (b *Bot) endPoll(why string) {
	if b.poll != nil {
		b.poll.ended = why
		b.poll = nil
		b.tg.changed.ring()
	}
}

func (b *Bot) stopPoll(mine *poll) {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if b.poll == mine {
		b.poll = nil
	}
}

func (b *Bot) finishPoll(mine *poll, limit int) (answer, error) {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if b.tg.closed || b.tg.down {
		return answer{}, nil
	}
	if mine.ended != "" {
		return answer{}, conflict(mine.ended)
	}
	found := []json.RawMessage{}
	for _, u := range b.pending {
		if !u.settled() && len(found) < limit {
			found = append(found, u.body)
		}
	}
	return done(found)
}

// WaitPolled waits until somebody waits in getUpdates.
func (b *Bot) WaitPolled(ctx context.Context) error {
	return b.tg.await(ctx, func() string {
		if b.poll == nil {
			return "nobody waits in getUpdates for @" + b.username
		}
		return ""
	})
}
