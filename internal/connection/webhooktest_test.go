package connection_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/ent/auditentry"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/store/storetest"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	testing.TB
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{TB: t, roots: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a.key = key
	a.cert = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(480 * time.Hour),
	}, nil, &key.PublicKey)
	a.roots.AddCert(a.cert)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, public any) *x509.Certificate {
	a.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	must(a, err)
	cert, err := x509.ParseCertificate(der)
	must(a, err)
	return cert
}

// server is a certificate of an address that ends some time from now.
func (a *authority) server(address string, ends time.Duration) tls.Certificate {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a, err)
	cert := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: address}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(ends),
	}, a.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// gate is this server's public address: it takes what is authentic as the webhooks' door
// does, or answers what it is told to.
type gate struct {
	*httptest.Server
	w       *world
	answer  atomic.Int64 // a status instead of taking anything; 200 stores nothing
	hangs   chan struct{}
	hanging atomic.Bool
}

func newGate(t testing.TB, certificate *tls.Certificate) *gate {
	t.Helper()
	g := &gate{hangs: make(chan struct{})}
	g.Server = httptest.NewUnstartedServer(g)
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	if certificate == nil {
		g.Start()
	} else {
		g.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		g.StartTLS()
	}
	t.Cleanup(g.Close)
	t.Cleanup(func() { close(g.hangs) })
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.hanging.Load() {
		<-g.hangs
		return
	}
	if status := g.answer.Load(); status != 0 {
		w.Header().Set("Location", g.URL+"/elsewhere")
		w.WriteHeader(int(status))
		return
	}
	_, key, _ := strings.Cut(r.URL.Path, "/webhooks/telegram/")
	end, err := g.w.service.Endpoint(r.Context(), key)
	if err != nil || r.Header.Get(telegram.SecretHeader) != string(end.Secret) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	envelope, err := telegram.Parser{}.Envelope(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	entry := intake.Entry{Campaign: end.Campaign, Connection: end.Connection, Account: end.Account, Envelope: envelope, Body: body}
	if key, ok := g.w.service.TestEvent(r.Header, end.Connection); ok {
		entry.Test, entry.Envelope.Key = true, key
	}
	if err := g.w.intake.Add(r.Context(), entry); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// gated is a world whose public address is a gate, with a connected bot.
func gated(t *testing.T, certificate *tls.Certificate, opts ...option) (*world, *gate, causeway.ID) {
	t.Helper()
	g := newGate(t, certificate)
	w := newWorld(t, storetest.SQLite(t), append([]option{func(cfg *connection.Config) { cfg.PublicURL = g.URL }}, opts...)...)
	g.w = w
	return w, g, w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
}

// tests tests the webhook as a manager and answers the delivery check.
func (w *world) tests(id causeway.ID) (platform.Check, causeway.ID) {
	w.Helper()
	reportID, logID, err := w.service.TestWebhook(w.manager(), id)
	must(w, err)
	report := w.report(reportID)
	if report.Kind != testreport.KindWebhook || len(report.Checks) != 1 || report.ConnectionID != id {
		w.Fatalf("the report is %v", report)
	}
	one := check(w, report, platform.CheckWebhookDelivery)
	if report.Passed != (one.Outcome != platform.CheckFailed) {
		w.Errorf("passed is %v of %v", report.Passed, one)
	}
	return one, logID
}

func TestATestEventComesBackAsALogThatSaysSo(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	certificate := ca.server("127.0.0.1", 100*time.Hour)
	w, _, id := gated(t, &certificate, func(cfg *connection.Config) { cfg.Roots = ca.roots })
	one, logID := w.tests(id)
	ends := time.Now().Add(100 * time.Hour).UTC().Format(time.DateOnly)
	if one.Outcome != platform.CheckPassed || one.Problem != nil || !strings.Contains(one.Message, " ms") || !strings.Contains(one.Message, ends) {
		t.Errorf("the check is %v", one)
	}
	made, err := w.store.Reader().WebhookLog.Get(t.Context(), logID)
	must(t, err)
	if !made.Test || made.ConnectionID != id || made.EventType != "causeway_test" || !strings.Contains(string(made.Payload), `"update_id":-`) {
		t.Errorf("the log is %v", made)
	}
	if row := w.row(id); row.TotalReceived != 0 || row.LastReceivedAt != nil || row.WebhookStatus != entconnection.WebhookStatusActive {
		t.Errorf("the connection is %v", row)
	}
	if n := w.store.Reader().AuditEntry.Query().Where(auditentry.Action("testWebhook"), auditentry.SubjectID(id)).CountX(t.Context()); n != 1 {
		t.Errorf("%d audit entries", n)
	}
}

func TestWhyATestEventDoesNotComeBackIsTold(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, expired, misnamed := ca.server("127.0.0.1", time.Hour), ca.server("127.0.0.1", -time.Hour), ca.server("127.0.0.2", time.Hour)
	trusting := func(cfg *connection.Config) { cfg.Roots = ca.roots }
	answers := func(status int64) func(*gate) { return func(g *gate) { g.answer.Store(status) } }
	for name, try := range map[string]struct {
		certificate *tls.Certificate
		options     []option
		breaks      func(g *gate)
		reason      causeway.Reason
		params      map[string]string
	}{
		"expired":        {&expired, []option{trusting}, nil, causeway.ReasonCertificateExpired, map[string]string{"date": time.Now().Add(-time.Hour).UTC().Format(time.DateOnly)}},
		"another's name": {&misnamed, []option{trusting}, nil, causeway.ReasonCertificateInvalid, nil},
		"not trusted":    {&good, nil, nil, causeway.ReasonCertificateInvalid, nil},
		"refused":        {nil, nil, func(g *gate) { g.Close() }, causeway.ReasonConnectionRefused, nil},
		"hangs": {nil, []option{func(cfg *connection.Config) { cfg.TestWithin = 600 * time.Millisecond }},
			func(g *gate) { g.hanging.Store(true) }, causeway.ReasonAddressTimedOut, map[string]string{"seconds": "1"}},
		"502":               {nil, nil, answers(502), causeway.ReasonAddressAnswersWrong, map[string]string{"status": "502"}},
		"leads away":        {nil, nil, answers(302), causeway.ReasonAddressAnswersWrong, map[string]string{"status": "302"}},
		"another's program": {nil, nil, answers(200), causeway.ReasonAddressAnswersWrong, map[string]string{"status": "200"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g, id := gated(t, try.certificate, try.options...)
			if try.breaks != nil {
				try.breaks(g)
			}
			one, logID := w.tests(id)
			if one.Outcome != platform.CheckFailed || codeIn(one.Problem) != causeway.WebhookUnreachable || one.Problem.Reason != try.reason {
				t.Fatalf("the check is %v", one)
			}
			if logID != "" {
				t.Errorf("it made the log %s", logID)
			}
			host := strings.TrimPrefix(strings.TrimPrefix(g.URL, "https://"), "http://")
			if one.Problem.Args["host"] != host || !strings.Contains(one.Message, host) {
				t.Errorf("the host is not told: %v", one)
			}
			for param, want := range try.params {
				if got := one.Problem.Args[param]; got != want {
					t.Errorf("%s is %q, not %q", param, got, want)
				}
			}
			if key := w.row(id).WebhookKey; strings.Contains(one.Message, key) || strings.Contains(w.log.String(), key) {
				t.Error("the address's key was told")
			}
		})
	}
}

func TestAnAddressThatCannotBeReachedIsAnErrorUntilATestEventComesBack(t *testing.T) {
	t.Parallel()
	w, g, id := gated(t, nil)
	w.start()
	g.answer.Store(502)
	w.tests(id)
	if row := w.row(id); row.WebhookStatus != entconnection.WebhookStatusError || codeIn(row.WebhookProblem) != causeway.WebhookUnreachable {
		t.Fatalf("the webhook is %s with %v", row.WebhookStatus, row.WebhookProblem)
	}
	w.becomes(id, entconnection.StatusError, causeway.WebhookUnreachable)
	g.answer.Store(0)
	w.becomes(id, entconnection.StatusActive, "")
	if row := w.row(id); row.WebhookStatus != entconnection.WebhookStatusActive || row.WebhookProblem != nil {
		t.Errorf("the webhook is %s with %v", row.WebhookStatus, row.WebhookProblem)
	}
}

func TestAnAddressThatThePlatformReachesAndWeDoNotIsNoError(t *testing.T) {
	t.Parallel()
	w, g, id := gated(t, nil)
	customer, bot := w.tg.Customer("Lan", "vi"), w.tg.AddBot("spare_bot", "Spare")
	spare := w.connects(bot).Connection
	must(t, customer.Writes(bot, "Hello").WaitDelivered(within(t)))
	g.answer.Store(502)
	w.clock.turn(time.Second)
	report, err := w.service.Test(w.manager(), spare)
	must(t, err)
	if one := check(t, w.report(report), platform.CheckWebhookDelivery); one.Outcome != platform.CheckFailed || !strings.Contains(one.Message, "delivered lately") {
		t.Errorf("the check is %v", one)
	}
	if row := w.row(spare); row.Status != entconnection.StatusActive || row.WebhookStatus != entconnection.WebhookStatusActive || row.FailedChecks != 0 {
		t.Errorf("the connection is %s, its webhook %s", row.Status, row.WebhookStatus)
	}
	report, err = w.service.Test(w.manager(), id) // nothing ever came to this one
	must(t, err)
	if w.report(report).Passed || w.row(id).FailedChecks != 1 {
		t.Errorf("the report passed, or the failure does not count: %v", w.row(id))
	}
}

func TestWithoutAPublicAddressThereIsNothingToTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling)
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	if one, logID := w.tests(id); one.Outcome != platform.CheckSkipped || logID != "" {
		t.Errorf("the check is %v, the log %q", one, logID)
	}
	report, err := w.service.Test(w.manager(), id)
	must(t, err)
	if one := check(t, w.report(report), platform.CheckWebhookDelivery); one.Outcome != platform.CheckSkipped {
		t.Errorf("the check is %v", one)
	}
}

