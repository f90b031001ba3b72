package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"

	"causeway"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/store"
	"causeway/internal/webhook"
)

const (
	secretToken = "a-secret-token-of-the-benchmark"
	webhookKey  = "benchmark"
	maxBody     = 1 << 20
)

// mode is one way to take webhooks in.
type mode struct {
	name  string
	build func(ctx context.Context, data string) (*handled, error)
}

const baseMode = "hmac"

var modes = []mode{
	{"secret", plain(compareSecret)},
	{"hmac", plain(verifyHMAC)},
	{"ent", perRequest},
	{"stored", func(ctx context.Context, data string) (*handled, error) { return causewayPath(ctx, data, false) }},
	{"applied", func(ctx context.Context, data string) (*handled, error) { return causewayPath(ctx, data, true) }},
}

// handled is a mode's handler, what it finished, and how to end it.
type handled struct {
	http.Handler
	// finished is how many updates went all the way; nil where an answer is the end.
	finished *atomic.Int64
	close    func() error
}

// usage is what the load generator asks the server.
type usage struct {
	CPU      time.Duration
	Finished int64
}

// runServer serves one mode until standard input ends, and prints its address first.
func runServer(name, data, profiles string) error {
	for _, m := range modes {
		if m.name == name {
			if profiles != "" {
				stop, err := profile(filepath.Join(profiles, name+".pprof"))
				if err != nil {
					return err
				}
				defer stop()
			}
			return serveMode(m, data)
		}
	}
	return fmt.Errorf("no mode is called %q", name)
}

func profile(name string) (stop func(), err error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}

func serveMode(m mode, data string) error {
	h, err := m.build(context.Background(), data)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(webhook.TelegramPath, h)
	mux.HandleFunc("GET /usage", func(w http.ResponseWriter, _ *http.Request) {
		u := usage{CPU: cpuTime(), Finished: -1}
		if h.finished != nil {
			u.Finished = h.finished.Load()
		}
		_ = json.NewEncoder(w).Encode(u)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return h.close()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// plain serves a check of the body that stores nothing.
func plain(check func(r *http.Request, body []byte) bool) func(context.Context, string) (*handled, error) {
	return func(context.Context, string) (*handled, error) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil || !check(r, body) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		return &handled{Handler: h, close: func() error { return nil }}, nil
	}
}

func compareSecret(r *http.Request, _ []byte) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Telegram-Bot-Api-Secret-Token")), []byte(secretToken)) == 1
}

func verifyHMAC(r *http.Request, body []byte) bool {
	sent, err := hex.DecodeString(r.Header.Get("X-Signature"))
	return err == nil && hmac.Equal(sent, sign(body))
}

func sign(body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secretToken))
	mac.Write(body)
	return mac.Sum(nil)
}

// openStore is a fresh database with a campaign and a connection in it.
func openStore(ctx context.Context, data string) (*store.Store, *webhook.Endpoint, error) {
	db, err := store.Open(ctx, store.Config{Address: "sqlite:" + filepath.Join(data, "causeway.db")})
	if err != nil {
		return nil, nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return nil, nil, err
	}
	end := &webhook.Endpoint{
		Campaign: causeway.NewID(causeway.PrefixCampaign), Connection: causeway.NewID(causeway.PrefixConnection),
		Account: "123456789", Platform: platform.Telegram, Secret: []byte(secretToken),
	}
	now := causeway.System{}.Now()
	err = db.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Campaign.Create().SetID(end.Campaign).SetName("Benchmark").SetCreatedAt(now).Exec(ctx); err != nil {
			return err
		}
		return tx.Connection.Create().SetID(end.Connection).SetCampaignID(end.Campaign).
			SetPlatform(platform.Telegram).SetAccountID(end.Account).SetProfile(platform.Profile{ID: end.Account, Name: "Benchmark"}).
			SetName("Benchmark").SetStatus(connection.StatusActive).SetDelivery(connection.DeliveryWebhook).
			SetWebhookKey(webhookKey).SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(now).Exec(ctx)
	})
	return db, end, err
}

// perRequest is one durable transaction per request, through ent.
func perRequest(ctx context.Context, data string) (*handled, error) {
	db, end, err := openStore(ctx, data)
	if err != nil {
		return nil, err
	}
	var position atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || !verifyHMAC(r, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		envelope, err := telegram.Parser{}.Envelope(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		now := causeway.System{}.Now()
		err = db.InTx(r.Context(), func(tx *store.Tx) error {
			return tx.WebhookLog.Create().SetCampaignID(end.Campaign).SetConnectionID(end.Connection).
				SetAccountID(end.Account).SetUpdateKey(envelope.Key).SetEventType(envelope.Event).SetPayload(body).
				SetStatus(webhooklog.StatusPending).SetReceivedAt(now).SetNextTryAt(now).
				SetPosition(position.Add(1)).SetQueueKey(envelope.Chat).Exec(r.Context())
		})
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return &handled{Handler: h, close: db.Close}, nil
}

// fixed finds the one connection there is.
type fixed struct{ end *webhook.Endpoint }

func (f fixed) Find(context.Context, string) (*webhook.Endpoint, error) { return f.end, nil }

// causewayPath is this program's own path, up to the answer or up to a subscriber.
func causewayPath(ctx context.Context, data string, apply bool) (*handled, error) {
	db, end, err := openStore(ctx, data)
	if err != nil {
		return nil, err
	}
	local, clock := bus.NewLocal(), causeway.System{}
	updates := intake.New(intake.Config{Store: db, Bus: local, Clock: clock})
	updates.Start()
	hooks := webhook.New(webhook.Config{Connections: fixed{end}, Intake: updates, Clock: clock})
	h := &handled{Handler: hooks}
	closers := []func() error{hooks.Close, updates.Close}
	if apply {
		more, err := applyAndFollow(ctx, db, local, end, h)
		if err != nil {
			return nil, err
		}
		closers = append(closers, more...)
	}
	closers = append(closers, local.Close, db.Close)
	h.close = func() error {
		var errs []error
		for _, close := range closers {
			errs = append(errs, close())
		}
		return errors.Join(errs...)
	}
	return h, nil
}

// applyAndFollow processes what is stored, and counts the new messages that a
// follower of the campaign hears of.
func applyAndFollow(ctx context.Context, db *store.Store, b bus.Bus, end *webhook.Endpoint, h *handled) ([]func() error, error) {
	clock := causeway.System{}
	events := feed.New(feed.Config{Store: db, Bus: b, Clock: clock, Window: 1 << 20})
	conversations := conversation.New(conversation.Config{
		Store: db, Feed: events, Clock: clock,
		Parsers: map[platform.Name]platform.Parser{platform.Telegram: telegram.Parser{}},
	})
	processor := intake.NewProcessor(intake.ProcessorConfig{Store: db, Bus: b, Clock: clock, Apply: conversations.Apply})
	follower, err := events.Follow(ctx, end.Campaign, 0, feed.Filter{Changes: feed.OnlyAdded, Kind: "MESSAGE"})
	if err != nil {
		return nil, err
	}
	h.finished = &atomic.Int64{}
	go func() {
		for {
			if _, err := follower.Next(ctx); err != nil {
				return
			}
			h.finished.Add(1)
		}
	}()
	processor.Start()
	return []func() error{processor.Close, conversations.Close, events.Close}, nil
}
