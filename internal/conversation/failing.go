package conversation

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent/message"
)

// mostFailing bounds how many failures of a connection are read: more do not tell more.
const mostFailing = 500

// Failing are the connection's conversations in which the last message that was sent
// failed since a time, each with why. What ended because the connection was disconnected
// is not among them. At most the 500 messages are looked at that were queued last.
func (s *Service) Failing(ctx context.Context, connection causeway.ID, since time.Time) (map[causeway.ID]causeway.Problem, error) {
	query, args := failedSince(s.store.SQL(), connection, since.Add(-keepTrying)).Query()
	rows, err := s.store.Readers().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what failed: %w", err)
	}
	defer func() { _ = rows.Close() }()
	failing := map[causeway.ID]causeway.Problem{}
	for rows.Next() {
		var conv causeway.ID
		var stored sql.RawBytes
		if err := rows.Scan(&conv, &stored); err != nil {
			return nil, fmt.Errorf("read what failed: %w", err)
		}
		var why causeway.Problem
		if err := json.Unmarshal(stored, &why); err != nil {
			return nil, fmt.Errorf("read why it failed in %s: %w", conv, err)
		}
		if why.OccurredAt.Before(since) || why.Code == causeway.NotConnected {
			continue
		}
		if known, ok := failing[conv]; !ok || known.OccurredAt.Before(why.OccurredAt) {
			failing[conv] = why
		}
	}
	return failing, rows.Err()
}

// failedSince are the messages that FAILED, of those queued since a time, after which
// nothing went out in their conversation. A message waits for keepTrying at most, so that
// what failed since was queued no longer before. It runs along the index of what failed,
// and for each along the conversation's messages.
func failedSince(db *entsql.DialectBuilder, connection causeway.ID, queuedSince time.Time) entsql.Querier {
	m, later := entsql.Table(message.Table).As("m"), entsql.Table(message.Table).As("later")
	wentOut := entsql.Exists(db.Select(later.C(message.FieldID)).
		From(later).
		Where(entsql.And(
			entsql.ColumnsEQ(later.C(message.FieldConversationID), m.C(message.FieldConversationID)),
			entsql.ColumnsGT(later.C(message.FieldSeq), m.C(message.FieldSeq)),
			entsql.EQ(later.C(message.FieldDirection), string(message.DirectionOutbound)),
			entsql.In(later.C(message.FieldStatus), string(message.StatusSent), string(message.StatusDelivered), string(message.StatusRead)),
		)))
	return db.Select(m.C(message.FieldConversationID), m.C(message.FieldProblem)).
		From(m).
		Where(entsql.And(
			entsql.ExprP("m.status = 'FAILED'"), // as the partial index says it
			entsql.EQ(m.C(message.FieldConnectionID), connection),
			entsql.GT(m.C(message.FieldQueuedAt), queuedSince),
			entsql.NotNull(m.C(message.FieldProblem)),
			entsql.Not(wentOut),
		)).
		OrderBy(entsql.Desc(m.C(message.FieldQueuedAt))).
		Limit(mostFailing)
}
