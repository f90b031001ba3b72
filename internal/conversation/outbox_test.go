package conversation_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/conversation"
	"causeway/internal/platform"
	"causeway/internal/store"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTheSameKeyAtTheSameTimeIsOneMessage(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		ids := make([]causeway.ID, 10)
		var calls sync.WaitGroup
		for i := range ids {
			calls.Go(func() {
				id, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: "Yes", Key: "k1"})
				if err != nil {
					t.Error(err)
				}
				ids[i] = id
			})
		}
		calls.Wait()
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("ten calls made %v", ids)
		}
		other, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: "No", Key: "k1"})
		p.no(err)
		if other != ids[0] {
			t.Error("the same key again stored another message")
		}
		p.settle()
		if got := p.takenBy(anaChat); !slices.Equal(got, []string{"Yes"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestARefusalDecidesWhatBecomesOfAMessage(t *testing.T) {
	t.Parallel()
	refused := func(kind platform.RefusalKind, sent bool) *platform.Refusal {
		return &platform.Refusal{Kind: kind, Method: "send", Code: "4", Message: "no", Sent: sent, Wait: time.Hour}
	}
	tries := map[string]struct {
		refusal *platform.Refusal
		rest    string // until the clock is turned
		end     string // when it was refused once
		told    string
	}{
		"rejected":     {refused(platform.Rejected, true), "FAILED after 1 PLATFORM_ERROR", "FAILED after 1 PLATFORM_ERROR", "ADDED FAILED"},
		"blocked":      {refused(platform.Blocked, true), "FAILED after 1 BLOCKED_BY_CONTACT", "FAILED after 1 BLOCKED_BY_CONTACT", "ADDED FAILED"},
		"no answer":    {refused(platform.Unreachable, true), "FAILED after 1 DELIVERY_UNCONFIRMED", "FAILED after 1 DELIVERY_UNCONFIRMED", "ADDED FAILED"},
		"not reached":  {refused(platform.Unreachable, false), "QUEUED after 0 NETWORK_ERROR", "SENT after 1", "ADDED QUEUED SENT"},
		"unavailable":  {refused(platform.Unavailable, true), "QUEUED after 1 PLATFORM_ERROR", "SENT after 2", "ADDED QUEUED SENT"},
		"too many":     {refused(platform.RetryAfter, true), "QUEUED after 0 RATE_LIMITED", "SENT after 1", "ADDED QUEUED SENT"},
		"unauthorized": {refused(platform.Unauthorized, true), "QUEUED after 0 TOKEN_REVOKED", "SENT after 1", "ADDED QUEUED SENT"},
	}
	for name, try := range tries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk(t, func(c call) error {
				if c.nth == 0 {
					return try.refusal
				}
				return nil
			}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
				began := p.clock.Now()
				id := p.answers(conv, "Yes")
				p.rest()
				m := p.becomes(id, try.rest)
				if m.Problem == nil || m.Problem.PlatformMessage != "no" || m.Problem.OccurredAt.IsZero() {
					p.Errorf("its problem is %v", m.Problem)
				}
				p.settle()
				m = p.becomes(id, try.end)
				if m.Status == message.StatusSent && (m.ExternalID == nil || m.Problem != nil || m.SendingAt != nil || m.LeasedUntil != nil) {
					p.Errorf("it is %v", m)
				}
				if waited := p.clock.Now().Sub(began); try.refusal.Kind == platform.RetryAfter && waited < time.Hour {
					p.Errorf("it waited %s", waited)
				}
				if got := strings.Join(p.statuses(id), " "); got != try.told {
					p.Errorf("agents were told %s", got)
				}
				ofTheConnection := try.refusal.Kind == platform.Unauthorized || name == "not reached"
				if checks := len(p.checked); (checks > 0) != ofTheConnection {
					p.Errorf("%d checks were asked for", checks)
				}
				if blocked := p.conversation(conn, anaChat).Edges.Contact.Blocked; blocked != (name == "blocked") {
					p.Errorf("blocked is %v", blocked)
				}
			})
		})
	}
}

