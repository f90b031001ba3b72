package connection

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"causeway"
)

// maxAnswer is how much is read of an answer that should be empty.
const maxAnswer = 64 << 10

// answered is what a test event met at this server's own public address.
type answered struct {
	host            string
	status          int
	certificateEnds time.Time       // of the first in the chain to end; zero without TLS
	problem         *causeway.Error // nil: it was taken
	seen            string
}

// newOwnClient reaches this server as a platform would: from outside, with redirects not
// followed and certificates checked against roots; nil: the machine's.
func newOwnClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			DialContext:       (&net.Dialer{}).DialContext,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post posts an event and tells DNS, connection, certificate, time and status apart.
func (s *Service) post(ctx context.Context, event testEvent) answered {
	a := answered{host: hostOf(event.address)}
	ctx, cancel := context.WithTimeout(ctx, s.testWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, event.address, bytes.NewReader(event.body))
	if err != nil {
		a.problem = causeway.Fail(causeway.WebhookUnreachable).Because(errors.New("the public address is none"))
		a.seen = "The public address is none."
		return a
	}
	request.Header = event.header
	request.Header.Set("Content-Type", "application/json")
	response, err := s.self.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
		_ = response.Body.Close()
	}
	if err != nil {
		a.problem, a.seen = s.unanswered(a.host, err)
		return a
	}
	a.status = response.StatusCode
	if response.TLS != nil {
		a.certificateEnds = firstEnd(response.TLS.PeerCertificates)
	}
	if a.status != http.StatusOK {
		a.problem = answersWrong(a.host, a.status)
		a.seen = fmt.Sprintf("%s answered %d.", a.host, a.status)
	}
	return a
}

func answersWrong(host string, status int) *causeway.Error {
	return causeway.FailWith(causeway.WebhookUnreachable, causeway.ReasonAddressAnswersWrong).
		With("host", host).With("status", strconv.Itoa(status))
}

// firstEnd is when the first of the certificates ends.
func firstEnd(chain []*x509.Certificate) time.Time {
	var end time.Time
	for _, certificate := range chain {
		if end.IsZero() || certificate.NotAfter.Before(end) {
			end = certificate.NotAfter
		}
	}
	return end
}

// unanswered is why nothing came back.
func (s *Service) unanswered(host string, err error) (*causeway.Error, string) {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the address, whose end is the webhook's key
	}
	problem := func(reason causeway.Reason) *causeway.Error {
		return causeway.FailWith(causeway.WebhookUnreachable, reason).With("host", host).Because(err)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok &&
		invalid.Reason == x509.Expired && invalid.Cert.NotAfter.Before(time.Now()) {
		ended := invalid.Cert.NotAfter.UTC().Format(time.DateOnly)
		return problem(causeway.ReasonCertificateExpired).With("date", ended), "The certificate of " + host + " ended on " + ended + "."
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return problem(causeway.ReasonCertificateInvalid), "The certificate of " + host + " is not trusted: " + certificateTrouble(err) + "."
	}
	if unresolved, ok := errors.AsType[*net.DNSError](err); ok && (unresolved.IsNotFound || !unresolved.IsTimeout) {
		return problem(causeway.ReasonAddressUnknown), "The name " + host + " does not resolve."
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return problem(causeway.ReasonConnectionRefused), "Nobody listens at " + host + "."
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		seconds := strconv.Itoa(int(s.testWithin.Round(time.Second).Seconds()))
		return problem(causeway.ReasonAddressTimedOut).With("seconds", seconds), host + " did not answer within " + seconds + " seconds."
	}
	return causeway.Fail(causeway.WebhookUnreachable).Because(err), "No answer came from " + host + "."
}

// certificateTrouble words why a certificate is not trusted.
func certificateTrouble(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is for another name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "it is signed by nobody whom this machine trusts"
	}
	return "it does not hold"
}
