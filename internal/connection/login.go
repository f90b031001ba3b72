package connection

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/facebooklogin"
	"causeway/internal/auth"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// LoginTopic is where the id of a Facebook login is hinted at when it moved.
const LoginTopic = "facebook-logins"

// CallbackPath is where Facebook's login dialog sends people back to.
const CallbackPath = "/oauth/facebook/callback"

const (
	// loginWaits is how long a person has for Facebook's dialog, and loginLasts how long
	// the pages they chose can be connected.
	loginWaits = 10 * time.Minute
	loginLasts = time.Hour
	// loginKept is how long a login is remembered after its end: so long is asked again
	// for what was refused in it.
	loginKept = 90 * 24 * time.Hour
	// sweepEvery is how often logins whose time is over are looked for. They are not taken
	// for anything else meanwhile.
	sweepEvery = time.Minute
	// sweepBatch bounds what one transaction of the sweep changes.
	sweepBatch = 100
)

// Started is a login that waits for the person to come back from Facebook.
type Started struct {
	Login causeway.ID
	// AuthorizationURL is where to send the person, in a popup.
	AuthorizationURL string
}

// StartLogin opens a Facebook login for a manager of a campaign. The popup will tell
// returnOrigin what became of it, and nobody else: an origin that is not this server's
// own or allowed is INVALID_INPUT; nil is this server's own. PLATFORM_NOT_CONFIGURED
// names the settings that are missing. The login is seen by the viewer alone, and
// waits ten minutes. What the person refused in their last login of this campaign is
// asked for again.
func (s *Service) StartLogin(ctx context.Context, campaign causeway.ID, returnOrigin *string) (Started, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return Started{}, err
	}
	if err := s.mayChange(ctx, campaign, "input", "campaignId"); err != nil {
		return Started{}, err
	}
	if lacks := s.facebookLacks(); lacks != nil {
		return Started{}, lacks
	}
	origin, err := s.returnOrigin(returnOrigin)
	if err != nil {
		return Started{}, err
	}
	again, err := s.refusedLast(ctx, campaign, viewer.UserID)
	if err != nil {
		return Started{}, err
	}
	id, state, now := causeway.NewID(causeway.PrefixFacebookLogin), secret.RandomToken(32), s.clock.Now()
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Writable(ctx, tx, campaign, "input", "campaignId"); err != nil {
			return err
		}
		return tx.FacebookLogin.Create().
			SetID(id).
			SetCampaignID(campaign).
			SetUserID(viewer.UserID).
			SetStateHash(secret.Hash(state)).
			SetReturnOrigin(origin).
			SetStatus(facebooklogin.StatusPending).
			SetExpiresAt(causeway.Stamp(now.Add(loginWaits))).
			SetCreatedAt(now).
			Exec(ctx)
	})
	if err != nil {
		return Started{}, err
	}
	return Started{Login: id, AuthorizationURL: s.app().DialogURL(messenger.Dialog{
		State: state, Redirect: s.callbackURL(), Scopes: messenger.Scopes(), ConfigID: s.facebook.ConfigID, Rerequest: again,
	})}, nil
}

// callbackURL is the same in the dialog and in the exchange, byte for byte.
func (s *Service) callbackURL() string { return s.publicURL + CallbackPath }

// returnOrigin is whom the popup may tell.
func (s *Service) returnOrigin(asked *string) (string, error) {
	own := originOf(s.publicURL)
	if asked == nil || *asked == "" {
		return own, nil
	}
	origin := originOf(*asked)
	if origin != "" && (origin == own || slices.ContainsFunc(s.origins, func(o string) bool { return originOf(o) == origin })) {
		return origin, nil
	}
	return "", causeway.Invalid(causeway.ReasonOriginNotAllowed, "input", "returnOrigin")
}

// originOf is an address's origin as browsers write it; empty if it has none.
func originOf(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"https": ":443", "http": ":80"} {
		if u.Scheme == scheme {
			host = strings.TrimSuffix(host, port)
		}
	}
	return u.Scheme + "://" + host
}

// refusedLast tells whether somebody's last answered login in a campaign lacked
// anything that was asked for.
func (s *Service) refusedLast(ctx context.Context, campaign, user causeway.ID) (bool, error) {
	last, err := s.store.Reader().FacebookLogin.Query().
		Where(facebooklogin.CampaignID(campaign), facebooklogin.UserID(user), facebooklogin.PermissionsNotNil()).
		Order(facebooklogin.ByCreatedAt(entsql.OrderDesc())).
		Select(facebooklogin.FieldPermissions).
		First(ctx)
	if ent.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the last login: %w", err)
	}
	asked := messenger.Scopes()
	return slices.ContainsFunc(last.Permissions, func(p platform.Permission) bool {
		return !p.Granted && slices.Contains(asked, p.Name)
	}), nil
}

// LoginStatus is what a login is now: EXPIRED when its time is over, whether its row
// says so already or not.
func (s *Service) LoginStatus(login *ent.FacebookLogin) facebooklogin.Status {
	waits := login.Status == facebooklogin.StatusPending || login.Status == facebooklogin.StatusAuthorized
	if waits && !s.clock.Now().Before(login.ExpiresAt) {
		return facebooklogin.StatusExpired
	}
	return login.Status
}