func TestAMessageIsGivenUpAfterEightTriesInAboutAnHour(t *testing.T) {
	t.Parallel()
	always := platform.Refusal{Kind: platform.Unavailable, Method: "send", Code: "502", Message: "down", Sent: true}
	desk(t, func(call) error { return &always }, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		id := p.answers(conv, "Yes")
		p.settle()
		p.becomes(id, "FAILED after 8 PLATFORM_ERROR")
		if took := p.calls[7].at.Sub(p.calls[0].at); took < 50*time.Minute || took > 80*time.Minute {
			p.Errorf("eight tries took %s", took)
		}
		p.no(p.service.Retry(p.agent(), id))
		p.settle()
		p.becomes(id, "FAILED after 16 PLATFORM_ERROR")
	})
}

func TestWhatACallThatNobodySurvivedSentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	desk(t, func(c call) error {
		switch c.Text {
		case "one":
			return errLost
		case "two":
			return errCrash
		}
		return nil
	}, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		one, two, three := p.answers(conv, "one"), p.answers(conv, "two"), p.answers(conv, "three")
		p.settle()
		p.becomes(one, "FAILED after 1 DELIVERY_UNCONFIRMED")
		p.becomes(two, "FAILED after 1 DELIVERY_UNCONFIRMED")
		p.becomes(three, "SENT after 1")
		if got := p.takenBy(anaChat); !slices.Equal(got, []string{"one", "three"}) {
			p.Errorf("the customer got %q", got)
		}
	})
}

func TestALateAnswerOfThePlatformCounts(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		calling, answered := make(chan struct{}), make(chan struct{})
		p := newPost(h, func(call) error { close(calling); <-answered; return nil })
		id := p.answers(h.conversation(conn, anaChat), "Yes")
		<-calling
		p.clock.turn(p.clock.Now().Add(time.Minute)) // the lease is over: somebody else gives it up
		p.becomesSoon(id, message.StatusFailed)
		close(answered)
		p.becomesSoon(id, message.StatusSent)
		if got := strings.Join(p.statuses(id), " "); got != "ADDED FAILED SENT" {
			p.Errorf("agents were told %s", got)
		}
	})
}

// becomesSoon waits for a status.
func (p *post) becomesSoon(id causeway.ID, status message.Status) {
	p.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		m := p.message(id)
		if m.Status == status {
			return
		}
		p.clock.turn(p.clock.Now().Add(time.Millisecond))
		select {
		case <-tick.C:
		case <-deadline:
			p.Fatalf("it is still %s", m.Status)
		}
	}
}

func TestASecondChatThatIsToldToWaitStopsTheAccount(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		cy := object{"id": 503, "first_name": "Cy"}
		h.hears(conn, writes(ana, 1, "Hello?"), writes(bo, 2, "Hello?"), writes(cy, 3, "Hello?"))
		other := h.bot()
		h.hears(other, writes(ana, 4, "Hello?"))
		p := newPost(h, func(c call) error {
			if c.nth == 0 && (c.Chat == "501" || c.Chat == "502") && c.Text != "other" {
				return &platform.Refusal{Kind: platform.RetryAfter, Method: "send", Wait: time.Minute, Sent: true}
			}
			return nil
		})
		first := p.answers(h.conversation(conn, anaChat), "one")
		p.rest()
		early := p.answers(h.conversation(conn, 503), "early")
		p.rest()
		p.becomes(early, "SENT after 1")
		second := p.answers(h.conversation(conn, boChat), "two")
		p.rest()
		third := p.answers(h.conversation(conn, 503), "three")
		elsewhere := p.answers(h.conversation(other, anaChat), "other")
		p.rest()
		for _, id := range []causeway.ID{first, second, third} {
			p.becomes(id, "QUEUED after 0 RATE_LIMITED")
		}
		p.becomes(elsewhere, "SENT after 1")
		if n := len(p.calls); n != 4 {
			p.Errorf("%d calls were made", n)
		}
		p.settle()
		for _, id := range []causeway.ID{first, second, third} {
			p.becomes(id, "SENT after 1")
		}
	})
}

