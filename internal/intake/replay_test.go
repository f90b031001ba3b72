package intake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/webhooklog"
	"causeway/internal/intake"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func nothingElse(*store.Tx, int, bool) error { return nil }

// replays puts all of the connection's logs back and tells how many.
func (r *room) replays(t *testing.T, f intake.Filter) int {
	t.Helper()
	n, err := r.intake.ReplayAll(t.Context(), r.conn.ID, f, nothingElse)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until nothing is PENDING. The clock goes on only while something waits
// that is in nobody's hands, so that no lease runs out.
func (r *room) settled(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is PENDING", func() bool {
		pending := r.store.Reader().WebhookLog.Query().Where(webhooklog.StatusEQ(webhooklog.StatusPending))
		free, err := pending.Clone().Where(webhooklog.LeasedUntilIsNil()).Exist(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if free {
			r.clock.turn(time.Second)
			return false
		}
		waits, err := pending.Exist(t.Context())
		return err == nil && !waits
	})
}

func TestReplayingEverythingChangesNothingButTheAttempts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
			if *log.UpdateKey == "2" {
				return intake.Outcome{Err: errors.New("cannot be read")}, nil
			}
			return intake.Outcome{Ignored: *log.UpdateKey == "3"}, nil
		})
		for _, key := range []string{"1", "2", "3", "4", "4"} {
			r.add(t, r.entry(key, "chat "+key))
		}
		r.settled(t)
		before := r.logs(t)
		if got := statuses(before); got != "PROCESSED FAILED IGNORED PROCESSED DUPLICATE" {
			t.Fatal(got)
		}
		conn := r.reread(t)
		for range 10 { // more often than a log may be tried
			if n := r.replays(t, intake.Filter{}); n != 4 {
				t.Fatalf("%d were put back, not the four that are neither PENDING nor DUPLICATE", n)
			}
			r.settled(t)
		}
		after := r.logs(t)
		if got := statuses(after); got != statuses(before) {
			t.Errorf("they are %s", got)
		}
		for i, log := range after {
			want := map[webhooklog.Status]int{"PROCESSED": 11, "IGNORED": 11, "FAILED": 22}[log.Status]
			if log.Attempts < want { // a commit that has to be repeated is a try more
				t.Errorf("log %d was tried %d times, not %d", i, log.Attempts, want)
			}
			if (log.Error == nil) != (before[i].Error == nil) {
				t.Errorf("log %d has the error %v", i, log.Error)
			}
		}
		if now := r.reread(t); now.ErrorCount != 1 || now.TotalReceived != conn.TotalReceived {
			t.Errorf("%d errors of %d received", now.ErrorCount, now.TotalReceived)
		}
	})
}

func TestAReplayTellsThatALogWasAppliedBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		var broken atomic.Bool
		broken.Store(true)
		var replayed atomic.Int64
		r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
			if log.AppliedBefore {
				replayed.Add(1)
			}
			if *log.UpdateKey == "2" && broken.Load() {
				return intake.Outcome{}, errors.New("not understood yet")
			}
			return intake.Outcome{}, nil
		})
		r.add(t, r.entry("1", "a"), r.entry("2", "b"))
		r.settled(t)
		broken.Store(false)
		if n := r.replays(t, intake.Filter{Status: webhooklog.StatusFailed}); n != 1 {
			t.Fatalf("%d FAILED ones were put back", n)
		}
		r.settled(t)
		if n := replayed.Load(); n != 0 || r.reread(t).ErrorCount != 0 {
			t.Errorf("what had FAILED was taken for applied (%d), or still counts as an error", n)
		}
		if n := r.replays(t, intake.Filter{}); n != 2 {
			t.Fatalf("%d were put back", n)
		}
		r.settled(t)
		if n := replayed.Load(); n != 2 {
			t.Errorf("%d of 2 were known as applied", n)
		}
	})
}

func TestALogThatComesBackGoesBeforeWhatCameAfterIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "chat"), r.entry("2", "chat"))
		if n, err := r.intake.Discard(t.Context(), r.conn.ID, nothingElse); n != 2 || err != nil {
			t.Fatalf("%d were set aside: %v", n, err)
		}
		r.add(t, r.entry("3", "chat"))
		for _, log := range r.logs(t)[:2] {
			if ok, err := r.intake.Replay(t.Context(), log.ID, nothingElse); !ok || err != nil {
				t.Fatalf("%s was not put back: %v", *log.UpdateKey, err)
			}
		}
		done, _ := r.process(t, func(*store.Tx, *ent.WebhookLog) (intake.Outcome, error) { return intake.Outcome{}, nil })
		r.settled(t)
		var got string // it is noted a moment after the commit
		eventually(t, "all three are noted", func() bool {
			got = done.String()
			return strings.Count(got, " ") == 2
		})
		if got != "1 2 3" {
			t.Errorf("applied in the order %s", got)
		}
	})
}

func TestAReplayTakesWhatTheFilterChoosesOldestFirst(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		_, _ = r.process(t, func(*store.Tx, *ent.WebhookLog) (intake.Outcome, error) { return intake.Outcome{}, nil })
		for i := range 4 {
			e := r.entry(fmt.Sprint(i), "chat")
			if i == 3 {
				e.Envelope.Event = "callback_query"
			}
			r.clock.turn(time.Minute)
			r.add(t, e)
		}
		r.settled(t)
		at := r.logs(t)[1].ReceivedAt
		for name, try := range map[string]struct {
			filter intake.Filter
			n      int
		}{
			"by event":   {intake.Filter{Event: "callback_query"}, 1},
			"after":      {intake.Filter{ReceivedAfter: &at}, 2},
			"before":     {intake.Filter{ReceivedBefore: &at}, 1},
			"PENDING":    {intake.Filter{Status: webhooklog.StatusPending}, 0},
			"DUPLICATE":  {intake.Filter{Status: webhooklog.StatusDuplicate}, 0},
			"PROCESSED":  {intake.Filter{Status: webhooklog.StatusProcessed}, 4},
			"everything": {intake.Filter{}, 4},
		} {
			if n := r.replays(t, try.filter); n != try.n {
				t.Errorf("%s: %d were put back, not %d", name, n, try.n)
			}
			r.settled(t)
		}
	})
}

