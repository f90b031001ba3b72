package connection

import (
	"context"
	"errors"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/testreport"
	"causeway/internal/platform"
)

// Reconnect renews the token where that can be done, registers the webhook again, also
// where another program holds it, and reads the account afresh. Id, history and the date
// of connecting stay. It is for managers of the campaign. What it found is recorded and
// answered also where it is a problem: a dead token's, say, which somebody has to
// authorise anew. A disconnected connection answers NOT_CONNECTED.
func (s *Service) Reconnect(ctx context.Context, id causeway.ID) (Result, error) {
	return s.arrange(ctx, id, "reconnect")
}

// RegisterWebhook registers a connection's webhook again, also where another program
// holds it. It is for managers of the campaign, and answers what is wrong with the
// webhook afterwards, if anything is.
func (s *Service) RegisterWebhook(ctx context.Context, id causeway.ID) (Result, error) {
	return s.arrange(ctx, id, "registerWebhook")
}

// arrange looks at a connection as if it were being connected. action is the mutation
// that asks for it.
func (s *Service) arrange(ctx context.Context, id causeway.ID, action string) (Result, error) {
	row, err := s.managed(ctx, id, "connectionId")
	if err != nil {
		return Result{}, err
	}
	done, err := s.turns.take(ctx, row.AccountID)
	if err != nil {
		return Result{}, err
	}
	defer done()
	if row, err = s.store.Reader().Connection.Get(ctx, id); err != nil {
		return Result{}, fmt.Errorf("read %s: %w", id, err)
	}
	if row.DisconnectedAt != nil {
		return Result{}, causeway.Fail(causeway.NotConnected).At("connectionId")
	}
	ctx = context.WithoutCancel(ctx)
	again := action == "reconnect"
	if again && row.Platform == platform.Messenger && row.TokenExpiresAt != nil {
		row = s.renewToken(ctx, row)
	}
	e, err := s.examiner(row)
	if err != nil {
		return Result{}, err
	}
	i := e.seen()
	i.of.connecting = true
	if err := e.examine(ctx); err != nil {
		return Result{}, err
	}
	i.action, i.details = action, map[string]any{"passed": i.passed()}
	report, err := s.record(ctx, i, testreport.KindConnection, sealed(row.SealedToken), func(update *ent.ConnectionUpdateOne) error {
		if again && i.problem == nil {
			update.SetReconnectedAt(s.clock.Now())
		}
		return nil
	})
	if errors.Is(err, errStale) {
		return Result{}, causeway.Fail(causeway.Conflict).At("connectionId").CanRetry().Because(err)
	}
	if err != nil {
		return Result{}, err
	}
	result := Result{Connection: id, Report: report}
	problem := i.problem
	if !again && !i.inactive() {
		problem = i.hookProblem
	}
	if problem == nil {
		return result, nil
	}
	return result, &causeway.Error{Problem: *problem}
}
