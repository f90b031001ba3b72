package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/secret"
	"causeway/internal/store"
)

// tokenPrefix is what every bearer token of ours begins with, so that one that got
// into the wrong hands can be searched for.
const tokenPrefix = "cw_"

// maxBearer bounds what is looked at, in bytes. Ours have 46.
const maxBearer = 512

// Authenticate finds out who holds a bearer token. One that is unknown, expired or
// revoked, or whose user was shut out, is Unauthenticated; trouble of the database is
// another error. It is one indexed read; that the token was used is noted later, at
// most once a minute.
func (s *Service) Authenticate(ctx context.Context, bearer string) (*Viewer, error) {
	if len(bearer) > maxBearer {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	if s.isAdminToken(bearer) {
		return s.firstAdmin(ctx)
	}
	if !strings.HasPrefix(bearer, tokenPrefix) {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	var viewer Viewer
	var role user.Role
	var expiresAt, lastUsedAt sql.NullTime
	err := s.store.Readers().QueryRowContext(ctx, s.byHash, secret.Hash(bearer)).
		Scan(&viewer.TokenID, &expiresAt, &lastUsedAt, &viewer.UserID, &role, &viewer.Language, &viewer.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	if err != nil {
		return nil, fmt.Errorf("look up a bearer token: %w", err)
	}
	now := s.clock.Now()
	if expiresAt.Valid && !now.Before(expiresAt.Time) {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	if !lastUsedAt.Valid || now.Sub(lastUsedAt.Time) >= usedEvery {
		s.used.add(viewer.TokenID)
	}
	viewer.Admin = role == user.RoleAdmin
	return &viewer, nil
}

// tokenByHash is the statement that finds a token and its user, unless shut out, by
// the hash of its secret.
func tokenByHash(db *store.Store) string {
	token := entsql.Table(accesstoken.Table).As("token")
	person := entsql.Table(user.Table).As("person")
	query, _ := db.SQL().
		Select(
			token.C(accesstoken.FieldID), token.C(accesstoken.FieldExpiresAt), token.C(accesstoken.FieldLastUsedAt),
			person.C(user.FieldID), person.C(user.FieldRole), person.C(user.FieldLanguage), person.C(user.FieldName),
		).
		From(token).
		Join(person).On(token.C(accesstoken.FieldUserID), person.C(user.FieldID)).
		Where(entsql.And(
			entsql.EQ(token.C(accesstoken.FieldHash), ""), // the hash is the only argument
			entsql.IsNull(person.C(user.FieldDeactivatedAt)),
		)).
		Query()
	return query
}

// isAdminToken compares in constant time, by hashes of equal length.
func (s *Service) isAdminToken(bearer string) bool {
	if s.adminToken == nil {
		return false
	}
	sum := sha256.Sum256([]byte(bearer))
	return subtle.ConstantTimeCompare(sum[:], s.adminToken[:]) == 1
}

// firstAdmin is the viewer behind the token of the settings.
func (s *Service) firstAdmin(ctx context.Context) (*Viewer, error) {
	admin, err := s.store.Reader().User.Query().
		Where(user.RoleEQ(user.RoleAdmin), user.DeactivatedAtIsNil()).
		Order(ent.Asc(user.FieldCreatedAt, user.FieldID)).
		First(ctx)
	if ent.IsNotFound(err) {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	if err != nil {
		return nil, fmt.Errorf("find the administrator: %w", err)
	}
	return viewerOf(admin, ""), nil
}

func viewerOf(person *ent.User, tokenID causeway.ID) *Viewer {
	return &Viewer{
		UserID:   person.ID,
		TokenID:  tokenID,
		Admin:    person.Role == user.RoleAdmin,
		Language: person.Language,
		Name:     person.Name,
	}
}
