package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to make and drop a database
	"golang.org/x/time/rate"

	"causeway"
	"causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	linked "causeway/internal/connection"
	talk "causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// lookEvery is how often it is looked whether everything was sent.
const lookEvery = 50 * time.Millisecond

// product is this program from an agent's message to the platform's answer.
type product struct {
	size
	db            *store.Store
	connections   *linked.Service
	conversations *talk.Service
	as            *auth.Viewer
	opened        []causeway.ID // conversations
}

func newProduct(ctx context.Context, telegramAt, postgres string, s size) (*part, error) {
	w, err := ask(telegramAt)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "causeway-bench-")
	if err != nil {
		return nil, err
	}
	closers := []func() error{func() error { return os.RemoveAll(folder) }}
	address := "sqlite:" + filepath.Join(folder, "causeway.db")
	if postgres != "" {
		var drop func() error
		if address, drop, err = makeDatabase(ctx, postgres); err != nil {
			return nil, err
		}
		closers = append(closers, drop)
	}
	db, err := store.Open(ctx, store.Config{Address: address})
	if err != nil {
		return nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	keys, err := secret.LoadOrCreate(filepath.Join(folder, "keys"))
	if err != nil {
		return nil, err
	}
	clock, local := causeway.System{}, bus.NewLocal()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	events := feed.New(feed.Config{Store: db, Bus: local, Clock: clock, Log: log})
	updates := intake.New(intake.Config{Store: db, Bus: local, Clock: clock, Log: log})
	p := &product{size: s, db: db}
	p.connections = linked.New(linked.Config{
		Store: db, Feed: events, Intake: updates, Keys: keys, Bus: local, Clock: clock, Log: log,
		TelegramURL: w.URL, CheckInterval: time.Hour,
	})
	p.conversations = talk.New(talk.Config{
		Store: db, Feed: events, Bus: local, Accounts: p.connections, Clock: clock, Log: log,
		Limits: map[platform.Name]platform.Limits{platform.Telegram: telegram.Limits()},
		Pace:   talk.Pace{Account: rate.Inf, Chat: rate.Inf},
	})
	closers = append(closers, db.Close, local.Close, updates.Close, events.Close, p.connections.Close, p.conversations.Close)
	slices.Reverse(closers)
	if err := p.open(ctx, w); err != nil {
		return nil, err
	}
	return &part{
		steps: map[string]func(context.Context) error{
			"start": p.start, "queue": p.queue, "deliver": p.deliver, "queueAndDeliver": p.queueAndDeliver,
		},
		close: func() error {
			var errs []error
			for _, close := range closers {
				errs = append(errs, close())
			}
			return errors.Join(errs...)
		},
	}, nil
}

// makeDatabase makes an empty database on a server, and tells its address and how to
// drop it.
func makeDatabase(ctx context.Context, server string) (address string, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.New("the PostgreSQL server's address is none") // it can hold a password
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return "", nil, err
	}
	name := "causeway_bench_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func() error {
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		return errors.Join(err, db.Close())
	}, nil
}

// open connects the bots and has a conversation with every customer.
func (p *product) open(ctx context.Context, w *world) error {
	campaign, now := causeway.NewID(causeway.PrefixCampaign), time.Now()
	p.as = &auth.Viewer{UserID: causeway.NewID(causeway.PrefixUser), Admin: true, Name: "Ana", Language: "en"}
	err := p.db.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Campaign.Create().SetID(campaign).SetName("Benchmark").SetCreatedAt(now).Exec(ctx); err != nil {
			return err
		}
		return tx.User.Create().SetID(p.as.UserID).SetEmail("ana@example.com").SetName(p.as.Name).
			SetRole(user.RoleAdmin).SetPasswordHash("none").SetCreatedAt(now).Exec(ctx)
	})
	if err != nil {
		return err
	}
	for _, b := range w.Bots {
		connected, err := p.connections.ConnectTelegramBot(auth.WithViewer(ctx, p.as),
			linked.Input{CampaignID: campaign, BotToken: b.Token, Enabled: true})
		if err != nil {
			return fmt.Errorf("connect a bot: %w", err)
		}
		account, _, _ := strings.Cut(b.Token, ":")
		for _, chat := range b.Chats {
			if err := p.converse(ctx, campaign, connected.Connection, account, strconv.FormatInt(chat, 10), now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *product) converse(ctx context.Context, campaign, connection causeway.ID, account, chat string, now time.Time) error {
	contact, id := causeway.NewID(causeway.PrefixContact), causeway.NewID(causeway.PrefixConversation)
	p.opened = append(p.opened, id)
	return p.db.InTx(ctx, func(tx *store.Tx) error {
		err := tx.Contact.Create().SetID(contact).SetCampaignID(campaign).SetConnectionID(connection).SetAccountID(account).
			SetPlatform(platform.Telegram).SetExternalID(chat).SetName("Customer").SetCreatedAt(now).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.Conversation.Create().SetID(id).SetCampaignID(campaign).SetConnectionID(connection).SetAccountID(account).
			SetPlatform(platform.Telegram).SetChat(chat).SetContactID(contact).SetStatus(conversation.StatusOpen).
			SetLastMessageAt(now).SetCreatedAt(now).SetCustomerWroteAt(now).Exec(ctx)
	})
}

func (p *product) start(context.Context) error { return p.conversations.Start(context.Background()) }

// queue has agents write everything.
func (p *product) queue(ctx context.Context) error {
	ctx = auth.WithViewer(ctx, p.as)
	return inTurn(len(p.opened), p.size, func(n, number int) error {
		_, err := p.conversations.Reply(ctx, talk.Reply{Conversation: p.opened[n], Text: text(number), Key: strconv.Itoa(number)})
		return err
	})
}

// deliver sends what is queued.
func (p *product) deliver(ctx context.Context) error {
	if err := p.start(ctx); err != nil {
		return err
	}
	return p.untilSent(ctx)
}

func (p *product) queueAndDeliver(ctx context.Context) error {
	if err := p.queue(ctx); err != nil {
		return err
	}
	return p.untilSent(ctx)
}

func (p *product) untilSent(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		var waits bool
		err := p.db.Readers().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE status = 'QUEUED')").Scan(&waits)
		if err != nil {
			return err
		}
		if !waits {
			break
		}
		<-look.C
	}
	sent, err := p.db.Reader().Message.Query().Where(message.StatusEQ(message.StatusSent)).Count(ctx)
	if err == nil && sent != p.all() {
		err = fmt.Errorf("only %d of %d messages became SENT", sent, p.all())
	}
	return err
}
