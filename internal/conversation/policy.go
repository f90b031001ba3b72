package conversation

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/conversation"
	"causeway/ent/user"
)

// Policy says whether a message that is sent now would be let through.
type Policy struct {
	// Allowed: Reply takes a message.
	Allowed bool
	// Problem is why not, or why the message would wait; nil if it goes out.
	Problem *causeway.Problem
}

// Policies are those of conversations, by their ids; nothing for one that does not
// exist. Whoever asks has made sure that the viewer sees them.
func (s *Service) Policies(ctx context.Context, ids []causeway.ID) (map[causeway.ID]Policy, error) {
	convs, err := s.store.Reader().Conversation.Query().
		Where(conversation.IDIn(ids...)).WithContact().WithConnection().
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read reply policies: %w", err)
	}
	policies := make(map[causeway.ID]Policy, len(convs))
	for _, conv := range convs {
		policies[conv.ID] = policyOf(conv)
	}
	return policies, nil
}

func policyOf(conv *ent.Conversation) Policy {
	if why := refusal(conv); why != nil {
		return Policy{Problem: &why.Problem}
	}
	return Policy{Allowed: true, Problem: obstacle(conv)}
}

// refusal is why nothing may be sent in a conversation, or nil. Its contact and
// connection are loaded.
func refusal(conv *ent.Conversation) *causeway.Error {
	conn := conv.Edges.Connection
	if conn.DisconnectedAt != nil || conn.AccountID != conv.AccountID {
		return causeway.Fail(causeway.NotConnected)
	}
	if conv.Edges.Contact.Blocked {
		return causeway.Fail(causeway.BlockedByContact)
	}
	return nil
}

// obstacle is why what is sent has to wait until the connection works again, or nil.
func obstacle(conv *ent.Conversation) *causeway.Problem {
	conn := conv.Edges.Connection
	if conn.Status != connection.StatusInactive {
		return nil
	}
	if conn.Problem != nil {
		return conn.Problem
	}
	return &causeway.Fail(causeway.TokenRevoked).Problem
}

// Authors are the people who wrote messages or have conversations, by their ids. Whoever
// sees a message or a conversation sees whose it is, also one who is in the campaign no
// more: ask for those of what the viewer sees, and nobody else.
func (s *Service) Authors(ctx context.Context, ids []causeway.ID) (map[causeway.ID]*ent.User, error) {
	people, err := s.store.Reader().User.Query().Where(user.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read authors: %w", err)
	}
	authors := make(map[causeway.ID]*ent.User, len(people))
	for _, u := range people {
		authors[u.ID] = u
	}
	return authors, nil
}
