package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"causeway"
	"causeway/ent"
	"causeway/ent/accesstoken"
	"causeway/ent/attachment"
	"causeway/ent/auditentry"
	"causeway/ent/campaign"
	"causeway/ent/connection"
	"causeway/ent/contact"
	"causeway/ent/conversation"
	"causeway/ent/facebooklogin"
	"causeway/ent/message"
	"causeway/ent/queue"
	"causeway/ent/quickreply"
	"causeway/ent/tag"
	"causeway/ent/testreport"
	"causeway/ent/user"
	"causeway/ent/webhooklog"
)

// nodeTables are the tables of the types that implement Node, by their ids' prefix.
var nodeTables = map[string]string{
	causeway.PrefixUser:          user.Table,
	causeway.PrefixAccessToken:   accesstoken.Table,
	causeway.PrefixCampaign:      campaign.Table,
	causeway.PrefixConnection:    connection.Table,
	causeway.PrefixWebhookLog:    webhooklog.Table,
	causeway.PrefixTestReport:    testreport.Table,
	causeway.PrefixContact:       contact.Table,
	causeway.PrefixConversation:  conversation.Table,
	causeway.PrefixMessage:       message.Table,
	causeway.PrefixAttachment:    attachment.Table,
	causeway.PrefixQueue:         queue.Table,
	causeway.PrefixQuickReply:    quickreply.Table,
	causeway.PrefixTag:           tag.Table,
	causeway.PrefixAuditEntry:    auditentry.Table,
	causeway.PrefixFacebookLogin: facebooklogin.Table,
}

func nodeTable(_ context.Context, id causeway.ID) (string, error) {
	table, ok := nodeTables[id.Prefix()]
	if !ok {
		return "", &ent.NotFoundError{}
	}
	return table, nil
}

// nodes fetches objects by id, one statement per type, each in its id's place; null
// for what does not exist or may not be seen.
func (r *Resolver) nodes(ctx context.Context, ids []causeway.ID) ([]ent.Noder, error) {
	if len(ids) > maxPage {
		return nil, &gqlerror.Error{
			Message:    fmt.Sprintf("nodes: ask for at most %d ids", maxPage),
			Extensions: map[string]any{"code": string(causeway.BadUserInput)},
		}
	}
	found := make([]ent.Noder, len(ids))
	known := make([]causeway.ID, 0, len(ids))
	for _, id := range ids {
		if _, ok := nodeTables[id.Prefix()]; ok && !slices.Contains(known, id) {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return found, nil
	}
	if len(known) == 1 {
		// ent answers a single one differently.
		node, err := r.node(ctx, known[0])
		return spread(found, ids, known, []ent.Noder{node}), err
	}
	// What is not there, ent reports as an error of its place. Here it is null, so its
	// errors are looked through apart from the response's.
	var trouble error
	apart := graphql.WithResponseContext(ctx, func(ctx context.Context, err error) *gqlerror.Error {
		if !ent.IsNotFound(err) && !isNodeNotFound(err) {
			trouble = err
		}
		return gqlerror.Wrap(err)
	}, r.Recover)
	nodes, err := r.Viewers.Noders(apart, known, ent.WithNodeType(nodeTable))
	if err == nil {
		err = trouble
	}
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	return spread(found, ids, known, nodes), nil
}

func (r *Resolver) node(ctx context.Context, id causeway.ID) (ent.Noder, error) {
	if _, ok := nodeTables[id.Prefix()]; !ok {
		return nil, nil
	}
	node, err := r.Viewers.Noder(ctx, id, ent.WithNodeType(nodeTable))
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return node, err
}

// spread puts nodes into the places of their ids.
func spread(into []ent.Noder, ids, known []causeway.ID, nodes []ent.Noder) []ent.Noder {
	for i, id := range ids {
		if at := slices.Index(known, id); at >= 0 {
			into[i] = nodes[at]
		}
	}
	return into
}

func isNodeNotFound(err error) bool {
	located, ok := err.(*gqlerror.Error)
	return ok && located.Extensions["code"] == "NOT_FOUND"
}
