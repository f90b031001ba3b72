package connection_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/connection"
	"causeway/internal/intake"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func briefPolls(cfg *connection.Config) { cfg.PublicURL, cfg.PollTimeout = "", time.Second }

func (w *world) logs(id causeway.ID) []*ent.WebhookLog {
	w.Helper()
	logs, err := w.store.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(id)).
		Order(webhooklog.ByPosition()).All(context.Background())
	must(w, err)
	return logs
}

func TestWithoutAPublicAddressUpdatesAreFetchedAndStoredBeforeTheyAreConfirmed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, polling).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		lan := w.tg.Customer("Lan", "vi")
		lan.Writes(bot, "before")
		id := w.connects(bot).Connection
		w.is(id, entconnection.StatusActive, "")
		for i := range 5 {
			lan.Writes(bot, fmt.Sprint("message ", i))
		}
		w.eventually(func() string {
			if n := bot.Pending(); n > 0 {
				return fmt.Sprintf("%d updates are not confirmed", n)
			}
			return ""
		})
		logs := w.logs(id)
		if len(logs) != 6 {
			t.Fatalf("%d updates are stored", len(logs))
		}
		last, err := strconv.ParseInt(*logs[5].UpdateKey, 10, 64)
		must(t, err)
		if row := w.row(id); row.PollOffset != last+1 || row.TotalReceived != 6 || row.Delivery != entconnection.DeliveryPolling {
			t.Errorf("%d received, next is %d after %d", row.TotalReceived, row.PollOffset, last)
		}
		if bot.Webhook().URL != "" || w.service.WebhookAddress(w.row(id)) != "" {
			t.Error("there is a webhook")
		}
	})
}

func TestAnUpdateThatCouldNotBeStoredIsFetchedAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, polling)
		must(t, w.intake.Close()) // as if the database took nothing
		w.start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		w.tg.Customer("Lan", "vi").Writes(bot, "Hello?")
		w.eventually(func() string {
			if len(w.tg.Calls("getUpdates")) < 3 {
				return "it is not fetched again"
			}
			return ""
		})
		if bot.Pending() != 1 || len(w.logs(id)) != 0 {
			t.Fatalf("%d wait at Telegram, %d are stored", bot.Pending(), len(w.logs(id)))
		}
		must(t, w.service.Close())

		w.intake = intake.New(intake.Config{Store: s, Bus: w.bus, Clock: causeway.System{}})
		w.intake.Start()
		t.Cleanup(func() { _ = w.intake.Close() })
		w.service = w.newService(polling)
		w.start()
		w.eventually(func() string {
			if bot.Pending() == 0 {
				return ""
			}
			return "it is not confirmed"
		})
		if len(w.logs(id)) != 1 {
			t.Errorf("%d are stored", len(w.logs(id)))
		}
	})
}

// A customer's client may hang long links under every word.
func TestUpdatesTooLongToBeFetchedTogetherAreFetchedInSmallerParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	lan := w.tg.Customer("Lan", "vi")
	long := strings.Repeat("link ", 60_000)
	for range 40 {
		lan.Writes(bot, long)
	}
	id := w.connects(bot).Connection
	w.eventually(func() string {
		if n := len(w.logs(id)); n != 40 {
			return fmt.Sprintf("%d of 40 updates are stored", n)
		}
		return ""
	})
}

func TestAfterARestartFetchingGoesOnFromWhatWasStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	w.tg.Customer("Lan", "vi").Writes(bot, "Hello?")
	w.eventually(func() string {
		if w.row(id).PollOffset == 0 {
			return "nothing was fetched"
		}
		return ""
	})
	must(t, w.service.Close())
	asked := len(w.tg.Calls("getUpdates"))
	w.service = w.newService(polling)
	w.start()
	calls, err := w.tg.WaitCalls(within(t), "getUpdates", asked+1)
	must(t, err)
	if got := calls[asked].Params["offset"]; got != strconv.FormatInt(w.row(id).PollOffset, 10) {
		t.Errorf("asked from %s on, stored is %d", got, w.row(id).PollOffset)
	}
}

func TestAnotherProgramThatFetchesIsToldAndNotFought(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, briefPolls).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		must(t, bot.WaitPolled(within(t)))
		other, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for other.Err() == nil {
				_, _ = w.owner(bot).GetUpdates(other, 0, 1, 50*time.Second)
			}
		}()
		w.becomes(id, entconnection.StatusError, causeway.WebhookTakenOver)
		if row := w.row(id); row.Problem.Reason != causeway.ReasonTakenByPoller || row.WebhookStatus != entconnection.WebhookStatusError {
			t.Errorf("told %+v, webhook %s", row.Problem, row.WebhookStatus)
		}
		asked := len(w.tg.Calls("getUpdates"))
		_, err := w.service.Test(w.manager(), id)
		must(t, err)
		w.is(id, entconnection.StatusError, causeway.WebhookTakenOver)
		if got := len(w.tg.Calls("getUpdates")); got > asked+1 {
			t.Errorf("fetched %d times meanwhile", got-asked)
		}
		stop()
		<-ended
		w.clock.turn(time.Hour)
		w.becomes(id, entconnection.StatusActive, "")
		w.tg.Customer("Lan", "vi").Writes(bot, "Hello?")
		w.eventually(func() string {
			if len(w.logs(id)) == 1 {
				return ""
			}
			return "nothing is fetched any more"
		})
	})
}

