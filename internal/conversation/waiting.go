package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/predicate"
	"causeway/internal/presence"
	"causeway/internal/store"
)

const (
	// waitingPoll is how often to look for conversations that wait and people who are at
	// work without having been told: the most that a lost doorbell costs.
	waitingPoll = 2 * time.Second
	// waitingBatch is how many conversations of a queue one transaction gives out, and
	// waitingQueues how many queues are looked at together.
	waitingBatch  = 50
	waitingQueues = 500
)

// usher gives conversations that wait in their queues to members who came to work,
// oldest first.
type usher struct {
	*Service
	wake chan struct{} // holds a token when somebody may be there for what waits

	mu      sync.Mutex
	started bool
	closed  bool
	stop    context.CancelFunc
	running sync.WaitGroup
}

func newUsher(s *Service) *usher { return &usher{Service: s, wake: make(chan struct{}, 1)} }

func (u *usher) start() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.started || u.closed {
		return
	}
	u.started = true
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	u.running.Go(func() { u.run(ctx) })
}

// close returns when nothing is running. It may come twice, and before start.
func (u *usher) close() error {
	u.mu.Lock()
	u.closed = true
	if u.stop != nil {
		u.stop()
	}
	u.mu.Unlock()
	u.running.Wait()
	return nil
}

// look makes it look soon.
func (u *usher) look() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *usher) run(ctx context.Context) {
	bell := u.bus.Subscribe(presence.Topic)
	defer bell.Close()
	for {
		if err := u.seat(ctx); err != nil && ctx.Err() == nil {
			u.log.WarnContext(ctx, "what waits was not given to anybody", "error", err)
		}
		poll := u.clock.NewTimer(waitingPoll)
		select {
		case <-ctx.Done():
			poll.Stop()
			return
		case <-bell.C():
			bell.Take()
		case <-u.wake:
		case <-poll.C():
		}
		poll.Stop()
	}
}

// seat gives out whatever waits and has somebody. A queue that makes trouble holds up
// no other.
func (u *usher) seat(ctx context.Context) error {
	var trouble []error
	after := causeway.ID("")
	for {
		queues, err := u.waiting(ctx, after)
		if err != nil {
			return errors.Join(append(trouble, err)...)
		}
		for _, id := range queues {
			for n := waitingBatch; n == waitingBatch; {
				if n, err = u.seatSome(ctx, id); err != nil {
					trouble = append(trouble, fmt.Errorf("give out what waits in %s: %w", id, err))
				}
			}
			after = id
		}
		if len(queues) < waitingQueues || ctx.Err() != nil {
			return errors.Join(trouble...)
		}
	}
}

// waiting are queues in which a conversation waits and for which a member is ONLINE, in
// id order after a queue. Whether that is so is looked at again under their locks.
func (u *usher) waiting(ctx context.Context, after causeway.ID) ([]causeway.ID, error) {
	rows, err := u.store.Readers().QueryContext(ctx, waitingIn, string(after), waitingQueues)
	if err != nil {
		return nil, fmt.Errorf("look where conversations wait: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var queues []causeway.ID
	for rows.Next() {
		var id causeway.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		queues = append(queues, id)
	}
	return queues, rows.Err()
}

// waitingIn walks the queues by their ids; of each it looks for one conversation and for
// its members.
const waitingIn = `SELECT q.id FROM queues q
WHERE q.id > $1 AND q.assignment <> 'MANUAL'
AND EXISTS (SELECT 1 FROM campaigns c WHERE c.id = q.campaign_id AND c.archived_at IS NULL)
AND EXISTS (SELECT 1 FROM conversations w WHERE w.queue_id = q.id AND w.assignee_id IS NULL AND w.status = 'OPEN'
	AND w.thread_owner IN ('NONE', 'US'))
AND EXISTS (SELECT 1 FROM queue_members m JOIN users p ON p.id = m.user_id
	WHERE m.queue_id = q.id AND p.presence = 'ONLINE' AND p.deactivated_at IS NULL)
ORDER BY q.id LIMIT $2`

// seatSome gives out the oldest conversations that wait in a queue and tells how many it
// gave.
func (u *usher) seatSome(ctx context.Context, id causeway.ID) (given int, err error) {
	err = u.store.InTx(ctx, func(tx *store.Tx) error {
		given = 0
		oldest, err := oldestIn(tx.Client(), id).IDs(ctx)
		if err != nil {
			return err
		}
		rows, err := lockConversations(tx, conversation.IDIn(oldest...), conversation.QueueID(id), isWaiting, isOurs)
		if err != nil || len(rows) == 0 {
			return err
		}
		r, err := openRouter(tx, []causeway.ID{id}, nil, nil)
		if err != nil {
			return err
		}
		slices.SortFunc(rows, func(a, b *ent.Conversation) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
		})
		for _, conv := range rows {
			assignee := r.next(&id)
			if assignee == nil {
				break
			}
			if _, err := u.give(tx, conv, assignee, conv.QueueID); err != nil {
				return err
			}
			r.takes(conv.Status, nil, assignee)
			given++
		}
		return r.close()
	})
	if err != nil {
		return 0, err
	}
	return given, nil
}

// oldestIn are the oldest conversations that wait in a queue.
func oldestIn(client *ent.Client, queue causeway.ID) *ent.ConversationQuery {
	return client.Conversation.Query().
		Where(conversation.QueueID(queue), isWaiting, isOurs).
		Order(ent.Asc(conversation.FieldCreatedAt, conversation.FieldID)).
		Limit(waitingBatch)
}

// isWaiting says it as the partial index does, which SQLite finds by its words.
func isWaiting(s *entsql.Selector) { s.Where(entsql.ExprP("assignee_id IS NULL AND status = 'OPEN'")) }

// isOurs leaves out what another app or the platform's own inbox has in hand.
func isOurs(s *entsql.Selector) {
	s.Where(entsql.In(s.C(conversation.FieldThreadOwner), conversation.ThreadOwnerNone, conversation.ThreadOwnerUs))
}

// lockConversations locks those that match, in id order.
func lockConversations(tx *store.Tx, matching ...predicate.Conversation) ([]*ent.Conversation, error) {
	query := tx.Conversation.Query().Where(matching...).Order(ent.Asc(conversation.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	rows, err := query.All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("lock conversations: %w", err)
	}
	return rows, nil
}
