package auth

import (
	"entgo.io/ent/dialect/sql"

	"causeway/ent/connection"
	"causeway/internal/store"
)

// TokenByHash is the statement that Authenticate asks.
func TokenByHash(db *store.Store) string { return tokenByHash(db) }

// ScopeQuery is a read as Scope narrows it.
func ScopeQuery(db *store.Store) string {
	s := db.SQL().Select(connection.FieldID).From(sql.Table(connection.Table))
	s.Where(sql.In(s.C(connection.FieldCampaignID), campaignsOf(s, "x")))
	query, _ := s.Query()
	return query
}
