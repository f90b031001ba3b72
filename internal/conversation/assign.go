package conversation

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/feed"
	"causeway/internal/store"
)

// Assignment is who is to have a conversation. Nil is not given; an empty id is one of
// nobody.
type Assignment struct {
	Conversation causeway.ID
	Assignee     *causeway.ID
	Queue        *causeway.ID
}

// Assign gives a conversation to a person, who stays in the conversation's queue or comes
// with the one given; or to a queue alone, whose policy decides anew; or, with neither,
// back to nobody, out of its queue. Members of the campaign may. NOT_FOUND names the
// conversation or a queue that is not its campaign's, INVALID_INPUT a person who may be
// given no work there, CONFLICT an archived campaign. How it is already is no event.
func (s *Service) Assign(ctx context.Context, a Assignment) error {
	return s.work(ctx, a.Conversation, []string{"input", "id"}, func(tx *store.Tx, conv *ent.Conversation) error {
		was := placeOf(conv)
		r, err := openRouter(tx, appendGiven(nil, a.Queue), appendGiven(nil, a.Assignee, conv.AssigneeID), []causeway.ID{conv.CampaignID})
		if err != nil {
			return err
		}
		if a.Queue != nil && (r.queues[*a.Queue] == nil || r.queues[*a.Queue].CampaignID != conv.CampaignID) {
			return causeway.Missing("input", "queueId")
		}
		if a.Assignee != nil && !r.staff.MayWork(conv.CampaignID, *a.Assignee) {
			return causeway.Invalid(causeway.ReasonNotMember, "input", "assigneeId")
		}
		assignee, into := a.Assignee, a.Queue
		switch {
		case assignee != nil && into == nil:
			into = conv.QueueID
		case assignee == nil:
			r.takes(conv.Status, conv.AssigneeID, nil) // it does not count for who has it
			assignee = r.next(into)
		}
		changed, err := s.give(tx, conv, assignee, into)
		if err != nil {
			return err
		}
		if err := r.close(); err != nil || !changed {
			return err
		}
		return s.recordMove(tx, "assignConversation", conv, was)
	})
}

// Take makes the viewer, a member of the campaign or an administrator, the one who has a
// conversation, and this app the one that may write in its chat, where the platform
// knows such a thing. It stays in its queue. NOT_FOUND and CONFLICT name id, and so does
// THREAD_OWNED_BY_ANOTHER_APP, or what else the platform says, where it does not give the
// chat away: then nothing is changed.
func (s *Service) Take(ctx context.Context, id causeway.ID) error {
	viewer, err := auth.From(ctx)
	if err != nil {
		return err
	}
	if err := s.claimThread(ctx, id, "id"); err != nil {
		return err
	}
	return s.work(ctx, id, []string{"id"}, func(tx *store.Tx, conv *ent.Conversation) error {
		was := placeOf(conv)
		r, err := openRouter(tx, nil, []causeway.ID{viewer.UserID}, []causeway.ID{conv.CampaignID})
		if err != nil {
			return err
		}
		if !r.staff.MayWork(conv.CampaignID, viewer.UserID) { // no longer, just now
			return causeway.Missing("id")
		}
		changed, err := s.give(tx, conv, &viewer.UserID, conv.QueueID)
		if err != nil || !changed {
			return err
		}
		return s.recordMove(tx, "takeConversation", conv, was)
	})
}

// SetStatus opens a conversation, sets it aside or closes it. Who has it stays, unless
// they may be given no work there any more when it is opened again. NOT_FOUND and
// CONFLICT name the conversation. How it is already is no event.
func (s *Service) SetStatus(ctx context.Context, id causeway.ID, status conversation.Status) error {
	return s.work(ctx, id, []string{"input", "id"}, func(tx *store.Tx, conv *ent.Conversation) error {
		if conv.Status == status {
			return nil
		}
		update := tx.Conversation.UpdateOneID(conv.ID).SetStatus(status).ClearClosedAt()
		switch {
		case status == conversation.StatusClosed:
			update = tx.Conversation.UpdateOneID(conv.ID).SetStatus(status).SetClosedAt(s.clock.Now())
		case conv.AssigneeID != nil:
			staff, err := auth.LockStaff(tx, []causeway.ID{*conv.AssigneeID}, []causeway.ID{conv.CampaignID})
			if err != nil {
				return err
			}
			if !staff.MayWork(conv.CampaignID, *conv.AssigneeID) {
				update.ClearAssigneeID()
			}
		}
		if err := update.Exec(ctx); err != nil {
			return fmt.Errorf("set the status of %s: %w", conv.ID, err)
		}
		s.feed.Append(tx, changedEvent(conv))
		tx.AfterCommit(s.usher.look) // it may wait again
		return audit.Record(tx, audit.Entry{
			Campaign: conv.CampaignID, Action: "setConversationStatus", Subject: conv.ID, At: s.clock.Now(),
			Details: map[string]any{"status": audit.Changed{From: conv.Status, To: status}},
		})
	})
}

// work runs fn with a conversation locked in which the viewer may work. path names its
// id in the input.
func (s *Service) work(ctx context.Context, id causeway.ID, path []string, fn func(tx *store.Tx, conv *ent.Conversation) error) error {
	if _, err := auth.From(ctx); err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, id, path...)
		if err != nil {
			return err
		}
		return fn(tx, conv)
	})
}

// place is who has a conversation and in which queue it is.
type place struct {
	Assignee *causeway.ID
	Queue    *causeway.ID
}

func placeOf(conv *ent.Conversation) place { return place{conv.AssigneeID, conv.QueueID} }

// recordMove tells in the audit log who gave a conversation to whom, and wakes whoever
// gives out what waits.
func (s *Service) recordMove(tx *store.Tx, action string, conv *ent.Conversation, was place) error {
	tx.AfterCommit(s.usher.look)
	details := map[string]any{}
	if !sameID(was.Assignee, conv.AssigneeID) {
		details["assignee"] = audit.Changed{From: was.Assignee, To: conv.AssigneeID}
	}
	if !sameID(was.Queue, conv.QueueID) {
		details["queue"] = audit.Changed{From: was.Queue, To: conv.QueueID}
	}
	return audit.Record(tx, audit.Entry{
		Campaign: conv.CampaignID, Action: action, Subject: conv.ID, At: s.clock.Now(), Details: details,
	})
}

// changedEvent tells that something about a conversation is not as it was.
func changedEvent(conv *ent.Conversation) feed.Event {
	return feed.Event{Campaign: conv.CampaignID, Kind: feedevent.KindConversation, Conversation: conv.ID}
}
