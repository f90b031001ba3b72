package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/graph"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/campaign"
	"causeway/internal/connection"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/mail"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/telegram"
	"causeway/internal/presence"
	"causeway/internal/problem"
	"causeway/internal/secret"
	"causeway/internal/store"
	"causeway/internal/transport"
	"causeway/internal/webhook"
)

// stopWithin is how long requests under way are given at a stop.
const stopWithin = 10 * time.Second

// ownAddress as the public address stands for the one that is chosen at the start:
// for platforms on this very machine.
const ownAddress webURL = "http://localhost:0"

// app is the running program.
type app struct {
	url      string
	settings settings
	clock    causeway.Clock
	log      *slog.Logger
	first    auth.FirstAdmin // what to tell a person after the first start

	store         *store.Store
	bus           bus.Bus
	auth          *auth.Service
	presence      *presence.Service
	campaigns     *campaign.Service
	connections   *connection.Service
	conversations *conversation.Service
	webhooks      *webhook.Handler
	callback      *connection.Callback
	graphql       *transport.Handler
	media         *media.Disk
	files         http.Handler  // serves media
	signer        *media.Signer // of media's addresses
	outside       *http.Client  // for addresses that strangers write into messages
	server        *http.Server
	served        chan error // what Serve returned

	closers []func() error // in the order in which things were started
}

// start brings the whole program up and serves. The chosen address is the first line
// of the log. If something does not start, what did is stopped again.
func start(ctx context.Context, cfg settings, log *slog.Logger) (*app, error) {
	return startBy(ctx, cfg, causeway.System{}, log)
}

// startBy is start by another clock than the machine's.
func startBy(ctx context.Context, cfg settings, clock causeway.Clock, log *slog.Logger) (_ *app, err error) {
	listener, err := net.Listen("tcp", string(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("--listen: %w; choose another address, such as localhost:8081", err)
	}
	a := &app{url: urlOf(cfg.Listen, listener), settings: cfg, clock: clock, log: log, served: make(chan error, 1)}
	if cfg.PublicURL == ownAddress {
		a.settings.PublicURL = webURL(a.url)
	}
	log.Info("listening", "address", listener.Addr().String())
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), a.stop())
		}
	}()
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	if err := a.build(ctx); err != nil {
		return nil, err
	}
	a.server = &http.Server{
		Handler:           a.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { a.served <- a.server.Serve(listener) }()
	// Platforms may look at the address while a connection registers, so serving comes
	// before the connections' own work.
	if err := a.connections.Start(); err != nil {
		return nil, errors.Join(err, a.server.Close())
	}
	return a, nil
}

