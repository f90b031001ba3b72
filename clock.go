package causeway

import "time"

// Clock is where everything that waits or stamps gets the time from, so that tests
// can turn it. System is the real one.
type Clock interface {
	// Now is the present, in UTC, cut to milliseconds as both databases keep it.
	Now() time.Time
	// NewTimer returns a timer that fires once after d.
	NewTimer(d time.Duration) Timer
}

// Timer is what Clock hands out. Stop may come twice.
type Timer interface {
	C() <-chan time.Time
	Stop()
}

// System is the machine's clock.
type System struct{}

// Now is the present in UTC, cut to milliseconds.
func (System) Now() time.Time { return Stamp(time.Now()) }

// NewTimer returns a timer of the machine's clock.
func (System) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.t.C }
func (t systemTimer) Stop()               { t.t.Stop() }

// Stamp is t as this program keeps times: UTC, cut to milliseconds.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
