package transport

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallerMayStartABurstAndThenAsOftenAsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates(2, 3)
		taken := func(caller string) (n int) {
			for r.take(caller) == nil {
				n++
			}
			return n
		}
		if n := taken("a"); n != 3 {
			t.Errorf("a burst of %d", n)
		}
		if n := taken("b"); n != 3 {
			t.Errorf("another caller has %d", n)
		}
		time.Sleep(time.Second) // the bubble's clock
		if n := taken("a"); n != 2 {
			t.Errorf("a second later %d more", n)
		}
	})
}

func TestManyCallersTakeNoMoreMemoryThanSome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates(1, 1)
		for i := range mostCallers + 100 {
			_ = r.take(fmt.Sprint(i))
		}
		if len(r.callers) != mostCallers {
			t.Errorf("%d callers are remembered", len(r.callers))
		}
		time.Sleep(2 * time.Second) // all have their burst again
		if err := r.take("another"); err != nil || len(r.callers) != 1 {
			t.Errorf("%v; %d callers are remembered", err, len(r.callers))
		}
	})
}

func TestCallersWithoutATokenAreCountedByAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.8":                   "192.0.2.8",
		"192.0.2.7:4711":              "192.0.2.7",
		"[::ffff:192.0.2.7]:4711":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:4711": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:4711":         "fe80::/64",
		"@":                           "@",
	} {
		if got := addressCaller(remote); got != want {
			t.Errorf("%s is counted as %s, expected %s", remote, got, want)
		}
	}
}

func TestABadTokenIsCountedByAddress(t *testing.T) {
	t.Parallel()
	at := serves(t, func(c *Config) { c.Limits = Limits{Rate: 0.0001, Burst: 1} })
	post := func(token string, status int) {
		t.Helper()
		asked{
			header: headers("Content-Type", asJSON, "Accept", typeResponse, "Authorization", "Bearer "+token),
			body:   `{"query":"{hello}"}`, status: status,
		}.try(t, at)
	}
	post("bad", 200)
	post("worse", 429)
	post("good", 200)
	post("good", 429)
	post("better", 200)
}
