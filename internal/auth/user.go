package auth

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/store"
)

// defaultLanguage is what a person reads until they say otherwise.
const defaultLanguage = "en"

// NewUser is who is to be let in.
type NewUser struct {
	Email    string
	Name     string
	Password string
	Role     user.Role
}

// CreateUser lets somebody in. Administrators alone may. An address that somebody has
// is INVALID_INPUT at input.email.
func (s *Service) CreateUser(ctx context.Context, in NewUser) (causeway.ID, error) {
	if err := Admin(ctx); err != nil {
		return "", err
	}
	var err error
	if in.Email, err = checkEmail(in.Email, "input", "email"); err != nil {
		return "", err
	}
	if in.Name, err = checkName(in.Name, "input", "name"); err != nil {
		return "", err
	}
	if err = checkPassword(in.Password, "input", "password"); err != nil {
		return "", err
	}
	hash, err := s.passwords.hash(ctx, in.Password)
	if err != nil {
		return "", err
	}
	var id causeway.ID
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		id, err = s.storeUser(ctx, tx, in, hash)
		return err
	})
	if store.IsTaken(err) {
		return "", causeway.Invalid(causeway.ReasonEmailTaken, "input", "email")
	}
	if err != nil {
		return "", fmt.Errorf("create a user: %w", err)
	}
	return id, nil
}

func (s *Service) storeUser(ctx context.Context, tx *store.Tx, in NewUser, hash string) (causeway.ID, error) {
	person, err := tx.User.Create().
		SetEmail(in.Email).
		SetName(in.Name).
		SetRole(in.Role).
		SetLanguage(defaultLanguage).
		SetPasswordHash(hash).
		SetCreatedAt(s.clock.Now()).
		Save(ctx)
	if err != nil {
		return "", err
	}
	return person.ID, nil
}

// UserChange is what is to change of a user. Nothing of it can be cleared; a cleared
// CurrentPassword is none.
type UserChange struct {
	ID              causeway.ID
	Name            causeway.Change[string]
	Language        causeway.Change[string]
	Password        causeway.Change[string]
	CurrentPassword causeway.Change[string]
	Role            causeway.Change[user.Role]
	Deactivated     causeway.Change[bool]
}

// UpdateUser changes a user. Administrators change everybody; everyone changes their
// own name, language and password, for which the current password is asked (wrong ones
// count like those of SignIn). A new password ends the person's other sessions, that
// is the tokens that signing in made; those made by name go on. Shutting somebody out
// ends all their tokens, and what they had to do goes back to where it came from. Whoever is the last administrator stays one (CONFLICT),
// whatever several servers are asked at the same moment.
func (s *Service) UpdateUser(ctx context.Context, in UserChange) error {
	viewer, err := From(ctx)
	if err != nil {
		return err
	}
	if err := s.mayUpdate(ctx, viewer, in); err != nil {
		return err
	}
	if in, err = checkChange(in); err != nil {
		return err
	}
	secrets, err := s.newPassword(ctx, viewer, in)
	if err != nil {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		return s.applyChange(ctx, tx, viewer, in, secrets)
	})
	if err != nil {
		return fmt.Errorf("update %s: %w", in.ID, err)
	}
	return nil
}

// mayUpdate lets administrators change everybody, others themselves without the role.
func (s *Service) mayUpdate(ctx context.Context, viewer *Viewer, in UserChange) error {
	if viewer.Admin {
		return nil
	}
	if in.ID == viewer.UserID {
		if in.Role.Given || in.Deactivated.Given {
			return causeway.Fail(causeway.Forbidden)
		}
		return nil
	}
	known, err := s.store.Reader().User.Query().
		Where(user.ID(in.ID), knownTo(viewer)).
		Exist(ctx)
	if err != nil {
		return fmt.Errorf("update %s: %w", in.ID, err)
	}
	if !known {
		return causeway.Missing("input", "id")
	}
	return causeway.Fail(causeway.Forbidden)
}

// checkChange answers in as it is to be stored.
func checkChange(in UserChange) (UserChange, error) {
	for _, field := range []struct {
		name    string
		cleared bool
	}{
		{"name", in.Name.Cleared()},
		{"language", in.Language.Cleared()},
		{"password", in.Password.Cleared()},
		{"role", in.Role.Cleared()},
		{"deactivated", in.Deactivated.Cleared()},
	} {
		if field.cleared {
			return in, causeway.Invalid(causeway.ReasonCannotClear, "input", field.name)
		}
	}
	if in.Name.Given {
		name, err := checkName(*in.Name.Value, "input", "name")
		if err != nil {
			return in, err
		}
		in.Name = causeway.ChangeTo(name)
	}
	if in.Language.Given {
		tag, err := checkLanguage(*in.Language.Value, "input", "language")
		if err != nil {
			return in, err
		}
		in.Language = causeway.ChangeTo(tag)
	}
	if in.Password.Given {
		return in, checkPassword(*in.Password.Value, "input", "password")
	}
	return in, nil
}

