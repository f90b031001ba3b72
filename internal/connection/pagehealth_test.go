package connection_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent/auditentry"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestEveryTroubleOfAPageIsNoticedByTheNextCheckAndEnds(t *testing.T) {
	t.Parallel()
	type trouble struct {
		happens, ends func(*shop, *simulator.Page)
		status        entconnection.Status
		code          causeway.Code
		check         platform.CheckName
		hook          entconnection.WebhookStatus // empty: ACTIVE
	}
	loggedIn := func(s *shop, page *simulator.Page) {
		s.logsIn()
		s.connectsPage(page)
	}
	subscribed := func(s *shop, page *simulator.Page) { page.Subscribe(s.app, messenger.Fields()...) }
	for name, c := range map[string]trouble{
		"her password was changed": {
			happens: func(s *shop, _ *simulator.Page) { s.mia.ChangesPassword() }, ends: loggedIn,
			status: entconnection.StatusInactive, code: causeway.TokenRevoked, check: platform.CheckToken,
		},
		"she removed the app": {
			happens: func(s *shop, _ *simulator.Page) { s.mia.RemovesApp(s.app) }, ends: loggedIn,
			status: entconnection.StatusInactive, code: causeway.TokenRevoked, check: platform.CheckToken,
		},
		"the token's time is over": {
			happens: func(s *shop, page *simulator.Page) { s.fb.ExpireToken(page.Token(s.app, s.mia)) }, ends: loggedIn,
			status: entconnection.StatusInactive, code: causeway.TokenExpired, check: platform.CheckToken,
		},
		"she lost her role": {
			happens: func(s *shop, page *simulator.Page) { page.Dismisses(s.mia) },
			ends:    func(s *shop, page *simulator.Page) { page.Appoints(s.mia) },
			status:  entconnection.StatusInactive, code: causeway.PageRoleInsufficient, check: platform.CheckToken,
		},
		"the page was deleted": {
			happens: func(_ *shop, page *simulator.Page) { page.Delete() },
			status:  entconnection.StatusInactive, code: causeway.AccountDeleted, check: platform.CheckAccount,
		},
		"the page was hidden": {
			happens: func(_ *shop, page *simulator.Page) { page.Publish(false) },
			ends:    func(_ *shop, page *simulator.Page) { page.Publish(true) },
			status:  entconnection.StatusError, code: causeway.PageNotPublished, check: platform.CheckAccount,
		},
		"a permission was withdrawn": {
			happens: func(s *shop, _ *simulator.Page) { s.mia.Withdraws(s.app, simulator.PagesMessaging) }, ends: loggedIn,
			status: entconnection.StatusInactive, code: causeway.PermissionsMissing, check: platform.CheckPermissions,
		},
		"Facebook unsubscribed the page": {
			happens: func(s *shop, page *simulator.Page) { page.DropSubscription(s.app) }, ends: subscribed,
			status: entconnection.StatusError, code: causeway.WebhookNotRegistered, check: platform.CheckWebhookRegistration,
			hook: entconnection.WebhookStatusInactive,
		},
		"the app's webhooks go elsewhere": {
			happens: func(s *shop, _ *simulator.Page) {
				must(s, s.app.SetWebhook(s.Context(), s.door.URL+"/elsewhere", "x", messenger.Fields()...))
			},
			ends: func(s *shop, _ *simulator.Page) {
				must(s, s.app.SetWebhook(s.Context(), s.door.URL+"/webhooks/facebook", "x", messenger.Fields()...))
			},
			status: entconnection.StatusError, code: causeway.WebhookTakenOver, check: platform.CheckWebhookRegistration,
			hook: entconnection.WebhookStatusError,
		},
		"Facebook is down": {
			happens: func(s *shop, _ *simulator.Page) { s.fb.Down() },
			ends:    func(s *shop, _ *simulator.Page) { s.fb.Up() },
			status:  entconnection.StatusError, code: causeway.NetworkError, check: platform.CheckToken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			s := w.newShop("Tea")
			page := s.pages[0]
			id := s.connectsPage(page).Connection
			w.start()
			c.happens(s, page)
			w.clock.turn(time.Hour)
			w.becomes(id, c.status, c.code)
			reports := w.reports(id, testreport.KindHealth)
			if got := check(t, reports[len(reports)-1], c.check); got.Outcome != platform.CheckFailed || codeIn(got.Problem) != c.code {
				t.Errorf("the report says %s: %s", got.Outcome, got.Message)
			}
			hook := c.hook
			if hook == "" {
				hook = entconnection.WebhookStatusActive
			}
			if row := w.row(id); row.WebhookStatus != hook || c.hook != "" && codeIn(row.WebhookProblem) != c.code {
				t.Errorf("the webhook is %s with %+v", row.WebhookStatus, row.WebhookProblem)
			}
			if c.ends == nil {
				return
			}
			c.ends(s, page)
			w.becomes(id, entconnection.StatusActive, "")
			if row := w.row(id); !row.TokenValid || row.WebhookStatus != entconnection.WebhookStatusActive || row.WebhookProblem != nil {
				t.Errorf("recovered, it is %+v", row)
			}
		})
	}
}

