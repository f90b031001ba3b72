package conversation_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"causeway/ent"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// meanwhile applies one log while another transaction, which has applied what came
// before, has not committed: once the two touch, the first goes on.
func (h *house) meanwhile(first, second []*ent.WebhookLog) {
	h.Helper()
	applied, goOn := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	var errs [2]error
	done.Go(func() {
		once := sync.OnceFunc(func() { close(applied) })
		defer once()
		errs[0] = h.store.InTx(h.Context(), func(tx *store.Tx) error {
			_, err := h.service.Apply(tx, first)
			once()
			<-goOn
			return err
		})
	})
	<-applied
	done.Go(func() {
		errs[1] = h.store.InTx(h.Context(), func(tx *store.Tx) error {
			_, err := h.service.Apply(tx, second)
			return err
		})
	})
	h.untilSomebodyWaits()
	close(goOn)
	done.Wait()
	h.no(errs[0])
	h.no(errs[1])
}

// untilSomebodyWaits returns when a transaction waits for another one's lock.
func (h *house) untilSomebodyWaits() {
	h.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for h.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
		select {
		case <-deadline:
			h.Error("the transactions never met")
			return
		case <-tick.C:
		}
	}
}

func TestTwoBatchesMayMeetTheSamePersonAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	one, two := supergroup(-1001, "One"), supergroup(-1002, "Two")
	h.meanwhile(
		h.logs(conn, says(one, ana, 1, "Hi"), says(one, bo, 2, "Ho")),
		h.logs(conn, says(two, bo, 1, "Hey"), says(two, ana, 2, "Hay"), reacts(two, ana, 1, 3, "👍"), writes(ana, 3, "in private")),
	)
	h.shows(conn, -1001, "Ana: Hi", "Bo Li: Ho")
	h.shows(conn, -1002, "Bo Li: Hey {Ana 👍}", "Ana: Hay")
	h.shows(conn, anaChat, "Ana: in private")
	if n := h.count("SELECT count(*) FROM contacts"); n != 4 {
		t.Errorf("%d contacts for two groups and two people", n)
	}
	h.finds(conn, "ana private", "501")
}

func TestSomebodyMetAtOnceUnderTwoNamesHasOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	h.meanwhile(
		h.logs(conn, says(supergroup(-1001, "One"), ana, 1, "Hi")),
		h.logs(conn, writes(with(ana, object{"first_name": "Maria"}), 2, "private")),
	)
	name := h.conversation(conn, anaChat).Edges.Contact.Name
	h.finds(conn, name, "501")
	h.hears(conn, writes(with(ana, object{"first_name": "Zoe"}), 3, "again"))
	h.same("the words", h.words(h.conversation(conn, anaChat).ID), []string{"again=1", "private=1", "zoe=1"})
}

func TestSomebodyRenamedInTwoBatchesAtOnceIsRenamedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	maria := with(ana, object{"first_name": "Maria"})
	one, two := supergroup(-1001, "One"), supergroup(-1002, "Two")
	h.hears(conn, writes(ana, 1, "Hi"), says(one, bo, 1, "x"), says(two, bo, 1, "x"))
	h.meanwhile(h.logs(conn, says(one, maria, 2, "I married")), h.logs(conn, says(two, maria, 2, "I married")))
	h.same("the words", h.words(h.conversation(conn, anaChat).ID), []string{"hi=1", "maria=1"})
}

func TestABlockIsNotForgottenBecauseAGroupSawAnotherName(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	h.hears(conn, writes(ana, 1, "Hi"))
	h.meanwhile(
		h.logs(conn, membership(private(ana), ana, 2, "member", "kicked")),
		h.logs(conn, says(supergroup(-1001, "One"), with(ana, object{"username": "anna"}), 1, "x")),
	)
	if c := h.conversation(conn, anaChat).Edges.Contact; !c.Blocked || text(c.Username) != "anna" {
		t.Errorf("%v", c)
	}
}

func TestBothChatsOfAMoveMayTellItAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	h.hears(conn, says(oldGroup, ana, 1, "Hi"))
	h.meanwhile(h.logs(conn, movedTo), h.logs(conn, movedOff, says(newGroup, ana, 2, "here?")))
	h.shows(conn, -1007, "Ana: Hi", theMove, "Ana: here?")
}

func TestManyBatchesInParallelEndWell(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	conn := h.bot()
	const groups, batches, people = 6, 5, 12
	logs := map[int][][]*ent.WebhookLog{}
	for g := range groups {
		for b := range batches {
			var updates []string
			for i := range people {
				who := person(100+(i*(g+1)+b)%people, fmt.Sprintf("P%d", (i+b)%3))
				updates = append(updates, says(supergroup(-1001-g, "Group"), who, b*people+i+1, "Hi"))
			}
			logs[g] = append(logs[g], h.logs(conn, updates...))
		}
	}
	var done sync.WaitGroup
	errs := make([]error, groups)
	for g := range groups {
		done.Go(func() {
			for _, batch := range logs[g] {
				err := h.store.InTx(h.Context(), func(tx *store.Tx) error {
					_, err := h.service.Apply(tx, batch)
					return err
				})
				if err != nil {
					errs[g] = err
				}
			}
		})
	}
	done.Wait()
	for _, err := range errs {
		h.no(err)
	}
	h.state(conn) // counts every conversation
	if n := h.count("SELECT count(*) FROM messages"); n != groups*batches*people {
		t.Errorf("%d messages", n)
	}
	if n := h.count("SELECT count(*) FROM contacts"); n != groups+people {
		t.Errorf("%d contacts", n)
	}
}
