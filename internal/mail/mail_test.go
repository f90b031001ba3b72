package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "p@ss w/rd:häßlich"

const signedIn = "://ana:p%40ss%20w%2Frd%3Ah%C3%A4%C3%9Flich@mail.example.com"

var letter = Message{To: "ana@example.com", Subject: "«Магазин»: требуется внимание", Text: "Текст\n\n. точка\n", HTML: "<p>Текст</p>"}

func TestALetterArrivesWithBothPartsAndItsHeaders(t *testing.T) {
	t.Parallel()
	o := open(t, rules{})
	if err := o.mailer(t, "smtp://mail.example.com").Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	got := o.one(t)
	if got.from != "notices@causeway.example" || got.to != "ana@example.com" {
		t.Errorf("the envelope says from %q to %q", got.from, got.to)
	}
	header, text, html := read(t, got.raw)
	if subject, _ := new(mime.WordDecoder).DecodeHeader(header.Get("Subject")); subject != letter.Subject {
		t.Errorf("the subject is %q", subject)
	}
	for name, want := range map[string]string{
		"From": `"Causeway" <notices@causeway.example>`, "To": "<ana@example.com>", "Auto-Submitted": "auto-generated",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if id := header.Get("Message-ID"); !strings.HasSuffix(id, "@causeway.example>") {
		t.Errorf("the letter's id %q names another domain", id)
	}
	if date, err := header.Date(); err != nil || time.Since(date).Abs() > time.Minute {
		t.Errorf("the letter is dated %v (%v)", date, err)
	}
	if strings.TrimSpace(text) != strings.TrimSpace(letter.Text) || html != letter.HTML {
		t.Errorf("the parts are %q and %q", text, html)
	}
}

func TestAPasswordTravelsEncryptedAndIsTaken(t *testing.T) {
	t.Parallel()
	for scheme, r := range map[string]rules{
		"smtp":  {tls: true, user: "ana", password: password},
		"smtps": {wrapped: true, user: "ana", password: password},
	} {
		o := open(t, r)
		if err := o.mailer(t, scheme+signedIn).Send(t.Context(), letter); err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if got := o.one(t); got.user != "ana" || scheme == "smtp" && !got.sealed {
			t.Errorf("%s: the letter came from user %q, over TLS: %t", scheme, got.user, got.sealed)
		}
	}
}

func TestALetterIsEncryptedWhereTheServerOffersItAlsoWithoutAPassword(t *testing.T) {
	t.Parallel()
	o := open(t, rules{tls: true})
	if err := o.mailer(t, "smtp://mail.example.com:25").Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if !o.one(t).sealed {
		t.Error("the letter travelled in the open")
	}
}

func TestAPasswordIsNotSentToAServerFarAwayThatDoesNotEncrypt(t *testing.T) {
	t.Parallel()
	o := open(t, rules{user: "ana", password: password})
	err := o.mailer(t, "smtp"+signedIn).Send(t.Context(), letter)
	if err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("the error does not say what is missing: %v", err)
	}
	o.nothing(t)
}

func TestAPasswordIsNotSentUnderACertificateThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	for scheme, r := range map[string]rules{"smtp": {tls: true, user: "ana"}, "smtps": {wrapped: true, user: "ana"}} {
		o := open(t, r)
		m := o.mailer(t, scheme+signedIn)
		m.roots = open(t, rules{}).roots // somebody else's
		if err := m.Send(t.Context(), letter); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: the error does not name the certificate: %v", scheme, err)
		}
		o.nothing(t)
	}
}

