package conversation

import (
	"fmt"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// threadOwned records who may write in a chat from now on, and tells agents of it.
func (b *batch) threadOwned(u update, e platform.ThreadOwned) {
	_, there := b.conversations[u.account().key(e.Chat.ID)]
	if b.known(u, e.ID) != nil {
		b.again(u)
		return
	}
	if !there && e.Unknown && e.Text == "" {
		b.moot(u)
		return
	}
	conv := b.conversation(u, e.Chat)
	fresh := !there || e.Text != ""
	if !e.Unknown {
		fresh = b.owns(u, conv, platform.ThreadOwner{App: e.App, Inbox: e.Inbox}, e.At) || fresh
	}
	if !fresh {
		b.again(u)
	}
	if e.Text == "" {
		return
	}
	m := systemNote(e.Text)
	m.ExternalID, m.SentAt, m.ContactID = optional(e.ID), e.At, &conv.ContactID
	b.add(u, conv, m, nil)
}

// owns notes whose a chat was at a time, unless something later is known. It tells
// whether it was news.
func (b *batch) owns(u update, conv *conversationRow, who platform.ThreadOwner, at time.Time) bool {
	at = *b.stamp(at)
	if conv.ThreadOwnedAt != nil && at.Before(*conv.ThreadOwnedAt) {
		return b.names(u, conv, who)
	}
	fresh := conv.ThreadOwnedAt == nil || at.After(*conv.ThreadOwnedAt)
	conv.ThreadOwnedAt, conv.dirty = &at, true
	owner := ownerOf(who, u.app)
	app := optional(who.App)
	if owner == conversation.ThreadOwnerAnotherApp && app != nil {
		conv.ThreadOtherAppID = app
	}
	if owner == conv.ThreadOwner && (deref(app) == deref(conv.ThreadOwnerAppID) || app == nil) {
		return fresh
	}
	if owner == conversation.ThreadOwnerUs && taken(conv.Conversation) {
		b.handedToUs(conv)
	}
	conv.ThreadOwner, conv.ThreadOwnerAppID = owner, app
	b.hear(conv)
	return true
}

// names notes who it is that has a chat, where it is known only that somebody else has:
// by a refusal or by what was overheard, which may come before the news of it. It tells
// whether it did.
func (b *batch) names(u update, conv *conversationRow, who platform.ThreadOwner) bool {
	owner, app := ownerOf(who, u.app), optional(who.App)
	unnamed := conv.ThreadOwner == conversation.ThreadOwnerAnotherApp && conv.ThreadOwnerAppID == nil
	other := owner == conversation.ThreadOwnerAnotherApp || owner == conversation.ThreadOwnerPlatformInbox
	if !unnamed || !other {
		return false
	}
	conv.ThreadOwner, conv.ThreadOwnerAppID, conv.dirty = owner, app, true
	if app != nil {
		conv.ThreadOtherAppID = app
	}
	b.hear(conv)
	return true
}

// overheard notes what a customer's message tells of whose the chat is: one that was
// seen while another app had it, or one that came to us.
func (b *batch) overheard(conv *conversationRow, standby bool, at time.Time) {
	elsewhere := taken(conv.Conversation)
	switch {
	case standby && !elsewhere:
		if b.earlier(conv, at) {
			return
		}
		conv.ThreadOwner, conv.ThreadOwnerAppID = conversation.ThreadOwnerAnotherApp, nil
	case !standby && elsewhere:
		if b.earlier(conv, at) {
			return
		}
		conv.ThreadOwner, conv.ThreadOwnerAppID = conversation.ThreadOwnerNone, nil
	default:
		return
	}
	conv.ThreadOwnedAt, conv.dirty = b.stamp(at), true
	b.hear(conv)
}

// earlier tells that something later than at is known of whose a chat is.
func (b *batch) earlier(conv *conversationRow, at time.Time) bool {
	return conv.ThreadOwnedAt != nil && !b.stamp(at).After(*conv.ThreadOwnedAt)
}

// ownerOf says of an owner what it is to us, whose app's id is ours.
func ownerOf(who platform.ThreadOwner, ours string) conversation.ThreadOwner {
	switch {
	case who.Inbox:
		return conversation.ThreadOwnerPlatformInbox
	case who.App == "":
		return conversation.ThreadOwnerNone
	case who.App == ours:
		return conversation.ThreadOwnerUs
	default:
		return conversation.ThreadOwnerAnotherApp
	}
}

// taken tells that somebody else may write in a conversation, and we may not.
func taken(conv *ent.Conversation) bool {
	return conv.ThreadOwner == conversation.ThreadOwnerAnotherApp || conv.ThreadOwner == conversation.ThreadOwnerPlatformInbox
}

// threadRefusal is the refusal of a message where somebody else has the chat, or nil.
func threadRefusal(conv *ent.Conversation) *causeway.Error {
	switch {
	case conv.ThreadOwner == conversation.ThreadOwnerPlatformInbox:
		return causeway.FailWith(causeway.ThreadOwnedByAnotherApp, causeway.ReasonThreadInPageInbox)
	case conv.ThreadOwner != conversation.ThreadOwnerAnotherApp:
		return nil
	case conv.ThreadOwnerAppID != nil:
		return causeway.FailWith(causeway.ThreadOwnedByAnotherApp, causeway.ReasonThreadOwnedBy).With("app", *conv.ThreadOwnerAppID)
	default:
		return causeway.Fail(causeway.ThreadOwnedByAnotherApp)
	}
}

// lostThread notes that a platform refused a message because another app has the chat.
// The conversation is locked.
func (s *Service) lostThread(tx *store.Tx, conv *ent.Conversation) error {
	if taken(conv) {
		return nil
	}
	changed, err := s.setOwner(tx, conv, conversation.ThreadOwnerAnotherApp, nil, s.clock.Now())
	if err == nil && changed {
		s.feed.Append(tx, changeOf(conv.CampaignID, conv.ID))
	}
	return err
}

// setOwner notes whose a chat is since a time, unless something later was told, and
// whether that was news. The conversation is locked.
func (s *Service) setOwner(tx *store.Tx, conv *ent.Conversation, owner conversation.ThreadOwner, app *string, at time.Time) (bool, error) {
	if conv.ThreadOwnedAt != nil && at.Before(*conv.ThreadOwnedAt) {
		return false, nil
	}
	u := tx.Conversation.UpdateOneID(conv.ID).SetThreadOwner(owner).SetThreadOwnedAt(causeway.Stamp(at))
	if app == nil {
		u.ClearThreadOwnerAppID()
	} else {
		u.SetThreadOwnerAppID(*app)
	}
	if owner == conversation.ThreadOwnerAnotherApp && app != nil {
		u.SetThreadOtherAppID(*app)
	}
	if err := u.Exec(tx.Context()); err != nil {
		return false, fmt.Errorf("note whose %s is: %w", conv.ID, err)
	}
	return owner != conv.ThreadOwner || deref(app) != deref(conv.ThreadOwnerAppID), nil
}
