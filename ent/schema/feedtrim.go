package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
)

// FeedTrim remembers how far retention has removed one sort of event, so that a
// follower of that sort alone learns whether it missed anything.
type FeedTrim struct{ ent.Schema }

// Mixin gives the records their ids.
func (FeedTrim) Mixin() []ent.Mixin { return with(causeway.PrefixFeedTrim) }

// Fields of a record. Each sort is kept twice: for the conversation of the events,
// and under an empty conversation_id for the whole campaign. Empty instead of null
// lets the unique index tell them apart.
func (FeedTrim) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.String("conversation_id").GoType(causeway.ID("")).Default("").Immutable(),
		field.Enum("kind").NamedValues("Message", "MESSAGE", "Conversation", "CONVERSATION", "Connection", "CONNECTION").Immutable(),
		field.String("change").Immutable().Comment("ADDED or UPDATED of a message, else empty"),
		field.Int64("seq").Comment("highest number removed"),
	}
}

// Edges of a record.
func (FeedTrim) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
	}
}

// Indexes of records: one per sort, and the way to those a follower asks about.
func (FeedTrim) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("campaign_id", "conversation_id", "kind", "change").Unique(),
	}
}
