package conversation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/ent/messagepart"
	"causeway/ent/predicate"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// batch is everything that a claim of updates touches: read once, changed in memory
// in the order of the updates, written once. Conversations are locked from load to
// commit, so nobody else gives out their numbers meanwhile.
type batch struct {
	tx            *store.Tx
	now           time.Time
	contacts      map[key]*contactRow
	conversations map[key]*conversationRow // by chat
	messages      map[key]*messageRow
	byID          map[causeway.ID]*messageRow // those that were loaded
	reactedBy     map[causeway.ID][]*ent.Reaction
	began         []*conversationRow // in the order they were met
	changed       []*conversationRow
	added         []*messageRow
	updated       []messageChange
	reactions     []reactionChange
	words         wordChanges
	taps          []tap
	progressed    []*messageRow // in the order they met with something
	parts         []partTaken
	notices       []notice
	told          map[*ent.WebhookLog]*tally
	taken         bool      // something that waited to be sent turned out to be sent
	files         bool      // to be fetched
	strangers     bool      // to be asked for
	arrived       []arrival // what is to be brought to somebody, in the order it came
}

// conversationRow and messageRow are rows as they will be after the batch. isNew ones
// are inserted, dirty ones updated.
type conversationRow struct {
	*ent.Conversation
	isNew, dirty bool
	moved        bool // to another chat than the stored one
	heard        bool // an event of it is to be sent
	arrived      bool // it is among what is to be brought to somebody
}

type messageRow struct {
	*ent.Message
	attachments        []platform.Attachment
	isNew, dirty       bool
	attachmentsChanged bool
	progressed         bool           // it is among those that met with something
	was                message.Status // when it was loaded
}

type messageChange struct {
	message *messageRow
	change  string // of the contract's MessageChange enum
}

// wanted are the external ids that a batch has to look up, per account.
type wanted struct {
	chats, contacts, messages map[account]map[string]bool
	// fresh are those of messages that others wrote: no part of one of ours has them.
	fresh   map[account]map[string]bool
	moved   []key            // chats that moved away, whose topics move along
	ours    []causeway.ID    // messages that were sent from here
	marks   map[key]mark     // of the chats that tell how far messages have come
	reacted map[key]bool     // messages
	settles bool             // messages change that the outbox changes, too
	people  map[key][]string // the names under which contacts come
}

func (w *wanted) add(to map[account]map[string]bool, a account, ids ...string) {
	if to[a] == nil {
		to[a] = map[string]bool{}
	}
	for _, id := range ids {
		if id != "" {
			to[a][store.Clean(id)] = true
		}
	}
}

func (w *wanted) person(a account, p platform.Person) {
	w.add(w.contacts, a, p.ID)
	k := a.key(p.ID)
	if name := store.Clean(p.Name); !slices.Contains(w.people[k], name) {
		w.people[k] = append(w.people[k], name)
	}
}

func (w *wanted) note(u update) {
	a := u.account()
	chat := func(c platform.Chat) {
		w.add(w.chats, a, c.ID)
		w.person(a, c.Contact)
	}
	author := func(p *platform.Person) {
		if p != nil {
			w.person(a, *p)
		}
	}
	switch e := u.event.(type) {
	case platform.MessageAdded:
		chat(e.Chat)
		author(e.Author)
		w.add(w.messages, a, e.ID, e.ReplyTo)
		w.add(w.fresh, a, e.ID)
	case platform.ButtonTapped:
		chat(e.Chat)
		author(e.Author)
		w.add(w.messages, a, e.ID, e.MessageID)
		w.add(w.fresh, a, e.ID)
	case platform.MessageEdited:
		chat(e.Chat)
		author(e.Author)
		w.add(w.messages, a, e.ID)
	case platform.Reacted:
		chat(e.Chat)
		author(&e.Author)
		w.add(w.messages, a, e.MessageID)
		w.reacted[a.key(e.MessageID)] = true
	case platform.Noted:
		chat(e.Chat)
		author(e.Author)
		w.add(w.messages, a, e.ID)
	case platform.Reachable:
		chat(e.Chat)
	case platform.ChatMoved:
		w.add(w.chats, a, e.From, e.To)
		w.add(w.contacts, a, e.From, e.To)
		w.add(w.messages, a, e.ID)
		w.moved = append(w.moved, a.key(e.From), a.key(e.To))
	case platform.Echoed:
		chat(e.Chat)
		w.add(w.messages, a, e.ID, e.ReplyTo)
		if id, _, ok := ownPart(e.Metadata); ok {
			w.ours = append(w.ours, id)
		}
		w.settles = true
	case platform.Delivered:
		w.add(w.chats, a, e.Chat.ID)
		w.add(w.messages, a, e.IDs...)
		w.mark(a.key(e.Chat.ID), mark{delivered: e.UpTo})
	case platform.Read:
		w.add(w.chats, a, e.Chat.ID)
		w.mark(a.key(e.Chat.ID), mark{read: e.UpTo})
	case platform.MessageDeleted:
		w.add(w.chats, a, e.Chat.ID)
		w.add(w.messages, a, e.ID)
		w.settles = true
	case platform.ThreadOwned:
		chat(e.Chat)
		w.add(w.messages, a, e.ID)
	}
}

