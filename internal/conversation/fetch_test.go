package conversation_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/contact"
	"causeway/internal/conversation"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// shelved is a post whose accounts hand out files, and describe contacts if describe is
// given.
func shelved(
	h *house, fetch func(ref string) (platform.Download, error), describe func(contact string) (platform.ContactProfile, error),
) *post {
	h.Helper()
	p := newPost(h, nil)
	h.no(p.service.Close()) // the one that has nothing to hand out
	p.fetch, p.describe = fetch, describe
	p.open(conversation.Pace{})
	return p
}

// hands is a file that is handed out.
func hands(content []byte) platform.Download {
	return platform.Download{Body: io.NopCloser(bytes.NewReader(content)), Size: -1, MimeType: "text/html", Name: "made/up.exe"}
}

// passes turns the clock until something is true, in steps.
func (p *post) passes(what string, step time.Duration, is func() bool) {
	p.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if p.count("SELECT count(*) FROM attachments WHERE state = 'PENDING' AND leased_until IS NOT NULL")+
			p.count("SELECT count(*) FROM contacts WHERE profile = 'PENDING' AND leased_until IS NOT NULL") == 0 {
			p.clock.turn(p.clock.Now().Add(step))
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.Fatalf("%s did not come true", what)
		}
	}
}

// attachment is the only one there is.
func (p *post) attachment() *ent.Attachment {
	p.Helper()
	a, err := p.store.Reader().Attachment.Query().WithMessage().Only(p.Context())
	p.no(err)
	return a
}

// fetched waits until the only attachment is not PENDING any more.
func (p *post) fetched(step time.Duration) *ent.Attachment {
	p.Helper()
	p.passes("the file is fetched", step, func() bool { return *p.attachment().State != attachment.StatePending })
	return p.attachment()
}

func TestAFileIsFetchedAfterItsMessageWasStored(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		var tries atomic.Int64
		p := shelved(h, func(ref string) (platform.Download, error) {
			if ref != "P1" {
				return platform.Download{}, fmt.Errorf("asked for %s", ref)
			}
			if tries.Add(1) < 3 {
				return platform.Download{}, &platform.Refusal{Kind: platform.Unavailable, Method: "getFile", Code: "502", Sent: true}
			}
			return hands(pixel(t)), nil
		}, nil)
		h.hears(conn, posts(private(ana), ana, 1, photo("P1")))
		h.shows(conn, anaChat, "Ana:  [IMAGE P1]")
		began := p.clock.Now()
		a := p.fetched(time.Second)
		if *a.State != attachment.StateStored || *a.MimeType != "image/png" || *a.Size != len(pixel(t)) || *a.Width != 1 || *a.Height != 1 || a.Attempts != 3 {
			t.Errorf("it became %v", a)
		}
		if waited := p.clock.Now().Sub(began); waited < 25*time.Second || waited > 2*time.Minute {
			t.Errorf("it took %s", waited)
		}
		file, err := p.service.File(p.Context(), a.ID)
		if err != nil || file.Hash != *a.Hash || file.MimeType != "image/png" || file.Size != int64(len(pixel(t))) {
			t.Errorf("what is served is %v, %v", file, err)
		}
		if told := strings.Join(h.events(conn.CampaignID), ", "); !strings.HasSuffix(told, "MESSAGE ATTACHMENTS in 501 #1") || strings.Count(told, "ATTACHMENTS") != 1 {
			t.Errorf("agents were told %s", told)
		}
	})
}

