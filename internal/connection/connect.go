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
	"causeway/internal/store"
)

const (
	maxName = 200 // characters of a connection's name
	// makingLease keeps the health check from a connection that is being made: longer
	// than all calls together may take.
	makingLease = 2 * time.Minute
)

// Options are what somebody chooses of a connection when it is made. Nil is not given.
type Options struct {
	Name     *string // the account's own if not given
	Language *string // BCP 47
	Enabled  bool
	Queue    *causeway.ID // that what is new enters
	Assignee *causeway.ID // who gets what is new; goes before Queue
}

// checked are the options in the form they are stored in.
func (o Options) checked() (Options, error) {
	var err error
	if o.Name, err = checkedName(o.Name, "input", "name"); err != nil {
		return o, err
	}
	o.Language, err = checkedLanguage(o.Language, "input", "language")
	return o, err
}

// Result is the connection that was made or authorised again, and the report on it.
type Result struct {
	Connection causeway.ID
	Report     causeway.ID
}

// newcomer is an account that the platform has recognised and that is to be connected.
type newcomer struct {
	campaign causeway.ID
	platform platform.Name
	token    string
	by       string // who authorised it
	action   string // the mutation, for the audit log
	options  Options
	field    []string // the input's, that named the account
	// into is the connection whose account this one replaces; empty: it is a new one.
	into causeway.ID
	// also adds what a platform's rows keep besides, sealed with the row's id; nil: nothing.
	also func(*ent.ConnectionMutation, causeway.ID) error
}

// keep adds what the platform's rows keep besides.
func (n newcomer) keep(m *ent.ConnectionMutation, id causeway.ID) error {
	if n.also == nil {
		return nil
	}
	return n.also(m, id)
}

func checkedName(name *string, path ...string) (*string, error) {
	if name == nil {
		return nil, nil
	}
	trimmed := strings.TrimSpace(store.Clean(*name))
	if utf8.RuneCountInString(trimmed) > maxName {
		return nil, causeway.Invalid(causeway.ReasonTooLong, path...).With("max", fmt.Sprint(maxName))
	}
	return given(trimmed), nil
}

func checkedLanguage(tag *string, path ...string) (*string, error) {
	if tag == nil {
		return nil, nil
	}
	parsed, err := language.Parse(strings.TrimSpace(*tag))
	if err != nil {
		return nil, causeway.Invalid(causeway.ReasonBadLanguage, path...)
	}
	return given(parsed.String()), nil
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// claim is the hold that connecting has on a connection before the platform is asked
// to deliver to it.
type claim struct {
	id     causeway.ID
	key    string
	token  []byte // sealed
	secret []byte // sealed
	opened string // the secret
	// was are the values of a connection that is revived or gets another account, to put
	// back if the platform refuses; nil for a new one, and for one that is authorised again, whose row is not touched
	// before the platform has answered.
	was     *ent.Connection
	again   bool
	changed bool   // was is live, with another account
	present []byte // the sealed token the row has while the platform is asked
}

// claim finds or makes the connection's row. The unique index on live accounts
// decides between campaigns; who loses to its own campaign finds the winner's row.
func (s *Service) claim(ctx context.Context, n newcomer, i *inspection) (*claim, error) {
	c, err := s.tryClaim(ctx, n, i)
	if store.IsTaken(err) {
		c, err = s.tryClaim(ctx, n, i)
	}
	if store.IsTaken(err) {
		return nil, causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyElsewhere).At(n.field...).CanRetry()
	}
	if err != nil {
		return nil, err
	}
	if c.was != nil { // its address is open again, before the platform posts there
		s.changed(c.id)
	}
	i.of = subject{id: c.id, account: i.profile.ID, key: c.key, secret: c.opened, connecting: true}
	return c, nil
}