func TestMessagesGoOutAtThePaceThatThePlatformBears(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		const customers = 40
		p := newPost(h, nil)
		p.no(p.service.Close()) // the one without a pace
		p.open(conversation.Pace{})
		for i := range customers {
			h.hears(conn, writes(object{"id": 700 + i, "first_name": "C"}, 1, "Hello?"))
		}
		began := p.clock.Now()
		talkative := h.conversation(conn, 700)
		for i := range 6 {
			p.answers(talkative, fmt.Sprint("more ", i))
		}
		for i := range customers {
			p.answers(h.conversation(conn, 700+i), fmt.Sprint("answer ", i))
		}
		p.settle()
		times := map[string][]time.Duration{}
		for _, c := range p.calls {
			times[c.Chat] = append(times[c.Chat], c.at.Sub(began))
			times[""] = append(times[""], c.at.Sub(began))
		}
		if most := burst(times["700"], time.Second); most > 4 {
			p.Errorf("one chat got %d messages within a second", most)
		}
		if most := burst(times[""], time.Second); most > 33 { // 25, a burst, and what came late by a poll
			p.Errorf("the account sent %d messages within a second", most)
		}
		if got := p.takenBy(700); len(got) != 7 || !slices.IsSorted(got[:6]) {
			p.Errorf("the chat got %q", got)
		}
	})
}

// burst is the most of sorted times that lie within a span.
func burst(times []time.Duration, span time.Duration) int {
	slices.Sort(times)
	most, from := 0, 0
	for i, at := range times {
		for at-times[from] >= span {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func TestAMessageFollowsItsChat(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, says(group(-7, "Team"), ana, 1, "Hello all"))
		p := newPost(h, func(c call) error {
			if c.Chat == "-7" {
				return &platform.Refusal{Kind: platform.Rejected, Method: "send", Message: "upgraded", MovedTo: "-1007", Sent: true}
			}
			return nil
		})
		conv := h.conversation(conn, -7)
		id := p.answers(conv, "Yes")
		p.settle()
		p.becomes(id, "SENT after 1")
		if moved := h.conversation(conn, -1007); moved.ID != conv.ID || moved.Edges.Contact.ExternalID != "-1007" {
			p.Errorf("the conversation is %v", moved)
		}
		if got := p.takenBy(-1007); !slices.Equal(got, []string{"Yes"}) {
			p.Errorf("the group got %q", got)
		}
	})
}

func TestAMessageDoesNotOutwaitItsConnection(t *testing.T) {
	t.Parallel()
	desk(t, func(call) error {
		return &platform.Refusal{Kind: platform.Unauthorized, Method: "send", Code: "401", Message: "no", Sent: true}
	}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		id := p.answers(conv, "Yes")
		began := p.clock.Now()
		p.rest()
		p.no(p.store.InTx(p.Context(), func(tx *store.Tx) error {
			if err := tx.Message.UpdateOneID(id).SetQueuedAt(began.Add(-23*time.Hour - 55*time.Minute)).Exec(tx.Context()); err != nil {
				return err
			}
			return tx.Connection.UpdateOneID(conn.ID).SetStatus("INACTIVE").SetProblem(&causeway.Problem{Code: causeway.TokenExpired}).Exec(tx.Context())
		}))
		p.settle()
		p.becomes(id, "FAILED after 0 TOKEN_EXPIRED")
		if waited := p.clock.Now().Sub(began); waited < 5*time.Minute || waited > 7*time.Minute {
			p.Errorf("it waited %s", waited)
		}
		if len(p.calls) != 1 {
			p.Errorf("%d calls were made", len(p.calls))
		}
	})
}

func TestAConnectionTellsTheOutboxWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	desk(t, func(c call) error {
		if c.nth == 0 {
			return &platform.Refusal{Kind: platform.Unauthorized, Method: "send", Code: "401", Message: "no", Sent: true}
		}
		return nil
	}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		first := p.answers(conv, "one")
		p.rest()
		p.no(p.store.InTx(p.Context(), func(tx *store.Tx) error { return p.service.Recovered(tx, conn.ID) }))
		p.rest()
		p.becomes(first, "SENT after 1")
		second, third := p.answers(conv, "two"), p.answers(conv, "three")
		p.rest()
		p.no(p.store.InTx(p.Context(), func(tx *store.Tx) error { return p.service.Disconnected(tx, conn.ID) }))
		for _, id := range []causeway.ID{second, third} {
			p.becomes(id, "FAILED after 0 NOT_CONNECTED")
			if told := p.statuses(id); told[len(told)-1] != "FAILED" {
				p.Errorf("agents were told %v", told)
			}
		}
	})
}

