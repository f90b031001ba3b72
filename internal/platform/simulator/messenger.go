package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"causeway"
)

var errMessengerClosed = errors.New("the simulated Messenger is closed")

// MessengerOptions shape a look-alike of Facebook. The zero value takes webhooks and
// login callbacks on any address, http too.
type MessengerOptions struct {
	// Clock is the machine's when nil.
	Clock causeway.Clock
	// Seed decides ids, tokens and pictures: the same seed gives the same ones.
	Seed uint64
	// RetryScale multiplies every wait before events are posted again. Zero means 1, as
	// in life; tests take less.
	RetryScale float64
	// WebhookTimeout is how long a webhook may take to answer; zero means five seconds.
	WebhookTimeout time.Duration
	// Outage is how long a webhook may fail before its app loses the page's subscription;
	// zero means an hour.
	Outage time.Duration
	// Cloud demands HTTPS of webhooks and login callbacks, loopback callbacks excepted.
	Cloud bool
	// MergeFields adds the fields of a second POST of subscribed_apps to those of the
	// first; otherwise they replace them. What Facebook does is not documented.
	MergeFields bool
	// SuccessAsText answers {"success":"true"} where Facebook's samples differ.
	SuccessAsText bool
	// NumberIDs writes ids in webhooks as numbers, as some events have them.
	NumberIDs bool
	// Limits answers 613 to more than two calls of the Conversations API per second and page.
	Limits bool
	// Dial reaches webhooks, so that a test's host names lead somewhere; nil is a net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used towards https webhooks; nil trusts what the machine trusts.
	TLS *tls.Config
}

// Messenger looks like Facebook as far as Messenger needs it: one http.Handler that is
// the Graph API, the login dialog and the servers of pictures, with apps, people, pages
// and their customers behind it. It keeps a bounded part of what it was told, the
// latest, in memory. All methods may be called from anywhere at once.
type Messenger struct {
	opts   MessengerOptions
	clock  causeway.Clock
	client *http.Client // towards webhooks
	ctx    context.Context
	stop   context.CancelCauseFunc
	work   sync.WaitGroup // deliveries; added to under mu while not closed

	mu       sync.Mutex
	changed  bell
	closed   bool
	down     bool
	requests int // being answered
	servers  []*http.Server
	url      string
	random   *rand.Rand
	shift    time.Duration // how far its time is ahead of the clock's
	used     map[string]bool
	apps     map[string]*App
	people   []*Person
	pages    map[string]*Page
	tokens   map[string]*accessToken
	codes    map[string]*loginCode
	failures []*GraphFailure
	usage    http.Header
	echo     EchoTime
	calls    []*GraphCall
	files    map[string]*storedFile
	shelf    []*storedFile // the same, oldest first
	stored   int           // bytes of them
	mediaKey string
}

// NewMessenger makes a look-alike that is not served anywhere yet. Close it.
func NewMessenger(opts MessengerOptions) *Messenger {
	if opts.Clock == nil {
		opts.Clock = causeway.System{}
	}
	if opts.RetryScale == 0 {
		opts.RetryScale = 1
	}
	if opts.WebhookTimeout == 0 {
		opts.WebhookTimeout = 5 * time.Second
	}
	if opts.Outage == 0 {
		opts.Outage = time.Hour
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	ctx, stop := context.WithCancelCause(context.Background())
	m := &Messenger{
		opts: opts, clock: opts.Clock, ctx: ctx, stop: stop, changed: newBell(),
		random: rand.New(rand.NewPCG(opts.Seed, 0x6d657373656e6765)), //nolint:gosec // a script must repeat
		used:   map[string]bool{}, apps: map[string]*App{}, pages: map[string]*Page{},
		tokens: map[string]*accessToken{}, codes: map[string]*loginCode{}, files: map[string]*storedFile{},
	}
	m.client = &http.Client{
		Transport: &http.Transport{
			DialContext: opts.Dial, TLSClientConfig: opts.TLS.Clone(), MaxIdleConns: atOnceToHook, MaxIdleConnsPerHost: atOnceToHook,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	m.mediaKey = m.draw(32)
	return m
}

// StartMessenger serves a look-alike on loopback until the test ends, with waits
// before repeated deliveries a thousand times shorter than in life.
func StartMessenger(t TestingT) *Messenger {
	t.Helper()
	return StartMessengerWith(t, MessengerOptions{RetryScale: 0.001})
}

// StartMessengerWith is StartMessenger with the options given.
func StartMessengerWith(t TestingT, opts MessengerOptions) *Messenger {
	t.Helper()
	m := NewMessenger(opts)
	t.Cleanup(func() { _ = m.Close() })
	if err := m.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

// Start serves on a free port of 127.0.0.1; URL tells which.
func (m *Messenger) Start() error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the simulated Messenger: %w", err)
	}
	return m.Serve(listener)
}

// Serve answers on the listener, which it owns from now on, until Close. It returns
// at once.
func (m *Messenger) Serve(listener net.Listener) error {
	server := &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = listener.Close()
		return errMessengerClosed
	}
	m.servers = append(m.servers, server)
	m.url = "http://" + listener.Addr().String()
	m.work.Go(func() { _ = server.Serve(listener) }) // it ends by Close only
	return nil
}

// URL is the base of the Graph API and of the login dialog, without a slash at its
// end; empty before Serve.
func (m *Messenger) URL() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.url
}

