package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
	"causeway/internal/platform"
)

// Connection is a page or bot that is linked to a campaign.
type Connection struct{ ent.Schema }

// Mixin gives connections their ids.
func (Connection) Mixin() []ent.Mixin { return with(causeway.PrefixConnection) }

// Fields of a connection. The token and the webhook's secret are sealed with the
// row's id; nothing of them is readable in a copy of the database.
func (Connection) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		field.Enum("platform").GoType(platform.Name("")).Immutable(),
		field.String("account_id").Comment("the platform's id of the page or bot"),
		field.JSON("profile", platform.Profile{}),
		field.String("name"),
		field.String("language").Optional().Nillable(),
		field.Bool("enabled").Default(true),
		field.String("authorized_by").Optional().Nillable(),
		optionalRef("queue_id"),
		optionalRef("assignee_id"),
		field.String("avatar_ref").Optional().Nillable().Sensitive().Comment("what the picture kept was fetched by"),
		field.String("avatar_hash").Optional().Nillable().Comment("of the picture kept, in the room media"),
		field.String("avatar_type").Optional().Nillable(),

		field.Enum("status").NamedValues("Active", "ACTIVE", "Inactive", "INACTIVE", "Error", "ERROR"),
		field.JSON("problem", &causeway.Problem{}).Optional(),
		field.JSON("warnings", []causeway.Problem{}).Optional(),

		field.Bytes("sealed_token").Optional().Nillable().Sensitive().SchemaType(rawBytes),
		field.Bool("token_valid").Default(false),
		field.Time("token_refreshed_at").Optional().Nillable(),
		field.Time("token_expires_at").Optional().Nillable(),
		field.Time("token_refresh_at").Optional().Nillable().Comment("when the server renews it"),
		field.Time("data_access_expires_at").Optional().Nillable(),
		field.Bytes("sealed_user_token").Optional().Nillable().Sensitive().SchemaType(rawBytes).
			Comment("the long-lived token of the person who logged in, from which the page's is had again"),
		field.String("authorizer_id").Optional().Nillable().Comment("the platform's id of the person whose token it works with; empty if it is nobody's"),
		field.String("app_id").Optional().Nillable().Comment("the platform's app that the token belongs to"),
		field.Bytes("sealed_app_secret").Optional().Nillable().Sensitive().SchemaType(rawBytes).
			Comment("of the person's own app; empty where it is this server's"),
		field.JSON("permissions", []platform.Permission{}).Optional(),

		field.Enum("delivery").NamedValues("Webhook", "WEBHOOK", "Polling", "POLLING"),
		field.String("webhook_key").Comment("in the webhook's address; random, not the token"),
		field.Bytes("sealed_webhook_secret").Optional().Nillable().Sensitive().SchemaType(rawBytes),
		field.Enum("webhook_status").NamedValues("Active", "ACTIVE", "Inactive", "INACTIVE", "Error", "ERROR"),
		field.JSON("webhook_problem", &causeway.Problem{}).Optional(),
		field.Strings("subscribed_fields").Optional(),
		field.Time("registered_at").Optional().Nillable().
			Comment("when the platform last took our registration; empty while it is to be made"),
		field.Int64("poll_offset").Default(0).Comment("the next update to fetch while delivery is POLLING"),
		field.Time("poll_leased_until").Optional().Nillable(),
		field.Int("platform_pending").Default(0).Comment("updates waiting at the platform, as last read"),

		field.Time("last_received_at").Optional().Nillable(),
		field.Int("total_received").Default(0),
		field.Int("error_count").Default(0),
		field.Int("rejected_count").Default(0),

		field.Time("connected_at").Immutable(),
		field.Time("reconnected_at").Optional().Nillable(),
		field.Time("disconnected_at").Optional().Nillable(),
		field.Time("last_synced_at").Optional().Nillable(),

		field.Int("failed_checks").Default(0).Comment("in a row"),
		field.Time("next_check_at").Optional().Nillable(),
		field.Time("leased_until").Optional().Nillable(),
	}
}

// Edges of a connection.
func (Connection) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
		edge.To("queue", Queue.Type).Field("queue_id").Unique(),
		edge.To("assignee", User.Type).Field("assignee_id").Unique().Annotations(entgql.Unbind()),
		edge.From("webhook_logs", WebhookLog.Type).Ref("connection").
			Annotations(entgql.Unbind(), entgql.RelayConnection()),
		edge.From("test_reports", TestReport.Type).Ref("connection").Annotations(entgql.Unbind()),
	}
}

// Indexes of connections: a platform account stands behind one live connection at a
// time, whoever asks at the same moment.
func (Connection) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("platform", "account_id").Unique().
			StorageKey("connection_live_account").
			Annotations(entsql.IndexWhere("disconnected_at IS NULL")),
		index.Fields("webhook_key").Unique(),
		index.Fields("campaign_id", "connected_at", "id"),
		index.Fields("campaign_id", "platform", "account_id"),
		index.Fields("queue_id"),
		index.Fields("assignee_id"),
		index.Fields("next_check_at").
			StorageKey("connection_due").
			Annotations(entsql.IndexWhere("disconnected_at IS NULL")),
	}
}

// TestReport is what a test or health check of a connection found.
type TestReport struct{ ent.Schema }

// Mixin gives reports their ids.
func (TestReport) Mixin() []ent.Mixin { return with(causeway.PrefixTestReport) }

// Fields of a report.
func (TestReport) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.Enum("kind").NamedValues("Connection", "CONNECTION", "Webhook", "WEBHOOK", "Health", "HEALTH").Immutable(),
		field.Bool("passed").Immutable(),
		field.JSON("checks", []platform.Check{}).Immutable(),
		field.Time("started_at").Immutable(),
		field.Float("duration_ms").Immutable(),
	}
}

// Edges of a report.
func (TestReport) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("connection", Connection.Type).Field("connection_id").Unique().Required().Immutable(),
	}
}

// Indexes of reports.
func (TestReport) Indexes() []ent.Index {
	return []ent.Index{index.Fields("connection_id", "started_at", "id")}
}
