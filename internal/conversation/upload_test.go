package conversation_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/message"
	"causeway/ent/messagepart"
	"causeway/internal/conversation"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// pixel is a PNG of one pixel.
func pixel(t testing.TB) []byte {
	t.Helper()
	png, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	return png
}

func upload(name string, content []byte) conversation.Upload {
	return conversation.Upload{Name: name, Content: bytes.NewReader(content)}
}

// sends queues a text with files of these names.
func (p *post) sends(conv *ent.Conversation, text string, names ...string) causeway.ID {
	p.Helper()
	r := conversation.Reply{Conversation: conv.ID, Text: text}
	for _, name := range names {
		r.Files = append(r.Files, upload(name, []byte("the words of "+name)))
	}
	id, err := p.service.Reply(p.agent(), r)
	p.no(err)
	return id
}

// partsOf are the external ids of a message's parts, as far as they were sent.
func (p *post) partsOf(id causeway.ID) []string {
	p.Helper()
	var parts []string
	if m := p.message(id); m.ExternalID != nil {
		parts = append(parts, *m.ExternalID)
	}
	rows, err := p.store.Reader().MessagePart.Query().Where(messagepart.MessageID(id)).Order(messagepart.ByPlace()).All(p.Context())
	p.no(err)
	for i, row := range rows {
		if row.Place != i+1 {
			p.Errorf("part %d has the place %d", i+1, row.Place)
		}
		parts = append(parts, row.ExternalID)
	}
	return parts
}

func TestATextAndItsFilesAreOneMessage(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		question := p.lastOf(conv)
		id, err := p.service.Reply(p.agent(), conversation.Reply{
			Conversation: conv.ID, Text: "Look", ReplyTo: question.ID,
			Files: []conversation.Upload{upload(`C:\Pictures\..\a.exe`, pixel(t)), upload("", []byte("some words"))},
		})
		p.no(err)
		next := p.answers(conv, "Well?")
		p.settle()
		m := p.becomes(id, "SENT after 1")
		if got := p.takenBy(anaChat); !slices.Equal(got, []string{"Look", "a.exe", "file", "Well?"}) {
			t.Errorf("the customer got %q", got)
		}
		if parts := p.partsOf(id); m.PartsSent != 3 || len(parts) != 3 || parts[0] != "501/1001" || parts[2] != "501/1003" {
			t.Errorf("%d parts were sent: %q", m.PartsSent, parts)
		}
		p.becomes(next, "SENT after 1")
		if told := strings.Join(p.statuses(id), " "); told != "ADDED SENT" {
			t.Errorf("agents were told %s", told)
		}
		first, picture, file := p.calls[0], p.calls[1], p.calls[2]
		if first.ReplyTo != *question.ExternalID || picture.ReplyTo != "" || picture.Text != "" {
			t.Errorf("the parts are %+v, %+v", first, picture)
		}
		if picture.File.Kind != platform.Image || picture.File.MimeType != "image/png" || picture.File.Size != int64(len(pixel(t))) ||
			file.File.Kind != platform.File || file.File.MimeType != "text/plain" {
			t.Errorf("the files are %+v and %+v", picture.File, file.File)
		}
		if first.Metadata != string(id) || picture.Metadata != string(id)+"/1" || file.Metadata != string(id)+"/2" {
			t.Errorf("the echoes would be known by %q, %q and %q", first.Metadata, picture.Metadata, file.Metadata)
		}
		for range 2 { // it can be read as often as the platform wants
			content, err := picture.File.Open()
			p.no(err)
			got, err := io.ReadAll(content)
			p.no(errors.Join(err, content.Close()))
			if !bytes.Equal(got, pixel(t)) {
				t.Errorf("%d bytes of it were handed out", len(got))
			}
		}
		rows, err := p.store.Reader().Attachment.Query().Where(attachment.MessageID(id)).Order(attachment.ByPlace()).All(p.Context())
		p.no(err)
		if len(rows) != 2 || *rows[0].State != attachment.StateStored || text(rows[0].Name) != "a.exe" || *rows[0].Width != 1 || rows[1].Name != nil {
			t.Errorf("the attachments are %v", rows)
		}
		// The customer speaks of the picture, which has an id of its own.
		h := p.house
		h.hears(conn, reacts(private(ana), ana, 1002, 5, "❤"), writes(ana, 9, "Nice", answering(private(ana), 1003)))
		if m, err := p.store.Reader().Message.Query().Where(message.ID(id)).WithReactions().Only(p.Context()); err != nil || len(m.Edges.Reactions) != 1 {
			t.Errorf("the message has %v, %v", m.Edges.Reactions, err)
		}
		if answer := p.lastOf(conv); answer.ReplyToID == nil || *answer.ReplyToID != id {
			t.Errorf("the customer's answer is %v", answer)
		}
	})
}

