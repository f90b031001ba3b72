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
)

// WebhookLog is one update as it was posted or polled: the work that is queued, and
// the record that stays.
type WebhookLog struct{ ent.Schema }

// Mixin gives logs their ids.
func (WebhookLog) Mixin() []ent.Mixin { return with(causeway.PrefixWebhookLog) }

// Fields of a log. position is the order of arrival; queue_key is what updates are
// kept in order within: the connection and the chat.
func (WebhookLog) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.String("account_id").Immutable(),
		field.String("update_key").Optional().Nillable().Immutable(),
		field.String("event_type").Immutable(),
		// Who sees the payload depends on the campaign. A query that selects it by name
		// would select it alone, so it is unknown to entgql: then every column is read.
		field.Bytes("payload").Immutable().SchemaType(rawBytes).Annotations(entgql.Skip(entgql.SkipAll)),
		field.Int("response_status").Default(200).Immutable(),
		field.Bool("test").Default(false).Immutable(),
		field.Enum("status").NamedValues(
			"Pending", "PENDING", "Processed", "PROCESSED", "Duplicate", "DUPLICATE",
			"Ignored", "IGNORED", "Failed", "FAILED", "Discarded", "DISCARDED"),
		field.String("error").Optional().Nillable(),
		field.Time("received_at").Immutable(),
		field.Time("processed_at").Optional().Nillable(),
		field.Float("duration_ms").Optional().Nillable(),

		field.Int64("position").Immutable().Annotations(entgql.OrderField("POSITION")),
		field.String("queue_key").Immutable(),
		field.Time("next_try_at"),
		field.Int("attempts").Default(0),
		field.Int("attempts_before").Default(0).Comment("of attempts, those before it was last put back by a replay"),
		field.Bool("applied_before").Default(false).Comment("it was applied, and is put back by a replay"),
		field.Time("leased_until").Optional().Nillable(),
	}
}

// Edges of a log.
func (WebhookLog) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("connection", Connection.Type).Field("connection_id").Unique().Required().Immutable(),
		edge.From("messages", Message.Type).Ref("webhook_log"),
	}
}

// Indexes of logs: an update is applied once, so it is stored once among those that
// are not DUPLICATE; what waits is found in order, per chat and over all.
func (WebhookLog) Indexes() []ent.Index {
	pending := entsql.IndexWhere("status = 'PENDING'")
	return []ent.Index{
		index.Fields("connection_id", "account_id", "update_key").Unique().
			StorageKey("webhook_log_update").
			Annotations(entsql.IndexWhere("status <> 'DUPLICATE'")),
		index.Fields("connection_id", "position"),
		index.Fields("connection_id", "status", "position"),
		index.Fields("position").StorageKey("webhook_log_waiting").Annotations(pending),
		index.Fields("queue_key", "position").StorageKey("webhook_log_waiting_by_key").Annotations(pending),
		index.Fields("received_at"),
	}
}

// Annotations of logs.
func (WebhookLog) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}
