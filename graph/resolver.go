// Package graph is the GraphQL door: resolvers translate what a client asks into one
// call of a room, and the answer back. No rule lives here, and nothing here decides
// who may see what: reads go through the viewers' client, whose interceptors do.
//
// Resolvers run in parallel and share nothing but the rooms.
package graph

import (
	"context"
	"log/slog"

	"causeway"
	"causeway/ent"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/campaign"
	"causeway/internal/connection"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/presence"
	"causeway/internal/problem"
	"causeway/internal/store"
)

// Resolver is the root of all resolvers.
type Resolver struct {
	Viewers       *ent.Client // shows a viewer what they may see, and nothing without one
	Auth          *auth.Service
	Presence      *presence.Service
	Campaigns     *campaign.Service
	Connections   *connection.Service
	Conversations *conversation.Service
	Store         *store.Store // what waits to be processed is counted without a viewer
	Feed          *feed.Feed
	Bus           bus.Bus
	Problems      *problem.Catalogue
	// FileURL is where the content of an attachment, or the picture of a contact or a
	// connection, is served to whoever has the address: the same for all who ask within
	// an hour.
	FileURL func(id causeway.ID) string
	Clock   causeway.Clock
	Log     *slog.Logger
}

// orNull answers null for what does not exist or may not be seen.
func orNull[T any](v *T, err error) (*T, error) {
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return v, err
}

// read is what a mutation answers, read anew: what left its transaction is dead.
func read[T any](ctx context.Context, id causeway.ID, get func(context.Context, causeway.ID) (*T, error)) (*T, error) {
	if id == "" {
		return nil, nil
	}
	return orNull(get(ctx, id))
}