func TestAWebhookInTheWayOfFetchingIsToldAndNotFought(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, briefPolls).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		must(t, bot.WaitPolled(within(t)))
		other := w.foreignWebhook(bot)
		w.eventually(func() string {
			row := w.row(id)
			if row.Problem == nil || row.Problem.Reason != causeway.ReasonTakenByWebhook {
				return fmt.Sprintf("told is %+v", row.Problem)
			}
			return ""
		})
		if row := w.row(id); row.Status != entconnection.StatusError || row.Problem.Args["host"] != other || bot.Webhook().URL == "" {
			t.Errorf("told %s, %+v; registered is %q", row.Status, row.Problem, bot.Webhook().URL)
		}
		must(t, w.owner(bot).DeleteWebhook(t.Context(), false))
		w.becomes(id, entconnection.StatusActive, "")
		must(t, bot.WaitPolled(within(t)))
	})
}

func TestFetchingThatFailsIsToldAndRecovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), briefPolls).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, bot.WaitPolled(within(t)))
	w.tg.FailNext("getUpdates", simulator.Failure{Status: 500, Times: 6})
	w.becomes(id, entconnection.StatusError, causeway.PlatformError)
	w.becomes(id, entconnection.StatusActive, "")
	if row := w.row(id); row.WebhookStatus != entconnection.WebhookStatusActive || row.WebhookProblem != nil {
		t.Errorf("the webhook is %s, %+v", row.WebhookStatus, row.WebhookProblem)
	}
}

func TestFetchingWithARevokedTokenEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), briefPolls).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, bot.WaitPolled(within(t)))
	bot.ReplaceToken()
	w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
	w.connects(bot)
	w.is(id, entconnection.StatusActive, "")
	must(t, bot.WaitPolled(within(t)))
}

func TestDisconnectingEndsFetching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, bot.WaitPolled(within(t)))
	must(t, w.service.Disconnect(w.manager(), id))
	w.tg.Customer("Lan", "vi").Writes(bot, "Anybody there?")
	in := w.input(bot.Token())
	in.CampaignID = w.other
	elsewhere, err := w.service.ConnectTelegramBot(w.admin(), in)
	must(t, err)
	w.eventually(func() string {
		if len(w.logs(elsewhere.Connection)) == 1 {
			return ""
		}
		return "the new campaign did not get the update"
	})
	if len(w.logs(id)) != 0 {
		t.Error("the old one got it")
	}
}

func TestOneServerFetchesAndAnotherTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t), polling).start()
	second := w.newService(polling)
	must(t, second.Start())
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	must(t, bot.WaitPolled(within(t)))
	lan := w.tg.Customer("Lan", "vi")
	for i := range 2 {
		lan.Writes(bot, "Hello?")
		w.eventually(func() string {
			if got := len(w.logs(id)); got != i+1 {
				return fmt.Sprintf("%d updates were stored", got)
			}
			return ""
		})
		w.is(id, entconnection.StatusActive, "")
		must(t, w.service.Close())
	}
}

func TestTheWayUpdatesComeFollowsTheSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		must(t, w.service.Close())

		w.service = w.newService(briefPolls)
		w.start()
		w.eventually(func() string {
			if row := w.row(id); row.Delivery != entconnection.DeliveryPolling || row.Status != entconnection.StatusActive {
				return fmt.Sprintf("updates come by %s, it is %s", row.Delivery, row.Status)
			}
			return ""
		})
		if bot.Webhook().URL != "" {
			t.Error("the webhook is still there")
		}
		must(t, bot.WaitPolled(within(t)))
		must(t, w.service.Close())

		w.service = w.newService()
		w.start()
		w.eventually(func() string {
			if row := w.row(id); row.Delivery != entconnection.DeliveryWebhook || row.Status != entconnection.StatusActive {
				return fmt.Sprintf("updates come by %s, it is %s", row.Delivery, row.Status)
			}
			return ""
		})
		if bot.Webhook().URL != w.service.WebhookAddress(w.row(id)) {
			t.Errorf("registered is %s", bot.Webhook().URL)
		}
	})
}
