package connection

import (
	"context"
	"errors"

	"causeway"
	"causeway/ent/testreport"
)

// Test looks at a connection now, as the health check does, and answers the report's
// id: a test that fails is a report that says so, not an error. It is for managers of
// the campaign; a disconnected connection answers NOT_CONNECTED.
func (s *Service) Test(ctx context.Context, id causeway.ID) (causeway.ID, error) {
	return s.TestWith(ctx, id, nil)
}

// TestWith is Test, and sends a test message to a conversation of the connection if one
// is named: NOT_FOUND if it is not there. It waits for what becomes of the message up to
// ten seconds.
func (s *Service) TestWith(ctx context.Context, id causeway.ID, conversation *causeway.ID) (causeway.ID, error) {
	row, err := s.managed(ctx, id, "input", "connectionId")
	if err != nil {
		return "", err
	}
	notConnected := causeway.Fail(causeway.NotConnected).At("input", "connectionId")
	if row.DisconnectedAt != nil {
		return "", notConnected
	}
	report, err := s.checkBy(ctx, id, testreport.KindConnection, "testConnection", conversation)
	if errors.Is(err, errStale) {
		return "", causeway.Fail(causeway.Conflict).At("input", "connectionId").CanRetry().Because(err)
	}
	if causeway.CodeOf(err) == causeway.NotConnected {
		return "", notConnected
	}
	return report, err
}
