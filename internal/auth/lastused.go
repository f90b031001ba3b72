package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/ent/accesstoken"
	"causeway/internal/store"
)

const (
	// usedEvery is how exactly a token's lastUsedAt is kept.
	usedEvery = time.Minute
	// usedGather is how long used tokens are gathered before they are written, so
	// that many of them share one commit.
	usedGather = time.Second
	// usedMax bounds how many are gathered. Those that find no room are noted at
	// their next use.
	usedMax = 4096
)

// lastUsed gathers the tokens whose use is to be noted.
type lastUsed struct {
	mu      sync.Mutex
	pending map[causeway.ID]struct{}
	some    chan struct{} // there are some
}

func newLastUsed() *lastUsed {
	return &lastUsed{pending: map[causeway.ID]struct{}{}, some: make(chan struct{}, 1)}
}

// add never waits.
func (l *lastUsed) add(token causeway.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) >= usedMax {
		return
	}
	l.pending[token] = struct{}{}
	select {
	case l.some <- struct{}{}:
	default:
	}
}

func (l *lastUsed) take() []causeway.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens := make([]causeway.ID, 0, len(l.pending))
	for token := range l.pending {
		tokens = append(tokens, token)
	}
	clear(l.pending)
	return tokens
}

// noteLastUsed writes down, off every request's path, when tokens were used. A write
// that does not succeed is left for the next use of the token.
func (s *Service) noteLastUsed(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.used.some:
		}
		gather := s.clock.NewTimer(usedGather)
		select {
		case <-ctx.Done():
			gather.Stop()
			return
		case <-gather.C():
		}
		if err := s.writeLastUsed(ctx, s.used.take()); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "use of tokens not noted", "error", err)
		}
	}
}

func (s *Service) writeLastUsed(ctx context.Context, tokens []causeway.ID) error {
	slices.Sort(tokens) // servers lock rows in one order
	now := s.clock.Now()
	for chunk := range slices.Chunk(tokens, idsPerQuery) {
		err := s.store.InTx(ctx, func(tx *store.Tx) error {
			// Another server may have noted it meanwhile.
			return tx.AccessToken.Update().
				Where(
					accesstoken.IDIn(chunk...),
					accesstoken.Or(accesstoken.LastUsedAtIsNil(), accesstoken.LastUsedAtLTE(now.Add(-usedEvery))),
				).
				SetLastUsedAt(now).
				Exec(ctx)
		})
		if err != nil {
			return fmt.Errorf("note when %d tokens were used: %w", len(chunk), err)
		}
	}
	return nil
}
