package auth

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"causeway"
	"causeway/internal/secret"
)

const (
	// maxWrongTries within wrongTryWindow are answered; what follows is refused.
	maxWrongTries  = 10
	wrongTryWindow = 10 * time.Minute
	// maxThrottled bounds the addresses remembered. Of more, those with the fewest
	// tries are forgotten: a flood of fresh addresses does not free the one that is
	// being guessed at.
	maxThrottled = 20_000
)

// throttle counts wrong passwords by mail address and by network address, in memory:
// each server counts for itself.
type throttle struct {
	mu    sync.Mutex
	tries map[string][]time.Time // oldest first, at most maxWrongTries
}

func newThrottle() *throttle { return &throttle{tries: map[string][]time.Time{}} }

// wait is how long keys are refused for; zero if they are not.
func (t *throttle) wait(now time.Time, keys ...string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waitLocked(now, keys)
}

func (t *throttle) waitLocked(now time.Time, keys []string) time.Duration {
	var longest time.Duration
	for _, key := range keys {
		recent := recentTries(t.tries[key], now)
		if len(recent) >= maxWrongTries {
			longest = max(longest, recent[0].Add(wrongTryWindow).Sub(now))
		}
	}
	return longest
}

// begin counts a try against keys as if it were wrong, so that many at the same moment
// are counted like as many in a row. A try that turns out right is undone. While keys
// are refused it counts nothing and tells for how long.
func (t *throttle) begin(now time.Time, keys ...string) (undo func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.waitLocked(now, keys); wait > 0 {
		return nil, wait
	}
	for _, key := range keys {
		if _, known := t.tries[key]; !known && len(t.tries) >= maxThrottled {
			t.makeRoom(now)
		}
		t.tries[key] = append(recentTries(t.tries[key], now), now)
	}
	return func() { t.undo(now, keys) }, 0
}

func (t *throttle) undo(at time.Time, keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		tries := t.tries[key]
		i := slices.IndexFunc(tries, at.Equal)
		if i < 0 {
			continue
		}
		if len(tries) == 1 {
			delete(t.tries, key)
			continue
		}
		t.tries[key] = slices.Delete(tries, i, i+1)
	}
}

// makeRoom forgets what is over, and one more if that was not enough.
func (t *throttle) makeRoom(now time.Time) {
	var least string
	for key, tries := range t.tries {
		recent := recentTries(tries, now)
		if len(recent) == 0 {
			delete(t.tries, key)
			continue
		}
		others, chosen := t.tries[least]
		if !chosen || len(tries) < len(others) || (len(tries) == len(others) && recent[0].Before(others[0])) {
			least = key
		}
	}
	if len(t.tries) >= maxThrottled {
		delete(t.tries, least)
	}
}

// recentTries is a copy without those that are over.
func recentTries(tries []time.Time, now time.Time) []time.Time {
	over := now.Add(-wrongTryWindow)
	i := 0
	for i < len(tries) && !tries[i].After(over) {
		i++
	}
	return slices.Clone(tries[i:])
}

// mailKey stands for a mail address of any length.
func mailKey(address string) string { return "mail " + secret.Hash(address) }

// networkKey stands for who is at a network address ("host:port" or "host"): of IPv6
// the /64, which one person has whole.
func networkKey(address string) string {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "net " + secret.Hash(host)
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return "net " + ip.String()
	}
	network, _ := ip.Prefix(64) // 64 bits fit every IPv6 address
	return "net " + network.String()
}

// tooManySignIns is the refusal of who has to wait.
func tooManySignIns(minutes int) error {
	return causeway.FailWith(causeway.RateLimited, causeway.ReasonTooManySignIns).
		With("minutes", strconv.Itoa(minutes)).CanRetry()
}

// refusal is tooManySignIns for a wait, in whole minutes begun.
func refusal(wait time.Duration) error {
	return tooManySignIns(int((wait + time.Minute - 1) / time.Minute))
}
