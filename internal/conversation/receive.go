package conversation

import (
	"cmp"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
)

var _ func(*store.Tx, []*ent.WebhookLog) ([]intake.Outcome, error) = (*Service)(nil).Apply

// Apply understands stored updates and applies them in the order given, all in tx:
// contacts, conversations, messages, counters and their events. What the platform
// gives an id (messages, taps, service messages) is not added again, however often it
// comes; reactions and blocks are as the latest update says they are, by the platform's
// clock. Of a log that was applied before and is replayed, only what has an id and is
// missing is added: the rest was true in its time. An outcome stands for each log: its own error where it does not parse. An error of Apply is
// trouble with the database, and nothing of tx may be kept.
func (s *Service) Apply(tx *store.Tx, logs []*ent.WebhookLog) ([]intake.Outcome, error) {
	connections, err := connectionsOf(tx, logs)
	if err != nil {
		return nil, fmt.Errorf("apply webhook logs: %w", err)
	}
	outcomes, counts := make([]intake.Outcome, len(logs)), make([]int, len(logs))
	var updates []update
	for i, log := range logs {
		of := connections[log.ConnectionID]
		events, err := s.parse(of.Platform, log)
		outcomes[i] = intake.Outcome{Ignored: len(events) == 0 && err == nil, Err: err}
		for _, event := range events {
			if log.AppliedBefore && !identified(event) {
				continue
			}
			counts[i]++
			updates = append(updates, update{log: log, platform: of.Platform, app: deref(of.AppID), event: event})
		}
	}
	told, err := s.applyUpdates(tx, updates)
	if err != nil {
		return nil, fmt.Errorf("apply webhook logs: %w", err)
	}
	for i, log := range logs {
		t := told[log]
		if t == nil || log.UpdateKey != nil || log.AppliedBefore || t.again+t.moot < counts[i] {
			continue // it brought something, is a repeat by intent, or intake knows its repeats by their key
		}
		outcomes[i].Duplicate, outcomes[i].Ignored = t.again > 0, t.again == 0
	}
	return outcomes, nil
}

func (s *Service) parse(on platform.Name, log *ent.WebhookLog) ([]platform.Event, error) {
	parser, ok := s.parsers[on]
	if !ok {
		return nil, fmt.Errorf("no parser for %s", on)
	}
	return parser.Parse(log.AccountID, log.Payload)
}

// applyUpdates tells of each log that brought something known, or about something
// unknown, how often it did.
func (s *Service) applyUpdates(tx *store.Tx, updates []update) (map[*ent.WebhookLog]*tally, error) {
	if len(updates) == 0 {
		return nil, nil
	}
	b, err := load(tx, updates, s.clock.Now())
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		if err := b.apply(u); err != nil {
			return nil, err
		}
	}
	if err := b.flush(); err != nil {
		return nil, err
	}
	if err := s.note(tx, b); err != nil {
		return nil, err
	}
	s.feed.Append(tx, b.events()...)
	if b.taken {
		tx.AfterCommit(s.outbox.queue.Wake)
	}
	if b.files {
		tx.AfterCommit(s.files.queue.Wake)
	}
	if b.strangers {
		tx.AfterCommit(s.profiles.queue.Wake)
	}
	for _, t := range b.taps {
		tx.AfterCommit(func() { s.taps.enqueue(t.answer()) })
	}
	return b.told, nil
}

// connectionsOf are the logs' connections, as far as what they tell depends on them.
func connectionsOf(tx *store.Tx, logs []*ent.WebhookLog) (map[causeway.ID]*ent.Connection, error) {
	ids := make([]causeway.ID, 0, len(logs))
	for _, log := range logs {
		ids = append(ids, log.ConnectionID)
	}
	connections, err := tx.Connection.Query().
		Where(connection.IDIn(distinct(ids)...)).
		Select(connection.FieldID, connection.FieldPlatform, connection.FieldAppID).
		All(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read connections: %w", err)
	}
	of := make(map[causeway.ID]*ent.Connection, len(connections))
	for _, c := range connections {
		of[c.ID] = c
	}
	return of, nil
}

// update is one event with the log that told it.
type update struct {
	log      *ent.WebhookLog
	platform platform.Name
	app      string // the connection's own; empty if unknown
	event    platform.Event
}

// account is the page or bot that the update came to.
func (u update) account() account {
	return account{connection: u.log.ConnectionID, id: u.log.AccountID}
}

// account is what external ids are unique within: a connection can change the
// account behind it.
type account struct {
	connection causeway.ID
	id         string
}

func (a account) compare(b account) int {
	return cmp.Or(cmp.Compare(a.connection, b.connection), cmp.Compare(a.id, b.id))
}

// key names a chat, a contact or a message of an account by the platform's id.
type key struct {
	account
	external string
}

// key takes an id as it comes; what the database would not take of it is left out.
func (a account) key(external string) key { return key{account: a, external: store.Clean(external)} }

func (k key) compare(o key) int {
	return cmp.Or(k.account.compare(o.account), cmp.Compare(k.external, o.external))
}

// tap is a tap on a button that the platform wants to see answered.
type tap struct {
	connection causeway.ID
	answerID   string
}
