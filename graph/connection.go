package graph

import (
	"context"

	"causeway/ent"
	"causeway/ent/connection"
	"causeway/graph/model"
	connections "causeway/internal/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
)

// account is the page or bot behind a connection, as the platform described it.
func (r *Resolver) account(c *ent.Connection) model.ConnectedAccount {
	if c.Platform == platform.Messenger {
		page := facebookPage(c.Profile)
		page.AvatarURL, page.CampaignID = r.fileURL(c.ID, c.AvatarHash), c.CampaignID
		return page
	}
	bot := &model.TelegramBot{
		BotID:         c.AccountID,
		Username:      optional(c.Profile.Username),
		Name:          c.Profile.Name,
		AvatarURL:     r.fileURL(c.ID, c.AvatarHash),
		CanJoinGroups: c.Profile.CanJoinGroups,
		PrivacyMode:   c.Profile.PrivacyMode,
		Commands:      make([]*model.BotCommand, 0, len(c.Profile.Commands)),
	}
	for _, command := range c.Profile.Commands {
		bot.Commands = append(bot.Commands, &model.BotCommand{Command: command.Command, Description: command.Description})
	}
	return bot
}

func (r *Resolver) webhook(ctx context.Context, c *ent.Connection) *model.Webhook {
	w := &model.Webhook{
		Delivery:         c.Delivery,
		Status:           c.WebhookStatus,
		Problem:          r.problem(ctx, c.WebhookProblem),
		SubscribedFields: c.SubscribedFields,
		LastReceivedAt:   c.LastReceivedAt,
		TotalReceived:    c.TotalReceived,
		ErrorCount:       c.ErrorCount,
		RejectedCount:    c.RejectedCount,
		ConnectionID:     c.ID,
		Of:               c,
		PlatformPending:  c.PlatformPending,
	}
	if w.SubscribedFields == nil {
		w.SubscribedFields = []string{}
	}
	if c.Delivery == connection.DeliveryWebhook {
		w.URL = optional(r.Connections.WebhookAddress(c))
	}
	return w
}

// linked are what a mutation that looked at a connection answers, also where what it
// found is a problem.
func (r *Resolver) linked(ctx context.Context, result connections.Result, err error) (*ent.Connection, *ent.TestReport, []*model.Problem, error) {
	problems, err := r.userErrors(ctx, err)
	if err != nil {
		return nil, nil, nil, err
	}
	connection, err := read(ctx, result.Connection, r.Viewers.Connection.Get)
	if err != nil {
		return nil, nil, nil, err
	}
	report, err := read(ctx, result.Report, r.Viewers.TestReport.Get)
	return connection, report, problems, err
}

// linkedPages is what became of each page, in the order given.
func (r *Resolver) linkedPages(ctx context.Context, pages []connections.PageResult) ([]*model.ConnectFacebookPageResult, error) {
	results := make([]*model.ConnectFacebookPageResult, 0, len(pages))
	for _, page := range pages {
		connection, report, problems, err := r.linked(ctx, page.Result, page.Err)
		if err != nil {
			return nil, err
		}
		results = append(results, &model.ConnectFacebookPageResult{
			PageID: page.PageID, Connection: connection, Report: report, UserErrors: problems,
		})
	}
	return results, nil
}

func (r *Resolver) cards(ctx context.Context, cards []connections.Card) []*model.PlatformCard {
	shown := make([]*model.PlatformCard, 0, len(cards))
	for _, c := range cards {
		shown = append(shown, &model.PlatformCard{
			Platform:        c.Platform,
			Name:            c.Name,
			LogoURL:         c.LogoURL,
			Availability:    model.Availability(c.Availability),
			Problem:         r.problem(ctx, c.Problem),
			Connected:       c.Connections > 0,
			ConnectionCount: c.Connections,
		})
	}
	return shown
}

// chosen are the logs that a filter of the schema chooses.
func chosen(f model.WebhookLogFilter) intake.Filter {
	filter := intake.Filter{ReceivedAfter: f.ReceivedAfter.Value(), ReceivedBefore: f.ReceivedBefore.Value()}
	if status := f.Status.Value(); status != nil {
		filter.Status = *status
	}
	if event := f.EventType.Value(); event != nil {
		filter.Event = *event
	}
	return filter
}
