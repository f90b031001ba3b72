package connection

import (
	"context"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

// inspection is one look at a connection through the platform's eyes: the answers to
// its questions, and what follows from them. It asks in the order token, webhook,
// then what the two leave to be known; nothing is asked with a bad token. It writes
// nothing; record does.
type inspection struct {
	svc   *Service
	bot   *telegram.Client
	of    subject
	began time.Time
	// action is the mutation that asked for this look, for the audit log; empty: nobody
	// did. details are what the log says of it.
	action  string
	details map[string]any

	spent  map[platform.CheckName]time.Duration
	checks []platform.Check

	// What was seen.
	profile    *platform.Profile     // nil if the token was refused or nobody answered
	webhook    *telegram.WebhookInfo // as last read; nil if it could not be
	webhookErr error                 // why it could not be
	own        bool                  // the webhook's address is one of this server's

	// What follows.
	problem       *causeway.Problem // what keeps it from working; nil: it works
	proven        bool              // one look is enough to believe it
	warnings      []causeway.Problem
	hookProblem   *causeway.Problem
	hookStatus    entconnection.WebhookStatus // empty: nothing was learned of it
	registered    bool                        // the platform took our registration now
	registerError error                       // it was asked to and did not
}

// subject is what an inspection knows of the connection beforehand.
type subject struct {
	id         causeway.ID
	account    string
	key        string // of the webhook's address
	secret     string // of the webhook
	connecting bool   // somebody asked for it now: it is registered in any case
	registered bool   // by evidence of an earlier look, as this server wants it delivered
	since      time.Time
	received   time.Time // when an update last came in; zero if never
	due        *time.Time
	// reported is trouble that fetching met, which no question to the platform shows.
	reported *causeway.Problem
}

// subject reads a row as inspections see it.
func (s *Service) subject(row *ent.Connection) (subject, error) {
	of := subject{
		id: row.ID, account: row.AccountID, key: row.WebhookKey,
		registered: row.RegisteredAt != nil && row.Delivery == s.delivery(), due: row.NextCheckAt,
		reported: reported(row),
	}
	if row.RegisteredAt != nil {
		of.since = *row.RegisteredAt
	}
	if row.LastReceivedAt != nil {
		of.received = *row.LastReceivedAt
	}
	if sealed(row.SealedWebhookSecret) == nil {
		return of, nil
	}
	secret, err := s.keys.Open(sealed(row.SealedWebhookSecret), row.ID)
	if err != nil {
		return subject{}, fmt.Errorf("open the webhook secret of %s: %w", row.ID, err)
	}
	of.secret = string(secret)
	return of, nil
}

func (s *Service) inspect(bot *telegram.Client) *inspection {
	return &inspection{svc: s, bot: bot, began: s.clock.Now(), spent: map[platform.CheckName]time.Duration{}}
}

// all asks everything of a connection that stands already.
func (i *inspection) all(ctx context.Context) error {
	if err := i.identify(ctx); err != nil {
		seen := "Telegram did not say whose token this is."
		if unauthorized(err) {
			seen = "Telegram refuses the token."
		}
		i.fail(platform.CheckToken, trouble(err), seen)
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
func (i *inspection) rest(ctx context.Context) error {
	i.pass(platform.CheckToken, "Telegram takes the token.")
	i.describe(ctx)
	if err := i.deliver(ctx); err != nil {
		return err
	}
	i.groups()
	return nil
}

// identify asks who the bot is.
func (i *inspection) identify(ctx context.Context) error {
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
func (i *inspection) describe(ctx context.Context) {
	err := i.timed(platform.CheckAccount, func() error {
		commands, err := i.bot.GetMyCommands(ctx)
		if err != nil {
			return err
		}
		avatar, err := i.bot.GetUserProfilePhotos(ctx, i.profile.ID)
		if err != nil {
			return err
		}
		i.profile.Commands, i.profile.AvatarRef = commands, avatar
		return nil
	})
	seen := i.profile.Name
	if i.profile.Username != "" {
		seen = "@" + i.profile.Username + ", " + seen
	}
	if err != nil {
		i.profile.Commands, i.profile.AvatarRef = nil, ""
		i.fail(platform.CheckAccount, trouble(err), "This is "+seen+"; its commands and picture could not be read.")
		return
	}
	i.pass(platform.CheckAccount, fmt.Sprintf("This is %s, with %s.", seen, counted(len(i.profile.Commands), "command")))
}

// groups judges whether the bot sees what is written in groups.
func (i *inspection) groups() {
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

// timed adds what asking takes to a check's time.
func (i *inspection) timed(name platform.CheckName, ask func() error) error {
	began := i.svc.clock.Now()
	err := ask()
	i.spent[name] += i.svc.clock.Now().Sub(began)
	return err
}

func (i *inspection) pass(name platform.CheckName, seen string) {
	i.add(name, platform.CheckPassed, seen, nil)
}

func (i *inspection) warn(name platform.CheckName, problem *causeway.Error, seen string) {
	i.add(name, platform.CheckWarning, seen, i.stamped(problem))
}

// fail adds a failed check. The first one that failed says what the trouble is, but
// trouble that may pass gives way to what was seen for certain.
func (i *inspection) fail(name platform.CheckName, problem *causeway.Error, seen string) {
	stamped := i.stamped(problem)
	i.add(name, platform.CheckFailed, seen, stamped)
	if i.problem == nil || i.problem.Retryable && !stamped.Retryable {
		i.problem = stamped
	}
}

func (i *inspection) skip(why string, names ...platform.CheckName) {
	for _, name := range names {
		i.add(name, platform.CheckSkipped, why, nil)
	}
}

func (i *inspection) add(name platform.CheckName, outcome platform.CheckOutcome, seen string, problem *causeway.Problem) {
	i.checks = append(i.checks, platform.Check{
		Name: name, Outcome: outcome, Message: seen, Problem: problem, Duration: i.spent[name],
	})
}

// stamped is the problem as it is stored.
func (i *inspection) stamped(err *causeway.Error) *causeway.Problem {
	problem := err.Problem
	problem.OccurredAt = i.svc.clock.Now()
	return &problem
}

// passed tells whether no check failed.
func (i *inspection) passed() bool {
	for _, check := range i.checks {
		if check.Outcome == platform.CheckFailed {
			return false
		}
	}
	return true
}

// invalid tells whether the platform refused the token.
func (i *inspection) invalid() bool {
	return i.problem != nil && i.problem.Code == causeway.TokenRevoked
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
