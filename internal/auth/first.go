package auth

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent/user"
	"causeway/internal/secret"
	"causeway/internal/store"
)

const (
	// madeUpEmail is the first administrator's address where the settings name none.
	madeUpEmail = "admin@localhost"
	// firstName names the first administrator and their first token.
	firstName = "Administrator"
	// firstAdminLock is what servers that start together on one PostgreSQL queue for.
	firstAdminLock = 0x63617573_61646d6e
)

// errSomebodyThere ends a transaction that another server came before.
var errSomebodyThere = errors.New("there is an administrator")

// FirstAdmin is what a person must be told after the first start, once.
type FirstAdmin struct {
	Created  bool // whether it was the first start; else all else is empty
	Email    string
	Password string // if it was made up
	Token    string // a bearer token, unless the settings give one
}

// EnsureAdmin makes an administrator where there never was one. What is not given is
// made up. Of several servers that start at once one makes it. An address or a
// password that cannot be one is INVALID_INPUT at "email" or "password".
func (s *Service) EnsureAdmin(ctx context.Context, email, password string) (FirstAdmin, error) {
	there, err := s.store.Reader().User.Query().Where(user.RoleEQ(user.RoleAdmin)).Exist(ctx)
	if err != nil {
		return FirstAdmin{}, fmt.Errorf("look for an administrator: %w", err)
	}
	if there {
		return FirstAdmin{}, nil
	}
	first := FirstAdmin{Created: true, Email: email}
	if email == "" {
		first.Email = madeUpEmail
	}
	if first.Email, err = checkEmail(first.Email, "email"); err != nil {
		return FirstAdmin{}, err
	}
	if password == "" {
		password = secret.RandomToken(18)
		first.Password = password
	}
	if err := checkPassword(password, "password"); err != nil {
		return FirstAdmin{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return FirstAdmin{}, err
	}
	if s.adminToken == nil {
		first.Token = newSecret()
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error { return s.storeFirst(ctx, tx, first, hash) })
	if errors.Is(err, errSomebodyThere) {
		return FirstAdmin{}, nil
	}
	if store.IsTaken(err) {
		return FirstAdmin{}, causeway.Invalid(causeway.ReasonEmailTaken, "email")
	}
	if err != nil {
		return FirstAdmin{}, fmt.Errorf("make an administrator: %w", err)
	}
	return first, nil
}

func (s *Service) storeFirst(ctx context.Context, tx *store.Tx, first FirstAdmin, hash string) error {
	if tx.Dialect() == dialect.Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(firstAdminLock)); err != nil {
			return err
		}
	}
	there, err := tx.User.Query().Where(user.RoleEQ(user.RoleAdmin)).Exist(ctx)
	if err != nil {
		return err
	}
	if there {
		return errSomebodyThere
	}
	admin := NewUser{Email: first.Email, Name: firstName, Role: user.RoleAdmin}
	id, err := s.storeUser(ctx, tx, admin, hash)
	if err != nil || first.Token == "" {
		return err
	}
	_, err = s.storeToken(ctx, tx, id, firstName, first.Token, nil)
	return err
}