// urlOf is where a person on this machine reaches the server.
func urlOf(listen address, l net.Listener) string {
	host, _, _ := net.SplitHostPort(string(listen))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (a *app) openStore(ctx context.Context) error {
	if err := os.MkdirAll(a.settings.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w; choose a folder that can be written to", err)
	}
	var err error
	a.store, err = store.Open(ctx, store.Config{Address: a.settings.storeAddress(), Log: a.log})
	if err != nil {
		return fmt.Errorf("--database: %w", err)
	}
	a.onStop(a.store.Close)
	applied, err := a.store.Migrate(ctx)
	for _, name := range applied {
		a.log.Info("migration applied", "name", name)
	}
	return err
}

// build makes the rooms, from the lowest floor up.
func (a *app) build(ctx context.Context) error {
	cfg, clock := a.settings, a.clock
	keys, err := a.keys()
	if err != nil {
		return err
	}
	if err := a.openMedia(keys, clock); err != nil {
		return err
	}
	if a.bus, err = a.openBus(); err != nil {
		return err
	}
	a.onStop(a.bus.Close)
	a.auth = auth.New(auth.Config{Store: a.store, Bus: a.bus, Desk: desk{a}, Clock: clock, Log: a.log, AdminToken: cfg.AdminToken})
	a.onStop(a.auth.Close)
	if a.first, err = a.auth.EnsureAdmin(ctx, cfg.AdminEmail, cfg.AdminPassword); err != nil {
		return fmt.Errorf("--admin-email, --admin-password: %w", err)
	}
	a.presence = presence.New(presence.Config{Store: a.store, Bus: a.bus, Clock: clock, Log: a.log})
	a.onStop(a.presence.Close)
	a.presence.Start()
	events := feed.New(feed.Config{Store: a.store, Bus: a.bus, Clock: clock, Log: a.log, Keep: time.Duration(cfg.KeepEvents)})
	a.onStop(events.Close)
	updates := intake.New(intake.Config{Store: a.store, Bus: a.bus, Clock: clock, Log: a.log})
	a.onStop(updates.Close)
	updates.Start()
	retention := intake.NewRetention(intake.RetentionConfig{Store: a.store, Clock: clock, Log: a.log, Keep: time.Duration(cfg.KeepWebhookLogs)})
	a.onStop(retention.Close)
	retention.Start()
	a.campaigns = campaign.New(campaign.Config{Store: a.store, Bus: a.bus, Desk: desk{a}, Clock: clock})
	problems, err := problem.New()
	if err != nil {
		return err
	}
	letters, err := mail.New(mail.Config{URL: string(cfg.SMTPURL), From: string(cfg.MailFrom), Clock: clock, Log: a.log})
	if err != nil {
		return fmt.Errorf("--smtp-url, --mail-from: %w", err)
	}
	a.connections = connection.New(connection.Config{
		Store: a.store, Feed: events, Intake: updates, Keys: keys, Bus: a.bus, Outbox: outbox{a}, Talk: outbox{a}, Clock: clock, Log: a.log,
		PublicURL: string(cfg.PublicURL), TelegramURL: string(cfg.TelegramAPIURL), Facebook: cfg.Facebook.app(),
		Origins: append([]string{a.url}, cfg.AllowedOrigins...), CheckInterval: time.Duration(cfg.CheckInterval),
		Media: a.media, Outside: a.outside,
		Mail: letters, Words: problems, Console: a.console(),
	})
	a.conversations = conversation.New(conversation.Config{
		Store: a.store, Feed: events, Bus: a.bus, Accounts: a.connections, Clock: clock, Log: a.log,
		Media: a.media, MaxMedia: int64(cfg.MaxMedia),
		Parsers: map[platform.Name]platform.Parser{platform.Messenger: messenger.Parser{}, platform.Telegram: telegram.Parser{}},
		Limits:  map[platform.Name]platform.Limits{platform.Messenger: messenger.Limits(), platform.Telegram: telegram.Limits()},
	})
	a.onStop(a.conversations.Close)
	if err := a.conversations.Start(ctx); err != nil {
		return err
	}
	processor := intake.NewProcessor(intake.ProcessorConfig{
		Store: a.store, Bus: a.bus, Clock: clock, Log: a.log, Apply: a.conversations.Apply,
	})
	a.onStop(processor.Close)
	processor.Start()
	a.onStop(a.connections.Close)
	a.webhooks = webhook.New(webhook.Config{
		Connections: endpoints{a.connections}, Pages: endpoints{a.connections},
		Facebook: webhook.FacebookApp{Secret: cfg.Facebook.AppSecret, VerifyToken: cfg.Facebook.VerifyToken},
		Intake:   updates, Tests: a.connections, Rejected: a.connections, Clock: clock, Log: a.log,
	})
	a.onStop(a.webhooks.Close)
	a.webhooks.Start()
	return a.buildGraph(events, problems, clock)
}

// console is where a person looks at this server with a browser; empty if there is
// nothing to see.
func (a *app) console() string {
	if !a.settings.Playground {
		return ""
	}
	return a.address()
}

// buildGraph makes the GraphQL door, whose reads see what their viewer may see.
func (a *app) buildGraph(events *feed.Feed, problems *problem.Catalogue, clock causeway.Clock) error {
	a.callback = connection.NewCallback(a.connections, problems)
	viewers := a.store.NewReader()
	guard(viewers)
	resolver := &graph.Resolver{
		Viewers: viewers, Auth: a.auth, Campaigns: a.campaigns, Connections: a.connections, Conversations: a.conversations,
		Presence: a.presence, Store: a.store, Feed: events, Bus: a.bus, Problems: problems, Clock: clock, Log: a.log,
		FileURL: func(id causeway.ID) string { return a.signer.Address(a.address(), id, clock.Now()) },
	}
	a.graphql = transport.New(transport.Config{
		Schema:       graph.NewSchema(resolver),
		Authenticate: a.authenticate,
		SignedIn:     func(ctx context.Context) bool { _, err := auth.From(ctx); return err == nil },
		Prepare:      graph.WithLanguage,
		Watch: func(ctx context.Context, ended func(error)) func() {
			return a.auth.Access().Notify(ctx, "", "", ended)
		},
		Present:          a.presence.Open,
		Share:            resolver.Share,
		PositionArgument: graph.PositionArgument,
		EventID:          resolver.EventID,
		PublicFields:     graph.PublicFields(),
		Unauthenticated:  resolver.Unauthenticated,
		AllowedOrigins:   a.settings.AllowedOrigins,
		Address:          addressOf,
		Introspection:    a.settings.Introspection,
		ErrorPresenter:   resolver.PresentError,
		Recover:          resolver.Recover,
		Extensions:       resolver.Extensions(),
		Limits:           a.settings.Limits,
		MaxUpload:        int64(a.settings.MaxUpload),
		Sockets:          a.settings.Sockets,
	})
	return nil
}

// guard registers every room's rules of who sees what.
func guard(viewers *ent.Client) {
	auth.Guard(viewers)
	campaign.Guard(viewers)
	connection.Guard(viewers)
	intake.Guard(viewers)
	conversation.Guard(viewers)
	feed.Guard(viewers)
	audit.Guard(viewers)
}

func (a *app) authenticate(ctx context.Context, bearer string) (context.Context, error) {
	viewer, err := a.auth.Authenticate(ctx, bearer)
	if err != nil && causeway.CodeOf(err) != causeway.Unauthenticated {
		return ctx, fmt.Errorf("%w: %w", transport.ErrUnavailable, err)
	}
	if err != nil {
		return ctx, err
	}
	return auth.WithViewer(ctx, viewer), nil
}

func (a *app) keys() (*secret.Ring, error) {
	if a.settings.SecretKeys != "" {
		return secret.Parse(a.settings.SecretKeys)
	}
	return secret.LoadOrCreate(a.settings.keyFile())
}

func (a *app) openBus() (bus.Bus, error) {
	if a.settings.NATS == "" {
		return bus.NewLocal(), nil
	}
	b, err := bus.OpenNATS(string(a.settings.NATS), a.log)
	if err != nil {
		return nil, fmt.Errorf("--nats: %w", err)
	}
	return b, nil
}

// endpoints shows the webhooks' door the connections' addresses.
type endpoints struct{ connections *connection.Service }

// Find returns what a webhook's key stands for.
func (e endpoints) Find(ctx context.Context, key string) (*webhook.Endpoint, error) {
	found, err := e.connections.Endpoint(ctx, key)
	if err != nil {
		return nil, err
	}
	return (*webhook.Endpoint)(found), nil
}

// Page returns where a page's updates belong.
func (e endpoints) Page(ctx context.Context, page string) (*webhook.Endpoint, error) {
	found, err := e.connections.Page(ctx, page)
	if err != nil {
		return nil, err
	}
	return (*webhook.Endpoint)(found), nil
}

// Stranger has a page that is not connected here left alone by Facebook.
func (e endpoints) Stranger(page string) { e.connections.Stranger(page) }

// outbox tells the conversations what becomes of connections. The two rooms need each
// other, so that one of them is made before the other is there.
type outbox struct{ app *app }

// Disconnected ends what waits to be sent by a connection.
func (o outbox) Disconnected(tx *store.Tx, connection causeway.ID) error {
	return o.app.conversations.Disconnected(tx, connection)
}

// Recovered lets go what waited for a connection.
func (o outbox) Recovered(tx *store.Tx, connection causeway.ID) error {
	return o.app.conversations.Recovered(tx, connection)
}

// Failing are the conversations of a connection in which sending fails.
func (o outbox) Failing(ctx context.Context, connection causeway.ID, since time.Time) (map[causeway.ID]causeway.Problem, error) {
	return o.app.conversations.Failing(ctx, connection, since)
}

// Say queues a test message.
func (o outbox) Say(ctx context.Context, connection, conversation causeway.ID, text string) (causeway.ID, error) {
	return o.app.conversations.Say(ctx, connection, conversation, text)
}

// Said tells what became of a test message.
func (o outbox) Said(ctx context.Context, message causeway.ID) (done bool, why *causeway.Problem, err error) {
	return o.app.conversations.Said(ctx, message)
}

// desk tells the conversations who works no more. They stand above the rooms that know
// it.
type desk struct{ app *app }

// LeavesCampaign gives back what somebody had to do in a campaign.
func (d desk) LeavesCampaign(tx *store.Tx, campaign, person causeway.ID) error {
	return d.app.conversations.LeavesCampaign(tx, campaign, person)
}

// ShutOut gives back what somebody had to do, who is OFFLINE from now on.
func (d desk) ShutOut(tx *store.Tx, person causeway.ID) error {
	if err := d.app.conversations.ShutOut(tx, person); err != nil {
		return err
	}
	return d.app.presence.ShutOut(tx, person)
}

// Demoted gives back what somebody had to do where they may work as an administrator
// only.
func (d desk) Demoted(tx *store.Tx, person causeway.ID) error {
	return d.app.conversations.Demoted(tx, person)
}

func (a *app) onStop(close func() error) { a.closers = append(a.closers, close) }

// stop ends everything: sockets are told 1001, requests under way finish within ten
// seconds, what was accepted is stored, and nothing is left running.
func (a *app) stop() error {
	var errs []error
	if a.server != nil {
		errs = append(errs, a.graphql.Close())
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if err := a.server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were cut off: %w", err), a.server.Close())
		}
		a.server = nil
	}
	for _, close := range slices.Backward(a.closers) {
		errs = append(errs, close())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// serve runs the program until ctx ends.
func serve(ctx context.Context, cfg settings, out io.Writer, log *slog.Logger) error {
	a, err := start(ctx, cfg, log)
	if err != nil {
		return err
	}
	a.greet(out)
	return a.wait(ctx)
}

// wait ends the program when ctx ends, or when it cannot serve any more.
func (a *app) wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-a.served:
	}
	err = errors.Join(err, a.stop())
	a.log.Info("stopped")
	return err
}

// greet tells a person what they need: the address and, once, the first token.
func (a *app) greet(out io.Writer) {
	fmt.Fprintf(out, "Causeway is listening on %s\n", a.url)
	if a.settings.Playground {
		fmt.Fprintf(out, "Playground: %s/\n", a.url)
	}
	if !a.first.Created {
		return
	}
	fmt.Fprintf(out, "\nFirst administrator, shown this once:\n  email:    %s\n", a.first.Email)
	if a.first.Password != "" {
		fmt.Fprintf(out, "  password: %s\n", a.first.Password)
	}
	if a.first.Token != "" {
		fmt.Fprintf(out, "  token:    %s\n", a.first.Token)
		fmt.Fprintf(out, "Send it as: Authorization: Bearer %s\n", a.first.Token)
	}
}
