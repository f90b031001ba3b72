package connection

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	entsql "entgo.io/ent/dialect/sql"
	"golang.org/x/text/language"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/auth"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/store"
)

const (
	maxName = 200 // characters of a connection's name
	// makingLease keeps the health check from a connection that is being made: longer
	// than all calls together may take.
	makingLease = 2 * time.Minute
)

// Input is what somebody enters to connect a bot. Nil is not given.
type Input struct {
	CampaignID  causeway.ID
	BotToken    string
	BotUsername *string // with or without @
	BotName     *string
	Language    *string // BCP 47
	Enabled     bool
}

// Result is the connection that was made or authorised again, and the report on it.
type Result struct {
	Connection causeway.ID
	Report     causeway.ID
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

	i := s.inspect(s.bot(in.BotToken))
	if err := i.recognise(ctx, in, account); err != nil {
		return Result{}, err
	}
	ctx = context.WithoutCancel(ctx)
	c, err := s.claim(ctx, viewer, in, i)
	if err != nil {
		return Result{}, err
	}
	return s.link(ctx, c, in, i)
}

// checked is the input in the form it is stored in, and the bot's id that the token
// claims.
func (in Input) checked() (Input, string, error) {
	in.BotToken = strings.TrimSpace(in.BotToken)
	account, ok := telegram.ParseToken(in.BotToken)
	if !ok {
		return in, "", causeway.Fail(causeway.InvalidBotToken).At("input", "botToken")
	}
	if in.BotName != nil {
		name := strings.TrimSpace(store.Clean(*in.BotName))
		if utf8.RuneCountInString(name) > maxName {
			return in, "", causeway.Invalid(causeway.ReasonTooLong, "input", "botName").With("max", fmt.Sprint(maxName))
		}
		in.BotName = given(name)
	}
	if in.BotUsername != nil {
		in.BotUsername = given(strings.TrimPrefix(strings.TrimSpace(*in.BotUsername), "@"))
	}
	if in.Language != nil {
		tag, err := language.Parse(strings.TrimSpace(*in.Language))
		if err != nil {
			return in, "", causeway.Invalid(causeway.ReasonBadLanguage, "input", "language")
		}
		in.Language = given(tag.String())
	}
	return in, account, nil
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// recognise asks the platform whose token this is and which webhook it has, before
// anything is stored or changed.
func (i *inspection) recognise(ctx context.Context, in Input, account string) error {
	err := i.identify(ctx)
	if unauthorized(err) {
		refusal := platform.Refused(err)
		return causeway.Fail(causeway.InvalidBotToken).At("input", "botToken").Platform(refusal.Code, refusal.Message).Because(err)
	}
	if err != nil {
		return trouble(err)
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
		return trouble(i.webhookErr)
	}
	if i.foreign() && i.svc.delivery() == entconnection.DeliveryPolling {
		problem, _ := taken(i.webhook.URL)
		return problem.At("input", "botToken")
	}
	return nil
}

// claim is the hold that connecting has on a connection before the platform is asked
// to deliver to it.
type claim struct {
	id     causeway.ID
	key    string
	token  []byte // sealed
	secret []byte // sealed
	opened string // the secret
	// was are the values of a revived connection, to put back if the platform refuses;
	// nil for a new one, and for one that is authorised again, whose row is not touched
	// before the platform has answered.
	was     *ent.Connection
	again   bool
	present []byte // the sealed token the row has while the platform is asked
	by      string // who connects
}

// claim finds or makes the connection's row. The unique index on live accounts
// decides between campaigns; who loses to its own campaign finds the winner's row.
func (s *Service) claim(ctx context.Context, viewer *auth.Viewer, in Input, i *inspection) (*claim, error) {
	c, err := s.tryClaim(ctx, viewer, in, i)
	if store.IsTaken(err) {
		c, err = s.tryClaim(ctx, viewer, in, i)
	}
	if store.IsTaken(err) {
		return nil, causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyElsewhere).At("input", "botToken").CanRetry()
	}
	if err != nil {
		return nil, err
	}
	if c.was != nil { // its address is open again, before the platform posts there
		s.changed(c.id)
	}
	c.by = viewer.Name
	i.of = subject{id: c.id, account: i.profile.ID, key: c.key, secret: c.opened, connecting: true}
	return c, nil
}

