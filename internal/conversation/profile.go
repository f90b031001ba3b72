package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/contact"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/internal/feed"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/queue"
	"causeway/internal/store"
)

const (
	// describeWorkers is how many contacts are asked for at the same time.
	describeWorkers = 4
	// describeDeadline bounds one question.
	describeDeadline = 15 * time.Second
	// knownFor is how long a profile counts as known.
	knownFor = 7 * 24 * time.Hour
	// maxPicture is how many bytes a contact's picture may have.
	maxPicture = 5 << 20
)

// describer asks platforms who their contacts are: those who are new, and those who
// write again when a week has passed. What it cannot find out stays as it is, and
// nothing waits for it.
type describer struct {
	*Service
	queue *queue.Queue
	crowd crowd
}

func newDescriber(s *Service) *describer {
	d := &describer{Service: s, crowd: crowd{most: describeWorkers - 1}}
	d.queue = queue.New(queue.Config{
		Store: s.store, Clock: s.clock, Log: s.log,
		Table:     queue.Table{Name: contact.Table, Waiting: "profile = 'PENDING'", Order: contact.FieldQueueOrder},
		Batch:     1,
		Workers:   describeWorkers,
		LeaseFor:  describeDeadline + timeFor(maxPicture) + recordWithin,
		PollEvery: fetchPoll,
		Grace:     fetchGrace,
		Handle:    d.handle,
	})
	return d
}

// askFor lets the platform be asked who a contact is, if that is not known or was
// learned long ago.
func (b *batch) askFor(c *contactRow) {
	waits := c.stored != nil && c.Profile == contact.ProfilePending
	known := c.DescribedAt != nil && b.now.Sub(*c.DescribedAt) < knownFor
	if !waits && !known {
		c.ask, b.strangers = true, true
	}
}

// askAgain puts a contact into the queue of those who are asked for.
func askAgain(u *ent.ContactUpdate, now time.Time) {
	u.SetProfile(contact.ProfilePending).SetNextTryAt(now).SetAttempts(0).ClearLeasedUntil()
}

func (d *describer) handle(ctx context.Context, items []queue.Item) {
	for _, item := range items {
		if err := d.describe(ctx, item); err != nil && !errors.Is(err, queue.ErrLeaseLost) && ctx.Err() == nil {
			d.log.Warn("a contact was left for later", "contact", item.ID, "error", err)
		}
	}
}

