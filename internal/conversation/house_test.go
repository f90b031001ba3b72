package conversation_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/connection"
	"causeway/ent/contact"
	entconversation "causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/ent/reaction"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/store"
)

// house is the room conversation with what it stands on, and nobody who calls it.
type house struct {
	testing.TB
	store    *store.Store
	service  *conversation.Service
	accounts *accounts
	log      *lockedBuffer
	script   *script
	made     int // connections and logs so far
}

func newHouse(t testing.TB, s *store.Store) *house {
	t.Helper()
	h := &house{TB: t, store: s, accounts: newAccounts(), log: &lockedBuffer{}, script: &script{}}
	doorbells := bus.NewLocal()
	events := feed.New(feed.Config{Store: s, Bus: doorbells})
	h.service = conversation.New(conversation.Config{
		Store: s, Feed: events, Bus: doorbells, Accounts: h.accounts,
		Parsers: map[platform.Name]platform.Parser{platform.Telegram: telegram.Parser{}, platform.Messenger: h.script},
		Clock:   causeway.System{},
		Log:     slog.New(slog.NewTextHandler(h.log, nil)),
	})
	t.Cleanup(func() {
		h.no(h.service.Close())
		h.no(h.service.Close())
		h.no(events.Close())
		h.no(doorbells.Close())
	})
	return h
}

// no ends the test at an error.
func (h *house) no(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// bot connects another bot to a campaign of its own.
func (h *house) bot() *ent.Connection {
	h.Helper()
	var camp *ent.Campaign
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
		camp, err = tx.Campaign.Create().SetName("Spring").SetCreatedAt(time.Now()).Save(tx.Context())
		return err
	}))
	return h.botIn(camp.ID)
}

// botIn connects another bot to a campaign.
func (h *house) botIn(campaign causeway.ID) *ent.Connection {
	h.Helper()
	h.made++
	var conn *ent.Connection
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
		n := strconv.Itoa(h.made)
		conn, err = tx.Connection.Create().SetCampaignID(campaign).SetPlatform(platform.Telegram).SetAccountID("9" + n).
			SetProfile(platform.Profile{}).SetName("Bot " + n).SetStatus(connection.StatusActive).
			SetDelivery(connection.DeliveryWebhook).SetWebhookKey("key" + n).
			SetWebhookStatus(connection.WebhookStatusActive).SetConnectedAt(time.Now()).Save(tx.Context())
		return err
	}))
	return conn
}

// logs stores updates as intake does.
func (h *house) logs(conn *ent.Connection, updates ...string) []*ent.WebhookLog {
	h.Helper()
	logs := make([]*ent.WebhookLog, 0, len(updates))
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) error {
		creates := make([]*ent.WebhookLogCreate, 0, len(updates))
		for _, u := range updates {
			h.made++
			creates = append(creates, tx.WebhookLog.Create().
				SetCampaignID(conn.CampaignID).SetConnectionID(conn.ID).SetAccountID(conn.AccountID).
				SetUpdateKey(strconv.Itoa(h.made)).SetEventType("message").SetPayload([]byte(u)).
				SetStatus(webhooklog.StatusPending).SetReceivedAt(time.Now()).
				SetPosition(int64(h.made)).SetQueueKey("chat").SetNextTryAt(time.Now()))
		}
		var err error
		logs, err = tx.WebhookLog.CreateBulk(creates...).Save(tx.Context())
		return err
	}))
	return logs
}

// apply applies logs in one transaction, as a claim of intake's is.
func (h *house) apply(logs ...*ent.WebhookLog) []intake.Outcome {
	h.Helper()
	var outcomes []intake.Outcome
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) (err error) {
		outcomes, err = h.service.Apply(tx, logs)
		return err
	}))
	return outcomes
}

// hears applies updates in one batch; each must be understood.
func (h *house) hears(conn *ent.Connection, updates ...string) {
	h.Helper()
	for i, o := range h.apply(h.logs(conn, updates...)...) {
		if o.Err != nil || o.Ignored {
			h.Fatalf("%s: ignored %v, error %v", updates[i], o.Ignored, o.Err)
		}
	}
}