func TestAFileThatCannotBeFetchedLeavesItsMessageReadable(t *testing.T) {
	t.Parallel()
	refused := func(kind platform.RefusalKind) error {
		return &platform.Refusal{Kind: kind, Method: "getFile", Code: "400", Message: "no", Sent: true, Wait: time.Minute}
	}
	for name, try := range map[string]struct {
		fetch  func() (platform.Download, error)
		state  attachment.State
		tries  int64 // zero: many
		within time.Duration
		checks bool
	}{
		"too large at the platform": {func() (platform.Download, error) { return platform.Download{}, refused(platform.TooLarge) }, attachment.StateTooLarge, 1, time.Minute, false},
		"too large as it says":      {func() (platform.Download, error) { d := hands(pixel(t)); d.Size = 30 << 20; return d, nil }, attachment.StateTooLarge, 1, time.Minute, false},
		"too large as it comes":     {func() (platform.Download, error) { return hands(make([]byte, 1<<20+1)), nil }, attachment.StateTooLarge, 1, time.Minute, false},
		"gone":                      {func() (platform.Download, error) { return platform.Download{}, refused(platform.Rejected) }, attachment.StateFailed, 1, time.Minute, false},
		"unreachable":               {func() (platform.Download, error) { return platform.Download{}, refused(platform.Unreachable) }, attachment.StateFailed, 5, 10 * time.Minute, false},
		"cut off": {func() (platform.Download, error) {
			d := hands(nil)
			d.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), &broken{}))
			return d, nil
		}, attachment.StateFailed, 5, 10 * time.Minute, false},
		"disconnected":   {func() (platform.Download, error) { return platform.Download{}, causeway.Fail(causeway.NotConnected) }, attachment.StateFailed, 1, time.Minute, false},
		"token refused":  {func() (platform.Download, error) { return platform.Download{}, refused(platform.Unauthorized) }, attachment.StateFailed, 0, 48 * time.Hour, true},
		"always limited": {func() (platform.Download, error) { return platform.Download{}, refused(platform.RetryAfter) }, attachment.StateFailed, 0, 48 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house, conn *ent.Connection) {
				var tries atomic.Int64
				p := shelved(h, func(string) (platform.Download, error) { tries.Add(1); return try.fetch() }, nil)
				h.hears(conn, posts(private(ana), ana, 1, photo("P1"), object{"caption": "Look"}))
				began, step := p.clock.Now(), time.Second
				if try.within > time.Hour {
					step = 10 * time.Minute
				}
				a := p.fetched(step)
				if waited := p.clock.Now().Sub(began); *a.State != try.state || a.Hash != nil || waited > try.within || try.within > time.Hour && waited < 23*time.Hour {
					t.Errorf("it became %v after %s", a, waited)
				}
				// The clock may be turned past a lease while a try goes on; then it is made again.
				if n := tries.Load(); try.tries != 0 && (n < try.tries || n > try.tries+1) || n == 0 {
					t.Errorf("it was tried %d times", n)
				}
				if checked := len(p.checked) > 0; checked != try.checks {
					t.Errorf("a check was asked for: %v", checked)
				}
				if _, err := p.service.File(p.Context(), a.ID); err == nil {
					t.Error("it is served")
				}
				h.shows(conn, anaChat, "Ana: Look [IMAGE P1]")
				if told := strings.Join(h.events(conn.CampaignID), ", "); strings.Count(told, "ATTACHMENTS") != 1 {
					t.Errorf("agents were told %s", told)
				}
			})
		})
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, errors.New("the connection was closed") }

func TestOneAccountThatHangsLeavesTheOthersTheirFiles(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		hang := make(chan struct{})
		p := shelved(h, func(ref string) (platform.Download, error) {
			if strings.HasPrefix(ref, "slow") {
				<-hang
			}
			return hands([]byte(ref)), nil
		}, nil)
		for i := range 20 {
			h.hears(conn, posts(private(ana), ana, 10+i, photo(fmt.Sprint("slow", i))))
		}
		other := h.bot()
		h.hears(other, posts(private(bo), bo, 1, photo("quick")))
		p.no(p.until(func() bool {
			return p.count("SELECT count(*) FROM attachments WHERE state = 'STORED'") == 1
		}))
		close(hang)
		p.passes("the rest is fetched", 100*time.Millisecond, func() bool {
			return p.count("SELECT count(*) FROM attachments WHERE state = 'STORED'") == 21
		})
	})
}

// contact is the one with an external id.
func (p *post) contact(id any) *ent.Contact {
	p.Helper()
	c, err := p.store.Reader().Contact.Query().Where(contact.ExternalID(fmt.Sprint(id))).Only(p.Context())
	p.no(err)
	return c
}

