package graph

import (
	"context"

	"causeway/ent"
	"causeway/ent/connection"
	"causeway/graph/model"
	connections "causeway/internal/connection"
	"causeway/internal/intake"
)

// account is the page or bot behind a connection, as the platform described it.
func (r *Resolver) account(c *ent.Connection) model.ConnectedAccount {
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
		PlatformPending:  c.PlatformPending,
	}
	if w.SubscribedFields == nil {
		w.SubscribedFields = []string{}
	}
	if c.Delivery == connection.DeliveryWebhook {
		w.URL = optional(r.Connections.WebhookURL(c.WebhookKey))
	}
	return w
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
