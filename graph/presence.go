package graph

import (
	"context"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/internal/presence"
)

// presenceUpdated shows a campaign's members as they come and go. It is live only:
// hints may be lost, the column is not.
func (r *Resolver) presenceUpdated(ctx context.Context, campaignID causeway.ID) (<-chan *ent.User, error) {
	seen, err := r.Viewers.Campaign.Query().Where(campaign.ID(campaignID)).Exist(ctx)
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, causeway.Missing("campaignId")
	}
	bell := r.Bus.Subscribe(presence.TopicOf(campaignID))
	people := make(chan *ent.User)
	go func() {
		defer close(people)
		defer bell.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-bell.C():
				for _, hint := range bell.Take().Hints {
					person, err := r.Viewers.User.Get(ctx, causeway.ID(hint))
					if err != nil { // the right just ended, or the database is away
						continue
					}
					if !send(ctx, people, person) {
						return
					}
				}
			}
		}
	}()
	return people, nil
}