// Close hangs up on everybody and returns when nothing runs any more. It may come twice.
func (m *Messenger) Close() error {
	m.mu.Lock()
	m.closed = true
	servers := m.servers
	m.servers = nil
	m.stop(errMessengerClosed)
	m.changed.ring()
	m.mu.Unlock()

	var problems []error
	for _, server := range servers {
		problems = append(problems, server.Close())
	}
	m.work.Wait()
	_ = m.await(context.Background(), func() string {
		if m.requests > 0 {
			return "requests are being answered"
		}
		return ""
	})
	m.client.CloseIdleConnections()
	return errors.Join(problems...)
}

// Down hangs up on every call, those that wait too, and posts nothing to webhooks
// until Up. What customers do meanwhile waits.
func (m *Messenger) Down() { m.setDown(true) }

// Up ends Down.
func (m *Messenger) Up() { m.setDown(false) }

func (m *Messenger) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
	m.changed.ring()
}

// Passes moves the look-alike's time ahead of its clock: windows close, tokens and
// signed addresses expire. Waits that have begun are not shortened.
func (m *Messenger) Passes(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shift += d
	m.changed.ring()
}

func (m *Messenger) now() time.Time { return m.clock.Now().Add(m.shift) }

// await returns nil once missing is empty, which is asked under the lock whenever
// something changed. When ctx ends first, the error says what is missing.
func (m *Messenger) await(ctx context.Context, missing func() string) error {
	for {
		m.mu.Lock()
		why, rung := missing(), m.changed.rung
		m.mu.Unlock()
		if why == "" {
			return nil
		}
		if err := wait(ctx, rung); err != nil {
			return fmt.Errorf("%s: %w", why, err)
		}
	}
}

// sleep waits by the clock; it reports whether the time is over, rather than Close.
func (m *Messenger) sleep(d time.Duration) bool {
	timer := m.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-m.ctx.Done():
		return false
	}
}

// number draws an id of n digits that no app, person, page or customer has.
func (m *Messenger) number(n int) string {
	for {
		if id := m.numeral(n); !m.used[id] {
			m.used[id] = true
			return id
		}
	}
}

// numeral draws n digits.
func (m *Messenger) numeral(n int) string {
	digits := make([]byte, n)
	for i := range digits {
		digits[i] = byte('0' + m.random.IntN(10)) //nolint:gosec // a digit
	}
	digits[0] = byte('1' + m.random.IntN(9)) //nolint:gosec // a digit
	return string(digits)
}

// draw makes a text of n letters and digits.
func (m *Messenger) draw(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[m.random.IntN(len(alphabet))]
	}
	return string(text)
}

// id is an id as webhooks write it.
func (m *Messenger) id(id string) any {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && m.opts.NumberIDs {
		return n
	}
	return id
}

// enter counts a request in; it reports false when nobody is at home.
func (m *Messenger) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.down {
		return false
	}
	m.requests++
	return true
}

func (m *Messenger) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests--
	m.changed.ring()
}

// hang returns when the caller has left, or nobody is at home any more.
func (m *Messenger) hang(ctx context.Context) {
	_ = m.await(ctx, func() string {
		if m.closed || m.down {
			return ""
		}
		return "told to hang"
	})
}

// latest is what is kept of a list that may not grow for ever: the newest most, at
// least; older ones go in bulk.
func latest[T any](list []T, most int) []T {
	if len(list) < 2*most {
		return list
	}
	return append([]T(nil), list[len(list)-most:]...)
}
