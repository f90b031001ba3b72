package conversation

import (
	"cmp"
	"fmt"
	"slices"

	"causeway/ent"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// notice is what a platform tells of an account itself.
type notice struct {
	update
	platform.AccountNoticed
}

// note hands on what platforms told of accounts, in the order of their connections and
// of its telling.
func (s *Service) note(tx *store.Tx, b *batch) error {
	slices.SortStableFunc(b.notices, func(x, y notice) int { return cmp.Compare(x.log.ConnectionID, y.log.ConnectionID) })
	for _, n := range b.notices {
		fresh, err := s.accounts.Noticed(tx, n.log.ConnectionID, n.AccountNoticed)
		if err != nil {
			return fmt.Errorf("note what is told of %s: %w", n.log.ConnectionID, err)
		}
		if !fresh {
			b.again(n.update)
		}
	}
	return nil
}

// tally counts what a log's events came to.
type tally struct{ again, moot int }

// again notes that an event was applied before: by itself, or by one that tells more.
func (b *batch) again(u update) { b.tally(u.log).again++ }

// moot notes that an event is about something that is not known here.
func (b *batch) moot(u update) { b.tally(u.log).moot++ }

func (b *batch) tally(log *ent.WebhookLog) *tally {
	t := b.told[log]
	if t == nil {
		t = &tally{}
		b.told[log] = t
	}
	return t
}