func TestWhatToWatchOfAPageAlthoughItWorks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(*shop, *simulator.Page)
		code    causeway.Code
		check   platform.CheckName
		args    map[string]string
	}{
		"data access ends soon": {
			func(s *shop, _ *simulator.Page) { s.clock.turn(77 * 24 * time.Hour) },
			causeway.DataAccessExpiring, platform.CheckToken, nil,
		},
		"kinds of events are left out": {
			func(s *shop, page *simulator.Page) { page.Subscribe(s.app, "messages", "messaging_postbacks") },
			causeway.WebhookFieldsMissing, platform.CheckWebhookRegistration, nil,
		},
		"the app leaves kinds of events out": {
			func(s *shop, _ *simulator.Page) {
				fields := slices.DeleteFunc(messenger.Fields(), func(f string) bool { return f == "standby" })
				must(s, s.app.SetWebhook(s.Context(), s.door.URL+"/webhooks/facebook", "x", fields...))
			},
			causeway.WebhookFieldsMissing, platform.CheckWebhookRegistration, map[string]string{"fields": "standby"},
		},
		"another app answers": {
			func(s *shop, page *simulator.Page) { page.Subscribe(s.fb.AddApp("Chatty"), "messages") },
			causeway.ThreadOwnedByAnotherApp, platform.CheckRouting, map[string]string{"apps": "Chatty"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			s := w.newShop("Tea")
			id := s.connectsPage(s.pages[0]).Connection
			c.happens(s, s.pages[0])
			report, err := w.service.Test(s.ana, id)
			must(t, err)
			got := check(t, w.report(report), c.check)
			if got.Outcome != platform.CheckWarning || codeIn(got.Problem) != c.code {
				t.Errorf("the report says %s: %s", got.Outcome, got.Message)
			}
			row := w.row(id)
			w.is(id, entconnection.StatusActive, "")
			at := slices.IndexFunc(row.Warnings, func(p causeway.Problem) bool { return p.Code == c.code })
			if at < 0 {
				t.Fatalf("the warnings are %+v", row.Warnings)
			}
			for key, want := range c.args {
				if row.Warnings[at].Args[key] != want {
					t.Errorf("%s is told as %q", key, row.Warnings[at].Args[key])
				}
			}
		})
	}
}

func TestMissingBusinessManagementIsAWarningOfTheCheckOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	s.mia.Withdraws(w.app, simulator.BusinessManagement)
	result := s.connectsPage(s.pages[0])
	w.is(result.Connection, entconnection.StatusActive, "")
	if c := check(t, w.report(result.Report), platform.CheckPermissions); c.Outcome != platform.CheckWarning {
		t.Errorf("the report says %s: %s", c.Outcome, c.Message)
	}
}

// audited are the entries of one action in the campaign's log, as "who subject".
func (w *world) audited(action string) []string {
	w.Helper()
	rows, err := w.store.Reader().AuditEntry.Query().Where(auditentry.Action(action)).All(context.Background())
	must(w, err)
	var all []string
	for _, row := range rows {
		who := "server"
		if row.ActorID != nil {
			who = "somebody"
		}
		all = append(all, who)
	}
	return all
}

