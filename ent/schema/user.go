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

// User is a person who signs in.
type User struct{ ent.Schema }

// Mixin gives users their ids.
func (User) Mixin() []ent.Mixin { return with(causeway.PrefixUser) }

// Fields of a user. The address is kept in lower case, as it is compared.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("email"),
		field.String("name"),
		field.Enum("role").NamedValues("Admin", "ADMIN", "Agent", "AGENT"),
		field.String("language").Default("en"),
		field.String("password_hash").Sensitive(),
		field.Time("deactivated_at").Optional().Nillable(),
		field.Time("created_at").Immutable().Annotations(entgql.OrderField("CREATED_AT")),

		field.Enum("presence").NamedValues("Online", "ONLINE", "Away", "AWAY", "Offline", "OFFLINE").Default("OFFLINE").
			Comment("as it holds now: what was said, unless their sockets are gone"),
		field.Enum("said_presence").NamedValues("Online", "ONLINE", "Away", "AWAY", "Offline", "OFFLINE").Default("OFFLINE").
			Comment("what setPresence said last"),
		field.Time("seen_at").Optional().Nillable().
			Comment("when a socket of theirs was last known to be open; empty if none was since setPresence"),
	}
}

// Edges of a user.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tokens", AccessToken.Type).Ref("user").Annotations(entgql.Unbind()),
		edge.From("memberships", CampaignMember.Type).Ref("user").Annotations(entgql.Unbind()),
	}
}

// Indexes of users.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("email").Unique(),
		index.Fields("created_at", "id"),
		index.Fields("seen_at").StorageKey("user_seen").
			Annotations(entsql.IndexWhere("seen_at IS NOT NULL")),
	}
}

// Annotations of users.
func (User) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection()}
}

// AccessToken is a bearer token of a user: one made by signing in, or one made by
// name. Only a hash of its secret is kept.
type AccessToken struct{ ent.Schema }

// Mixin gives tokens their ids.
func (AccessToken) Mixin() []ent.Mixin { return with(causeway.PrefixAccessToken) }

// Fields of a token.
func (AccessToken) Fields() []ent.Field {
	return []ent.Field{
		ref("user_id"),
		field.String("name").Immutable(),
		field.String("prefix").Immutable(),
		field.String("hash").Sensitive().Immutable(),
		field.Time("created_at").Immutable(),
		field.Time("expires_at").Optional().Nillable().Immutable(),
		field.Time("last_used_at").Optional().Nillable(),
	}
}

// Edges of a token.
func (AccessToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of tokens.
func (AccessToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash").Unique(),
		index.Fields("user_id", "created_at"),
	}
}
