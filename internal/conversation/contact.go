package conversation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/contact"
	"causeway/ent/predicate"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// contactRow is a contact as it will be after the batch. Members of several groups
// come in several batches at once: only what changed of stored is written.
type contactRow struct {
	*ent.Contact
	stored *ent.Contact // nil for a new one
	ask    bool         // the platform is to be asked who it is
}

// loadContacts reads the contacts and tells which of them the batch renames; those
// are locked, so that their words are changed once.
func (b *batch) loadContacts(w *wanted) (renamed []causeway.ID, err error) {
	var ors []predicate.Contact
	for _, a := range accounts(w.contacts) {
		ors = append(ors, contact.And(
			contact.ConnectionID(a.connection),
			contact.AccountID(a.id),
			contact.ExternalIDIn(slices.Sorted(maps.Keys(w.contacts[a]))...),
		))
	}
	if len(ors) == 0 {
		return nil, nil
	}
	rows, err := b.tx.Contact.Query().Where(contact.Or(ors...)).All(b.tx.Context())
	if err != nil {
		return nil, err
	}
	b.keep(rows)
	for _, c := range rows {
		names := w.people[accountOf(c).key(c.ExternalID)]
		if len(names) > 1 || len(names) == 1 && names[0] != c.Name && names[0] != c.ExternalID {
			renamed = append(renamed, c.ID)
		}
	}
	if len(renamed) == 0 || b.tx.Dialect() != dialect.Postgres {
		return renamed, nil
	}
	rows, err = b.tx.Contact.Query().Where(contact.IDIn(renamed...)).Order(ent.Asc(contact.FieldID)).
		ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE")).All(b.tx.Context())
	b.keep(rows)
	return renamed, err
}

func (b *batch) keep(rows []*ent.Contact) {
	for _, c := range rows {
		stored := *c
		b.contacts[accountOf(c).key(c.ExternalID)] = &contactRow{Contact: c, stored: &stored}
	}
}

func accountOf(c *ent.Contact) account { return account{c.ConnectionID, c.AccountID} }

// contact is the row of a person, new or brought up to what the update says.
func (b *batch) contact(u update, p platform.Person) *contactRow {
	k := u.account().key(p.ID)
	if c := b.contacts[k]; c != nil {
		b.refresh(c, p)
		return c
	}
	c := &contactRow{Contact: &ent.Contact{
		ID:           causeway.NewID(causeway.PrefixContact),
		CampaignID:   u.log.CampaignID,
		ConnectionID: u.log.ConnectionID,
		AccountID:    u.log.AccountID,
		Platform:     u.platform,
		ExternalID:   k.external,
		Name:         store.Clean(p.Name),
		Username:     optional(p.Username),
		Language:     optional(p.Language),
		CreatedAt:    b.now,
	}}
	b.askFor(c)
	b.contacts[k] = c
	return c
}

// refresh brings a contact up to date. What an update leaves out stays: a group's
// updates do not tell a member's language, say.
func (b *batch) refresh(c *contactRow, p platform.Person) {
	if name := store.Clean(p.Name); name != "" && name != c.Name && name != c.ExternalID { // which stands for none
		b.rename(c, name)
	}
	if username := optional(p.Username); username != nil {
		c.Username = username
	}
	if language := optional(p.Language); language != nil {
		c.Language = language
	}
}

// rename gives a contact another name, under which its conversations are then found.
func (b *batch) rename(c *contactRow, name string) {
	for _, k := range sortedKeys(b.conversations) {
		if conv := b.conversations[k]; conv.ContactID == c.ID {
			b.words.replace(conv.CampaignID, conv.ID, c.Name, name)
			b.hear(conv)
		}
	}
	c.Name = name
}

// asOf tells whether what is said of a moment, by the platform's clock, is the latest
// that is known of whether the contact can be written to, and keeps the moment if so.
// Without one it is the latest.
func (c *contactRow) asOf(at time.Time) bool {
	if at.IsZero() {
		return true
	}
	at = causeway.Stamp(at)
	if c.BlockedAt != nil && at.Before(*c.BlockedAt) {
		return false
	}
	c.BlockedAt = &at
	return true
}

