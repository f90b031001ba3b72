package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"causeway"
	"causeway/ent"
	"causeway/internal/auth"
	"causeway/internal/feed"
	"causeway/internal/transport"
)

// PositionArgument is the argument of subscriptions that says where to begin.
const PositionArgument = "after"

// Share says who may hear the very same events. Results depend on nothing of a viewer
// but their part in the campaign, whether they are an administrator, and language;
// only which people a viewer may see is their own, and so is a login, so a subscription
// that shows people or a login is shared by one person's sockets alone.
//
// What the viewer may not see is shared with nobody: its resolver says so.
func (r *Resolver) Share(ctx context.Context, op *graphql.OperationContext, field *ast.Field) (transport.Sharing, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return transport.Sharing{}, err
	}
	args := field.ArgumentMap(op.Variables)
	campaignID, err := r.campaignOf(ctx, args)
	if err != nil {
		return transport.Sharing{}, err
	}
	role, err := auth.RoleIn(ctx, r.Viewers, campaignID, "campaignId")
	if err != nil && !errors.Is(err, causeway.Fail(causeway.NotFound)) {
		return transport.Sharing{}, err
	}
	path := ast.Path{ast.PathName(field.Alias)}
	sharing := transport.Sharing{
		Watch: func(ended func(error)) func() {
			return r.Auth.Access().Notify(ctx, campaignID, role, func(err error) {
				if errors.Is(err, auth.ErrRoleChanged) {
					ended(nil)
					return
				}
				ended(gqlerror.WrapPath(path, err))
			})
		},
		Overrun: func(last int64, known bool) *gqlerror.Error {
			err := causeway.Fail(causeway.FeedOverrun)
			if !known {
				return r.PresentError(ctx, gqlerror.WrapPath(path, err))
			}
			return r.PresentError(ctx, gqlerror.WrapPath(path, &feed.Overrun{Campaign: campaignID, Last: last}))
		},
	}
	if role == "" {
		return sharing, nil
	}
	sharing.After, sharing.Resumes = position(campaignID, args)
	anyone := &auth.Viewer{Admin: viewer.Admin, Language: language(ctx)}
	key := []string{"member", string(campaignID), string(role), anyone.Language}
	switch {
	case showsPeople(op), ownLogin(field):
		anyone.UserID = viewer.UserID
		key = append(key, string(viewer.UserID))
	case !viewer.Admin:
		anyone.Standing = &auth.Standing{Campaign: campaignID, Role: role}
	}
	if viewer.Admin {
		key[0] = "administrator"
	}
	sharing.Key = strings.Join(key, " ")
	sharing.Run = func(ctx context.Context) context.Context {
		return auth.WithViewer(WithLanguage(ctx, anyone.Language), anyone)
	}
	return sharing, nil
}

// EventID is an event's cursor.
func (r *Resolver) EventID(op *graphql.OperationContext, field *ast.Field, position int64) string {
	campaignID, ok := field.ArgumentMap(op.Variables)["campaignId"].(string)
	if !ok {
		return ""
	}
	return cursorText(feed.Cursor(causeway.ID(campaignID), position))
}

// campaignOf is the campaign that a subscription is about; empty if the viewer does
// not see what it is about.
func (r *Resolver) campaignOf(ctx context.Context, args map[string]any) (causeway.ID, error) {
	if id, ok := args["campaignId"].(string); ok {
		return causeway.ID(id), nil
	}
	if id, ok := args["conversationId"].(string); ok {
		seen, err := r.Viewers.Conversation.Get(ctx, causeway.ID(id))
		if ent.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return seen.CampaignID, nil
	}
	if id, ok := args["id"].(string); ok {
		seen, err := r.Viewers.FacebookLogin.Get(ctx, causeway.ID(id))
		if ent.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return seen.CampaignID, nil
	}
	id, _ := args["connectionId"].(string)
	seen, err := r.Viewers.Connection.Get(ctx, causeway.ID(id))
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return seen.CampaignID, nil
}

// position is where a subscription is to begin; not ok where it does not say, or says
// it in a way that its resolver will refuse.
func position(campaignID causeway.ID, args map[string]any) (seq int64, ok bool) {
	after := args[PositionArgument]
	if after == nil {
		return 0, false
	}
	var cursor ent.Cursor
	if err := cursor.UnmarshalGQL(after); err != nil {
		return 0, false
	}
	seq, err := feed.ParseCursor(campaignID, cursor)
	return seq, err == nil
}

// ownLogin tells whether a subscription is about a login, which is nobody else's.
func ownLogin(field *ast.Field) bool { return field.Name == "facebookLoginUpdated" }

// showsPeople tells whether an operation selects anything of users: an agent sees
// their colleagues, a manager everybody.
func showsPeople(op *graphql.OperationContext) bool {
	var people func(ast.SelectionSet) bool
	people = func(set ast.SelectionSet) bool {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				if s.Definition != nil && (s.Definition.Type.Name() == "User" || people(s.SelectionSet)) {
					return true
				}
			case *ast.InlineFragment:
				if people(s.SelectionSet) {
					return true
				}
			}
		}
		return false
	}
	if people(op.Operation.SelectionSet) {
		return true
	}
	for _, fragment := range op.Doc.Fragments {
		if people(fragment.SelectionSet) {
			return true
		}
	}
	return false
}
