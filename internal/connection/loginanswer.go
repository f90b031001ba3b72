package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/facebooklogin"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// askingTakes bounds all questions to Facebook about one login together.
const askingTakes = time.Minute

// maxFacebookWords bounds what is kept of what Facebook says in an address.
const maxFacebookWords = 300

// LoginAnswer is what Facebook's dialog brings back. It holds secrets.
type LoginAnswer struct {
	State string
	Code  string
	// Error and Reason are set where there is no code: access_denied, user_denied; Number
	// and Words are further ways in which Facebook says what went wrong.
	Error, Reason, Number, Words string
}

// cancelled tells whether the person did not want to.
func (a LoginAnswer) cancelled() bool {
	return a.Error == "access_denied" || a.Reason == "user_denied"
}

// FinishLogin takes the dialog's answer, asks Facebook who logged in, what they granted
// and which pages they manage, and writes down what became of the login, whose row it
// returns: AUTHORIZED, or FAILED with a problem. A state is good once and for ten
// minutes: LOGIN_EXPIRED says that it is unknown, used or too old, and then nothing was
// asked and nothing changed.
//
// Once the state is accepted, the work is finished also if ctx ends. Close ends it.
func (s *Service) FinishLogin(ctx context.Context, answer LoginAnswer) (*ent.FacebookLogin, error) {
	login, err := s.takeState(ctx, answer.State)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askingTakes)
	defer cancel()
	finished := make(chan error, 1)
	running := s.background(func() {
		asking, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(s.ctx, stop)()
		finished <- s.answered(context.WithoutCancel(ctx), login, s.granted(asking, answer))
	})
	if !running {
		return nil, errors.New("finish a login: the server stops")
	}
	if err := <-finished; err != nil {
		return nil, fmt.Errorf("finish %s: %w", login.ID, err)
	}
	return s.store.Reader().FacebookLogin.Get(context.WithoutCancel(ctx), login.ID)
}

// takeState is the login that waits for a state, which is used up by it.
func (s *Service) takeState(ctx context.Context, state string) (*ent.FacebookLogin, error) {
	unknown := causeway.FailWith(causeway.LoginExpired, causeway.ReasonLoginUnknown)
	ofState := facebooklogin.StateHash(secret.Hash(state))
	known, err := s.store.Reader().FacebookLogin.Query().Where(ofState).Exist(ctx) // strangers never reach the writer
	if err != nil {
		return nil, fmt.Errorf("look for a login: %w", err)
	}
	if !known {
		return nil, unknown
	}
	var login *ent.FacebookLogin
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		taken, err := tx.FacebookLogin.Update().
			Where(ofState, facebooklogin.UsedAtIsNil(), facebooklogin.StatusEQ(facebooklogin.StatusPending),
				facebooklogin.ExpiresAtGT(s.clock.Now())).
			SetUsedAt(s.clock.Now()).
			Save(ctx)
		if err != nil {
			return err
		}
		login, err = tx.FacebookLogin.Query().Where(ofState).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			return unknown
		case err != nil:
			return err
		case taken == 1:
			return s.leaveTimeToAsk(ctx, tx, login)
		case login.UsedAt != nil:
			return causeway.FailWith(causeway.LoginExpired, causeway.ReasonLoginUsed)
		default:
			return causeway.Fail(causeway.LoginExpired)
		}
	})
	if err != nil {
		return nil, err
	}
	return login, nil
}

// leaveTimeToAsk keeps a login whose person came back in time from ending while
// Facebook is asked.
func (s *Service) leaveTimeToAsk(ctx context.Context, tx *store.Tx, login *ent.FacebookLogin) error {
	until := causeway.Stamp(s.clock.Now().Add(askingTakes))
	if !login.ExpiresAt.Before(until) {
		return nil
	}
	return tx.FacebookLogin.UpdateOneID(login.ID).SetExpiresAt(until).Exec(ctx)
}

// grant is what came of asking Facebook about a login.
type grant struct {
	problem     *causeway.Error // nil: it is good
	person      messenger.Person
	permissions []platform.Permission
	pages       []platform.Profile
	token       messenger.Token
	facts       messenger.TokenFacts
}

// granted asks Facebook about a login. No transaction is open meanwhile.
func (s *Service) granted(ctx context.Context, answer LoginAnswer) grant {
	switch {
	case answer.cancelled():
		return grant{problem: causeway.Fail(causeway.LoginCancelled)}
	case answer.Code == "":
		words := strings.Join(strings.Fields(store.Clean(answer.Words)), " ")
		if runes := []rune(words); len(runes) > maxFacebookWords {
			words = string(runes[:maxFacebookWords])
		}
		return grant{problem: causeway.Fail(causeway.PlatformError).CanRetry().Platform(plainCode(answer.Number), words)}
	}
	var g grant
	if err := s.ask(ctx, answer.Code, &g); err != nil {
		g.problem = loginTrouble(err)
		return g
	}
	if missing := missing(g.permissions); len(missing) > 0 {
		g.problem = causeway.FailWith(causeway.PermissionsMissing, causeway.ReasonNamedPermissions).
			With("permissions", strings.Join(missing, ", "))
	}
	return g
}

// plainCode is a code that Facebook put into an address, if it is one.
func plainCode(number string) string {
	if len(number) > 10 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return number
}

