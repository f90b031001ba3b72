package connection

import (
	"context"
	"fmt"
	"strings"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

// botLook is a look at a Telegram bot. It asks in the order token, webhook, then what
// the two leave to be known; nothing is asked with a bad token.
type botLook struct {
	inspection
	bot *telegram.Client

	webhook    *telegram.WebhookInfo // as last read; nil if it could not be
	webhookErr error                 // why it could not be
	own        bool                  // the webhook's address is one of this server's
}

var _ examiner = (*botLook)(nil)

func (s *Service) lookAtBot(bot *telegram.Client) *botLook {
	return &botLook{inspection: s.inspect(), bot: bot}
}

// recognise asks the platform whose token this is and which webhook it has, before
// anything is stored or changed.
func (i *botLook) recognise(ctx context.Context, in Input, account string) error {
	err := i.identify(ctx)
	if unauthorized(err) {
		refusal := platform.Refused(err)
		return causeway.Fail(causeway.InvalidBotToken).At("input", "botToken").Platform(refusal.Code, refusal.Message).Because(err)
	}
	if err != nil {
		return botTrouble(err)
	}
	if i.profile.ID != account {
		return causeway.Fail(causeway.InvalidBotToken).At("input", "botToken")
	}
	if in.BotUsername != nil && !strings.EqualFold(*in.BotUsername, i.profile.Username) {
		return causeway.Fail(causeway.BotUsernameMismatch).At("input", "botUsername")
	}
	if err := i.readWebhook(ctx); err != nil {
		return err
	}
	if i.webhookErr != nil {
		return botTrouble(i.webhookErr)
	}
	if i.foreign() && i.svc.delivery(platform.Telegram) == entconnection.DeliveryPolling {
		problem, _ := taken(i.webhook.URL)
		return problem.At("input", "botToken")
	}
	return nil
}

// examine asks everything of a connection that stands already.
func (i *botLook) examine(ctx context.Context) error {
	if err := i.identify(ctx); err != nil {
		seen := "Telegram did not say whose token this is."
		if unauthorized(err) {
			seen = "Telegram refuses the token."
		}
		i.fail(platform.CheckToken, botTrouble(err), seen)
		i.skip("Nothing can be asked without the token.",
			platform.CheckAccount, platform.CheckWebhookRegistration, platform.CheckPrivacyMode)
		return nil
	}
	if i.profile.ID != i.of.account {
		return fmt.Errorf("inspect %s: the token is of bot %s, not %s", i.of.id, i.profile.ID, i.of.account)
	}
	if err := i.readWebhook(ctx); err != nil {
		return err
	}
	return i.rest(ctx)
}

// rest asks what is left once the token was found good and the webhook was read.
func (i *botLook) rest(ctx context.Context) error {
	i.pass(platform.CheckToken, "Telegram takes the token.")
	i.describe(ctx)
	if err := i.deliver(ctx); err != nil {
		return err
	}
	i.groups()
	return nil
}

// identify asks who the bot is.
func (i *botLook) identify(ctx context.Context) error {
	return i.timed(platform.CheckToken, func() error {
		profile, err := i.bot.GetMe(ctx)
		if err == nil {
			i.profile = &profile
		}
		return err
	})
}

// describe asks for what else is known of the bot. It may be missing: then what was
// known before stays.
func (i *botLook) describe(ctx context.Context) {
	err := i.timed(platform.CheckAccount, func() error {
		commands, err := i.bot.GetMyCommands(ctx)
		if err != nil {
			return err
		}
		avatar, err := i.bot.GetUserProfilePhotos(ctx, i.profile.ID)
		if err != nil {
			return err
		}
		i.profile.AvatarRef = avatar
		if len(commands) > 0 { // none read like none stored
			i.profile.Commands = commands
		}
		return nil
	})
	seen := i.profile.Name
	if i.profile.Username != "" {
		seen = "@" + i.profile.Username + ", " + seen
	}
	if err != nil {
		i.profile.Commands, i.profile.AvatarRef = nil, ""
		i.fail(platform.CheckAccount, botTrouble(err), "This is "+seen+"; its commands and picture could not be read.")
		return
	}
	i.pass(platform.CheckAccount, fmt.Sprintf("This is %s, with %s.", seen, counted(len(i.profile.Commands), "command")))
}

// groups judges whether the bot sees what is written in groups.
func (i *botLook) groups() {
	switch {
	case !i.profile.CanJoinGroups:
		i.pass(platform.CheckPrivacyMode, "The bot does not join groups.")
	case !i.profile.PrivacyMode:
		i.pass(platform.CheckPrivacyMode, "Privacy mode is off: the bot sees everything in groups.")
	default:
		i.warn(platform.CheckPrivacyMode, causeway.Fail(causeway.PrivacyModeOn),
			"Privacy mode is on: in groups the bot sees only commands, mentions and replies.")
		i.warnings = append(i.warnings, *i.stamped(causeway.Fail(causeway.PrivacyModeOn)))
	}
}

// leave deletes this connection's webhook, and nobody else's.
func (i *botLook) leave(ctx context.Context) error {
	info, err := i.bot.GetWebhookInfo(ctx)
	if err != nil || !endsWithKey(info.URL, i.of.key) {
		return err
	}
	return i.bot.DeleteWebhook(ctx, false)
}
