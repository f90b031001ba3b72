package feed_test

import (
	"sync"
	"testing"
	"time"

	"causeway"
)

// turnedClock stands still until it is turned.
type turnedClock struct {
	mu      sync.Mutex
	changed *sync.Cond
	now     time.Time
	timers  map[*turnedTimer]bool
}

var _ causeway.Clock = (*turnedClock)(nil)

func newClock() *turnedClock {
	c := &turnedClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), timers: map[*turnedTimer]bool{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

func (c *turnedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *turnedClock) NewTimer(d time.Duration) causeway.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &turnedTimer{clock: c, at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers[timer] = true
	c.changed.Broadcast()
	return timer
}

// turn moves the clock and fires what is due.
func (c *turnedClock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for timer := range c.timers {
		if !timer.at.After(c.now) {
			delete(c.timers, timer)
			timer.c <- c.now
		}
	}
}

// awaitTimer returns once somebody waits for a moment that is d or less away.
func (c *turnedClock) awaitTimer(t *testing.T, d time.Duration) {
	t.Helper()
	var late bool
	giveUp := time.AfterFunc(patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.changed.Broadcast()
	})
	defer giveUp.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.waits(d) {
		if late {
			t.Fatalf("nobody waits for a moment %v away", d)
		}
		c.changed.Wait()
	}
}

func (c *turnedClock) waits(d time.Duration) bool {
	for timer := range c.timers {
		if !timer.at.After(c.now.Add(d)) {
			return true
		}
	}
	return false
}

type turnedTimer struct {
	clock *turnedClock
	at    time.Time
	c     chan time.Time
}

func (t *turnedTimer) C() <-chan time.Time { return t.c }

func (t *turnedTimer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
}
