package graph

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/queue"
	"causeway/graph/model"
)

func (r *Resolver) queues(ctx context.Context, campaignID causeway.ID) ([]*ent.Queue, error) {
	query, err := r.Viewers.Queue.Query().
		Where(queue.CampaignID(campaignID)).
		Order(ent.Asc(queue.FieldName, queue.FieldID)).
		CollectFields(ctx)
	if err != nil {
		return nil, err
	}
	return query.All(ctx)
}

// countOpenIn counts the open conversations of queues.
func (r *Resolver) countOpenIn(ctx context.Context, queues []causeway.ID) (map[causeway.ID]int, error) {
	var rows []struct {
		QueueID causeway.ID `json:"queue_id"`
		Count   int         `json:"count"`
	}
	err := r.Viewers.Conversation.Query().
		Where(conversation.QueueIDIn(queues...), conversation.StatusEQ(conversation.StatusOpen)).
		GroupBy(conversation.FieldQueueID).
		Aggregate(ent.Count()).
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count what is open in queues: %w", err)
	}
	counts := make(map[causeway.ID]int, len(queues))
	for _, id := range queues {
		counts[id] = 0
	}
	for _, row := range rows {
		counts[row.QueueID] = row.Count
	}
	return counts, nil
}

// person is somebody whom the viewer sees because of what they see them at.
func person(ctx context.Context, id *causeway.ID) (*ent.User, error) {
	if id == nil {
		return nil, nil
	}
	return load(ctx).authors.Load(ctx, *id)
}

// queuePayload is what a mutation of a queue answers.
func (r *Resolver) queuePayload(ctx context.Context, id causeway.ID, err error) (*ent.Queue, []*model.Problem, error) {
	problems, err := r.userErrors(ctx, err)
	if err != nil || len(problems) > 0 {
		return nil, problems, err
	}
	q, err := read(ctx, id, r.Viewers.Queue.Get)
	return q, problems, err
}

// given is a list that was given; nil for null.
func given[T any](list []T) *[]T {
	if list == nil {
		return nil
	}
	return &list
}
