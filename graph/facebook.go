package graph

import (
	"context"
	"net/url"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/facebooklogin"
	"causeway/graph/model"
	connections "causeway/internal/connection"
	"causeway/internal/platform"
)

// loginLookEvery is how often a followed login is looked at, beside being told: hints
// may be lost, and nobody tells that its time is over.
const loginLookEvery = 2 * time.Second

// facebookPage is a page as Facebook described it.
func facebookPage(p platform.Profile) *model.FacebookPage {
	page := &model.FacebookPage{
		PageID: p.ID, Name: p.Name, Username: optional(p.Username), Category: optional(p.Category),
		FollowersCount: p.Followers, Published: p.Published, Tasks: p.Tasks, Connectable: true,
	}
	if page.Tasks == nil {
		page.Tasks = []string{}
	}
	return page
}

// picture is the address of a page's picture at Facebook, as far as anybody may have it.
func picture(address string) *string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || strings.Contains(u.RawQuery, "token") {
		return nil
	}
	return &address
}

func (r *Resolver) loginPages(ctx context.Context, login *ent.FacebookLogin) ([]*model.FacebookPage, error) {
	pages, err := r.Connections.LoginPages(ctx, login)
	if err != nil {
		return nil, err
	}
	shown := make([]*model.FacebookPage, 0, len(pages))
	for _, p := range pages {
		page := facebookPage(p.Profile)
		page.AvatarURL, page.CampaignID = picture(p.AvatarRef), p.Campaign
		page.Connectable, page.Problem = p.Connectable, r.problem(ctx, p.Problem)
		shown = append(shown, page)
	}
	return shown, nil
}

// lostConnections are the connections that a login silences.
func (r *Resolver) lostConnections(ctx context.Context, login *ent.FacebookLogin) ([]*ent.Connection, error) {
	ids, err := r.Connections.LostConnections(ctx, login)
	if err != nil || len(ids) == 0 {
		return []*ent.Connection{}, err
	}
	query, err := r.Viewers.Connection.Query().
		Where(connection.IDIn(ids...)).
		Order(connection.ByConnectedAt(), connection.ByID()).
		CollectFields(ctx)
	if err != nil {
		return nil, err
	}
	return query.All(ctx)
}

// facebookLoginUpdated shows a login each time that its status is another one. It is
// live only, but for a login that Facebook has answered already: what came before the
// subscription is what the subscriber waits for.
func (r *Resolver) facebookLoginUpdated(ctx context.Context, id causeway.ID) (<-chan *ent.FacebookLogin, error) {
	bell := r.Bus.Subscribe(connections.LoginTopic)
	login, err := r.Viewers.FacebookLogin.Get(ctx, id)
	if err != nil {
		bell.Close()
		if ent.IsNotFound(err) {
			return nil, causeway.Missing("id")
		}
		return nil, err
	}
	logins := make(chan *ent.FacebookLogin)
	go func() {
		defer close(logins)
		defer bell.Close()
		shown := facebooklogin.StatusPending
		for {
			if now := r.Connections.LoginStatus(login); now != shown {
				if shown = now; !send(ctx, logins, login) {
					return
				}
			}
			if !r.waitForLogin(ctx, bell.C()) {
				return
			}
			bell.Take()
			if again, err := r.Viewers.FacebookLogin.Get(ctx, id); err == nil { // else the right just ended
				login = again
			}
		}
	}()
	return logins, nil
}

// waitForLogin waits until something is told of logins, or it is time to look; false
// when ctx ends.
func (r *Resolver) waitForLogin(ctx context.Context, told <-chan struct{}) bool {
	timer := r.Clock.NewTimer(loginLookEvery)
	defer timer.Stop()
	select {
	case <-told:
		return true
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// connectedTo is the campaign that a page is connected to; nil where the viewer does
// not see it.
func (r *Resolver) connectedTo(ctx context.Context, page *model.FacebookPage) (*ent.Campaign, error) {
	if page.CampaignID == "" {
		return nil, nil
	}
	found, err := load(ctx).subjects.load(ctx, page.CampaignID)
	campaign, _ := found.(*ent.Campaign)
	return campaign, err
}

// pointers are the items of a list as the generated code takes them.
func pointers[T any](items []T) []*T {
	all := make([]*T, 0, len(items))
	for i := range items {
		all = append(all, &items[i])
	}
	return all
}