func (d *describer) describe(ctx context.Context, item queue.Item) error {
	c, err := d.store.Reader().Contact.Query().Where(contact.ID(item.ID)).WithConnection().Only(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", item.ID, err)
	}
	if !d.crowd.enter(c.ConnectionID) {
		return d.write(ctx, item, c, learned{next: d.clock.Now().Add(crowded), untried: true})
	}
	defer d.crowd.leave(c.ConnectionID)
	l := d.ask(ctx, c)
	if ctx.Err() != nil { // the server stops
		return nil
	}
	if after := fetchWaits(); l.again && item.Attempts <= len(after) {
		l.next = d.clock.Now().Add(max(jittered(after[item.Attempts-1]), l.wait))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	return d.write(ctx, item, c, l)
}

// learned is what one try found out about a contact.
type learned struct {
	profile *platform.ContactProfile // nil: nothing
	picture *media.Blob              // nil: none, or the one that is known
	again   bool                     // something is left to find out, and may be
	wait    time.Duration            // what the platform asked for at least
	next    time.Time                // when it is tried again; zero: not for now
	untried bool
}

// ask asks the platform.
func (d *describer) ask(ctx context.Context, c *ent.Contact) learned {
	conn := c.Edges.Connection
	if conn.DisconnectedAt != nil || conn.AccountID != c.AccountID {
		return learned{}
	}
	profile, err := d.profileOf(ctx, c)
	if err != nil {
		return d.left(c, learned{}, err)
	}
	l := learned{profile: profile}
	if profile == nil || d.media == nil || profile.AvatarRef == "" || profile.AvatarRef == deref(c.AvatarRef) && c.AvatarHash != nil {
		return l
	}
	blob, err := d.download(ctx, c.ConnectionID, profile.AvatarRef, min(maxPicture, d.maxMedia))
	switch {
	case err != nil:
		return d.left(c, l, err)
	case IsPicture(blob.MimeType):
		l.picture = &blob
	}
	return l
}

// profileOf is the contact as the platform describes it; nil where it describes nobody.
func (d *describer) profileOf(ctx context.Context, c *ent.Contact) (*platform.ContactProfile, error) {
	ctx, cancel := context.WithTimeout(ctx, describeDeadline)
	defer cancel()
	account, err := d.accounts.Open(ctx, c.ConnectionID)
	if err != nil {
		return nil, err
	}
	from, ok := account.(platform.Describer)
	if !ok {
		return nil, nil
	}
	profile, err := from.Describe(ctx, c.ExternalID)
	return &profile, err
}

// left is what was found out before something went wrong, which may pass or not.
func (d *describer) left(c *ent.Contact, l learned, err error) learned {
	d.log.Debug("not everything was learned of a contact", "contact", c.ID, "error", err)
	r := platform.Refused(err)
	switch {
	case isTooLarge(err), causeway.CodeOf(err) == causeway.NotConnected:
	case r == nil:
		l.again = true
	case r.Kind == platform.RetryAfter:
		l.again, l.wait = true, r.Wait
	case r.Kind == platform.Unavailable, r.Kind == platform.Unreachable:
		l.again = true
	}
	return l
}

// IsPicture tells whether a sniffed type is one of the pictures that browsers show and
// that cannot do anything but be shown.
func IsPicture(mimeType string) bool {
	return strings.HasPrefix(mimeType, "image/") && !strings.HasPrefix(mimeType, "image/svg")
}

// write makes what was learned true, if the contact is still in this worker's hands, and
// tells agents what they see of it.
func (d *describer) write(ctx context.Context, item queue.Item, c *ent.Contact, l learned) error {
	err := d.store.InTx(ctx, func(tx *store.Tx) error {
		convs, err := d.conversationsOf(tx, c, l)
		if err != nil {
			return err
		}
		if err := d.queue.Fence(tx, item); err != nil {
			return err
		}
		u := tx.Contact.Update().Where(contact.ID(c.ID)).ClearLeasedUntil()
		switch {
		case l.untried:
			u.SetAttempts(item.Attempts - 1).SetNextTryAt(causeway.Stamp(l.next))
		case !l.next.IsZero():
			u.SetNextTryAt(causeway.Stamp(l.next))
		default:
			u.SetProfile(contact.ProfileUnknown)
			if l.profile != nil {
				u.SetProfile(contact.ProfileKnown)
			}
			if !l.again { // else the next message asks anew
				u.SetDescribedAt(d.clock.Now())
			}
		}
		now, err := tx.Contact.Get(ctx, c.ID)
		if err != nil {
			return err
		}
		if !l.change(u, now) {
			return u.Exec(ctx)
		}
		if err := u.Exec(ctx); err != nil {
			return err
		}
		return d.tell(tx, now, convs, l)
	})
	if err != nil {
		return fmt.Errorf("write down what was learned of %s: %w", c.ID, err)
	}
	return nil
}

// conversationsOf locks a contact's conversations, where something may change that is
// seen in them.
func (d *describer) conversationsOf(tx *store.Tx, c *ent.Contact, l learned) ([]*ent.Conversation, error) {
	if l.profile == nil {
		return nil, nil
	}
	query := tx.Conversation.Query().Where(conversation.ContactID(c.ID)).Order(ent.Asc(conversation.FieldID))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	return query.All(tx.Context())
}

// change puts what was learned into a contact's update, and tells whether anybody sees
// a difference. What the platform leaves out stays; a name that its updates tell is the
// newer one.
func (l learned) change(u *ent.ContactUpdate, c *ent.Contact) (seen bool) {
	if l.profile == nil {
		return false
	}
	if name := l.name(c); name != "" {
		u.SetName(name)
		seen = true
	}
	if username := optional(l.profile.Username); username != nil && *username != deref(c.Username) {
		u.SetUsername(*username)
		seen = true
	}
	if language := optional(l.profile.Language); language != nil && *language != deref(c.Language) {
		u.SetLanguage(*language)
		seen = true
	}
	if l.picture != nil {
		u.SetAvatarRef(l.profile.AvatarRef).SetAvatarHash(l.picture.Hash).SetAvatarType(l.picture.MimeType)
		seen = seen || l.picture.Hash != deref(c.AvatarHash)
	}
	return seen
}

// name is the contact's name where updates tell none; empty if it stays.
func (l learned) name(c *ent.Contact) string {
	name := store.Clean(l.profile.Name)
	if c.Name != c.ExternalID || name == c.Name {
		return ""
	}
	return name
}

// tell tells of a contact in its conversations, which are found by its name.
func (d *describer) tell(tx *store.Tx, c *ent.Contact, convs []*ent.Conversation, l learned) error {
	words := wordChanges{}
	for _, conv := range convs {
		if name := l.name(c); name != "" {
			words.replace(conv.CampaignID, conv.ID, c.Name, name)
		}
		d.feed.Append(tx, feed.Event{Campaign: conv.CampaignID, Kind: feedevent.KindConversation, Conversation: conv.ID})
	}
	return words.write(tx)
}
