package auth

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/campaignmember"
	"causeway/internal/store"
)

// RoleIn is the viewer's part in a campaign: RoleManager for administrators,
// NOT_FOUND at path for who may not see it or when there is none. Ask it with the
// client that reads what follows: tx.Client() within a transaction.
func RoleIn(ctx context.Context, client *ent.Client, campaignID causeway.ID, path ...string) (campaignmember.Role, error) {
	viewer, err := From(ctx)
	if err != nil {
		return "", err
	}
	if viewer.Admin {
		there, err := client.Campaign.Query().Where(campaign.ID(campaignID)).Exist(ctx)
		if err != nil {
			return "", fmt.Errorf("role in %s: %w", campaignID, err)
		}
		if !there {
			return "", causeway.Missing(path...)
		}
		return campaignmember.RoleManager, nil
	}
	if standing := viewer.Standing; standing != nil {
		if standing.Campaign != campaignID {
			return "", causeway.Missing(path...)
		}
		return standing.Role, nil
	}
	member, err := client.CampaignMember.Query().
		Where(campaignmember.UserID(viewer.UserID), campaignmember.CampaignID(campaignID)).
		Only(ctx)
	if ent.IsNotFound(err) {
		return "", causeway.Missing(path...)
	}
	if err != nil {
		return "", fmt.Errorf("role in %s: %w", campaignID, err)
	}
	return member.Role, nil
}

// Manager is nil for who manages the campaign, NOT_FOUND at path for who may not see
// it, Forbidden for its agents.
func Manager(ctx context.Context, client *ent.Client, campaignID causeway.ID, path ...string) error {
	role, err := RoleIn(ctx, client, campaignID, path...)
	if err != nil {
		return err
	}
	if role != campaignmember.RoleManager {
		return causeway.Fail(causeway.Forbidden)
	}
	return nil
}

// AnyManager is nil for administrators and for who manages at least one campaign:
// those who may list the users. Others get Forbidden.
func AnyManager(ctx context.Context, client *ent.Client) error {
	viewer, err := From(ctx)
	if err != nil || viewer.Admin {
		return err
	}
	manages, err := client.CampaignMember.Query().
		Where(campaignmember.UserID(viewer.UserID), campaignmember.RoleEQ(campaignmember.RoleManager)).
		Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for a managed campaign: %w", err)
	}
	if !manages {
		return causeway.Fail(causeway.Forbidden)
	}
	return nil
}

// Writable is nil when the viewer sees the campaign and it is not archived, and keeps
// it from being archived until tx ends. Else it is NOT_FOUND at path, or CONFLICT. Ask
// for the role, too, where the role matters: Writable is satisfied with any.
//
// On PostgreSQL it takes the campaign's row FOR KEY SHARE, which goes together with
// itself and with the counting of events, and waits only for archiving, which takes
// the row FOR UPDATE. On SQLite the transaction is the only writer anyway.
func Writable(ctx context.Context, tx *store.Tx, campaignID causeway.ID, path ...string) error {
	if _, err := RoleIn(ctx, tx.Client(), campaignID, path...); err != nil {
		return err
	}
	query := tx.Campaign.Query().Where(campaign.ID(campaignID))
	if tx.Dialect() == dialect.Postgres {
		query.Modify(func(s *sql.Selector) { s.For(sql.LockKeyShare) })
	}
	camp, err := query.Only(ctx)
	if ent.IsNotFound(err) {
		return causeway.Missing(path...)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", campaignID, err)
	}
	if camp.ArchivedAt != nil {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonArchived).At(path...)
	}
	return nil
}
