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

// Message is one thing that was said, or noted, in a conversation.
type Message struct{ ent.Schema }

// Mixin gives messages their ids.
func (Message) Mixin() []ent.Mixin { return with(causeway.PrefixMessage) }

// Fields of a message. seq is its number in the conversation: the order of lists,
// cursors and ties.
func (Message) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.String("account_id").Immutable(),
		ref("conversation_id"),
		optionalRef("contact_id"),
		optionalRef("webhook_log_id"),
		optionalRef("reply_to_id"),
		field.Int64("seq").Immutable().Annotations(entgql.OrderField("SEQ")),
		field.Enum("direction").NamedValues("Inbound", "INBOUND", "Outbound", "OUTBOUND", "Internal", "INTERNAL").Immutable(),
		field.Enum("author_kind").NamedValues("Customer", "CUSTOMER", "Agent", "AGENT", "Bot", "BOT",
			"PlatformInbox", "PLATFORM_INBOX", "System", "SYSTEM").Immutable(),
		field.Text("text").Optional().Nillable(),
		field.String("payload").Optional().Nillable(),
		field.Enum("status").NamedValues("Received", "RECEIVED", "Queued", "QUEUED", "Sent", "SENT",
			"Delivered", "DELIVERED", "Read", "READ", "Failed", "FAILED"),
		field.String("album_id").Optional().Nillable(),
		field.String("forwarded_from").Optional().Nillable(),
		field.String("external_id").Optional().Nillable(),
		field.Time("sent_at"),
		field.Time("created_at").Immutable(),
		field.Time("edited_at").Optional().Nillable(),
		field.Time("delivered_at").Optional().Nillable(),
		field.Time("read_at").Optional().Nillable(),
		field.Time("deleted_at").Optional().Nillable(),
		field.Bool("standby").Default(false).Immutable(),

		optionalRef("author_id"),
		field.JSON("problem", &causeway.Problem{}).Optional(),
		field.String("idempotency_key").Optional().Nillable().Immutable(),

		field.String("queue_key").Optional().Nillable().Immutable().Comment("of what is to be sent: the conversation"),
		field.Time("next_try_at").Optional().Nillable(),
		field.Int("attempts").Default(0),
		field.Time("leased_until").Optional().Nillable(),
		field.Time("queued_at").Optional().Nillable().Comment("when it was last put into the queue"),
		field.Int("failures").Default(0).Comment("tries that came to nothing since queued_at"),
		field.Time("sending_at").Optional().Nillable().Comment("set while the platform is called"),
		field.Int("parts_sent").Default(0).Comment("how many of its parts the platform took: text first, then each attachment"),
	}
}

// Edges of a message.
func (Message) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("conversation", Conversation.Type).Field("conversation_id").Unique().Required().Immutable(),
		edge.To("contact", Contact.Type).Field("contact_id").Unique(),
		edge.To("webhook_log", WebhookLog.Type).Field("webhook_log_id").Unique().Annotations(entgql.Unbind()),
		edge.To("replies", Message.Type).Annotations(entgql.Unbind()).
			From("reply_to").Field("reply_to_id").Unique(),
		edge.From("attachments", Attachment.Type).Ref("message"),
		edge.From("parts", MessagePart.Type).Ref("message").Annotations(entgql.Unbind()),
		edge.From("reactions", Reaction.Type).Ref("message"),
	}
}

// Indexes of messages: one per account and the platform's id, one per number in its
// conversation, one per key that a client chose; what is to be sent is found in order,
// per conversation, and by connection.
func (Message) Indexes() []ent.Index {
	queued := entsql.IndexWhere("status = 'QUEUED'")
	return []ent.Index{
		index.Fields("conversation_id", "seq").Unique(),
		index.Fields("connection_id", "account_id", "external_id").Unique(),
		index.Fields("webhook_log_id"),
		index.Fields("reply_to_id"),
		index.Fields("conversation_id", "sent_at").StorageKey("message_on_its_way").
			Annotations(entsql.IndexWhere("status = 'SENT' OR status = 'DELIVERED'")),
		index.Fields("conversation_id", "idempotency_key").Unique().
			StorageKey("message_idempotency").
			Annotations(entsql.IndexWhere("idempotency_key IS NOT NULL")),
		index.Fields("queue_key", "seq").StorageKey("message_queued").Annotations(queued),
		index.Fields("connection_id").StorageKey("message_queued_by_connection").Annotations(queued),
		index.Fields("connection_id", "queued_at").StorageKey("message_failed_by_connection").
			Annotations(entsql.IndexWhere("status = 'FAILED'")),
	}
}

