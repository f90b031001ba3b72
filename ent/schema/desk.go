package schema

import (
	"encoding/json"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
)

// Queue is where conversations wait for one of its members.
type Queue struct{ ent.Schema }

// Mixin gives queues their ids.
func (Queue) Mixin() []ent.Mixin { return with(causeway.PrefixQueue) }

// Fields of a queue. turns rises with everything it gives out, beyond the turns of all
// its members; whoever assigns holds the row's lock.
func (Queue) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.String("name"),
		field.Enum("assignment").NamedValues("Manual", "MANUAL", "RoundRobin", "ROUND_ROBIN", "LeastBusy", "LEAST_BUSY"),
		field.Int64("turns").Default(0),
		field.Time("created_at").Immutable(),
	}
}

// Edges of a queue.
func (Queue) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
		edge.From("memberships", QueueMember.Type).Ref("queue").Annotations(entgql.Unbind()),
	}
}

// Indexes of queues.
func (Queue) Indexes() []ent.Index {
	return []ent.Index{index.Fields("campaign_id", "name").Unique()}
}

// QueueMember is a person's place in a queue. turn is the number of what they were last
// given, by any of their queues: it is the same in all of them. Whoever reads or changes
// it holds the person's row.
type QueueMember struct{ ent.Schema }

// Mixin gives places their ids.
func (QueueMember) Mixin() []ent.Mixin { return with(causeway.PrefixQueueMember) }

// Fields of a place.
func (QueueMember) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("queue_id"),
		ref("user_id"),
		field.Int64("turn").Default(0),
		field.Time("joined_at").Immutable(),
	}
}

// Edges of a place.
func (QueueMember) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("queue", Queue.Type).Field("queue_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of places: one per person and queue.
func (QueueMember) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("queue_id", "user_id").Unique(),
		index.Fields("user_id", "campaign_id"),
	}
}

// QuickReply is a text that agents insert by its shortcut.
type QuickReply struct{ ent.Schema }

// Mixin gives quick replies their ids.
func (QuickReply) Mixin() []ent.Mixin { return with(causeway.PrefixQuickReply) }

// Fields of a quick reply. language is empty for one that fits every language: empty
// instead of null lets the unique index tell them apart.
func (QuickReply) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.String("shortcut"),
		field.String("language").Default("").Comment("BCP 47"),
		field.Text("text"),
		field.Time("created_at").Immutable(),
	}
}

// Edges of a quick reply.
func (QuickReply) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
	}
}

// Indexes of quick replies: a shortcut means one text in one language.
func (QuickReply) Indexes() []ent.Index {
	return []ent.Index{index.Fields("campaign_id", "shortcut", "language").Unique()}
}

// Tag is a word that conversations are marked with.
type Tag struct{ ent.Schema }

// Mixin gives tags their ids.
func (Tag) Mixin() []ent.Mixin { return with(causeway.PrefixTag) }

// Fields of a tag.
func (Tag) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.String("name"),
		field.String("color").Optional().Nillable(),
		field.Time("created_at").Immutable(),
	}
}

// Edges of a tag.
func (Tag) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
		edge.From("conversations", Conversation.Type).Ref("tags").Through("taggings", Tagging.Type).
			Annotations(entgql.Unbind()),
	}
}

// Indexes of tags.
func (Tag) Indexes() []ent.Index {
	return []ent.Index{index.Fields("campaign_id", "name").Unique()}
}

// Tagging is one tag on one conversation.
type Tagging struct{ ent.Schema }

// Fields of a tagging.
func (Tagging) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("conversation_id"),
		ref("tag_id"),
	}
}

// Edges of a tagging.
func (Tagging) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("conversation", Conversation.Type).Field("conversation_id").Unique().Required().Immutable(),
		edge.To("tag", Tag.Type).Field("tag_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of taggings: the way from a tag to its conversations.
func (Tagging) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tag_id", "conversation_id")}
}

// Annotations of taggings: they have no id of their own, and no place in the API.
func (Tagging) Annotations() []schema.Annotation {
	return []schema.Annotation{
		field.ID("conversation_id", "tag_id"),
		entgql.Skip(entgql.SkipAll),
	}
}

// AuditEntry says who did what to which thing of a campaign. It outlives what it
// names, so that it holds ids without foreign keys.
type AuditEntry struct{ ent.Schema }

// Mixin gives entries their ids.
func (AuditEntry) Mixin() []ent.Mixin { return with(causeway.PrefixAuditEntry) }

// Fields of an entry.
func (AuditEntry) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.Time("at").Immutable().Annotations(entgql.OrderField("AT")),
		field.String("actor_id").GoType(causeway.ID("")).Optional().Nillable().Immutable().
			Comment("empty for the server itself"),
		field.String("action").Immutable().Comment("the mutation's name, or the server's own"),
		field.String("subject_id").GoType(causeway.ID("")).Optional().Nillable().Immutable(),
		field.JSON("details", json.RawMessage{}).Optional().Immutable().Comment("what changed; never a secret"),
	}
}

// Edges of an entry.
func (AuditEntry) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
	}
}

// Indexes of entries: a campaign's log, newest first.
func (AuditEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("campaign_id", "at", "id")}
}

// Annotations of entries.
func (AuditEntry) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}
