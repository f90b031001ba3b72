package conversation

import (
	"context"

	"causeway"
)

// EndQueued and HurryQueued are the statements, for EXPLAIN.
var (
	EndQueued   = endQueued
	HurryQueued = hurryQueued
)

// ClaimThread is what taking a conversation begins with, and OnTheirWay are the messages
// that a mark reaches, for EXPLAIN.
func (s *Service) ClaimThread(ctx context.Context, id causeway.ID, path ...string) error {
	return s.claimThread(ctx, id, path...)
}

var OnTheirWay = onTheirWay

// FileName is what is kept of a file's name.
var FileName = fileName