func (s *Service) tryClaim(ctx context.Context, n newcomer, i *inspection) (*claim, error) {
	var c *claim
	var elsewhere causeway.ID
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		c, elsewhere = nil, ""
		if err := auth.Writable(ctx, tx, n.campaign, "input", "campaignId"); err != nil {
			return err
		}
		if err := checkEntry(tx, n.campaign, n.options.Queue, n.options.Assignee); err != nil {
			return err
		}
		row, err := s.existing(ctx, tx, n, i.profile.ID)
		switch {
		case err != nil:
			return err
		case n.into != "":
			c, elsewhere, err = s.replace(ctx, tx, row, n, i)
		case row == nil, row.DisconnectedAt != nil && row.CampaignID != n.campaign: // disconnected just now
			c, err = s.begin(ctx, tx, n, i)
		case row.DisconnectedAt != nil:
			c, err = s.revive(ctx, tx, row, n)
		case row.CampaignID != n.campaign:
			elsewhere = row.CampaignID
		default:
			c, err = s.again(row, n.token)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if elsewhere != "" {
		return nil, s.alreadyConnected(ctx, elsewhere, n.field...)
	}
	return c, nil
}

// existing is the row that decides what connecting an account means: the live one,
// wherever it is, else the last one of this campaign; nil if there is none.
func (s *Service) existing(ctx context.Context, tx *store.Tx, n newcomer, account string) (*ent.Connection, error) {
	ofAccount := entconnection.And(entconnection.PlatformEQ(n.platform), entconnection.AccountID(account))
	id, err := tx.Connection.Query().
		Where(ofAccount, entconnection.DisconnectedAtIsNil()).
		OnlyID(ctx)
	if ent.IsNotFound(err) {
		id, err = tx.Connection.Query().
			Where(ofAccount, entconnection.CampaignID(n.campaign)).
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
func (s *Service) begin(ctx context.Context, tx *store.Tx, n newcomer, i *inspection) (*claim, error) {
	c := &claim{id: causeway.NewID(causeway.PrefixConnection), key: newWebhookKey()}
	if err := s.seal(c, n.token, newWebhookSecret()); err != nil {
		return nil, err
	}
	c.present = c.token
	now := s.clock.Now()
	name := i.profile.Name
	if n.options.Name != nil {
		name = *n.options.Name
	}
	create := tx.Connection.Create().
		SetID(c.id).
		SetCampaignID(n.campaign).
		SetPlatform(n.platform).
		SetAccountID(i.profile.ID).
		SetProfile(*i.profile).
		SetName(name).
		SetNillableLanguage(n.options.Language).
		SetEnabled(n.options.Enabled).
		SetNillableQueueID(n.options.Queue).
		SetNillableAssigneeID(n.options.Assignee).
		SetAuthorizedBy(n.by).
		SetStatus(entconnection.StatusError).
		SetProblem(i.stamped(causeway.Fail(causeway.WebhookNotRegistered))).
		SetSealedToken(c.token).
		SetTokenValid(true).
		SetTokenRefreshedAt(now).
		SetDelivery(s.delivery(n.platform)).
		SetWebhookKey(c.key).
		SetSealedWebhookSecret(c.secret).
		SetWebhookStatus(entconnection.WebhookStatusInactive).
		SetConnectedAt(now).
		SetNextCheckAt(now).
		SetLeasedUntil(now.Add(makingLease))
	if err := n.keep(create.Mutation(), c.id); err != nil {
		return nil, err
	}
	return c, create.Exec(ctx)
}

// revive makes a disconnected connection live again, not registered yet.
func (s *Service) revive(ctx context.Context, tx *store.Tx, row *ent.Connection, n newcomer) (*claim, error) {
	c := &claim{id: row.ID, key: row.WebhookKey, was: row}
	if err := s.seal(c, n.token, newWebhookSecret()); err != nil {
		return nil, err
	}
	c.present = c.token
	now := s.clock.Now()
	update := tx.Connection.UpdateOne(row).
		ClearDisconnectedAt().
		SetStatus(entconnection.StatusError).
		SetProblem(&causeway.Problem{Code: causeway.WebhookNotRegistered, OccurredAt: now}).
		SetSealedToken(c.token).
		SetTokenValid(true).
		SetDelivery(s.delivery(n.platform)).
		SetSealedWebhookSecret(c.secret).
		SetWebhookStatus(entconnection.WebhookStatusInactive).
		ClearRegisteredAt().
		SetPollOffset(0). // Telegram may have begun to count anew
		SetNextCheckAt(now).
		SetLeasedUntil(now.Add(makingLease))
	if err := n.keep(update.Mutation(), c.id); err != nil {
		return nil, err
	}
	return c, update.Exec(ctx)
}

// replace puts another account behind the connection n.into, not registered yet. row is
// what existing found of the account: where that is live elsewhere, it stays there.
func (s *Service) replace(
	ctx context.Context, tx *store.Tx, row *ent.Connection, n newcomer, i *inspection,
) (c *claim, elsewhere causeway.ID, err error) {
	if row != nil && row.DisconnectedAt == nil && row.ID != n.into {
		return nil, row.CampaignID, nil
	}
	into, err := lock(ctx, tx, n.into)
	if err != nil {
		return nil, "", err
	}
	switch {
	case into.DisconnectedAt != nil:
		return nil, "", causeway.Fail(causeway.NotConnected).At("input", "connectionId")
	case into.AccountID == i.profile.ID:
		c, err = s.again(into, n.token)
		return c, "", err
	}
	c = &claim{id: into.ID, key: into.WebhookKey, was: into, changed: true}
	if err := s.seal(c, n.token, newWebhookSecret()); err != nil {
		return nil, "", err
	}
	c.present = c.token
	now := s.clock.Now()
	update := tx.Connection.UpdateOne(into).
		SetAccountID(i.profile.ID).
		SetProfile(*i.profile).
		SetStatus(entconnection.StatusError).
		SetProblem(&causeway.Problem{Code: causeway.WebhookNotRegistered, OccurredAt: now}).
		SetSealedToken(c.token).
		SetTokenValid(true).
		SetSealedWebhookSecret(c.secret).
		SetWebhookStatus(entconnection.WebhookStatusInactive).
		ClearWebhookProblem().
		ClearSubscribedFields().
		ClearPermissions().
		ClearWarnings().
		ClearTokenExpiresAt().
		ClearTokenRefreshAt().
		ClearDataAccessExpiresAt().
		ClearRegisteredAt().
		SetPollOffset(0).
		SetPlatformPending(0).
		SetNextCheckAt(now).
		SetLeasedUntil(now.Add(makingLease))
	if into.Name == into.Profile.Name { // nobody gave it a name of its own
		update.SetName(i.profile.Name)
	}
	if err := n.keep(update.Mutation(), c.id); err != nil {
		return nil, "", err
	}
	return c, "", update.Exec(ctx)
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

// link claims the connection's row, registers, asks the rest, and records it; or takes
// the claim back where the platform refuses.
func (s *Service) link(ctx context.Context, e examiner, n newcomer) (Result, error) {
	i := e.seen()
	c, err := s.claim(ctx, n, i)
	if err != nil {
		return Result{}, err
	}
	if err := e.rest(ctx); err != nil {
		return Result{}, err
	}
	if i.registerError != nil && refused(i.registerError) {
		if err := s.unclaim(ctx, c); err != nil {
			return Result{}, err
		}
		return Result{}, subscriptionFailed(i.registerError)
	}
	i.replaced = c.changed
	now := s.clock.Now()
	i.action, i.details = n.action, map[string]any{
		"platform": n.platform, "account": i.of.account, "again": c.again || c.was != nil,
	}
	report, err := s.record(ctx, i, testreport.KindConnection, c.present, func(update *ent.ConnectionUpdateOne) error {
		update.SetSealedToken(c.token).SetSealedWebhookSecret(c.secret).SetTokenRefreshedAt(now).SetAuthorizedBy(n.by)
		if c.was != nil || c.again {
			update.SetReconnectedAt(now)
		}
		n.options.amend(update, c)
		return n.keep(update.Mutation(), c.id)
	})
	if errors.Is(err, errStale) || ent.IsConstraintError(err) { // the queue was deleted meanwhile
		return Result{}, causeway.Fail(causeway.Conflict).CanRetry().Because(err)
	}
	if err != nil {
		return Result{}, err
	}
	s.log.InfoContext(ctx, "an account was connected", "connection", c.id, "platform", n.platform, "campaign", n.campaign,
		"again", c.again, "revived", c.was != nil)
	return Result{Connection: c.id, Report: report}, nil
}

// amend sets what was entered on a connection that was there before. What was not
// entered stays; since enabled cannot be left out, only switching off is believed of
// a connection that is live.
func (o Options) amend(update *ent.ConnectionUpdateOne, c *claim) {
	if o.Name != nil {
		update.SetName(*o.Name)
	}
	if o.Language != nil {
		update.SetLanguage(*o.Language)
	}
	if o.Queue != nil {
		update.SetQueueID(*o.Queue)
	}
	if o.Assignee != nil {
		update.SetAssigneeID(*o.Assignee)
	}
	if c.was != nil || !o.Enabled {
		update.SetEnabled(o.Enabled)
	}
}

// alreadyConnected tells where an account is connected, if the viewer may know.
func (s *Service) alreadyConnected(ctx context.Context, campaign causeway.ID, path ...string) error {
	taken := causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyElsewhere).At(path...)
	if _, err := auth.RoleIn(ctx, s.store.Reader(), campaign); err != nil {
		return taken
	}
	row, err := s.store.Reader().Campaign.Get(ctx, campaign)
	if err != nil {
		return taken
	}
	return causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyHere).
		With("campaign", row.Name).At(path...)
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
