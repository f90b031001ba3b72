package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
	"causeway/internal/platform"
)

// Contact is a customer, or a group they write in, as one platform account knows it.
type Contact struct{ ent.Schema }

// Mixin gives contacts their ids.
func (Contact) Mixin() []ent.Mixin { return with(causeway.PrefixContact) }

// Fields of a contact.
func (Contact) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.String("account_id").Immutable(),
		field.Enum("platform").GoType(platform.Name("")).Immutable(),
		field.String("external_id"),
		field.String("name"),
		field.String("username").Optional().Nillable(),
		field.String("language").Optional().Nillable(),
		field.Bool("blocked").Default(false),
		field.Time("blocked_at").Optional().Nillable().Comment("as of when blocked is known to be so; empty: it was never told"),
		field.Time("created_at").Immutable(),

		field.String("avatar_ref").Optional().Nillable().Sensitive().Comment("what the picture kept was fetched by"),
		field.String("avatar_hash").Optional().Nillable().Comment("of the picture kept, in the room media"),
		field.String("avatar_type").Optional().Nillable(),
		field.Enum("profile").NamedValues("Pending", "PENDING", "Known", "KNOWN", "Unknown", "UNKNOWN").Default("UNKNOWN").
			Comment("PENDING: to be asked of the platform"),
		field.Time("described_at").Optional().Nillable().Comment("when the platform was last asked"),
		field.String("queue_key").Optional().Nillable().Immutable().Comment("its own id: profiles wait for nobody"),
		field.Int64("queue_order").Default(0).Immutable(),
		field.Time("next_try_at").Optional().Nillable(),
		field.Int("attempts").Default(0),
		field.Time("leased_until").Optional().Nillable(),
	}
}

// Edges of a contact.
func (Contact) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("connection", Connection.Type).Field("connection_id").Unique().Required().Immutable(),
		edge.From("conversations", Conversation.Type).Ref("contact"),
	}
}

// Indexes of contacts: one per account and external id.
func (Contact) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("connection_id", "account_id", "external_id").Unique(),
		index.Fields("queue_key", "queue_order").StorageKey("contact_profile_pending").
			Annotations(entsql.IndexWhere("profile = 'PENDING'")),
	}
}

// Conversation is all that was said in one chat.
type Conversation struct{ ent.Schema }

// Mixin gives conversations their ids.
func (Conversation) Mixin() []ent.Mixin { return with(causeway.PrefixConversation) }

// Fields of a conversation. last_seq is the number of its newest message; whoever
// changes it holds the row's lock.
func (Conversation) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.String("account_id").Immutable(),
		field.Enum("platform").GoType(platform.Name("")).Immutable(),
		ref("contact_id"),
		field.String("chat").Comment("the platform's id of the chat, with the topic"),
		field.String("title").Optional().Nillable(),
		field.Enum("status").NamedValues("Open", "OPEN", "Pending", "PENDING", "Closed", "CLOSED"),
		field.Int("unread_count").Default(0),
		field.Int64("last_seq").Default(0),
		optionalRef("last_message_id"),
		field.Time("last_message_at").Annotations(entgql.OrderField("LAST_MESSAGE_AT")),
		field.Time("created_at").Immutable().Annotations(entgql.OrderField("CREATED_AT")),
		field.Time("closed_at").Optional().Nillable(),

		optionalRef("assignee_id"),
		optionalRef("queue_id"),
		field.Enum("thread_owner").NamedValues("None", "NONE", "Us", "US", "AnotherApp", "ANOTHER_APP",
			"PlatformInbox", "PLATFORM_INBOX").Default("NONE"),
		field.String("thread_owner_app_id").Optional().Nillable(),
		field.Time("customer_wrote_at").Optional().Nillable().
			Comment("when the customer last did what opens the platform's window for answers"),
		field.Time("thread_owned_at").Optional().Nillable().Comment("when the platform last told whose the chat is"),
		field.String("thread_other_app_id").Optional().Nillable().Comment("the other app that last had the chat"),
		field.Time("delivered_up_to").Optional().Nillable().
			Comment("by the platform's clock: what was sent until then has arrived"),
		field.Time("read_up_to").Optional().Nillable(),
	}
}

// Edges of a conversation.
func (Conversation) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
		edge.To("connection", Connection.Type).Field("connection_id").Unique().Required().Immutable(),
		edge.To("contact", Contact.Type).Field("contact_id").Unique().Required().Immutable(),
		edge.To("last_message", Message.Type).Field("last_message_id").Unique(),
		edge.To("assignee", User.Type).Field("assignee_id").Unique().Annotations(entgql.Unbind()),
		edge.To("queue", Queue.Type).Field("queue_id").Unique(),
		edge.To("tags", Tag.Type).Through("taggings", Tagging.Type).Annotations(entgql.Unbind()),
		edge.From("messages", Message.Type).Ref("conversation").
			Annotations(entgql.Unbind(), entgql.RelayConnection()),
	}
}

// Indexes of conversations: one per account and chat, whatever its status; the
// inbox by either order, whole, by status and by connection.
func (Conversation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("connection_id", "account_id", "chat").Unique(),
		index.Fields("contact_id"),
		index.Fields("campaign_id", "last_message_at", "id"),
		index.Fields("campaign_id", "created_at", "id"),
		index.Fields("campaign_id", "status", "last_message_at", "id"),
		index.Fields("connection_id", "status", "last_message_at", "id"),
		index.Fields("campaign_id", "assignee_id", "last_message_at", "id"),
		index.Fields("queue_id", "status", "last_message_at", "id"),
		index.Fields("assignee_id", "status"),
		index.Fields("queue_id", "created_at").StorageKey("conversation_unassigned").
			Annotations(entsql.IndexWhere("assignee_id IS NULL AND status = 'OPEN'")),
	}
}

// Annotations of conversations.
func (Conversation) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}