// lastOf is the newest message of a conversation.
func (p *post) lastOf(conv *ent.Conversation) *ent.Message {
	p.Helper()
	m, err := p.store.Reader().Message.Query().Where(message.ConversationID(conv.ID)).Order(ent.Desc(message.FieldSeq)).First(p.Context())
	p.no(err)
	return m
}

func TestFilesThatCannotBeSentAreRefusedBeforeAnythingIsQueued(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		big := bytes.Clone(pixel(t))
		big = append(big, make([]byte, 4<<20)...)
		many := make([]conversation.Upload, 11)
		for i := range many {
			many[i] = upload("a", []byte("a"))
		}
		ok := func() conversation.Upload { return upload("ok.txt", []byte("fine")) }
		for name, try := range map[string]struct {
			files  []conversation.Upload
			reason causeway.Reason
			field  string
			arg    string
		}{
			"empty":               {[]conversation.Upload{ok(), upload("a.png", nil)}, causeway.ReasonFileEmpty, "attachments 1", ""},
			"too large a picture": {[]conversation.Upload{upload("a.txt", big)}, causeway.ReasonFileTooLarge, "attachments 0", "4 MB"},
			"larger than any":     {[]conversation.Upload{ok(), ok(), upload("a", make([]byte, 5<<20+1))}, causeway.ReasonFileTooLarge, "attachments 2", "5 MB"},
			"of a refused type":   {[]conversation.Upload{upload("a.png", []byte("%PDF-1.4\n%%EOF"))}, causeway.ReasonFileTypeRefused, "attachments 0", "application/pdf"},
			"too many":            {many, causeway.ReasonTooManyFiles, "attachments", "10"},
			"neither":             {nil, causeway.ReasonRequired, "text", ""},
		} {
			_, err := p.service.Reply(p.agent(), conversation.Reply{Conversation: conv.ID, Text: " ", Files: try.files})
			e, _ := errors.AsType[*causeway.Error](err)
			if e == nil || e.Reason != try.reason || strings.Join(e.Field, " ") != "input "+try.field {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if arg := e.Args["max"] + e.Args["type"]; arg != try.arg {
				t.Errorf("%s: it tells %q", name, arg)
			}
		}
		if m := p.lastOf(conv); m.Direction != message.DirectionInbound {
			t.Errorf("%v was queued", m)
		}
	})
}

func TestTheSameKeyWithFilesAtTheSameTimeIsOneMessage(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
		ids := make([]causeway.ID, 10)
		var calls sync.WaitGroup
		for i := range ids {
			calls.Go(func() {
				id, err := p.service.Reply(p.agent(), conversation.Reply{
					Conversation: conv.ID, Key: "k1", Files: []conversation.Upload{upload("a.png", pixel(t))},
				})
				if err != nil {
					t.Error(err)
				}
				ids[i] = id
			})
		}
		calls.Wait()
		unread := &neverRead{}
		again, err := p.service.Reply(p.agent(), conversation.Reply{
			Conversation: conv.ID, Key: "k1", Files: []conversation.Upload{{Content: unread}},
		})
		p.no(err)
		if len(slices.Compact(ids)) != 1 || again != ids[0] || unread.was {
			t.Errorf("the calls made %v and %v; read again: %v", ids, again, unread.was)
		}
		p.settle()
		if got := p.takenBy(anaChat); !slices.Equal(got, []string{"a.png"}) {
			t.Errorf("the customer got %q", got)
		}
		if n := p.count("SELECT count(*) FROM attachments"); n != 1 {
			t.Errorf("there are %d attachments", n)
		}
	})
}

