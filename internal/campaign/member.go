package campaign

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// SetMember makes a user a member of a campaign, or changes their role in it. Its
// managers may. A person who is shut out is CONFLICT.
func (s *Service) SetMember(ctx context.Context, campaignID, userID causeway.ID, role campaignmember.Role) error {
	return s.manage(ctx, campaignID, []string{"input", "campaignId"}, func(tx *store.Tx) error {
		person, err := tx.User.Get(ctx, userID)
		if ent.IsNotFound(err) {
			return causeway.Missing("input", "userId")
		}
		if err != nil {
			return err
		}
		if person.DeactivatedAt != nil {
			return causeway.FailWith(causeway.Conflict, causeway.ReasonDeactivatedUser).At("input", "userId")
		}
		s.rightsEnded(tx) // the role may be a lower one
		return tx.CampaignMember.Create().
			SetCampaignID(campaignID).
			SetUserID(userID).
			SetRole(role).
			SetJoinedAt(s.clock.Now()).
			OnConflict(
				sql.ConflictColumns(campaignmember.FieldCampaignID, campaignmember.FieldUserID),
				sql.ResolveWith(func(u *sql.UpdateSet) { u.SetExcluded(campaignmember.FieldRole) }),
			).
			Exec(ctx)
	})
}

// RemoveMember ends a membership, and within five seconds what runs on it. The
// campaign's managers may. Who is no member is NOT_FOUND.
func (s *Service) RemoveMember(ctx context.Context, campaignID, userID causeway.ID) error {
	return s.manage(ctx, campaignID, []string{"input", "campaignId"}, func(tx *store.Tx) error {
		s.rightsEnded(tx)
		n, err := tx.CampaignMember.Delete().
			Where(campaignmember.CampaignID(campaignID), campaignmember.UserID(userID)).
			Exec(ctx)
		if err == nil && n == 0 {
			return causeway.Missing("input", "userId")
		}
		return err
	})
}

func (s *Service) rightsEnded(tx *store.Tx) {
	tx.AfterCommit(func() { s.bus.Publish(auth.AccessTopic, 0) })
}
