// Package simulator holds look-alikes of the messaging platforms: servers that speak
// a platform's own HTTP, and customers, groups and scripted failures behind them. The
// demo and the tests use them instead of the real thing.
//
// No room of this program may be used here: what a look-alike knows of us, it knows
// by HTTP.
//
// Each look-alike has one lock over all it knows. It is never held while a webhook is
// posted, a request is read or anybody waits. Everything that waits ends at Close.
package simulator

import "context"

// TestingT is what a test brings along; *testing.T and *testing.B are.
type TestingT interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// object is a JSON object of the wire. It is never changed once it is handed on.
type object = map[string]any

// bell wakes everybody who waits for something to change. The lock of the look-alike
// guards it.
type bell struct{ rung chan struct{} }

func newBell() bell { return bell{rung: make(chan struct{})} }

func (b *bell) ring() {
	close(b.rung)
	b.rung = make(chan struct{})
}

// wait returns when the bell rings, or with the reason why it is not waited for any more.
func wait(ctx context.Context, rung <-chan struct{}) error {
	select {
	case <-rung:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
