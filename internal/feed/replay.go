package feed

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/feedevent"
	"causeway/ent/feedtrim"
	"causeway/ent/predicate"
)

// replaySpan is how many numbers one page of a replay may look through, so that a
// filter which wants next to nothing makes many short statements, not one long one.
const replaySpan = 10 * pageRows

// replay reads what the filter wants after position at from the table, at most a
// page, not beyond position until, which the sequence has reached. It tells the
// position up to which that is complete. If something that the filter wants was
// removed after at, it is FEED_TRIMMED.
func (f *Feed) replay(ctx context.Context, campaignID causeway.ID, want Filter, at, until int64) ([]Event, int64, error) {
	end := min(at+replaySpan, until)
	events, err := f.page(ctx, campaignID, want, feedevent.SeqGT(at), feedevent.SeqLTE(end))
	if err != nil {
		return nil, at, err
	}
	// Asked after the page was read: what was removed before it shows up now.
	trims, err := f.trims(ctx, campaignID, want)
	if err != nil {
		return nil, at, err
	}
	if trims.wanted > at {
		return nil, at, causeway.Fail(causeway.FeedTrimmed)
	}
	switch {
	case len(events) == pageRows:
		end = events[pageRows-1].Seq
	case len(events) == 0:
		end = max(end, min(trims.any, until)) // nothing wanted was there
	}
	return events, end, nil
}

// page reads events in order, at most pageRows.
func (f *Feed) page(ctx context.Context, campaignID causeway.ID, want Filter, within ...predicate.FeedEvent) ([]Event, error) {
	rows, err := f.store.Reader().FeedEvent.Query().
		Where(feedevent.CampaignID(campaignID)).
		Where(within...).
		Where(want.where()...).
		Order(feedevent.BySeq()).
		Limit(pageRows).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", campaignID, err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		events[i] = eventOf(row)
	}
	return events, nil
}

func eventOf(row *ent.FeedEvent) Event {
	return Event{
		Campaign:     row.CampaignID,
		Seq:          row.Seq,
		At:           causeway.Stamp(row.At),
		Kind:         row.Kind,
		Change:       row.Change,
		Status:       row.Status,
		Conversation: orNone(row.ConversationID),
		Message:      orNone(row.MessageID),
		Connection:   orNone(row.ConnectionID),
	}
}

func orNone(id *causeway.ID) causeway.ID {
	if id == nil {
		return ""
	}
	return *id
}

// trimmed is how far retention has come in a campaign.
type trimmed struct {
	any    int64 // everything up to here is removed
	wanted int64 // the highest removed that the filter wants
}

func (f *Feed) trims(ctx context.Context, campaignID causeway.ID, want Filter) (trimmed, error) {
	rows, err := f.store.Reader().FeedTrim.Query().
		Where(feedtrim.CampaignID(campaignID), feedtrim.ConversationIDIn("", want.Conversation)).
		All(ctx)
	if err != nil {
		return trimmed{}, fmt.Errorf("read what was removed from %s: %w", campaignID, err)
	}
	var t trimmed
	for _, row := range rows {
		if row.ConversationID == "" {
			t.any = max(t.any, row.Seq)
		}
		if row.ConversationID == want.Conversation && want.wants(feedevent.Kind(row.Kind), Changes(row.Change)) {
			t.wanted = max(t.wanted, row.Seq)
		}
	}
	return t, nil
}
