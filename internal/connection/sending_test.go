package connection_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"causeway"
	entconnection "causeway/ent/connection"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/store/storetest"
)

// talk is what conversations would tell.
type talk struct {
	mu      sync.Mutex
	failing map[causeway.ID]causeway.Problem
	refuses error
	done    bool
	why     *causeway.Problem
	said    []string
}

func (k *talk) Failing(context.Context, causeway.ID, time.Time) (map[causeway.ID]causeway.Problem, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failing, nil
}

func (k *talk) Say(_ context.Context, _, _ causeway.ID, text string) (causeway.ID, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said = append(k.said, text)
	return causeway.NewID(causeway.PrefixMessage), k.refuses
}

func (k *talk) Said(context.Context, causeway.ID) (bool, *causeway.Problem, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done, k.why, nil
}

// fails makes so many conversations fail for a reason.
func (k *talk) fails(code causeway.Code, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failing == nil {
		k.failing = map[causeway.ID]causeway.Problem{}
	}
	for range n {
		k.failing[causeway.NewID(causeway.PrefixConversation)] = causeway.Problem{Code: code, PlatformMessage: "no"}
	}
}

func TestOneConversationThatFailsIsItsOwnProblemAndThreeAreTheConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failing map[causeway.Code]int
		outcome platform.CheckOutcome
		status  entconnection.Status // after the second look
		code    causeway.Code
	}{
		{nil, platform.CheckPassed, entconnection.StatusActive, ""},
		{map[causeway.Code]int{causeway.PlatformError: 2, causeway.BlockedByContact: 2}, platform.CheckPassed, entconnection.StatusActive, ""},
		{map[causeway.Code]int{causeway.PlatformError: 3, causeway.BlockedByContact: 9}, platform.CheckFailed, entconnection.StatusError, causeway.PlatformError},
		{map[causeway.Code]int{causeway.BlockedByContact: 3}, platform.CheckWarning, entconnection.StatusActive, ""},
	} {
		t.Run(fmt.Sprint(c.failing), func(t *testing.T) {
			t.Parallel()
			k := &talk{}
			for code, n := range c.failing {
				k.fails(code, n)
			}
			w := newWorld(t, storetest.SQLite(t), func(cfg *connection.Config) { cfg.Talk = k })
			id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
			w.looks(id)
			w.is(id, entconnection.StatusActive, "")
			report, err := w.service.Test(w.admin(), id)
			must(t, err)
			if got := check(t, w.report(report), platform.CheckSending); got.Outcome != c.outcome {
				t.Errorf("the check is %+v, want %s", got, c.outcome)
			}
			w.is(id, c.status, c.code)
			k.mu.Lock()
			k.failing = nil
			k.mu.Unlock()
			w.looks(id)
			w.is(id, entconnection.StatusActive, "")
		})
	}
}

func TestATestMessageTellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	waits := causeway.Fail(causeway.RateLimited).CanRetry().Problem
	fails := causeway.Fail(causeway.PlatformError).Problem
	for name, c := range map[string]struct {
		talk    *talk
		outcome platform.CheckOutcome
		code    causeway.Code
	}{
		"sent":    {&talk{done: true}, platform.CheckPassed, ""},
		"failed":  {&talk{done: true, why: &fails}, platform.CheckFailed, causeway.PlatformError},
		"waits":   {&talk{why: &waits}, platform.CheckFailed, causeway.RateLimited},
		"refused": {&talk{refuses: causeway.Fail(causeway.BlockedByContact)}, platform.CheckFailed, causeway.BlockedByContact},
		"in turn": {&talk{}, platform.CheckWarning, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := c.talk
			w := newWorld(t, storetest.SQLite(t), func(cfg *connection.Config) { cfg.Talk = k })
			id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
			ctx, conversation := w.manager(), causeway.NewID(causeway.PrefixConversation)
			done := make(chan causeway.ID, 1)
			go func() {
				report, err := w.service.TestWith(ctx, id, &conversation)
				if err != nil {
					t.Error(err)
				}
				done <- report
			}()
			var report causeway.ID
			w.eventually(func() string {
				select {
				case report = <-done:
					return ""
				default:
					return "the test goes on"
				}
			})
			got := check(t, w.report(report), platform.CheckTestMessage)
			if got.Outcome != c.outcome || codeIn(got.Problem) != c.code || len(k.said) != 1 {
				t.Errorf("the check is %+v", got)
			}
			w.is(id, entconnection.StatusActive, "")
		})
	}
}

func TestATestMessageGoesNowhereElse(t *testing.T) {
	t.Parallel()
	k := &talk{refuses: causeway.Missing("input", "conversationId")}
	w := newWorld(t, storetest.SQLite(t), func(cfg *connection.Config) { cfg.Talk = k })
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	none := causeway.ID("")
	_, err := w.service.TestWith(w.manager(), id, &none)
	refused(t, err, causeway.NotFound, "input", "conversationId")
	said := len(k.said)
	report, err := w.service.Test(w.manager(), id)
	must(t, err)
	if got := check(t, w.report(report), platform.CheckTestMessage); got.Outcome != platform.CheckSkipped || len(k.said) != said {
		t.Errorf("without a conversation the check is %+v", got)
	}
	bot.RevokeToken()
	report, err = w.service.TestWith(w.manager(), id, &none)
	must(t, err)
	if got := check(t, w.report(report), platform.CheckTestMessage); got.Outcome != platform.CheckSkipped || len(k.said) != said {
		t.Errorf("without a token the check is %+v", got)
	}
}
