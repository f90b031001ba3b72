package connection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"causeway"
	"causeway/ent"
	"causeway/internal/auth"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
)

// pagesAtOnce bounds how many pages of one login are connected at the same time.
const pagesAtOnce = 4

// PagesInput is what somebody chooses to connect pages of a login.
type PagesInput struct {
	CampaignID causeway.ID
	LoginID    causeway.ID
	PageIDs    []string
	Options    Options
}

// PageResult is what became of one page: Result, or Err with a code.
type PageResult struct {
	PageID string
	Result
	Err error
}

// ConnectFacebookPages links pages of a finished login of the viewer's to a campaign of
// which they are a manager, each on its own: what becomes of one does not touch the
// others. Results stand in the order of the page ids, a page that is named twice once.
// What holds for one is what ConnectTelegramBot promises.
func (s *Service) ConnectFacebookPages(ctx context.Context, in PagesInput) ([]PageResult, error) {
	if err := s.mayChange(ctx, in.CampaignID, "input", "campaignId"); err != nil {
		return nil, err
	}
	var err error
	if in.Options, err = in.Options.checked(); err != nil {
		return nil, err
	}
	login, person, err := s.grantedLogin(ctx, in.CampaignID, in.LoginID, "input", "loginId")
	if err != nil {
		return nil, err
	}
	results := make([]PageResult, 0, len(in.PageIDs))
	for _, id := range in.PageIDs {
		if !slices.ContainsFunc(results, func(r PageResult) bool { return r.PageID == id }) {
			results = append(results, PageResult{PageID: id})
		}
	}
	if len(results) == 0 {
		return nil, causeway.Invalid(causeway.ReasonRequired, "input", "pageIds")
	}
	slots := make(chan struct{}, pagesAtOnce)
	var connecting sync.WaitGroup
	for i := range results {
		slots <- struct{}{}
		connecting.Go(func() {
			defer func() { <-slots }()
			r := &results[i]
			r.Result, r.Err = s.connectPage(ctx, login, person, r.PageID, newcomer{
				campaign: in.CampaignID, options: in.Options, action: "connectFacebookPages",
				field: []string{"input", "pageIds"},
			})
		})
	}
	connecting.Wait()
	return results, nil
}

// ChangeFacebookPage puts another page of a finished login of the viewer's behind a
// connection. Conversations of the old page stay, and nothing can be sent there any more.
// The same page is authorised again in place.
func (s *Service) ChangeFacebookPage(ctx context.Context, id, login causeway.ID, page string) (Result, error) {
	row, err := s.changeable(ctx, id, platform.Messenger)
	if err != nil {
		return Result{}, err
	}
	granted, person, err := s.grantedLogin(ctx, row.CampaignID, login, "input", "loginId")
	if err != nil {
		return Result{}, err
	}
	return s.exchange(ctx, row, func() (Result, error) {
		return s.connectPage(ctx, granted, person, page, newcomer{
			campaign: row.CampaignID, options: Options{Enabled: row.Enabled}, action: "changeFacebookPage",
			field: []string{"input", "pageId"}, into: row.ID,
		})
	})
}

// changeable is a live connection of a platform, for who manages its campaign.
func (s *Service) changeable(ctx context.Context, id causeway.ID, on platform.Name) (*ent.Connection, error) {
	row, err := s.managed(ctx, id, "input", "connectionId")
	switch {
	case err != nil:
		return nil, err
	case row.Platform != on:
		return nil, causeway.Missing("input", "connectionId")
	case row.DisconnectedAt != nil:
		return nil, causeway.Fail(causeway.NotConnected).At("input", "connectionId")
	}
	return s.store.Reader().Connection.Get(ctx, id)
}

// exchange has change put another account behind a connection, and takes the webhook of
// the one it had away if it did.
func (s *Service) exchange(ctx context.Context, row *ent.Connection, change func() (Result, error)) (Result, error) {
	old, lost := s.examiner(row)
	result, err := change()
	if err != nil {
		return Result{}, err
	}
	now, err := s.store.Reader().Connection.Get(ctx, row.ID)
	if err != nil {
		return Result{}, fmt.Errorf("read %s: %w", row.ID, err)
	}
	if now.AccountID != row.AccountID && lost == nil {
		s.leave(context.WithoutCancel(ctx), old)
	}
	return result, nil
}

