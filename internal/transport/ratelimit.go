package transport

import (
	"context"
	"crypto/sha256"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"
)

// mostCallers bounds the memory of the rate limit. Beyond it, callers that have their
// whole burst again are forgotten, which changes nothing for them.
const mostCallers = 20_000

// rates limits how many operations a caller may start.
type rates struct {
	every   rate.Limit
	burst   int
	mu      sync.Mutex
	callers map[string]*rate.Limiter
	shared  *rate.Limiter // for those that there is no memory left for
}

func newRates(perSecond float64, burst int) *rates {
	r := &rates{every: rate.Limit(perSecond), burst: burst, callers: map[string]*rate.Limiter{}}
	r.shared = rate.NewLimiter(r.every, burst)
	return r
}

// take counts one operation of a caller, or refuses it.
func (r *rates) take(caller string) *gqlerror.Error {
	if r.every < 0 || r.of(caller).AllowN(time.Now(), 1) {
		return nil
	}
	return requestError(CodeRateLimited, "too many operations; try again in a moment")
}

func (r *rates) of(caller string) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limiter, ok := r.callers[caller]; ok {
		return limiter
	}
	if len(r.callers) >= mostCallers {
		r.forget(time.Now())
	}
	if len(r.callers) >= mostCallers {
		return r.shared
	}
	limiter := rate.NewLimiter(r.every, r.burst)
	r.callers[caller] = limiter
	return limiter
}

func (r *rates) forget(now time.Time) {
	for caller, limiter := range r.callers {
		if limiter.TokensAt(now) >= float64(r.burst) {
			delete(r.callers, caller)
		}
	}
}

type callerKey struct{}

// withCaller notes who is counted for an operation.
func withCaller(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

func callerOf(ctx context.Context) string {
	caller, _ := ctx.Value(callerKey{}).(string)
	return caller
}

// tokenCaller is a good token's name among callers. A bad one has none: making up
// tokens must not make up callers.
func tokenCaller(bearer string) string {
	sum := sha256.Sum256([]byte(bearer))
	return "token " + string(sum[:])
}

// addressCaller is the name of who has no token: an IPv4 address or an IPv6 network
// of 64 bits, which one subscriber has whole.
func addressCaller(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if address = address.Unmap(); address.Is6() {
		if network, err := address.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
