package auth

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/campaignmember"
	"causeway/ent/intercept"
	"causeway/ent/user"
)

// Scope is the predicate "campaign_id is among the viewer's campaigns", for the
// interceptors of entities that have that column. It is nil for an administrator, who
// sees everything, and Unauthenticated without a viewer.
func Scope(ctx context.Context) (func(*sql.Selector), error) {
	return ScopeOn(ctx, campaignmember.FieldCampaignID)
}

// ScopeOn is Scope for the entity whose column of another name holds the campaign.
func ScopeOn(ctx context.Context, column string) (func(*sql.Selector), error) {
	viewer, err := From(ctx)
	if err != nil || viewer.Admin {
		return nil, err
	}
	if standing := viewer.Standing; standing != nil {
		return sql.FieldEQ(column, standing.Campaign), nil
	}
	return func(s *sql.Selector) {
		s.Where(sql.In(s.C(column), campaignsOf(s, viewer.UserID)))
	}, nil
}

// ManagedScope is Scope for what only managers of a campaign may see.
func ManagedScope(ctx context.Context) (func(*sql.Selector), error) {
	viewer, err := From(ctx)
	if err != nil || viewer.Admin {
		return nil, err
	}
	if standing := viewer.Standing; standing != nil {
		if standing.Role != campaignmember.RoleManager {
			return func(s *sql.Selector) { s.Where(sql.False()) }, nil
		}
		return sql.FieldEQ(campaignmember.FieldCampaignID, standing.Campaign), nil
	}
	return func(s *sql.Selector) {
		s.Where(sql.In(s.C(campaignmember.FieldCampaignID), managedBy(s, viewer.UserID)))
	}, nil
}

// campaignsOf selects the ids of a person's campaigns, along the index on
// campaign_members (user_id, campaign_id).
func campaignsOf(s *sql.Selector, person causeway.ID) *sql.Selector {
	mine := sql.Table(campaignmember.Table)
	return sql.Dialect(s.Dialect()).
		Select(mine.C(campaignmember.FieldCampaignID)).
		From(mine).
		Where(sql.EQ(mine.C(campaignmember.FieldUserID), person))
}

// managedBy selects those that the person manages.
func managedBy(s *sql.Selector, person causeway.ID) *sql.Selector {
	mine := campaignsOf(s, person)
	return mine.Where(sql.EQ(mine.C(campaignmember.FieldRole), campaignmember.RoleManager))
}

// Guard makes client show viewers no users and tokens but those they may see: to an
// administrator and to a manager of any campaign everybody, else oneself and the
// people one shares a campaign with; of tokens everyone's own. Reads without a viewer
// are Unauthenticated.
func Guard(client *ent.Client) {
	client.User.Intercept(intercept.TraverseUser(func(ctx context.Context, q *ent.UserQuery) error {
		viewer, err := From(ctx)
		if err != nil || viewer.Admin {
			return err
		}
		q.Where(knownTo(viewer))
		return nil
	}))
	client.AccessToken.Intercept(intercept.TraverseAccessToken(func(ctx context.Context, q *ent.AccessTokenQuery) error {
		viewer, err := From(ctx)
		if err != nil {
			return err
		}
		q.Where(accesstoken.UserID(viewer.UserID))
		return nil
	}))
}

// knownTo is the people whom a viewer, who is no administrator, may see.
func knownTo(viewer *Viewer) func(*sql.Selector) {
	return func(s *sql.Selector) {
		members := sql.Table(campaignmember.Table)
		colleagues := sql.Dialect(s.Dialect()).
			Select(members.C(campaignmember.FieldUserID)).
			From(members).
			Where(sql.In(members.C(campaignmember.FieldCampaignID), campaignsOf(s, viewer.UserID)))
		s.Where(sql.Or(
			sql.EQ(s.C(user.FieldID), viewer.UserID),
			sql.Exists(managedBy(s, viewer.UserID)),
			sql.In(s.C(user.FieldID), colleagues),
		))
	}
}
