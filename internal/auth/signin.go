package auth

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// sessionFor is how long a token lasts that signing in made.
const sessionFor = 30 * 24 * time.Hour

// sessionName is the name of the tokens that signing in makes. A person cannot give a
// token no name, so that the two are told apart by it.
const sessionName = ""

// Session is what signing in gives.
type Session struct {
	Secret    string // the bearer token, told this once
	ExpiresAt time.Time
	Viewer    *Viewer // who signed in
}

// SignIn exchanges an address of mail and a password for a bearer token of thirty
// days. A wrong password, an unknown address and a person who was shut out get the
// same INVALID_INPUT, without a field and in the same time. After ten wrong ones for
// an address of mail or of network within ten minutes it is RATE_LIMITED, also for
// the right password; right ones are not counted, and sessions go on.
func (s *Service) SignIn(ctx context.Context, email, password, networkAddress string) (*Session, error) {
	email = normalEmail(email)
	keys := []string{mailKey(email), networkKey(networkAddress)}
	if wait := s.wrongTries.wait(s.clock.Now(), keys...); wait > 0 {
		return nil, refusal(wait)
	}
	person, err := s.store.Reader().User.Query().
		Where(user.Email(email), user.DeactivatedAtIsNil()).
		Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	hash := s.passwords.nobody
	if person != nil {
		hash = person.PasswordHash
	}
	right, err := s.try(ctx, password, hash, keys...)
	if err != nil {
		return nil, err
	}
	if !right || person == nil {
		return nil, causeway.FailWith(causeway.InvalidInput, causeway.ReasonWrongCredentials)
	}
	return s.beginSession(ctx, person.ID, hash)
}

// try compares a password with a stored hash, unless there were too many wrong tries
// for keys; a wrong one is counted.
func (s *Service) try(ctx context.Context, password, hash string, keys ...string) (right bool, err error) {
	leave, err := s.passwords.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	undo, wait := s.wrongTries.begin(s.clock.Now(), keys...)
	if wait > 0 {
		return false, refusal(wait)
	}
	if len(password) > maxPasswordBytes {
		password = "" // no password is so long, nor empty
	}
	right, err = matches(password, hash)
	if right || err != nil {
		undo()
	}
	return right, err
}

// beginSession makes the token, unless the person was shut out or the password
// changed while it was compared.
func (s *Service) beginSession(ctx context.Context, personID causeway.ID, hash string) (*Session, error) {
	session := &Session{Secret: newSecret(), ExpiresAt: s.clock.Now().Add(sessionFor)}
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		person, err := lockUser(ctx, tx, personID)
		if ent.IsNotFound(err) || (err == nil && (person.DeactivatedAt != nil || person.PasswordHash != hash)) {
			return causeway.FailWith(causeway.InvalidInput, causeway.ReasonWrongCredentials)
		}
		if err != nil {
			return err
		}
		// What is over is of no use to anybody; here it goes without a worker of its own.
		_, err = tx.AccessToken.Delete().
			Where(accesstoken.UserID(person.ID), accesstoken.ExpiresAtLTE(s.clock.Now())).
			Exec(ctx)
		if err != nil {
			return err
		}
		id, err := s.storeToken(ctx, tx, person.ID, sessionName, session.Secret, &session.ExpiresAt)
		if err != nil {
			return err
		}
		session.Viewer = viewerOf(person, id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return session, nil
}

// SignOut ends the token of this request, whatever made it. For the token of the
// settings there is nothing to end.
func (s *Service) SignOut(ctx context.Context) error {
	viewer, err := From(ctx)
	if err != nil || viewer.TokenID == "" {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		s.rightsEnded(tx)
		_, err := tx.AccessToken.Delete().Where(accesstoken.ID(viewer.TokenID)).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// newSecret makes a bearer token.
func newSecret() string { return tokenPrefix + secret.RandomToken(32) }

// storeToken stores what is kept of a bearer token.
func (s *Service) storeToken(ctx context.Context, tx *store.Tx, person causeway.ID, name, bearer string, expiresAt *time.Time) (causeway.ID, error) {
	token, err := tx.AccessToken.Create().
		SetUserID(person).
		SetName(name).
		SetPrefix(bearer[:8]).
		SetHash(secret.Hash(bearer)).
		SetCreatedAt(s.clock.Now()).
		SetNillableExpiresAt(expiresAt).
		Save(ctx)
	if err != nil {
		return "", fmt.Errorf("store a token: %w", err)
	}
	return token.ID, nil
}

// lockUser reads a user and keeps the row as it is until tx ends.
func lockUser(ctx context.Context, tx *store.Tx, id causeway.ID) (*ent.User, error) {
	query := tx.User.Query().Where(user.ID(id))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate()
	}
	return query.Only(ctx)
}
