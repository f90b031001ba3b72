package connection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/ent/webhooklog"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

const day = 24 * time.Hour

// heard lets updates have come to a connection, so long ago each.
func (w *world) heard(id causeway.ID, ago ...time.Duration) {
	w.Helper()
	now := w.clock.Now()
	w.write(func(tx *store.Tx) error {
		logs := make([]*ent.WebhookLogCreate, len(ago))
		for i, d := range ago {
			at := now.Add(-d)
			logs[i] = tx.WebhookLog.Create().SetCampaignID(w.campaign).SetConnectionID(id).SetAccountID("1").
				SetEventType("message").SetPayload([]byte("{}")).SetStatus(webhooklog.StatusProcessed).
				SetReceivedAt(at).SetPosition(at.UnixNano()).SetQueueKey(fmt.Sprint(id, at)).SetNextTryAt(at)
		}
		if err := tx.WebhookLog.CreateBulk(logs...).Exec(tx.Context()); err != nil {
			return err
		}
		return tx.Connection.UpdateOneID(id).SetLastReceivedAt(now.Add(-slices.Min(ago))).Exec(tx.Context())
	})
}

// days are the days from one to another, both included, every n-th.
func days(from, to, n int) []time.Duration {
	var all []time.Duration
	for d := from; d <= to; d += n {
		all = append(all, time.Duration(d)*day)
	}
	return all
}

// judged looks at a connection after a pause, and then as is usual.
func (w *world) judged(id causeway.ID) *ent.TestReport {
	w.Helper()
	_, err := w.service.Test(w.manager(), id)
	must(w, err)
	report, err := w.service.Test(w.manager(), id)
	must(w, err)
	w.is(id, entconnection.StatusActive, "")
	return w.report(report)
}

func (w *world) quietSince(id causeway.ID) string {
	w.Helper()
	for _, warning := range w.row(id).Warnings {
		if warning.Code == causeway.UnusuallyQuiet {
			return warning.Args["since"]
		}
	}
	return ""
}

func TestASilenceThatIsUnusualForAConnectionIsWarnedOfUntilSomethingComes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
		w.clock.turn(30 * day)
		w.heard(id, days(0, 27, 1)...)
		last := w.clock.Now().UTC().Format("2006-01-02 15:04 MST")
		w.clock.turn(47 * time.Hour)
		if c := check(t, w.judged(id), platform.CheckWebhookRegistration); c.Outcome != platform.CheckPassed || w.quietSince(id) != "" {
			t.Errorf("after 47 hours the report says %s: %s", c.Outcome, c.Message)
		}
		events := w.events(id)
		w.clock.turn(2 * time.Hour)
		c := check(t, w.judged(id), platform.CheckWebhookRegistration)
		if c.Outcome != platform.CheckWarning || codeIn(c.Problem) != causeway.UnusuallyQuiet || !strings.Contains(c.Message, last) {
			t.Errorf("after 49 hours the report says %s: %s", c.Outcome, c.Message)
		}
		if w.quietSince(id) != last || w.events(id) != events+1 {
			t.Errorf("warned of a silence since %q, not %q; watchers were told %d times", w.quietSince(id), last, w.events(id)-events)
		}

		w.write(func(tx *store.Tx) error {
			_, err := tx.WebhookLog.Delete().Exec(tx.Context())
			return err
		})
		w.clock.turn(20 * day)
		if w.judged(id); w.quietSince(id) != last {
			t.Error("the silence goes on, and the warning went with the old logs")
		}
		w.heard(id, time.Minute)
		if c := check(t, w.judged(id), platform.CheckWebhookRegistration); c.Outcome != platform.CheckPassed || w.quietSince(id) != "" {
			t.Errorf("something came, and the report says %s: %s", c.Outcome, c.Message)
		}
	})
}

func TestASilenceIsMeasuredAgainstTheConnectionsOwnRhythm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		heard []time.Duration // before the last update
		quiet time.Duration   // since then
		want  bool
	}{
		"every day, and two days of silence":           {days(1, 27, 1), 2 * day, false},
		"every day, and a bit more than two":           {days(1, 27, 1), 2*day + time.Hour, true},
		"every other day, and four days of silence":    {days(2, 28, 2), 4 * day, false},
		"every other day, and more":                    {days(2, 28, 2), 4*day + time.Hour, true},
		"every day but a week, and two weeks":          {append(days(1, 10, 1), days(17, 27, 1)...), 14 * day, false},
		"every day but a week, and more":               {append(days(1, 10, 1), days(17, 27, 1)...), 14*day + time.Hour, true},
		"every third day, which is too seldom to tell": {days(3, 27, 3), 20 * day, false},
		"thirteen days, which are too few":             {days(1, 13, 1), 20 * day, false},
		"once":                                         {nil, 20 * day, false},
		"a day full of updates":                        {[]time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}, 20 * day, false},
		"every day, long ago":                          {days(29, 60, 1), 20 * day, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
			w.clock.turn(61 * day)
			w.heard(id, append([]time.Duration{0}, c.heard...)...)
			w.clock.turn(c.quiet)
			if w.judged(id); (w.quietSince(id) != "") != c.want {
				t.Errorf("it counts as quiet: %v", !c.want)
			}
		})
	}
}

