package conversation_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	entconversation "causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// echoOf is the echo of a call that the platform takes.
func (p *post) echoOf(c call, nth int) platform.Echoed {
	return platform.Echoed{
		Chat: mia, ID: fmt.Sprintf("%s/%d", c.Chat, 1000+nth), Metadata: c.Metadata, App: ourApp,
		Content: platform.Content{Text: c.Text}, SentAt: c.at.Add(time.Second),
	}
}

func noAnswer() error {
	return &platform.Refusal{Kind: platform.Unreachable, Method: "send", Message: "no answer in time", Sent: true}
}

func TestAnEchoBeforeDuringAndAfterTheAnswerIsOneMessage(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		during, answered bool // the echo comes in the call; the call gets its answer
		end              string
		told             string
	}{
		"during the call, then the answer": {true, true, "SENT after 1", "ADDED SENT"},
		"during the call, and no answer":   {true, false, "SENT after 1", "ADDED SENT"},
		"after the answer":                 {false, true, "SENT after 1", "ADDED SENT"},
		"after no answer":                  {false, false, "SENT after 1", "ADDED FAILED SENT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages sync.Map // of posts: each database has its own, at the same time
			counter(t, func(p *post, c call) error {
				if try.during {
					conn, _ := pages.Load(p)
					p.happens(conn.(*ent.Connection), p.echoOf(c, 1))
				}
				if !try.answered {
					return noAnswer()
				}
				return nil
			}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
				pages.Store(p, conn)
				id := p.answers(conv, "Yes")
				p.settle()
				p.mu.Lock()
				c := p.calls[0]
				p.mu.Unlock()
				if !try.during {
					p.happens(conn, p.echoOf(c, 1))
				}
				m := p.becomes(id, try.end)
				if text(m.ExternalID) != "mia/1001" || !m.SentAt.Equal(c.at.Add(time.Second)) || m.SendingAt != nil || m.LeasedUntil != nil {
					p.Errorf("it is %v", m)
				}
				if told := strings.Join(p.statuses(id), " "); told != try.told {
					p.Errorf("agents were told %s", told)
				}
				if o := p.happens(conn, p.echoOf(c, 1)); !o.Duplicate {
					p.Errorf("the echo again is %v", o)
				}
				if n := p.count("SELECT count(*) FROM messages WHERE direction = 'OUTBOUND'"); n != 1 {
					p.Errorf("%d messages went out", n)
				}
			})
		})
	}
}

func TestAnEchoSettlesWhatACrashLeftOpen(t *testing.T) {
	t.Parallel()
	counter(t, func(_ *post, c call) error {
		if c.Text == "One" {
			return errLost
		}
		return nil
	}, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		one, two := p.answers(conv, "One"), p.answers(conv, "Two")
		p.settle()
		p.becomes(one, "FAILED after 1 DELIVERY_UNCONFIRMED")
		p.becomes(two, "SENT after 1")
		p.mu.Lock()
		c := p.calls[0]
		p.mu.Unlock()
		p.happens(conn, p.echoOf(c, 1))
		p.becomes(one, "SENT after 1")
	})
}

func TestWhatOthersWriteIsShownAndNobodyHasToReadIt(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, conn *ent.Connection) {
		now := time.Now()
		h.miaSays(conn, "m_1", "Hello?", now)
		bot := platform.Echoed{
			Chat: mia, ID: "m_2", App: "777", Metadata: "msg_of_theirs", SentAt: now.Add(time.Second), ReplyTo: "m_1",
			Content: platform.Content{Text: "I am a bot", Attachments: []platform.Attachment{{Kind: platform.Image, Ref: "https://cdn.example/i.png"}}},
		}
		person := platform.Echoed{Chat: mia, ID: "m_3", Inbox: true, SentAt: now.Add(2 * time.Second), Content: platform.Content{Text: "I am not"}}
		h.happens(conn, bot, person)
		if o := h.happens(conn, person, bot); !o.Duplicate {
			t.Errorf("again it is %v", o)
		}
		conv := h.conversation(conn, mia.ID)
		rows, err := h.store.Reader().Message.Query().Where(message.ConversationID(conv.ID)).Order(message.BySeq()).WithAttachments().All(t.Context())
		h.no(err)
		var got []string
		for _, m := range rows {
			got = append(got, fmt.Sprintf("%s %s %s %s %d", m.Direction, m.AuthorKind, m.Status, text(m.Text), len(m.Edges.Attachments)))
		}
		h.same("the chat", got, []string{
			"INBOUND CUSTOMER RECEIVED Hello? 0", "OUTBOUND BOT SENT I am a bot 1", "OUTBOUND PLATFORM_INBOX SENT I am not 0",
		})
		if conv.UnreadCount != 1 || rows[1].ReplyToID == nil || *rows[1].ReplyToID != rows[0].ID || conv.ThreadOwner != entconversation.ThreadOwnerNone {
			t.Errorf("the conversation is %v", conv)
		}
	})
}