// passwordChange is a new password, hashed before the transaction begins, and the
// hash that the current one was compared with.
type passwordChange struct {
	hash     string
	replaces string // empty where the current password is not asked for
}

func (s *Service) newPassword(ctx context.Context, viewer *Viewer, in UserChange) (passwordChange, error) {
	var change passwordChange
	if !in.Password.Given {
		return change, nil
	}
	var err error
	if in.ID == viewer.UserID {
		if change.replaces, err = s.checkCurrent(ctx, viewer, in.CurrentPassword); err != nil {
			return change, err
		}
	}
	change.hash, err = s.passwords.hash(ctx, *in.Password.Value)
	return change, err
}

// checkCurrent compares the viewer's own password and answers its hash.
func (s *Service) checkCurrent(ctx context.Context, viewer *Viewer, current causeway.Change[string]) (string, error) {
	if current.Value == nil || *current.Value == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, "input", "currentPassword")
	}
	person, err := s.store.Reader().User.Get(ctx, viewer.UserID)
	if err != nil {
		return "", fmt.Errorf("compare the current password: %w", err)
	}
	right, err := s.try(ctx, *current.Value, person.PasswordHash, mailKey(person.Email))
	if err != nil {
		return "", err
	}
	if !right {
		return "", causeway.Invalid(causeway.ReasonWrongPassword, "input", "currentPassword")
	}
	return person.PasswordHash, nil
}

func (s *Service) applyChange(ctx context.Context, tx *store.Tx, viewer *Viewer, in UserChange, password passwordChange) error {
	if err := s.handBack(tx, in); err != nil {
		return err
	}
	if err := keepAnAdmin(ctx, tx, in); err != nil {
		return err
	}
	person, err := lockUser(ctx, tx, in.ID)
	if ent.IsNotFound(err) {
		return causeway.Missing("input", "id")
	}
	if err != nil {
		return err
	}
	if password.replaces != "" && password.replaces != person.PasswordHash {
		return causeway.Invalid(causeway.ReasonWrongPassword, "input", "currentPassword")
	}
	update := tx.User.UpdateOneID(in.ID).
		SetNillableName(in.Name.Value).
		SetNillableLanguage(in.Language.Value).
		SetNillableRole(in.Role.Value)
	if password.hash != "" {
		update.SetPasswordHash(password.hash)
		if err := s.endSessions(ctx, tx, in.ID, viewer.TokenID); err != nil {
			return err
		}
	}
	if in.Deactivated.Given {
		if err := s.shutOut(ctx, tx, update, person, *in.Deactivated.Value); err != nil {
			return err
		}
	}
	if in.Role.Given {
		s.rightsEnded(tx)
	}
	return update.Exec(ctx)
}

// handBack lets go of what somebody has to do who is shut out, or an administrator no
// more. It comes first, since it locks what others lock before people.
func (s *Service) handBack(tx *store.Tx, in UserChange) error {
	switch {
	case s.desk == nil:
		return nil
	case in.Deactivated.Given && *in.Deactivated.Value:
		return s.desk.ShutOut(tx, in.ID)
	case in.Role.Given && *in.Role.Value != user.RoleAdmin:
		return s.desk.Demoted(tx, in.ID)
	default:
		return nil
	}
}

// keepAnAdmin refuses to take the last administrator away. It locks the rows of all
// administrators, in order, so that of two who are taken away at once the second
// finds the first gone.
func keepAnAdmin(ctx context.Context, tx *store.Tx, in UserChange) error {
	field := ""
	if in.Role.Given && *in.Role.Value != user.RoleAdmin {
		field = "role"
	}
	if in.Deactivated.Given && *in.Deactivated.Value {
		field = "deactivated"
	}
	if field == "" {
		return nil
	}
	query := tx.User.Query().
		Where(user.RoleEQ(user.RoleAdmin), user.DeactivatedAtIsNil()).
		Order(ent.Asc(user.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate()
	}
	admins, err := query.All(ctx)
	if err != nil {
		return err
	}
	if len(admins) == 1 && admins[0].ID == in.ID {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonLastAdmin).At("input", field)
	}
	return nil
}

// endSessions ends what signing in made, but for the token that asks.
func (s *Service) endSessions(ctx context.Context, tx *store.Tx, person, but causeway.ID) error {
	s.rightsEnded(tx)
	_, err := tx.AccessToken.Delete().
		Where(accesstoken.UserID(person), accesstoken.Name(sessionName), accesstoken.IDNEQ(but)).
		Exec(ctx)
	return err
}

// shutOut deactivates a person and ends all their tokens, or lets them in again. Who
// is shut out already keeps the time of it.
func (s *Service) shutOut(ctx context.Context, tx *store.Tx, update *ent.UserUpdateOne, person *ent.User, out bool) error {
	if !out {
		update.ClearDeactivatedAt()
		return nil
	}
	if person.DeactivatedAt == nil {
		update.SetDeactivatedAt(s.clock.Now())
	}
	s.rightsEnded(tx)
	_, err := tx.AccessToken.Delete().Where(accesstoken.UserID(person.ID)).Exec(ctx)
	return err
}
