package feed_test

import (
	"fmt"
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

// awaitTimer returns once somebody waits for exactly the moment that is d away.
func (c *turnedClock) awaitTimer(t *testing.T, d time.Duration) {
	t.Helper()
	c.awaitTimers(t, d, 1)
}

// awaitTimers is awaitTimer for n who wait.
func (c *turnedClock) awaitTimers(t *testing.T, d time.Duration, n int) {
	t.Helper()
	c.await(t, func() (bool, string) {
		waiting := 0
		for timer := range c.timers {
			if timer.at.Equal(c.now.Add(d)) {
				waiting++
			}
		}
		return waiting >= n, fmt.Sprintf("%d instead of %d wait for the moment %v away", waiting, n, d)
	})
}

// awaitNoTimer returns once nobody waits for anything.
func (c *turnedClock) awaitNoTimer(t *testing.T) {
	t.Helper()
	c.await(t, func() (bool, string) {
		return len(c.timers) == 0, fmt.Sprintf("%d timers are running", len(c.timers))
	})
}

func (c *turnedClock) await(t *testing.T, ready func() (ok bool, why string)) {
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
	for {
		ok, why := ready()
		if ok {
			return
		}
		if late {
			t.Fatal(why)
		}
		c.changed.Wait()
	}
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
	t.clock.changed.Broadcast()
}
