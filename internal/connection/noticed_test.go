package connection_test

import (
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
			if row := w.row(id); len(row.Warnings) != 1 || row.Warnings[0].Code != causeway.AccountRestricted || row.LeasedUntil != nil {
				return "the warning is not there"
			}
			return ""
		})
		if !told(platform.AccountNoticed{}) || len(w.row(id).Warnings) != 0 || told(platform.AccountNoticed{}) {
			t.Errorf("when it is over there are %v", w.row(id).Warnings)
		}
		must(t, w.service.Disconnect(w.manager(), id))
		if told(block) {
			t.Error("it was news of a connection that is gone")
		}
	})
}
