package intake_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"

	"causeway/ent"
	"causeway/ent/webhooklog"
	"causeway/internal/bus"
	"causeway/internal/intake"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// applied notes which updates were applied in transactions that committed.
type applied struct {
	mu   sync.Mutex
	keys []string
}

func (a *applied) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.keys, " ")
}

// process applies with how, which answers for one log.
func (r *room) process(t *testing.T, how func(tx *store.Tx, log *ent.WebhookLog) (intake.Outcome, error)) (*applied, func() string) {
	t.Helper()
	var done applied
	var mu sync.Mutex
	var said bytes.Buffer
	p := intake.NewProcessor(intake.ProcessorConfig{
		Store: r.store, Bus: r.bus, Clock: r.clock,
		Log: slog.New(slog.NewTextHandler(lockedWriter{&mu, &said}, nil)),
		Apply: func(tx *store.Tx, logs []*ent.WebhookLog) ([]intake.Outcome, error) {
			var outcomes []intake.Outcome
			for _, log := range logs {
				o, err := how(tx, log)
				if err != nil {
					return nil, err
				}
				outcomes = append(outcomes, o)
			}
			tx.AfterCommit(func() {
				done.mu.Lock()
				defer done.mu.Unlock()
				for _, log := range logs {
					done.keys = append(done.keys, *log.UpdateKey)
				}
			})
			return outcomes, nil
		},
	})
	p.Start()
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return &done, func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// log is the log of an update.
func (r *room) log(t *testing.T, key string) *ent.WebhookLog {
	t.Helper()
	log, err := r.store.Reader().WebhookLog.Query().
		Where(webhooklog.UpdateKey(key), webhooklog.StatusNEQ(webhooklog.StatusDuplicate)).Only(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestUpdatesAreAppliedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		hints := r.bus.Subscribe(intake.LogTopic(r.conn.ID))
		done, _ := r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
			return intake.Outcome{Ignored: *log.UpdateKey == "3"}, nil
		})
		for i := range 30 {
			r.add(t, r.entry(fmt.Sprint(i), "chat"))
		}
		eventually(t, "all are applied", func() bool { return len(strings.Fields(done.String())) == 30 })
		for i, key := range strings.Fields(done.String()) {
			if key != strconv.Itoa(i) {
				t.Fatalf("applied in the order %s", done)
			}
		}
		log := r.log(t, "3")
		if log.Status != webhooklog.StatusIgnored || log.ProcessedAt == nil || log.DurationMs == nil || log.Attempts != 1 || log.LeasedUntil != nil {
			t.Errorf("what did not concern us became %v", log)
		}
		if log := r.log(t, "4"); log.Status != webhooklog.StatusProcessed {
			t.Errorf("what was applied became %v", log)
		}
		if news := hints.Take(); len(news.Hints)+news.Lost != 60 {
			t.Errorf("the log panel heard of %d changes, want 60", len(news.Hints)+news.Lost)
		}
	})
}

func TestABadUpdateEndsFailedAndDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	bad := map[string]func() (intake.Outcome, error){
		"cannot be parsed": func() (intake.Outcome, error) {
			_, err := strconv.Atoi("my secret words")
			return intake.Outcome{Err: fmt.Errorf("read the message's id: %w", err)}, nil
		},
		"is refused by a rule": func() (intake.Outcome, error) {
			return intake.Outcome{}, errors.New(`no such chat "my secret words" ` + strings.Repeat("and on ", 200))
		},
		"panics": func() (intake.Outcome, error) { panic("my secret words") },
		"the database refuses": func() (intake.Outcome, error) {
			return intake.Outcome{}, &pgconn.PgError{Code: "22021", Message: "my secret words"}
		},
	}
	for name, answer := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) { endsFailed(t, newRoom(t, s), answer) })
		})
	}
}

