package conversation

import (
	"cmp"
	"fmt"
	"slices"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/internal/feed"
	"causeway/internal/platform"
)

// maxInsert bounds the rows of one INSERT, so that its variables stay below SQLite's
// 32 766.
const maxInsert = 500

// Changes of the contract's MessageChange enum that the feed does not tell apart.
const (
	changeEdited    = "EDITED"
	changeDeleted   = "DELETED"
	changeReactions = "REACTIONS"
	changeStatus    = "STATUS"
)

// flush writes the batch: what is new in bulk, what changed row by row, and the rows
// that others also want last, in id order.
func (b *batch) flush() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"what moves", b.makeWay},
		{"contacts", b.writeContacts},
		{"new conversations", b.insertConversations},
		{"new messages", b.insertMessages},
		{"edited messages", b.updateMessages},
		{"attachments", b.writeAttachments},
		{"reactions", b.writeReactions},
		{"how far messages have come", b.writeProgress},
		{"parts of messages", b.writeParts},
		{"search words", func() error { return b.words.write(b.tx) }},
		{"who gets what arrived", b.route},
		{"conversations", b.updateConversations},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("write %s: %w", step.what, err)
		}
	}
	return nil
}

func (b *batch) insertConversations() error {
	creates := make([]*ent.ConversationCreate, 0, len(b.began))
	for _, c := range b.began {
		creates = append(creates, b.createConversation(c))
	}
	return inChunks(creates, func(part []*ent.ConversationCreate) error {
		return b.tx.Conversation.CreateBulk(part...).Exec(b.tx.Context())
	})
}

func (b *batch) createConversation(c *conversationRow) *ent.ConversationCreate {
	return b.tx.Conversation.Create().
		SetID(c.ID).SetCampaignID(c.CampaignID).SetConnectionID(c.ConnectionID).SetAccountID(c.AccountID).
		SetPlatform(c.Platform).SetContactID(c.ContactID).SetChat(c.Chat).SetNillableTitle(c.Title).
		SetStatus(c.Status).SetNillableClosedAt(c.ClosedAt).
		SetNillableAssigneeID(c.AssigneeID).SetNillableQueueID(c.QueueID).
		SetLastMessageAt(c.LastMessageAt).SetCreatedAt(c.CreatedAt).
		SetThreadOwner(c.ThreadOwner).SetNillableThreadOwnerAppID(c.ThreadOwnerAppID).
		SetNillableThreadOwnedAt(c.ThreadOwnedAt).SetNillableThreadOtherAppID(c.ThreadOtherAppID).
		SetNillableCustomerWroteAt(c.CustomerWroteAt).
		SetNillableDeliveredUpTo(c.DeliveredUpTo).SetNillableReadUpTo(c.ReadUpTo)
}

func (b *batch) insertMessages() error {
	creates := make([]*ent.MessageCreate, 0, len(b.added))
	for _, m := range b.added {
		creates = append(creates, b.tx.Message.Create().
			SetID(m.ID).SetCampaignID(m.CampaignID).SetConnectionID(m.ConnectionID).SetAccountID(m.AccountID).
			SetConversationID(m.ConversationID).SetNillableContactID(m.ContactID).
			SetNillableWebhookLogID(m.WebhookLogID).SetNillableReplyToID(m.ReplyToID).
			SetSeq(m.Seq).SetDirection(m.Direction).SetAuthorKind(m.AuthorKind).SetStatus(m.Status).
			SetNillableText(m.Text).SetNillablePayload(m.Payload).SetNillableAlbumID(m.AlbumID).
			SetNillableForwardedFrom(m.ForwardedFrom).SetNillableExternalID(m.ExternalID).
			SetSentAt(causeway.Stamp(m.SentAt)).SetCreatedAt(m.CreatedAt).SetNillableEditedAt(m.EditedAt).
			SetNillableDeliveredAt(m.DeliveredAt).SetNillableReadAt(m.ReadAt).SetNillableDeletedAt(m.DeletedAt).
			SetStandby(m.Standby))
	}
	return inChunks(creates, func(part []*ent.MessageCreate) error {
		return b.tx.Message.CreateBulk(part...).Exec(b.tx.Context())
	})
}

func (b *batch) updateMessages() error {
	for _, m := range b.touched() {
		if m.isNew || !m.dirty {
			continue
		}
		u := b.tx.Message.Update().Where(message.ID(m.ID)).SetNillableEditedAt(m.EditedAt).SetNillableDeletedAt(m.DeletedAt)
		if m.Payload == nil {
			u.ClearPayload()
		}
		if m.Text == nil {
			u.ClearText()
		} else {
			u.SetText(*m.Text)
		}
		if err := u.Exec(b.tx.Context()); err != nil {
			return err
		}
	}
	return nil
}

// touched are the changed messages, each once, in the order they were changed.
func (b *batch) touched() []*messageRow {
	var rows []*messageRow
	for _, c := range b.updated {
		if !slices.Contains(rows, c.message) {
			rows = append(rows, c.message)
		}
	}
	return rows
}

func (b *batch) writeAttachments() error {
	var creates []*ent.AttachmentCreate
	for _, m := range b.added {
		creates = b.appendAttachments(creates, m)
	}
	for _, m := range b.touched() {
		if m.isNew || !m.attachmentsChanged {
			continue
		}
		_, err := b.tx.Attachment.Delete().Where(attachment.MessageID(m.ID)).Exec(b.tx.Context())
		if err != nil {
			return err
		}
		creates = b.appendAttachments(creates, m)
	}
	return inChunks(creates, func(part []*ent.AttachmentCreate) error {
		return b.tx.Attachment.CreateBulk(part...).Exec(b.tx.Context())
	})
}

