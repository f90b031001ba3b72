package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

func TestEqualSubscriptionsAreExecutedOnce(t *testing.T) {
	t.Parallel()
	j := newJournal()
	handler, url := j.serve(t, nil)
	var clients []*client
	for i := range 20 {
		c := opens(t, url, fmt.Sprintf("any/%d", i))
		for n := range 3 {
			c.subscribes(fmt.Sprintf("sub-%d-%d", i, n), entries, `{"a":null}`)
		}
		c.says(`{"type":"ping"}`)
		c.hears("pong")
		clients = append(clients, c)
	}
	eventually(t, "all have joined", func() bool { return handler.hub.members() == 60 })
	j.add(5)
	for i, c := range clients {
		got := map[string]int64{}
		for range 15 {
			m := c.hears("next")
			var n int64
			if _, err := fmt.Sscanf(string(m.Payload), `{"data":{"entries":"%d for any"}}`, &n); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
			if n != got[m.ID]+1 || !strings.HasPrefix(m.ID, fmt.Sprintf("sub-%d-", i)) {
				t.Fatalf("socket %d: entry %d came to %s after %d", i, n, m.ID, got[m.ID])
			}
			got[m.ID] = n
		}
	}
	if n := j.executed.Load(); n != 5 {
		t.Errorf("5 entries were executed %d times", n)
	}
}

// members is how many subscribers take part in streams.
func (h *hub) members() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.streams {
		st.lock.Lock()
		n += len(st.members)
		st.lock.Unlock()
	}
	return n
}

// members waits until so many executions run.
func members(t *testing.T, j *journal, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d executions run", n), func() bool { return j.running.Load() == n })
}

func TestViewersOfDifferentRightsNeverShare(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	manager, agent := opens(t, url, "manager/ana"), opens(t, url, "agent/bo")
	other := opens(t, url, "agent/chi")
	for _, c := range []*client{manager, agent, other} {
		c.subscribes("1", entries, `{"a":"0"}`)
	}
	j.add(1)
	for c, rights := range map[*client]string{manager: "manager", agent: "agent", other: "agent"} {
		if _, whom := c.entry(); whom != rights && !strings.HasPrefix(whom, rights+"/") {
			t.Errorf("%s got what was made for %s", rights, whom)
		}
	}
	members(t, j, 2)
	j.add(1)
	for c, rights := range map[*client]string{manager: "manager", agent: "agent", other: "agent"} {
		if n, whom := c.entry(); n != 2 || whom != rights {
			t.Errorf("%s got entry %d made for %s", rights, n, whom)
		}
	}
	if n := j.running.Load(); n != 2 {
		t.Errorf("%d executions for two kinds of rights", n)
	}
}

func TestDifferentDocumentsVariablesAndOperationsDoNotShare(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	c := opens(t, url, "any/one")
	c.subscribes("1", entries, `{}`)
	c.subscribes("2", entries+" ", `{}`)
	c.subscribes("3", `subscription($k: String, $a: String) { entries(kind: $k, after: $a) }`, `{"k":"x"}`)
	c.subscribes("4", `subscription($k: String, $a: String) { entries(kind: $k, after: $a) }`, `{"k":"y","a":"0"}`)
	c.subscribes("5", `subscription { plain }`, `{}`)
	c.subscribes("6", `subscription { plain }`, `{}`)
	c.subscribes("7", `subscription($a: String = "0") { entries(after: $a) }`, `{}`)
	members(t, j, 6)
}

func TestASubscriberWithoutAKeyIsExecutedAlone(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, func(cfg *Config) { cfg.Share = nil })
	c := opens(t, url, "any/one")
	c.subscribes("1", entries, `{"a":"0"}`)
	c.subscribes("2", entries, `{"a":"0"}`)
	members(t, j, 2)
	j.add(1)
	for range 2 {
		if n, whom := c.entry(); n != 1 || whom != "any/one" {
			t.Errorf("got entry %d for %s", n, whom)
		}
	}
}

func TestTheFirstToComeMayGo(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	first, second := opens(t, url, "any/first"), opens(t, url, "any/second")
	first.subscribes("1", entries, `{"a":"0"}`)
	j.add(1)
	first.entry()
	members(t, j, 1)
	second.subscribes("1", entries, `{"a":"0"}`)
	second.entry()
	members(t, j, 1)
	_ = first.conn.Close()
	j.add(2)
	for want := int64(2); want <= 3; want++ {
		if n, _ := second.entry(); n != want {
			t.Errorf("got entry %d instead of %d", n, want)
		}
	}
	second.says(`{"id":"1","type":"complete"}`)
	members(t, j, 0)
}

