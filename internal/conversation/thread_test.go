package conversation_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	entconversation "causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/conversation"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// borough is an account on a platform on which one app at a time has a chat.
type borough struct {
	mailbox
	asked *asked
}

type asked struct {
	mu     sync.Mutex
	calls  []string
	owner  platform.ThreadOwner // after a claim
	refuse error
}

func (a *asked) note(format string, args ...any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, fmt.Sprintf(format, args...))
	return a.refuse
}

func (b borough) ClaimThread(_ context.Context, chat, why string) (platform.ThreadOwner, error) {
	err := b.asked.note("claim %s", chat)
	return b.asked.owner, err
}

func (b borough) PassThread(_ context.Context, chat, app, why string) error {
	return b.asked.note("pass %s to %s: %s", chat, app, why)
}

func (b borough) PassToInbox(_ context.Context, chat, why string) error {
	return b.asked.note("pass %s to the inbox: %s", chat, why)
}

func (b borough) ReleaseThread(_ context.Context, chat string) error {
	return b.asked.note("release %s", chat)
}

func (p *post) inBorough() *asked {
	a := &asked{}
	p.wrap = func(m mailbox) platform.Account { return borough{m, a} }
	return a
}

func (h *house) owner(conn *ent.Connection) string {
	h.Helper()
	c := h.conversation(conn, mia.ID)
	return fmt.Sprintf("%s %s", c.ThreadOwner, text(c.ThreadOwnerAppID))
}

func TestWhoseTurnItIsFollowsFromWhatWasToldLast(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, _ *ent.Connection) {
		began := causeway.Stamp(time.Now())
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		events := []platform.Event{
			platform.ThreadOwned{Chat: mia, ID: "1", App: ourApp, At: at(1), Text: "Passed to us"},
			platform.ThreadOwned{Chat: mia, ID: "2", App: "777", At: at(2), Text: "Taken by app 777"},
			platform.ThreadOwned{Chat: mia, ID: "3", Unknown: true, At: at(3), Text: "App 888 asks for it"},
			platform.ThreadOwned{Chat: mia, ID: "4", Inbox: true, At: at(4)},
			platform.ThreadOwned{Chat: mia, ID: "5", At: at(5), Text: "Released"},
		}
		want := []string{"NONE ", "US 555", "ANOTHER_APP 777", "ANOTHER_APP 777", "PLATFORM_INBOX ", "NONE "}
		rapid.Check(t, func(r *rapid.T) {
			n := rapid.IntRange(1, len(events)).Draw(r, "how many")
			conn := h.page()
			h.miaSays(conn, "m_0", "Hello?", began)
			for _, e := range rapid.Permutation(slices.Concat(events[:n], events[:n])).Draw(r, "order") {
				h.happens(conn, e)
			}
			if got := h.owner(conn); got != want[n] {
				r.Fatalf("after %d it is %s", n, got)
			}
			notes, err := h.store.Reader().Message.Query().
				Where(message.ConnectionID(conn.ID), message.AuthorKindEQ(message.AuthorKindSystem)).Count(t.Context())
			h.no(err)
			if told := min(n, 3) + n/5; notes != told {
				r.Fatalf("%d notes of %d", notes, told)
			}
		})
	})
}

func TestWhoHasTheChatIsNamedByNewsThatComesLate(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, conn *ent.Connection) {
		began := causeway.Stamp(time.Now())
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		h.happens(conn, platform.MessageAdded{Chat: mia, ID: "m_1", Content: platform.Content{Text: "Overheard"}, SentAt: at(3), Standby: true})
		for i, step := range []struct {
			owned platform.ThreadOwned
			want  string
		}{
			{platform.ThreadOwned{App: ourApp, At: at(1)}, "ANOTHER_APP "}, // it is somebody else's since
			{platform.ThreadOwned{App: "777", At: at(2)}, "ANOTHER_APP 777"},
			{platform.ThreadOwned{App: "666", At: at(0)}, "ANOTHER_APP 777"},
			{platform.ThreadOwned{App: ourApp, At: at(4)}, "US 555"},
		} {
			step.owned.Chat, step.owned.ID = mia, fmt.Sprint(i)
			h.happens(conn, step.owned)
			if got := h.owner(conn); got != step.want {
				t.Errorf("after %d it is %s, not %s", i+1, got, step.want)
			}
		}
	})
}

func TestWhatIsOverheardIsMarkedAndTellsWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, conn *ent.Connection) {
		began := causeway.Stamp(time.Now())
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		h.happens(conn, platform.MessageAdded{Chat: mia, ID: "m_1", Content: platform.Content{Text: "Menu"}, Standby: true, SentAt: at(1)})
		if got := h.owner(conn); got != "ANOTHER_APP " {
			t.Errorf("a message in standby: %s", got)
		}
		h.happens(conn, platform.Echoed{Chat: mia, ID: "m_2", App: "777", Content: platform.Content{Text: "Pizza?"}, Standby: true, SentAt: at(2)})
		if got := h.owner(conn); got != "ANOTHER_APP 777" {
			t.Errorf("a bot's message in standby: %s", got)
		}
		h.miaSays(conn, "m_0", "late", at(0))
		if got := h.owner(conn); got != "ANOTHER_APP 777" {
			t.Errorf("an older message: %s", got)
		}
		h.miaSays(conn, "m_3", "Somebody?", at(3))
		if got := h.owner(conn); got != "NONE " {
			t.Errorf("a message to us: %s", got)
		}
		rows, err := h.store.Reader().Message.Query().Where(message.Standby(true)).Order(message.BySeq()).All(t.Context())
		h.no(err)
		if len(rows) != 2 || text(rows[0].Text) != "Menu" || text(rows[1].Text) != "Pizza?" {
			t.Errorf("in standby were %v", rows)
		}
	})
}

