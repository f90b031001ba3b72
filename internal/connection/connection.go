// Package connection links bots to campaigns and keeps them linked: it connects,
// tests and disconnects them, checks their health, fetches updates where there is no
// public address, and answers whose a webhook's key is. Tokens and webhook secrets
// live here, sealed, and leave only towards their platform. What an update or a
// message means does not enter.
//
// A connection's status is what the last look at the platform showed, never what we
// once did. Every look is an inspection: it asks the platform with no transaction
// open, and is recorded only if the connection is still the one that was looked at.
//
// A Service may be used from many goroutines. Connecting and disconnecting one
// account take turns within a process; among processes the database's constraints
// decide. Locks, in this order: a turn, then nothing else; the mutexes of turns,
// addresses, pages, pollers and brakes are never held across a call or a transaction.
package connection

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/bus"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/mail"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/telegram"
	"causeway/internal/problem"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// Topic is where the id of a connection is hinted at when something about it changed.
const Topic = "connections"

// What a zero Config means.
const (
	defaultCheckInterval = time.Hour
	defaultPollTimeout   = 50 * time.Second // Telegram's own bound
	defaultTelegramURL   = "https://api.telegram.org"
	defaultGraphURL      = "https://graph.facebook.com"
	defaultDialogURL     = "https://www.facebook.com"
	defaultGraphVersion  = "v25.0"
)

// Outbox is told what becomes of connections, in the transactions that change them:
// what waits to be sent by one that ended will not be, and what waited for one that
// works again may go.
type Outbox interface {
	Disconnected(tx *store.Tx, connection causeway.ID) error
	Recovered(tx *store.Tx, connection causeway.ID) error
}

// Config says what a Service works with. Store, Feed, Intake, Keys and Bus are
// needed.
type Config struct {
	Store  *store.Store
	Feed   *feed.Feed
	Intake *intake.Intake
	Keys   *secret.Ring
	Bus    bus.Bus
	Outbox Outbox         // none: nothing is ever sent
	Talk   Talk           // none: how sending goes is not looked at
	Clock  causeway.Clock // none: the machine's
	Log    *slog.Logger   // none: silent

	// PublicURL is where platforms reach this server, without a slash at its end.
	// Empty: updates are fetched.
	PublicURL   string
	TelegramURL string       // none: api.telegram.org
	Media       media.Store  // keeps the accounts' pictures; none: they have none
	HTTP        *http.Client // for calls to platforms; none: Go's own
	Outside     *http.Client // for addresses found in messages; none: nothing is fetched there
	Facebook    Facebook
	// Origins are those of web pages that may open a Facebook login, beside the public
	// address's own.
	Origins []string

	// Mail carries notices; none: they are logged only. It needs Words.
	Mail  *mail.Mailer
	Words *problem.Catalogue
	// Console is where a person looks at this server with a browser, for letters; empty:
	// they name no address.
	Console string

	// CheckInterval is the time between health checks of a connection that works.
	CheckInterval time.Duration
	// PollTimeout is how long one fetch waits at the platform for an update.
	PollTimeout time.Duration
	// Roots are whom this server trusts to sign its own public address's certificate when
	// it tries that address; none: whom the machine trusts.
	Roots *x509.CertPool
	// TestWithin is how long a test event to the own public address may take; 10 s if it
	// is zero.
	TestWithin time.Duration
}

// Facebook is this server's app at Facebook. Without id, secret and verify token there
// is none.
type Facebook struct {
	AppID       string
	AppSecret   string
	VerifyToken string
	ConfigID    string // of Facebook Login for Business; none: permissions are asked for by name
	GraphURL    string // none: graph.facebook.com
	DialogURL   string // none: www.facebook.com
	Version     string // none: v25.0
}

// Service is the room's work on one database.
type Service struct {
	store       *store.Store
	viewers     *ent.Client // sees what the context's viewer may see
	feed        *feed.Feed
	intake      *intake.Intake
	keys        *secret.Ring
	bus         bus.Bus
	outbox      Outbox
	talk        Talk
	clock       causeway.Clock
	log         *slog.Logger
	publicURL   string
	telegramURL string
	media       media.Store
	http        *http.Client
	outside     *http.Client
	facebook    Facebook
	origins     []string
	interval    time.Duration
	pollTimeout time.Duration
	self        *http.Client // to the own public address
	testWithin  time.Duration
	mail        *mail.Mailer
	words       *problem.Catalogue
	console     string
	postman     *postman // nil without mail

	turns     turns
	addresses addresses
	strangers strangers
	pollers   pollers
	pages     openPages
	brakes    brakes
	checkNow  chan struct{} // holds a token when a check became due

	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup
	mu      sync.Mutex
	started bool
	closed  bool
}

