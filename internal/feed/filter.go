package feed

import (
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent/feedevent"
	"causeway/ent/predicate"
)

// Changes says which changes of messages a follower wants. Events of other kinds
// are not told apart by it.
type Changes string

// The values of Changes.
const (
	AnyChange   Changes = ""
	OnlyAdded   Changes = "ADDED"   // the message is new
	OnlyUpdated Changes = "UPDATED" // anything else that happens to a message
)

// Filter says which of a campaign's events a follower wants. The zero Filter wants
// all of them. It is data, not a function, so that retention can tell whether a
// follower missed something.
type Filter struct {
	Kind         feedevent.Kind // empty: every kind
	Changes      Changes
	Conversation causeway.ID // empty: of every conversation, and of none
}

// Match tells whether the filter wants the event.
func (w Filter) Match(e Event) bool {
	return w.wants(e.Kind, changesOf(e)) && (w.Conversation == "" || e.Conversation == w.Conversation)
}

func (w Filter) wants(kind feedevent.Kind, changes Changes) bool {
	if w.Kind != "" && w.Kind != kind {
		return false
	}
	return w.Changes == AnyChange || kind != feedevent.KindMessage || changes == w.Changes
}

// changesOf is the sort of change that an event is told apart by.
func changesOf(e Event) Changes {
	switch {
	case e.Kind != feedevent.KindMessage:
		return AnyChange
	case e.Change == ChangeAdded:
		return OnlyAdded
	default:
		return OnlyUpdated
	}
}

// where is Match for the table.
func (w Filter) where() []predicate.FeedEvent {
	var all []predicate.FeedEvent
	if w.Kind != "" {
		all = append(all, feedevent.KindEQ(w.Kind))
	}
	if w.Conversation != "" {
		all = append(all, feedevent.ConversationID(w.Conversation))
	}
	switch w.Changes {
	case OnlyAdded:
		all = append(all, feedevent.Or(feedevent.KindNEQ(feedevent.KindMessage), feedevent.Change(ChangeAdded)))
	case OnlyUpdated:
		all = append(all, feedevent.Or(feedevent.KindNEQ(feedevent.KindMessage), notAdded))
	}
	return all
}

// notAdded counts a change that was not named as one, as changesOf does.
func notAdded(s *entsql.Selector) {
	change := s.C(feedevent.FieldChange)
	s.Where(entsql.Or(entsql.IsNull(change), entsql.NEQ(change, ChangeAdded)))
}
