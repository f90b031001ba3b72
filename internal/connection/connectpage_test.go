package connection_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/ent/facebooklogin"
	"causeway/internal/auth"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// shop is a person with pages, who has logged in here.
type shop struct {
	*world
	mia    *simulator.Person
	pages  []*simulator.Page
	person string          // her token
	ana    context.Context // the manager who sent her to the dialog
	login  causeway.ID
}

// newShop has a page per name, all of which Mia looks after and lets the app have.
func (w *world) newShop(names ...string) *shop {
	w.Helper()
	s := &shop{world: w, mia: w.fb.AddPerson("Mia Tran"), ana: w.manager()}
	for _, name := range names {
		page := w.fb.AddPage(name, simulator.WithPageUsername("page"+fmt.Sprint(len(s.pages))))
		page.Appoints(s.mia)
		s.pages = append(s.pages, page)
	}
	s.logsIn()
	return s
}

// logsIn is Mia's login, with the permissions given or all of them.
func (s *shop) logsIn(permissions ...string) {
	s.Helper()
	s.person = s.mia.Allows(s.app, s.pages, permissions...)
	s.login = s.newLogin(s.ana, s.campaign)
}

// newLogin stores a login that Mia has answered.
func (s *shop) newLogin(who context.Context, campaign causeway.ID) causeway.ID {
	s.Helper()
	viewer, err := auth.From(who)
	must(s, err)
	id := causeway.NewID(causeway.PrefixFacebookLogin)
	token, err := s.keys.Seal([]byte(s.person), id)
	must(s, err)
	var pages []platform.Profile
	for _, page := range s.pages {
		pages = append(pages, platform.Profile{ID: page.ID(), Name: page.Name(), Tasks: []string{"MESSAGING", "MODERATE"}})
	}
	s.write(func(tx *store.Tx) error {
		return tx.FacebookLogin.Create().SetID(id).SetCampaignID(campaign).SetUserID(viewer.UserID).
			SetStateHash(string(id)).SetReturnOrigin("http://localhost").SetStatus(facebooklogin.StatusAuthorized).
			SetUserName(s.mia.Name()).SetFacebookUserID(s.mia.ID()).SetPages(pages).SetSealedToken(token).
			SetExpiresAt(s.clock.Now().Add(time.Hour)).SetCreatedAt(s.clock.Now()).Exec(tx.Context())
	})
	return id
}

func (s *shop) input(pages ...*simulator.Page) connection.PagesInput {
	in := connection.PagesInput{CampaignID: s.campaign, LoginID: s.login, Options: connection.Options{Enabled: true}}
	for _, page := range pages {
		in.PageIDs = append(in.PageIDs, page.ID())
	}
	return in
}

// connectsPage connects one page, which must work.
func (s *shop) connectsPage(page *simulator.Page) connection.Result {
	s.Helper()
	results, err := s.service.ConnectFacebookPages(s.ana, s.input(page))
	must(s, err)
	if len(results) != 1 {
		s.Fatalf("of one page %d results were told", len(results))
	}
	must(s, results[0].Err)
	return results[0].Result
}

// kept is a secret of a row, opened.
func (s *shop) kept(id causeway.ID, sealed *[]byte) string {
	s.Helper()
	if sealed == nil || len(*sealed) == 0 {
		return ""
	}
	opened, err := s.keys.Open(*sealed, id)
	must(s, err)
	return string(opened)
}