// neverRead is a file that nobody should read.
type neverRead struct{ was bool }

func (r *neverRead) Read([]byte) (int, error) {
	r.was = true
	return 0, io.EOF
}

func TestWhatThePlatformTookOfAMessageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	refused := func(kind platform.RefusalKind) error {
		return &platform.Refusal{Kind: kind, Method: "send", Code: "4", Message: "no", Sent: true, Wait: time.Minute}
	}
	for name, try := range map[string]struct {
		first error
		rest  string   // before the clock is turned or a person asks for it again
		taken []string // in the end
	}{
		"crash after it was taken": {errLost, "FAILED after 1 DELIVERY_UNCONFIRMED", []string{"one", "a", "a", "b", "two"}},
		"crash before":             {errCrash, "FAILED after 1 DELIVERY_UNCONFIRMED", []string{"one", "a", "b", "two"}},
		"no answer":                {refused(platform.Unreachable), "FAILED after 1 DELIVERY_UNCONFIRMED", []string{"one", "a", "b", "two"}},
		"refused file":             {refused(platform.FileRejected), "FAILED after 1 ATTACHMENT_REJECTED", []string{"one", "a", "b", "two"}},
		"too large":                {refused(platform.TooLarge), "FAILED after 1 ATTACHMENT_REJECTED", []string{"one", "a", "b", "two"}},
		"too many":                 {refused(platform.RetryAfter), "QUEUED after 0 RATE_LIMITED", []string{"one", "a", "b", "two"}},
		"unavailable":              {refused(platform.Unavailable), "QUEUED after 1 PLATFORM_ERROR", []string{"one", "a", "b", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk(t, func(c call) error {
				if c.says() == "a" && c.nth == 0 {
					return try.first
				}
				return nil
			}, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
				id := p.sends(conv, "one", "a", "b")
				if next := p.rest(); errors.Is(try.first, errLost) || errors.Is(try.first, errCrash) {
					p.clock.turn(next)
					p.rest()
				}
				if m := p.message(id); m.PartsSent != 1 || m.ExternalID == nil {
					p.Errorf("%d parts were sent, the first is %v", m.PartsSent, m.ExternalID)
				}
				m := p.becomes(id, try.rest)
				if m.Status == message.StatusFailed {
					p.no(p.service.Retry(p.agent(), id))
				}
				p.answers(conv, "two")
				p.settle()
				if m := p.message(id); m.Status != message.StatusSent || m.PartsSent != 3 || len(p.partsOf(id)) != 3 {
					p.Errorf("it became %v with the parts %q", m, p.partsOf(id))
				}
				if got := p.takenBy(anaChat); !slices.Equal(got, try.taken) {
					p.Errorf("the customer got %q", got)
				}
			})
		})
	}
}

func TestALateAnswerCountsForItsPart(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		calling, answered := make(chan struct{}), make(chan struct{})
		p := newPost(h, func(c call) error {
			if c.says() == "a" && c.nth == 0 {
				close(calling)
				<-answered
			}
			return nil
		})
		conv := h.conversation(conn, anaChat)
		id := p.sends(conv, "one", "a", "b")
		<-calling
		p.clock.turn(p.clock.Now().Add(time.Minute)) // the lease is over: somebody else gives it up
		p.becomesSoon(id, message.StatusFailed)
		close(answered)
		p.no(p.until(func() bool { return p.message(id).PartsSent == 2 }))
		p.no(p.service.Retry(p.agent(), id))
		p.settle()
		if m := p.message(id); m.Status != message.StatusSent || m.PartsSent != 3 {
			t.Errorf("it is %v", m)
		}
		if got := p.takenBy(anaChat); !slices.Equal(got, []string{"one", "a", "b"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// until turns the clock by little until something is true.
func (p *post) until(is func() bool) error {
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		p.clock.turn(p.clock.Now().Add(time.Millisecond))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("it did not come true")
		}
	}
	return nil
}

func TestALargeFileHasTheTimeItNeeds(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		var p *post
		leases := make(chan time.Duration, 2)
		p = newPost(h, func(c call) error {
			_, until := p.leaseOf(c.Metadata)
			leases <- until.Sub(c.at)
			return nil
		})
		id, err := p.service.Reply(p.agent(), conversation.Reply{
			Conversation: h.conversation(conn, anaChat).ID, Text: "Look", Files: []conversation.Upload{upload("a", make([]byte, 5<<20))},
		})
		p.no(err)
		p.settle()
		p.becomes(id, "SENT after 1")
		if short, long := <-leases, <-leases; short > 21*time.Second || long < 36*time.Second || long > 45*time.Second {
			t.Errorf("a text is had for %s, a file of 5 MB for %s", short, long)
		}
	})
}

