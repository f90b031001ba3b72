package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
)

// Campaign is what a team works in: its connections, conversations and members.
type Campaign struct{ ent.Schema }

// Mixin gives campaigns their ids.
func (Campaign) Mixin() []ent.Mixin { return with(causeway.PrefixCampaign) }

// Fields of a campaign. event_seq is the number of its newest event; it is changed
// only by the room feed, at the very end of a transaction.
func (Campaign) Fields() []ent.Field {
	return []ent.Field{
		field.String("name"),
		field.String("description").Optional().Nillable(),
		field.Int64("event_seq").Default(0),
		field.Time("archived_at").Optional().Nillable(),
		field.Time("created_at").Immutable().Annotations(entgql.OrderField("CREATED_AT")),
	}
}

// Edges of a campaign. Its lists have arguments that ent does not know, so that
// every one of them has a resolver.
func (Campaign) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("members", CampaignMember.Type).Ref("campaign").Annotations(entgql.Unbind()),
		edge.From("connections", Connection.Type).Ref("campaign").Annotations(entgql.Unbind()),
		edge.From("conversations", Conversation.Type).Ref("campaign").
			Annotations(entgql.Unbind(), entgql.RelayConnection()),
		edge.From("queues", Queue.Type).Ref("campaign").Annotations(entgql.Unbind()),
		edge.From("quick_replies", QuickReply.Type).Ref("campaign").Annotations(entgql.Unbind()),
		edge.From("tags", Tag.Type).Ref("campaign").Annotations(entgql.Unbind()),
		edge.From("audit_entries", AuditEntry.Type).Ref("campaign").
			Annotations(entgql.Unbind(), entgql.RelayConnection()),
	}
}

// Indexes of campaigns.
func (Campaign) Indexes() []ent.Index {
	return []ent.Index{index.Fields("created_at", "id")}
}

// Annotations of campaigns.
func (Campaign) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}

// CampaignMember is a user's part in a campaign.
type CampaignMember struct{ ent.Schema }

// Mixin gives memberships their ids.
func (CampaignMember) Mixin() []ent.Mixin { return with(causeway.PrefixCampaignMember) }

// Fields of a membership.
func (CampaignMember) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("user_id"),
		field.Enum("role").NamedValues("Manager", "MANAGER", "Agent", "AGENT"),
		field.Time("joined_at").Immutable(),
	}
}

// Edges of a membership.
func (CampaignMember) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of memberships: one per person and campaign, and the way from a person to
// their campaigns that every viewer's read takes.
func (CampaignMember) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("campaign_id", "user_id").Unique(),
		index.Fields("user_id", "campaign_id"),
	}
}