func TestStoppingLetsWhatIsBeingSentFinish(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		calling, answered := make(chan struct{}), make(chan struct{})
		p := newPost(h, func(call) error { close(calling); <-answered; return nil })
		id := p.answers(h.conversation(conn, anaChat), "Yes")
		<-calling
		closed := make(chan error)
		go func() { closed <- p.service.Close() }()
		close(answered)
		p.no(<-closed)
		p.becomes(id, "SENT after 1")
	})
}

// Whatever the platform answers, and whenever the process dies: a conversation's
// messages go out in order, none twice but after a person asked for it, and what
// agents are told goes forward only.
func TestOrderAndStatusHoldWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house, conn *ent.Connection) { anything(h, conn, seed) })
		})
	}
}

func anything(h *house, conn *ent.Connection, seed uint64) {
	h.Helper()
	const chats, texts = 4, 6
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	fates := []error{
		nil, nil, nil, nil, errLost, errCrash,
		&platform.Refusal{Kind: platform.Unavailable, Sent: true},
		&platform.Refusal{Kind: platform.Unreachable},
		&platform.Refusal{Kind: platform.Unreachable, Sent: true},
		&platform.Refusal{Kind: platform.RetryAfter, Wait: 7 * time.Second, Sent: true},
		&platform.Refusal{Kind: platform.Rejected, Sent: true},
		&platform.Refusal{Kind: platform.Unauthorized, Sent: true},
		errors.New("the token cannot be opened"),
	}
	p := newPost(h, func(c call) error {
		oldest, err := h.store.Reader().Message.Query().
			Where(message.StatusEQ(message.StatusQueued), message.TextHasPrefix(c.Chat+" ")).
			Order(message.BySeq()).First(h.Context())
		if err != nil || text(oldest.Text) != c.Text {
			h.Errorf("%s was sent before %v %v", c.Text, oldest, err)
		}
		mu.Lock()
		defer mu.Unlock()
		return fates[random.IntN(len(fates))]
	})
	var ids []causeway.ID
	for chat := range chats {
		from := object{"id": 600 + chat, "first_name": "C"}
		h.hears(conn, writes(from, 1, "Hello?"))
		conv := h.conversation(conn, 600+chat)
		for i := range texts {
			ids = append(ids, p.answers(conv, fmt.Sprintf("%d %d", 600+chat, i)))
		}
	}
	p.settle()
	retried := map[string]bool{}
	for _, id := range ids {
		m := p.message(id)
		if m.Status == message.StatusFailed && len(retried) < 8 {
			retried[text(m.Text)] = true
			p.no(p.service.Retry(p.agent(), id))
		}
	}
	p.settle()

	taken := map[string]int{}
	for chat := range chats {
		for _, said := range p.takenBy(600 + chat) {
			taken[said]++
		}
	}
	for _, id := range ids {
		m := p.message(id)
		forward(p, id, retried[text(m.Text)])
		n := taken[text(m.Text)]
		unconfirmed := m.Problem != nil && m.Problem.Code == causeway.DeliveryUnconfirmed
		switch {
		case m.Status == message.StatusSent && n == 1, m.Status == message.StatusFailed && n == 0:
		case unconfirmed && n <= 1, retried[text(m.Text)] && n <= 2:
		default:
			p.Errorf("%s is %s %v and arrived %d times", text(m.Text), m.Status, m.Problem, n)
		}
	}
}

// forward checks what agents were told of a message.
func forward(p *post, id causeway.ID, retried bool) {
	p.Helper()
	told := p.statuses(id)
	ends := 0
	for i, status := range told {
		switch {
		case i == 0 && status == "ADDED", status == "QUEUED" && told[i-1] != "SENT" && told[i-1] != "FAILED":
		case status == "QUEUED" && told[i-1] == "FAILED" && retried && ends == 1:
		case (status == "SENT" || status == "FAILED") && told[i-1] != "SENT" && told[i-1] != "FAILED":
			ends++
		default:
			p.Errorf("agents were told %v", told)
			return
		}
	}
	if ends == 0 {
		p.Errorf("agents were never told an end: %v", told)
	}
}
