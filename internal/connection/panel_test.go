package connection_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"causeway"
	"causeway/ent/auditentry"
	"causeway/ent/campaignmember"
	"causeway/ent/webhooklog"
	"causeway/internal/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// stores keeps updates of a connection, PENDING, and answers their ids.
func (w *world) stores(id causeway.ID, n int) []causeway.ID {
	w.Helper()
	row := w.row(id)
	var ids []causeway.ID
	for i := range n {
		must(w, w.intake.Add(w.Context(), intake.Entry{
			Campaign: row.CampaignID, Connection: id, Account: row.AccountID, Body: []byte(`{}`),
			Envelope: platform.Envelope{Key: fmt.Sprint("key ", i), Event: "message"},
		}))
	}
	all, err := w.store.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(id)).Order(webhooklog.ByPosition()).All(w.Context())
	must(w, err)
	for _, log := range all {
		ids = append(ids, log.ID)
	}
	return ids
}

// details are those of the only audit entry of an action.
func (w *world) details(action string, subject causeway.ID) map[string]any {
	w.Helper()
	entry, err := w.store.Reader().AuditEntry.Query().Where(auditentry.Action(action), auditentry.SubjectID(subject)).Only(w.Context())
	must(w, err)
	var details map[string]any
	must(w, json.Unmarshal(entry.Details, &details))
	if entry.ActorID == nil {
		w.Errorf("nobody did %s", action)
	}
	return details
}

func (w *world) counts(id causeway.ID, status webhooklog.Status, want int) {
	w.Helper()
	n, err := w.store.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(id), webhooklog.StatusEQ(status)).Count(w.Context())
	must(w, err)
	if n != want {
		w.Errorf("%d logs are %s, not %d", n, status, want)
	}
}

func TestWhatWaitsIsDroppedAtThePlatformAndSetAsideHere(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]option{"webhook": nil, "polling": {polling}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				w, g := newWorld(t, s, opts...), newGate(t, nil)
				if len(opts) == 0 {
					w.service = w.newService(func(cfg *connection.Config) { cfg.PublicURL = g.URL })
				}
				g.w = w
				bot := w.tg.AddBot("shop_bot", "Shop")
				id := w.connects(bot).Connection
				g.answer.Store(503)
				for i := range 3 {
					w.tg.Customer("Lan", "vi").Writes(bot, fmt.Sprint("Hello ", i))
				}
				w.stores(id, 4)
				told := w.events(id)
				w.clock.turn(2 * time.Second)
				cleared, err := w.service.ClearWebhookQueue(w.manager(), id)
				must(t, err)
				if *cleared != (connection.Cleared{AtPlatform: 3, Stored: 4}) {
					t.Errorf("cleared %v", cleared)
				}
				w.counts(id, webhooklog.StatusDiscarded, 4)
				info, err := w.owner(bot).GetWebhookInfo(t.Context())
				must(t, err)
				if info.Pending != 0 || info.URL != w.service.WebhookAddress(w.row(id)) {
					t.Errorf("Telegram has %+v", info)
				}
				if row := w.row(id); row.PlatformPending != 0 || w.events(id) != told+1 {
					t.Errorf("%d wait, and %d events were told", row.PlatformPending, w.events(id)-told)
				}
				if d := w.details("clearWebhookQueue", id); d["atPlatform"] != 3.0 || d["stored"] != 4.0 {
					t.Errorf("the audit log says %v", d)
				}
				n, err := w.service.ReplayWebhooks(w.manager(), id, intake.Filter{Status: webhooklog.StatusDiscarded})
				must(t, err)
				if d := w.details("replayWebhooks", id); n != 4 || d["replayed"] != 4.0 || d["status"] != "DISCARDED" {
					t.Errorf("%d came back, and the audit log says %v", n, d)
				}
				w.counts(id, webhooklog.StatusPending, 4)
			})
		})
	}
}

func TestWhatIsStoredIsSetAsideAlsoWhileThePlatformIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	w.stores(id, 2)
	w.tg.Down()
	cleared, err := w.service.ClearWebhookQueue(w.manager(), id)
	refused(t, err, causeway.NetworkError, "connectionId")
	if cleared.Stored != 2 {
		t.Errorf("cleared %v", cleared)
	}
	w.counts(id, webhooklog.StatusDiscarded, 2)
	w.tg.Up()
	bot.RevokeToken()
	_, err = w.service.ClearWebhookQueue(w.manager(), id)
	refused(t, err, causeway.TokenRevoked, "connectionId")
	if due := w.row(id).NextCheckAt; due == nil || due.After(w.clock.Now()) {
		t.Errorf("the next check is at %v", due)
	}
}

func TestWhatWaitsForAnotherProgramIsNotDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	w.clock.turn(2 * time.Second)
	w.foreignWebhook(bot)
	before := bot.Webhook()
	_, err := w.service.ClearWebhookQueue(w.manager(), id)
	refused(t, err, causeway.WebhookTakenOver, "connectionId")
	if after := bot.Webhook(); after.URL != before.URL {
		t.Errorf("the webhook leads to %s", after.URL)
	}
}

func TestALogOfADisconnectedConnectionIsReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	log := w.stores(id, 1)[0]
	must(t, w.service.Disconnect(w.manager(), id))
	cleared, err := w.service.ClearWebhookQueue(w.manager(), id)
	must(t, err)
	if *cleared != (connection.Cleared{Stored: 1}) {
		t.Errorf("cleared %v", cleared)
	}
	must(t, w.service.ReplayWebhook(w.manager(), log))
	w.counts(id, webhooklog.StatusPending, 1)
	if d := w.details("replayWebhook", log); d["status"] != "DISCARDED" || d["connection"] != string(id) {
		t.Errorf("the audit log says %v", d)
	}
	must(t, w.service.ReplayWebhook(w.manager(), log)) // it waits already: nothing is done, and nothing told
	w.details("replayWebhook", log)
}

func TestWhoMayNotWorkTheWebhookPanelIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	log := w.stores(id, 1)[0]
	agent, foreign, manager := w.member(campaignmember.RoleAgent, w.campaign), w.member(campaignmember.RoleManager, w.other), w.manager()

	refused(t, w.service.ReplayWebhook(agent, log), causeway.Forbidden)
	refused(t, w.service.ReplayWebhook(foreign, log), causeway.NotFound, "id")
	_, err := w.service.ReplayWebhooks(agent, id, intake.Filter{})
	refused(t, err, causeway.Forbidden)
	_, err = w.service.ReplayWebhooks(foreign, id, intake.Filter{})
	refused(t, err, causeway.NotFound, "connectionId")
	_, err = w.service.ClearWebhookQueue(agent, id)
	refused(t, err, causeway.Forbidden)
	_, err = w.service.ClearWebhookQueue(foreign, id)
	refused(t, err, causeway.NotFound, "connectionId")

	w.archive(w.campaign)
	refused(t, w.service.ReplayWebhook(manager, log), causeway.Conflict, "id")
	_, err = w.service.ReplayWebhooks(manager, id, intake.Filter{})
	refused(t, err, causeway.Conflict, "connectionId")
	_, err = w.service.ClearWebhookQueue(manager, id)
	refused(t, err, causeway.Conflict, "connectionId")
	w.counts(id, webhooklog.StatusPending, 1)
}
