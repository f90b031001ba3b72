package conversation

import (
	"strings"

	"causeway"
	"causeway/ent/conversation"
	"causeway/ent/predicate"
	"causeway/internal/platform"
)

// Filter narrows a campaign's conversations down. A zero field asks nothing.
type Filter struct {
	Status     []conversation.Status
	Connection causeway.ID
	Platform   platform.Name
	Unread     *bool
	Assignee   causeway.ID
	Unassigned *bool // true: those without assignee, false: those with one
	Queue      causeway.ID
	Tag        causeway.ID
	// Search is words in the contact's name or in any message: every word must occur,
	// the last one also as a beginning. Case and diacritics do not count.
	Search string
}

// Matching is what a campaign's conversations must satisfy to pass the filter.
func Matching(campaign causeway.ID, f Filter) []predicate.Conversation {
	where := []predicate.Conversation{conversation.CampaignID(campaign)}
	if len(f.Status) > 0 {
		where = append(where, conversation.StatusIn(f.Status...))
	}
	if f.Connection != "" {
		where = append(where, conversation.ConnectionID(f.Connection))
	}
	if f.Platform != "" {
		where = append(where, conversation.PlatformEQ(f.Platform))
	}
	if f.Unread != nil && *f.Unread {
		where = append(where, conversation.UnreadCountGT(0))
	}
	if f.Unread != nil && !*f.Unread {
		where = append(where, conversation.UnreadCount(0))
	}
	if f.Assignee != "" {
		where = append(where, conversation.AssigneeID(f.Assignee))
	}
	if f.Unassigned != nil && *f.Unassigned {
		where = append(where, conversation.AssigneeIDIsNil())
	}
	if f.Unassigned != nil && !*f.Unassigned {
		where = append(where, conversation.AssigneeIDNotNil())
	}
	if f.Queue != "" {
		where = append(where, conversation.QueueID(f.Queue))
	}
	if f.Tag != "" {
		where = append(where, tagged(f.Tag))
	}
	if strings.TrimSpace(f.Search) != "" {
		where = append(where, matching(campaign, f.Search))
	}
	return where
}