func (b *batch) appendAttachments(creates []*ent.AttachmentCreate, m *messageRow) []*ent.AttachmentCreate {
	for i, a := range m.attachments {
		id := causeway.NewID(causeway.PrefixAttachment)
		c := b.tx.Attachment.Create().
			SetID(id).SetCampaignID(m.CampaignID).SetMessageID(m.ID).SetPlace(i).SetKind(a.Kind).
			SetNillablePlatformRef(optional(a.Ref)).
			SetNillableName(optional(a.Name)).SetNillableMimeType(optional(a.MimeType)).
			SetNillableSize(positive(int(a.Size))).
			SetNillableWidth(positive(a.Width)).SetNillableHeight(positive(a.Height)).
			SetNillableDurationSeconds(positive(a.DurationSeconds)).
			SetNillableLatitude(a.Latitude).SetNillableLongitude(a.Longitude)
		if a.Ref != "" {
			c.SetState(attachment.StatePending).SetQueueKey(string(id)).SetNextTryAt(b.now)
			b.files = true
		}
		creates = append(creates, c)
	}
	return creates
}

// positive is a number that the platform told; platforms leave out what they do not
// know, which arrives as zero.
func positive[N int | float64](n N) *N {
	if n <= 0 {
		return nil
	}
	return &n
}

// sameAttachments tells whether a message carries what an edit says it does.
func (b *batch) sameAttachments(m *messageRow, now []platform.Attachment) (bool, error) {
	if m.isNew || m.attachmentsChanged {
		return slices.EqualFunc(m.attachments, now, func(x, y platform.Attachment) bool {
			return x.Kind == y.Kind && x.Ref == y.Ref && equal(x.Latitude, y.Latitude) && equal(x.Longitude, y.Longitude)
		}), nil
	}
	stored, err := b.tx.Attachment.Query().
		Where(attachment.MessageID(m.ID)).
		Order(attachment.ByPlace()).
		All(b.tx.Context())
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(stored, now, func(x *ent.Attachment, y platform.Attachment) bool {
		return x.Kind == y.Kind && deref(x.PlatformRef) == y.Ref && equal(x.Latitude, y.Latitude) && equal(x.Longitude, y.Longitude)
	}), nil
}

func equal(a, b *float64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// updateConversations writes all changed rows in one statement: each is here whole
// and locked, so that inserting it again and taking over what changed is the update.
func (b *batch) updateConversations() error {
	var rows []*conversationRow
	for _, c := range b.conversations {
		if c.dirty {
			rows = append(rows, c)
		}
	}
	slices.SortFunc(rows, func(x, y *conversationRow) int { return cmp.Compare(x.ID, y.ID) })
	return inChunks(rows, func(part []*conversationRow) error {
		creates := make([]*ent.ConversationCreate, 0, len(part))
		for _, c := range part {
			creates = append(creates, b.createConversation(c).
				SetUnreadCount(c.UnreadCount).SetLastSeq(c.LastSeq).SetNillableLastMessageID(c.LastMessageID))
		}
		return b.tx.Conversation.CreateBulk(creates...).
			OnConflictColumns(conversation.FieldID).
			Update(func(u *ent.ConversationUpsert) {
				u.UpdateChat().UpdateTitle().UpdateUnreadCount().UpdateLastSeq().
					UpdateLastMessageID().UpdateLastMessageAt().
					UpdateStatus().UpdateClosedAt().UpdateAssigneeID().UpdateQueueID().
					UpdateThreadOwner().UpdateThreadOwnerAppID().UpdateThreadOwnedAt().UpdateThreadOtherAppID().
					UpdateCustomerWroteAt().UpdateDeliveredUpTo().UpdateReadUpTo()
			}).
			Exec(b.tx.Context())
	})
}

// events is what the campaigns are told, in the order it happened: conversations
// that began before their messages, what else changed of conversations last.
func (b *batch) events() []feed.Event {
	events := make([]feed.Event, 0, len(b.began)+len(b.added)+len(b.updated)+len(b.changed))
	for _, c := range b.began {
		events = append(events, b.conversationEvent(c, feed.ChangeCreated))
	}
	for _, m := range b.added {
		events = append(events, b.messageEvent(m, feed.ChangeAdded))
	}
	for _, c := range b.updated {
		events = append(events, b.messageEvent(c.message, c.change))
	}
	for _, m := range b.progressed {
		if m.Status != m.was {
			events = append(events, b.statusEvent(m))
		}
	}
	for _, c := range b.changed {
		events = append(events, b.conversationEvent(c, ""))
	}
	return events
}

func (b *batch) messageEvent(m *messageRow, change string) feed.Event {
	return feed.Event{
		Campaign: m.CampaignID, At: b.now, Kind: feedevent.KindMessage, Change: change,
		Conversation: m.ConversationID, Message: m.ID,
	}
}

// statusEvent tells that a message has come further.
func (b *batch) statusEvent(m *messageRow) feed.Event {
	e := statusEvent(m.Message, m.Status)
	e.At = b.now
	return e
}

func (b *batch) conversationEvent(c *conversationRow, change string) feed.Event {
	return feed.Event{
		Campaign: c.CampaignID, At: b.now, Kind: feedevent.KindConversation, Change: change,
		Conversation: c.ID,
	}
}

func sortedKeys[V any](m map[key]V) []key {
	keys := make([]key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	return keys
}

func inChunks[T any](all []T, do func([]T) error) error {
	for part := range slices.Chunk(all, maxInsert) {
		if err := do(part); err != nil {
			return err
		}
	}
	return nil
}
