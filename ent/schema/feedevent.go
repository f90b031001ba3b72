package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
)

// FeedEvent is one number in a campaign's event sequence. It names what happened to
// what; what it is about is read when it is shown.
type FeedEvent struct{ ent.Schema }

// Mixin gives events their ids.
func (FeedEvent) Mixin() []ent.Mixin { return with(causeway.PrefixFeedEvent) }

// Fields of an event. Its subjects are ids without foreign keys: events are written
// on the hottest path and outlive nothing that they name.
func (FeedEvent) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.Int64("seq").Immutable(),
		field.Time("at").Immutable(),
		field.Enum("kind").NamedValues("Message", "MESSAGE", "Conversation", "CONVERSATION", "Connection", "CONNECTION").Immutable(),
		field.String("change").Optional().Immutable().Comment("MessageChange of a MESSAGE event; CREATED of a conversation that began"),
		field.String("status").Optional().Immutable().Comment("MessageStatus, if change is STATUS"),
		optionalRef("conversation_id"),
		optionalRef("message_id"),
		optionalRef("connection_id"),
	}
}

// Edges of an event.
func (FeedEvent) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
	}
}

// Indexes of events: one per campaign and number. Retention runs along it too, since
// age follows the number.
func (FeedEvent) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("campaign_id", "seq").Unique(),
	}
}
