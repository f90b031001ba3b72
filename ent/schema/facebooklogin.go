package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
	"causeway/internal/platform"
)

// FacebookLogin is one trip of a person through Facebook's login dialog. It is seen by
// who started it alone.
type FacebookLogin struct{ ent.Schema }

// Mixin gives logins their ids.
func (FacebookLogin) Mixin() []ent.Mixin { return with(causeway.PrefixFacebookLogin) }

// Fields of a login. The state that the dialog brings back is kept as a hash, the
// person's token sealed, and erased when the login expires. What is shown of it depends
// on the time, too, so nothing of it is read by itself (entgql.Skip).
func (FacebookLogin) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("user_id"),
		field.String("state_hash").Sensitive().Immutable(),
		field.String("return_origin").Immutable(),
		field.Enum("status").NamedValues("Pending", "PENDING", "Authorized", "AUTHORIZED", "Failed", "FAILED", "Expired", "EXPIRED").
			Annotations(entgql.Skip(entgql.SkipType)),
		field.String("user_name").Optional().Nillable(),
		field.String("facebook_user_id").Optional().Nillable(),
		field.JSON("permissions", []platform.Permission{}).Optional(),
		field.JSON("pages", []platform.Profile{}).Optional().Annotations(entgql.Skip(entgql.SkipType)),
		field.JSON("problem", &causeway.Problem{}).Optional().Annotations(entgql.Skip(entgql.SkipType)),
		field.Bytes("sealed_token").Optional().Nillable().Sensitive().SchemaType(rawBytes),
		field.Time("token_expires_at").Optional().Nillable(),
		field.Time("data_access_expires_at").Optional().Nillable(),
		field.Time("used_at").Optional().Nillable().Comment("when the dialog came back"),
		field.Time("expires_at"),
		field.Time("created_at").Immutable(),
	}
}

// Edges of a login.
func (FacebookLogin) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("campaign", Campaign.Type).Field("campaign_id").Unique().Required().Immutable(),
	}
}

// Indexes of logins: a state is one login's; a person's newest in a campaign tells
// whether what they refused is to be asked again; what is over is found by its end.
func (FacebookLogin) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("state_hash").Unique(),
		index.Fields("campaign_id", "user_id", "created_at"),
		index.Fields("expires_at"),
	}
}