func (s *Service) tryClaim(ctx context.Context, viewer *auth.Viewer, in Input, i *inspection) (*claim, error) {
	var c *claim
	var elsewhere causeway.ID
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		c, elsewhere = nil, ""
		if err := auth.Writable(ctx, tx, in.CampaignID, "input", "campaignId"); err != nil {
			return err
		}
		row, err := s.existing(ctx, tx, in.CampaignID, i.profile.ID)
		switch {
		case err != nil:
			return err
		case row == nil, row.DisconnectedAt != nil && row.CampaignID != in.CampaignID: // disconnected just now
			c, err = s.begin(ctx, tx, viewer, in, i)
		case row.DisconnectedAt != nil:
			c, err = s.revive(ctx, tx, row, in.BotToken)
		case row.CampaignID != in.CampaignID:
			elsewhere = row.CampaignID
		default:
			c, err = s.again(row, in.BotToken)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if elsewhere != "" {
		return nil, s.alreadyConnected(ctx, elsewhere)
	}
	return c, nil
}

// existing is the row that decides what connecting an account means: the live one,
// wherever it is, else the last one of this campaign; nil if there is none.
func (s *Service) existing(ctx context.Context, tx *store.Tx, campaign causeway.ID, account string) (*ent.Connection, error) {
	ofAccount := entconnection.And(entconnection.PlatformEQ(platform.Telegram), entconnection.AccountID(account))
	id, err := tx.Connection.Query().
		Where(ofAccount, entconnection.DisconnectedAtIsNil()).
		OnlyID(ctx)
	if ent.IsNotFound(err) {
		id, err = tx.Connection.Query().
			Where(ofAccount, entconnection.CampaignID(campaign)).
			Order(entconnection.ByDisconnectedAt(entsql.OrderDesc()), entconnection.ByID(entsql.OrderDesc())).
			FirstID(ctx)
	}
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return lock(ctx, tx, id)
}

// begin inserts a new connection that is not registered yet. If nothing more comes of
// it, the health check goes on from here.
func (s *Service) begin(ctx context.Context, tx *store.Tx, viewer *auth.Viewer, in Input, i *inspection) (*claim, error) {
	c := &claim{id: causeway.NewID(causeway.PrefixConnection), key: newWebhookKey()}
	if err := s.seal(c, in.BotToken, newWebhookSecret()); err != nil {
		return nil, err
	}
	c.present = c.token
	now := s.clock.Now()
	name := i.profile.Name
	if in.BotName != nil {
		name = *in.BotName
	}
	return c, tx.Connection.Create().
		SetID(c.id).
		SetCampaignID(in.CampaignID).
		SetPlatform(platform.Telegram).
		SetAccountID(i.profile.ID).
		SetProfile(*i.profile).
		SetName(name).
		SetNillableLanguage(in.Language).
		SetEnabled(in.Enabled).
		SetAuthorizedBy(viewer.Name).
		SetStatus(entconnection.StatusError).
		SetProblem(i.stamped(causeway.Fail(causeway.WebhookNotRegistered))).
		SetSealedToken(c.token).
		SetTokenValid(true).
		SetTokenRefreshedAt(now).
		SetDelivery(s.delivery()).
		SetWebhookKey(c.key).
		SetSealedWebhookSecret(c.secret).
		SetWebhookStatus(entconnection.WebhookStatusInactive).
		SetConnectedAt(now).
		SetNextCheckAt(now).
		SetLeasedUntil(now.Add(makingLease)).
		Exec(ctx)
}

// revive makes a disconnected connection live again, not registered yet.
func (s *Service) revive(ctx context.Context, tx *store.Tx, row *ent.Connection, token string) (*claim, error) {
	c := &claim{id: row.ID, key: row.WebhookKey, was: row}
	if err := s.seal(c, token, newWebhookSecret()); err != nil {
		return nil, err
	}
	c.present = c.token
	now := s.clock.Now()
	return c, tx.Connection.UpdateOne(row).
		ClearDisconnectedAt().
		SetStatus(entconnection.StatusError).
		SetProblem(&causeway.Problem{Code: causeway.WebhookNotRegistered, OccurredAt: now}).
		SetSealedToken(c.token).
		SetTokenValid(true).
		SetDelivery(s.delivery()).
		SetSealedWebhookSecret(c.secret).
		SetWebhookStatus(entconnection.WebhookStatusInactive).
		ClearRegisteredAt().
		SetPollOffset(0). // Telegram may have begun to count anew
		SetNextCheckAt(now).
		SetLeasedUntil(now.Add(makingLease)).
		Exec(ctx)
}

// again leaves a live connection as it is until the platform has answered. The
// webhook keeps its key and secret, so that no update is turned away in between.
func (s *Service) again(row *ent.Connection, token string) (*claim, error) {
	if sealed(row.SealedToken) == nil {
		return nil, fmt.Errorf("authorise %s again: it has no token", row.ID)
	}
	c := &claim{id: row.ID, key: row.WebhookKey, again: true, present: sealed(row.SealedToken)}
	of, err := s.subject(row)
	if err != nil || of.secret == "" {
		of.secret = newWebhookSecret() // the old one is lost, with its key
	}
	return c, s.seal(c, token, of.secret)
}

func (s *Service) seal(c *claim, token, secret string) error {
	var err error
	if c.token, err = s.keys.Seal([]byte(token), c.id); err != nil {
		return err
	}
	c.opened = secret
	c.secret, err = s.keys.Seal([]byte(secret), c.id)
	return err
}

// link registers, asks the rest, and records it; or takes the claim back.
func (s *Service) link(ctx context.Context, c *claim, in Input, i *inspection) (Result, error) {
	if err := i.rest(ctx); err != nil {
		return Result{}, err
	}
	if i.registerError != nil && refused(i.registerError) {
		if err := s.unclaim(ctx, c); err != nil {
			return Result{}, err
		}
		return Result{}, subscriptionFailed(i.registerError)
	}
	now := s.clock.Now()
	i.action, i.details = "connectTelegramBot", map[string]any{
		"bot": i.profile.ID, "username": i.profile.Username, "again": c.again || c.was != nil,
	}
	report, err := s.record(ctx, i, testreport.KindConnection, c.present, func(update *ent.ConnectionUpdateOne) {
		update.SetSealedToken(c.token).SetSealedWebhookSecret(c.secret).SetTokenRefreshedAt(now).SetAuthorizedBy(c.by)
		if c.was != nil || c.again {
			update.SetReconnectedAt(now)
		}
		in.amend(update, c)
	})
	if errors.Is(err, errStale) {
		return Result{}, causeway.Fail(causeway.Conflict).CanRetry().Because(err)
	}
	if err != nil {
		return Result{}, err
	}
	s.log.InfoContext(ctx, "a bot was connected", "connection", c.id, "campaign", in.CampaignID, "again", c.again, "revived", c.was != nil)
	return Result{Connection: c.id, Report: report}, nil
}

// amend sets what was entered on a connection that was there before. What was not
// entered stays; since enabled cannot be left out, only switching off is believed of
// a connection that is live.
func (in Input) amend(update *ent.ConnectionUpdateOne, c *claim) {
	if in.BotName != nil {
		update.SetName(*in.BotName)
	}
	if in.Language != nil {
		update.SetLanguage(*in.Language)
	}
	if c.was != nil || !in.Enabled {
		update.SetEnabled(in.Enabled)
	}
}

// alreadyConnected tells where a bot is connected, if the viewer may know.
func (s *Service) alreadyConnected(ctx context.Context, campaign causeway.ID) error {
	taken := causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyElsewhere).At("input", "botToken")
	if _, err := auth.RoleIn(ctx, s.store.Reader(), campaign); err != nil {
		return taken
	}
	row, err := s.store.Reader().Campaign.Get(ctx, campaign)
	if err != nil {
		return taken
	}
	return causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyHere).
		With("campaign", row.Name).At("input", "botToken")
}

// mayChange is nil for managers of a campaign that is not archived. What is written
// later asks again, within its transaction.
func (s *Service) mayChange(ctx context.Context, campaign causeway.ID, path ...string) error {
	if err := auth.Manager(ctx, s.store.Reader(), campaign, path...); err != nil {
		return err
	}
	row, err := s.store.Reader().Campaign.Get(ctx, campaign)
	if ent.IsNotFound(err) {
		return causeway.Missing(path...)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", campaign, err)
	}
	if row.ArchivedAt != nil {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonArchived).At(path...)
	}
	return nil
}
