package connection_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// meter counts calls by the second in which the clock stood.
type meter struct {
	clock *turnedClock
	mu    sync.Mutex
	at    map[time.Time]int
	all   int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.at[m.clock.Now().Truncate(time.Second)]++
	m.all++
	m.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

func TestAnOutageOfThreeHoursIsNoStormAndEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	m := &meter{clock: w.clock, at: map[time.Time]int{}}
	w.service = w.newService(func(cfg *connection.Config) { cfg.HTTP = &http.Client{Transport: m} })
	var ids []causeway.ID
	for i := range 12 {
		ids = append(ids, w.adminConnects(w.tg.AddBot(fmt.Sprintf("shop%d_bot", i), "Shop")))
	}
	w.start()
	w.tg.Down()
	m.mu.Lock()
	m.all = 0
	clear(m.at)
	m.mu.Unlock()
	due := func() int {
		n, err := w.store.Reader().Connection.Query().Where(entconnection.NextCheckAtLTE(w.clock.Now())).Count(t.Context())
		must(t, err)
		return n
	}
	pass := func(d time.Duration) { // with every check made that is due meanwhile
		for until := w.clock.Now().Add(d); w.clock.Now().Before(until); {
			w.clock.turn(5 * time.Minute)
			w.eventually(func() string {
				if n := due(); n > 0 {
					return fmt.Sprintf("%d checks are due", n)
				}
				return ""
			})
		}
	}
	pass(4 * time.Hour) // the first check comes within one
	for _, id := range ids {
		w.is(id, entconnection.StatusError, causeway.NetworkError)
	}
	m.mu.Lock()
	if m.all > 14*len(ids) {
		t.Errorf("%d calls for %d connections", m.all, len(ids))
	}
	for second, n := range m.at {
		if n > 8 { // what was under way when the platform was found to be down, and one
			t.Errorf("%d calls within a second of %v", n, second)
		}
	}
	m.mu.Unlock()
	w.tg.Up()
	pass(65 * time.Minute)
	for _, id := range ids {
		w.is(id, entconnection.StatusActive, "")
	}
}

func TestTheNewestReportsAreKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		id := w.adminConnects(w.tg.AddBot("shop_bot", "Shop"))
		other := w.adminConnects(w.tg.AddBot("other_bot", "Other"))
		began := w.clock.Now()
		w.write(func(tx *store.Tx) error {
			creates := make([]*ent.TestReportCreate, 0, 150)
			for i := range 150 {
				creates = append(creates, tx.TestReport.Create().SetCampaignID(w.campaign).SetConnectionID(id).
					SetKind(testreport.KindHealth).SetPassed(true).SetChecks([]platform.Check{}).
					SetStartedAt(began.Add(-time.Duration(i)*time.Minute)).SetDurationMs(1))
			}
			return tx.TestReport.CreateBulk(creates...).Exec(tx.Context())
		})
		for range 4 {
			w.clock.turn(time.Minute)
			w.looks(id)
		}
		count := func(of causeway.ID) int {
			n, err := s.Reader().TestReport.Query().Where(testreport.ConnectionID(of)).Count(t.Context())
			must(t, err)
			return n
		}
		if n := count(id); n != 100 {
			t.Errorf("%d reports are kept", n)
		}
		if n := count(other); n != 1 {
			t.Errorf("another connection has %d", n)
		}
		if newest := w.reports(id, testreport.KindConnection); len(newest) < 4 {
			t.Errorf("%d of the newest four are there", len(newest))
		}
		query, args := connection.ForgetReports(s.SQL(), id).Query()
		if scan := storetest.FullScan(t, s, storetest.Statement{Query: query, Args: args}); scan != "" {
			t.Error(scan)
		}
	})
}