func TestATokenIsRenewedAWeekBeforeItEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea")
		id := s.connectsPage(s.pages[0]).Connection
		ends := *w.row(id).TokenExpiresAt
		w.start()
		w.clock.turn(ends.Sub(w.clock.Now()) - 7*24*time.Hour + time.Second)
		w.eventually(func() string {
			if row := w.row(id); !row.TokenExpiresAt.After(ends) {
				return "the token still ends " + row.TokenExpiresAt.String()
			}
			return ""
		})
		row := w.row(id)
		if s.kept(id, row.SealedUserToken) == s.person || !row.TokenValid || row.TokenExpiresAt.Sub(*row.TokenRefreshAt) != 7*24*time.Hour {
			t.Errorf("renewed is %+v", row)
		}
		w.is(id, entconnection.StatusActive, "")
		if got := w.audited("renewToken"); !slices.Equal(got, []string{"server"}) {
			t.Errorf("the audit log says %v", got)
		}
		if strings.Contains(w.log.String(), s.kept(id, row.SealedUserToken)) {
			t.Error("the token is in the log")
		}
	})
}

func TestARenewalThatFailsIsTriedOnceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	id := s.connectsPage(s.pages[0]).Connection
	w.fb.FailNext("access_token", simulator.GraphFailure{Times: -1})
	w.start()
	w.clock.turn(w.row(id).TokenExpiresAt.Sub(w.clock.Now()) - 7*24*time.Hour + time.Second)
	tries := func() int { return len(w.fb.Calls("access_token")) }
	for day := 1; day <= 3; day++ {
		w.eventually(func() string {
			if tries() < day || !w.row(id).TokenRefreshAt.After(w.clock.Now()) {
				return fmt.Sprintf("it was tried %d times, and will be at %s", tries(), w.row(id).TokenRefreshAt)
			}
			return ""
		})
		next := *w.row(id).TokenRefreshAt
		if in := next.Sub(w.clock.Now()); in < 23*time.Hour || in > 25*time.Hour {
			t.Fatalf("it is tried again in %s", in)
		}
		for w.clock.Now().Add(2 * time.Hour).Before(next) {
			before := w.row(id).LastSyncedAt
			w.clock.turn(time.Hour)
			w.eventually(func() string {
				if w.row(id).LastSyncedAt.Equal(*before) {
					return "the connection was not checked"
				}
				return ""
			})
		}
		if tries() != day {
			t.Fatalf("within %d days it was tried %d times", day, tries())
		}
		w.clock.turn(next.Sub(w.clock.Now()))
	}
	w.is(id, entconnection.StatusActive, "")
	w.fb.Works()
	w.clock.turn(24 * time.Hour)
	w.eventually(func() string {
		if len(w.audited("renewToken")) == 0 {
			return "the token was not renewed"
		}
		return ""
	})
}

func TestAShortLivedTokenIsRenewedAtHalfItsLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	own, page, token := w.ownPage()
	w.fb.ExpireTokenIn(token, 2*time.Hour)
	result, err := w.service.ConnectFacebookPageWithToken(w.manager(), w.pasted(page, token, own.Secret()))
	must(t, err)
	now := w.clock.Now()
	row := w.row(result.Connection)
	if in := row.TokenRefreshAt.Sub(now); in > time.Hour || in < 50*time.Minute || row.NextCheckAt.After(*row.TokenRefreshAt) {
		t.Errorf("it is renewed in %s, and looked at %s", in, row.NextCheckAt.Sub(now))
	}
	w.start()
	w.clock.turn(row.TokenRefreshAt.Sub(now))
	w.eventually(func() string {
		if len(w.audited("renewToken")) == 0 {
			return "the token was not renewed"
		}
		return ""
	})
	w.becomes(row.ID, entconnection.StatusActive, "")
	row = w.row(result.Connection)
	if renewed := shopOf(w).kept(row.ID, row.SealedToken); renewed == token {
		t.Error("the token is still the old one")
	}
}

func shopOf(w *world) *shop { return &shop{world: w} }
