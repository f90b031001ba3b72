package conversation_test

import (
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/message"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// sent stores a message of ours in a conversation with what became of it.
func (h *house) sent(conv *ent.Conversation, seq int64, status message.Status, code causeway.Code, at time.Time) {
	h.Helper()
	h.no(h.store.InTx(h.Context(), func(tx *store.Tx) error {
		create := tx.Message.Create().
			SetCampaignID(conv.CampaignID).SetConnectionID(conv.ConnectionID).SetAccountID(conv.AccountID).
			SetConversationID(conv.ID).SetSeq(seq).SetDirection(message.DirectionOutbound).SetAuthorKind(message.AuthorKindAgent).
			SetStatus(status).SetSentAt(at).SetCreatedAt(at).SetQueuedAt(at.Add(-time.Minute))
		if code != "" {
			create.SetProblem(&causeway.Problem{Code: code, OccurredAt: at})
		}
		return create.Exec(tx.Context())
	}))
}

func TestAConversationFailsUntilSomethingGoesOutThereAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := newHouse(t, s)
		bot, other := h.bot(), h.bot()
		now := causeway.Stamp(time.Now())
		since := now.Add(-time.Hour)
		talk := func(conn *ent.Connection, user int) *ent.Conversation {
			h.hears(conn, writes(with(ana, object{"id": user}), 1, "Hello"))
			return h.conversation(conn, user)
		}
		failed, old, mended, ended, elsewhere := talk(bot, 1), talk(bot, 2), talk(bot, 3), talk(bot, 4), talk(other, 5)
		h.sent(failed, 100, message.StatusFailed, causeway.BlockedByContact, now.Add(-30*time.Minute))
		h.sent(failed, 101, message.StatusFailed, causeway.PlatformError, now.Add(-20*time.Minute))
		h.sent(old, 100, message.StatusFailed, causeway.PlatformError, now.Add(-2*time.Hour))
		h.sent(mended, 100, message.StatusFailed, causeway.PlatformError, now.Add(-20*time.Minute))
		h.sent(mended, 101, message.StatusSent, "", now.Add(-10*time.Minute))
		h.sent(ended, 100, message.StatusFailed, causeway.NotConnected, now.Add(-20*time.Minute))
		h.sent(elsewhere, 100, message.StatusFailed, causeway.PlatformError, now.Add(-20*time.Minute))
		failing, err := h.service.Failing(t.Context(), bot.ID, since)
		h.no(err)
		if len(failing) != 1 || failing[failed.ID].Code != causeway.PlatformError {
			t.Errorf("failing are %v", failing)
		}
	})
}
