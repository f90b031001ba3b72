package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	gqltransport "github.com/99designs/gqlgen/graphql/handler/transport"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/graph"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/campaign"
	linked "causeway/internal/connection"
	talk "causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/problem"
	"causeway/internal/store"
	"causeway/internal/transport"
)

const token = "an-administrator-of-the-benchmark"

// text is a message's text: its number and what makes a frame about 425 bytes.
func text(number int) string {
	return fmt.Sprintf("#%08d %s", number, strings.Repeat("lorem ipsum ", 14))
}

// product is this program's store, feed and schema.
type product struct {
	db       *store.Store
	feed     *feed.Feed
	auth     *auth.Service
	schema   graphql.ExecutableSchema
	resolver *graph.Resolver

	campaign, connection, contact, conversation causeway.ID
	storing                                     atomic.Int64 // CPU time in nanoseconds
}

// newProduct builds the rooms between a stored event and a socket; own tells whether
// with this program's transport or gqlgen's.
func newProduct(ctx context.Context, data string, own bool) (*service, error) {
	log, clock, local := slog.New(slog.DiscardHandler), causeway.System{}, bus.NewLocal()
	db, err := store.Open(ctx, store.Config{Address: "sqlite:" + filepath.Join(data, "causeway.db"), Log: log})
	if err != nil {
		return nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	p := &product{db: db}
	p.auth = auth.New(auth.Config{Store: db, Bus: local, Clock: clock, Log: log, AdminToken: token})
	if _, err := p.auth.EnsureAdmin(ctx, "admin@example.com", ""); err != nil {
		return nil, err
	}
	p.feed = feed.New(feed.Config{Store: db, Bus: local, Clock: clock, Log: log})
	problems, err := problem.New()
	if err != nil {
		return nil, err
	}
	viewers := db.NewReader()
	auth.Guard(viewers)
	campaign.Guard(viewers)
	linked.Guard(viewers)
	intake.Guard(viewers)
	talk.Guard(viewers)
	feed.Guard(viewers)
	p.resolver = &graph.Resolver{
		Viewers: viewers, Auth: p.auth, Store: db, Feed: p.feed, Bus: local, Problems: problems, Clock: clock, Log: log,
	}
	p.schema = graph.NewSchema(p.resolver)
	if err := p.seed(ctx); err != nil {
		return nil, err
	}
	s := &service{emit: p.emit, storing: func() time.Duration { return time.Duration(p.storing.Load()) }}
	closers := []func() error{p.feed.Close, p.auth.Close, local.Close, db.Close}
	if own {
		h := p.ownTransport()
		s.graphql, closers = h, append([]func() error{h.Close}, closers...)
	} else {
		s.graphql = p.gqlgensTransport()
	}
	s.graphql = p.telling(s.graphql)
	s.close = func() error {
		var errs []error
		for _, close := range closers {
			errs = append(errs, close())
		}
		return errors.Join(errs...)
	}
	return s, nil
}

// telling answers the campaign's id to who asks with GET ?campaign.
func (p *product) telling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("campaign") {
			_, _ = fmt.Fprint(w, p.campaign)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *product) authenticate(ctx context.Context, bearer string) (context.Context, error) {
	viewer, err := p.auth.Authenticate(ctx, bearer)
	if err != nil {
		return ctx, err
	}
	return auth.WithViewer(ctx, viewer), nil
}

func (p *product) ownTransport() *transport.Handler {
	r := p.resolver
	return transport.New(transport.Config{
		Schema:       p.schema,
		Authenticate: p.authenticate,
		SignedIn:     func(ctx context.Context) bool { _, err := auth.From(ctx); return err == nil },
		Prepare:      graph.WithLanguage,
		Watch: func(ctx context.Context, ended func(error)) func() {
			return r.Auth.Access().Notify(ctx, "", "", ended)
		},
		Share: r.Share, PositionArgument: graph.PositionArgument, EventID: r.EventID,
		PublicFields: graph.PublicFields(), Unauthenticated: r.Unauthenticated,
		ErrorPresenter: r.PresentError, Recover: r.Recover, Extensions: r.Extensions(),
		Limits: transport.Limits{Rate: -1}, // all sockets come with one token
	})
}

// gqlgensTransport is gqlgen's WebSocket as it comes, with its executor and cache as
// its own server has them.
func (p *product) gqlgensTransport() http.Handler {
	server := handler.New(p.schema)
	server.AddTransport(gqltransport.Websocket{
		InitFunc: func(ctx context.Context, payload gqltransport.InitPayload) (context.Context, *gqltransport.InitPayload, error) {
			ctx, err := p.authenticate(ctx, strings.TrimPrefix(payload.Authorization(), "Bearer "))
			return ctx, nil, err
		},
		KeepAlivePingInterval: 25 * time.Second,
	})
	server.SetErrorPresenter(p.resolver.PresentError)
	server.SetRecoverFunc(p.resolver.Recover)
	for _, e := range p.resolver.Extensions() {
		server.Use(e)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.ServeHTTP(w, r.WithContext(graph.WithLanguage(r.Context(), "")))
	})
}

