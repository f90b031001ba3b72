package connection_test

import (
	"slices"
	"testing"

	"causeway"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestWhatThePlatformTellsOfAnAccountIsAWarningUntilItIsOver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s).start()
		id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
		told := func(n platform.AccountNoticed) (news bool) {
			t.Helper()
			w.write(func(tx *store.Tx) (err error) {
				news, err = w.service.Noticed(tx, id, n)
				return err
			})
			return news
		}
		warned := func() bool {
			return slices.ContainsFunc(w.row(id).Warnings, func(p causeway.Problem) bool { return p.Code == causeway.AccountRestricted })
		}
		block := platform.AccountNoticed{
			Problem: &causeway.Problem{Code: causeway.AccountRestricted, PlatformMessage: "spam"}, At: w.row(id).ConnectedAt,
		}
		before, asked := w.events(id), len(w.tg.Calls("getMe"))
		if !told(block) || told(block) {
			t.Error("it is news once")
		}
		if n := w.events(id); n != before+1 {
			t.Errorf("%d events", n-before)
		}
		_, err := w.tg.WaitCalls(within(t), "getMe", asked+1) // a check is made at once, and does not end it
		must(t, err)
		w.eventually(func() string {
			if w.row(id).LeasedUntil != nil {
				return "the check is not over"
			}
			return ""
		})
		if !warned() {
			t.Error("the warning is gone")
		}
		if !told(platform.AccountNoticed{}) || warned() || told(platform.AccountNoticed{}) {
			t.Errorf("when it is over there are %v", w.row(id).Warnings)
		}
		must(t, w.service.Disconnect(w.manager(), id))
		if told(block) {
			t.Error("it was news of a connection that is gone")
		}
	})
}
