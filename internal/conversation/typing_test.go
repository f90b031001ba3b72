package conversation_test

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/conversation"
	"causeway/internal/feed"
)

// chatroom is the room on a clock that tests turn.
type chatroom struct {
	*house
	bus     *bus.Local
	clock   *handClock
	service *conversation.Service
}

func newChatroom(h *house) *chatroom {
	h.Helper()
	c := &chatroom{house: h, bus: bus.NewLocal(), clock: newHandClock()}
	events := feed.New(feed.Config{Store: h.store, Bus: c.bus})
	c.service = conversation.New(conversation.Config{
		Store: h.store, Feed: events, Bus: c.bus, Accounts: h.accounts, Clock: c.clock, Log: discard(),
	})
	h.Cleanup(func() {
		h.no(c.service.Close())
		h.no(events.Close())
		h.no(c.bus.Close())
	})
	return c
}

// types is what somebody says of their typing.
func (c *chatroom) types(user, conv causeway.ID, typing bool) {
	c.Helper()
	ctx := auth.WithViewer(c.Context(), &auth.Viewer{UserID: user, Admin: true})
	c.no(c.service.SetTyping(ctx, conv, typing))
}

// passes lets time pass: once it is over, whoever waits for a moment in it has woken.
func (c *chatroom) passes(d time.Duration) { c.clock.turn(c.clock.Now().Add(d)) }

// follows follows a conversation, from now on.
func (c *chatroom) follows(conv causeway.ID) <-chan conversation.Typing {
	ctx, cancel := context.WithCancel(c.Context())
	changes := c.service.FollowTyping(ctx, conv)
	c.Cleanup(func() {
		cancel()
		for range changes { // until it is closed
		}
	})
	return changes
}

// sees compares the next change.
func (c *chatroom) sees(changes <-chan conversation.Typing, user causeway.ID, typing bool) {
	c.Helper()
	select {
	case got := <-changes:
		if got != (conversation.Typing{User: user, Typing: typing}) {
			c.Fatalf("got %v, want that %s types: %v", got, user, typing)
		}
	case <-time.After(patience):
		c.Fatalf("nobody told that %s types: %v", user, typing)
	}
}

func TestColleaguesSeeEachChangeOfTypingOnceAndItLapses(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"), writes(bo, 2, "Hello?"))
		conv, other := h.conversation(conn, anaChat).ID, h.conversation(conn, boChat).ID
		c := newChatroom(h)
		mai, end := causeway.NewID(causeway.PrefixUser), causeway.NewID(causeway.PrefixUser)
		changes := c.follows(conv)
		c.types(lan, conv, true)
		c.sees(changes, lan, true)
		c.passes(8 * time.Second)
		c.types(lan, conv, true) // goes on: no second event, ten seconds more
		c.types(mai, other, true)
		c.types(mai, conv, true)
		c.sees(changes, mai, true)
		c.passes(8 * time.Second) // later than the first time would have lasted
		c.types(mai, conv, false)
		c.types(mai, conv, false)
		c.sees(changes, mai, false)
		c.types(end, conv, true) // marks the end of what was told
		c.sees(changes, end, true)
		c.passes(2 * time.Second)
		c.sees(changes, lan, false)
		c.passes(8 * time.Second)
		c.sees(changes, end, false)
	})
}

func TestWhoSendsOrNotesTypesNoMore(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		c := newChatroom(h)
		changes := c.follows(conv)
		c.types(lan, conv, true)
		c.sees(changes, lan, true)
		_, err := c.service.Reply(h.agent(), conversation.Reply{Conversation: conv, Text: "Yes"})
		h.no(err)
		c.sees(changes, lan, false)
		c.types(lan, conv, true)
		c.sees(changes, lan, true)
		_, err = c.service.AddNote(h.agent(), conv, "asks politely")
		h.no(err)
		c.sees(changes, lan, false)
	})
}

func TestTheCustomerIsShownTypingNowAndThen(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		c := newChatroom(h)
		shown := func(want string) {
			t.Helper()
			select {
			case got := <-h.accounts.told:
				if got != want {
					t.Fatalf("the customer was shown %q, not %q", got, want)
				}
			case <-time.After(patience):
				t.Fatalf("the customer was not shown %q", want)
			}
		}
		c.types(lan, conv, false) // was not shown, so that nothing ends
		for range 5 {
			c.types(lan, conv, true)
		}
		shown("typing 501 true")
		c.passes(3 * time.Second)
		c.types(lan, conv, true)
		c.passes(2 * time.Second)
		c.types(lan, conv, true)
		shown("typing 501 true")
		c.types(lan, conv, false)
		shown("typing 501 false")
		c.types(lan, conv, true)
		shown("typing 501 true")
		_, err := c.service.Reply(h.agent(), conversation.Reply{Conversation: conv, Text: "Yes"})
		h.no(err)
		c.types(lan, conv, true)
		shown("typing 501 true")
	})
}

func TestTypingThatMayNotBeIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hello?"))
		conv := h.conversation(conn, anaChat).ID
		h.refused(h.service.SetTyping(h.agent(), causeway.NewID(causeway.PrefixConversation), true), causeway.NotFound, "conversationId")
		stranger := auth.WithViewer(t.Context(), &auth.Viewer{UserID: lan})
		h.refused(h.service.SetTyping(stranger, conv, true), causeway.NotFound, "conversationId")
		h.refused(h.service.SetTyping(t.Context(), conv, true), causeway.Unauthenticated)
		h.archive(conn)
		h.refused(h.service.SetTyping(h.agent(), conv, true), causeway.Conflict, "conversationId")
	})
}

func TestHintsThatAreNoneAreNotTyping(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		c := newChatroom(h)
		conv := causeway.NewID(causeway.PrefixConversation)
		changes := c.follows(conv)
		for _, hint := range []string{"", "+", "-", "?", "+nobody", string(lan), "++" + string(lan)} {
			h.no(c.bus.Hint("typing."+string(conv), []byte(hint)))
		}
		h.no(c.bus.Hint("typing."+string(conv), []byte("+"+string(lan))))
		c.sees(changes, lan, true)
	})
}
