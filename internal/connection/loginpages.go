package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/facebooklogin"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
)

// LoginPage is a page of a login and what may be done with it.
type LoginPage struct {
	platform.Profile
	// Campaign is where the page is connected now; empty if nowhere. The viewer may see
	// it or not.
	Campaign causeway.ID
	// Connectable: connecting would take it. Problem says why not, or what will be wrong
	// with it all the same.
	Connectable bool
	Problem     *causeway.Problem
}

// LoginPages are the pages of a login that is AUTHORIZED, in Facebook's order, those
// too that cannot be connected; none of another login.
func (s *Service) LoginPages(ctx context.Context, login *ent.FacebookLogin) ([]LoginPage, error) {
	if s.LoginStatus(login) != facebooklogin.StatusAuthorized || len(login.Pages) == 0 {
		return nil, nil
	}
	campaigns := map[string]causeway.ID{}
	for some := range slices.Chunk(login.Pages, pagesPerQuery) {
		rows, err := s.store.Reader().Connection.Query().
			Where(entconnection.PlatformEQ(platform.Messenger), entconnection.AccountIDIn(idsOf(some)...),
				entconnection.DisconnectedAtIsNil()).
			Select(entconnection.FieldAccountID, entconnection.FieldCampaignID).
			All(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for the pages of %s: %w", login.ID, err)
		}
		for _, row := range rows {
			campaigns[row.AccountID] = row.CampaignID
		}
	}
	elsewhere := map[causeway.ID]*causeway.Problem{} // by campaign
	for _, campaign := range campaigns {
		if campaign == login.CampaignID || elsewhere[campaign] != nil {
			continue
		}
		if taken, ok := errors.AsType[*causeway.Error](s.alreadyConnected(ctx, campaign)); ok {
			elsewhere[campaign] = &taken.Problem
		}
	}
	pages := make([]LoginPage, 0, len(login.Pages))
	for _, profile := range login.Pages {
		page := LoginPage{Profile: profile, Campaign: campaigns[profile.ID]}
		page.Connectable, page.Problem = connectable(profile, elsewhere[page.Campaign])
		pages = append(pages, page)
	}
	return pages, nil
}

// pagesPerQuery bounds an IN list.
const pagesPerQuery = 500

func idsOf(pages []platform.Profile) []string {
	ids := make([]string, 0, len(pages))
	for _, page := range pages {
		ids = append(ids, page.ID)
	}
	return ids
}

// connectable tells whether a page can be connected that another campaign may have, and
// what is wrong with it.
func connectable(page platform.Profile, elsewhere *causeway.Problem) (bool, *causeway.Problem) {
	if elsewhere != nil {
		return false, elsewhere
	}
	if unfit := unfit(page); unfit != nil {
		return false, &unfit.Problem
	}
	if page.Published != nil && !*page.Published {
		return true, &causeway.FailWith(causeway.PageNotPublished, causeway.ReasonPageUnpublished).With("page", page.Name).Problem
	}
	return true, nil
}

// unfit is why a person's page cannot be connected by them: writing needs the task
// MESSAGING, and its webhooks MODERATE or MANAGE. It is nil if nothing is in the way.
func unfit(page platform.Profile) *causeway.Error {
	may := func(task string) bool { return slices.Contains(page.Tasks, task) }
	if !page.Unspoken && may(messenger.TaskMessaging) && (may(messenger.TaskModerate) || may(messenger.TaskManage)) {
		return nil
	}
	return causeway.FailWith(causeway.PageRoleInsufficient, causeway.ReasonPageTaskMissing).With("page", page.Name)
}

// LostConnections are the connections of a login's campaign that stop working, or have
// stopped, because their token is of the person who logged in, and the login no longer
// grants their page: by id, as far as the viewer may see them. None of a login that is
// not AUTHORIZED.
func (s *Service) LostConnections(ctx context.Context, login *ent.FacebookLogin) ([]causeway.ID, error) {
	if s.LoginStatus(login) != facebooklogin.StatusAuthorized || login.FacebookUserID == nil {
		return nil, nil
	}
	rows, err := s.viewers.Connection.Query().
		Where(entconnection.CampaignID(login.CampaignID), entconnection.PlatformEQ(platform.Messenger),
			entconnection.DisconnectedAtIsNil(), entconnection.AuthorizerID(*login.FacebookUserID),
			entconnection.SealedAppSecretIsNil()).
		Order(entconnection.ByConnectedAt(), entconnection.ByID()).
		Select(entconnection.FieldAccountID).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for what %s silences: %w", login.ID, err)
	}
	var lost []causeway.ID
	for _, row := range rows {
		granted := func(p platform.Profile) bool { return p.ID == row.AccountID && !p.Unspoken }
		if !slices.ContainsFunc(login.Pages, granted) {
			lost = append(lost, row.ID)
		}
	}
	return lost, nil
}
