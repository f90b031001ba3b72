package conversation_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/platform"
)

// Platforms that do not number their updates deliver the same entry again, alone or
// among others; entries of several chats are in order with none of them.
func TestEntriesThatComeFiveTimesAtOnceAreAppliedOnce(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, conn *ent.Connection) {
		doorbells := bus.NewLocal()
		updates := intake.New(intake.Config{Store: h.store, Bus: doorbells, Clock: causeway.System{}})
		processor := intake.NewProcessor(intake.ProcessorConfig{
			Store: h.store, Bus: doorbells, Clock: causeway.System{}, Apply: h.service.Apply, Batch: 4, Workers: 4,
		})
		updates.Start()
		processor.Start()
		t.Cleanup(func() {
			h.no(updates.Close())
			h.no(processor.Close())
			h.no(doorbells.Close())
		})
		began := causeway.Stamp(time.Now())
		chat := func(n int) platform.Chat {
			id := fmt.Sprint("c", n)
			return platform.Chat{ID: id, Contact: platform.Person{ID: id, Name: "Customer"}}
		}
		said := func(n, i int) platform.MessageAdded {
			return platform.MessageAdded{
				Chat: chat(n), ID: fmt.Sprintf("m_%d_%d", n, i), Content: platform.Content{Text: "Hi"},
				SentAt: began.Add(time.Duration(i) * time.Second),
			}
		}
		var bodies [][]byte
		for i := range 6 {
			bodies = append(bodies, h.script.write(said(i%3, i), said((i+1)%3, i)))
		}
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() {
				for _, body := range bodies {
					err := updates.Add(t.Context(), intake.Entry{
						Campaign: conn.CampaignID, Connection: conn.ID, Account: conn.AccountID,
						Envelope: platform.Envelope{Event: "messages"}, Body: body,
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		calls.Wait()
		deadline := time.Now().Add(time.Minute)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for h.count("SELECT count(*) FROM webhook_logs WHERE status = 'PENDING'") > 0 {
			if time.Now().After(deadline) {
				t.Fatal("updates still wait")
			}
			<-tick.C
		}
		logs, err := h.store.Reader().WebhookLog.Query().Where(webhooklog.ConnectionID(conn.ID)).All(t.Context())
		h.no(err)
		for _, body := range bodies {
			var became []string
			for _, log := range logs {
				if string(log.Payload) == string(body) {
					became = append(became, string(log.Status))
				}
			}
			slices.Sort(became)
			h.same("the logs", became, []string{"DUPLICATE", "DUPLICATE", "DUPLICATE", "DUPLICATE", "PROCESSED"})
		}
		for n := range 3 {
			conv := h.conversation(conn, chat(n).ID)
			if conv.UnreadCount != 4 || conv.LastSeq != 4 {
				t.Errorf("%s has %d messages and %d unread", conv.Chat, conv.LastSeq, conv.UnreadCount)
			}
		}
	})
}
