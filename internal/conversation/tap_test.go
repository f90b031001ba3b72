package conversation_test

import (
	"errors"
	"testing"
	"time"

	"causeway/ent"
	"causeway/internal/store"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

func TestATapIsAMessageAndIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.hears(conn, writes(ana, 1, "Hi"))
		h.hears(conn, taps(ana, "t1", 1, "yes", "Yes, please"), taps(ana, "t1", 1, "yes", "Yes, please"))
		h.shows(conn, anaChat, "Ana: Hi", "Ana: Yes, please (yes) <- 1")
		if m := h.conversation(conn, anaChat).Edges.LastMessage; m.SentAt.Before(m.CreatedAt) {
			t.Errorf("a tap without a time is of %v", m.SentAt)
		}
		h.hears(conn, taps(ana, "t1", 1, "yes", "Yes, please"), taps(ana, "t2", 999, "no", "No"))
		h.answers("t1", "t2")
		h.shows(conn, anaChat, "Ana: Hi", "Ana: Yes, please (yes) <- 1", "Ana: No (no)")
		h.no(h.service.Close())
		if len(h.accounts.answered) != 2 {
			t.Errorf("answered: %v", h.accounts.answered)
		}
	})
}

// answers waits until the platform was told of taps, in any order.
func (h *house) answers(taps ...string) {
	h.Helper()
	missing := map[string]bool{}
	for _, tap := range taps {
		missing[tap] = true
	}
	for len(missing) > 0 {
		select {
		case tap := <-h.accounts.told:
			delete(missing, tap)
		case <-time.After(patience):
			h.Fatalf("nobody answered the taps %v", missing)
		}
	}
}

func TestATapWhoseTransactionFailsIsNotAnswered(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		logs := h.logs(conn, taps(ana, "lost", 1, "yes", "Yes"), taps(ana, "kept", 1, "no", "No"))
		failure := errors.New("the disk is full")
		err := h.store.InTx(t.Context(), func(tx *store.Tx) error {
			if _, err := h.service.Apply(tx, logs[:1]); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Fatal(err)
		}
		h.apply(logs[1])
		h.answers("kept")
		h.no(h.service.Close())
		if len(h.accounts.answered) != 1 {
			t.Errorf("answered: %v", h.accounts.answered)
		}
	})
}

func TestATapThatCannotBeAnsweredIsShownAllTheSame(t *testing.T) {
	t.Parallel()
	each(t, func(h *house, conn *ent.Connection) {
		h.accounts.mu.Lock()
		h.accounts.refuse = errors.New("no token any more")
		h.accounts.mu.Unlock()
		h.hears(conn, taps(ana, "t1", 1, "yes", "Yes"))
		h.shows(conn, anaChat, "Ana: Yes (yes)")
	})
}
