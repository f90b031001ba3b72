package conversation

import (
	"causeway/ent/message"
	"causeway/internal/platform"
)

// messageDeleted takes back a message: what it said is gone, that it was there stays. If
// nobody has read it yet, there is one less to read.
func (b *batch) messageDeleted(u update, e platform.MessageDeleted) error {
	m := b.known(u, e.ID)
	if m == nil {
		b.moot(u)
		return nil
	}
	if m.DeletedAt != nil {
		b.again(u)
		return nil
	}
	if conv := b.conversationOf(m); conv != nil {
		unread, err := b.unread(conv, m)
		if err != nil {
			return err
		}
		if unread {
			conv.UnreadCount--
			conv.dirty = true
			b.hear(conv)
		}
	}
	if m.Direction != message.DirectionInternal {
		b.words.add(m.CampaignID, m.ConversationID, deref(m.Text), -1)
	}
	m.Text, m.Payload, m.DeletedAt = nil, nil, b.stamp(e.At)
	m.attachments, m.attachmentsChanged, m.dirty = nil, true, true
	b.updated = append(b.updated, messageChange{message: m, change: changeDeleted})
	return nil
}

// unread tells whether a customer's message is among those that nobody has read: the
// newest of its conversation, as many as are counted.
func (b *batch) unread(conv *conversationRow, m *messageRow) (bool, error) {
	if m.Direction != message.DirectionInbound || conv.UnreadCount == 0 {
		return false, nil
	}
	newer := 0
	for _, other := range b.added {
		if other.ConversationID == conv.ID && other.Seq > m.Seq && other.Direction == message.DirectionInbound && other.DeletedAt == nil {
			newer++
		}
	}
	if m.isNew {
		return newer < conv.UnreadCount, nil
	}
	stored, err := b.tx.Message.Query().
		Where(
			message.ConversationID(conv.ID), message.SeqGT(m.Seq),
			message.DirectionEQ(message.DirectionInbound), message.DeletedAtIsNil(),
		).
		Limit(conv.UnreadCount + len(b.updated)).IDs(b.tx.Context())
	for _, id := range stored {
		if other := b.byID[id]; other == nil || other.DeletedAt == nil { // not in this batch
			newer++
		}
	}
	return newer < conv.UnreadCount, err
}
