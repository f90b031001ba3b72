package conversation_test

import (
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/webhooklog"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// script is a parser of a platform that tells of echoes, receipts and owners of chats:
// what a payload means is what the test said.
type script struct {
	mu     sync.Mutex
	events [][]platform.Event
}

func (s *script) write(events ...platform.Event) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events)
	return []byte(strconv.Itoa(len(s.events) - 1))
}

func (s *script) Envelope([]byte) (platform.Envelope, error) { return platform.Envelope{}, nil }

func (s *script) Parse(_ string, raw []byte) ([]platform.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	err := json.Unmarshal(raw, &n)
	return s.events[n], err
}

const ourApp = "555"

// mia is a customer's chat on a page.
var mia = platform.Chat{ID: "mia", Contact: platform.Person{ID: "mia", Name: "Mia"}}

// page connects another page, on a platform that sets a window for answers.
func (h *house) page() *ent.Connection {
	h.Helper()
	return h.pageIn(h.bot().CampaignID)
}

// pageIn connects another page to a campaign.
func (h *house) pageIn(campaign causeway.ID) *ent.Connection {
	h.Helper()
	h.made++
	var conn *ent.Connection
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
		n := strconv.Itoa(h.made)
		conn, err = tx.Connection.Create().SetCampaignID(campaign).SetPlatform(platform.Messenger).SetAccountID("9" + n).
			SetProfile(platform.Profile{}).SetName("Page " + n).SetStatus(connection.StatusActive).SetAppID(ourApp).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("page" + n).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(time.Now()).Save(tx.Context())
		return err
	}))
	return conn
}

// entry stores events as one update that the platform does not number.
func (h *house) entry(conn *ent.Connection, events ...platform.Event) *ent.WebhookLog {
	h.Helper()
	var log *ent.WebhookLog
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
		h.made++
		log, err = tx.WebhookLog.Create().
			SetCampaignID(conn.CampaignID).SetConnectionID(conn.ID).SetAccountID(conn.AccountID).
			SetEventType("messages").SetPayload(h.script.write(events...)).
			SetStatus(webhooklog.StatusPending).SetReceivedAt(time.Now()).
			SetPosition(int64(h.made)).SetQueueKey("chat").SetNextTryAt(time.Now()).Save(tx.Context())
		return err
	}))
	return log
}

// happens applies events as one update.
func (h *house) happens(conn *ent.Connection, events ...platform.Event) intake.Outcome {
	h.Helper()
	o := h.apply(h.entry(conn, events...))[0]
	h.no(o.Err)
	return o
}

// says is a message of the customer's.
func (h *house) miaSays(conn *ent.Connection, id, text string, at time.Time) intake.Outcome {
	h.Helper()
	return h.happens(conn, platform.MessageAdded{Chat: mia, ID: id, Content: platform.Content{Text: text}, SentAt: at})
}

// eachPage runs a test with a page on both databases.
func eachPage(t *testing.T, test func(h *house, conn *ent.Connection)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		test(h, h.page())
	})
}

// counter is a post at a page to which a customer wrote.
func counter(t *testing.T, answer func(*post, call) error, test func(p *post, conn *ent.Connection, conv *ent.Conversation)) {
	t.Helper()
	eachPage(t, func(h *house, conn *ent.Connection) {
		var p *post
		p = newPost(h, func(c call) error {
			if answer == nil {
				return nil
			}
			return answer(p, c)
		})
		h.miaSays(conn, "m_hello", "Hello?", p.clock.Now())
		test(p, conn, h.conversation(conn, mia.ID))
	})
}
