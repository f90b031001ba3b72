package auth

import (
	"context"
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/store"
)

// CreateAccessToken makes a bearer token of the viewer's own, by a name. Without an
// expiresAt it lasts until it is revoked. The secret is told this once.
func (s *Service) CreateAccessToken(ctx context.Context, name string, expiresAt *time.Time) (id causeway.ID, secret string, err error) {
	viewer, err := From(ctx)
	if err != nil {
		return "", "", err
	}
	name, err = checkName(name, "input", "name")
	if err != nil {
		return "", "", err
	}
	if expiresAt != nil {
		end := causeway.Stamp(*expiresAt)
		if !end.After(s.clock.Now()) {
			return "", "", causeway.Invalid(causeway.ReasonInThePast, "input", "expiresAt")
		}
		expiresAt = &end
	}
	return s.createToken(ctx, viewer.UserID, name, expiresAt)
}

// IssueToken makes a lasting bearer token for the user with an address of mail. It
// asks nobody's permission: it is for the command line of the server's machine.
func (s *Service) IssueToken(ctx context.Context, email, name string) (secret string, err error) {
	name, err = checkName(name, "name")
	if err != nil {
		return "", err
	}
	person, err := s.store.Reader().User.Query().Where(user.Email(normalEmail(email))).Only(ctx)
	if ent.IsNotFound(err) {
		return "", causeway.Missing("email")
	}
	if err != nil {
		return "", fmt.Errorf("find a user by address: %w", err)
	}
	_, secret, err = s.createToken(ctx, person.ID, name, nil)
	return secret, err
}

func (s *Service) createToken(ctx context.Context, personID causeway.ID, name string, expiresAt *time.Time) (id causeway.ID, secret string, err error) {
	secret = newSecret()
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		person, err := lockUser(ctx, tx, personID)
		if err != nil {
			return err
		}
		if person.DeactivatedAt != nil {
			return causeway.FailWith(causeway.Conflict, causeway.ReasonDeactivatedUser)
		}
		id, err = s.storeToken(ctx, tx, personID, name, secret, expiresAt)
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("create a token: %w", err)
	}
	return id, secret, nil
}

// RevokeAccessToken ends one of the viewer's own tokens, and what runs on it within
// five seconds. Anybody else's is NOT_FOUND.
func (s *Service) RevokeAccessToken(ctx context.Context, id causeway.ID) error {
	viewer, err := From(ctx)
	if err != nil {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		s.rightsEnded(tx)
		n, err := tx.AccessToken.Delete().
			Where(accesstoken.ID(id), accesstoken.UserID(viewer.UserID)).
			Exec(ctx)
		if err == nil && n == 0 {
			return causeway.Missing("id")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke %s: %w", id, err)
	}
	return nil
}
