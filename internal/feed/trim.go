package feed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/feedevent"
	"causeway/ent/feedtrim"
	"causeway/internal/store"
)

// trimRows is how many events are removed in one transaction: few enough that nobody
// who writes notices.
const trimRows = 500

// campaignsPage is how many campaigns retention looks up at once.
const campaignsPage = 500

func (f *Feed) trimNowAndThen() {
	for {
		removed, err := f.Trim(f.ctx)
		if err != nil && f.ctx.Err() == nil {
			f.log.WarnContext(f.ctx, "removing old events was put off", "error", err)
		}
		if removed > 0 {
			f.log.InfoContext(f.ctx, "old events were removed", "events", removed)
		}
		again := f.clock.NewTimer(f.trimEvery)
		select {
		case <-f.ctx.Done():
			again.Stop()
			return
		case <-again.C():
		}
	}
}

// Trim removes what is older than Keep now and tells how many events that were. Of
// each campaign it removes the lowest numbers, up to the first that is young enough,
// so that what stays has no gaps; and it records what sorts of events went, so that
// followers can tell whether they missed anything. Several servers may trim at once.
// Without Keep it does nothing. A Feed with Keep calls it by itself.
func (f *Feed) Trim(ctx context.Context) (removed int, err error) {
	if f.keep <= 0 {
		return 0, nil
	}
	before := f.clock.Now().Add(-f.keep)
	var last causeway.ID
	for {
		ids, err := f.store.Reader().Campaign.Query().
			Where(campaign.IDGT(last), campaign.EventSeqGT(0)).
			Order(campaign.ByID()).
			Limit(campaignsPage).
			IDs(ctx)
		if err != nil {
			return removed, fmt.Errorf("list campaigns to trim: %w", err)
		}
		for _, id := range ids {
			n, err := f.trimCampaign(ctx, id, before)
			removed += n
			if err != nil {
				return removed, fmt.Errorf("trim the events of %s: %w", id, err)
			}
		}
		if len(ids) < campaignsPage {
			return removed, nil
		}
		last = ids[len(ids)-1]
	}
}

func (f *Feed) trimCampaign(ctx context.Context, id causeway.ID, before time.Time) (removed int, err error) {
	for {
		oldest, err := f.store.Reader().FeedEvent.Query().
			Where(feedevent.CampaignID(id)).
			Order(feedevent.BySeq()).
			Select(feedevent.FieldAt).
			First(ctx)
		if ent.IsNotFound(err) {
			return removed, nil
		}
		if err != nil {
			return removed, err
		}
		if !oldest.At.Before(before) {
			return removed, nil
		}
		var n int
		err = f.store.InTx(ctx, func(tx *store.Tx) error {
			n, err = trimSome(tx, id, before)
			return err
		})
		if err != nil || n == 0 {
			return removed, err
		}
		removed += n
	}
}

// trimSome records and removes the campaign's oldest events, at most trimRows.
func trimSome(tx *store.Tx, id causeway.ID, before time.Time) (int, error) {
	rows, err := tx.FeedEvent.Query().
		Where(feedevent.CampaignID(id)).
		Order(feedevent.BySeq()).
		Limit(trimRows).
		All(tx.Context())
	if err != nil {
		return 0, err
	}
	if young := slices.IndexFunc(rows, func(e *ent.FeedEvent) bool { return !e.At.Before(before) }); young >= 0 {
		rows = rows[:young]
	}
	if len(rows) == 0 {
		return 0, nil
	}
	if err := record(tx, id, sorts(rows)); err != nil {
		return 0, err
	}
	return tx.FeedEvent.Delete().
		Where(feedevent.CampaignID(id), feedevent.SeqLTE(rows[len(rows)-1].Seq)).
		Exec(tx.Context())
}

// sort is what followers can choose events by.
type sort struct {
	conversation causeway.ID
	kind         feedevent.Kind
	changes      Changes
}

// sorts tells the highest number of each sort, for the conversation and for the
// whole campaign.
func sorts(rows []*ent.FeedEvent) map[sort]int64 {
	highest := map[sort]int64{}
	for _, row := range rows {
		e := eventOf(row)
		highest[sort{e.Conversation, e.Kind, changesOf(e)}] = e.Seq
		highest[sort{"", e.Kind, changesOf(e)}] = e.Seq
	}
	return highest
}

// record raises what is known to be removed of each sort. The order of the rows is
// fixed, so that servers that trim together wait for each other and do not clash.
func record(tx *store.Tx, id causeway.ID, removed map[sort]int64) error {
	keys := slices.SortedFunc(maps.Keys(removed), func(a, b sort) int {
		return cmp.Or(cmp.Compare(a.conversation, b.conversation), cmp.Compare(a.kind, b.kind), cmp.Compare(a.changes, b.changes))
	})
	statement := tx.SQL().Insert(feedtrim.Table).
		Columns(feedtrim.FieldID, feedtrim.FieldCampaignID, feedtrim.FieldConversationID,
			feedtrim.FieldKind, feedtrim.FieldChange, feedtrim.FieldSeq)
	for _, key := range keys {
		statement.Values(causeway.NewID(causeway.PrefixFeedTrim), id, key.conversation,
			string(key.kind), string(key.changes), removed[key])
	}
	statement.OnConflict(
		entsql.ConflictColumns(feedtrim.FieldCampaignID, feedtrim.FieldConversationID, feedtrim.FieldKind, feedtrim.FieldChange),
		entsql.ResolveWith(func(u *entsql.UpdateSet) {
			u.Set(feedtrim.FieldSeq, entsql.Expr(
				"CASE WHEN excluded.seq > feed_trims.seq THEN excluded.seq ELSE feed_trims.seq END"))
		}),
	)
	_, err := tx.Run(statement)
	return err
}
