package conversation

import (
	"context"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/reaction"
	"causeway/internal/platform"
)

// What one person put on a message is a row for each emoji. Who took everything back
// leaves a row without emoji: an older reaction that comes after that, as platforms
// deliver things, does not return. Nobody is shown it.

type reactionChange struct {
	message *messageRow
	contact *contactRow
	emoji   []string
	at      time.Time
}

// put leaves out what was taken back.
func put(_ context.Context, q *ent.ReactionQuery) error {
	q.Where(reaction.EmojiNEQ(""))
	return nil
}

// loadReactions reads what is on the messages that somebody reacts to.
func (b *batch) loadReactions(w *wanted) error {
	var ids []causeway.ID
	for k := range w.reacted {
		if m := b.messages[k]; m != nil {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := b.tx.Reaction.Query().Where(reaction.MessageIDIn(distinct(ids)...)).All(b.tx.Context())
	for _, r := range rows {
		b.reactedBy[r.MessageID] = append(b.reactedBy[r.MessageID], r)
	}
	return err
}

func (b *batch) reacted(u update, e platform.Reacted) {
	k := u.account().key(e.Chat.ID)
	if conv := b.conversations[k]; conv != nil && e.Author.ID == e.Chat.Contact.ID && len(e.Emoji) > 0 {
		b.wrote(conv, e.At)
	}
	m := b.known(u, e.MessageID)
	if m == nil {
		b.moot(u)
		return
	}
	c := b.contact(u, e.Author)
	emoji := slices.Clone(e.Emoji)
	slices.Sort(emoji)
	emoji = slices.Compact(emoji)
	at := *b.stamp(e.At)
	before, since := b.reactionsOf(m, c)
	if at.Before(since) || at.Equal(since) && slices.Equal(before, emoji) {
		b.again(u)
		return
	}
	b.reactions = append(b.reactions, reactionChange{message: m, contact: c, emoji: emoji, at: at})
	if m.DeletedAt == nil && !slices.Equal(before, emoji) {
		b.updated = append(b.updated, messageChange{message: m, change: changeReactions})
	}
}

// reactionsOf are what a person has on a message as things stand, and since when; zero
// if they never had anything.
func (b *batch) reactionsOf(m *messageRow, c *contactRow) (emoji []string, since time.Time) {
	for _, change := range slices.Backward(b.reactions) {
		if change.message == m && change.contact == c {
			return change.emoji, change.at
		}
	}
	for _, r := range b.reactedBy[m.ID] {
		if r.ContactID != c.ID {
			continue
		}
		since = later(since, r.At)
		if r.Emoji != "" {
			emoji = append(emoji, r.Emoji)
		}
	}
	slices.Sort(emoji)
	return emoji, since
}

// writeReactions replaces what each person had put on each message.
func (b *batch) writeReactions() error {
	for _, r := range b.reactions {
		_, err := b.tx.Reaction.Delete().
			Where(reaction.MessageID(r.message.ID), reaction.ContactID(r.contact.ID)).
			Exec(b.tx.Context())
		if err != nil {
			return err
		}
		emoji := r.emoji
		if len(emoji) == 0 {
			emoji = []string{""}
		}
		creates := make([]*ent.ReactionCreate, 0, len(emoji))
		for _, one := range emoji {
			creates = append(creates, b.tx.Reaction.Create().
				SetCampaignID(r.message.CampaignID).SetMessageID(r.message.ID).SetContactID(r.contact.ID).
				SetEmoji(one).SetAt(r.at))
		}
		if err := b.tx.Reaction.CreateBulk(creates...).Exec(b.tx.Context()); err != nil {
			return err
		}
	}
	return nil
}
