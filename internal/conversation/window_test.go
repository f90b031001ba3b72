package conversation_test

import (
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/conversation"
	"causeway/internal/platform"
)

func TestTheWindowForAnswersClosesInTwoSteps(t *testing.T) {
	t.Parallel()
	counter(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		wrote := p.clock.Now()
		for _, try := range []struct {
			after  time.Duration
			window conversation.Window
			closes time.Duration
		}{
			{0, conversation.WindowStandard, 24 * time.Hour},
			{23 * time.Hour, conversation.WindowStandard, 24 * time.Hour},
			{24 * time.Hour, conversation.WindowHuman, 7 * 24 * time.Hour},
			{7*24*time.Hour - time.Hour, conversation.WindowHuman, 7 * 24 * time.Hour},
		} {
			p.clock.turn(wrote.Add(try.after))
			policy := p.policy(conv.ID)
			if policy.Window != try.window || policy.ClosesAt == nil || !policy.ClosesAt.Equal(wrote.Add(try.closes)) || !policy.Allowed {
				t.Errorf("after %s: %+v", try.after, policy)
			}
			id := p.answers(conv, "Yes")
			p.rest()
			p.mu.Lock()
			if last := p.calls[len(p.calls)-1]; last.HumanAgent != (try.window == conversation.WindowHuman) {
				t.Errorf("after %s it was sent as %v", try.after, last)
			}
			p.mu.Unlock()
			p.becomes(id, "SENT after 1")
		}
		p.clock.turn(wrote.Add(7 * 24 * time.Hour))
		_, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: "Yes"})
		policy := p.policy(conv.ID)
		if causeway.CodeOf(err) != causeway.ReplyWindowClosed || policy.Allowed || policy.Window != conversation.WindowClosed || policy.ClosesAt != nil {
			t.Fatalf("closed: %v, %+v", err, policy)
		}
		if at := policy.Problem.Args["closedAt"]; at != wrote.Add(7*24*time.Hour).Format("2006-01-02 15:04 MST") {
			t.Errorf("it closed on %s", at)
		}

		again := p.clock.Now()
		p.happens(conn, platform.Reacted{Chat: mia, Author: mia.Contact, MessageID: "m_hello", Emoji: []string{"👍"}, At: again})
		if policy := p.policy(conv.ID); policy.Window != conversation.WindowStandard || !policy.Allowed {
			t.Errorf("after a reaction: %+v", policy)
		}
		p.happens(conn, platform.ButtonTapped{Chat: mia, ID: "t1", Label: "More", At: again.Add(-time.Hour)})
		if c := p.conversation(conn, mia.ID); !c.CustomerWroteAt.Equal(again) {
			t.Errorf("an older tap moved it to %s", c.CustomerWroteAt)
		}
	})
}

func TestAWindowThatClosesBetweenQueueingAndSendingFailsTheMessage(t *testing.T) {
	t.Parallel()
	counter(t, func(*post, call) error {
		return &platform.Refusal{Kind: platform.RetryAfter, Method: "send", Code: "4", Message: "no", Wait: 20 * time.Hour, Sent: true}
	}, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		wrote := p.clock.Now()
		p.clock.turn(wrote.Add(7*24*time.Hour - time.Hour))
		id := p.answers(conv, "Yes")
		if next := p.rest(); !next.Equal(wrote.Add(7 * 24 * time.Hour)) {
			t.Errorf("it is looked at again on %s", next)
		}
		p.settle()
		p.becomes(id, "FAILED after 0 REPLY_WINDOW_CLOSED")
		if len(p.calls) != 1 {
			t.Errorf("%d calls", len(p.calls))
		}
	})
}