func TestAPageThatFallsSilentIsWarnedOfBesideWhatElseThereIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.newShop("Tea")
	id := s.connectsPage(s.pages[0]).Connection
	w.clock.turn(30 * day)
	w.heard(id, days(0, 27, 1)...)
	w.clock.turn(3 * day)
	s.pages[0].Subscribe(s.app, "messages", "messaging_postbacks")
	w.start()
	w.eventually(func() string {
		if w.quietSince(id) != "" {
			return ""
		}
		w.clock.turn(time.Hour)
		return "the page is not told to be quiet"
	})
	w.is(id, entconnection.StatusActive, "")
	reports := w.reports(id, testreport.KindHealth)
	c := check(t, reports[len(reports)-1], platform.CheckWebhookRegistration)
	if c.Outcome != platform.CheckWarning || codeIn(c.Problem) != causeway.WebhookFieldsMissing {
		t.Errorf("the report says %s: %s", c.Outcome, c.Message)
	}
	if n := len(w.row(id).Warnings); n != 2 {
		t.Errorf("warned are %+v", w.row(id).Warnings)
	}
}

func TestWhatDidNotHaveTheTimeToComeIsNoSilence(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T, opts ...option) (*world, *simulator.Bot, causeway.ID) {
		t.Helper()
		w := newWorld(t, storetest.SQLite(t), opts...)
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		w.clock.turn(30 * day)
		w.heard(id, days(0, 27, 1)...)
		w.clock.turn(3 * day)
		return w, bot, id
	}
	t.Run("the server was down", func(t *testing.T) {
		t.Parallel()
		w, _, id := silent(t)
		_, err := w.service.Test(w.manager(), id)
		must(t, err)
		if w.quietSince(id) != "" {
			t.Error("the first look after three days judged them")
		}
		if w.judged(id); w.quietSince(id) == "" {
			t.Error("the next did not")
		}
	})
	t.Run("it was connected again", func(t *testing.T) {
		t.Parallel()
		w, _, id := silent(t)
		w.judged(id)
		_, err := w.service.Reconnect(w.manager(), id)
		must(t, err)
		if w.judged(id); w.quietSince(id) != "" {
			t.Error("it was just connected, and is told to be quiet")
		}
		w.clock.turn(2*day + time.Hour)
		if w.judged(id); w.quietSince(id) == "" {
			t.Error("nothing came for two days after it was connected again")
		}
	})
	t.Run("something waits at Telegram", func(t *testing.T) {
		t.Parallel()
		w, bot, id := silent(t, polling)
		if w.judged(id); w.quietSince(id) == "" {
			t.Error("a bot whose updates are fetched is not told to be quiet")
		}
		w.tg.Customer("Lan", "vi").Writes(bot, "Hello?")
		if w.judged(id); w.quietSince(id) != "" {
			t.Error("it is told to be quiet, and an update waits")
		}
	})
}

// rhythmic tells whether a statement reads when something came.
func rhythmic(statement storetest.Statement) bool {
	return strings.HasPrefix(statement.Query, "SELECT") && strings.Contains(statement.Query, webhooklog.Table) &&
		strings.Contains(statement.Query, webhooklog.FieldPosition)
}

func TestReadingARhythmRunsAlongAnIndex(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, s *store.Store, asked *storetest.Statements) {
		w := newWorld(t, s)
		id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
		w.clock.turn(30 * day)
		w.heard(id, days(0, 27, 1)...)
		w.clock.turn(3 * day)
		_, err := w.service.Test(w.manager(), id)
		must(t, err)
		asked.Take()
		_, err = w.service.Test(w.manager(), id)
		must(t, err)
		read := 0
		for _, statement := range asked.Take() {
			if !rhythmic(statement) {
				continue
			}
			read++
			if plan := storetest.FullScan(t, s, statement); plan != "" {
				t.Errorf("%s\n%s", statement.Query, plan)
			}
		}
		if read < 14 || read > 34 {
			t.Errorf("%d statements read the rhythm", read)
		}
		w.heard(id, time.Hour)
		asked.Take()
		_, err = w.service.Test(w.manager(), id)
		must(t, err)
		for _, statement := range asked.Take() {
			if rhythmic(statement) {
				t.Errorf("of a connection that is not silent was read %s", statement.Query)
			}
		}
	})
}