func endsFailed(t *testing.T, r *room, answer func() (intake.Outcome, error)) {
	t.Helper()
	r.intake.Start()
	for i, chat := range []string{"a", "b", "b", "c"} {
		r.add(t, r.entry(fmt.Sprint(i), chat))
	}
	done, said := r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
		if *log.UpdateKey == "1" {
			return answer()
		}
		return intake.Outcome{}, nil
	})
	eventually(t, "the others are applied", func() bool { return done.String() == "0 3" })
	eventually(t, "the bad one waits", func() bool { return r.log(t, "1").LeasedUntil == nil })
	if log := r.log(t, "1"); log.Status != webhooklog.StatusPending || log.Attempts != 1 || log.Error == nil {
		t.Errorf("after its first try it is %v", log)
	}
	if log := r.log(t, "2"); log.Attempts != 0 {
		t.Errorf("the one behind it shows %d attempts", log.Attempts)
	}
	eventually(t, "its chat goes on", func() bool {
		r.clock.turn(250 * time.Millisecond)
		return done.String() == "0 3 2"
	})
	log := r.log(t, "1")
	if log.Status != webhooklog.StatusFailed || log.Attempts != 2 || log.Error == nil || log.ProcessedAt == nil {
		t.Errorf("it ended as %v", log)
	}
	if n := len([]rune(*log.Error)); n == 0 || n > 500 {
		t.Errorf("an error of %d characters", n)
	}
	if strings.Contains(*log.Error, "secret") || strings.Contains(said(), "secret") {
		t.Errorf("a customer's words are in the error %q or the log", *log.Error)
	}
	if n := r.reread(t).ErrorCount; n != 1 {
		t.Errorf("errorCount %d, want 1", n)
	}
}

func TestOurOwnTroubleIsTriedEightTimes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "chat"), r.entry("2", "other"))
		began := r.clock.Now()
		r.process(t, func(_ *store.Tx, log *ent.WebhookLog) (intake.Outcome, error) {
			if *log.UpdateKey == "1" {
				return intake.Outcome{}, fmt.Errorf("write: %w", driver.ErrBadConn)
			}
			return intake.Outcome{}, nil
		})
		eventually(t, "it is given up", func() bool {
			r.clock.turn(250 * time.Millisecond)
			return r.log(t, "1").Status == webhooklog.StatusFailed
		})
		log := r.log(t, "1")
		if log.Attempts != 8 {
			t.Errorf("%d attempts, want 8", log.Attempts)
		}
		if took := log.ProcessedAt.Sub(began); took < 90*time.Second || took > 3*time.Minute {
			t.Errorf("given up after %v, want about two minutes", took)
		}
		if log := r.log(t, "2"); log.Status != webhooklog.StatusProcessed || log.Attempts != 1 {
			t.Errorf("the other became %v", log)
		}
	})
}

func TestWhatNobodyLivedToFinishIsGivenUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := newRoom(t, s)
		r.intake.Start()
		r.add(t, r.entry("1", "chat"))
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.WebhookLog.Update().SetAttempts(8).Exec(tx.Context())
		})
		if err != nil {
			t.Fatal(err)
		}
		done, _ := r.process(t, func(*store.Tx, *ent.WebhookLog) (intake.Outcome, error) { return intake.Outcome{}, nil })
		eventually(t, "it is given up", func() bool { return r.log(t, "1").Status == webhooklog.StatusFailed })
		if done.String() != "" {
			t.Error("it was applied once more")
		}
	})
}

func TestOurTroubleIsToldFromWhatTryingCannotHelp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		ours bool
	}{
		{sqlite3.Error{Code: sqlite3.ErrBusy}, true},
		{sqlite3.Error{Code: sqlite3.ErrFull}, true},
		{sqlite3.Error{Code: sqlite3.ErrConstraint, ExtendedCode: sqlite3.ErrConstraintUnique}, true}, // somebody was first
		{sqlite3.Error{Code: sqlite3.ErrConstraint, ExtendedCode: sqlite3.ErrConstraintNotNull}, false},
		{&pgconn.PgError{Code: "40P01"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "23505"}, true},
		{&pgconn.PgError{Code: "23502"}, false},
		{&pgconn.PgError{Code: "22001"}, false},
		{&pgconn.PgError{}, true},
		{driver.ErrBadConn, true},
		{context.DeadlineExceeded, true},
		{bus.ErrClosed, true},
		{errors.New("a rule refuses it"), false},
	} {
		if got := intake.OurTrouble(fmt.Errorf("apply: %w", c.err)); got != c.ours {
			t.Errorf("%#v: ours %v, want %v", c.err, got, c.ours)
		}
	}
}
