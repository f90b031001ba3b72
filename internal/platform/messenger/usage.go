package messenger

import (
	"encoding/json"
	"net/http"
	"time"
)

// Usage is how much of the quotas is used up, as Facebook's headers tell it with some
// answers: not with all, and only from enough traffic on.
type Usage struct {
	// App and Page are in percent of what the app and the page may do: the highest of
	// calls, time and computing. From 100 on calls are refused.
	App, Page int
	// Regain is how long until calls are taken again, where Facebook says so.
	Regain time.Duration
	// At is when it was told; zero: never.
	At time.Time
}

type share struct {
	Calls   float64 `json:"call_count"`
	Time    float64 `json:"total_time"`
	CPU     float64 `json:"total_cputime"`
	Minutes float64 `json:"estimated_time_to_regain_access"`
}

// percent is bounded, since it is what a stranger says.
func (s share) percent() int { return int(min(max(s.Calls, s.Time, s.CPU, 0), 1000)) }

// readUsage reads the three headers there are; false if none was there.
func readUsage(h http.Header) (Usage, bool) {
	var u Usage
	var there bool
	var app, page share
	if json.Unmarshal([]byte(h.Get("X-App-Usage")), &app) == nil {
		u.App, there = app.percent(), true
	}
	if json.Unmarshal([]byte(h.Get("X-Page-Usage")), &page) == nil {
		u.Page, there = page.percent(), true
	}
	var business map[string][]share
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &business) == nil {
		there = true
		for _, shares := range business {
			for _, s := range shares {
				u.Page = max(u.Page, s.percent())
				minutes := min(max(s.Minutes, 0), 24*60)
				u.Regain = max(u.Regain, time.Duration(minutes*float64(time.Minute)))
			}
		}
	}
	return u, there
}

// The pace that Slow asks for: none up to busy percent, from there on a step for each
// further percent. What was told longer ago than stale counts no more.
const (
	busy  = 80
	step  = 250 * time.Millisecond
	stale = 10 * time.Minute
)

// Usage is what Facebook last told of the quotas.
func (c *Client) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usage
}

// Slow is how long to wait now between one call and the next, so that Facebook need not
// refuse: zero up to 80 percent of a quota, then up to five seconds; with nothing left,
// until Facebook says that calls are taken again, or a minute.
func (c *Client) Slow() time.Duration {
	u := c.Usage()
	age := c.clock.Now().Sub(u.At)
	used := max(u.App, u.Page)
	switch {
	case u.At.IsZero():
		return 0
	case used >= 100:
		return max(max(u.Regain, noWaitSaid)-age, 0)
	case used <= busy || age > stale:
		return 0
	default:
		return time.Duration(used-busy) * step
	}
}

func (c *Client) heard(h http.Header) {
	u, there := readUsage(h)
	if !there {
		return
	}
	u.At = c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usage = u
}
