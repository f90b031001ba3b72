package conversation

import (
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
)

// Window is a value of the contract's ReplyWindow enum: what may be sent in a
// conversation for how long.
type Window string

// The windows there are.
const (
	WindowUnlimited Window = "UNLIMITED"
	WindowStandard  Window = "STANDARD"
	WindowHuman     Window = "HUMAN_AGENT"
	WindowClosed    Window = "CLOSED"
)

// window is how the platform's window for answers stands in a conversation, and when
// that changes for the worse; zero where it never does. Where it is closed, at is when
// it closed. Of a conversation in which the customer is not known to have written it is
// counted from its beginning: what they did was before that, or nothing.
func window(limits platform.Limits, conv *ent.Conversation, now time.Time) (w Window, at time.Time) {
	if limits.Standard == 0 {
		return WindowUnlimited, time.Time{}
	}
	since := conv.CreatedAt
	if conv.CustomerWroteAt != nil {
		since = *conv.CustomerWroteAt
	}
	standard, human := since.Add(limits.Standard), since.Add(max(limits.Standard, limits.Human))
	switch {
	case now.Before(standard):
		return WindowStandard, standard
	case now.Before(human):
		return WindowHuman, human
	default:
		return WindowClosed, human
	}
}

// closed is the refusal of a message where the window for answers is closed, or nil.
func (s *Service) closed(conv *ent.Conversation) *causeway.Error {
	w, at := window(s.limits[conv.Platform], conv, s.clock.Now())
	if w != WindowClosed {
		return nil
	}
	return causeway.FailWith(causeway.ReplyWindowClosed, causeway.ReasonWindowClosedAt).
		With("closedAt", at.UTC().Format("2006-01-02 15:04 MST"))
}

// wrote notes when the customer last did what opens the window: wrote, tapped, reacted.
func (b *batch) wrote(conv *conversationRow, at time.Time) {
	if raise(&conv.CustomerWroteAt, *b.stamp(at)) {
		conv.dirty = true
	}
}
