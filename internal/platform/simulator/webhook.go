package simulator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// hook is a webhook from setWebhook until the next one or deleteWebhook.
type hook struct {
	bot            *Bot
	url            string
	secret         string
	address        string // asked for as ip_address; empty otherwise
	maxConnections int
	certificate    []byte // of a self-signed server; nil otherwise
	client         *http.Client
	ctx            context.Context
	cancel         context.CancelFunc

	// The lock of tg guards the rest.
	inFlight  int
	draining  map[string]bool // queues that have a goroutine
	goneSince time.Time       // since when there was nothing but 410
}

var secretShape = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

func (b *Bot) setWebhook(ctx context.Context, p params) (answer, error) {
	address := p.text("url")
	if address == "" {
		b.tg.mu.Lock()
		defer b.tg.mu.Unlock()
		return b.deleteWebhook(p)
	}
	wanted, err := b.readHook(p)
	if err != nil {
		return answer{}, err
	}
	allowed, given, err := readAllowed(p)
	if err != nil {
		return answer{}, err
	}
	if a, done := b.admitWebhook(wanted, allowed, given, p); done {
		return a, nil
	}
	if err := b.tg.tryHook(ctx, wanted); err != nil {
		return answer{}, err
	}

	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if p.truth("drop_pending_updates") {
		b.dropPending()
	}
	if given {
		b.allowed = allowed
	}
	b.endHook()
	b.endPoll("terminated by setWebhook request")
	if b.tg.closed {
		return answer{}, nil
	}
	b.useHook(wanted)
	return answer{status: http.StatusOK, result: true, description: "Webhook was set"}, nil
}

// admitWebhook answers at once what needs no look at the webhook.
func (b *Bot) admitWebhook(wanted *hook, allowed []string, given bool, p params) (answer, bool) {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	now := b.tg.clock.Now()
	if b.tg.opts.Limits && now.Sub(b.hookSetAt) < time.Second {
		return answer{status: http.StatusTooManyRequests, description: "Too Many Requests: retry after 1", retryAfter: 1}, true
	}
	b.hookSetAt = now
	same := b.hook != nil && wanted.certificate == nil && b.hook.certificate == nil && !p.truth("drop_pending_updates") &&
		b.hook.url == wanted.url && b.hook.secret == wanted.secret && b.hook.address == wanted.address &&
		b.hook.maxConnections == wanted.maxConnections && (!given || slices.Equal(b.allowed, allowed))
	return answer{status: http.StatusOK, result: true, description: "Webhook is already set"}, same
}

// readHook applies the rules for setWebhook's parameters.
func (b *Bot) readHook(p params) (*hook, error) {
	u, err := url.Parse(p.text("url"))
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, badRequest("invalid webhook URL specified")
	}
	secret := p.text("secret_token")
	if len(secret) > 256 {
		return nil, badRequest("secret token is too long")
	}
	if !secretShape.MatchString(secret) {
		return nil, badRequest("secret token contains unallowed characters")
	}
	certificate := p.files["certificate"].data
	if len(certificate) > 3<<20 {
		return nil, badRequest(fmt.Sprintf("certificate size is too big (%d bytes)", len(certificate)))
	}
	if b.tg.opts.Cloud {
		if err := cloudRules(u, p.text("ip_address")); err != nil {
			return nil, err
		}
	}
	most := 40
	if n := p.number("max_connections"); n > 0 {
		most = int(min(n, 100))
	}
	return &hook{
		bot: b, url: p.text("url"), secret: secret, address: p.text("ip_address"),
		maxConnections: most, certificate: certificate, draining: map[string]bool{},
	}, nil
}

