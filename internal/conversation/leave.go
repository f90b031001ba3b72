package conversation

import (
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/connection"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/predicate"
	"causeway/ent/queuemember"
	"causeway/internal/feed"
	"causeway/internal/store"
)

// scope says in which campaigns, by a predicate on campaign_id; nil: in all.
type scope = func(*entsql.Selector)

// LeavesCampaign takes somebody who is a member of a campaign no more out of its queues,
// in the transaction that removes them, before it locks anything: their open
// conversations go back to their queues, whose policies give them to others, and those
// set aside wait for the customer; connections bring them nothing any more. Each is an
// event.
func (s *Service) LeavesCampaign(tx *store.Tx, campaign, person causeway.ID) error {
	return s.leaves(tx, person, entsql.FieldEQ("campaign_id", campaign))
}

// ShutOut is LeavesCampaign for all campaigns.
func (s *Service) ShutOut(tx *store.Tx, person causeway.ID) error {
	return s.leaves(tx, person, nil)
}

// Demoted is LeavesCampaign for the campaigns in which somebody who is an administrator
// no more is no member either.
func (s *Service) Demoted(tx *store.Tx, person causeway.ID) error {
	return s.leaves(tx, person, func(sel *entsql.Selector) {
		mine := entsql.Table(campaignmember.Table)
		sel.Where(entsql.NotIn(sel.C("campaign_id"), entsql.Dialect(sel.Dialect()).
			Select(mine.C(campaignmember.FieldCampaignID)).From(mine).
			Where(entsql.EQ(mine.C(campaignmember.FieldUserID), person))))
	})
}

// leaves goes round until nothing is left that was given to the person before their row
// was locked: the first round locks it after the conversations, as everybody does.
func (s *Service) leaves(tx *store.Tx, person causeway.ID, in scope) error {
	for round := 0; ; round++ {
		rows, err := lockConversations(tx, within[predicate.Conversation](in,
			conversation.AssigneeID(person), conversation.StatusIn(conversation.StatusOpen, conversation.StatusPending))...)
		if err != nil {
			return err
		}
		if len(rows) == 0 && round > 0 {
			break
		}
		if err := s.handBack(tx, person, rows); err != nil {
			return fmt.Errorf("give back what %s had: %w", person, err)
		}
	}
	_, err := tx.QueueMember.Delete().
		Where(within[predicate.QueueMember](in, queuemember.UserID(person))...).
		Exec(tx.Context())
	if err != nil {
		return fmt.Errorf("take %s out of queues: %w", person, err)
	}
	return s.forgetAssignee(tx, person, in)
}

// handBack puts conversations back into their queues and gives those that are open to
// somebody else.
func (s *Service) handBack(tx *store.Tx, person causeway.ID, rows []*ent.Conversation) error {
	var queues []causeway.ID
	for _, conv := range rows {
		queues = appendGiven(queues, conv.QueueID)
	}
	r, err := openRouter(tx, queues, []causeway.ID{person}, nil)
	if err != nil {
		return err
	}
	r.out = person
	for _, conv := range rows {
		var next *causeway.ID
		if conv.Status == conversation.StatusOpen {
			next = r.next(conv.QueueID)
		}
		if _, err := s.give(tx, conv, next, conv.QueueID); err != nil {
			return err
		}
		r.takes(conv.Status, nil, next)
	}
	return r.close()
}

// forgetAssignee makes connections bring nothing to somebody any more.
func (s *Service) forgetAssignee(tx *store.Tx, person causeway.ID, in scope) error {
	rows, err := s.lockConnections(tx, within[predicate.Connection](in, connection.AssigneeID(person))...)
	if err != nil || len(rows) == 0 {
		return err
	}
	return tx.Connection.Update().Where(within[predicate.Connection](in, connection.AssigneeID(person))...).
		ClearAssigneeID().Exec(tx.Context())
}

// forgetQueue makes connections bring nothing to a queue any more.
func (s *Service) forgetQueue(tx *store.Tx, queue causeway.ID) error {
	rows, err := s.lockConnections(tx, connection.QueueID(queue))
	if err != nil || len(rows) == 0 {
		return err
	}
	return tx.Connection.Update().Where(connection.QueueID(queue)).ClearQueueID().Exec(tx.Context())
}

// lockConnections locks those that match, in id order, each with the event that it is
// not as it was.
func (s *Service) lockConnections(tx *store.Tx, matching ...predicate.Connection) ([]*ent.Connection, error) {
	query := tx.Connection.Query().Where(matching...).Order(ent.Asc(connection.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	rows, err := query.All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("lock connections: %w", err)
	}
	for _, row := range rows {
		s.feed.Append(tx, feed.Event{Campaign: row.CampaignID, Kind: feedevent.KindConnection, Connection: row.ID})
	}
	return rows, nil
}

// within adds a scope, if there is one, to what must match.
func within[P ~func(*entsql.Selector)](in scope, matching ...P) []P {
	if in == nil {
		return matching
	}
	return append(matching, P(in))
}