// seed makes one campaign with one chat.
func (p *product) seed(ctx context.Context) error {
	now := causeway.Stamp(time.Now())
	return p.db.InTx(ctx, func(tx *store.Tx) error {
		shop, err := tx.Campaign.Create().SetName("Shop").SetCreatedAt(now).Save(ctx)
		if err != nil {
			return err
		}
		bot, err := tx.Connection.Create().SetCampaignID(shop.ID).SetPlatform(platform.Telegram).SetAccountID("1").
			SetProfile(platform.Profile{}).SetName("Bot").SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("benchmark").
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(now).Save(ctx)
		if err != nil {
			return err
		}
		lan, err := tx.Contact.Create().SetCampaignID(shop.ID).SetConnectionID(bot.ID).SetAccountID("1").
			SetPlatform(platform.Telegram).SetExternalID("7").SetName("Lan").SetCreatedAt(now).Save(ctx)
		if err != nil {
			return err
		}
		chat, err := tx.Conversation.Create().SetCampaignID(shop.ID).SetConnectionID(bot.ID).SetAccountID("1").
			SetPlatform(platform.Telegram).SetContactID(lan.ID).SetChat("7").SetStatus(conversation.StatusOpen).
			SetLastMessageAt(now).SetCreatedAt(now).Save(ctx)
		if err != nil {
			return err
		}
		p.campaign, p.connection, p.contact, p.conversation = shop.ID, bot.ID, lan.ID, chat.ID
		return nil
	})
}

// emit stores messages and their events in one transaction, as a busy moment's are.
// What that costs until the commit is counted apart: the path begins with the stored
// event.
func (p *product) emit(ctx context.Context, first, n int) (stored time.Time, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := cpuTime(rusageThread)
	now := causeway.Stamp(time.Now())
	err = p.db.InTx(ctx, func(tx *store.Tx) error {
		tx.AfterCommit(func() {
			stored = time.Now()
			p.storing.Add(int64(cpuTime(rusageThread) - began))
		})
		rows := make([]*ent.MessageCreate, n)
		for i := range rows {
			rows[i] = tx.Message.Create().SetCampaignID(p.campaign).SetConnectionID(p.connection).SetAccountID("1").
				SetConversationID(p.conversation).SetContactID(p.contact).SetSeq(int64(first + i)).
				SetDirection(message.DirectionInbound).SetAuthorKind(message.AuthorKindCustomer).
				SetText(text(first + i)).SetStatus(message.StatusReceived).SetSentAt(now).SetCreatedAt(now)
		}
		saved, err := tx.Message.CreateBulk(rows...).Save(ctx)
		if err != nil {
			return err
		}
		for _, m := range saved {
			p.feed.Append(tx, feed.Event{
				Campaign: p.campaign, Kind: feedevent.KindMessage, Change: string(feed.ChangeAdded),
				Conversation: p.conversation, Message: m.ID, Connection: p.connection,
			})
		}
		return nil
	})
	return stored, err
}
