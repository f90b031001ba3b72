package campaign

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/internal/audit"
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
		was, err := roleOf(tx, campaignID, userID)
		if err != nil {
			return err
		}
		s.rightsEnded(tx) // the role may be a lower one
		err = tx.CampaignMember.Create().
			SetCampaignID(campaignID).
			SetUserID(userID).
			SetRole(role).
			SetJoinedAt(s.clock.Now()).
			OnConflict(
				sql.ConflictColumns(campaignmember.FieldCampaignID, campaignmember.FieldUserID),
				sql.ResolveWith(func(u *sql.UpdateSet) { u.SetExcluded(campaignmember.FieldRole) }),
			).
			Exec(ctx)
		if err != nil || was != nil && *was == role {
			return err
		}
		return s.record(tx, "setCampaignMember", campaignID, userID, map[string]any{"role": audit.Changed{From: was, To: role}})
	})
}

// roleOf is a member's role; nil for who is none.
func roleOf(tx *store.Tx, campaignID, userID causeway.ID) (*campaignmember.Role, error) {
	member, err := tx.CampaignMember.Query().
		Where(campaignmember.CampaignID(campaignID), campaignmember.UserID(userID)).
		Only(tx.Context())
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &member.Role, nil
}

// RemoveMember ends a membership, and within five seconds what runs on it; what the
// person had to do in the campaign goes back to where it came from. The campaign's
// managers may. Who is no member is NOT_FOUND.
func (s *Service) RemoveMember(ctx context.Context, campaignID, userID causeway.ID) error {
	return s.manage(ctx, campaignID, []string{"input", "campaignId"}, func(tx *store.Tx) error {
		if s.desk != nil {
			if err := s.desk.LeavesCampaign(tx, campaignID, userID); err != nil {
				return err
			}
		}
		s.rightsEnded(tx)
		n, err := tx.CampaignMember.Delete().
			Where(campaignmember.CampaignID(campaignID), campaignmember.UserID(userID)).
			Exec(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return causeway.Missing("input", "userId")
		}
		return s.record(tx, "removeCampaignMember", campaignID, userID, nil)
	})
}

func (s *Service) rightsEnded(tx *store.Tx) {
	tx.AfterCommit(func() { s.bus.Publish(auth.AccessTopic, 0) })
}
