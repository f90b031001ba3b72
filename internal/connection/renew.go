package connection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/audit"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/store"
)

const (
	// renewBefore is how long before its end a token is renewed: a week, so that trouble
	// that lasts for days does no harm.
	renewBefore = 7 * 24 * time.Hour
	// renewAgain is when renewing is tried again after it failed.
	renewAgain = 24 * time.Hour
)

// refreshAt is when a token that ends is renewed: a week before, or at half its life
// where that is short; where that is over, when it was going to be tried again, or a day
// from now.
func (s *Service) refreshAt(row *ent.Connection, ends time.Time, fresh bool) time.Time {
	now := s.clock.Now()
	since := row.ConnectedAt
	if row.TokenRefreshedAt != nil {
		since = *row.TokenRefreshedAt
	}
	if fresh {
		since = now
	}
	at := ends.Add(-renewBefore)
	if half := since.Add(ends.Sub(since) / 2); half.After(at) {
		at = half
	}
	if !at.After(now) {
		at = now.Add(renewAgain)
		if next := row.TokenRefreshAt; next != nil && !fresh && next.After(now) {
			at = *next
		}
	}
	return causeway.Stamp(at)
}

// renewDue tells whether a token's renewal is due. Only tokens of Facebook end.
func (s *Service) renewDue(row *ent.Connection) bool {
	return row.Platform == platform.Messenger && row.TokenRefreshAt != nil && !s.clock.Now().Before(*row.TokenRefreshAt)
}

// renewToken exchanges a connection's token before it ends, and answers the row as it is then.
// The person's token is exchanged and the page's had again from it; a token that was
// pasted is exchanged itself. That it was not done is logged, and the look that follows
// says what became of the token.
func (s *Service) renewToken(ctx context.Context, row *ent.Connection) *ent.Connection {
	renewed, err := s.tryRenew(ctx, row)
	if err != nil {
		if ctx.Err() == nil {
			s.log.WarnContext(ctx, "a token was not renewed", "connection", row.ID, "error", err)
		}
		return row
	}
	s.log.InfoContext(ctx, "a token was renewed", "connection", row.ID, "expires", renewed.TokenExpiresAt)
	return renewed
}

func (s *Service) tryRenew(ctx context.Context, row *ent.Connection) (*ent.Connection, error) {
	_, app, token, err := s.pageOf(row)
	if err != nil {
		return nil, err
	}
	person, err := s.opened(sealed(row.SealedUserToken), row.ID)
	if err != nil {
		return nil, fmt.Errorf("open the person's token: %w", err)
	}
	page, grant := messenger.Token(token), messenger.Grant{}
	if person == nil {
		grant, err = app.Extend(ctx, page)
		page = grant.Token
	} else if grant, err = app.Extend(ctx, messenger.Token(person)); err == nil {
		page, err = app.PageToken(ctx, grant.Token, row.AccountID)
	}
	if err != nil {
		return nil, err
	}
	if page == "" {
		return nil, errors.New("the person may not speak for the page any more")
	}
	return s.keepRenewed(ctx, row, page, grant, person != nil)
}

// keepRenewed stores new tokens in place of those that were exchanged, if those are still
// the connection's.
func (s *Service) keepRenewed(
	ctx context.Context, row *ent.Connection, page messenger.Token, grant messenger.Grant, byPerson bool,
) (*ent.Connection, error) {
	sealedPage, err := s.keys.Seal([]byte(page), row.ID)
	if err != nil {
		return nil, err
	}
	var sealedPerson []byte
	if byPerson {
		if sealedPerson, err = s.keys.Seal([]byte(grant.Token), row.ID); err != nil {
			return nil, err
		}
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		now, err := lock(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		if !bytes.Equal(sealed(now.SealedToken), sealed(row.SealedToken)) {
			return errStale
		}
		update := tx.Connection.UpdateOne(now).SetSealedToken(sealedPage).SetTokenRefreshedAt(s.clock.Now())
		if byPerson {
			update.SetSealedUserToken(sealedPerson)
		}
		if !grant.ExpiresAt.IsZero() {
			update.SetTokenExpiresAt(causeway.Stamp(grant.ExpiresAt))
			update.SetTokenRefreshAt(s.refreshAt(now, grant.ExpiresAt, true))
		}
		if err := update.Exec(ctx); err != nil {
			return err
		}
		return audit.Record(tx, audit.Entry{
			Campaign: now.CampaignID, Action: "renewToken", Subject: now.ID, At: s.clock.Now(),
		})
	})
	if err != nil {
		return nil, err
	}
	return s.store.Reader().Connection.Get(ctx, row.ID)
}
