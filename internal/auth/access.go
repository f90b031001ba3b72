package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/ent/accesstoken"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/bus"
	"causeway/internal/store"
)

const (
	// accessEvery is how often Access looks without being rung for. It leaves three
	// of the five seconds within which an ended right ends what runs on it.
	accessEvery = 2 * time.Second
	// idsPerQuery bounds an IN list.
	idsPerQuery = 500
)

// Access tells running subscriptions and sockets when their right ends. It asks the
// database once for all that are watched, when AccessTopic rings and every two
// seconds, so its cost grows with the people who are connected and not with what they
// have open.
type Access struct {
	store *store.Store
	bus   bus.Bus
	clock causeway.Clock
	log   *slog.Logger

	mu      sync.Mutex
	watches map[*watch]struct{}
}

type watch struct {
	viewer   *Viewer
	campaign causeway.ID
	role     campaignmember.Role // in the campaign, if it is to stay the same
	tell     func(error)
}

// ErrRoleChanged is told by Notify of who still is a member, but in another part.
var ErrRoleChanged = errors.New("the viewer's part in the campaign is another one")

func newAccess(db *store.Store, b bus.Bus, clock causeway.Clock, log *slog.Logger) *Access {
	return &Access{store: db, bus: b, clock: clock, log: log, watches: map[*watch]struct{}{}}
}

// Watch tells once, within five seconds, when what the context's viewer has ends:
// Unauthenticated when their token expired or was revoked, when they were shut out,
// or when an administrator no longer is one (the viewer is out of date then: they come
// back with a new one); NOT_FOUND at campaignId when they are no longer a member of
// the campaign. Without a campaign only the former is watched. While the database
// does not answer nothing is told.
//
// The channel is never closed. Call stop when the watched thing is over; it may come
// twice, and the end of ctx does the same.
func (a *Access) Watch(ctx context.Context, campaignID causeway.ID) (ended <-chan error, stop func()) {
	told := make(chan error, 1)
	stop = a.Notify(ctx, campaignID, "", func(err error) { told <- err })
	return told, stop
}

// Notify is Watch without a goroutine that waits: it calls ended once. With a role it
// also ends when the viewer has another one in the campaign, with ErrRoleChanged. For
// administrators the role does not count. ended must not wait long: it is called by
// the goroutine that looks after everybody, or at once where there is no viewer.
func (a *Access) Notify(
	ctx context.Context, campaignID causeway.ID, role campaignmember.Role, ended func(error),
) (stop func()) {
	viewer, err := From(ctx)
	if err != nil {
		ended(err)
		return func() {}
	}
	w := &watch{viewer: viewer, campaign: campaignID, role: role, tell: ended}
	a.mu.Lock()
	a.watches[w] = struct{}{}
	a.mu.Unlock()
	forget := context.AfterFunc(ctx, func() { a.remove(w) })
	return func() {
		forget()
		a.remove(w)
	}
}

// remove tells whether w was still watched.
func (a *Access) remove(w *watch) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, there := a.watches[w]
	delete(a.watches, w)
	return there
}

func (a *Access) run(ctx context.Context) {
	bell := a.bus.Subscribe(AccessTopic)
	defer bell.Close()
	for {
		if err := a.check(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "rights not checked", "error", err)
		}
		timer := a.clock.NewTimer(accessEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-bell.C():
			bell.Take()
		case <-timer.C():
		}
		timer.Stop()
	}
}

// check looks at everything that is watched and tells what ended.
func (a *Access) check(ctx context.Context) error {
	watches := a.watched()
	if len(watches) == 0 {
		return nil
	}
	now, err := a.read(ctx, watches)
	if err != nil {
		return err
	}
	for _, w := range watches {
		if err := now.ended(w); err != nil && a.remove(w) {
			w.tell(err)
		}
	}
	return nil
}

func (a *Access) watched() []*watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	watches := make([]*watch, 0, len(a.watches))
	for w := range a.watches {
		watches = append(watches, w)
	}
	return watches
}

