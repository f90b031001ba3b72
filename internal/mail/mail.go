// Package mail sends notices by SMTP and puts them into words: a letter that says in
// the reader's language what is wrong with a connection, why, and what to do.
//
// It decides nothing: who gets a notice, when, and whether a second try is due is
// settled by whoever calls. Nothing is kept here and no connection stays open between
// two letters, so a Mailer needs no Close and may be used by many goroutines at once.
package mail

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"causeway"
)

// DefaultTimeout bounds one letter from dialling to the server's last answer, where
// Config does not say otherwise. A mail server that greets slowly on purpose takes
// some seconds; a caller who waits longer waits for nothing.
const DefaultTimeout = 30 * time.Second

// ErrRefused means that the mail server took neither this recipient nor this letter
// and will not take them later either (an SMTP answer of 5xx to one of the two).
// Every other error may pass: the server is down or full, or its settings are wrong.
var ErrRefused = errors.New("refused for good")

// Config says how letters leave.
type Config struct {
	URL     string         // smtp://user:password@host:587 or smtps://…; see CheckURL. Empty: letters are logged only
	From    string         // the sender: an address, or "Name <address>"
	Timeout time.Duration  // bounds one letter. Zero: DefaultTimeout
	Roots   *x509.CertPool // who vouches for the server's certificate. Nil: the system's
	Clock   causeway.Clock // dates the letters. Nil: the machine's
	Log     *slog.Logger   // nil: silent
}

// Message is one letter to one person. Text and HTML say the same; a mail program
// shows the one it prefers.
type Message struct {
	// ID is the letter's own, of letters, digits, _ and -. A letter that is sent a second
	// time under the same id is known again by mailboxes that look at it. Empty: any.
	ID      string
	To      string // a bare address: ana@example.com
	Subject string
	Text    string
	HTML    string // may be empty
}

// Mailer sends letters.
type Mailer struct {
	server  *server // nil: letters are logged only
	from    mail.Address
	timeout time.Duration
	roots   *x509.CertPool
	clock   causeway.Clock
	log     *slog.Logger
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a Mailer. It fails on what CheckURL or CheckFrom refuse, and asks nothing
// of the mail server yet. Without a URL the sender is not looked at.
func New(cfg Config) (*Mailer, error) {
	m := &Mailer{
		timeout: cmp.Or(cfg.Timeout, DefaultTimeout),
		roots:   cfg.Roots,
		clock:   cfg.Clock,
		log:     cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		dial:    new(net.Dialer).DialContext,
	}
	if m.clock == nil {
		m.clock = causeway.System{}
	}
	if cfg.URL == "" {
		return m, nil
	}
	server, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("the mail server's address %w", err)
	}
	from, err := parseFrom(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("the sender of mail %w", err)
	}
	m.server, m.from = server, *from
	return m, nil
}