func TestAPageIsConnectedByALogin(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea House")
		page := s.pages[0]
		language := "vi"
		in := s.input(page, page)
		in.Options.Language = &language
		results, err := s.service.ConnectFacebookPages(s.ana, in)
		must(t, err)
		if len(results) != 1 || results[0].PageID != page.ID() || results[0].Err != nil {
			t.Fatalf("a page that was named twice became %+v", results)
		}

		row := w.row(results[0].Connection)
		w.is(row.ID, entconnection.StatusActive, "")
		if row.Platform != platform.Messenger || row.AccountID != page.ID() || row.Name != "Tea House" || *row.Language != "vi" ||
			*row.AuthorizedBy != "Mia Tran" || *row.AuthorizerID != s.mia.ID() || *row.AppID != w.app.ID() {
			t.Errorf("connected was %+v", row)
		}
		if p := row.Profile; p.Username != "page0" || p.Category == "" || p.Followers == nil || p.Published == nil || !*p.Published ||
			!slices.Equal(p.Tasks, []string{"MESSAGING", "MODERATE"}) || p.Unspoken || p.AvatarRef == "" {
			t.Errorf("the page is known as %+v", p)
		}
		if s.kept(row.ID, row.SealedToken) != page.Token(w.app, s.mia) || s.kept(row.ID, row.SealedUserToken) != s.person {
			t.Error("the tokens kept are not the page's and the person's")
		}
		if all := slices.Sorted(slices.Values(messenger.Fields())); !slices.Equal(slices.Sorted(slices.Values(page.Subscription(w.app))), all) ||
			!slices.Equal(slices.Sorted(slices.Values(row.SubscribedFields)), all) {
			t.Errorf("the page is subscribed to %v and known to be to %v", page.Subscription(w.app), row.SubscribedFields)
		}
		hook := w.app.Webhook()
		if hook.URL != w.door.URL+"/webhooks/facebook" || hook.VerifyToken != "shown-to-facebook" || w.service.WebhookAddress(row) != hook.URL {
			t.Errorf("the app delivers to %s", hook.URL)
		}
		if len(row.Permissions) != 5 || slices.ContainsFunc(row.Permissions, func(p platform.Permission) bool { return !p.Granted }) {
			t.Errorf("its permissions are %+v", row.Permissions)
		}
		if row.TokenExpiresAt == nil || row.TokenRefreshAt == nil || row.TokenExpiresAt.Sub(*row.TokenRefreshAt) != 7*24*time.Hour ||
			row.DataAccessExpiresAt == nil {
			t.Errorf("the token ends %v, is renewed %v; data access ends %v", row.TokenExpiresAt, row.TokenRefreshAt, row.DataAccessExpiresAt)
		}
		report := w.report(results[0].Report)
		if !report.Passed || len(report.Checks) != 5 {
			t.Errorf("reported %+v", report.Checks)
		}
		for _, name := range []platform.CheckName{platform.CheckToken, platform.CheckAccount, platform.CheckPermissions,
			platform.CheckWebhookRegistration, platform.CheckRouting} {
			if c := check(t, report, name); c.Outcome != platform.CheckPassed {
				t.Errorf("%s is %s: %s", name, c.Outcome, c.Message)
			}
		}
		endpoint, err := w.service.Page(t.Context(), page.ID())
		must(t, err)
		if endpoint.Connection != row.ID {
			t.Errorf("the page leads to %s", endpoint.Connection)
		}
		for _, secret := range []string{s.person, page.Token(w.app, s.mia), w.app.Secret()} {
			if strings.Contains(w.log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
	})
}

func TestOneOfThreePagesFailsAndTwoWork(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea", "Coffee", "Cake")
		coffee := s.pages[1]
		w.fb.FailNext("POST subscribed_apps", simulator.GraphFailure{Code: 200, Page: coffee.ID()})
		results, err := s.service.ConnectFacebookPages(s.ana, s.input(s.pages...))
		must(t, err)
		for i, page := range s.pages {
			r := results[i]
			if r.PageID != page.ID() {
				t.Fatalf("result %d is of another page than asked for", i)
			}
			if page == coffee {
				refused(t, r.Err, causeway.WebhookSubscriptionFailed)
				continue
			}
			must(t, r.Err)
			w.is(r.Connection, entconnection.StatusActive, "")
		}
		if w.count() != 2 || coffee.Subscription(w.app) != nil {
			t.Errorf("%d connections stayed", w.count())
		}
	})
}

func TestOfTwoCampaignsThatConnectAPageAtOnceOneGetsIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea")
		root := w.admin()
		second := w.newService() // as if on another machine
		mine, theirs := s.input(s.pages[0]), s.input(s.pages[0])
		theirs.CampaignID, theirs.LoginID = w.other, s.newLogin(root, w.other)
		var results [2][]connection.PageResult
		var both sync.WaitGroup
		both.Go(func() { results[0], _ = w.service.ConnectFacebookPages(s.ana, mine) })
		both.Go(func() { results[1], _ = second.ConnectFacebookPages(root, theirs) })
		both.Wait()
		won := 0
		for _, r := range results {
			if len(r) != 1 {
				t.Fatalf("answered %+v", r)
			}
			if r[0].Err == nil {
				won++
				w.is(r[0].Connection, entconnection.StatusActive, "")
				continue
			}
			refused(t, r[0].Err, causeway.AlreadyConnected, "input", "pageIds")
		}
		if won != 1 || w.count() != 1 || s.pages[0].Subscription(w.app) == nil {
			t.Errorf("%d campaigns got it, %d connections are there", won, w.count())
		}
	})
}

func TestWhatCannotBeConnectedSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea", "Coffee")
	unlisted := w.fb.AddPage("Unlisted")
	of := func(pages ...*simulator.Page) error {
		t.Helper()
		results, err := s.service.ConnectFacebookPages(s.ana, s.input(pages...))
		must(t, err)
		return results[0].Err
	}
	refused(t, of(unlisted), causeway.PageNotInList, "input", "pageIds")
	s.pages[0].HidesToken(s.mia)
	refused(t, of(s.pages[0]), causeway.PageRoleInsufficient, "input", "pageIds")
	s.mia.ChangesPassword()
	refused(t, of(s.pages[1]), causeway.TokenRevoked, "input", "pageIds")

	none := s.input()
	_, err := s.service.ConnectFacebookPages(s.ana, none)
	refused(t, err, causeway.InvalidInput, "input", "pageIds")
	_, err = s.service.ConnectFacebookPages(w.manager(), s.input(s.pages[1]))
	refused(t, err, causeway.NotFound, "input", "loginId") // somebody else's
	elsewhere := s.input(s.pages[1])
	elsewhere.CampaignID = w.other
	_, err = s.service.ConnectFacebookPages(s.ana, elsewhere)
	refused(t, err, causeway.NotFound, "input", "campaignId")
	w.clock.turn(time.Hour)
	_, err = s.service.ConnectFacebookPages(s.ana, s.input(s.pages[1]))
	refused(t, err, causeway.LoginExpired, "input", "loginId")
	if w.count() != 0 {
		t.Errorf("%d connections are there", w.count())
	}
}

func TestAPageIsAuthorisedAgainInPlaceAndRevivedAfterDisconnecting(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea")
		page := s.pages[0]
		first := s.connectsPage(page)
		s.mia.ChangesPassword()
		w.start()
		w.clock.turn(time.Hour)
		w.becomes(first.Connection, entconnection.StatusInactive, causeway.TokenRevoked)
		s.logsIn()
		again := s.connectsPage(page)
		row := w.row(again.Connection)
		if again.Connection != first.Connection || row.ReconnectedAt == nil || s.kept(row.ID, row.SealedUserToken) != s.person {
			t.Errorf("authorised again was %+v", row)
		}
		w.is(row.ID, entconnection.StatusActive, "")

		must(t, w.service.Disconnect(s.ana, row.ID))
		if hasSecrets(w.row(row.ID)) || page.Subscription(w.app) != nil {
			t.Error("disconnecting left secrets, or the subscription")
		}
		_, err := w.service.Page(t.Context(), page.ID())
		refused(t, err, causeway.NotFound)
		s.login = s.newLogin(s.ana, w.campaign) // the other's hour may be over
		if revived := s.connectsPage(page); revived.Connection != first.Connection || w.count() != 1 {
			t.Errorf("connecting again made %s of %s", revived.Connection, first.Connection)
		}
		w.is(row.ID, entconnection.StatusActive, "")
	})
}

func TestARefusedSubscriptionLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea", "Coffee")
		tea, coffee := s.pages[0], s.pages[1]
		refuse := func(page *simulator.Page) {
			t.Helper()
			w.fb.FailNext("POST subscribed_apps", simulator.Refusing(200, 0))
			results, err := s.service.ConnectFacebookPages(s.ana, s.input(page))
			must(t, err)
			if problem := refused(t, results[0].Err, causeway.WebhookSubscriptionFailed); problem.PlatformCode != "200" {
				t.Errorf("Facebook's words are told as %+v", problem.Problem)
			}
		}
		refuse(tea)
		if w.count() != 0 {
			t.Fatal("a new connection stayed")
		}
		id := s.connectsPage(tea).Connection
		before := w.row(id)
		refuse(tea)
		same(t, before, w.row(id))

		w.fb.FailNext("POST subscribed_apps", simulator.Refusing(200, 0))
		_, err := w.service.ChangeFacebookPage(s.ana, id, s.login, coffee.ID())
		refused(t, err, causeway.WebhookSubscriptionFailed)
		after := w.row(id)
		after.NextCheckAt = before.NextCheckAt // looked at soon, to make sure
		same(t, before, after)

		must(t, w.service.Disconnect(s.ana, id))
		before = w.row(id)
		refuse(tea)
		after = w.row(id)
		same(t, before, after)
	})
}

func TestAnAddressThatFacebookCannotReachIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	w.door.Close()
	results, err := s.service.ConnectFacebookPages(s.ana, s.input(s.pages[0]))
	must(t, err)
	if problem := refused(t, results[0].Err, causeway.WebhookSubscriptionFailed); problem.Reason != causeway.ReasonCallbackNotVerified {
		t.Errorf("the reason is %q", problem.Reason)
	}
	if w.count() != 0 {
		t.Error("the connection stayed")
	}
}

func TestASubscriptionWithoutAnAnswerIsMadeByTheNextCheck(t *testing.T) {
	t.Parallel()
	for _, edge := range []string{"GET subscriptions", "POST subscriptions", "GET subscribed_apps", "POST subscribed_apps"} {
		t.Run(edge, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			s := w.newShop("Tea")
			w.fb.FailNext(edge, simulator.GraphFailure{})
			id := s.connectsPage(s.pages[0]).Connection
			w.is(id, entconnection.StatusError, causeway.PlatformError)
			if row := w.row(id); row.RegisteredAt != nil || row.WebhookStatus != entconnection.WebhookStatusInactive {
				t.Errorf("the webhook is %s since %v", row.WebhookStatus, row.RegisteredAt)
			}
			w.start()
			w.becomes(id, entconnection.StatusActive, "")
			if s.pages[0].Subscription(w.app) == nil || w.app.Webhook().URL == "" {
				t.Error("nothing is subscribed")
			}
		})
	}
}

func TestAnotherPagePutBehindAConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea", "Coffee", "Cake")
		tea, coffee, cake := s.pages[0], s.pages[1], s.pages[2]
		first := s.connectsPage(tea)
		taken := s.connectsPage(cake)
		_, err := w.service.ChangeFacebookPage(s.ana, first.Connection, s.login, cake.ID())
		refused(t, err, causeway.AlreadyConnected, "input", "pageId")

		changed, err := w.service.ChangeFacebookPage(s.ana, first.Connection, s.login, coffee.ID())
		must(t, err)
		row := w.row(changed.Connection)
		if row.ID != first.Connection || row.AccountID != coffee.ID() || row.Name != "Coffee" ||
			s.kept(row.ID, row.SealedToken) != coffee.Token(w.app, s.mia) {
			t.Errorf("changed was %+v", row)
		}
		w.is(row.ID, entconnection.StatusActive, "")
		w.is(taken.Connection, entconnection.StatusActive, "")
		if tea.Subscription(w.app) != nil || coffee.Subscription(w.app) == nil || cake.Subscription(w.app) == nil {
			t.Errorf("subscribed are tea %v, coffee %v, cake %v", tea.Subscription(w.app), coffee.Subscription(w.app), cake.Subscription(w.app))
		}
		again, err := w.service.ChangeFacebookPage(s.ana, first.Connection, s.login, coffee.ID())
		must(t, err)
		if again.Connection != first.Connection || coffee.Subscription(w.app) == nil {
			t.Error("the same page once more is not what it was")
		}
		if s.connectsPage(tea).Connection == first.Connection {
			t.Error("the old page is still this connection's")
		}
		_, err = w.service.ChangeFacebookPage(w.admin(), first.Connection, s.login, coffee.ID())
		refused(t, err, causeway.NotFound, "input", "loginId")
		bot := w.connects(w.tg.AddBot("shop_bot", "Shop"))
		_, err = w.service.ChangeFacebookPage(s.ana, bot.Connection, s.login, coffee.ID())
		refused(t, err, causeway.NotFound, "input", "connectionId")
		must(t, w.service.Disconnect(s.ana, first.Connection))
		_, err = w.service.ChangeFacebookPage(s.ana, first.Connection, s.login, coffee.ID())
		refused(t, err, causeway.NotConnected, "input", "connectionId")
	})
}