func TestOneLogThatWaitsOrIsADuplicateStaysAsItIs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "chat"), r.entry("1", "chat"))
		for _, log := range r.logs(t) {
			ok, err := r.intake.Replay(t.Context(), log.ID, nothingElse)
			if ok || err != nil {
				t.Errorf("a log that is %s was put back (%v): %v", log.Status, ok, err)
			}
		}
		if got := statuses(r.logs(t)); got != "PENDING DUPLICATE" {
			t.Errorf("they are %s", got)
		}
		_, err := r.intake.Replay(t.Context(), causeway.NewID(causeway.PrefixWebhookLog), nothingElse)
		if causeway.CodeOf(err) != causeway.NotFound {
			t.Errorf("a log that is not there: %v", err)
		}
	})
}

// many stores n logs in a few commits.
func (r *room) many(t *testing.T, n int) {
	t.Helper()
	for from := range slices.Chunk(make([]int, n), 500) {
		b := intake.Batch{Connection: r.conn.ID}
		for range from {
			r.made++
			b.Entries = append(b.Entries, r.entry(fmt.Sprint(r.made), fmt.Sprint("chat ", r.made%100)))
		}
		if err := r.intake.AddBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTenThousandThatWaitAreSetAsideAndComeBackInOneCallEachWhileOthersArrive(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.many(t, 10_000)
		ctx, cancel := context.WithCancel(t.Context())
		arriving := make(chan int)
		go func() { // a customer writes on meanwhile
			n := 0
			for ctx.Err() == nil {
				n++
				e := r.entry(fmt.Sprint("new ", n), "another chat")
				if err := r.intake.Add(context.WithoutCancel(ctx), e); err != nil {
					t.Error(err)
				}
			}
			arriving <- n
		}()
		var steps, last int
		within := func(_ *store.Tx, n int, done bool) error {
			steps++
			if done {
				last = n
			}
			return nil
		}
		n, err := r.intake.Discard(t.Context(), r.conn.ID, within)
		if err != nil || n < 10_000 || last != n {
			t.Fatalf("%d were set aside, and the last step had %d: %v", n, last, err)
		}
		back, err := r.intake.ReplayAll(t.Context(), r.conn.ID, intake.Filter{Status: webhooklog.StatusDiscarded}, within)
		if err != nil || back != n || last != n {
			t.Fatalf("%d of %d came back: %v", back, n, err)
		}
		cancel()
		arrived := <-arriving
		if steps < 2*10_000/500 || arrived < 2 {
			t.Errorf("it took %d steps, and %d arrived meanwhile", steps, arrived)
		}
		waiting, err := intake.Waiting(t.Context(), s, []causeway.ID{r.conn.ID})
		if err != nil || waiting[r.conn.ID] != 10_000+arrived {
			t.Errorf("%d wait of %d: %v", waiting[r.conn.ID], 10_000+arrived, err)
		}
	})
}

func TestWhatIsInAWorkersHandsIsNotSetAside(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "a"), r.entry("2", "a"))
		held, goOn := make(chan struct{}), make(chan struct{})
		_, _ = r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
			if *log.UpdateKey == "1" {
				close(held)
				<-goOn
			}
			return intake.Outcome{}, nil
		})
		<-held
		n := -1
		discarding := make(chan error)
		go func() {
			var err error
			n, err = r.intake.Discard(t.Context(), r.conn.ID, nothingElse)
			discarding <- err
		}()
		close(goOn)
		if err := <-discarding; err != nil || n != 0 {
			t.Errorf("%d were set aside: %v", n, err)
		}
		r.settled(t)
		if got := statuses(r.logs(t)); got != "PROCESSED PROCESSED" {
			t.Errorf("they are %s", got)
		}
	})
}

func TestTestEventsCountAsNothingReceived(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		e := r.entry("test", "")
		e.Test = true
		r.add(t, e)
		conn := r.reread(t)
		if logs := r.logs(t); len(logs) != 1 || !logs[0].Test || conn.TotalReceived != 0 || conn.LastReceivedAt != nil {
			t.Errorf("%v counts as %d received, the last at %v", logs, conn.TotalReceived, conn.LastReceivedAt)
		}
	})
}

func TestPuttingBackAndSettingAsideRunAlongIndexes(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, s *store.Store, asked *storetest.Statements) {
		r := newRoom(t, s)
		r.intake.Start()
		r.many(t, 1000)
		asked.Take()
		if _, err := r.intake.Discard(t.Context(), r.conn.ID, nothingElse); err != nil {
			t.Fatal(err)
		}
		at := r.clock.Now().Add(-time.Hour)
		for _, f := range []intake.Filter{
			{}, {Status: webhooklog.StatusDiscarded}, {Event: "message"}, {ReceivedAfter: &at}, {Status: webhooklog.StatusFailed, ReceivedBefore: &at},
		} {
			r.replays(t, f)
		}
		statements := asked.Take()
		if len(statements) < 6 {
			t.Fatalf("%d statements were seen", len(statements))
		}
		for _, one := range statements {
			if scan := storetest.FullScan(t, s, one); scan != "" && strings.Contains(one.Query, "webhook_logs") {
				t.Errorf("%s\n%s", one.Query, scan)
			}
		}
	})
}