func TestAnotherAppTakesTheChatAndItIsTakenBack(t *testing.T) {
	t.Parallel()
	counter(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		a := p.inBorough()
		a.owner = platform.ThreadOwner{App: ourApp}
		p.happens(conn, platform.ThreadOwned{Chat: mia, ID: "1", App: "777", At: p.clock.Now()})
		_, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: "Yes"})
		if causeway.CodeOf(err) != causeway.ThreadOwnedByAnotherApp || len(p.calls) != 0 {
			t.Fatalf("it was not refused before the call: %v", err)
		}
		if policy := p.policy(conv.ID); policy.Allowed || policy.Problem.Args["app"] != "777" {
			t.Errorf("the policy is %v", policy)
		}
		p.clock.turn(p.clock.Now().Add(time.Second))
		var who causeway.ID
		p.no(p.store.InTx(t.Context(), func(tx *store.Tx) error {
			row, err := tx.User.Create().SetEmail("an@example.com").SetName("An").SetRole(user.RoleAdmin).SetPasswordHash("none").
				SetPresence(user.PresenceOnline).SetCreatedAt(time.Now()).Save(tx.Context())
			who = row.ID
			return err
		}))
		p.no(p.service.Take(auth.WithViewer(t.Context(), &auth.Viewer{UserID: who, Admin: true}), conv.ID))
		if got := p.owner(conn); got != "US 555" || !slices.Equal(a.calls, []string{"claim mia"}) {
			t.Fatalf("taken back it is %s after %v", got, a.calls)
		}
		id := p.answers(conv, "Yes")
		p.settle()
		p.becomes(id, "SENT after 1")
	})
}

func TestARefusalTellsThatAnotherAppHasTheChat(t *testing.T) {
	t.Parallel()
	counter(t, func(*post, call) error {
		return &platform.Refusal{Kind: platform.ThreadTaken, Method: "send", Code: "10/2018300", Message: "no", Sent: true}
	}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		one, two := p.answers(conv, "One"), p.answers(conv, "Two")
		p.settle()
		p.becomes(one, "FAILED after 1 THREAD_OWNED_BY_ANOTHER_APP")
		p.becomes(two, "FAILED after 0 THREAD_OWNED_BY_ANOTHER_APP")
		if got := p.owner(conn); got != "ANOTHER_APP " || len(p.calls) != 1 {
			t.Errorf("it is %s after %d calls", got, len(p.calls))
		}
	})
}

func TestAConversationIsHandedOver(t *testing.T) {
	t.Parallel()
	counter(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		a := p.inBorough()
		give := func(h conversation.Handover, owner, call string) {
			t.Helper()
			p.no(p.store.InTx(t.Context(), func(tx *store.Tx) error {
				return tx.Conversation.UpdateOneID(conv.ID).SetThreadOwner(entconversation.ThreadOwnerUs).Exec(tx.Context())
			}))
			p.clock.turn(p.clock.Now().Add(time.Minute))
			h.Conversation = conv.ID
			p.no(p.service.HandOver(p.agent(), h))
			if got := p.owner(conn); got != owner || a.calls[len(a.calls)-1] != call {
				t.Errorf("it is %s after %v", got, a.calls)
			}
			if c := p.conversation(conn, mia.ID); c.AssigneeID != nil {
				t.Errorf("it is still %s's", *c.AssigneeID)
			}
		}
		give(conversation.Handover{}, "NONE ", "release mia")
		p.happens(conn, platform.ThreadOwned{Chat: mia, ID: "1", App: "777", At: p.clock.Now()})
		give(conversation.Handover{Why: "pizza"}, "ANOTHER_APP 777", "pass mia to 777: pizza")
		give(conversation.Handover{ToInbox: true}, "PLATFORM_INBOX ", "pass mia to the inbox: ")
		if n := p.count("SELECT count(*) FROM audit_entries WHERE action = 'handOverConversation'"); n != 3 {
			t.Errorf("%d entries in the audit log", n)
		}

		a.refuse = &platform.Refusal{Kind: platform.ThreadTaken, Code: "10/2018300", Message: "no", Sent: true}
		err := p.service.HandOver(p.agent(), conversation.Handover{Conversation: conv.ID})
		if causeway.CodeOf(err) != causeway.ThreadOwnedByAnotherApp {
			t.Errorf("refused: %v", err)
		}
		p.wrap = nil
		err = p.service.HandOver(p.agent(), conversation.Handover{Conversation: conv.ID})
		if causeway.CodeOf(err) != causeway.Conflict {
			t.Errorf("where there is nobody to hand it to: %v", err)
		}
	})
}

// policy is what the viewer is told before sending.
func (p *post) policy(id causeway.ID) conversation.Policy {
	p.Helper()
	policies, err := p.service.Policies(p.Context(), []causeway.ID{id})
	p.no(err)
	return policies[id]
}
