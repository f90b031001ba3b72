package conversation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/queue"
	"causeway/ent/queuemember"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// Bounds of what is entered for a queue.
const (
	maxQueueName    = 200 // characters
	maxQueueMembers = 500
)

// NewQueue is a queue that is to be made.
type NewQueue struct {
	Campaign   causeway.ID
	Name       string
	Members    []causeway.ID
	Assignment queue.Assignment
}

// CreateQueue makes a queue in a campaign that the viewer manages. A name that another
// queue of the campaign has is CONFLICT; a member who is nobody NOT_FOUND, one who may be
// given no work in the campaign INVALID_INPUT.
func (s *Service) CreateQueue(ctx context.Context, in NewQueue) (causeway.ID, error) {
	name, err := checkQueueName(in.Name)
	if err != nil {
		return "", err
	}
	id := causeway.NewID(causeway.PrefixQueue)
	err = s.manage(ctx, in.Campaign, []string{"input", "campaignId"}, func(tx *store.Tx) error {
		now := s.clock.Now()
		err := tx.Queue.Create().
			SetID(id).SetCampaignID(in.Campaign).SetName(name).SetAssignment(in.Assignment).SetCreatedAt(now).
			Exec(ctx)
		if err != nil {
			return err
		}
		q := &ent.Queue{ID: id, CampaignID: in.Campaign}
		if _, err := s.staffQueue(tx, q, in.Members); err != nil {
			return err
		}
		return audit.Record(tx, audit.Entry{
			Campaign: in.Campaign, Action: "createQueue", Subject: id, At: now,
			Details: map[string]any{"name": name, "assignment": in.Assignment, "members": distinct(in.Members)},
		})
	})
	if err != nil {
		return "", nameTaken(err)
	}
	return id, nil
}

// QueueChange is what is to change of a queue. Without Members it has nobody.
type QueueChange struct {
	ID         causeway.ID
	Name       causeway.Change[string]
	Members    causeway.Change[[]causeway.ID]
	Assignment causeway.Change[queue.Assignment]
}