// load reads and locks what the updates speak of.
func load(tx *store.Tx, updates []update, now time.Time) (*batch, error) {
	b := &batch{
		tx:            tx,
		now:           now,
		contacts:      map[key]*contactRow{},
		conversations: map[key]*conversationRow{},
		messages:      map[key]*messageRow{},
		byID:          map[causeway.ID]*messageRow{},
		reactedBy:     map[causeway.ID][]*ent.Reaction{},
		words:         wordChanges{},
		told:          map[*ent.WebhookLog]*tally{},
	}
	w := &wanted{
		marks:    map[key]mark{},
		reacted:  map[key]bool{},
		chats:    map[account]map[string]bool{},
		contacts: map[account]map[string]bool{},
		messages: map[account]map[string]bool{},
		fresh:    map[account]map[string]bool{},
		people:   map[key][]string{},
	}
	for _, u := range updates {
		w.note(u)
	}
	renamed, err := b.loadContacts(w)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	if err := b.loadConversations(w, renamed); err != nil {
		return nil, fmt.Errorf("read conversations: %w", err)
	}
	if err := b.loadMessages(w); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	if err := b.loadOnTheirWay(w); err != nil {
		return nil, fmt.Errorf("read messages on their way: %w", err)
	}
	if err := b.loadReactions(w); err != nil {
		return nil, fmt.Errorf("read reactions: %w", err)
	}
	return b, nil
}

// loadConversations reads those of the chats, and those of renamed contacts: they are
// found by the contact's name.
func (b *batch) loadConversations(w *wanted, renamed []causeway.ID) error {
	var ors []predicate.Conversation
	if len(renamed) > 0 {
		ors = append(ors, conversation.ContactIDIn(renamed...))
	}
	for _, a := range accounts(w.chats) {
		ors = append(ors, conversation.And(
			conversation.ConnectionID(a.connection),
			conversation.AccountID(a.id),
			conversation.ChatIn(slices.Sorted(maps.Keys(w.chats[a]))...),
		))
	}
	for _, chat := range w.moved {
		ors = append(ors, conversation.And(
			conversation.ConnectionID(chat.connection),
			conversation.AccountID(chat.id),
			conversation.ChatHasPrefix(chat.external+topicSeparator),
		))
	}
	if len(ors) == 0 {
		return nil
	}
	q := b.tx.Conversation.Query().Where(conversation.Or(ors...)).Order(ent.Asc(conversation.FieldID))
	if b.tx.Dialect() == dialect.Postgres {
		q.ForUpdate()
	}
	rows, err := q.All(b.tx.Context())
	for _, c := range rows {
		k := account{c.ConnectionID, c.AccountID}.key(c.Chat)
		b.conversations[k] = &conversationRow{Conversation: c}
	}
	return err
}

func (b *batch) loadMessages(w *wanted) error {
	var ors []predicate.Message
	if len(w.ours) > 0 {
		ors = append(ors, message.IDIn(distinct(w.ours)...))
	}
	for _, a := range accounts(w.messages) {
		if len(w.messages[a]) == 0 {
			continue
		}
		ors = append(ors, message.And(
			message.ConnectionID(a.connection),
			message.AccountID(a.id),
			message.ExternalIDIn(slices.Sorted(maps.Keys(w.messages[a]))...),
		))
	}
	if len(ors) == 0 {
		return nil
	}
	query := b.tx.Message.Query().Where(message.Or(ors...))
	if len(w.ours) > 0 {
		query.WithAttachments(func(q *ent.AttachmentQuery) { q.Order(attachment.ByPlace()) })
	}
	rows, err := b.locked(w, query).All(b.tx.Context())
	if err != nil {
		return err
	}
	for _, m := range rows {
		b.loaded(m)
	}
	return b.loadParts(w)
}

