package conversation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/connection"
	"causeway/ent/conversation"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/platform"
	"causeway/internal/store"
)

const (
	// typingLasts is how long somebody types who does not say so again.
	typingLasts = 10 * time.Second
	// showEvery is how often a customer is shown that somebody types, at most: platforms
	// show it for at least five seconds.
	showEvery = 4 * time.Second
	// maxShown bounds the memory of what was shown.
	maxShown = 10_000
)

// Typing is somebody who began to type in a conversation, or ceased to.
type Typing struct {
	User   causeway.ID
	Typing bool
}

// SetTyping tells the colleagues who follow a conversation that the viewer types in it,
// or ceased to, and the customer where the platform can show it. Both may be lost; nobody
// waits for the platform. It lapses after ten seconds unless it is said again. NOT_FOUND
// and CONFLICT for an archived campaign name conversationId.
func (s *Service) SetTyping(ctx context.Context, id causeway.ID, typing bool) error {
	viewer, err := auth.From(ctx)
	if err != nil {
		return err
	}
	conv, err := s.store.Reader().Conversation.Query().
		Where(conversation.ID(id)).
		WithCampaign().WithContact().WithConnection().
		Only(ctx)
	if ent.IsNotFound(err) {
		return causeway.Missing("conversationId")
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	if _, err := auth.RoleIn(ctx, s.store.Reader(), conv.CampaignID, "conversationId"); err != nil {
		return err
	}
	if conv.Edges.Campaign.ArchivedAt != nil {
		return causeway.FailWith(causeway.Conflict, causeway.ReasonArchived).At("conversationId")
	}
	s.tellTyping(id, viewer.UserID, typing)
	if s.shown.due(id, typing, s.clock.Now()) && s.refusal(conv) == nil && conv.Edges.Connection.Status != connection.StatusInactive {
		s.signs.enqueue(showTyping(conv, typing))
	}
	return nil
}

// stopsTyping tells, once tx is committed, that somebody ceased to type: what they typed
// is there.
func (s *Service) stopsTyping(tx *store.Tx, conv, user causeway.ID) {
	tx.AfterCommit(func() {
		s.tellTyping(conv, user, false)
		s.shown.forget(conv) // the message ends it at the platform
	})
}

// showTyping is the gesture that somebody types, or ceased to.
func showTyping(conv *ent.Conversation, typing bool) gesture {
	chat := conv.Chat
	return gesture{connection: conv.ConnectionID, name: "show typing", do: func(ctx context.Context, account platform.Account) error {
		if typist, ok := account.(platform.Typist); ok {
			return typist.ShowTyping(ctx, chat, typing)
		}
		return nil
	}}
}

// shown is when customers were last shown that somebody types, by conversation.
type shown struct {
	mu sync.Mutex
	at map[causeway.ID]time.Time
}

// due tells whether a customer is to be shown it now, and takes it as done.
func (s *shown) due(conv causeway.ID, typing bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.at[conv]
	lasts := known && now.Sub(at) < typingLasts
	if !typing {
		delete(s.at, conv)
		return lasts
	}
	if known && now.Sub(at) < showEvery {
		return false
	}
	if s.at == nil {
		s.at = map[causeway.ID]time.Time{}
	}
	if len(s.at) >= maxShown {
		maps.DeleteFunc(s.at, func(_ causeway.ID, at time.Time) bool { return now.Sub(at) >= typingLasts })
	}
	if len(s.at) >= maxShown {
		return false
	}
	s.at[conv] = now
	return true
}

func (s *shown) forget(conv causeway.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, conv)
}

// Hints of who types are the user's id behind one of these.
const (
	hintTyping = '+'
	hintCeased = '-'
)

func typingTopic(conv causeway.ID) string { return "typing." + string(conv) }

func (s *Service) tellTyping(conv, user causeway.ID, typing bool) {
	mark := byte(hintCeased)
	if typing {
		mark = hintTyping
	}
	if err := s.bus.Hint(typingTopic(conv), append([]byte{mark}, user...)); err != nil {
		s.log.Debug("nobody was told who types", "conversation", conv, "error", err)
	}
}

func readHint(hint []byte) (Typing, bool) {
	user, typing := bytes.CutPrefix(hint, []byte{hintTyping})
	if !typing {
		var ceased bool
		if user, ceased = bytes.CutPrefix(hint, []byte{hintCeased}); !ceased {
			return Typing{}, false
		}
	}
	id, err := causeway.ParseID(string(user))
	return Typing{User: id, Typing: typing}, err == nil
}

// FollowTyping tells who begins to type in a conversation from now on and who ceases to,
// each change once, until ctx ends; then the channel is closed. Who does not say for ten
// seconds that they still type has ceased to. Whoever asks has made sure that the viewer
// sees the conversation. What a slow reader misses is lost.
func (s *Service) FollowTyping(ctx context.Context, conv causeway.ID) <-chan Typing {
	bell, changes := s.bus.Subscribe(typingTopic(conv)), make(chan Typing)
	go func() {
		defer close(changes)
		defer bell.Close()
		f := typingFollower{clock: s.clock, bell: bell, until: map[causeway.ID]time.Time{}}
		for {
			for _, change := range f.next(ctx) {
				select {
				case changes <- change:
				case <-ctx.Done():
				}
			}
			if ctx.Err() != nil {
				return
			}
		}
	}()
	return changes
}

// typingFollower knows until when who types.
type typingFollower struct {
	clock causeway.Clock
	bell  *bus.Doorbell
	until map[causeway.ID]time.Time
}

// next waits until something may have changed, and tells what did.
func (f *typingFollower) next(ctx context.Context) []Typing {
	var lapse <-chan time.Time
	if soonest, any := f.soonest(); any {
		timer := f.clock.NewTimer(max(0, soonest.Sub(f.clock.Now())))
		defer timer.Stop()
		lapse = timer.C()
	}
	var changes []Typing
	select {
	case <-ctx.Done():
	case <-lapse:
	case <-f.bell.C():
		for _, hint := range f.bell.Take().Hints {
			if said, ok := readHint(hint); ok && f.hears(said) {
				changes = append(changes, said)
			}
		}
	}
	return append(changes, f.lapsed()...)
}

func (f *typingFollower) soonest() (at time.Time, any bool) {
	for _, until := range f.until {
		if !any || until.Before(at) {
			at, any = until, true
		}
	}
	return at, any
}

// hears takes what somebody said, and tells whether that changes anything.
func (f *typingFollower) hears(said Typing) bool {
	_, before := f.until[said.User]
	if said.Typing {
		f.until[said.User] = f.clock.Now().Add(typingLasts)
	} else {
		delete(f.until, said.User)
	}
	return said.Typing != before
}

func (f *typingFollower) lapsed() []Typing {
	var changes []Typing
	now := f.clock.Now()
	for user, until := range f.until {
		if !until.After(now) {
			delete(f.until, user)
			changes = append(changes, Typing{User: user})
		}
	}
	return changes
}