func TestAFileThatIsGoneIsNotSent(t *testing.T) {
	t.Parallel()
	desk(t, nil, func(p *post, conn *ent.Connection, conv *ent.Conversation) {
		p.no(p.service.Close())
		id := p.sends(conv, "", "a")
		a, err := p.store.Reader().Attachment.Query().Where(attachment.MessageID(id)).Only(p.Context())
		p.no(err)
		p.no(p.media.Remove(p.Context(), *a.Hash))
		p.open(conversation.Pace{})
		p.settle()
		if m := p.becomes(id, "FAILED after 1 ATTACHMENT_REJECTED"); m.Problem.PlatformMessage == "" {
			t.Errorf("its problem is %v", m.Problem)
		}
	})
}

func TestEveryRefusalIsToldAsWhatItIs(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		refusal platform.Refusal
		rest    string
		checks  int
	}{
		"window":      {platform.Refusal{Kind: platform.WindowClosed}, "FAILED after 1 REPLY_WINDOW_CLOSED", 0},
		"thread":      {platform.Refusal{Kind: platform.ThreadTaken}, "FAILED after 1 THREAD_OWNED_BY_ANOTHER_APP", 0},
		"development": {platform.Refusal{Kind: platform.NotLive}, "FAILED after 1 APP_NOT_LIVE", 0},
		"restricted":  {platform.Refusal{Kind: platform.Restricted}, "QUEUED after 0 ACCOUNT_RESTRICTED", 1},
		"permission":  {platform.Refusal{Kind: platform.PermissionMissing}, "QUEUED after 0 PERMISSIONS_MISSING", 1},
		"expired":     {platform.Refusal{Kind: platform.Unauthorized, Expired: true}, "QUEUED after 0 TOKEN_EXPIRED", 1},
		"role":        {platform.Refusal{Kind: platform.Unauthorized, RoleLost: true}, "QUEUED after 0 PAGE_ROLE_INSUFFICIENT", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk(t, func(c call) error {
				if c.nth > 0 {
					return nil
				}
				r := try.refusal
				r.Method, r.Code, r.Message, r.Sent = "send", "10", "no", true
				return &r
			}, func(p *post, _ *ent.Connection, conv *ent.Conversation) {
				id := p.answers(conv, "Yes")
				p.rest()
				if m := p.becomes(id, try.rest); m.Problem.PlatformMessage != "no" || len(p.checked) != try.checks {
					p.Errorf("its problem is %v, %d checks were asked for", m.Problem, len(p.checked))
				}
			})
		})
	}
}

func TestAPlatformThatSaysWhomItMeansIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	for scope, waits := range map[platform.RefusalScope][3]bool{ // another chat, another page of the app, another app's page
		platform.ScopeChat:    {false, false, false},
		platform.ScopeAccount: {true, false, false},
		platform.ScopeApp:     {true, true, false},
	} {
		t.Run(fmt.Sprint(scope), func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house, conn *ent.Connection) {
				same, foreign := h.bot(), h.bot()
				h.no(h.store.InTx(h.Context(), func(tx *store.Tx) error {
					return tx.Connection.UpdateOneID(foreign.ID).SetAppID("another").Exec(tx.Context())
				}))
				h.hears(conn, writes(ana, 1, "Hello?"), writes(bo, 2, "Hello?"))
				h.hears(same, writes(ana, 3, "Hello?"))
				h.hears(foreign, writes(ana, 4, "Hello?"))
				p := newPost(h, func(c call) error {
					if c.Text == "first" && c.nth == 0 {
						return &platform.Refusal{Kind: platform.RetryAfter, Method: "send", Wait: time.Minute, Scope: scope, Sent: true}
					}
					return nil
				})
				first := p.answers(h.conversation(conn, anaChat), "first")
				p.rest()
				p.becomes(first, "QUEUED after 0 RATE_LIMITED")
				for i, conv := range []*ent.Conversation{h.conversation(conn, boChat), h.conversation(same, anaChat), h.conversation(foreign, anaChat)} {
					id := p.answers(conv, fmt.Sprint("other ", i))
					p.rest()
					if waits[i] {
						p.becomes(id, "QUEUED after 0 RATE_LIMITED")
					} else {
						p.becomes(id, "SENT after 1")
					}
				}
				p.settle()
				p.becomes(first, "SENT after 1")
			})
		})
	}
}

