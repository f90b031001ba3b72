package connection

import (
	"fmt"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// believedFor is how long a warning stays that the platform told by itself, and of which
// it does not tell that it is over. Looking at the account does not always show it.
const believedFor = 7 * 24 * time.Hour

// Noticed records, in tx, what the platform told of the account behind a connection by
// itself: a warning beside its status, or that there is nothing to warn of any more. A
// check is asked for. It tells whether that was news; of a connection that is
// disconnected nothing is.
func (s *Service) Noticed(tx *store.Tx, id causeway.ID, told platform.AccountNoticed) (bool, error) {
	row, err := lock(tx.Context(), tx, id)
	if ent.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", id, err)
	}
	warnings := slices.DeleteFunc(slices.Clone(row.Warnings), func(w causeway.Problem) bool { return w.Told })
	if told.Problem != nil {
		w := *told.Problem
		w.Told, w.OccurredAt = true, causeway.Stamp(told.At)
		if told.At.IsZero() {
			w.OccurredAt = s.clock.Now()
		}
		warnings = append(warnings, w)
	}
	if row.DisconnectedAt != nil || slices.EqualFunc(warnings, row.Warnings, sameWarning) {
		return false, nil
	}
	update := tx.Connection.UpdateOne(row).SetWarnings(warnings).SetNextCheckAt(s.clock.Now())
	if err := update.Exec(tx.Context()); err != nil {
		return false, fmt.Errorf("warn of %s: %w", id, err)
	}
	s.tell(tx, row.CampaignID, id)
	tx.AfterCommit(func() {
		select {
		case s.checkNow <- struct{}{}:
		default:
		}
	})
	return true, nil
}

func sameWarning(a, b causeway.Problem) bool {
	return same(&a, &b) && a.Told == b.Told && (!a.Told || a.OccurredAt.Equal(b.OccurredAt))
}

// stillTold are those of a connection's warnings that the platform told by itself and
// that hold, whatever a look at the account found now.
func stillTold(was, found []causeway.Problem, now time.Time) []causeway.Problem {
	return slices.DeleteFunc(slices.Clone(was), func(w causeway.Problem) bool {
		return !w.Told || now.Sub(w.OccurredAt) > believedFor ||
			slices.ContainsFunc(found, func(f causeway.Problem) bool { return f.Code == w.Code })
	})
}
