package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"causeway"
)

var errClosed = errors.New("the simulated Telegram is closed")

// Options shape a look-alike of Telegram. The zero value is a server like the one
// everybody can run at home: webhooks may be http and on any port and address.
type Options struct {
	// Clock is the machine's when nil.
	Clock causeway.Clock
	// Seed decides ids, tokens and pictures: the same seed gives the same ones.
	Seed uint64
	// RetryScale multiplies every wait before an update is posted again, those that a
	// webhook asked for by Retry-After too. Zero means 1, as in life; tests take less.
	RetryScale float64
	// WebhookTimeout is how long a webhook may take to answer; zero means a minute.
	WebhookTimeout time.Duration
	// Cloud applies what only api.telegram.org demands of a webhook: HTTPS, four ports,
	// an address that is not reserved.
	Cloud bool
	// Limits answers 429 when setWebhook comes more than once per second.
	Limits bool
	// Dial reaches webhooks, so that a test's host names lead somewhere; nil is a net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used towards https webhooks; nil trusts what the machine trusts.
	TLS *tls.Config
}

// Telegram looks like the Bot API: an http.Handler with bots, customers and groups
// behind it. It keeps everything it was ever told, in memory. All methods may be
// called from anywhere at once.
type Telegram struct {
	opts  Options
	clock causeway.Clock
	ctx   context.Context
	stop  context.CancelCauseFunc
	work  sync.WaitGroup // deliveries; added to under mu while not closed

	mu       sync.Mutex
	changed  bell
	closed   bool
	down     bool
	requests int // being answered
	servers  []*http.Server
	url      string
	random   *rand.Rand
	bots     map[int64]*Bot
	people   map[int64]*Customer
	groups   map[int64]*chat
	failures map[string][]*Failure // by lower-case method
	calls    []Call
	lastFile int64
}

// NewTelegram makes a look-alike that is not served anywhere yet. Close it.
func NewTelegram(opts Options) *Telegram {
	if opts.Clock == nil {
		opts.Clock = causeway.System{}
	}
	if opts.RetryScale == 0 {
		opts.RetryScale = 1
	}
	if opts.WebhookTimeout == 0 {
		opts.WebhookTimeout = time.Minute
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	ctx, stop := context.WithCancelCause(context.Background())
	return &Telegram{
		opts: opts, clock: opts.Clock, ctx: ctx, stop: stop, changed: newBell(),
		random: rand.New(rand.NewPCG(opts.Seed, 0x74656c656772616d)), //nolint:gosec // a script must repeat
		bots:   map[int64]*Bot{}, people: map[int64]*Customer{}, groups: map[int64]*chat{},
		failures: map[string][]*Failure{},
	}
}

// StartTelegram serves a look-alike on loopback until the test ends, with waits
// before repeated deliveries a thousand times shorter than in life.
func StartTelegram(t TestingT) *Telegram {
	t.Helper()
	tg := NewTelegram(Options{RetryScale: 0.001})
	t.Cleanup(func() { _ = tg.Close() })
	if err := tg.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	return tg
}

// Start serves on a free port of 127.0.0.1; URL tells which.
func (tg *Telegram) Start() error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the simulated Telegram: %w", err)
	}
	return tg.Serve(listener)
}

// Serve answers on the listener, which it owns from now on, until Close. It returns
// at once.
func (tg *Telegram) Serve(listener net.Listener) error {
	server := &http.Server{Handler: tg, ReadHeaderTimeout: time.Minute}
	tg.mu.Lock()
	defer tg.mu.Unlock()
	if tg.closed {
		_ = listener.Close()
		return errClosed
	}
	tg.servers = append(tg.servers, server)
	tg.url = "http://" + listener.Addr().String()
	tg.work.Go(func() { _ = server.Serve(listener) }) // it ends by Close only
	return nil
}

// URL is the base of all addresses, without a slash at its end; empty before Serve.
func (tg *Telegram) URL() string {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return tg.url
}

// Close hangs up on everybody and returns when nothing runs any more. It may come twice.
func (tg *Telegram) Close() error {
	tg.mu.Lock()
	tg.closed = true
	servers := tg.servers
	tg.servers = nil
	tg.stop(errClosed)
	tg.changed.ring()
	tg.mu.Unlock()

	var problems []error
	for _, server := range servers {
		problems = append(problems, server.Close())
	}
	tg.work.Wait()
	_ = tg.await(context.Background(), func() string {
		if tg.requests > 0 {
			return "requests are being answered"
		}
		return ""
	})
	return errors.Join(problems...)
}

// await returns nil once missing is empty, which is asked under the lock whenever
// something changed. When ctx ends first, the error says what is missing.
func (tg *Telegram) await(ctx context.Context, missing func() string) error {
	for {
		tg.mu.Lock()
		why, rung := missing(), tg.changed.rung
		tg.mu.Unlock()
		if why == "" {
			return nil
		}
		if err := wait(ctx, rung); err != nil {
			return fmt.Errorf("%s: %w", why, err)
		}
	}
}

// sleep waits by the clock; it reports whether the time is over, rather than ctx.
func (tg *Telegram) sleep(ctx context.Context, d time.Duration) bool {
	timer := tg.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// limited is ctx until d is over by the clock; then its cause is the one given. The
// stop returns when nothing runs for it any more.
func (tg *Telegram) limited(ctx context.Context, d time.Duration, cause error) (limited context.Context, stop func()) {
	limited, cancel := context.WithCancelCause(ctx)
	timer := tg.clock.NewTimer(d)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-timer.C():
			cancel(cause)
		case <-limited.Done():
		}
	})
	return limited, func() {
		timer.Stop()
		cancel(nil)
		watch.Wait()
	}
}

// number draws a number of n digits that is not used as an id yet.
func (tg *Telegram) number(digits int) int64 {
	low := int64(1)
	for range digits - 1 {
		low *= 10
	}
	for {
		n := low + tg.random.Int64N(9*low)
		if tg.bots[n] == nil && tg.people[n] == nil && tg.groups[-n] == nil && tg.groups[supergroup(n)] == nil {
			return n
		}
	}
}

// supergroup is the id as which the Bot API shows supergroup or channel n.
func supergroup(n int64) int64 { return -1_000_000_000_000 - n }

// draw makes a text of n characters of the alphabet.
func (tg *Telegram) draw(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[tg.random.IntN(len(alphabet))]
	}
	return string(text)
}