func TestAContactsProfileIsAskedForAndKept(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		var asked atomic.Int64
		p := shelved(h, func(ref string) (platform.Download, error) {
			if ref != "face" {
				return platform.Download{}, fmt.Errorf("asked for %s", ref)
			}
			return hands(pixel(t)), nil
		}, func(id string) (platform.ContactProfile, error) {
			if asked.Add(1) == 1 {
				return platform.ContactProfile{}, &platform.Refusal{Kind: platform.Unreachable, Method: "getChat", Sent: true}
			}
			return platform.ContactProfile{Name: "Anabela Costa", Username: "ana", Language: "pt-BR", AvatarRef: "face"}, nil
		})
		nameless := object{"id": 501, "first_name": "501"} // as a platform whose updates tell no names
		h.hears(conn, writes(nameless, 1, "Hello?"))
		p.passes("the profile is known", time.Second, func() bool { return p.contact(anaChat).Profile == contact.ProfileKnown })
		c := p.contact(anaChat)
		if c.Name != "Anabela Costa" || text(c.Username) != "ana" || text(c.Language) != "pt-BR" || text(c.AvatarType) != "image/png" || c.DescribedAt == nil {
			t.Errorf("the contact is %v", c)
		}
		if file, err := p.service.File(p.Context(), c.ID); err != nil || file.Hash != text(c.AvatarHash) {
			t.Errorf("the picture is %v, %v", file, err)
		}
		told := h.events(conn.CampaignID)
		if told[len(told)-1] != "CONVERSATION in 501" {
			t.Errorf("agents were told %q", told)
		}
		if words := strings.Join(h.words(h.conversation(conn, anaChat).ID), " "); words != "anabela=1 costa=1 hello=1" {
			t.Errorf("it is found by %s", words)
		}

		// Who writes on is not asked for, and keeps the name; a week later they are.
		h.hears(conn, writes(nameless, 2, "Hello?"))
		if c := p.contact(anaChat); c.Profile != contact.ProfileKnown || c.Name != "Anabela Costa" {
			t.Errorf("the contact is %v", c)
		}
		p.no(p.store.InTx(p.Context(), func(tx *store.Tx) error {
			return tx.Contact.UpdateOneID(c.ID).SetDescribedAt(time.Now().Add(-8 * 24 * time.Hour)).Exec(tx.Context())
		}))
		before := asked.Load()
		events := len(h.events(conn.CampaignID))
		h.hears(conn, writes(nameless, 3, "Hello?"))
		p.passes("they are asked for again", time.Second, func() bool {
			return asked.Load() == before+1 && p.contact(anaChat).Profile == contact.ProfileKnown
		})
		if now := h.events(conn.CampaignID); len(now) != events+2 { // the message and its conversation
			t.Errorf("agents were told %q", now[events:])
		}
	})
}

func TestAContactWhoCannotBeDescribedStaysAsTheyAre(t *testing.T) {
	t.Parallel()
	refused := &platform.Refusal{Kind: platform.Rejected, Method: "getChat", Code: "400", Message: "no", Sent: true}
	for name, try := range map[string]struct {
		describe func(string) (platform.ContactProfile, error)
		file     []byte
		profile  contact.Profile
	}{
		"refused":   {func(string) (platform.ContactProfile, error) { return platform.ContactProfile{}, refused }, nil, contact.ProfileUnknown},
		"never":     {func(string) (platform.ContactProfile, error) { return platform.ContactProfile{}, errors.New("no") }, nil, contact.ProfileUnknown},
		"nothing":   {func(string) (platform.ContactProfile, error) { return platform.ContactProfile{}, nil }, nil, contact.ProfileKnown},
		"a page":    {func(string) (platform.ContactProfile, error) { return platform.ContactProfile{AvatarRef: "face"}, nil }, []byte("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"), contact.ProfileKnown},
		"too large": {func(string) (platform.ContactProfile, error) { return platform.ContactProfile{AvatarRef: "face"}, nil }, make([]byte, 2<<20), contact.ProfileKnown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house, conn *ent.Connection) {
				p := shelved(h, func(string) (platform.Download, error) { return hands(try.file), nil }, try.describe)
				h.hears(conn, writes(ana, 1, "Hello?"))
				events := len(h.events(conn.CampaignID))
				p.passes("they are asked for no more", 10*time.Second, func() bool { return p.contact(anaChat).Profile != contact.ProfilePending })
				c := p.contact(anaChat)
				if c.Profile != try.profile || c.Name != "Ana" || text(c.Username) != "ana" || text(c.Language) != "pt" || c.AvatarHash != nil {
					t.Errorf("the contact is %v", c)
				}
				if now := h.events(conn.CampaignID); len(now) != events {
					t.Errorf("agents were told %q", now[events:])
				}
			})
		})
	}
}

func TestWhatIsToBeFetchedIsFoundAlongItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for statement, index := range map[string]string{
			"SELECT t.queue_key FROM attachments t WHERE state = 'PENDING' AND t.queue_key > 'a' ORDER BY t.queue_key LIMIT 1":     "attachment_pending",
			"SELECT t.next_try_at FROM attachments t WHERE state = 'PENDING' AND t.queue_key = 'a' ORDER BY t.queue_order LIMIT 1": "attachment_pending",
			"SELECT t.queue_key FROM contacts t WHERE profile = 'PENDING' AND t.queue_key > 'a' ORDER BY t.queue_key LIMIT 1":      "contact_profile_pending",
			"SELECT t.next_try_at FROM contacts t WHERE profile = 'PENDING' AND t.queue_key = 'a' ORDER BY t.queue_order LIMIT 1":  "contact_profile_pending",
			"SELECT * FROM message_parts WHERE connection_id = 'a' AND account_id = 'b' AND external_id IN ('c', 'd')":             "messagepart_connection_id",
			"SELECT * FROM conversations WHERE contact_id = 'a' ORDER BY id":                                                       "conversation_contact_id",
		} {
			if plan := explain(t, s, entsql.Raw(statement)); !strings.Contains(plan, index) {
				t.Errorf("%s: %s", statement, plan)
			}
		}
	})
}
