package media

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrRefusedAddress: the address is not one from which a file is fetched. Every other
	// refusal of the client's is one of these too; none can succeed by trying again.
	ErrRefusedAddress = errors.New("the address is refused")
	// ErrPrivateAddress: the address leads to this machine, into a private network, or to
	// nobody on the internet.
	ErrPrivateAddress = fmt.Errorf("%w: it does not lead to the public internet", ErrRefusedAddress)
	// ErrTooManyRedirects: the address led on and on.
	ErrTooManyRedirects = fmt.Errorf("%w: it redirects more than %d times", ErrRefusedAddress, maxRedirects)
)

const (
	maxRedirects = 5
	// maxHeader bounds what an answer may say before its body, in bytes.
	maxHeader = 64 << 10
	// No answer within these is none.
	dialTime   = 10 * time.Second
	headerTime = 15 * time.Second
	// defaultTimeout is for a whole file.
	defaultTimeout = 2 * time.Minute
)

// ClientConfig is what a client may reach.
type ClientConfig struct {
	// AllowPrivate takes any address on any port, also of this machine and its networks.
	AllowPrivate bool
	// Trusted are base URLs of the platforms that this server is configured for, such as
	// http://127.0.0.1:4444. Their host and port are taken wherever they lead; paths do
	// not matter. What is no URL with a host is ignored.
	Trusted []string
	// Timeout is for a whole exchange, from the dialling to the last byte of the body;
	// zero: two minutes.
	Timeout time.Duration
	// Resolver looks up names; nil: the machine's own.
	Resolver *net.Resolver
}

// NewClient makes a client for addresses that strangers write into messages. It speaks
// http and https on their own ports, to hosts on the public internet only; which address
// a name has is judged when it is dialled, so that a name that changes its mind gains
// nothing. At most five redirects are followed, each judged like the first. It takes no
// credentials from an address, keeps no cookies, sends no Referer and knows no proxy. A
// host that may be reached all the same is one of ClientConfig.
//
// How much is read of a body is up to the caller. Refusals are ErrRefusedAddress. Since
// net/http writes the whole address into its errors, an error must pass through Scrub
// before anybody sees it; Get has done so.
func NewClient(cfg ClientConfig) *http.Client {
	dialer := &net.Dialer{Timeout: dialTime, Resolver: cfg.Resolver}
	guarded := &net.Dialer{Timeout: dialTime, Resolver: cfg.Resolver, Control: refusePrivate}
	trusted := map[string]bool{}
	for _, base := range cfg.Trusted {
		if u, err := url.Parse(base); err == nil && u.Hostname() != "" {
			trusted[hostPort(u)] = true
		}
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return &http.Client{
		Timeout: timeout,
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return ErrTooManyRedirects
			}
			next.Header.Del("Referer") // the address before may hold a signature
			return nil
		},
		Transport: &guard{
			anywhere: cfg.AllowPrivate,
			trusted:  trusted,
			next: &http.Transport{
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					if cfg.AllowPrivate || trusted[strings.ToLower(address)] {
						return dialer.DialContext(ctx, network, address)
					}
					return guarded.DialContext(ctx, network, address)
				},
				ForceAttemptHTTP2:      true,
				DisableCompression:     true, // a file is kept as it is, and its limit is in its own bytes
				TLSHandshakeTimeout:    dialTime,
				ResponseHeaderTimeout:  headerTime,
				MaxResponseHeaderBytes: maxHeader,
				MaxIdleConnsPerHost:    2,
				MaxConnsPerHost:        8,
				IdleConnTimeout:        30 * time.Second,
			},
		},
	}
}

// Get asks for the address, which may be any text, and returns the answer whatever its
// status. Its errors are scrubbed. The caller closes the body, and bounds what is read.
func Get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, Scrub(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, Scrub(err)
	}
	return resp, nil
}

// Scrub takes from an error of an HTTP client what may be a secret: of the address it
// leaves scheme and host, and of an address that cannot be read nothing. What the error
// is, errors.Is and errors.As still tell; words that were wrapped around it are gone, so
// scrub before wrapping. Other errors come back as they are.
func Scrub(err error) error {
	outer, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	u, parseErr := url.Parse(outer.URL)
	if outer.Op == "parse" || parseErr != nil {
		return fmt.Errorf("%w: it cannot be read", ErrRefusedAddress)
	}
	origin := url.URL{Scheme: u.Scheme, Host: u.Host}
	return &url.Error{Op: outer.Op, URL: origin.String(), Err: Scrub(outer.Err)}
}

// guard judges every request, redirected ones included, by its address, before a name is
// looked up.
type guard struct {
	anywhere bool
	trusted  map[string]bool
	next     *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.judge(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 3 {
		// net/http would write what it cannot read into its error.
		if _, err := req.URL.Parse(resp.Header.Get("Location")); err != nil {
			_ = resp.Body.Close()
			return nil, fmt.Errorf("%w: it redirects to what is no address", ErrRefusedAddress)
		}
	}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (g *guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

func (g *guard) judge(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: it is neither http nor https", ErrRefusedAddress)
	case u.Hostname() == "":
		return fmt.Errorf("%w: it names no host", ErrRefusedAddress)
	case u.User != nil:
		return fmt.Errorf("%w: it holds a name or a password", ErrRefusedAddress)
	case g.anywhere || g.trusted[hostPort(u)]:
		return nil
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !public(ip) {
		return ErrPrivateAddress
	}
	if u.Port() != "" && u.Port() != defaultPort(u) {
		return fmt.Errorf("%w: its port is not that of %s", ErrRefusedAddress, u.Scheme)
	}
	return nil
}

// hostPort is where u leads, written as it is dialled.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func defaultPort(u *url.URL) string {
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// refusePrivate is asked for each address that a name has, after it was looked up and
// before it is connected to.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return ErrPrivateAddress
	}
	return nil
}
