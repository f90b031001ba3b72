package conversation_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"causeway/ent"
	"causeway/internal/platform"
)

// archive is an account whose platform can be asked for a message.
type archive struct {
	mailbox
	lookup func(platform.Trace) (platform.Sent, bool, error)
}

func (a archive) Lookup(_ context.Context, t platform.Trace) (platform.Sent, bool, error) {
	return a.lookup(t)
}

func TestWhatBecameOfACallWithoutAnAnswerIsAskedForOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"no answer": noAnswer(), "a crash after it": errLost, "a crash before it": errCrash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counter(t, func(_ *post, c call) error {
				if c.Text == "Two" {
					return end
				}
				return nil
			}, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
				var traces []platform.Trace
				found := name != "a crash before it"
				p.wrap = func(m mailbox) platform.Account {
					return archive{m, func(t platform.Trace) (platform.Sent, bool, error) {
						p.mu.Lock()
						defer p.mu.Unlock()
						traces = append(traces, t)
						return platform.Sent{ID: "m_found"}, found, nil
					}}
				}
				p.answers(conv, "One")
				id := p.answers(conv, "Two")
				p.settle()
				want, told := "SENT after 1", "ADDED SENT"
				if !found {
					want, told = "FAILED after 1 DELIVERY_UNCONFIRMED", "ADDED FAILED"
				}
				m := p.becomes(id, want)
				if found && text(m.ExternalID) != "m_found" {
					t.Errorf("it is %v", m)
				}
				if got := strings.Join(p.statuses(id), " "); got != told {
					t.Errorf("agents were told %s", got)
				}
				if len(traces) != 1 || traces[0].Chat != mia.ID || traces[0].Text != "Two" || traces[0].Since.IsZero() ||
					!slices.Contains(traces[0].Not, "mia/1001") {
					t.Errorf("it was asked for %v", traces)
				}
				if n := len(p.calls); n != 2 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}
