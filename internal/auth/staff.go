package auth

import (
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/store"
)

// Staff are people whose rows a transaction holds: until it ends they are neither shut
// out nor do they come or go, and nobody else who gives out work does so to them.
type Staff struct {
	people  map[causeway.ID]*ent.User
	members map[membership]bool
}

// LockStaff locks the rows of people, in id order, and reads which of the campaigns they
// are members of. Whoever ends a membership holds the person's row as well. Lock
// conversations and queues before. Ids of nobody are passed over.
func LockStaff(tx *store.Tx, people, campaigns []causeway.ID) (*Staff, error) {
	s := &Staff{people: map[causeway.ID]*ent.User{}, members: map[membership]bool{}}
	if len(people) == 0 {
		return s, nil
	}
	query := tx.User.Query().Where(user.IDIn(people...)).Order(ent.Asc(user.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(sql.WithLockClause("FOR NO KEY UPDATE"))
	}
	rows, err := query.All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("lock people: %w", err)
	}
	for _, row := range rows {
		s.people[row.ID] = row
	}
	memberships, err := tx.CampaignMember.Query().
		Where(campaignmember.UserIDIn(people...), campaignmember.CampaignIDIn(campaigns...)).
		All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	for _, m := range memberships {
		s.members[membership{m.UserID, m.CampaignID}] = true
	}
	return s, nil
}

// Has tells whether there is such a person.
func (s *Staff) Has(person causeway.ID) bool { return s.people[person] != nil }

// MayWork tells whether somebody may be given work in a campaign: a member of it or an
// administrator, who is not shut out.
func (s *Staff) MayWork(campaign, person causeway.ID) bool {
	row := s.people[person]
	return row != nil && row.DeactivatedAt == nil &&
		(row.Role == user.RoleAdmin || s.members[membership{person, campaign}])
}

// AtWork tells whether somebody may be given work in a campaign and is ONLINE.
func (s *Staff) AtWork(campaign, person causeway.ID) bool {
	return s.MayWork(campaign, person) && s.people[person].Presence == user.PresenceOnline
}
