package conversation

import (
	"cmp"
	"fmt"
	"slices"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/queue"
	"causeway/ent/queuemember"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// router gives conversations to people, within one transaction. It holds the rows of
// the queues it gives from and of everybody it may give to, so that what it decides by
// is true until the commit: of two that share a person the second sees what the first
// gave, whatever queues and servers they work for. Whoever opens one has locked the
// conversations before.
type router struct {
	tx     *store.Tx
	queues map[causeway.ID]*counter
	staff  *auth.Staff
	busy   map[causeway.ID]int   // OPEN conversations, of those whom LEAST_BUSY may choose
	turns  map[causeway.ID]int64 // when people were last given one, in any of the queues
	given  map[causeway.ID]bool  // whose turn changed
	out    causeway.ID           // is given nothing; empty for nobody
}

// counter is a queue with those who serve it, in the order they joined.
type counter struct {
	*ent.Queue
	members []*ent.QueueMember
	served  bool
}

// openRouter locks queues and people, each in id order. Queues that are gone are left
// out. Besides the queues' members, people are those whom the caller asks about, in the
// campaigns that it names.
func openRouter(tx *store.Tx, queues, people, campaigns []causeway.ID) (*router, error) {
	r := &router{
		tx:     tx,
		queues: map[causeway.ID]*counter{},
		busy:   map[causeway.ID]int{}, turns: map[causeway.ID]int64{}, given: map[causeway.ID]bool{},
	}
	members, err := r.lockQueues(queues)
	if err != nil {
		return nil, err
	}
	campaigns = slices.Clone(campaigns)
	for _, q := range r.queues {
		campaigns = append(campaigns, q.CampaignID)
	}
	r.staff, err = auth.LockStaff(tx, distinct(append(members, people...)), distinct(campaigns))
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return r, nil
	}
	if err := r.readMembers(); err != nil {
		return nil, fmt.Errorf("read whose turn it is: %w", err)
	}
	if err := r.countBusy(); err != nil {
		return nil, fmt.Errorf("count who has how many: %w", err)
	}
	return r, nil
}

// lockQueues tells who serves the queues that give out by themselves.
func (r *router) lockQueues(ids []causeway.ID) ([]causeway.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query := r.tx.Queue.Query().Where(queue.IDIn(distinct(ids)...)).Order(ent.Asc(queue.FieldID))
	if r.tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	rows, err := query.All(r.tx.Context())
	if err != nil {
		return nil, fmt.Errorf("lock queues: %w", err)
	}
	var giving []causeway.ID
	for _, q := range rows {
		r.queues[q.ID] = &counter{Queue: q}
		if q.Assignment != queue.AssignmentManual {
			giving = append(giving, q.ID)
		}
	}
	if len(giving) == 0 {
		return nil, nil
	}
	var people []causeway.ID
	err = r.tx.QueueMember.Query().
		Where(queuemember.QueueIDIn(giving...)).
		Select(queuemember.FieldUserID).
		Scan(r.tx.Context(), &people)
	if err != nil {
		return nil, fmt.Errorf("read who serves queues: %w", err)
	}
	return people, nil
}

// readMembers reads turns, which nobody changes but who holds the person's row.
func (r *router) readMembers() error {
	rows, err := r.tx.QueueMember.Query().
		Where(queuemember.QueueIDIn(keysOf(r.queues)...)).
		Order(ent.Asc(queuemember.FieldJoinedAt, queuemember.FieldID)).
		All(r.tx.Context())
	if err != nil {
		return err
	}
	for _, m := range rows {
		q := r.queues[m.QueueID]
		q.members = append(q.members, m)
		r.turns[m.UserID] = max(r.turns[m.UserID], m.Turn)
	}
	return nil
}

func (r *router) countBusy() error {
	var people []causeway.ID
	for _, q := range r.queues {
		if q.Assignment != queue.AssignmentLeastBusy {
			continue
		}
		for _, m := range q.members {
			if r.staff.AtWork(q.CampaignID, m.UserID) {
				people = append(people, m.UserID)
			}
		}
	}
	if len(people) == 0 {
		return nil
	}
	var rows []struct {
		AssigneeID causeway.ID `json:"assignee_id"`
		Count      int         `json:"count"`
	}
	err := openWith(r.tx.Client(), distinct(people)).
		GroupBy(conversation.FieldAssigneeID).
		Aggregate(ent.Count()).
		Scan(r.tx.Context(), &rows)
	for _, row := range rows {
		r.busy[row.AssigneeID] = row.Count
	}
	return err
}

// openWith are the open conversations that people have.
func openWith(client *ent.Client, people []causeway.ID) *ent.ConversationQuery {
	return client.Conversation.Query().
		Where(conversation.AssigneeIDIn(people...), conversation.StatusEQ(conversation.StatusOpen))
}

// next is who gets a conversation out of a queue, nil if nobody does: none of its
// members is ONLINE, they take conversations themselves, or the queue is gone.
func (r *router) next(queueID *causeway.ID) *causeway.ID {
	if queueID == nil || r.queues[*queueID] == nil {
		return nil
	}
	q := r.queues[*queueID]
	var best *ent.QueueMember
	for _, m := range q.members {
		if m.UserID == r.out || !r.staff.AtWork(q.CampaignID, m.UserID) {
			continue
		}
		if best == nil || r.before(q, m, best) {
			best = m
		}
	}
	if best == nil || q.Assignment == queue.AssignmentManual {
		return nil
	}
	// A number beyond everybody's: those of queues that share people compare.
	for _, m := range q.members {
		q.Turns = max(q.Turns, r.turns[m.UserID])
	}
	q.Turns++
	q.served = true
	r.turns[best.UserID], r.given[best.UserID] = q.Turns, true
	return &best.UserID
}

// before tells whether a goes before b, who joined earlier.
func (r *router) before(q *counter, a, b *ent.QueueMember) bool {
	order := 0
	if q.Assignment == queue.AssignmentLeastBusy {
		order = cmp.Compare(r.busy[a.UserID], r.busy[b.UserID])
	}
	return cmp.Or(order, cmp.Compare(r.turns[a.UserID], r.turns[b.UserID])) < 0
}

// takes counts a conversation to whoever has it now, and not to whoever had it.
func (r *router) takes(status conversation.Status, had, has *causeway.ID) {
	if status != conversation.StatusOpen {
		return
	}
	if had != nil {
		r.busy[*had]--
	}
	if has != nil {
		r.busy[*has]++
	}
}

// close writes down whose turn it was.
func (r *router) close() error {
	ctx := r.tx.Context()
	for _, id := range keysOf(r.queues) {
		if q := r.queues[id]; q.served {
			if err := r.tx.Queue.UpdateOneID(id).SetTurns(q.Turns).Exec(ctx); err != nil {
				return fmt.Errorf("write down what %s gave: %w", id, err)
			}
		}
	}
	for _, person := range keysOf(r.given) {
		err := r.tx.QueueMember.Update().Where(queuemember.UserID(person)).SetTurn(r.turns[person]).Exec(ctx)
		if err != nil {
			return fmt.Errorf("write down whose turn it was: %w", err)
		}
	}
	return nil
}

// keysOf are a map's keys in order.
func keysOf[V any](m map[causeway.ID]V) []causeway.ID {
	keys := make([]causeway.ID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func distinct(ids []causeway.ID) []causeway.ID {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}