// Annotations of messages.
func (Message) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}

// Attachment refers to something a message carries. platform_ref is what the
// platform's client fetches it by: never an address, never a token.
type Attachment struct{ ent.Schema }

// Mixin gives attachments their ids.
func (Attachment) Mixin() []ent.Mixin { return with(causeway.PrefixAttachment) }

// Fields of an attachment; place is its order within the message.
func (Attachment) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("message_id"),
		field.Int("place").Immutable(),
		field.Enum("kind").GoType(platform.AttachmentKind("")).Immutable(),
		field.Enum("state").NamedValues("Pending", "PENDING", "Stored", "STORED",
			"TooLarge", "TOO_LARGE", "Failed", "FAILED").Optional().Nillable(),
		field.String("platform_ref").Optional().Nillable().Sensitive(),
		field.String("name").Optional().Nillable(),
		field.String("mime_type").Optional().Nillable(),
		field.Int("size").Optional().Nillable().Comment("bytes"),
		field.Int("width").Optional().Nillable(),
		field.Int("height").Optional().Nillable(),
		field.Float("duration_seconds").Optional().Nillable(),
		field.Float("latitude").Optional().Nillable(),
		field.Float("longitude").Optional().Nillable(),

		field.String("hash").Optional().Nillable().Comment("of its bytes, in the room media"),
		field.String("queue_key").Optional().Nillable().Immutable().Comment("its own id: files wait for nobody"),
		field.Int64("queue_order").Default(0).Immutable(),
		field.Time("next_try_at").Optional().Nillable(),
		field.Int("attempts").Default(0),
		field.Time("leased_until").Optional().Nillable(),
	}
}

// Edges of an attachment.
func (Attachment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("message", Message.Type).Field("message_id").Unique().Required().Immutable(),
	}
}

// Indexes of attachments.
func (Attachment) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("message_id", "place").Unique(),
		index.Fields("queue_key", "queue_order").StorageKey("attachment_pending").
			Annotations(entsql.IndexWhere("state = 'PENDING'")),
	}
}

// MessagePart is a further part of a message of ours that the platform took as a
// message of its own: every one but the first, whose id the message itself has.
type MessagePart struct{ ent.Schema }

// Mixin gives parts their ids.
func (MessagePart) Mixin() []ent.Mixin { return with(causeway.PrefixMessagePart) }

// Fields of a part; place is its order within the message, from 1.
func (MessagePart) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.String("account_id").Immutable(),
		ref("message_id"),
		field.Int("place").Immutable(),
		field.String("external_id").Immutable(),
		field.Time("sent_at").Immutable(),
	}
}

// Edges of a part.
func (MessagePart) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("message", Message.Type).Field("message_id").Unique().Required().Immutable(),
	}
}

// Indexes of parts: one per place, and one per account and the platform's id.
func (MessagePart) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("message_id", "place").Unique(),
		index.Fields("connection_id", "account_id", "external_id").Unique(),
	}
}

// Reaction is one emoji that one person put on a message.
type Reaction struct{ ent.Schema }

// Mixin gives reactions their ids.
func (Reaction) Mixin() []ent.Mixin { return with(causeway.PrefixReaction) }

// Fields of a reaction.
func (Reaction) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("message_id"),
		ref("contact_id"),
		field.String("emoji").Immutable(),
		field.Time("at").Immutable(),
	}
}

// Edges of a reaction.
func (Reaction) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("message", Message.Type).Field("message_id").Unique().Required().Immutable(),
		edge.To("contact", Contact.Type).Field("contact_id").Unique().Required().Immutable(),
	}
}

// Indexes of reactions: a person puts one emoji on a message once.
func (Reaction) Indexes() []ent.Index {
	return []ent.Index{index.Fields("message_id", "contact_id", "emoji").Unique()}
}