// New makes a Service that runs nothing yet. What a person asks for works without
// Start; health checks and fetching do not.
func New(cfg Config) *Service {
	s := &Service{
		store: cfg.Store, viewers: cfg.Store.NewReader(), feed: cfg.Feed, intake: cfg.Intake, keys: cfg.Keys, bus: cfg.Bus,
		outbox: cfg.Outbox, talk: cfg.Talk, clock: cfg.Clock, log: cfg.Log,
		publicURL:   strings.TrimRight(cfg.PublicURL, "/"),
		telegramURL: cfg.TelegramURL, http: cfg.HTTP, media: cfg.Media, outside: cfg.Outside,
		facebook: cfg.Facebook, origins: cfg.Origins,
		interval: cfg.CheckInterval, pollTimeout: cfg.PollTimeout,
		self: newOwnClient(cfg.Roots), testWithin: cfg.TestWithin,
		mail: cfg.Mail, words: cfg.Words, console: cfg.Console,
		turns:     newTurns(),
		addresses: newAddresses(),
		strangers: newStrangers(),
		pollers:   newPollers(),
		pages:     newOpenPages(),
		brakes:    newBrakes(),
		checkNow:  make(chan struct{}, 1),
	}
	if s.clock == nil {
		s.clock = causeway.System{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.telegramURL == "" {
		s.telegramURL = defaultTelegramURL
	}
	s.facebook.GraphURL = cmp.Or(s.facebook.GraphURL, defaultGraphURL)
	s.facebook.DialogURL = cmp.Or(s.facebook.DialogURL, defaultDialogURL)
	s.facebook.Version = cmp.Or(s.facebook.Version, defaultGraphVersion)
	if s.interval <= 0 {
		s.interval = defaultCheckInterval
	}
	if s.pollTimeout <= 0 {
		s.pollTimeout = defaultPollTimeout
	}
	if s.testWithin <= 0 {
		s.testWithin = testWithin
	}
	if s.mail != nil {
		s.postman = newPostman(s)
	}
	Guard(s.viewers)
	intake.Guard(s.viewers)
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start begins health checks, fetching, and listening for changes that other servers
// made. It may come once; after Close it is an error.
func (s *Service) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.started {
		return errors.New("start connections: already started or closed")
	}
	if err := s.takeUp(s.ctx); err != nil {
		return fmt.Errorf("start connections: %w", err)
	}
	s.started = true
	bell := s.bus.Subscribe(Topic)
	s.work.Go(func() { s.listen(bell) })
	s.work.Go(s.checkHealth)
	s.work.Go(s.sweepLogins)
	if s.postman != nil {
		s.postman.queue.Start()
	}
	if s.delivery(platform.Telegram) == entconnection.DeliveryPolling {
		s.work.Go(s.supervise)
	}
	return nil
}

// Close ends all of it and returns when nothing is left running; a letter that is being
// handed over may finish for some seconds. It may come twice and before Start.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
	if s.postman != nil {
		return s.postman.queue.Close()
	}
	return nil
}

// listen forgets what it remembers of connections that changed.
func (s *Service) listen(bell *bus.Doorbell) {
	defer bell.Close()
	for {
		select {
		case <-bell.C():
			bell.Take()
			s.addresses.forget()
			s.pollers.look()
		case <-s.ctx.Done():
			return
		}
	}
}

// changed tells everybody, here at once, that something about a connection is not as
// it was. Call it after the commit.
func (s *Service) changed(id causeway.ID) {
	s.addresses.forget()
	s.pollers.look()
	if err := s.bus.Hint(Topic, []byte(id)); err != nil {
		s.log.Debug("a change of a connection was not hinted at", "connection", id, "error", err)
	}
}

// delivery is how a platform's updates reach this server. Telegram alone can be asked
// for them.
func (s *Service) delivery(on platform.Name) entconnection.Delivery {
	if s.publicURL == "" && on == platform.Telegram {
		return entconnection.DeliveryPolling
	}
	return entconnection.DeliveryWebhook
}

// bot is a client for the bot with this token.
func (s *Service) bot(token string) *telegram.Client {
	return telegram.New(s.telegramURL, token, s.http)
}

// app is a client of this server's own Facebook app.
func (s *Service) app() *messenger.App { return s.appClient(s.facebook.AppID, s.facebook.AppSecret) }

func (s *Service) appClient(id, secret string) *messenger.App {
	return messenger.NewApp(messenger.AppConfig{
		ID: id, Secret: secret, GraphURL: s.facebook.GraphURL, DialogURL: s.facebook.DialogURL, Version: s.facebook.Version,
		HTTP: s.http, Clock: s.clock,
	})
}

// botOf is a client for a connection that has a token.
func (s *Service) botOf(row *ent.Connection) (*telegram.Client, error) {
	if sealed(row.SealedToken) == nil {
		return nil, causeway.Fail(causeway.NotConnected)
	}
	token, err := s.keys.Open(sealed(row.SealedToken), row.ID)
	if err != nil {
		return nil, fmt.Errorf("open the token of %s: %w", row.ID, err)
	}
	return s.bot(string(token)), nil
}

// wait returns true after d, or earlier when wake has a token, and false when ctx
// ends first.
func (s *Service) wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}
