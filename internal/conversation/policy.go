package conversation

import (
	"context"
	"fmt"
	"time"

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
	// Window is how long what may be sent, by the platform's rule; ClosesAt is when that
	// changes for the worse, nil where it never does.
	Window   Window
	ClosesAt *time.Time
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
		policies[conv.ID] = s.policyOf(conv)
	}
	return policies, nil
}

func (s *Service) policyOf(conv *ent.Conversation) Policy {
	var p Policy
	w, at := window(s.limits[conv.Platform], conv, s.clock.Now())
	p.Window = w
	if w == WindowStandard || w == WindowHuman {
		p.ClosesAt = &at
	}
	if why := s.refusal(conv); why != nil {
		p.Problem = &why.Problem
		return p
	}
	p.Allowed, p.Problem = true, obstacle(conv)
	return p
}

// refusal is why nothing may be sent in a conversation, or nil. Its contact and
// connection are loaded.
func (s *Service) refusal(conv *ent.Conversation) *causeway.Error {
	if why := unconnected(conv); why != nil {
		return why
	}
	if conv.Edges.Contact.Blocked {
		return causeway.Fail(causeway.BlockedByContact)
	}
	if why := threadRefusal(conv); why != nil {
		return why
	}
	return s.closed(conv)
}

// unconnected is the refusal of everything in a conversation whose account is not behind
// its connection any more, or nil.
func unconnected(conv *ent.Conversation) *causeway.Error {
	conn := conv.Edges.Connection
	if conn.DisconnectedAt != nil || conn.AccountID != conv.AccountID {
		return causeway.Fail(causeway.NotConnected)
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

// InboxURL is where a conversation's account is answered at the platform itself; empty
// where the platform has no such place.
func (s *Service) InboxURL(conv *ent.Conversation) string {
	if inbox := s.limits[conv.Platform].Inbox; inbox != nil {
		return inbox(conv.AccountID)
	}
	return ""
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
