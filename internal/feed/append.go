package feed

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent/campaign"
	"causeway/ent/feedevent"
	"causeway/internal/store"
)

// insertRows bounds the rows of one INSERT: ten columns each stay under the 32766
// parameters that SQLite takes.
const insertRows = 1000

// Append adds events to their campaigns' sequences, each in the order of the calls.
// Nothing is written before the end of the transaction, when every campaign's number
// is raised once, in id order, and held until the commit: that is what makes the
// numbers gapless and follow the commits. Whoever writes after that, in a later
// BeforeCommit, holds up the campaign.
//
// Seq and At are given here, whatever the events say. An event of a campaign that
// does not exist fails the transaction.
func (f *Feed) Append(tx *store.Tx, events ...Event) {
	if len(events) == 0 {
		return
	}
	p := store.Value(tx, pendingKey{f}, func() *pending { return &pending{} })
	if len(p.events) == 0 {
		tx.BeforeCommit(func() error { return f.write(tx, p) })
	}
	p.events = append(p.events, events...)
}

type pendingKey struct{ feed *Feed }

// pending is what a transaction has to append.
type pending struct{ events []Event }

// write numbers and inserts what was gathered, and rings after the commit.
func (f *Feed) write(tx *store.Tx, p *pending) error {
	byCampaign := map[causeway.ID][]Event{}
	for _, e := range p.events {
		byCampaign[e.Campaign] = append(byCampaign[e.Campaign], e)
	}
	p.events = nil
	var rows []Event
	for _, id := range slices.Sorted(maps.Keys(byCampaign)) {
		events := byCampaign[id]
		head, err := raise(tx, id, len(events))
		if err != nil {
			return fmt.Errorf("append %d events to %s: %w", len(events), id, err)
		}
		// Under the campaign's lock, so that age follows the number.
		now := f.clock.Now()
		for i := range events {
			events[i].Seq = head - int64(len(events)-1-i)
			events[i].At = now
		}
		rows = append(rows, events...)
		tx.AfterCommit(func() { f.bus.Publish(topic(id), head) })
	}
	for part := range slices.Chunk(rows, insertRows) {
		if err := insert(tx, part); err != nil {
			return fmt.Errorf("append %d events: %w", len(rows), err)
		}
	}
	return nil
}

// raise takes n numbers for a campaign and tells the last of them.
func raise(tx *store.Tx, campaignID causeway.ID, n int) (head int64, err error) {
	statement := tx.SQL().Update(campaign.Table).
		Add(campaign.FieldEventSeq, n).
		Where(entsql.EQ(campaign.FieldID, campaignID)).
		Returning(campaign.FieldEventSeq)
	err = tx.Rows(statement, func(rows *sql.Rows) error { return rows.Scan(&head) })
	if err == nil && head == 0 {
		err = causeway.Missing()
	}
	return head, err
}

func insert(tx *store.Tx, events []Event) error {
	statement := tx.SQL().Insert(feedevent.Table).Columns(
		feedevent.FieldID, feedevent.FieldCampaignID, feedevent.FieldSeq, feedevent.FieldAt, feedevent.FieldKind,
		feedevent.FieldChange, feedevent.FieldStatus,
		feedevent.FieldConversationID, feedevent.FieldMessageID, feedevent.FieldConnectionID)
	for _, e := range events {
		statement.Values(
			causeway.NewID(causeway.PrefixFeedEvent), e.Campaign, e.Seq, e.At, string(e.Kind),
			orNull(e.Change), orNull(e.Status),
			orNull(e.Conversation), orNull(e.Message), orNull(e.Connection))
	}
	_, err := tx.Run(statement)
	return err
}

func orNull[T ~string](v T) any {
	if v == "" {
		return nil
	}
	return string(v)
}