// conversation is the one at a chat.
func (h *house) conversation(conn *ent.Connection, chat any) *ent.Conversation {
	h.Helper()
	c, err := h.store.Reader().Conversation.Query().
		Where(entconversation.ConnectionID(conn.ID), entconversation.Chat(fmt.Sprint(chat))).
		WithContact().WithLastMessage().Only(h.Context())
	h.no(err)
	return c
}

// shows compares a conversation's messages, oldest first, with lines as h.transcript
// makes them.
func (h *house) shows(conn *ent.Connection, chat any, want ...string) {
	h.Helper()
	h.same(fmt.Sprintf("chat %v", chat), h.transcript(h.conversation(conn, chat)), want)
}

func (h *house) same(what string, got, want []string) {
	h.Helper()
	if !slices.Equal(got, want) {
		h.Fatalf("%s shows\n\t%s\nnot\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// transcript is what an agent reads: who wrote, what, and what hangs on it.
func (h *house) transcript(conv *ent.Conversation) []string {
	h.Helper()
	messages, err := h.store.Reader().Message.Query().
		Where(message.ConversationID(conv.ID)).Order(message.BySeq()).
		WithContact().WithReplyTo().
		WithAttachments(func(q *ent.AttachmentQuery) { q.Order(attachment.ByPlace()) }).
		WithReactions(func(q *ent.ReactionQuery) { q.Where(reaction.EmojiNEQ("")).Order(reaction.ByEmoji()).WithContact() }).
		All(h.Context())
	h.no(err)
	lines := make([]string, 0, len(messages))
	for i, m := range messages {
		if m.Seq != int64(i+1) {
			h.Errorf("message %d of %s has number %d", i+1, conv.Chat, m.Seq)
		}
		lines = append(lines, line(m))
	}
	h.consistent(conv, messages)
	return lines
}

func line(m *ent.Message) string {
	var b strings.Builder
	if m.Direction == message.DirectionInternal {
		fmt.Fprintf(&b, "* %s", text(m.Text))
	} else {
		fmt.Fprintf(&b, "%s: %s", m.Edges.Contact.Name, text(m.Text))
	}
	if m.Payload != nil {
		fmt.Fprintf(&b, " (%s)", *m.Payload)
	}
	for _, a := range m.Edges.Attachments {
		fmt.Fprintf(&b, " [%s %s]", a.Kind, cmp.Or(text(a.PlatformRef), text(a.Name), "here"))
	}
	if m.Edges.ReplyTo != nil {
		fmt.Fprintf(&b, " <- %d", m.Edges.ReplyTo.Seq)
	}
	if m.ForwardedFrom != nil {
		fmt.Fprintf(&b, " from %s", *m.ForwardedFrom)
	}
	if m.AlbumID != nil {
		fmt.Fprintf(&b, " in %s", *m.AlbumID)
	}
	if m.EditedAt != nil {
		fmt.Fprintf(&b, " edited %d", m.EditedAt.Unix()-epoch)
	}
	var hearts []string
	for _, r := range m.Edges.Reactions {
		hearts = append(hearts, r.Edges.Contact.Name+" "+r.Emoji)
	}
	slices.Sort(hearts)
	for _, heart := range hearts {
		fmt.Fprintf(&b, " {%s}", heart)
	}
	return b.String()
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// consistent holds a conversation's counters against its messages.
func (h *house) consistent(conv *ent.Conversation, messages []*ent.Message) {
	h.Helper()
	unread := 0
	for _, m := range messages {
		if m.Direction == message.DirectionInbound {
			unread++
		}
		if m.SentAt.IsZero() || m.CampaignID != conv.CampaignID || m.WebhookLogID == nil || m.Status != message.StatusReceived {
			h.Errorf("a message is not as it should be: %v", m)
		}
	}
	if conv.UnreadCount != unread {
		h.Errorf("%s has %d unread, not %d", conv.Chat, conv.UnreadCount, unread)
	}
	if conv.LastSeq != int64(len(messages)) {
		h.Errorf("%s has the last number %d, not %d", conv.Chat, conv.LastSeq, len(messages))
	}
	if len(messages) == 0 || conv.LastMessageID == nil || *conv.LastMessageID != messages[len(messages)-1].ID {
		h.Errorf("the last message of %s is not its last", conv.Chat)
	}
}

// state is everything that is stored of a connection's chats, without what differs
// each time: ids and when it was stored.
func (h *house) state(conn *ent.Connection) []string {
	h.Helper()
	ctx, client := h.Context(), h.store.Reader()
	var lines []string
	contacts, err := client.Contact.Query().Where(contact.ConnectionID(conn.ID)).Order(contact.ByExternalID()).All(ctx)
	h.no(err)
	for _, c := range contacts {
		lines = append(lines, fmt.Sprintf("contact %s %q %q %q blocked %v", c.ExternalID, c.Name, text(c.Username), text(c.Language), c.Blocked))
	}
	convs, err := client.Conversation.Query().Where(entconversation.ConnectionID(conn.ID)).
		Order(entconversation.ByChat()).WithContact().All(ctx)
	h.no(err)
	for _, c := range convs {
		lines = append(lines, fmt.Sprintf("chat %s %q with %s, %d unread", c.Chat, text(c.Title), c.Edges.Contact.ExternalID, c.UnreadCount))
		lines = append(lines, h.transcript(c)...)
		lines = append(lines, "words "+strings.Join(h.words(c.ID), " "))
	}
	return lines
}

// words is a conversation's part of the search index.
func (h *house) words(conv causeway.ID) []string {
	h.Helper()
	t := h.store.SQL().Table("search_words")
	query, args := h.store.SQL().Select("word", "uses").From(t).
		Where(eq("conversation_id", conv)).Query()
	rows, err := h.store.Readers().QueryContext(h.Context(), query, args...)
	h.no(err)
	defer func() { _ = rows.Close() }()
	var words []string
	for rows.Next() {
		var word string
		var uses int
		h.no(rows.Scan(&word, &uses))
		if uses != 0 {
			words = append(words, fmt.Sprintf("%s=%d", word, uses))
		}
	}
	h.no(rows.Err())
	slices.Sort(words)
	return words
}

// events are a campaign's events, in order: kind, change and the chat.
func (h *house) events(campaign causeway.ID) []string {
	h.Helper()
	events, err := h.store.Reader().FeedEvent.Query().
		Where(feedevent.CampaignID(campaign)).Order(feedevent.BySeq()).All(h.Context())
	h.no(err)
	var lines []string
	for _, e := range events {
		conv, err := h.store.Reader().Conversation.Get(h.Context(), *e.ConversationID)
		h.no(err)
		line := strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Change)) + " in " + conv.Chat
		if e.MessageID != nil {
			m, err := h.store.Reader().Message.Get(h.Context(), *e.MessageID)
			h.no(err)
			line += fmt.Sprintf(" #%d", m.Seq)
		}
		lines = append(lines, line)
	}
	return lines
}

// count answers one number of the database.
func (h *house) count(query string, args ...any) int {
	h.Helper()
	var n sql.NullInt64
	h.no(h.store.Readers().QueryRowContext(h.Context(), query, args...).Scan(&n))
	return int(n.Int64)
}

// accounts are accounts that only note which taps they were told of.
type accounts struct {
	mu       sync.Mutex
	answered []string
	told     chan string
	refuse   error
}

func newAccounts() *accounts { return &accounts{told: make(chan string, 100)} }

func (a *accounts) Open(_ context.Context, connection causeway.ID) (platform.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return account{a, connection}, a.refuse
}

type account struct {
	accounts   *accounts
	connection causeway.ID
}

func (a account) AnswerTap(_ context.Context, answerID string) error {
	a.accounts.mu.Lock()
	defer a.accounts.mu.Unlock()
	a.accounts.answered = append(a.accounts.answered, string(a.connection)+" "+answerID)
	select {
	case a.accounts.told <- answerID:
	default: // nobody listens
	}
	return nil
}

// Send takes everything; the outbox's tests bring platforms of their own.
func (a account) Send(context.Context, platform.Outgoing) (platform.Sent, error) {
	return platform.Sent{}, nil
}

// CheckSoon checks nothing.
func (a *accounts) CheckSoon(context.Context, causeway.ID) error { return nil }

// Noticed notes nothing.
func (a *accounts) Noticed(*store.Tx, causeway.ID, platform.AccountNoticed) (bool, error) {
	return false, nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