// LoginProblem is why nothing can be connected by a login, or nil: what made it fail,
// or LOGIN_EXPIRED.
func (s *Service) LoginProblem(login *ent.FacebookLogin) *causeway.Problem {
	if s.LoginStatus(login) == facebooklogin.StatusExpired {
		return &causeway.Problem{Code: causeway.LoginExpired, OccurredAt: login.ExpiresAt}
	}
	return login.Problem
}

// grantedLogin is a login by which the viewer may connect pages to a campaign now, with
// the person's token: NOT_FOUND at path if it is not the viewer's or not of the
// campaign, CONFLICT while Facebook was not answered, else the login's own problem.
func (s *Service) grantedLogin(ctx context.Context, campaign, id causeway.ID, path ...string) (*ent.FacebookLogin, messenger.Token, error) {
	login, err := s.viewers.FacebookLogin.Get(ctx, id)
	if ent.IsNotFound(err) || err == nil && login.CampaignID != campaign {
		return nil, "", causeway.Missing(path...)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", id, err)
	}
	switch status, problem := s.LoginStatus(login), s.LoginProblem(login); {
	case status == facebooklogin.StatusPending:
		return nil, "", causeway.FailWith(causeway.Conflict, causeway.ReasonLoginPending).At(path...).CanRetry()
	case problem != nil:
		return nil, "", (&causeway.Error{Problem: *problem}).At(path...)
	case status != facebooklogin.StatusAuthorized || sealed(login.SealedToken) == nil:
		return nil, "", causeway.Fail(causeway.LoginExpired).At(path...)
	}
	token, err := s.keys.Open(sealed(login.SealedToken), login.ID)
	if err != nil {
		return nil, "", fmt.Errorf("open the token of %s: %w", id, err)
	}
	return login, messenger.Token(token), nil
}

// sweepLogins ends logins whose time is over until the Service is closed.
func (s *Service) sweepLogins() {
	for {
		if err := s.endLogins(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("logins whose time is over were not ended", "error", err)
		}
		if !s.wait(s.ctx, sweepEvery, nil) {
			return
		}
	}
}

// endLogins makes logins EXPIRED whose time is over, erases the tokens they hold, and
// forgets those that ended long ago.
func (s *Service) endLogins(ctx context.Context) error {
	for {
		ended := 0
		err := s.store.InTx(ctx, func(tx *store.Tx) error {
			var err error
			ended, err = tx.Run(endOverdue(tx.SQL(), s.clock.Now()))
			return err
		})
		if err != nil {
			return fmt.Errorf("end logins: %w", err)
		}
		if ended < sweepBatch {
			break
		}
	}
	for {
		forgotten := 0
		err := s.store.InTx(ctx, func(tx *store.Tx) error {
			var err error
			forgotten, err = tx.Run(forgetLogins(tx.SQL(), s.clock.Now().Add(-loginKept)))
			return err
		})
		if err != nil {
			return fmt.Errorf("forget logins: %w", err)
		}
		if forgotten < sweepBatch {
			return nil
		}
	}
}

// endOverdue is the statement that ends logins; it runs along the index of their ends.
func endOverdue(db *entsql.DialectBuilder, now time.Time) entsql.Querier {
	waits := func() *entsql.Predicate {
		return entsql.And(
			entsql.LTE(facebooklogin.FieldExpiresAt, now),
			entsql.In(facebooklogin.FieldStatus, facebooklogin.StatusPending, facebooklogin.StatusAuthorized),
		)
	}
	some := db.Select(facebooklogin.FieldID).
		From(entsql.Table(facebooklogin.Table)).
		Where(waits()).
		OrderBy(facebooklogin.FieldExpiresAt).
		Limit(sweepBatch)
	return db.Update(facebooklogin.Table).
		Set(facebooklogin.FieldStatus, facebooklogin.StatusExpired).
		SetNull(facebooklogin.FieldSealedToken).
		SetNull(facebooklogin.FieldPages).
		Where(entsql.And(entsql.In(facebooklogin.FieldID, some), waits()))
}

// forgetLogins is the statement that deletes what ended before a time.
func forgetLogins(db *entsql.DialectBuilder, before time.Time) entsql.Querier {
	some := db.Select(facebooklogin.FieldID).
		From(entsql.Table(facebooklogin.Table)).
		Where(entsql.LT(facebooklogin.FieldExpiresAt, before)).
		OrderBy(facebooklogin.FieldExpiresAt).
		Limit(sweepBatch)
	return db.Delete(facebooklogin.Table).Where(entsql.In(facebooklogin.FieldID, some))
}

// moved tells whoever waits for a login that it is not as it was. Call it after the
// commit.
func (s *Service) moved(login causeway.ID) {
	if err := s.bus.Hint(LoginTopic, []byte(login)); err != nil {
		s.log.Debug("a login's answer was not hinted at", "login", login, "error", err)
	}
}

// loginTrouble is what a call that did not succeed says of a login.
func loginTrouble(err error) *causeway.Error {
	refusal := platform.Refused(err)
	switch {
	case refusal == nil, refusal.Kind == platform.Unreachable:
		return causeway.Fail(causeway.NetworkError).CanRetry().Because(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return causeway.Fail(causeway.NetworkError).CanRetry().Because(err)
	default:
		return causeway.Fail(causeway.PlatformError).CanRetry().Platform(refusal.Code, refusal.Message).Because(err)
	}
}
