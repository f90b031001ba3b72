package conversation

import (
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/internal/store"
)

// arrival is a conversation in which a customer said something that may bring it to
// somebody: the first thing at all, or one that opened it again; or which another app
// gave to us.
type arrival struct {
	conv *conversationRow
	// reopened: it had been closed or set aside. Else it is new, or nobody has it.
	reopened bool
	// passed: another app gave it to us.
	passed bool
	seq    int64 // of what the customer said
}

// arrive notes that a customer said something to us. It opens a conversation that was
// closed or set aside. What another app has in hand (standby) does neither.
func (b *batch) arrive(conv *conversationRow, m *messageRow, standby bool) {
	if standby || conv.arrived {
		return
	}
	reopened := conv.Status != conversation.StatusOpen
	if !reopened && (conv.AssigneeID != nil || conv.QueueID != nil) {
		return
	}
	conv.Status, conv.ClosedAt, conv.arrived = conversation.StatusOpen, nil, true
	b.arrived = append(b.arrived, arrival{conv: conv, reopened: reopened, seq: m.Seq})
}

// handedToUs notes that another app gave a chat to us: somebody has to go on with it.
func (b *batch) handedToUs(conv *conversationRow) {
	if conv.arrived || conv.AssigneeID != nil && conv.Status == conversation.StatusOpen {
		return
	}
	reopened := conv.Status != conversation.StatusOpen
	conv.Status, conv.ClosedAt, conv.arrived = conversation.StatusOpen, nil, true
	b.arrived = append(b.arrived, arrival{conv: conv, reopened: reopened, passed: true})
}

// route brings what arrived to somebody: to the connection's assignee, else into its
// queue and by that queue's policy to one of its members. A conversation that is opened
// again stays with whoever has it and is at work. Connections that are not enabled
// bring nothing to anybody.
func (b *batch) route() error {
	if len(b.arrived) == 0 {
		return nil
	}
	entries, err := b.entries()
	if err != nil {
		return fmt.Errorf("read connections: %w", err)
	}
	var queues, people, campaigns []causeway.ID
	var coming []arrival
	for _, a := range b.arrived {
		entry := entries[a.conv.ConnectionID]
		if !a.reopened && !a.passed {
			fresh, err := b.fresh(a, entry)
			if err != nil {
				return fmt.Errorf("look whether %s is new: %w", a.conv.ID, err)
			}
			if !fresh {
				continue
			}
		}
		coming = append(coming, a)
		queues = appendGiven(queues, entry.QueueID)
		people = appendGiven(people, entry.AssigneeID, a.conv.AssigneeID)
		campaigns = append(campaigns, a.conv.CampaignID)
	}
	if len(coming) == 0 {
		return nil
	}
	r, err := openRouter(b.tx, queues, people, campaigns)
	if err != nil {
		return err
	}
	for _, a := range coming {
		b.bring(r, a, entries[a.conv.ConnectionID])
	}
	return r.close()
}

// bring decides who has a conversation from now on.
func (b *batch) bring(r *router, a arrival, entry *ent.Connection) {
	conv, has := a.conv, a.conv.AssigneeID
	campaign := conv.CampaignID
	switch {
	case has != nil && r.staff.AtWork(campaign, *has):
	case !entry.Enabled:
		if has == nil || !r.staff.MayWork(campaign, *has) {
			conv.AssigneeID, conv.QueueID = nil, nil
		}
	default:
		conv.AssigneeID, conv.QueueID = nil, nil
		if entry.QueueID != nil && r.queues[*entry.QueueID] != nil {
			conv.QueueID = entry.QueueID
		}
		if entry.AssigneeID != nil && r.staff.MayWork(campaign, *entry.AssigneeID) {
			conv.AssigneeID = entry.AssigneeID
		} else {
			conv.AssigneeID = r.next(conv.QueueID)
		}
	}
	conv.dirty = true
	r.takes(conversation.StatusOpen, nil, conv.AssigneeID) // it was not open before, or nobody's
	b.hear(conv)
}

// fresh tells whether nothing a customer said in an open conversation that nobody has
// was brought to anybody before: it began now, with a note, or in another app's hands.
func (b *batch) fresh(a arrival, entry *ent.Connection) (bool, error) {
	if !entry.Enabled || entry.QueueID == nil && entry.AssigneeID == nil {
		return false, nil
	}
	if a.conv.isNew {
		return true, nil
	}
	before, err := b.tx.Message.Query().
		Where(message.ConversationID(a.conv.ID), message.SeqLT(a.seq), message.DirectionEQ(message.DirectionInbound), message.Standby(false)).
		Exist(b.tx.Context())
	return !before, err
}

// entries are the connections of what arrived, with who is to get what arrives by them.
func (b *batch) entries() (map[causeway.ID]*ent.Connection, error) {
	ids := make([]causeway.ID, 0, len(b.arrived))
	for _, a := range b.arrived {
		ids = append(ids, a.conv.ConnectionID)
	}
	rows, err := b.tx.Connection.Query().
		Where(connection.IDIn(distinct(ids)...)).
		Select(connection.FieldID, connection.FieldEnabled, connection.FieldQueueID, connection.FieldAssigneeID).
		All(b.tx.Context())
	entries := make(map[causeway.ID]*ent.Connection, len(rows))
	for _, row := range rows {
		entries[row.ID] = row
	}
	return entries, err
}

func appendGiven(ids []causeway.ID, more ...*causeway.ID) []causeway.ID {
	for _, id := range more {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	return ids
}

// give writes down who has a locked conversation from now on and in which queue it is,
// with the event; nothing if that is how it is already. It tells whether it was not.
func (s *Service) give(tx *store.Tx, conv *ent.Conversation, assignee, queue *causeway.ID) (bool, error) {
	if sameID(conv.AssigneeID, assignee) && sameID(conv.QueueID, queue) {
		return false, nil
	}
	update := tx.Conversation.UpdateOneID(conv.ID)
	setOrClear(assignee, update.SetAssigneeID, update.ClearAssigneeID)
	setOrClear(queue, update.SetQueueID, update.ClearQueueID)
	if err := update.Exec(tx.Context()); err != nil {
		return false, fmt.Errorf("give %s: %w", conv.ID, err)
	}
	conv.AssigneeID, conv.QueueID = assignee, queue
	s.feed.Append(tx, changedEvent(conv))
	return true, nil
}

func setOrClear[U any](id *causeway.ID, set func(causeway.ID) U, clear func() U) {
	if id == nil {
		clear()
		return
	}
	set(*id)
}

func sameID(a, b *causeway.ID) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
