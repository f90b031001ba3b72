package connection

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
)

// Open opens the account behind a connection for calls: NOT_FOUND if there is no such
// connection, NOT_CONNECTED if it is disconnected. It is the server's own: whoever
// calls it has made sure of the viewer.
func (s *Service) Open(ctx context.Context, connectionID causeway.ID) (platform.Account, error) {
	row, err := s.store.Reader().Connection.Get(ctx, connectionID)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing()
	}
	if err != nil {
		return nil, fmt.Errorf("open the account of %s: %w", connectionID, err)
	}
	if row.Platform == platform.Messenger {
		page, err := s.openPage(row)
		if err != nil {
			return nil, err
		}
		return page, nil
	}
	bot, err := s.botOf(row)
	if err != nil {
		return nil, err
	}
	return bot, nil
}
