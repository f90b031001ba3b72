package connection_test

import (
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestAWebhookThatWasTakenOverIsTakenBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		bot := w.tg.AddBot("shop_bot", "Shop")
		s := w.newShop("Tea")
		botID, pageID := w.connects(bot).Connection, s.connectsPage(s.pages[0]).Connection
		w.foreignWebhook(bot)
		must(t, w.app.SetWebhook(t.Context(), w.door.URL+"/elsewhere", "x", messenger.Fields()...))
		w.start()
		w.clock.turn(time.Hour)
		for _, id := range []causeway.ID{botID, pageID} {
			w.becomes(id, entconnection.StatusError, causeway.WebhookTakenOver)
			result, err := w.service.RegisterWebhook(s.ana, id)
			must(t, err)
			w.is(result.Connection, entconnection.StatusActive, "")
			if row := w.row(id); row.WebhookStatus != entconnection.WebhookStatusActive || row.WebhookProblem != nil {
				t.Errorf("the webhook is %s with %+v", row.WebhookStatus, row.WebhookProblem)
			}
		}
		if bot.Webhook().URL != w.service.WebhookAddress(w.row(botID)) || w.app.Webhook().URL != w.service.WebhookAddress(w.row(pageID)) {
			t.Errorf("the bot delivers to %s, the app to %s", bot.Webhook().URL, w.app.Webhook().URL)
		}
		if got := w.audited("registerWebhook"); len(got) != 2 || got[0] != "somebody" {
			t.Errorf("the audit log says %v", got)
		}
	})
}

func TestAPageThatFacebookUnsubscribedIsSubscribedByReconnecting(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		s := w.newShop("Tea")
		id := s.connectsPage(s.pages[0]).Connection
		before := w.row(id)
		s.pages[0].DropSubscription(w.app)
		s.pages[0].Publish(true)
		w.clock.turn(time.Minute)
		result, err := w.service.Reconnect(s.ana, id)
		must(t, err)
		row := w.row(id)
		if result.Connection != id || row.ReconnectedAt == nil || !row.ConnectedAt.Equal(before.ConnectedAt) || s.pages[0].Subscription(w.app) == nil {
			t.Errorf("reconnected is %+v", row)
		}
		if s.kept(id, row.SealedUserToken) == s.person {
			t.Error("the token was not renewed")
		}
		if r := w.report(result.Report); r.Kind != testreport.KindConnection || !r.Passed {
			t.Errorf("reported %+v", r.Checks)
		}
		w.is(id, entconnection.StatusActive, "")
	})
}

func TestReconnectingWithADeadTokenAnswersItsProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	bot := w.tg.AddBot("shop_bot", "Shop")
	pageID, botID := s.connectsPage(s.pages[0]).Connection, w.connects(bot).Connection
	s.mia.ChangesPassword()
	refusal := unauthorized
	refusal.Times = 1
	w.tg.FailNext("getMe", refusal)
	for _, id := range []causeway.ID{pageID, botID} {
		result, err := w.service.Reconnect(s.ana, id)
		refused(t, err, causeway.TokenRevoked)
		if result.Connection != id || result.Report == "" {
			t.Errorf("answered %+v", result)
		}
		w.is(id, entconnection.StatusInactive, causeway.TokenRevoked)
		if w.row(id).ReconnectedAt != nil {
			t.Error("it counts as reconnected")
		}
	}
}

func TestReconnectingIsForManagersOfALiveConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	_, err := w.service.Reconnect(w.member(campaignmember.RoleAgent, w.campaign), id)
	refused(t, err, causeway.Forbidden)
	_, err = w.service.RegisterWebhook(w.member(campaignmember.RoleManager, w.other), id)
	refused(t, err, causeway.NotFound, "connectionId")
	must(t, w.service.Disconnect(w.manager(), id))
	_, err = w.service.Reconnect(w.manager(), id)
	refused(t, err, causeway.NotConnected, "connectionId")
}

func TestAnotherBotPutBehindAConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		w := newWorld(t, st)
		old, next, third := w.tg.AddBot("old_bot", "Old"), w.tg.AddBot("new_bot", "New"), w.tg.AddBot("third_bot", "Third")
		id := w.connects(old).Connection
		w.connects(third)
		_, err := w.service.ChangeTelegramBot(w.manager(), id, third.Token())
		refused(t, err, causeway.AlreadyConnected, "input", "botToken")
		_, err = w.service.ChangeTelegramBot(w.manager(), id, "nonsense")
		refused(t, err, causeway.InvalidBotToken, "input", "botToken")

		before := w.row(id)
		w.tg.FailNext("setWebhook", simulator.Failure{Status: 400, Description: "Bad Request: bad webhook"})
		_, err = w.service.ChangeTelegramBot(w.manager(), id, next.Token())
		refused(t, err, causeway.WebhookSubscriptionFailed)
		after := w.row(id)
		after.NextCheckAt = before.NextCheckAt
		same(t, before, after)

		result, err := w.service.ChangeTelegramBot(w.manager(), id, next.Token())
		must(t, err)
		row := w.row(id)
		if result.Connection != id || row.Name != "New" || row.Profile.Username != "new_bot" {
			t.Errorf("changed was %+v", row)
		}
		w.is(id, entconnection.StatusActive, "")
		if old.Webhook().URL != "" || next.Webhook().URL != w.service.WebhookAddress(row) {
			t.Errorf("the old bot delivers to %q, the new one to %q", old.Webhook().URL, next.Webhook().URL)
		}
		_, err = w.service.ChangeTelegramBot(w.manager(), id, next.Token())
		must(t, err)
		if next.Webhook().URL != w.service.WebhookAddress(row) {
			t.Error("the same bot once more lost its webhook")
		}
		if got := w.audited("changeTelegramBot"); len(got) != 2 {
			t.Errorf("the audit log says %v", got)
		}
		if strings.Contains(w.log.String(), next.Token()) {
			t.Error("a token is in the log")
		}
	})
}

func TestTheAccountOfAPageWritesAsThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	id := s.connectsPage(s.pages[0]).Connection
	account, err := w.service.Open(t.Context(), id)
	must(t, err)
	customer := s.pages[0].Customer("Bo")
	customer.Writes("Hello?")
	_, err = account.Send(t.Context(), platform.Outgoing{Chat: customer.ID(), Text: "Welcome"})
	must(t, err)
	if got := customer.Received(); len(got) != 1 || got[0].Text != "Welcome" {
		t.Errorf("the customer got %+v", got)
	}
	must(t, w.service.Disconnect(s.ana, id))
	_, err = w.service.Open(t.Context(), id)
	refused(t, err, causeway.NotConnected)
}
