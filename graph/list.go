package graph

import (
	"context"

	"entgo.io/contrib/entgql"
	"github.com/99designs/gqlgen/graphql"

	"causeway"
	"causeway/ent"
	"causeway/ent/auditentry"
	"causeway/ent/campaign"
	"causeway/ent/campaignmember"
	"causeway/ent/connection"
	"causeway/ent/message"
	"causeway/ent/quickreply"
	"causeway/ent/tag"
	"causeway/ent/testreport"
	"causeway/ent/webhooklog"
	"causeway/graph/model"
	"causeway/internal/auth"
	conversations "causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/platform"
)

// page is which part of a list is asked for.
type page struct {
	after  *ent.Cursor
	first  *int
	before *ent.Cursor
	last   *int
}

// one is a query's only row; null where there is none to see.
func one[T any, Q interface {
	Only(context.Context) (*T, error)
}](query Q, err error) func(context.Context) (*T, error) {
	return func(ctx context.Context) (*T, error) {
		if err != nil {
			return nil, err
		}
		return orNull(query.Only(ctx))
	}
}

func (r *Resolver) users(ctx context.Context, p page) (*ent.UserConnection, error) {
	if err := auth.AnyManager(ctx, r.Viewers); err != nil {
		return nil, err
	}
	if err := p.of(causeway.PrefixUser, byTime); err != nil {
		return nil, err
	}
	return r.Viewers.User.Query().Paginate(plain(ctx), p.after, p.first, p.before, p.last,
		ent.WithUserOrder(&ent.UserOrder{Direction: entgql.OrderDirectionAsc, Field: ent.UserOrderFieldCreatedAt}))
}

func (r *Resolver) campaigns(ctx context.Context, p page, includeArchived bool) (*ent.CampaignConnection, error) {
	if err := p.of(causeway.PrefixCampaign, byTime); err != nil {
		return nil, err
	}
	query := r.Viewers.Campaign.Query()
	if !includeArchived {
		query.Where(campaign.ArchivedAtIsNil())
	}
	return query.Paginate(plain(ctx), p.after, p.first, p.before, p.last,
		ent.WithCampaignOrder(&ent.CampaignOrder{Direction: entgql.OrderDirectionAsc, Field: ent.CampaignOrderFieldCreatedAt}))
}

func (r *Resolver) connections(
	ctx context.Context, campaignID causeway.ID, on *platform.Name, status *connection.Status, includeDisconnected bool,
) ([]*ent.Connection, error) {
	query := r.Viewers.Connection.Query().Where(connection.CampaignID(campaignID))
	if on != nil {
		query.Where(connection.PlatformEQ(*on))
	}
	if status != nil {
		query.Where(connection.StatusEQ(*status))
	}
	if !includeDisconnected {
		query.Where(connection.DisconnectedAtIsNil())
	}
	query, err := query.Order(ent.Asc(connection.FieldConnectedAt, connection.FieldID)).CollectFields(ctx)
	if err != nil {
		return nil, err
	}
	return query.All(ctx)
}

func (r *Resolver) conversations(
	ctx context.Context, campaignID causeway.ID, p page, order *ent.ConversationOrder, filter *model.ConversationFilter,
) (*ent.ConversationConnection, error) {
	if err := p.of(causeway.PrefixConversation, byTime); err != nil {
		return nil, err
	}
	if order == nil {
		order = &ent.ConversationOrder{Direction: entgql.OrderDirectionDesc, Field: ent.ConversationOrderFieldLastMessageAt}
	}
	return r.Viewers.Conversation.Query().
		Where(conversations.Matching(campaignID, conversationFilter(filter))...).
		Paginate(plain(ctx), p.after, p.first, p.before, p.last, ent.WithConversationOrder(order))
}

func conversationFilter(f *model.ConversationFilter) conversations.Filter {
	if f == nil {
		return conversations.Filter{}
	}
	filter := conversations.Filter{
		Status: f.Status.Value(), Unread: f.Unread.Value(), Unassigned: f.Unassigned.Value(),
		Connection: idOf(f.ConnectionID, causeway.PrefixConnection), Assignee: idOf(f.AssigneeID, causeway.PrefixUser),
		Queue: idOf(f.QueueID, causeway.PrefixQueue), Tag: idOf(f.TagID, causeway.PrefixTag),
	}
	if on := f.Platform.Value(); on != nil {
		filter.Platform = *on
	}
	if search := f.Search.Value(); search != nil {
		filter.Search = *search
	}
	return filter
}

// idOf is an id to narrow down by; empty if none is given. What cannot be an id, which
// to the room would mean none, becomes one that nothing has.
func idOf(f graphql.Omittable[*causeway.ID], prefix string) causeway.ID {
	id := f.Value()
	switch {
	case id == nil:
		return ""
	case *id == "":
		return causeway.NewID(prefix)
	default:
		return *id
	}
}

func (r *Resolver) tags(ctx context.Context, campaignID causeway.ID) ([]*ent.Tag, error) {
	tags, err := r.Viewers.Tag.Query().Where(tag.CampaignID(campaignID)).WithCampaign().All(ctx)
	conversations.ByName(tags)
	return tags, err
}

