package simulator_test

import (
	"sync"
	"testing"
	"time"

	"causeway"
)

// turned is a clock that tests turn; every timer asks to be looked at.
type turned struct {
	mu     sync.Mutex
	now    time.Time
	timers []*turnedTimer
	made   chan time.Duration
}

type turnedTimer struct {
	at time.Time
	c  chan time.Time
}

func (c *turned) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *turned) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &turnedTimer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		timer.c <- c.now
	}
	c.timers = append(c.timers, timer)
	c.made <- d
	return timer
}

func (t *turnedTimer) C() <-chan time.Time { return t.c }
func (t *turnedTimer) Stop()               {}

func (c *turned) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, timer := range c.timers {
		if !timer.at.After(c.now) {
			select {
			case timer.c <- c.now:
			default:
			}
		}
	}
}

// next is the next wait that is not that for the webhook's answer.
func next(t *testing.T, c *turned) time.Duration {
	t.Helper()
	for {
		select {
		case d := <-c.made:
			if d < time.Hour {
				return d
			}
		case <-within(t).Done():
			t.Fatal("nobody waits")
		}
	}
}