// UpdateQueue changes a queue of a campaign that the viewer manages. What waits in it is
// given to whoever is there now; what its members have they keep.
func (s *Service) UpdateQueue(ctx context.Context, in QueueChange) error {
	if in.Name.Cleared() {
		return causeway.Invalid(causeway.ReasonCannotClear, "input", "name")
	}
	if in.Assignment.Cleared() {
		return causeway.Invalid(causeway.ReasonCannotClear, "input", "assignment")
	}
	if in.Name.Given {
		name, err := checkQueueName(*in.Name.Value)
		if err != nil {
			return err
		}
		in.Name.Value = &name
	}
	err := s.manageQueue(ctx, in.ID, []string{"input", "id"}, func(tx *store.Tx) error {
		q, err := lockQueue(tx, in.ID, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		if q == nil {
			return causeway.Missing("input", "id")
		}
		return s.changeQueue(tx, q, in)
	})
	return nameTaken(err)
}

func (s *Service) changeQueue(tx *store.Tx, q *ent.Queue, in QueueChange) error {
	details := map[string]any{}
	update := tx.Queue.UpdateOneID(q.ID)
	if in.Name.Given && *in.Name.Value != q.Name {
		update.SetName(*in.Name.Value)
		details["name"] = audit.Changed{From: q.Name, To: *in.Name.Value}
	}
	if in.Assignment.Given && *in.Assignment.Value != q.Assignment {
		update.SetAssignment(*in.Assignment.Value)
		details["assignment"] = audit.Changed{From: q.Assignment, To: *in.Assignment.Value}
	}
	if len(details) > 0 {
		if err := update.Exec(tx.Context()); err != nil {
			return err
		}
	}
	if in.Members.Given {
		var members []causeway.ID
		if in.Members.Value != nil {
			members = *in.Members.Value
		}
		before, err := s.staffQueue(tx, q, members)
		if err != nil {
			return err
		}
		if now := distinct(members); !slices.Equal(before, now) {
			details["members"] = audit.Changed{From: before, To: now}
		}
	}
	if len(details) == 0 {
		return nil
	}
	tx.AfterCommit(s.usher.look)
	return audit.Record(tx, audit.Entry{
		Campaign: q.CampaignID, Action: "updateQueue", Subject: q.ID, At: s.clock.Now(), Details: details,
	})
}

// staffQueue makes people, and nobody else, the members of a locked queue, and tells who
// they were. Somebody who serves other queues joins with the turn they have there.
func (s *Service) staffQueue(tx *store.Tx, q *ent.Queue, people []causeway.ID) (before []causeway.ID, err error) {
	if len(people) > maxQueueMembers {
		return nil, causeway.Invalid(causeway.ReasonTooLong, "input", "memberIds").With("max", strconv.Itoa(maxQueueMembers))
	}
	people = distinct(people)
	ctx := tx.Context()
	members, err := tx.QueueMember.Query().Where(queuemember.QueueID(q.ID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the members of %s: %w", q.ID, err)
	}
	for _, m := range members {
		before = append(before, m.UserID)
	}
	before = distinct(before)
	staff, err := auth.LockStaff(tx, distinct(append(slices.Clone(people), before...)), []causeway.ID{q.CampaignID})
	if err != nil {
		return nil, err
	}
	var joining []causeway.ID
	for _, person := range people {
		if !staff.Has(person) {
			return nil, causeway.Missing("input", "memberIds")
		}
		if !staff.MayWork(q.CampaignID, person) {
			return nil, causeway.Invalid(causeway.ReasonNotMember, "input", "memberIds")
		}
		if !slices.Contains(before, person) {
			joining = append(joining, person)
		}
	}
	_, err = tx.QueueMember.Delete().Where(queuemember.QueueID(q.ID), queuemember.UserIDNotIn(people...)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("take people out of %s: %w", q.ID, err)
	}
	return before, s.join(tx, q, joining)
}

func (s *Service) join(tx *store.Tx, q *ent.Queue, people []causeway.ID) error {
	if len(people) == 0 {
		return nil
	}
	elsewhere, err := tx.QueueMember.Query().Where(queuemember.UserIDIn(people...)).All(tx.Context())
	if err != nil {
		return fmt.Errorf("read whose turn it was elsewhere: %w", err)
	}
	turns := map[causeway.ID]int64{}
	for _, m := range elsewhere {
		turns[m.UserID] = max(turns[m.UserID], m.Turn)
	}
	creates := make([]*ent.QueueMemberCreate, 0, len(people))
	for _, person := range people {
		creates = append(creates, tx.QueueMember.Create().
			SetCampaignID(q.CampaignID).SetQueueID(q.ID).SetUserID(person).
			SetTurn(turns[person]).SetJoinedAt(s.clock.Now()))
	}
	if err := tx.QueueMember.CreateBulk(creates...).Exec(tx.Context()); err != nil {
		return fmt.Errorf("put people into %s: %w", q.ID, err)
	}
	return nil
}

// DeleteQueue deletes a queue of a campaign that the viewer manages. Its conversations
// stay with whoever has them, in no queue, and connections bring nothing to it any more;
// each of them has an event.
func (s *Service) DeleteQueue(ctx context.Context, id causeway.ID) error {
	return s.manageQueue(ctx, id, []string{"id"}, func(tx *store.Tx) error {
		if _, err := lockConversations(tx, conversation.QueueID(id)); err != nil {
			return err
		}
		q, err := lockQueue(tx, id, "FOR UPDATE")
		if err != nil {
			return err
		}
		if q == nil {
			return causeway.Missing("id")
		}
		// From here on nothing comes into it; what came meanwhile is found now.
		rows, err := lockConversations(tx, conversation.QueueID(id))
		if err != nil {
			return err
		}
		if err := tx.Conversation.Update().Where(conversation.QueueID(id)).ClearQueueID().Exec(ctx); err != nil {
			return fmt.Errorf("empty %s: %w", id, err)
		}
		for _, conv := range rows {
			s.feed.Append(tx, changedEvent(conv))
		}
		if err := s.forgetQueue(tx, id); err != nil {
			return err
		}
		if err := tx.Queue.DeleteOneID(id).Exec(ctx); err != nil {
			return fmt.Errorf("delete %s: %w", id, err)
		}
		return audit.Record(tx, audit.Entry{
			Campaign: q.CampaignID, Action: "deleteQueue", Subject: id, At: s.clock.Now(),
			Details: map[string]any{"name": q.Name, "conversations": len(rows)},
		})
	})
}

// manageQueue runs fn for who manages a queue's campaign, which is not archived.
func (s *Service) manageQueue(ctx context.Context, id causeway.ID, path []string, fn func(tx *store.Tx) error) error {
	if _, err := auth.From(ctx); err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		q, err := tx.Queue.Get(ctx, id)
		if ent.IsNotFound(err) {
			return causeway.Missing(path...)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
		if err := managed(tx, q.CampaignID, path); err != nil {
			return err
		}
		return fn(tx)
	})
}

// manage runs fn for who manages a campaign that is not archived.
func (s *Service) manage(ctx context.Context, campaign causeway.ID, path []string, fn func(tx *store.Tx) error) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := managed(tx, campaign, path); err != nil {
			return err
		}
		return fn(tx)
	})
}

func managed(tx *store.Tx, campaign causeway.ID, path []string) error {
	if err := auth.Manager(tx.Context(), tx.Client(), campaign, path...); err != nil {
		return err
	}
	return auth.Writable(tx.Context(), tx, campaign, path...)
}

// lockQueue reads a queue that nobody else changes until the transaction ends; nil if it
// is gone.
func lockQueue(tx *store.Tx, id causeway.ID, clause string) (*ent.Queue, error) {
	query := tx.Queue.Query().Where(queue.ID(id))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause(clause))
	}
	q, err := query.Only(tx.Context())
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", id, err)
	}
	return q, nil
}

func checkQueueName(name string) (string, error) {
	name = strings.TrimSpace(store.Clean(name))
	if name == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, "input", "name")
	}
	if utf8.RuneCountInString(name) > maxQueueName {
		return "", causeway.Invalid(causeway.ReasonTooLong, "input", "name").With("max", strconv.Itoa(maxQueueName))
	}
	return name, nil
}

func nameTaken(err error) error {
	if store.IsTaken(err) {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonNameTaken).At("input", "name")
	}
	return err
}

// MembersOf are the people who serve queues, by the queues' ids, in the order they
// joined. Whoever sees a queue sees who serves it: ask for queues that the viewer sees.
func (s *Service) MembersOf(ctx context.Context, queues []causeway.ID) (map[causeway.ID][]*ent.User, error) {
	rows, err := s.store.Reader().QueueMember.Query().
		Where(queuemember.QueueIDIn(queues...)).
		Order(ent.Asc(queuemember.FieldJoinedAt, queuemember.FieldID)).
		WithUser().
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the members of queues: %w", err)
	}
	members := make(map[causeway.ID][]*ent.User, len(queues))
	for _, id := range queues {
		members[id] = []*ent.User{}
	}
	for _, row := range rows {
		members[row.QueueID] = append(members[row.QueueID], row.Edges.User)
	}
	return members, nil
}