// Whatever the platform answers, and whenever the process dies: a message's parts go out
// in their order and none twice, and the next message does not overtake them.
func TestPartsKeepTheirOrderWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house, conn *ent.Connection) { anyParts(h, conn, seed) })
		})
	}
}

func anyParts(h *house, conn *ent.Connection, seed uint64) {
	h.Helper()
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 2))
	fates := []error{
		nil, nil, nil, nil, nil, errLost, errCrash,
		&platform.Refusal{Kind: platform.Unavailable, Sent: true},
		&platform.Refusal{Kind: platform.Unreachable},
		&platform.Refusal{Kind: platform.Unreachable, Sent: true},
		&platform.Refusal{Kind: platform.RetryAfter, Wait: 7 * time.Second, Sent: true},
		&platform.Refusal{Kind: platform.FileRejected, Sent: true},
	}
	p := newPost(h, func(call) error {
		mu.Lock()
		defer mu.Unlock()
		return fates[random.IntN(len(fates))]
	})
	h.hears(conn, writes(ana, 1, "Hello?"))
	conv := h.conversation(conn, anaChat)
	ids := map[string]causeway.ID{}
	var order []string
	for i := range 8 {
		said := fmt.Sprintf("%d", i)
		ids[said] = p.sends(conv, said, said+"a", said+"b")
		order = append(order, said, said+"a", said+"b")
	}
	p.settle()
	taken := p.takenBy(anaChat)
	if !slices.IsSorted(taken) || len(slices.Compact(slices.Clone(taken))) != len(taken) {
		p.Errorf("the customer got %q of %q", taken, order)
	}
	for said, id := range ids {
		m, n := p.message(id), 0
		for _, t := range taken {
			if strings.HasPrefix(t, said) {
				n++
			}
		}
		unconfirmed := m.Problem != nil && m.Problem.Code == causeway.DeliveryUnconfirmed
		switch {
		case m.Status == message.StatusSent && n == 3 && m.PartsSent == 3:
		case m.Status == message.StatusFailed && n == m.PartsSent, unconfirmed && n == m.PartsSent+1:
		default:
			p.Errorf("%s is %s %v, %d parts were sent and %d arrived", said, m.Status, m.Problem, m.PartsSent, n)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{
		"", ".", "..", "a.png", "/etc/passwd", `C:\a\b.txt`, "a\r\nb: c.png", "\u202egnp.exe", strings.Repeat("値", 300) + ".pdf",
		strings.Repeat("a", 300), "a." + strings.Repeat("b", 300), "\xff\xfe.png", "👩\u200d👩\u200d👧.jpg", " . / .. ",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		kept := conversation.FileName(name)
		if len(kept) > 200 || !utf8.ValidString(kept) || strings.ContainsAny(kept, "/\\\x00\r\n\u202e") || kept == "." || kept == ".." {
			t.Errorf("%q is kept as %q", name, kept)
		}
		if again := conversation.FileName(kept); again != kept {
			t.Errorf("%q is kept as %q, and that as %q", name, kept, again)
		}
	})
}

func TestALimitIsToldInRoundMegabytes(t *testing.T) {
	t.Parallel()
	for limit, said := range map[int64]string{25_000_000: "25 MB", 8_000_000: "8 MB", 10 << 20: "10 MB", 50 << 20: "50 MB"} {
		if got := conversation.TooLarge(limit).Args["max"]; got != said {
			t.Errorf("%d bytes are told as %s, not %s", limit, got, said)
		}
	}
}