func cloudRules(u *url.URL, address string) error {
	if u.Scheme != "https" {
		return badRequest("bad webhook: An HTTPS URL must be provided for webhook")
	}
	if !slices.Contains([]string{"", "443", "80", "88", "8443"}, u.Port()) {
		return badRequest("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
	}
	if address == "" {
		address = u.Hostname()
	} else if _, err := netip.ParseAddr(address); err != nil {
		return badRequest("bad webhook: Invalid IP address specified")
	}
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return nil // a host name
	case ip.Is6():
		return badRequest("bad webhook: IPv6-only addresses are not allowed")
	case ip.IsPrivate() || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast():
		return badRequest("bad webhook: IP address " + ip.String() + " is reserved")
	}
	return nil
}

// readAllowed reads allowed_updates: nil means the default ones.
func readAllowed(p params) (allowed []string, given bool, err error) {
	var names []json.RawMessage
	given, err = p.decode("allowed_updates", &names)
	if err != nil {
		return nil, false, err
	}
	for _, raw := range names {
		var name string
		if json.Unmarshal(raw, &name) == nil {
			allowed = append(allowed, name)
		}
	}
	return allowed, given, nil
}

// tryHook resolves the webhook's host and opens a connection to it.
func (tg *Telegram) tryHook(ctx context.Context, h *hook) error {
	u, err := url.Parse(h.url)
	if err != nil {
		return badRequest("invalid webhook URL specified")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(tg.ctx, cancel)()
	conn, err := tg.dialer(h)(ctx, "tcp4", net.JoinHostPort(u.Hostname(), portOf(u)))
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return badRequest("bad webhook: Failed to resolve host: Name or service not known")
	case err != nil:
		return badRequest("bad webhook: " + troubleWith(err))
	}
	return conn.Close()
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

type dial = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer goes to ip_address when there is one.
func (tg *Telegram) dialer(h *hook) dial {
	if h.address == "" {
		return tg.opts.Dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return tg.opts.Dial(ctx, network, net.JoinHostPort(h.address, port))
	}
}

// useHook starts to deliver what waits.
func (b *Bot) useHook(h *hook) {
	trust := b.tg.opts.TLS.Clone()
	if h.certificate != nil {
		if trust == nil {
			trust = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM(h.certificate)
	}
	h.client = &http.Client{
		Transport: &http.Transport{
			DialContext: b.tg.dialer(h), TLSClientConfig: trust,
			MaxIdleConns: h.maxConnections, MaxIdleConnsPerHost: h.maxConnections,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	h.ctx, h.cancel = context.WithCancel(b.tg.ctx)
	b.hook = h
	b.lastError = ""
	for queue := range b.queues {
		h.drainSoon(queue)
	}
	b.tg.changed.ring()
}

// endHook stops deliveries; what is on its way may arrive all the same.
func (b *Bot) endHook() {
	if b.hook == nil {
		return
	}
	b.hook.cancel()
	b.hook.client.CloseIdleConnections()
	b.hook = nil
	b.tg.changed.ring()
}

func (b *Bot) deleteWebhook(p params) (answer, error) {
	if p.truth("drop_pending_updates") {
		b.dropPending()
	}
	if b.hook == nil {
		return answer{status: http.StatusOK, result: true, description: "Webhook is already deleted"}, nil
	}
	b.endHook()
	b.lastError = ""
	return answer{status: http.StatusOK, result: true, description: "Webhook was deleted"}, nil
}

func (b *Bot) webhookInfo() object {
	b.dropOld()
	info := object{"url": "", "has_custom_certificate": false, "pending_update_count": b.waiting}
	if b.allowed != nil {
		info["allowed_updates"] = b.allowed
	}
	if b.hook == nil {
		return info
	}
	info["url"] = b.hook.url
	info["has_custom_certificate"] = b.hook.certificate != nil
	info["max_connections"] = b.hook.maxConnections
	if b.hook.address != "" {
		info["ip_address"] = b.hook.address
	}
	if b.lastError != "" {
		info["last_error_date"] = b.lastErrorAt.Unix()
		info["last_error_message"] = b.lastError
	}
	return info
}
