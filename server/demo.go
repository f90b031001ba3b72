package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/internal/auth"
	"causeway/internal/connection"
	"causeway/internal/platform/simulator"
	"causeway/internal/secret"
)

// demoEvery is how often, on average, one of the demo's customers does something.
const demoEvery = 3 * time.Second

// serveDemo serves on a throw-away database with a simulated Telegram and Facebook, a
// campaign with a bot and a page of them, and customers who write to both, until ctx
// ends. More of Facebook's pages can be connected by its login.
func serveDemo(ctx context.Context, cfg settings, out io.Writer, log *slog.Logger) (err error) {
	if cfg.Data, err = os.MkdirTemp("", "causeway-demo-"); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.Data)) }()
	telegram := simulator.NewTelegram(simulator.Options{})
	if err := telegram.Start(); err != nil {
		return err
	}
	defer telegram.Close()
	facebook := simulator.NewMessenger(simulator.MessengerOptions{})
	if err := facebook.Start(); err != nil {
		return err
	}
	defer facebook.Close()
	ours := facebook.AddApp("Causeway")
	cfg.TelegramAPIURL, cfg.PublicURL = webURL(telegram.URL()), ownAddress
	cfg.Facebook.GraphURL, cfg.Facebook.DialogURL = webURL(facebook.URL()), webURL(facebook.URL())
	cfg.Facebook.AppID, cfg.Facebook.AppSecret = ours.ID(), ours.Secret()
	cfg.Facebook.VerifyToken = secret.RandomToken(16)
	a, err := start(ctx, cfg, log)
	if err != nil {
		return err
	}
	d, err := a.setUpDemo(ctx, telegram, facebook, ours)
	if err != nil {
		return errors.Join(err, a.stop())
	}
	customers, leave := context.WithCancel(ctx)
	var writing sync.WaitGroup
	writing.Go(func() { telegram.Demo(customers, d.bot, simulator.DemoOptions{Every: demoEvery}) })
	writing.Go(func() { facebook.Demo(customers, d.page, simulator.DemoOptions{Every: demoEvery, Seed: 1}) })
	defer func() { leave(); writing.Wait() }()
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
	page         *simulator.Page
	conversation causeway.ID // the first customer's, to answer in
}

// setUpDemo makes the campaign and connects its bot and its page as an administrator
// would. Two further pages are left to be connected by a login.
func (a *app) setUpDemo(
	ctx context.Context, telegram *simulator.Telegram, facebook *simulator.Messenger, its *simulator.App,
) (*demo, error) {
	d := &demo{token: a.first.Token}
	if d.token == "" {
		d.token = a.settings.AdminToken
	}
	viewer, err := a.auth.Authenticate(ctx, d.token)
	if err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	ctx = auth.WithViewer(ctx, viewer)
	description := "Customers of a small shop write to its Telegram bot and its Facebook page."
	if d.campaign, err = a.campaigns.Create(ctx, "Demo shop", &description); err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	d.bot = telegram.AddBot("demo_shop_bot", "Demo Shop", simulator.WithoutPrivacy(), simulator.WithAvatar())
	_, err = a.connections.ConnectTelegramBot(ctx, connection.Input{
		CampaignID: d.campaign, BotToken: d.bot.Token(), Enabled: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	owner := facebook.AddPerson("Mai Pham")
	var pages []*simulator.Page
	for _, name := range []string{"Demo Shop", "Demo Café", "Demo Garden"} {
		page := facebook.AddPage(name)
		page.Appoints(owner)
		pages = append(pages, page)
	}
	d.page = pages[0]
	owner.Allows(its, pages[:1])
	_, err = a.connections.ConnectFacebookPageWithToken(ctx, connection.PageTokenInput{
		CampaignID: d.campaign, PageID: d.page.ID(), AccessToken: d.page.Token(its, owner),
		Options: connection.Options{Enabled: true},
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
This is the demo: nothing is kept, Telegram and Facebook are simulated, and customers write every few seconds.

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

More of Facebook's pages wait to be connected by a login. Open its authorizationUrl in a browser:

  mutation { startFacebookLogin(input: {campaignId: %q}) { login { id } authorizationUrl } }

`, url, d.token, d.campaign, d.token, subscription, url, d.token, d.conversation, d.campaign, d.campaign)
}