// writeContacts updates the contacts that were there and inserts the new ones, each
// in the order of their keys, so that two batches that meet the same people do not
// wait for each other in a circle.
func (b *batch) writeContacts() error {
	var fresh []*contactRow
	for _, k := range sortedKeys(b.contacts) {
		c := b.contacts[k]
		if c.stored == nil {
			fresh = append(fresh, c)
			continue
		}
		if err := b.updateContact(c); err != nil {
			return err
		}
	}
	return inChunks(fresh, b.insertContacts)
}

func (b *batch) updateContact(c *contactRow) error {
	u := b.tx.Contact.Update().Where(contact.ID(c.ID))
	if c.ExternalID != c.stored.ExternalID {
		u.SetExternalID(c.ExternalID)
	}
	if c.Name != c.stored.Name {
		u.SetName(c.Name)
	}
	if deref(c.Username) != deref(c.stored.Username) {
		u.SetNillableUsername(c.Username)
	}
	if deref(c.Language) != deref(c.stored.Language) {
		u.SetNillableLanguage(c.Language)
	}
	if c.Blocked != c.stored.Blocked {
		u.SetBlocked(c.Blocked)
	}
	if c.BlockedAt != nil && (c.stored.BlockedAt == nil || !c.BlockedAt.Equal(*c.stored.BlockedAt)) {
		u.SetBlockedAt(*c.BlockedAt)
	}
	if c.ask {
		askAgain(u, b.now)
	}
	if len(u.Mutation().Fields()) == 0 {
		return nil
	}
	return u.Exec(b.tx.Context())
}

// insertContacts inserts new contacts, and takes over the rows of those whom another
// batch met first: one writes in two groups, say.
func (b *batch) insertContacts(fresh []*contactRow) error {
	insert := b.tx.SQL().Insert(contact.Table).Columns(
		contact.FieldID, contact.FieldCampaignID, contact.FieldConnectionID, contact.FieldAccountID,
		contact.FieldPlatform, contact.FieldExternalID, contact.FieldName, contact.FieldUsername,
		contact.FieldLanguage, contact.FieldBlocked, contact.FieldBlockedAt, contact.FieldCreatedAt,
		contact.FieldProfile, contact.FieldQueueKey, contact.FieldNextTryAt)
	for _, c := range fresh {
		insert.Values(c.ID, c.CampaignID, c.ConnectionID, c.AccountID,
			string(c.Platform), c.ExternalID, c.Name, c.Username,
			c.Language, c.Blocked, c.BlockedAt, c.CreatedAt,
			string(contact.ProfilePending), string(c.ID), b.now)
	}
	insert.OnConflict(
		entsql.ConflictColumns(contact.FieldConnectionID, contact.FieldAccountID, contact.FieldExternalID),
		entsql.DoNothing(),
	)
	n, err := b.tx.Run(insert)
	if err != nil || n == len(fresh) {
		return err
	}
	if err := b.adoptContacts(fresh); err != nil {
		return fmt.Errorf("take over those met before: %w", err)
	}
	return nil
}

// adoptContacts gives contacts the ids under which they are stored. Messages and
// reactions of the batch point to the rows and need not be told.
func (b *batch) adoptContacts(fresh []*contactRow) error {
	w := &wanted{contacts: map[account]map[string]bool{}}
	for _, c := range fresh {
		w.add(w.contacts, accountOf(c.Contact), c.ExternalID)
	}
	for _, a := range accounts(w.contacts) {
		rows, err := b.tx.Contact.Query().
			Where(contact.ConnectionID(a.connection), contact.AccountID(a.id),
				contact.ExternalIDIn(slices.Sorted(maps.Keys(w.contacts[a]))...)).
			All(b.tx.Context())
		if err != nil {
			return err
		}
		for _, row := range rows {
			b.adoptContact(b.contacts[a.key(row.ExternalID)], row)
		}
	}
	return nil
}

func (b *batch) adoptContact(c *contactRow, row *ent.Contact) {
	if c.ID == row.ID {
		return
	}
	if c.Name != row.Name {
		b.rename(c, row.Name)
	}
	for _, conv := range b.conversations {
		if conv.ContactID == c.ID {
			conv.ContactID = row.ID
		}
	}
	stored := *row
	*c.Contact, c.stored = *row, &stored
}
