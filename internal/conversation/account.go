package conversation

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/store"
)

// isQueued says it as the partial indexes do, which SQLite finds by their words.
func isQueued(s *entsql.Selector) { s.Where(queued()) }

func queued() *entsql.Predicate { return entsql.ExprP("status = 'QUEUED'") }

// Disconnected makes what waits to be sent by a connection FAILED with NOT_CONNECTED,
// in the transaction that disconnects it. What is being sent is told by its own call.
func (s *Service) Disconnected(tx *store.Tx, connection causeway.ID) error {
	why := causeway.Fail(causeway.NotConnected).Problem
	why.OccurredAt = s.clock.Now()
	problem, err := json.Marshal(why)
	if err != nil {
		return err
	}
	var failed []*ent.Message
	err = tx.Rows(endQueued(tx.SQL(), connection, string(problem)), func(rows *sql.Rows) error {
		m := &ent.Message{}
		failed = append(failed, m)
		return rows.Scan(&m.ID, &m.CampaignID, &m.ConversationID)
	})
	if err != nil {
		return fmt.Errorf("end what waits to be sent by %s: %w", connection, err)
	}
	for _, m := range failed {
		s.feed.Append(tx, statusEvent(m, message.StatusFailed))
	}
	return nil
}

// Recovered makes what waits because of trouble with a connection due, in the
// transaction that finds the connection working again.
func (s *Service) Recovered(tx *store.Tx, connection causeway.ID) error {
	now := s.clock.Now()
	_, err := tx.Run(hurryQueued(tx.SQL(), connection, now))
	if err != nil {
		return fmt.Errorf("take up what waits to be sent by %s: %w", connection, err)
	}
	tx.AfterCommit(s.outbox.queue.Wake)
	return nil
}

// endQueued and hurryQueued run along the index of what is queued by a connection.
func endQueued(db *entsql.DialectBuilder, connection causeway.ID, problem string) entsql.Querier {
	return db.Update(message.Table).
		Set(message.FieldStatus, string(message.StatusFailed)).
		Set(message.FieldProblem, problem).
		SetNull(message.FieldLeasedUntil).
		Where(entsql.And(queued(), entsql.EQ(message.FieldConnectionID, connection), entsql.IsNull(message.FieldSendingAt))).
		Returning(message.FieldID, message.FieldCampaignID, message.FieldConversationID)
}

func hurryQueued(db *entsql.DialectBuilder, connection causeway.ID, now time.Time) entsql.Querier {
	return db.Update(message.Table).
		Set(message.FieldNextTryAt, now).
		Where(entsql.And(
			queued(), entsql.EQ(message.FieldConnectionID, connection), entsql.GT(message.FieldNextTryAt, now),
			entsql.IsNull(message.FieldLeasedUntil), entsql.NotNull(message.FieldProblem),
		))
}
