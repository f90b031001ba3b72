package conversation

import (
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/platform"
)

// mark is how far messages of a chat have come, by the platform's clock; zero for what
// is not known.
type mark struct{ delivered, read time.Time }

func (w *wanted) mark(chat key, m mark) {
	was := w.marks[chat]
	w.marks[chat] = mark{delivered: later(was.delivered, m.delivered), read: later(was.read, m.read)}
	w.settles = true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// loadOnTheirWay reads what was sent in chats that tell how far it has come. The
// conversations are locked, and whoever makes a message SENT locks them as well, so that
// a message is either among these or meets with the mark that is kept.
func (b *batch) loadOnTheirWay(w *wanted) error {
	for _, chat := range sortedKeys(w.marks) {
		conv := b.conversations[chat]
		if conv == nil {
			continue
		}
		m := w.marks[chat]
		if err := b.loadSent(w, conv.ID, "status = 'SENT'", m.delivered); err != nil {
			return err
		}
		if err := b.loadSent(w, conv.ID, "(status = 'SENT' OR status = 'DELIVERED')", m.read); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) loadSent(w *wanted, conversation causeway.ID, in string, upTo time.Time) error {
	if upTo.IsZero() {
		return nil
	}
	query := b.tx.Message.Query().Where(func(s *entsql.Selector) { s.Where(onTheirWay(conversation, in, upTo)) })
	rows, err := b.locked(w, query).All(b.tx.Context())
	for _, m := range rows {
		b.loaded(m)
	}
	return err
}

// onTheirWay are the messages of a conversation in a status that were sent until then.
// The status stands as in the partial index, which SQLite finds by its words.
func onTheirWay(conversation causeway.ID, in string, upTo time.Time) *entsql.Predicate {
	return entsql.And(
		entsql.ExprP(in),
		entsql.EQ(message.FieldConversationID, conversation),
		entsql.LTE(message.FieldSentAt, causeway.Stamp(upTo)),
	)
}

// delivered notes what has arrived, and until when everything has.
func (b *batch) delivered(u update, e platform.Delivered) {
	conv := b.conversations[u.account().key(e.Chat.ID)]
	if conv == nil {
		b.moot(u)
		return
	}
	fresh := false
	for _, id := range e.IDs {
		// A message of several parts has arrived when the last of them has, which the
		// mark tells: not every part's place is known here.
		if m := b.known(u, id); m != nil && m.PartsSent <= 1 {
			fresh = b.markDelivered(m, e.At) || fresh
		}
	}
	if raise(&conv.DeliveredUpTo, e.UpTo) {
		fresh, conv.dirty = true, true
		for _, m := range b.sentIn(conv, e.UpTo) {
			b.markDelivered(m, e.At)
		}
	}
	if !fresh {
		b.again(u)
	}
}

// read notes until when everything was read.
func (b *batch) read(u update, e platform.Read) {
	conv := b.conversations[u.account().key(e.Chat.ID)]
	if conv == nil {
		b.moot(u)
		return
	}
	if !raise(&conv.ReadUpTo, e.UpTo) {
		b.again(u)
		return
	}
	conv.dirty = true
	for _, m := range b.sentIn(conv, e.UpTo) {
		b.markRead(m, e.At)
	}
}

// raise moves a mark forward; it tells whether it did.
func raise(at **time.Time, to time.Time) bool {
	to = causeway.Stamp(to)
	if to.IsZero() || *at != nil && !to.After(**at) {
		return false
	}
	*at = &to
	return true
}

// sentIn are the messages at hand that went out in a conversation until then.
func (b *batch) sentIn(conv *conversationRow, upTo time.Time) []*messageRow {
	var rows []*messageRow
	add := func(m *messageRow) {
		if m.ConversationID == conv.ID && m.Direction == message.DirectionOutbound && !m.SentAt.After(upTo) {
			rows = append(rows, m)
		}
	}
	for _, id := range keysOf(b.byID) {
		add(b.byID[id])
	}
	for _, m := range b.added {
		add(m)
	}
	return rows
}

// catchUp lets a message that was just found to be sent meet with what was told before
// of everything sent until then.
func (b *batch) catchUp(conv *conversationRow, m *messageRow) {
	if conv.DeliveredUpTo != nil && !m.SentAt.After(*conv.DeliveredUpTo) {
		b.markDelivered(m, *conv.DeliveredUpTo)
	}
	if conv.ReadUpTo != nil && !m.SentAt.After(*conv.ReadUpTo) {
		b.markRead(m, *conv.ReadUpTo)
	}
}

// markDelivered makes a message that was sent DELIVERED; it tells whether it did.
func (b *batch) markDelivered(m *messageRow, at time.Time) bool {
	if m.Status != message.StatusSent {
		return false
	}
	m.Status, m.DeliveredAt = message.StatusDelivered, b.stamp(at)
	b.progress(m)
	return true
}

// markRead makes a message that was sent READ, and so delivered.
func (b *batch) markRead(m *messageRow, at time.Time) {
	if m.Status != message.StatusSent && m.Status != message.StatusDelivered {
		return
	}
	m.Status, m.ReadAt = message.StatusRead, b.stamp(at)
	if m.DeliveredAt == nil {
		m.DeliveredAt = m.ReadAt
	}
	b.progress(m)
}

// stamp is a time of the platform's as it is stored; ours where it does not say.
func (b *batch) stamp(at time.Time) *time.Time {
	if at.IsZero() {
		at = b.now
	}
	at = causeway.Stamp(at)
	return &at
}

// progress notes that a message met with something, which is written and told once.
func (b *batch) progress(m *messageRow) {
	if m.progressed || m.isNew {
		return
	}
	m.progressed = true
	b.progressed = append(b.progressed, m)
}

func (b *batch) writeProgress() error {
	for _, m := range b.progressed {
		u := b.tx.Message.Update().Where(message.ID(m.ID)).
			SetStatus(m.Status).SetSentAt(m.SentAt).SetPartsSent(m.PartsSent).
			SetNillableExternalID(m.ExternalID).SetNillableDeliveredAt(m.DeliveredAt).SetNillableReadAt(m.ReadAt)
		if m.SendingAt == nil {
			u.ClearSendingAt()
		}
		if m.LeasedUntil == nil {
			u.ClearLeasedUntil()
		}
		if m.Problem == nil {
			u.ClearProblem()
		}
		if err := u.Exec(b.tx.Context()); err != nil {
			return err
		}
	}
	return nil
}

// reached is the status of a message that was sent, by the marks of its conversation.
func reached(conv *ent.Conversation, sentAt time.Time) (status message.Status, delivered, read *time.Time) {
	status = message.StatusSent
	if at := conv.DeliveredUpTo; at != nil && !sentAt.After(*at) {
		status, delivered = message.StatusDelivered, at
	}
	if at := conv.ReadUpTo; at != nil && !sentAt.After(*at) {
		status, read = message.StatusRead, at
		if delivered == nil {
			delivered = at
		}
	}
	return status, delivered, read
}