func TestWhoMayNotTestAWebhookIsTold(t *testing.T) {
	t.Parallel()
	w, _, id := gated(t, nil)
	_, _, err := w.service.TestWebhook(w.member(campaignmember.RoleAgent, w.campaign), id)
	refused(t, err, causeway.Forbidden)
	_, _, err = w.service.TestWebhook(w.member(campaignmember.RoleManager, w.other), id)
	refused(t, err, causeway.NotFound, "connectionId")
	must(t, w.service.Disconnect(w.manager(), id))
	_, _, err = w.service.TestWebhook(w.manager(), id)
	refused(t, err, causeway.NotConnected, "connectionId")
}

func TestAStrangerCannotHaveAnUpdateTakenForATest(t *testing.T) {
	t.Parallel()
	w, g, id := gated(t, nil)
	other := w.connects(w.tg.AddBot("other_bot", "Other")).Connection
	seen := make(chan string, 1)
	g.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Causeway-Test")
		g.ServeHTTP(rw, r)
	})
	w.tests(id)
	token := <-seen
	mark := func(token string) http.Header { return http.Header{"X-Causeway-Test": {token}} }
	if _, ok := w.service.TestEvent(mark(token), other); ok || token == "" {
		t.Error("a mark counts for another connection")
	}
	for _, forged := range []string{"", "1", "true", token + "A", token[:len(token)-4], "webhook test 99999999999 x"} {
		if _, ok := w.service.TestEvent(mark(forged), id); ok {
			t.Errorf("%q is taken for a mark", forged)
		}
	}
	again := w.newService()
	if key, ok := again.TestEvent(mark(token), id); !ok || !strings.HasPrefix(key, "test:") {
		t.Error("another server with the same keys does not know the mark")
	}
	w.clock.turn(2 * time.Minute)
	if _, ok := w.service.TestEvent(mark(token), id); ok {
		t.Error("a mark lasts for ever")
	}
}

func TestANameThatDoesNotResolveIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	for _, unresolved := range []*net.DNSError{{IsNotFound: true}, {IsTemporary: true}} {
		problem, seen := w.service.Unanswered("example.com", &net.OpError{Op: "dial", Err: unresolved})
		if problem.Reason != causeway.ReasonAddressUnknown || !strings.Contains(seen, "example.com") {
			t.Errorf("%v: %v, %s", unresolved, problem, seen)
		}
	}
	problem, _ := w.service.Unanswered("example.com", &net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}})
	if problem.Reason != causeway.ReasonAddressTimedOut {
		t.Errorf("a name server that does not answer: %v", problem)
	}
}
