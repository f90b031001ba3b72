package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// office is a mail server on this machine that keeps what it takes.
type office struct {
	address string
	roots   *x509.CertPool

	mu      sync.Mutex
	letters []received
	secrets []string // passwords that were sent, and how
}

// received is one letter, raw, with its envelope.
type received struct {
	from, to string
	raw      []byte
	sealed   bool // it came over TLS
	user     string
}

// rules are how an office behaves.
type rules struct {
	tls      bool // STARTTLS is offered
	wrapped  bool // smtps
	user     string
	password string
	rcpt     *smtp.SMTPError // the answer to every recipient
	data     *smtp.SMTPError
	mail     *smtp.SMTPError
}

func open(t *testing.T, r rules) *office {
	t.Helper()
	certificate, roots := issue(t, "mail.example.com")
	o := &office{roots: roots}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &visit{office: o, rules: r, conn: c}, nil
	}))
	server.AllowInsecureAuth = true // what is refused must be refused by us
	server.ErrorLog = log.New(io.Discard, "", 0)
	if r.tls {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.address = listener.Addr().String()
	if r.wrapped {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = listener.Close() // a server that has not begun to serve does not know it yet
		_ = server.Close()
		<-done
	})
	return o
}

// mailer sends to the office under the name mail.example.com, as from afar.
func (o *office) mailer(t *testing.T, url string) *Mailer {
	t.Helper()
	m, err := New(Config{URL: url, From: "Causeway <notices@causeway.example>", Timeout: 10 * time.Second, Roots: o.roots})
	if err != nil {
		t.Fatal(err)
	}
	m.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, o.address)
	}
	return m
}

func (o *office) one(t *testing.T) received {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.letters) != 1 {
		t.Fatalf("%d letters arrived, want one", len(o.letters))
	}
	return o.letters[0]
}

func (o *office) nothing(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.letters) > 0 || len(o.secrets) > 0 {
		t.Fatalf("%d letters and %d passwords arrived, want none", len(o.letters), len(o.secrets))
	}
}

type visit struct {
	office *office
	rules  rules
	conn   *smtp.Conn
	letter received
}

func (v *visit) AuthMechanisms() []string {
	if v.rules.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		v.office.mu.Lock()
		v.office.secrets = append(v.office.secrets, password)
		v.office.mu.Unlock()
		if user != v.rules.user || password != v.rules.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user with " + password}
		}
		v.letter.user = user
		return nil
	}), nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	if v.rules.user != "" && v.letter.user == "" {
		return smtp.ErrAuthRequired
	}
	v.letter.from = from
	return answer(v.rules.mail)
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.letter.to += to
	return answer(v.rules.rcpt)
}

func (v *visit) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := answer(v.rules.data); err != nil {
		return err
	}
	_, v.letter.sealed = v.conn.TLSConnectionState()
	v.letter.raw = raw
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.letters = append(v.office.letters, v.letter)
	return nil
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

var _ smtp.AuthSession = (*visit)(nil)

func answer(e *smtp.SMTPError) error {
	if e == nil {
		return nil
	}
	return e
}

// issue makes a certificate for host that its own pool vouches for.
func issue(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	parsed, err3 := x509.ParseCertificate(der)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
