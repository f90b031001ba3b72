package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"causeway"
)

// Notice is one time that a connection did not work, from the look that proved it to
// the one that found it working again.
type Notice struct{ ent.Schema }

// Mixin gives notices their ids.
func (Notice) Mixin() []ent.Mixin { return with(causeway.PrefixNotice) }

// Fields of a notice.
func (Notice) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("connection_id"),
		field.Time("opened_at").Immutable(),
		field.Time("closed_at").Optional().Nillable().Comment("empty while the connection does not work"),
	}
}

// Edges of a notice.
func (Notice) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("connection", Connection.Type).Field("connection_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.From("letters", NoticeLetter.Type).Ref("notice"),
	}
}

// Indexes of notices: one is open per connection.
func (Notice) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("connection_id").Unique().
			StorageKey("notice_open").
			Annotations(entsql.IndexWhere("closed_at IS NULL")),
		index.Fields("closed_at"),
	}
}

// NoticeLetter is the e-mail about a notice to one person.
type NoticeLetter struct{ ent.Schema }

// Mixin gives letters their ids.
func (NoticeLetter) Mixin() []ent.Mixin { return with(causeway.PrefixNoticeLetter) }

// Fields of a letter. Neither address nor words are kept: both are the person's and the
// connection's when it is sent.
func (NoticeLetter) Fields() []ent.Field {
	return []ent.Field{
		ref("campaign_id"),
		ref("notice_id"),
		ref("user_id"),
		field.Enum("state").NamedValues("Waiting", "WAITING", "Sent", "SENT", "Refused", "REFUSED", "Late", "LATE", "Dropped", "DROPPED").
			Comment("SENT: the mail server took it; REFUSED: it never will; LATE: it did not within a day; DROPPED: nobody needs it any more"),
		field.Time("created_at").Immutable(),
		field.Time("sent_at").Optional().Nillable(),

		field.String("queue_key").Immutable().Comment("its own id: letters wait for nobody"),
		field.Int64("queue_order").Default(0).Immutable(),
		field.Time("next_try_at"),
		field.Int("attempts").Default(0),
		field.Time("leased_until").Optional().Nillable(),
	}
}

// Edges of a letter.
func (NoticeLetter) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("notice", Notice.Type).Field("notice_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of letters: one per notice and person.
func (NoticeLetter) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("notice_id", "user_id").Unique(),
		index.Fields("queue_key", "queue_order").StorageKey("notice_letter_waiting").
			Annotations(entsql.IndexWhere("state = 'WAITING'")),
	}
}