// locked makes a query lock what it finds, where the outbox may change the same rows.
func (b *batch) locked(w *wanted, query *ent.MessageQuery) *ent.MessageQuery {
	if w.settles && b.tx.Dialect() == dialect.Postgres {
		query.Order(ent.Asc(message.FieldID)).ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	return query
}

// loaded is the one row of a message that was read.
func (b *batch) loaded(m *ent.Message) *messageRow {
	row := b.byID[m.ID]
	if row == nil {
		row = &messageRow{Message: m, was: m.Status}
		b.byID[m.ID] = row
	}
	if m.ExternalID != nil {
		b.messages[account{m.ConnectionID, m.AccountID}.key(*m.ExternalID)] = row
	}
	return row
}

// loadParts reads the messages of ours that the platform speaks of by one of their
// further parts.
func (b *batch) loadParts(w *wanted) error {
	var ors []predicate.MessagePart
	for _, a := range accounts(w.messages) {
		var unknown []string
		for _, id := range slices.Sorted(maps.Keys(w.messages[a])) {
			if b.messages[a.key(id)] == nil && !w.fresh[a][id] {
				unknown = append(unknown, id)
			}
		}
		if len(unknown) > 0 {
			ors = append(ors, messagepart.And(
				messagepart.ConnectionID(a.connection), messagepart.AccountID(a.id), messagepart.ExternalIDIn(unknown...),
			))
		}
	}
	if len(ors) == 0 {
		return nil
	}
	parts, err := b.tx.MessagePart.Query().Where(messagepart.Or(ors...)).All(b.tx.Context())
	if err != nil || len(parts) == 0 {
		return err
	}
	ids := make([]causeway.ID, 0, len(parts))
	for _, p := range parts {
		ids = append(ids, p.MessageID)
	}
	rows, err := b.locked(w, b.tx.Message.Query().Where(message.IDIn(distinct(ids)...))).All(b.tx.Context())
	if err != nil {
		return err
	}
	for _, m := range rows {
		b.loaded(m)
	}
	for _, p := range parts {
		b.messages[account{p.ConnectionID, p.AccountID}.key(p.ExternalID)] = b.byID[p.MessageID]
	}
	return nil
}

func accounts(of map[account]map[string]bool) []account {
	return slices.SortedFunc(maps.Keys(of), account.compare)
}

// conversation is the row of a chat, which begins with this update if it is new.
func (b *batch) conversation(u update, chat platform.Chat) *conversationRow {
	contact := b.contact(u, chat.Contact)
	k := u.account().key(chat.ID)
	conv, ok := b.conversations[k]
	if !ok {
		conv = &conversationRow{isNew: true, Conversation: &ent.Conversation{
			ID:            causeway.NewID(causeway.PrefixConversation),
			CampaignID:    u.log.CampaignID,
			ConnectionID:  u.log.ConnectionID,
			AccountID:     u.log.AccountID,
			Platform:      u.platform,
			ContactID:     contact.ID,
			Chat:          k.external,
			Title:         optional(chat.Title),
			Status:        conversation.StatusOpen,
			ThreadOwner:   conversation.ThreadOwnerNone,
			LastMessageAt: b.now,
			CreatedAt:     b.now,
		}}
		b.conversations[k] = conv
		b.began = append(b.began, conv)
		b.words.add(conv.CampaignID, conv.ID, contact.Name, 1)
		return conv
	}
	if title := store.Clean(chat.Title); title != "" && !chat.TopicUnnamed && deref(conv.Title) != title {
		conv.Title, conv.dirty = &title, true
		b.hear(conv)
	}
	return conv
}

// hear marks that an event of the conversation is to be sent, once per batch. One
// that just began has its own event, which shows it as it is after the batch.
func (b *batch) hear(conv *conversationRow) {
	if conv.heard || conv.isNew {
		return
	}
	conv.heard = true
	b.changed = append(b.changed, conv)
}

// add gives a message the next number of its conversation.
func (b *batch) add(u update, conv *conversationRow, m *ent.Message, attachments []platform.Attachment) *messageRow {
	conv.LastSeq++
	m.ID = causeway.NewID(causeway.PrefixMessage)
	m.CampaignID, m.ConnectionID, m.AccountID = conv.CampaignID, conv.ConnectionID, conv.AccountID
	m.ConversationID = conv.ID
	if u.log.ID != "" {
		m.WebhookLogID = &u.log.ID
	}
	m.Seq = conv.LastSeq
	m.CreatedAt = b.now
	if m.SentAt.IsZero() { // the platform does not say
		m.SentAt = b.now
	}
	row := &messageRow{Message: m, attachments: attachments, isNew: true, was: m.Status}
	conv.LastMessageID, conv.LastMessageAt, conv.dirty = &m.ID, b.now, true
	if m.Direction == message.DirectionInbound {
		conv.UnreadCount++
	}
	b.hear(conv)
	b.added = append(b.added, row)
	if m.ExternalID != nil {
		b.messages[u.account().key(*m.ExternalID)] = row
	}
	if m.Direction != message.DirectionInternal {
		b.words.add(m.CampaignID, m.ConversationID, deref(m.Text), 1)
	}
	return row
}

// known is the message with this external id, or nil.
func (b *batch) known(u update, externalID string) *messageRow {
	if externalID == "" {
		return nil
	}
	return b.messages[u.account().key(externalID)]
}

// optional is a text as it will be stored, or nil for none.
func optional(s string) *string {
	s = store.Clean(s)
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