// rights are those that everybody watched has at one moment.
type rights struct {
	tokens  map[causeway.ID]struct{}  // valid
	people  map[causeway.ID]user.Role // not shut out
	members map[membership]campaignmember.Role
}

type membership struct{ person, campaign causeway.ID }

// ended is nil while w's viewer has what w watches.
func (r *rights) ended(w *watch) error {
	person, there := r.people[w.viewer.UserID]
	if !there || (w.viewer.Admin && person != user.RoleAdmin) {
		return causeway.Fail(causeway.Unauthenticated)
	}
	if _, valid := r.tokens[w.viewer.TokenID]; !valid && w.viewer.TokenID != "" {
		return causeway.Fail(causeway.Unauthenticated)
	}
	if w.campaign == "" || w.viewer.Admin {
		return nil
	}
	role, member := r.members[membership{w.viewer.UserID, w.campaign}]
	if !member {
		return causeway.Missing("campaignId")
	}
	if w.role != "" && w.role != role {
		return ErrRoleChanged
	}
	return nil
}

func (a *Access) read(ctx context.Context, watches []*watch) (*rights, error) {
	tokens := distinct(watches, func(w *watch) causeway.ID { return w.viewer.TokenID })
	people := distinct(watches, func(w *watch) causeway.ID { return w.viewer.UserID })
	members := distinct(watches, func(w *watch) causeway.ID {
		if w.campaign == "" || w.viewer.Admin {
			return ""
		}
		return w.viewer.UserID
	})
	now := &rights{
		tokens:  map[causeway.ID]struct{}{},
		people:  map[causeway.ID]user.Role{},
		members: map[membership]campaignmember.Role{},
	}
	for chunk := range slices.Chunk(tokens, idsPerQuery) {
		if err := a.readTokens(ctx, chunk, now); err != nil {
			return nil, fmt.Errorf("read tokens: %w", err)
		}
	}
	for chunk := range slices.Chunk(people, idsPerQuery) {
		if err := a.readPeople(ctx, chunk, now); err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
	}
	for chunk := range slices.Chunk(members, idsPerQuery) {
		if err := a.readMembers(ctx, chunk, now); err != nil {
			return nil, fmt.Errorf("read members: %w", err)
		}
	}
	return now, nil
}

func (a *Access) readTokens(ctx context.Context, ids []causeway.ID, into *rights) error {
	tokens, err := a.store.Reader().AccessToken.Query().
		Where(
			accesstoken.IDIn(ids...),
			accesstoken.Or(accesstoken.ExpiresAtIsNil(), accesstoken.ExpiresAtGT(a.clock.Now())),
		).
		Select(accesstoken.FieldID).
		All(ctx)
	for _, token := range tokens {
		into.tokens[token.ID] = struct{}{}
	}
	return err
}

func (a *Access) readPeople(ctx context.Context, ids []causeway.ID, into *rights) error {
	people, err := a.store.Reader().User.Query().
		Where(user.IDIn(ids...), user.DeactivatedAtIsNil()).
		Select(user.FieldID, user.FieldRole).
		All(ctx)
	for _, person := range people {
		into.people[person.ID] = person.Role
	}
	return err
}

func (a *Access) readMembers(ctx context.Context, people []causeway.ID, into *rights) error {
	members, err := a.store.Reader().CampaignMember.Query().
		Where(campaignmember.UserIDIn(people...)).
		Select(campaignmember.FieldUserID, campaignmember.FieldCampaignID, campaignmember.FieldRole).
		All(ctx)
	for _, member := range members {
		into.members[membership{member.UserID, member.CampaignID}] = member.Role
	}
	return err
}

// distinct is what of finds in watches, each once, without the empty id.
func distinct(watches []*watch, of func(*watch) causeway.ID) []causeway.ID {
	seen := map[causeway.ID]struct{}{"": {}}
	var ids []causeway.ID
	for _, w := range watches {
		id := of(w)
		if _, there := seen[id]; there {
			continue
		}
		seen[id] = struct{}{}
		ids = append(ids, id)
	}
	return ids
}
