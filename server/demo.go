package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/internal/auth"
	"causeway/internal/connection"
	"causeway/internal/platform/simulator"
)

// demoEvery is how often, on average, one of the demo's customers does something.
const demoEvery = 3 * time.Second

// serveDemo serves on a throw-away database with a simulated Telegram, a campaign
// with a bot of it, and customers who write to the bot, until ctx ends.
func serveDemo(ctx context.Context, cfg settings, out io.Writer, log *slog.Logger) (err error) {
	if cfg.Data, err = os.MkdirTemp("", "causeway-demo-"); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.Data)) }()
	platform := simulator.NewTelegram(simulator.Options{})
	if err := platform.Start(); err != nil {
		return err
	}
	defer platform.Close()
	cfg.TelegramAPIURL, cfg.PublicURL = webURL(platform.URL()), ownAddress
	a, err := start(ctx, cfg, log)
	if err != nil {
		return err
	}
	d, err := a.setUpDemo(ctx, platform)
	if err != nil {
		return errors.Join(err, a.stop())
	}
	customers, stop := context.WithCancel(ctx)
	left := make(chan struct{})
	go func() {
		defer close(left)
		platform.Demo(customers, d.bot, simulator.DemoOptions{Every: demoEvery})
	}()
	defer func() { stop(); <-left }()
	if d.conversation, err = a.firstConversation(ctx, d.campaign); err != nil {
		return errors.Join(err, a.stop())
	}
	a.greet(out)
	d.explain(out, a.url)
	return a.wait(ctx)
}

// demo is what the demo's visitor is told of.
type demo struct {
	token        string
	campaign     causeway.ID
	bot          *simulator.Bot
	conversation causeway.ID // the first customer's, to answer in
}

// setUpDemo makes the campaign and connects its bot as an administrator would.
func (a *app) setUpDemo(ctx context.Context, platform *simulator.Telegram) (*demo, error) {
	d := &demo{token: a.first.Token}
	if d.token == "" {
		d.token = a.settings.AdminToken
	}
	viewer, err := a.auth.Authenticate(ctx, d.token)
	if err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	ctx = auth.WithViewer(ctx, viewer)
	description := "Customers of a small shop write to its Telegram bot."
	if d.campaign, err = a.campaigns.Create(ctx, "Demo shop", &description); err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	d.bot = platform.AddBot("demo_shop_bot", "Demo Shop", simulator.WithoutPrivacy(), simulator.WithAvatar())
	_, err = a.connections.ConnectTelegramBot(ctx, connection.Input{
		CampaignID: d.campaign, BotToken: d.bot.Token(), Enabled: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	return d, nil
}

// firstConversation waits until a customer has written. A demo that is ended before
// has none.
func (a *app) firstConversation(ctx context.Context, campaign causeway.ID) (causeway.ID, error) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		id, err := a.store.Reader().Conversation.Query().Where(conversation.CampaignID(campaign), conversation.TitleIsNil()).FirstID(ctx)
		if err == nil || ctx.Err() != nil {
			return id, nil
		}
		if !ent.IsNotFound(err) {
			return "", fmt.Errorf("wait for the demo's first customer: %w", err)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// explain shows a new user what to paste.
func (d *demo) explain(out io.Writer, url string) {
	subscription := fmt.Sprintf(`subscription { messageAdded(campaignId: %q) { cursor message { text contact { name } attachments { kind name } conversation { id title } } } }`, d.campaign)
	fmt.Fprintf(out, `
This is the demo: nothing is kept, Telegram is simulated, and customers write every few seconds.

Watch them write, in another terminal:

  curl -N %s/graphql -H 'Authorization: Bearer %s' \
    -H 'Accept: text/event-stream' -H 'Content-Type: application/json' \
    -d '{"query":"subscription { messageAdded(campaignId: \"%s\") { cursor message { text contact { name } } } }"}'

Or paste this into a GraphQL client that speaks graphql-transport-ws, with the
connection_init payload {"authorization": "Bearer %s"}:

  %s

Answer the first customer, and watch them answer you; "status" goes from QUEUED to SENT:

  curl %s/graphql -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
    -d '{"query":"mutation { sendMessage(input: {conversationId: \"%s\", text: \"Hello! How can we help?\"}) { message { id status } userErrors { message solutions } } }"}'

And read what was said:

  query { campaign(id: %q) { conversations(first: 10) { edges { node { title unreadCount contact { name language } lastMessage { text } } } } } }

`, url, d.token, d.campaign, d.token, subscription, url, d.token, d.conversation, d.campaign)
}