func TestWhoResumesJoinsWithoutGapOrRepetition(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	live := opens(t, url, "any/live")
	live.subscribes("1", entries, `{"a":"0"}`)
	j.add(3000) // far more than a stream keeps
	for want := int64(1); want <= 3000; want++ {
		if n, _ := live.entry(); n != want {
			t.Fatalf("live: entry %d instead of %d", n, want)
		}
	}
	for _, from := range []int64{0, 1500, 2990, 3000} {
		late := opens(t, url, "any/late")
		late.subscribes("1", entries, fmt.Sprintf(`{"a":"%d"}`, from))
		head, _ := j.now()
		j.add(10)
		for want := from + 1; want <= head+10; want++ {
			if n, _ := late.entry(); n != want {
				t.Fatalf("after %d: entry %d instead of %d", from, n, want)
			}
		}
		members(t, j, 1) // it has joined
		late.says(`{"type":"ping"}`)
		late.hears("pong")
	}
}

func TestACursorAheadOfTheSequenceIsTheResolversToJudge(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	c := opens(t, url, "any/one")
	c.subscribes("1", entries, `{"a":"0"}`)
	j.add(1)
	c.entry()
	c.subscribes("2", entries, `{"a":"x"}`)
	if m := c.hears("error"); m.ID != "2" {
		t.Errorf("an error for %s", m.ID)
	}
}

func TestARightThatEndsOrChangesEndsItsOwnSubscriptionOnly(t *testing.T) {
	t.Parallel()
	j := newJournal()
	var mu sync.Mutex
	watches := map[string]func(error){}
	_, url := j.serve(t, func(cfg *Config) {
		share := cfg.Share
		cfg.Share = func(ctx context.Context, op *graphql.OperationContext, field *ast.Field) (Sharing, error) {
			sharing, err := share(ctx, op, field)
			who := ctx.Value(viewerKey{}).(string)
			sharing.Watch = func(ended func(error)) func() {
				mu.Lock()
				defer mu.Unlock()
				watches[who] = ended
				return func() {}
			}
			return sharing, err
		}
	})
	clients := map[string]*client{}
	for _, who := range []string{"any/ended", "any/changed", "any/stays"} {
		c := opens(t, url, who)
		c.subscribes("1", entries, `{"a":"0"}`)
		clients[who] = c
	}
	j.add(1)
	for _, c := range clients {
		c.entry()
	}
	mu.Lock()
	watches["any/ended"](requestError("NOT_FOUND", "no member any more"))
	watches["any/changed"](nil)
	mu.Unlock()
	if m := clients["any/ended"].hears("error"); !strings.Contains(string(m.Payload), "NOT_FOUND") {
		t.Errorf("ended with %s", m.Payload)
	}
	if m := clients["any/changed"].hears("error"); !strings.Contains(string(m.Payload), `"cursor":"1"`) {
		t.Errorf("changed with %s", m.Payload)
	}
	j.add(1)
	if n, _ := clients["any/stays"].entry(); n != 2 {
		t.Errorf("got entry %d", n)
	}
	for _, who := range []string{"any/ended", "any/changed"} {
		clients[who].says(`{"type":"ping"}`)
		clients[who].hears("pong")
	}
}

// TestSubscribersComeAndGoAtRandom is worth most under the race detector.
func TestSubscribersComeAndGoAtRandom(t *testing.T) {
	t.Parallel()
	j := newJournal()
	_, url := j.serve(t, nil)
	stop := make(chan struct{})
	var adding sync.WaitGroup
	adding.Go(func() {
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				j.add(rand.Int64N(4))
			}
		}
	})
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			var at int64
			for range 12 {
				at = comesAndGoes(t, url, fmt.Sprintf("%d/%d", i%2, i), at, random)
			}
		})
	}
	clients.Wait()
	close(stop)
	adding.Wait()
	members(t, j, 0)
}

// comesAndGoes follows from a position for a while, sees every entry once and in
// order, and leaves in one of three ways. It returns how far it got.
func comesAndGoes(t *testing.T, url, token string, at int64, random *rand.Rand) int64 {
	c := opens(t, url, token)
	defer func() { _ = c.conn.Close() }()
	c.subscribes("1", entries, fmt.Sprintf(`{"a":"%d"}`, at))
	for range random.IntN(150) {
		n, whom := c.entry()
		if n != at+1 {
			t.Errorf("%s: entry %d after %d", token, n, at)
			return n
		}
		if rights, _, _ := strings.Cut(token, "/"); !strings.HasPrefix(whom, rights) {
			t.Errorf("%s got what was made for %s", token, whom)
		}
		at = n
	}
	switch random.IntN(3) {
	case 0:
		c.says(`{"id":"1","type":"complete"}`)
	case 1:
		c.says(`{"id":"1","type":"subscribe","payload":{"query":"{hello}"}}`) // 4409
	}
	return at
}