func TestReceiptsInAnyOrderMoveAMessageForwardOnly(t *testing.T) {
	t.Parallel()
	eachPage(t, func(h *house, _ *ent.Connection) {
		began := causeway.Stamp(time.Now())
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		events := []platform.Event{
			platform.Echoed{Chat: mia, ID: "m_a", App: "777", Content: platform.Content{Text: "A"}, SentAt: at(1)},
			platform.Echoed{Chat: mia, ID: "m_b", App: "777", Content: platform.Content{Text: "B"}, SentAt: at(3)},
			platform.Delivered{Chat: mia, IDs: []string{"m_a"}, UpTo: at(1), At: at(2)},
			platform.Delivered{Chat: mia, UpTo: at(3), At: at(4)},
			platform.Read{Chat: mia, UpTo: at(2), At: at(5)},
		}
		rapid.Check(t, func(r *rapid.T) {
			conn := h.page()
			h.miaSays(conn, "m_0", "Hello?", began)
			order := rapid.Permutation(slices.Concat(events, events)).Draw(r, "order")
			was := map[string]int{}
			for _, e := range order {
				h.happens(conn, e)
				for id, status := range h.sentOn(conn) {
					if place(status) < was[id] {
						r.Fatalf("%s went back to %s", id, status)
					}
					was[id] = place(status)
				}
			}
			got := h.sentOn(conn)
			if got["m_a"] != message.StatusRead || got["m_b"] != message.StatusDelivered || len(got) != 2 {
				r.Fatalf("in the end they are %v", got)
			}
		})
	})
}

// place is how far a message has come.
func place(s message.Status) int {
	return slices.Index([]message.Status{message.StatusQueued, message.StatusSent, message.StatusDelivered, message.StatusRead}, s)
}

// sentOn are the statuses of what went out, by the platform's ids.
func (h *house) sentOn(conn *ent.Connection) map[string]message.Status {
	h.Helper()
	rows, err := h.store.Reader().Message.Query().
		Where(message.ConnectionID(conn.ID), message.DirectionEQ(message.DirectionOutbound)).All(h.Context())
	h.no(err)
	of := map[string]message.Status{}
	for _, m := range rows {
		of[text(m.ExternalID)] = m.Status
		if (m.DeliveredAt != nil) != (place(m.Status) >= 2) || (m.ReadAt != nil) != (m.Status == message.StatusRead) {
			h.Errorf("%s is %s and has the times %v %v", text(m.ExternalID), m.Status, m.DeliveredAt, m.ReadAt)
		}
	}
	return of
}

// Whatever comes in whatever order while messages go out, each is one message in the
// end, no status goes back, and what the platform proved to have taken is not FAILED.
func TestEchoesReceiptsAndAnswersInAnyOrderAreOneMessage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		rapid.Check(t, h.anyOrder)
	})
}

func (h *house) anyOrder(r *rapid.T) {
	conn := h.page()
	ends := rapid.SliceOfN(rapid.SampledFrom([]string{"taken", "taken", "unanswered", "lost", "unavailable"}), 3, 3).Draw(r, "ends")
	echoes := rapid.SliceOfN(rapid.SampledFrom([]string{"during", "later", "twice"}), 3, 3).Draw(r, "echoes")
	var late []platform.Event
	var p *post
	p = newPost(h, func(c call) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		var n int
		_, _ = fmt.Sscanf(c.Text, "%d", &n)
		if c.nth > 0 {
			return nil
		}
		echo := platform.Echoed{
			Chat: mia, ID: fmt.Sprintf("%s/%d", c.Chat, 1000+len(p.taken)+1), Metadata: c.Metadata, App: ourApp,
			Content: platform.Content{Text: c.Text}, SentAt: c.at,
		}
		if ends[n] == "unavailable" {
			return &platform.Refusal{Kind: platform.Unavailable, Method: "send", Code: "2", Message: "no", Sent: true}
		}
		if echoes[n] != "during" {
			late = append(late, echo)
		}
		late = append(late, platform.Delivered{Chat: mia, UpTo: c.at, At: c.at}, platform.Read{Chat: mia, UpTo: c.at, At: c.at})
		if echoes[n] != "later" { // what settles the message, so that the test may go on
			h.happens(conn, echo)
		}
		switch ends[n] {
		case "unanswered":
			p.taken = append(p.taken, c.Chat+" "+c.Text)
			return noAnswer()
		case "lost":
			return errLost
		}
		return nil
	})
	defer func() { h.no(p.service.Close()) }()
	h.miaSays(conn, "m_0", "Hello?", p.clock.Now())
	conv := h.conversation(conn, mia.ID)
	ids := make([]causeway.ID, 3)
	for i := range ids {
		ids[i] = p.answers(conv, fmt.Sprint(i))
	}
	p.settle()
	p.mu.Lock()
	told := slices.Concat(late, late)
	p.mu.Unlock()
	for _, e := range rapid.Permutation(told).Draw(r, "late") {
		h.happens(conn, e)
	}
	p.settle()
	if n := h.count("SELECT count(*) FROM messages WHERE direction = 'OUTBOUND' AND connection_id = '" + conn.ID.String() + "'"); n != 3 {
		r.Fatalf("three messages are %d", n)
	}
	for i, id := range ids {
		m := p.message(id)
		if m.Status != message.StatusRead && !(m.Status == message.StatusSent && ends[i] == "unavailable") || m.Problem != nil {
			r.Fatalf("%d (%s, echo %s) is %s %v after %v", i, ends[i], echoes[i], m.Status, m.Problem, p.statuses(id))
		}
		last := 0
		for _, told := range p.statuses(id)[1:] {
			if at := place(message.Status(told)); told != "FAILED" && at < last {
				r.Fatalf("agents were told %v", p.statuses(id))
			} else if told != "FAILED" {
				last = at
			}
		}
	}
}
