package graph

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vikstrous/dataloadgen"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/campaignmember"
	"causeway/ent/conversation"
	"causeway/ent/tagging"
	"causeway/internal/auth"
	"causeway/internal/connection"
	conversations "causeway/internal/conversation"
	"causeway/internal/intake"
)

// loaders gather what the rows of a list ask one by one into one statement each. A
// query or mutation has its own; a subscription's events, which are read apart,
// have loaders that gather nothing.
type loaders struct {
	role              *dataloadgen.Loader[causeway.ID, campaignmember.Role]
	platforms         *dataloadgen.Loader[causeway.ID, []connection.Card]
	openConversations *dataloadgen.Loader[causeway.ID, int]
	waiting           *dataloadgen.Loader[causeway.ID, int]
	policies          *dataloadgen.Loader[causeway.ID, conversations.Policy]
	authors           *dataloadgen.Loader[causeway.ID, *ent.User]
	queueMembers      *dataloadgen.Loader[causeway.ID, []*ent.User]
	openInQueue       *dataloadgen.Loader[causeway.ID, int]
	subjects          *nodesByField
	tags              *dataloadgen.Loader[causeway.ID, []*ent.Tag]
}

func (r *Resolver) newLoaders(options ...dataloadgen.Option) *loaders {
	return &loaders{
		role:              dataloadgen.NewMappedLoader(r.rolesIn, options...),
		platforms:         dataloadgen.NewMappedLoader(r.Connections.PlatformsOf, options...),
		openConversations: dataloadgen.NewMappedLoader(r.countOpen, options...),
		waiting:           dataloadgen.NewMappedLoader(r.countWaiting, options...),
		policies:          dataloadgen.NewMappedLoader(r.Conversations.Policies, options...),
		authors:           dataloadgen.NewMappedLoader(r.Conversations.Authors, options...),
		queueMembers:      dataloadgen.NewMappedLoader(r.Conversations.MembersOf, options...),
		openInQueue:       dataloadgen.NewMappedLoader(r.countOpenIn, options...),
		subjects:          &nodesByField{read: r.nodes, options: options},
		tags:              dataloadgen.NewMappedLoader(r.tagsOn, options...),
	}
}

type loadersKey struct{}

// LoadTogether is the operation middleware that gives every operation its loaders
// and, where it asks for eventCursor, the positions of all feeds as they are before
// anything is read.
func (r *Resolver) LoadTogether(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation == ast.Subscription {
		one := []dataloadgen.Option{dataloadgen.WithoutCache(), dataloadgen.WithBatchCapacity(1)}
		return next(context.WithValue(ctx, loadersKey{}, r.newLoaders(one...)))
	}
	ctx = context.WithValue(ctx, loadersKey{}, r.newLoaders())
	if asksFor(op, "eventCursor") {
		heads, err := r.heads(ctx)
		if err != nil {
			return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{r.PresentError(ctx, err)}})
		}
		ctx = context.WithValue(ctx, headsKey{}, heads)
	}
	return next(ctx)
}

func load(ctx context.Context) *loaders { return ctx.Value(loadersKey{}).(*loaders) }

type headsKey struct{}

// heads are the positions of the newest events of the viewer's campaigns.
func (r *Resolver) heads(ctx context.Context) (map[causeway.ID]int64, error) {
	if _, err := auth.From(ctx); err != nil {
		return nil, nil // only signIn can follow
	}
	rows, err := r.Viewers.Campaign.Query().Select(campaign.FieldID, campaign.FieldEventSeq).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the heads of feeds: %w", err)
	}
	heads := make(map[causeway.ID]int64, len(rows))
	for _, c := range rows {
		heads[c.ID] = c.EventSeq
	}
	return heads, nil
}

// asksFor tells whether an operation selects a field of this name anywhere.
func asksFor(op *graphql.OperationContext, name string) bool {
	if selects(op.Operation.SelectionSet, name) {
		return true
	}
	for _, fragment := range op.Doc.Fragments {
		if selects(fragment.SelectionSet, name) {
			return true
		}
	}
	return false
}

func selects(set ast.SelectionSet, name string) bool {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if s.Name == name || selects(s.SelectionSet, name) {
				return true
			}
		case *ast.InlineFragment:
			if selects(s.SelectionSet, name) {
				return true
			}
		}
	}
	return false
}

// rolesIn is the viewer's part in each campaign that they may see.
func (r *Resolver) rolesIn(ctx context.Context, campaigns []causeway.ID) (map[causeway.ID]campaignmember.Role, error) {
	viewer, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	roles := make(map[causeway.ID]campaignmember.Role, len(campaigns))
	if viewer.Admin {
		for _, id := range campaigns {
			roles[id] = campaignmember.RoleManager
		}
		return roles, nil
	}
	if standing := viewer.Standing; standing != nil {
		roles[standing.Campaign] = standing.Role
		return roles, nil
	}
	rows, err := r.Viewers.CampaignMember.Query().
		Where(campaignmember.UserID(viewer.UserID), campaignmember.CampaignIDIn(campaigns...)).
		All(ctx)
	for _, m := range rows {
		roles[m.CampaignID] = m.Role
	}
	return roles, err
}

func (r *Resolver) countOpen(ctx context.Context, connections []causeway.ID) (map[causeway.ID]int, error) {
	var rows []struct {
		ConnectionID causeway.ID `json:"connection_id"`
		Count        int         `json:"count"`
	}
	err := r.Viewers.Conversation.Query().
		Where(conversation.ConnectionIDIn(connections...), conversation.StatusEQ(conversation.StatusOpen)).
		GroupBy(conversation.FieldConnectionID).
		Aggregate(ent.Count()).
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count open conversations: %w", err)
	}
	counts := make(map[causeway.ID]int, len(connections))
	for _, id := range connections {
		counts[id] = 0
	}
	for _, row := range rows {
		counts[row.ConnectionID] = row.Count
	}
	return counts, nil
}

// tagsOn are the tags of conversations, in order.
func (r *Resolver) tagsOn(ctx context.Context, ids []causeway.ID) (map[causeway.ID][]*ent.Tag, error) {
	rows, err := r.Viewers.Tagging.Query().
		Where(tagging.ConversationIDIn(ids...)).
		WithTag(func(q *ent.TagQuery) { q.WithCampaign() }).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tags of conversations: %w", err)
	}
	tags := make(map[causeway.ID][]*ent.Tag, len(ids))
	for _, id := range ids {
		tags[id] = []*ent.Tag{}
	}
	for _, row := range rows {
		if tag := row.Edges.Tag; tag != nil { // not deleted meanwhile
			tags[row.ConversationID] = append(tags[row.ConversationID], tag)
		}
	}
	for _, of := range tags {
		conversations.ByName(of)
	}
	return tags, nil
}

func (r *Resolver) countWaiting(ctx context.Context, connections []causeway.ID) (map[causeway.ID]int, error) {
	waiting, err := intake.Waiting(ctx, r.Store, connections)
	if err != nil {
		return nil, fmt.Errorf("count waiting updates: %w", err)
	}
	counts := make(map[causeway.ID]int, len(connections))
	for _, id := range connections {
		counts[id] = waiting[id]
	}
	return counts, nil
}

// isManager tells whether the viewer manages a campaign.
func isManager(ctx context.Context, campaign causeway.ID) (bool, error) {
	role, err := load(ctx).role.Load(ctx, campaign)
	return role == campaignmember.RoleManager, err
}
