package connection

import (
	"context"
	"strings"

	"causeway"
	"causeway/internal/auth"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

// Input is what somebody enters to connect a bot. Nil is not given.
type Input struct {
	CampaignID  causeway.ID
	BotToken    string
	BotUsername *string // with or without @
	BotName     *string
	Language    *string // BCP 47
	Enabled     bool
	Queue       *causeway.ID // that what is new enters
	Assignee    *causeway.ID // who gets what is new; goes before Queue
}

// ConnectTelegramBot links a bot to a campaign of which the viewer is a manager. A
// bot that is connected there already is authorised again in place; one that was
// disconnected there is revived. Of several campaigns that ask at once, one gets it.
//
// A refusal by the platform leaves everything as it was. If the platform takes the
// token but does not answer when the webhook is registered, the connection stays, in
// ERROR, and the next check registers it. Once the platform has taken the token, the
// work is finished also if ctx ends.
func (s *Service) ConnectTelegramBot(ctx context.Context, in Input) (Result, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.mayChange(ctx, in.CampaignID, "input", "campaignId"); err != nil {
		return Result{}, err
	}
	in, account, err := in.checked()
	if err != nil {
		return Result{}, err
	}
	done, err := s.turns.take(ctx, account)
	if err != nil {
		return Result{}, err
	}
	defer done()

	look := s.lookAtBot(s.bot(in.BotToken))
	if err := look.recognise(ctx, in, account); err != nil {
		return Result{}, err
	}
	return s.link(context.WithoutCancel(ctx), look, newcomer{
		campaign: in.CampaignID, platform: platform.Telegram, token: in.BotToken, by: viewer.Name, action: "connectTelegramBot",
		options: Options{Name: in.BotName, Language: in.Language, Enabled: in.Enabled, Queue: in.Queue, Assignee: in.Assignee},
		field:   []string{"input", "botToken"},
	})
}

// checked is the input in the form it is stored in, and the bot's id that the token
// claims.
func (in Input) checked() (Input, string, error) {
	in.BotToken = strings.TrimSpace(in.BotToken)
	account, ok := telegram.ParseToken(in.BotToken)
	if !ok {
		return in, "", causeway.Fail(causeway.InvalidBotToken).At("input", "botToken")
	}
	var err error
	if in.BotName, err = checkedName(in.BotName, "input", "botName"); err != nil {
		return in, "", err
	}
	if in.BotUsername != nil {
		in.BotUsername = given(strings.TrimPrefix(strings.TrimSpace(*in.BotUsername), "@"))
	}
	in.Language, err = checkedLanguage(in.Language, "input", "language")
	return in, account, err
}

// ChangeTelegramBot puts another token of the same bot, or another bot, behind a
// connection of a campaign of which the viewer is a manager. Conversations of another
// bot stay, and nothing can be sent there any more. A refusal by the platform leaves
// everything as it was.
func (s *Service) ChangeTelegramBot(ctx context.Context, id causeway.ID, token string) (Result, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return Result{}, err
	}
	row, err := s.changeable(ctx, id, platform.Telegram)
	if err != nil {
		return Result{}, err
	}
	in, account, err := Input{BotToken: token}.checked()
	if err != nil {
		return Result{}, err
	}
	done, err := s.turns.take(ctx, account)
	if err != nil {
		return Result{}, err
	}
	defer done()
	look := s.lookAtBot(s.bot(in.BotToken))
	if err := look.recognise(ctx, in, account); err != nil {
		return Result{}, err
	}
	return s.exchange(ctx, row, func() (Result, error) {
		return s.link(context.WithoutCancel(ctx), look, newcomer{
			campaign: row.CampaignID, platform: platform.Telegram, token: in.BotToken, by: viewer.Name,
			options: Options{Enabled: row.Enabled}, field: []string{"input", "botToken"},
			action: "changeTelegramBot", into: row.ID,
		})
	})
}