func (r *Resolver) quickReplies(ctx context.Context, campaignID causeway.ID, language, search *string) ([]*ent.QuickReply, error) {
	all, err := r.Viewers.QuickReply.Query().Where(quickreply.CampaignID(campaignID)).WithCampaign().All(ctx)
	return conversations.Choose(all, language, search), err
}

func (r *Resolver) members(ctx context.Context, campaignID causeway.ID) ([]*ent.CampaignMember, error) {
	query, err := r.Viewers.CampaignMember.Query().
		Where(campaignmember.CampaignID(campaignID)).
		Order(ent.Asc(campaignmember.FieldJoinedAt, campaignmember.FieldID)).
		CollectFields(ctx)
	if err != nil {
		return nil, err
	}
	return query.All(ctx)
}

// auditLog is a campaign's, for those who manage it; null for others.
func (r *Resolver) auditLog(ctx context.Context, campaignID causeway.ID, p page) (*ent.AuditEntryConnection, error) {
	if err := p.of(causeway.PrefixAuditEntry, byTime); err != nil {
		return nil, err
	}
	if manager, err := isManager(ctx, campaignID); err != nil || !manager {
		return nil, err
	}
	return r.Viewers.AuditEntry.Query().
		Where(auditentry.CampaignID(campaignID)).
		Paginate(plain(ctx), p.after, p.first, p.before, p.last,
			ent.WithAuditEntryOrder(&ent.AuditEntryOrder{Direction: entgql.OrderDirectionDesc, Field: ent.AuditEntryOrderFieldAt}))
}

func (r *Resolver) messages(ctx context.Context, conversationID causeway.ID, p page) (*ent.MessageConnection, error) {
	if err := p.of(causeway.PrefixMessage, byNumber); err != nil {
		return nil, err
	}
	return r.Viewers.Message.Query().
		Where(message.ConversationID(conversationID)).
		Paginate(plain(ctx), p.after, p.first, p.before, p.last,
			ent.WithMessageOrder(&ent.MessageOrder{Direction: entgql.OrderDirectionAsc, Field: ent.MessageOrderFieldSeq}))
}

func (r *Resolver) webhookLogs(
	ctx context.Context, connectionID causeway.ID, p page, filter *model.WebhookLogFilter,
) (*ent.WebhookLogConnection, error) {
	if err := p.of(causeway.PrefixWebhookLog, byNumber); err != nil {
		return nil, err
	}
	query := r.Viewers.WebhookLog.Query().Where(webhooklog.ConnectionID(connectionID))
	if filter != nil {
		if status := filter.Status.Value(); status != nil {
			query.Where(webhooklog.StatusEQ(*status))
		}
		if eventType := filter.EventType.Value(); eventType != nil {
			query.Where(webhooklog.EventType(*eventType))
		}
		if after := filter.ReceivedAfter.Value(); after != nil {
			query.Where(webhooklog.ReceivedAtGT(*after))
		}
		if before := filter.ReceivedBefore.Value(); before != nil {
			query.Where(webhooklog.ReceivedAtLT(*before))
		}
	}
	return query.Paginate(plain(ctx), p.after, p.first, p.before, p.last,
		ent.WithWebhookLogOrder(&ent.WebhookLogOrder{Direction: entgql.OrderDirectionDesc, Field: ent.WebhookLogOrderFieldPosition}))
}

func (r *Resolver) testReports(ctx context.Context, connectionID causeway.ID, first int) ([]*ent.TestReport, error) {
	query, err := r.Viewers.TestReport.Query().
		Where(testreport.ConnectionID(connectionID)).
		Order(ent.Desc(testreport.FieldStartedAt, testreport.FieldID)).
		Limit(first).
		CollectFields(ctx)
	if err != nil {
		return nil, err
	}
	return query.All(ctx)
}

// eventCursor is the position of a campaign's feed before the operation read
// anything; what is newer than the operation's start is a mutation's own campaign.
func (r *Resolver) eventCursor(ctx context.Context, c *ent.Campaign) *ent.Cursor {
	heads, _ := ctx.Value(headsKey{}).(map[causeway.ID]int64)
	seq, ok := heads[c.ID]
	if !ok {
		seq = c.EventSeq
	}
	cursor := feed.Cursor(c.ID, seq)
	return &cursor
}

// campaignPayload is what a mutation of a campaign answers.
func (r *Resolver) campaignPayload(ctx context.Context, id causeway.ID, err error) (*ent.Campaign, []*model.Problem, error) {
	problems, err := r.userErrors(ctx, err)
	if err != nil || len(problems) > 0 {
		return nil, problems, err
	}
	c, err := read(ctx, id, r.Viewers.Campaign.Get)
	return c, problems, err
}

// conversationPayload is what a mutation of a conversation answers.
func (r *Resolver) conversationPayload(ctx context.Context, id causeway.ID, err error) (*ent.Conversation, []*model.Problem, error) {
	problems, err := r.userErrors(ctx, err)
	if err != nil || len(problems) > 0 {
		return nil, problems, err
	}
	c, err := read(ctx, id, r.Viewers.Conversation.Get)
	return c, problems, err
}

// change is a field of an input that changes a thing.
func change[T any](f graphql.Omittable[*T]) causeway.Change[T] {
	return causeway.Change[T]{Given: f.IsSet(), Value: f.Value()}
}
