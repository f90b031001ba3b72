package campaign

import (
	"context"

	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/intercept"
	"causeway/internal/auth"
)

// Guard makes client show viewers no campaigns but their own, and the members of no
// others. Reads without a viewer are Unauthenticated.
func Guard(client *ent.Client) {
	client.Campaign.Intercept(intercept.TraverseCampaign(func(ctx context.Context, q *ent.CampaignQuery) error {
		mine, err := auth.ScopeOn(ctx, campaign.FieldID)
		if err == nil && mine != nil {
			q.Where(mine)
		}
		return err
	}))
	client.CampaignMember.Intercept(auth.Scoped())
}
