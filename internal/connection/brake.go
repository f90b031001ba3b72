package connection

import (
	"slices"
	"sync"
	"time"

	"causeway/internal/platform"
)

const (
	// brakeAfter is after how many checks in a row that got no answer a platform counts as
	// down, and brakeSpace how far apart this server's checks are then, whatever number of
	// connections is due: enough to see when it is back, and no storm while it is not.
	brakeAfter = 5
	brakeSpace = time.Second
)

// brakes keep the health checks of platforms that are down apart, each for itself, so
// that those of others go on as they are due. What a person asks for is not held.
type brakes struct {
	mu sync.Mutex
	of map[platform.Name]*brake
}

type brake struct {
	unanswered int       // checks in a row
	next       time.Time // when one more may be made, while it is down
}

func newBrakes() brakes { return brakes{of: map[platform.Name]*brake{}} }

// note takes up how a check went.
func (b *brakes) note(name platform.Name, answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answered {
		delete(b.of, name)
		return
	}
	if b.of[name] == nil {
		b.of[name] = &brake{}
	}
	b.of[name].unanswered++
}

// down are the platforms that are to be asked gently, and those of them that may be
// asked once now; the next time that they may be is later.
func (b *brakes) down(now time.Time) (all, once []platform.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, of := range b.of {
		if of.unanswered < brakeAfter {
			continue
		}
		all = append(all, name)
		if !of.next.After(now) {
			once = append(once, name)
			of.next = now.Add(brakeSpace)
		}
	}
	slices.Sort(all)
	slices.Sort(once)
	return all, once
}