// Send hands one letter to the mail server and returns when the server has taken it,
// which says nothing about when it is read. Without a server the letter's recipient
// and subject are logged, and that is all.
//
// The talk is encrypted wherever the server offers it. A password travels only so, or
// to this same machine. An error names the server, never the password; errors.Is with
// ErrRefused tells that no later try will do better. Ending ctx ends the talk; a
// letter whose last answer did not arrive may have been taken all the same.
//
// Line breaks and control characters in the subject become spaces, and a recipient
// that is anything but a bare address is refused, so no header has a way in.
func (m *Mailer) Send(ctx context.Context, letter Message) error {
	letter.Subject = oneLine(letter.Subject)
	if err := checkRecipient(letter.To); err != nil {
		return err
	}
	if m.server == nil {
		m.log.InfoContext(ctx, "a notice was not mailed: no mail server is set", "to", letter.To, "subject", letter.Subject)
		return nil
	}
	written, err := m.write(letter)
	if err != nil {
		return fmt.Errorf("write a letter: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if err := m.hand(ctx, written); err != nil {
		return m.told(ctx, err)
	}
	m.log.InfoContext(ctx, "a notice was mailed", "to", letter.To, "subject", letter.Subject)
	return nil
}

// write puts the letter into the form of RFC 5322. Its id carries the sender's domain,
// not this machine's name.
func (m *Mailer) write(letter Message) (*gomail.Msg, error) {
	written := gomail.NewMsg()
	written.FromMailAddress(&m.from)
	written.ToMailAddress(&mail.Address{Address: letter.To})
	written.Subject(letter.Subject)
	written.SetDateWithValue(m.clock.Now())
	written.SetMessageIDWithValue(cmp.Or(wordOf(letter.ID), rand.Text()) + "@" + domainOf(m.from.Address))
	written.SetGenHeader("Auto-Submitted", "auto-generated") // holiday replies stay away
	written.SetBodyString(gomail.TypeTextPlain, letter.Text)
	if letter.HTML != "" {
		written.AddAlternativeString(gomail.TypeTextHTML, letter.HTML)
	}
	if _, err := written.GetRecipients(); err != nil {
		return nil, err
	}
	return written, nil
}

// wordOf is id if it may stand in a header as it is, else nothing.
func wordOf(id string) string {
	strange := strings.ContainsFunc(id, func(r rune) bool {
		return r >= utf8.RuneSelf || r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if strange {
		return ""
	}
	return id
}

// hand has one talk with the server. The library looks at ctx while dialling only, so
// the line is cut under it when ctx ends; and it leaves the line open when the talk
// does not begin well, so it is closed here whatever happens.
func (m *Mailer) hand(ctx context.Context, written *gomail.Msg) error {
	var closers []func()
	defer func() {
		for _, closes := range closers {
			closes()
		}
	}()
	client, err := gomail.NewClient(m.server.host, m.options(func(dialling context.Context, network, _ string) (net.Conn, error) {
		line, err := m.open(dialling, network)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = line.Close() })
		closers = append(closers, func() { stop(); _ = line.Close() })
		return line, nil
	})...)
	if err != nil {
		return err
	}
	talk, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(talk, written)
	if written.IsDelivered() {
		_ = talk.Quit() // the letter is theirs; how they say goodbye changes nothing
		return nil
	}
	return err
}

func (m *Mailer) options(dial gomail.DialContextFunc) []gomail.Option {
	policy := gomail.TLSOpportunistic
	auth := gomail.WithSMTPAuth(gomail.SMTPAuthNoAuth)
	plain, login := gomail.SMTPAuthPlain, gomail.SMTPAuthLogin
	switch {
	case m.server.user == "":
	case m.server.loopback:
		plain, login = gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc
	default:
		policy = gomail.TLSMandatory
	}
	if m.server.user != "" {
		auth = gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, plain, login)
	}
	options := []gomail.Option{
		gomail.WithTimeout(m.timeout),
		gomail.WithHELO(domainOf(m.from.Address)),
		gomail.WithDialContextFunc(dial),
		gomail.WithTLSConfig(m.tls()),
		gomail.WithTLSPolicy(policy),
		gomail.WithUsername(m.server.user),
		gomail.WithPassword(m.server.password),
		auth,
	}
	if m.server.encrypted {
		options = append(options, gomail.WithSSL())
	}
	return options
}

// open dials the server, and over smtps agrees on the encryption as well.
func (m *Mailer) open(ctx context.Context, network string) (net.Conn, error) {
	line, err := m.dial(ctx, network, net.JoinHostPort(m.server.host, m.server.port))
	if err != nil || !m.server.encrypted {
		return line, err
	}
	sealed := tls.Client(line, m.tls())
	if err := sealed.HandshakeContext(ctx); err != nil {
		_ = line.Close()
		return nil, err
	}
	return sealed, nil
}

// tls asks for a certificate that is good for the server's name. On this same machine
// nobody stands in between, and a mail server there mostly made its certificate itself.
func (m *Mailer) tls() *tls.Config {
	return &tls.Config{
		ServerName:         m.server.host,
		RootCAs:            m.roots,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: m.server.loopback,
	}
}

// told is err as the caller may log it.
func (m *Mailer) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("hand a letter to %s: %w", m.server.host, context.Cause(ctx))
	}
	words := m.server.scrub(err.Error())
	if refused, ok := errors.AsType[*gomail.SendError](err); ok && refused.ErrorCode() >= 500 && ofTheLetter(refused.Reason) {
		return fmt.Errorf("hand a letter to %s: %w: %s", m.server.host, ErrRefused, words)
	}
	return fmt.Errorf("hand a letter to %s: %s", m.server.host, words)
}

// ofTheLetter tells a refusal of the recipient or the letter from one of the sender,
// which a changed setting mends.
func ofTheLetter(step gomail.SendErrReason) bool {
	return step == gomail.ErrSMTPRcptTo || step == gomail.ErrSMTPData || step == gomail.ErrSMTPDataClose
}

// scrub takes the password out of what a server says: some repeat what they were sent.
func (s *server) scrub(words string) string {
	if s.password == "" {
		return words
	}
	encoded := base64.StdEncoding.EncodeToString
	return strings.NewReplacer(
		encoded([]byte("\x00"+s.user+"\x00"+s.password)), "…",
		encoded([]byte(s.password)), "…",
		s.password, "…",
	).Replace(words)
}

// oneLine is s on one line, without what a terminal or a header could take as an order.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
	}), " ")
}
