package connection

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/platform"
	"causeway/internal/store"
)

const (
	// lookEvery is how often the database is asked whose check is due, beside what this
	// server knows by itself.
	lookEvery = 5 * time.Second
	// checkLease keeps other servers from a check that goes on: longer than all its
	// calls together may take.
	checkLease = 2 * time.Minute
	// checksAtOnce bounds the checks of one server. They wait for the platform mostly.
	checksAtOnce = 4
)

// takeUp prepares what stands in the database for this server: connections whose
// updates reached an earlier start another way are looked at first.
func (s *Service) takeUp(ctx context.Context) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if s.store.Dialect() == dialect.SQLite { // whoever held a lease is gone: there is one server
			err := tx.Connection.Update().ClearLeasedUntil().ClearPollLeasedUntil().Exec(ctx)
			if err != nil {
				return err
			}
		}
		return tx.Connection.Update().
			Where(entconnection.DisconnectedAtIsNil(), entconnection.PlatformEQ(platform.Telegram),
				entconnection.DeliveryNEQ(s.delivery(platform.Telegram))).
			SetNextCheckAt(s.clock.Now()).
			Exec(ctx)
	})
}

// checkHealth checks what is due until the Service is closed.
func (s *Service) checkHealth() {
	for {
		ids, err := s.due(s.ctx)
		if err != nil && s.ctx.Err() == nil {
			s.log.Error("health checks were not claimed", "error", err)
		}
		var running sync.WaitGroup
		for _, id := range ids {
			running.Go(func() { s.checkOne(s.ctx, id) })
		}
		running.Wait()
		if s.ctx.Err() == nil && len(ids) >= checksAtOnce {
			continue
		}
		pause := lookEvery
		if len(ids) > 0 {
			pause = brakeSpace // more may be held
		}
		if !s.wait(s.ctx, pause, s.checkNow) {
			return
		}
	}
}

// due claims connections whose check is due, longest overdue first, for checkLease.
func (s *Service) due(ctx context.Context) ([]causeway.ID, error) {
	var ids []causeway.ID
	now := s.clock.Now()
	down, once := s.brakes.down(now)
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		ids = nil
		scan := func(rows *sql.Rows) error {
			var id causeway.ID
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}
		if err := tx.Rows(claimDue(tx.SQL(), now, checksAtOnce, without(down)), scan); err != nil {
			return err
		}
		for _, name := range once {
			if err := tx.Rows(claimDue(tx.SQL(), now, 1, only(name)), scan); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim checks: %w", err)
	}
	return ids, nil
}

// without is true of the connections of all platforms but these.
func without(names []platform.Name) func() *entsql.Predicate {
	others := make([]any, len(names))
	for i, name := range names {
		others[i] = string(name)
	}
	return func() *entsql.Predicate {
		if len(others) == 0 {
			return entsql.ExprP("TRUE")
		}
		return entsql.NotIn(entconnection.FieldPlatform, others...)
	}
}

// only is true of the connections of one platform.
func only(name platform.Name) func() *entsql.Predicate {
	return func() *entsql.Predicate { return entsql.EQ(entconnection.FieldPlatform, string(name)) }
}

// claimDue is the statement of due, for so many of some connections. It runs along the
// index of what is due.
func claimDue(db *entsql.DialectBuilder, now time.Time, most int, some func() *entsql.Predicate) entsql.Querier {
	free := func() *entsql.Predicate {
		return entsql.And(
			some(),
			entsql.IsNull(entconnection.FieldDisconnectedAt),
			entsql.LTE(entconnection.FieldNextCheckAt, now),
			entsql.Or(entsql.IsNull(entconnection.FieldLeasedUntil), entsql.LT(entconnection.FieldLeasedUntil, now)),
		)
	}
	first := db.Select(entconnection.FieldID).
		From(entsql.Table(entconnection.Table)).
		Where(free()).
		OrderBy(entconnection.FieldNextCheckAt).
		Limit(most)
	return db.Update(entconnection.Table).
		Set(entconnection.FieldLeasedUntil, now.Add(checkLease)).
		Where(entsql.And(entsql.In(entconnection.FieldID, first), free())). // again, for who waited for the row
		Returning(entconnection.FieldID)
}

// checkOne checks one connection. What goes wrong with us is logged, and the check
// comes again when its lease ends.
func (s *Service) checkOne(ctx context.Context, id causeway.ID) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("a health check panicked", "connection", id, "panic", fmt.Sprintf("%T", r))
		}
	}()
	_, err := s.check(ctx, id, testreport.KindHealth, "")
	if err != nil && !errors.Is(err, errStale) && ctx.Err() == nil {
		s.log.Error("a connection was not checked", "connection", id, "error", err)
	}
}

// check inspects a connection and records what it found; errStale if the connection
// was changed meanwhile, NOT_CONNECTED if it has no token. action is the mutation that
// asks for it, empty for the server itself.
func (s *Service) check(ctx context.Context, id causeway.ID, kind testreport.Kind, action string) (causeway.ID, error) {
	return s.checkBy(ctx, id, kind, action, nil)
}

// checkBy is check, with a test message to a conversation if one is named.
func (s *Service) checkBy(
	ctx context.Context, id causeway.ID, kind testreport.Kind, action string, conversation *causeway.ID,
) (causeway.ID, error) {
	row, err := s.store.Reader().Connection.Get(ctx, id)
	if ent.IsNotFound(err) {
		return "", errStale
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", id, err)
	}
	if s.renewDue(row) {
		row = s.renewToken(ctx, row)
	}
	e, err := s.examiner(row)
	if err != nil {
		return "", err
	}
	if err := e.examine(ctx); err != nil {
		return "", err
	}
	i := e.seen()
	s.brakes.note(row.Platform, codeOfProblem(i.problem) != causeway.NetworkError)
	if kind == testreport.KindConnection || i.of.unreachable {
		if _, err := s.rehearse(ctx, e); err != nil {
			return "", err
		}
	}
	if err := s.judgeSending(ctx, i); err != nil {
		return "", err
	}
	if kind == testreport.KindConnection {
		if err := s.tryMessage(ctx, i, row, conversation); err != nil {
			return "", err
		}
	}
	if err := ctx.Err(); err != nil { // what was not answered says nothing then
		return "", err
	}
	i.action, i.details = action, map[string]any{"passed": i.passed()}
	return s.record(ctx, i, kind, sealed(row.SealedToken), nil)
}

// CheckSoon makes a connection's health check due now: for who met trouble with it that
// is not the message's. It takes a transaction of its own and does not wait for the
// check.
func (s *Service) CheckSoon(ctx context.Context, id causeway.ID) error {
	return s.lookSoon(ctx, id, nil)
}

// lookSoon makes a connection's check due now.
func (s *Service) lookSoon(ctx context.Context, id causeway.ID, also func(*ent.ConnectionUpdate)) error {
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		update := tx.Connection.Update().
			Where(entconnection.ID(id), entconnection.DisconnectedAtIsNil()).
			SetNextCheckAt(s.clock.Now())
		if also != nil {
			also(update)
		}
		return update.Exec(ctx)
	})
	if err != nil {
		return fmt.Errorf("ask for a check of %s: %w", id, err)
	}
	select {
	case s.checkNow <- struct{}{}:
	default:
	}
	return nil
}
