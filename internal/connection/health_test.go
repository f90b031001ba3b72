package connection_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/platform/telegram"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

var unauthorized = simulator.Failure{Status: http.StatusUnauthorized, Description: "Unauthorized"}

func TestARefusedTokenIsNoticedByTheNextCheckAndForgottenWhenItWorks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s).start()
		id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
		events := w.events(id)
		refuse := unauthorized
		refuse.Times = 3
		w.tg.FailNext("getMe", refuse)
		w.clock.turn(time.Hour)
		w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
		if row := w.row(id); row.TokenValid || row.Problem.Reason != causeway.ReasonBotTokenReplaced || row.Problem.OccurredAt.IsZero() {
			t.Errorf("the token counts as valid: %v, problem %+v", row.TokenValid, row.Problem)
		}
		since := w.row(id).Problem.OccurredAt
		w.eventually(func() string {
			if w.row(id).FailedChecks == 3 {
				return ""
			}
			return "three checks did not fail"
		})
		if !w.row(id).Problem.OccurredAt.Equal(since) {
			t.Error("a problem that goes on began anew")
		}
		w.becomes(id, entconnection.StatusActive, "")
		if !w.row(id).TokenValid || w.events(id) != events+2 {
			t.Errorf("valid again: %v; watchers were told %d times", w.row(id).TokenValid, w.events(id)-events)
		}
		if reports := w.reports(id, testreport.KindHealth); len(reports) != 2 || reports[0].Passed || !reports[1].Passed {
			t.Errorf("%d reports were kept of a failure and a recovery", len(reports))
		}
	})
}

func TestOneMissedAnswerIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	ctx := w.manager()
	test := func(outcome platform.CheckOutcome) {
		t.Helper()
		report, err := w.service.Test(ctx, id)
		must(t, err)
		if got := check(t, w.report(report), platform.CheckToken); got.Outcome != outcome {
			t.Fatalf("the token's check is %s, want %s", got.Outcome, outcome)
		}
	}
	w.tg.FailNext("getMe", simulator.Failure{Status: 502, HTML: true, Times: 2})
	test(platform.CheckFailed)
	w.is(id, entconnection.StatusActive, "")
	test(platform.CheckFailed)
	w.is(id, entconnection.StatusError, causeway.PlatformError)
	test(platform.CheckPassed)
	w.is(id, entconnection.StatusActive, "")

	w.tg.Down()
	test(platform.CheckFailed)
	w.is(id, entconnection.StatusActive, "")
	test(platform.CheckFailed)
	w.is(id, entconnection.StatusError, causeway.NetworkError)
	w.tg.Up()
	test(platform.CheckPassed)
	w.is(id, entconnection.StatusActive, "")
}

func TestALaterTakeoverIsToldAndNotFought(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		ours := bot.Webhook()
		other := w.foreignWebhook(bot)
		w.clock.turn(time.Hour)
		w.becomes(id, entconnection.StatusError, causeway.WebhookTakenOver)
		row := w.row(id)
		if row.WebhookStatus != entconnection.WebhookStatusError || row.Problem.Reason != causeway.ReasonTakenByWebhook ||
			row.Problem.Args["host"] != other {
			t.Errorf("told %s, %+v", row.WebhookStatus, row.Problem)
		}
		if !strings.Contains(bot.Webhook().URL, other) {
			t.Error("it was fought")
		}
		must(t, w.owner(bot).SetWebhook(t.Context(), telegram.SetWebhook{URL: ours.URL, Secret: ours.Secret}))
		w.becomes(id, entconnection.StatusActive, "")

		w.foreignWebhook(bot)
		_, err := w.service.Test(w.manager(), id)
		must(t, err)
		w.is(id, entconnection.StatusError, causeway.WebhookTakenOver)
		w.connects(bot)
		w.is(id, entconnection.StatusActive, "")
	})
}

func TestAWebhookThatIsGoneIsToldAndNotFought(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, w.owner(bot).DeleteWebhook(t.Context(), false))
	_, err := w.service.Test(w.manager(), id)
	must(t, err)
	w.is(id, entconnection.StatusError, causeway.WebhookNotRegistered)
	if row := w.row(id); row.WebhookStatus != entconnection.WebhookStatusInactive || len(row.SubscribedFields) != 0 || bot.Webhook().URL != "" {
		t.Errorf("the webhook is %s for %v", row.WebhookStatus, row.SubscribedFields)
	}
}

func TestADeliveryThatFailsIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	var broken atomic.Bool
	broken.Store(true)
	own := &gate{w: w}
	door := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Causeway-Test") != "":
			own.ServeHTTP(rw, r)
		case broken.Load():
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(door.Close)
	w.service = w.newService(func(cfg *connection.Config) { cfg.PublicURL = door.URL })
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	w.tg.Customer("Lan", "vi").Writes(bot, "Hello?")
	w.eventually(func() string {
		_, err := w.service.Test(w.manager(), id)
		must(t, err)
		if row := w.row(id); row.Status == entconnection.StatusError {
			return ""
		}
		return "the failing deliveries are not told"
	})
	w.is(id, entconnection.StatusError, causeway.WebhookFailing)
	if row := w.row(id); row.PlatformPending != 1 || !strings.Contains(row.Problem.PlatformMessage, "500") {
		t.Errorf("told %d pending and %+v", row.PlatformPending, row.Problem)
	}
	broken.Store(false)
	must(t, bot.WaitDelivered(within(t)))
	w.clock.turn(2 * time.Hour) // the error that Telegram remembers is old by then
	_, err := w.service.Test(w.manager(), id)
	must(t, err)
	w.is(id, entconnection.StatusActive, "")
}

func TestAnotherPublicAddressIsRegisteredByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	door := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(door.Close)
	w.service = w.newService(func(cfg *connection.Config) { cfg.PublicURL = door.URL + "/" })
	_, err := w.service.Test(w.manager(), id)
	must(t, err)
	w.is(id, entconnection.StatusActive, "")
	if got := bot.Webhook().URL; !strings.HasPrefix(got, door.URL+"/webhooks/telegram/") {
		t.Errorf("registered is %s", got)
	}
}

func TestServersShareTheChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t))
	var ids []causeway.ID
	for range 9 {
		ids = append(ids, w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection)
	}
	asked := len(w.tg.Calls("getMe"))
	w.clock.turn(time.Hour)
	due := w.clock.Now()
	w.start()
	must(t, w.newService().Start())
	w.eventually(func() string {
		for _, id := range ids {
			if w.row(id).LastSyncedAt.Before(due) {
				return "not all were checked"
			}
		}
		return ""
	})
	if got := len(w.tg.Calls("getMe")) - asked; got != len(ids) {
		t.Errorf("%d checks were made of %d connections", got, len(ids))
	}
}

func TestClosingComesAnyTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling)
	must(t, w.service.Close())
	must(t, w.service.Close())
	if w.service.Start() == nil {
		t.Error("a closed service starts")
	}
	w.service = w.newService(polling)
	w.start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	w.connects(bot)
	must(t, bot.WaitPolled(within(t)))
	must(t, w.service.Close())
	must(t, w.service.Close())
}