// connectPage links one page of a finished login, with a token of its own that is had
// from the person's. n says everything but what the page itself does.
func (s *Service) connectPage(ctx context.Context, login *ent.FacebookLogin, person messenger.Token, id string, n newcomer) (Result, error) {
	at := slices.IndexFunc(login.Pages, func(p platform.Profile) bool { return p.ID == id })
	if at < 0 {
		return Result{}, causeway.Fail(causeway.PageNotInList).At(n.field...)
	}
	page := login.Pages[at]
	if unfit := unfit(page); unfit != nil {
		return Result{}, unfit.At(n.field...)
	}
	app := s.serverApp()
	token, err := app.PageToken(ctx, person, id)
	if err != nil {
		return Result{}, trouble(err).At(n.field...)
	}
	if token == "" {
		page.Unspoken = true
		return Result{}, unfit(page).At(n.field...)
	}
	n.platform, n.token, n.by = platform.Messenger, string(token), deref(login.UserName)
	n.also = func(m *ent.ConnectionMutation, id causeway.ID) error {
		sealed, err := s.keys.Seal([]byte(person), id)
		if err != nil {
			return err
		}
		m.SetSealedUserToken(sealed)
		m.SetAuthorizerID(deref(login.FacebookUserID))
		m.SetAppID(app.id)
		m.ClearSealedAppSecret()
		return nil
	}
	look := s.lookAtPage(app, id, string(token))
	look.tasks, look.person = page.Tasks, person
	return s.connectLooked(ctx, look, id, n)
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// connectLooked links a page with whose token look looks.
func (s *Service) connectLooked(ctx context.Context, look *pageLook, page string, n newcomer) (Result, error) {
	if s.publicURL == "" {
		return Result{}, causeway.FailWith(causeway.PlatformNotConfigured, causeway.ReasonNoPublicURL).With("settings", "--public-url")
	}
	done, err := s.turns.take(ctx, page)
	if err != nil {
		return Result{}, err
	}
	defer done()
	if err := look.identify(ctx); err != nil {
		return Result{}, (&causeway.Error{Problem: *look.problem}).At(n.field...).Because(err)
	}
	if look.profile.ID != page {
		return Result{}, causeway.Fail(causeway.InvalidPageToken).At(n.field...)
	}
	return s.link(context.WithoutCancel(ctx), look, n)
}

// PageTokenInput is what somebody enters to connect a page by a token made by hand.
type PageTokenInput struct {
	CampaignID  causeway.ID
	PageID      string
	AccessToken string
	AppSecret   *string // of the token's app; needed unless that is this server's
	Options     Options
}

// ConnectFacebookPageWithToken links a page by a page's token that was made by hand, in a
// person's own app or this server's. For an own app its webhook is registered at an
// address of the connection's own. Else it promises what ConnectTelegramBot does.
func (s *Service) ConnectFacebookPageWithToken(ctx context.Context, in PageTokenInput) (Result, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.mayChange(ctx, in.CampaignID, "input", "campaignId"); err != nil {
		return Result{}, err
	}
	if in.Options, err = in.Options.checked(); err != nil {
		return Result{}, err
	}
	in.PageID, in.AccessToken = strings.TrimSpace(in.PageID), strings.TrimSpace(in.AccessToken)
	switch {
	case in.PageID == "":
		return Result{}, causeway.Invalid(causeway.ReasonRequired, "input", "pageId")
	case in.AccessToken == "":
		return Result{}, causeway.Fail(causeway.InvalidPageToken).At("input", "accessToken")
	}
	app, err := s.appOfToken(ctx, in)
	if err != nil {
		return Result{}, err
	}
	if err := s.checkPageToken(ctx, app, in); err != nil {
		return Result{}, err
	}
	return s.connectLooked(ctx, s.lookAtPage(app, in.PageID, in.AccessToken), in.PageID, newcomer{
		campaign: in.CampaignID, platform: platform.Messenger, token: in.AccessToken, by: viewer.Name,
		options: in.Options, field: []string{"input", "accessToken"}, action: "connectFacebookPageWithToken",
		also: func(m *ent.ConnectionMutation, id causeway.ID) error {
			m.ClearSealedUserToken()
			m.ClearAuthorizerID()
			m.SetAppID(app.id)
			if !app.own {
				m.ClearSealedAppSecret()
				return nil
			}
			sealed, err := s.keys.Seal([]byte(app.secret), id)
			if err == nil {
				m.SetSealedAppSecret(sealed)
			}
			return err
		},
	})
}

// appOfToken is the app that a pasted token belongs to, with its secret.
func (s *Service) appOfToken(ctx context.Context, in PageTokenInput) (facebookApp, error) {
	secret, asking := strings.TrimSpace(deref(in.AppSecret)), s.app()
	if secret != "" { // the app may want to see that it is known
		asking = s.appClient("", secret)
	}
	found, err := asking.AppOf(ctx, messenger.Token(in.AccessToken))
	if err != nil {
		return facebookApp{}, pageTokenTrouble(err)
	}
	ours := found.ID == s.facebook.AppID && s.facebookLacks() == nil
	switch {
	case ours && (secret == "" || secret == s.facebook.AppSecret):
		return s.serverApp(), nil
	case secret == "":
		return facebookApp{}, causeway.Invalid(causeway.ReasonRequired, "input", "appSecret")
	}
	return s.ownApp(found.ID, secret), nil
}

// checkPageToken makes sure, by asking as the app, that its secret is right and that the
// token is the page's.
func (s *Service) checkPageToken(ctx context.Context, app facebookApp, in PageTokenInput) error {
	facts, err := app.DebugToken(ctx, messenger.Token(in.AccessToken))
	if refused(err) {
		refusal := platform.Refused(err)
		return causeway.FailWith(causeway.InvalidPageToken, causeway.ReasonAppSecretWrong).
			At("input", "appSecret").Platform(refusal.Code, refusal.Message).Because(err)
	}
	if err != nil {
		return trouble(err)
	}
	wrong := func(reason causeway.Reason) *causeway.Error {
		return causeway.FailWith(causeway.InvalidPageToken, reason).At("input", "accessToken")
	}
	switch {
	case facts.Problem != nil:
		return pageTokenTrouble(facts.Problem)
	case facts.AppID != app.id:
		return wrong(causeway.ReasonTokenOfOtherApp)
	case facts.Type != "PAGE":
		return wrong(causeway.ReasonTokenOfPerson)
	case facts.ProfileID != "" && facts.ProfileID != in.PageID:
		return wrong(causeway.ReasonTokenOfOtherPage).With("page", facts.ProfileID)
	}
	return nil
}

// pageTokenTrouble is what a pasted token's refusal says to who pasted it.
func pageTokenTrouble(err error) *causeway.Error {
	if !refused(err) {
		return trouble(err)
	}
	refusal := platform.Refused(err)
	return causeway.Fail(causeway.InvalidPageToken).At("input", "accessToken").
		Platform(refusal.Code, refusal.Message).Because(err)
}
