package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"causeway"
	"causeway/ent"
	"causeway/graph/generated"
	"causeway/graph/model"
)

// NewSchema is the schema with its resolvers and what its lists cost.
func NewSchema(r *Resolver) graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{Resolvers: r, Complexity: complexity()})
}

// PublicFields are the root fields that need no viewer.
func PublicFields() []string { return []string{"signIn"} }

// Extensions are what every operation passes through, in order.
func (r *Resolver) Extensions() []graphql.HandlerExtension {
	return []graphql.HandlerExtension{Pages{}, together{r}}
}

// together is LoadTogether as an extension.
type together struct{ *Resolver }

// ExtensionName names it for gqlgen.
func (together) ExtensionName() string { return "LoadTogether" }

// Validate has nothing to check.
func (together) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives an operation its loaders.
func (t together) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return t.LoadTogether(ctx, next)
}

// complexity counts what a list multiplies: its page times what one item costs.
func complexity() (c generated.ComplexityRoot) {
	paged := func(item int, first, last *int) int {
		n := defaultPage
		switch {
		case first != nil:
			n = *first
		case last != nil:
			n = *last
		}
		return 1 + max(n, 0)*item
	}
	c.Query.Nodes = func(item int, ids []causeway.ID) int { return 1 + len(ids)*item }
	c.Query.Users = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int) int {
		return paged(item, first, last)
	}
	c.Query.Campaigns = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int, _ *bool) int {
		return paged(item, first, last)
	}
	c.Campaign.Conversations = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int, _ *ent.ConversationOrder, _ *model.ConversationFilter) int {
		return paged(item, first, last)
	}
	c.Campaign.AuditLog = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int) int {
		return paged(item, first, last)
	}
	c.Conversation.Messages = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int) int {
		return paged(item, first, last)
	}
	c.Connection.WebhookLogs = func(item int, _ *ent.Cursor, first *int, _ *ent.Cursor, last *int, _ *model.WebhookLogFilter) int {
		return paged(item, first, last)
	}
	c.Connection.TestReports = func(item int, first *int) int { return paged(item, first, nil) }
	return c
}
