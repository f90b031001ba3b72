package conversation

import (
	"strconv"
	"strings"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/platform"
)

// partTaken is a further part of a message of ours that the platform is known to have
// taken.
type partTaken struct {
	message *messageRow
	place   int
	id      string
}

// ownPart reads what metadata wrote: which message of ours, and which of its parts. It
// is false for the words of another program.
func ownPart(said string) (id causeway.ID, place int, ok bool) {
	name, number, further := strings.Cut(said, "/")
	if further {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return "", 0, false
		}
		place = n
	}
	id, err := causeway.ParseID(name)
	return id, place, err == nil
}

// echoed records a message that went out: the evidence that one of ours did, or what
// another app or the people in the platform's own inbox wrote, which nobody here has to
// read or to answer.
func (b *batch) echoed(u update, e platform.Echoed) {
	if m, place := b.ownOf(u, e.Metadata); m != nil {
		if !b.confirm(u, m, place, e) {
			b.again(u)
		}
		return
	}
	if b.known(u, e.ID) != nil {
		b.again(u)
		return
	}
	conv := b.conversation(u, e.Chat)
	m := &ent.Message{
		Direction:  message.DirectionOutbound,
		AuthorKind: message.AuthorKindBot,
		Status:     message.StatusSent,
		Text:       optional(e.Content.Text),
		ExternalID: optional(e.ID),
		Standby:    e.Standby,
		SentAt:     e.SentAt,
	}
	if e.Inbox {
		m.AuthorKind = message.AuthorKindPlatformInbox
	}
	if replied := b.known(u, e.ReplyTo); replied != nil {
		m.ReplyToID = &replied.ID
	}
	row := b.add(u, conv, m, e.Content.Attachments)
	b.catchUp(conv, row)
	if e.Standby {
		b.owns(u, conv, platform.ThreadOwner{App: e.App, Inbox: e.Inbox}, e.SentAt)
	}
}

// ownOf is the message that an echo's metadata names, and which part of it, if it was
// sent from here by this account; else nil.
func (b *batch) ownOf(u update, metadata string) (*messageRow, int) {
	id, place, ok := ownPart(metadata)
	if !ok {
		return nil, 0
	}
	m := b.byID[id]
	if m == nil || m.QueueKey == nil || m.ConnectionID != u.log.ConnectionID || m.AccountID != u.log.AccountID {
		return nil, 0
	}
	return m, place
}

// confirm notes that the platform took a part of a message of ours, whatever was known
// of it: its call may still go on, may have been given up, or may have been answered
// already, as a second call of the same part may. Then only the time is the platform's
// from now on. It tells whether anything was new.
func (b *batch) confirm(u update, m *messageRow, place int, e platform.Echoed) bool {
	parts := len(partsOf(m.Message))
	if place > m.PartsSent || place >= parts {
		return false // it says nothing that could be: parts go out one after the other
	}
	fresh := place == m.PartsSent
	if fresh {
		m.PartsSent++
		m.SendingAt = nil
		b.name(u, m, place, e.ID)
	}
	last := place == parts-1
	sentAt := causeway.Stamp(e.SentAt)
	corrected := last && b.known(u, e.ID) == m && !e.SentAt.IsZero() && !m.SentAt.Equal(sentAt)
	if !fresh && !corrected {
		return false
	}
	if corrected {
		m.SentAt = sentAt
	}
	if fresh && last {
		m.Status, m.Problem, m.LeasedUntil = message.StatusSent, nil, nil
		b.taken = true
	}
	b.progress(m)
	if conv := b.conversationOf(m); conv != nil {
		b.catchUp(conv, m)
	}
	return true
}

// name notes the platform's id of a part: the first one's is the message's own.
func (b *batch) name(u update, m *messageRow, place int, id string) {
	known := optional(id)
	if known == nil || b.known(u, id) != nil {
		return
	}
	b.messages[u.account().key(id)] = m
	if place == 0 {
		m.ExternalID = known
		return
	}
	b.parts = append(b.parts, partTaken{message: m, place: place, id: *known})
}

// conversationOf is the loaded conversation of a message, or nil.
func (b *batch) conversationOf(m *messageRow) *conversationRow {
	for _, conv := range b.conversations {
		if conv.ID == m.ConversationID {
			return conv
		}
	}
	return nil
}

func (b *batch) writeParts() error {
	for _, p := range b.parts {
		m := p.message
		err := b.tx.MessagePart.Create().
			SetCampaignID(m.CampaignID).SetConnectionID(m.ConnectionID).SetAccountID(m.AccountID).
			SetMessageID(m.ID).SetPlace(p.place).SetExternalID(p.id).SetSentAt(m.SentAt).
			OnConflict().DoNothing().
			Exec(b.tx.Context())
		if err != nil {
			return err
		}
	}
	return nil
}