func TestAMailServerOnThisMachineNeedsNoEncryption(t *testing.T) {
	t.Parallel()
	for _, r := range []rules{{user: "ana", password: "secret"}, {user: "ana", password: "secret", tls: true}} {
		o := open(t, r)
		m, err := New(Config{URL: "smtp://ana:secret@" + o.address, From: "notices@causeway.example"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		if got := o.one(t); got.user != "ana" {
			t.Errorf("the letter came from user %q", got.user)
		}
	}
}

func TestAServerThatRepeatsThePasswordDoesNotBringItIntoTheError(t *testing.T) {
	t.Parallel()
	o := open(t, rules{tls: true, user: "ana", password: "another"})
	err := o.mailer(t, "smtp"+signedIn).Send(t.Context(), letter)
	if err == nil {
		t.Fatal("a wrong password was taken")
	}
	if strings.Contains(err.Error(), password) || strings.Contains(fmt.Sprintf("%+v", err), password) {
		t.Errorf("the error holds the password: %v", err)
	}
	if !strings.Contains(err.Error(), "mail.example.com") || !strings.Contains(err.Error(), "535") {
		t.Errorf("the error says neither who refused nor how: %v", err)
	}
	if errors.Is(err, ErrRefused) {
		t.Error("a wrong setting was told as the letter's fault")
	}
}

func TestARefusalForGoodIsToldFromOneThatMayPass(t *testing.T) {
	t.Parallel()
	no := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come back later"}
	for _, c := range []struct {
		name    string
		rules   rules
		refused bool
		says    string
	}{
		{"recipient unknown", rules{rcpt: no}, true, "no such mailbox"},
		{"recipient's mailbox full", rules{rcpt: later}, false, "come back later"},
		{"letter refused", rules{data: no}, true, "no such mailbox"},
		{"letter not yet taken", rules{data: later}, false, "come back later"},
		{"sender refused", rules{mail: no}, false, "no such mailbox"},
	} {
		o := open(t, c.rules)
		err := o.mailer(t, "smtp://mail.example.com").Send(t.Context(), letter)
		if err == nil || errors.Is(err, ErrRefused) != c.refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAServerThatIsDownIsToldWithItsName(t *testing.T) {
	t.Parallel()
	o := open(t, rules{})
	m := o.mailer(t, "smtp://mail.example.com")
	m.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	err := m.Send(t.Context(), letter)
	if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "mail.example.com: connection refused") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatNeverAnswersIsLeftWhenTheCallerOrTheTimeSays(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := Config{URL: "smtp://" + listener.Addr().String(), From: "notices@causeway.example"}
	patient, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	connected := make(chan struct{})
	go func() {
		defer close(connected)
		if line, err := listener.Accept(); err == nil {
			cancel() // the caller leaves while the greeting is awaited
			_, _ = io.Copy(io.Discard, line)
			_ = line.Close()
		}
	}()
	if err := patient.Send(ctx, letter); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left, and heard %v", err)
	}
	<-connected
	cfg.Timeout = 50 * time.Millisecond
	hasty, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := hasty.Send(t.Context(), letter); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("the time was up, and the caller heard %v", err)
	}
}

func TestNoHeaderGetsInThroughASubjectOrARecipient(t *testing.T) {
	t.Parallel()
	o := open(t, rules{})
	m := o.mailer(t, "smtp://mail.example.com")
	for _, to := range []string{
		"", "ana", "Ana <ana@example.com>", "ana@example.com, bob@example.com", "ana@example.com\r\nBcc: bob@example.com",
		"ana@example.com\nRCPT TO:<bob@example.com>", "<ana@example.com>", "\x00ana@example.com", "ana@example.com ",
	} {
		if err := m.Send(t.Context(), Message{To: to, Subject: "s", Text: "t"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%q was taken: %v", to, err)
		}
	}
	o.nothing(t)
	err := m.Send(t.Context(), Message{To: "ana@example.com", Subject: "Shop\r\nBcc: bob@example.com\r\n\r\nbody\x00", Text: "t"})
	if err != nil {
		t.Fatal(err)
	}
	got := o.one(t)
	parsed, err := mail.ReadMessage(bytes.NewReader(got.raw))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header.Get("Bcc") != "" || parsed.Header.Get("Subject") != "Shop Bcc: bob@example.com body" || got.to != "ana@example.com" {
		t.Errorf("the header is %v, the recipient %q", parsed.Header, got.to)
	}
}

func TestWithoutAServerALetterIsLoggedOnly(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	m, err := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, letter.To) || !strings.Contains(got, letter.Subject) || strings.Contains(got, "точка") {
		t.Errorf("logged: %s", got)
	}
}

func TestABadSettingIsNamedWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"mail.example.com:587", "http://mail.example.com", "smtp://", "smtp://ana:hunter2@", "smtp://ana:hunter2@mail.example.com:99999",
		"smtp://ana:hunter2@mail.example.com/inbox", "smtp://ana:hunter2@mail.example.com?tls=no", "smtp://ana:hunter2#1@mail.example.com",
		"smtp://ana@mail.example.com", "smtp://:hunter2@mail.example.com", "smtp://ana:hunter2%0d%0aQUIT@mail.example.com", "smtp://ana:hunter2%zz@mail.example.com",
	} {
		err := CheckURL(bad)
		if err == nil {
			t.Errorf("%s was taken", bad)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "must ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "causeway", "a@example.com, b@example.com", "Causeway\r\nBcc: x@example.com <a@example.com>"} {
		if CheckFrom(bad) == nil {
			t.Errorf("the sender %q was taken", bad)
		}
	}
	if _, err := New(Config{URL: "smtp://mail.example.com"}); err == nil {
		t.Error("a mail server without a sender was taken")
	}
}

func FuzzAnAddressOfAMailServerIsTakenOrRefusedWithoutRepeatingIt(f *testing.F) {
	for _, seed := range []string{"smtp" + signedIn, "smtps://[::1]:465", "smtp://a:b@c:d@e", "smtp://%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		s, err := parseURL(address)
		if err == nil && (s.host == "" || s.port == "" || unclean(s.user+s.password)) {
			t.Errorf("%q was taken as %+v", address, s)
		}
		if err != nil && len(address) > 80 && strings.Contains(err.Error(), address) {
			t.Errorf("%q is repeated by %v", address, err)
		}
	})
}

// read takes a letter apart.
func read(t *testing.T, raw []byte) (header mail.Header, text, html string) {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("the letter is %q (%v)", kind, err)
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for _, want := range []struct {
		kind string
		into *string
	}{{"text/plain", &text}, {"text/html", &html}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if kind := part.Header.Get("Content-Type"); !strings.HasPrefix(kind, want.kind+"; charset=UTF-8") {
			t.Errorf("a part is %q, want %s", kind, want.kind)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		*want.into = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	return parsed.Header, text, html
}