// ask exchanges the code, and fills g with what Facebook says of the person.
func (s *Service) ask(ctx context.Context, code string, g *grant) error {
	app := s.app()
	got, err := app.Exchange(ctx, code, s.callbackURL())
	if err != nil {
		return err
	}
	g.token = got.Token
	if g.facts, err = s.ownToken(ctx, app, g.token); err != nil {
		return err
	}
	if !g.facts.ExpiresAt.IsZero() { // those of a business's system user last by themselves
		if got, err = app.Extend(ctx, g.token); err != nil {
			return err
		}
		g.token = got.Token
		if g.facts, err = s.ownToken(ctx, app, g.token); err != nil {
			return err
		}
	}
	if g.person, err = app.Me(ctx, g.token); err != nil {
		return err
	}
	said, err := app.Permissions(ctx, g.token)
	if err != nil {
		return err
	}
	g.permissions = permissionsOf(said)
	if len(missing(g.permissions)) > 0 {
		return nil // the pages would not be all
	}
	pages, err := app.Pages(ctx, g.token)
	for _, page := range pages {
		g.pages = append(g.pages, profileOf(page))
	}
	return err
}

// ownToken are a token's facts, if it is good and this app's.
func (s *Service) ownToken(ctx context.Context, app *messenger.App, token messenger.Token) (messenger.TokenFacts, error) {
	facts, err := app.DebugToken(ctx, token)
	switch {
	case err != nil:
		return facts, err
	case !facts.Valid && facts.Problem != nil:
		return facts, facts.Problem
	case !facts.Valid, facts.AppID != s.facebook.AppID:
		return facts, &platform.Refusal{
			Kind: platform.Rejected, Method: "debug_token", Message: "the token belongs to another app", Sent: true,
		}
	}
	return facts, nil
}

// permissionsOf are the permissions that were asked for, and whatever else was granted.
func permissionsOf(said []messenger.Permission) []platform.Permission {
	required := messenger.RequiredScopes()
	var all []platform.Permission
	for _, name := range messenger.Scopes() {
		all = append(all, platform.Permission{
			Name:     name,
			Granted:  slices.ContainsFunc(said, func(p messenger.Permission) bool { return p.Name == name && p.Granted() }),
			Required: slices.Contains(required, name),
		})
	}
	for _, p := range said {
		known := slices.ContainsFunc(all, func(a platform.Permission) bool { return a.Name == p.Name })
		if !known && p.Granted() {
			all = append(all, platform.Permission{Name: store.Clean(p.Name), Granted: true})
		}
	}
	return all
}

// missing are the required permissions that were not granted.
func missing(permissions []platform.Permission) []string {
	var names []string
	for _, p := range permissions {
		if p.Required && !p.Granted {
			names = append(names, p.Name)
		}
	}
	return names
}

// profileOf is a page of a person's list as it is kept.
func profileOf(page messenger.Page) platform.Profile {
	followers := page.Followers
	if followers == nil {
		followers = page.Fans
	}
	return platform.Profile{
		ID: store.Clean(page.ID), Name: store.Clean(page.Name), Username: store.Clean(page.Username),
		AvatarRef: store.Clean(page.Picture), Category: store.Clean(page.Category),
		Followers: followers, Published: page.Published, Tasks: page.Tasks, Unspoken: page.Token == "",
	}
}

// answered writes down what became of a login.
func (s *Service) answered(ctx context.Context, login *ent.FacebookLogin, g grant) error {
	now := s.clock.Now()
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		update := tx.FacebookLogin.UpdateOneID(login.ID).
			Where(facebooklogin.StatusEQ(facebooklogin.StatusPending)) // else its time ended meanwhile
		if g.permissions != nil {
			update.SetPermissions(g.permissions)
		}
		if g.person.ID != "" {
			update.SetUserName(store.Clean(g.person.Name)).SetFacebookUserID(store.Clean(g.person.ID))
		}
		if g.problem != nil {
			problem := g.problem.Problem
			problem.OccurredAt = now
			problem.PlatformMessage = store.Clean(problem.PlatformMessage)
			return update.SetStatus(facebooklogin.StatusFailed).SetProblem(&problem).Exec(ctx)
		}
		sealed, err := s.keys.Seal([]byte(g.token), login.ID)
		if err != nil {
			return err
		}
		if at := g.facts.ExpiresAt; !at.IsZero() {
			update.SetTokenExpiresAt(causeway.Stamp(at))
		}
		if at := g.facts.DataAccessExpiresAt; !at.IsZero() {
			update.SetDataAccessExpiresAt(causeway.Stamp(at))
		}
		return update.SetStatus(facebooklogin.StatusAuthorized).
			SetPages(g.pages).
			SetSealedToken(sealed).
			SetExpiresAt(causeway.Stamp(now.Add(loginLasts))).
			Exec(ctx)
	})
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.moved(login.ID)
	if g.problem != nil {
		s.log.InfoContext(ctx, "a Facebook login failed", "login", login.ID, "campaign", login.CampaignID, "code", g.problem.Code, "error", g.problem)
	} else {
		s.log.InfoContext(ctx, "a Facebook login was answered", "login", login.ID, "campaign", login.CampaignID, "pages", len(g.pages))
	}
	return nil
}
