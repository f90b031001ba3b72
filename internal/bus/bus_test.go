package bus_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"causeway"
	"causeway/internal/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// opener gives two ends of a bus: what is published at the first is heard at the
// second. They may be the same.
type opener func(t *testing.T) (here, there bus.Bus)

func TestLocal(t *testing.T) {
	t.Parallel()
	suite(t, func(t *testing.T) (bus.Bus, bus.Bus) {
		local := bus.NewLocal()
		t.Cleanup(func() { shut(t, local) })
		return local, local
	})
}

func TestNATSWithinOneServer(t *testing.T) {
	t.Parallel()
	address := startNATS(t)
	suite(t, func(t *testing.T) (bus.Bus, bus.Bus) {
		n := open(t, address)
		return n, n
	})
}

func TestNATSBetweenServers(t *testing.T) {
	t.Parallel()
	address := startNATS(t)
	suite(t, func(t *testing.T) (bus.Bus, bus.Bus) { return open(t, address), open(t, address) })
}

func TestARealNATSBetweenServers(t *testing.T) {
	t.Parallel()
	address := os.Getenv("CAUSEWAY_TEST_NATS")
	if address == "" {
		t.Skip("CAUSEWAY_TEST_NATS is not set")
	}
	suite(t, func(t *testing.T) (bus.Bus, bus.Bus) { return open(t, address), open(t, address) })
}

// suite is the contract of Bus.
func suite(t *testing.T, open opener) {
	cases := map[string]func(*testing.T, opener){
		"every subscriber of the topic hears it and no other":   fansOut,
		"a busy subscriber learns only of the newest":           latestWins,
		"a ring without a number hides the others":              numberless,
		"hints come in order with their bytes":                  hintsArrive,
		"of too many hints the newest stay and the rest count":  hintsAreBounded,
		"a hint that is too long is refused":                    hintsAreShort,
		"a stuck subscriber holds up nobody":                    stuckHoldsUpNobody,
		"nothing comes after a doorbell is closed":              silentAfterClose,
		"nothing comes after the bus is closed":                 silentAfterBusClose,
		"everybody may come and go at once":                     comeAndGo,
		"a topic may be any string":                             anyTopic,
		"what was heard from oneself does not come once more":   noEcho,
		"a payload may be used again as soon as Hint returns":   payloadIsCopied,
		"a doorbell hears from the moment Subscribe returns":    hearsAtOnce,
		"looking without waiting at the doorbell leaves it off": takeSilences,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open)
		})
	}
}

func fansOut(t *testing.T, open opener) {
	here, there := open(t)
	a, b := topic(), topic()
	first, second, other := listen(t, there, a), listen(t, there, a), listen(t, there, b)
	home := listen(t, here, a)
	here.Publish(a, 7)
	for _, bell := range []*bus.Doorbell{first, second, home} {
		await(t, bell, "the ring", func(n bus.News) bool { return n.Rung && n.Seq == 7 })
	}
	here.Publish(b, 8) // comes after a's
	await(t, other, "its own ring", func(n bus.News) bool {
		if n.Seq != 8 {
			t.Errorf("the other topic heard %+v", n)
		}
		return true
	})
}

func latestWins(t *testing.T, open opener) {
	here, there := open(t)
	a, end := topic(), topic()
	busy, done := listen(t, there, a), listen(t, there, end)
	const last = 5000
	for seq := int64(1); seq <= last; seq++ {
		here.Publish(a, seq)
	}
	heard := await(t, busy, "the newest number", func(n bus.News) bool { return n.Seq == last })
	here.Publish(a, 3) // a late one is told as it is, for the reader to skip
	here.Publish(end, 1)
	await(t, done, "the end", rung)
	if heard.Seq != last {
		t.Fatalf("heard %+v", heard)
	}
}

func numberless(t *testing.T, open opener) {
	here, there := open(t)
	a, end := topic(), topic()
	bell, done := listen(t, there, a), listen(t, there, end)
	here.Publish(a, 5)
	here.Publish(a, 0)
	here.Publish(a, 6)
	// Between servers the rings can come apart, but never as if all had numbers.
	zero := false
	await(t, bell, "a ring without a number", func(n bus.News) bool {
		zero = zero || n.Rung && n.Seq == 0
		return zero
	})
	here.Publish(end, 1)
	await(t, done, "the end", rung)
}

func hintsArrive(t *testing.T, open opener) {
	here, there := open(t)
	a := topic()
	bell := listen(t, there, a)
	want := []string{"one", "", "\x00\xff \n", strings.Repeat("x", bus.MaxHint)}
	for _, payload := range want {
		if err := here.Hint(a, []byte(payload)); err != nil {
			t.Fatalf("Hint: %v", err)
		}
	}
	var got []string
	await(t, bell, "all hints", func(n bus.News) bool {
		if n.Rung || n.Lost > 0 {
			t.Errorf("hints came as %+v", n)
		}
		for _, hint := range n.Hints {
			got = append(got, string(hint))
		}
		return len(got) >= len(want)
	})
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func hintsAreBounded(t *testing.T, open opener) {
	here, there := open(t)
	a, end := topic(), topic()
	stuck, done := listen(t, there, a), listen(t, there, end)
	const sent = 3 * bus.HintQueue
	for i := range sent {
		if err := here.Hint(a, fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatalf("Hint: %v", err)
		}
	}
	if err := here.Hint(end, []byte("end")); err != nil {
		t.Fatal(err)
	}
	await(t, done, "the hint behind them", func(n bus.News) bool { return len(n.Hints) == 1 })
	news := stuck.Take()
	if len(news.Hints) != bus.HintQueue || news.Lost != sent-bus.HintQueue {
		t.Fatalf("kept %d and lost %d of %d", len(news.Hints), news.Lost, sent)
	}
	for i, hint := range news.Hints {
		if want := fmt.Sprint(sent - bus.HintQueue + i); string(hint) != want {
			t.Fatalf("hint %d is %s, want %s", i, hint, want)
		}
	}
}

func hintsAreShort(t *testing.T, open opener) {
	here, _ := open(t)
	if err := here.Hint("logs", make([]byte, bus.MaxHint+1)); !errors.Is(err, bus.ErrHintTooLong) {
		t.Fatalf("%v, want ErrHintTooLong", err)
	}
	if err := here.Hint("logs", make([]byte, bus.MaxHint)); err != nil {
		t.Fatalf("%d bytes: %v", bus.MaxHint, err)
	}
}

func stuckHoldsUpNobody(t *testing.T, open opener) {
	here, there := open(t)
	a := topic()
	stuck := listen(t, there, a)
	lively := listen(t, there, a)
	for seq := int64(1); seq <= 20_000; seq++ {
		here.Publish(a, seq)
		if seq%10 == 0 {
			_ = here.Hint(a, []byte("typing"))
		}
	}
	await(t, lively, "the newest number", func(n bus.News) bool { return n.Seq == 20_000 })
	if len(stuck.C()) != 1 {
		t.Error("the stuck subscriber's doorbell is not ringing")
	}
	if news := stuck.Take(); len(news.Hints) > bus.HintQueue {
		t.Errorf("%d hints are remembered for a stuck subscriber", len(news.Hints))
	}
}

func silentAfterClose(t *testing.T, open opener) {
	here, there := open(t)
	a := topic()
	gone, stays := there.Subscribe(a), listen(t, there, a)
	here.Publish(a, 1)
	await(t, stays, "the first ring", func(n bus.News) bool { return n.Seq == 1 })
	gone.Close()
	mustBeSilent(t, gone)
	here.Publish(a, 2)
	if err := here.Hint(a, []byte("typing")); err != nil {
		t.Fatal(err)
	}
	await(t, stays, "the second ring", func(n bus.News) bool { return n.Seq == 2 })
	gone.Close()
	mustBeSilent(t, gone)
}

func silentAfterBusClose(t *testing.T, open opener) {
	here, there := open(t)
	a := topic()
	bell := there.Subscribe(a)
	here.Publish(a, 1)
	for _, b := range []bus.Bus{here, there, here, there} {
		shut(t, b)
		if err := b.Ready(); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("Ready after Close: %v", err)
		}
	}
	here.Publish(a, 2)
	if err := there.Hint(a, nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Hint after Close: %v", err)
	}
	mustBeSilent(t, bell)
	late := there.Subscribe(a)
	there.Publish(a, 3)
	mustBeSilent(t, late)
	bell.Close()
	late.Close()
	late.Close()
}

func comeAndGo(t *testing.T, open opener) {
	here, there := open(t)
	topics := []string{topic(), topic(), topic()}
	var crowd sync.WaitGroup
	for i := range 8 {
		crowd.Go(func() {
			for n := range 200 {
				here.Publish(topics[n%3], int64(n))
				_ = there.Hint(topics[n%3], []byte("typing"))
			}
		})
		crowd.Go(func() {
			for n := range 200 {
				bell := there.Subscribe(topics[(i+n)%3])
				twin := here.Subscribe(topics[(i+n)%3])
				select {
				case <-bell.C():
					bell.Take()
				default:
				}
				bell.Close()
				mustBeSilent(t, bell)
				if n%2 == 0 {
					bell.Close()
				}
				twin.Close()
			}
		})
	}
	crowd.Go(func() {
		for _, name := range topics {
			listen(t, there, name)
		}
		shut(t, there)
	})
	crowd.Go(func() { shut(t, there) })
	crowd.Wait()
}

func anyTopic(t *testing.T, open opener) {
	here, there := open(t)
	for _, odd := range []string{"", " ", "a b", "feed.", "*", ">", "Đà Nẵng\n", strings.Repeat("x", 5000)} {
		bell := listen(t, there, odd)
		here.Publish(odd, 9)
		_ = here.Hint(odd, []byte("5 x"))
		var hint string
		var seq int64
		await(t, bell, fmt.Sprintf("ring and hint for %.20q", odd), func(n bus.News) bool {
			seq = max(seq, n.Seq)
			for _, h := range n.Hints {
				hint = string(h)
			}
			return seq == 9 && hint == "5 x"
		})
	}
}

func noEcho(t *testing.T, open opener) {
	here, there := open(t)
	a, end := topic(), topic()
	home, back := listen(t, here, a), listen(t, here, end)
	far := listen(t, there, a)
	if err := here.Hint(a, []byte("typing")); err != nil {
		t.Fatal(err)
	}
	hints := len(home.Take().Hints)
	if here != there {
		await(t, far, "the hint", func(n bus.News) bool { return len(n.Hints) == 1 })
	}
	there.Publish(end, 1) // what would have come back from NATS is here before this
	await(t, back, "the answer", rung)
	hints += len(home.Take().Hints)
	if hints != 1 {
		t.Fatalf("one hint came %d times", hints)
	}
}

func payloadIsCopied(t *testing.T, open opener) {
	here, there := open(t)
	a := topic()
	bell := listen(t, there, a)
	payload := []byte("typing")
	if err := here.Hint(a, payload); err != nil {
		t.Fatal(err)
	}
	clear(payload)
	await(t, bell, "the hint", func(n bus.News) bool {
		if len(n.Hints) != 1 || !bytes.Equal(n.Hints[0], []byte("typing")) {
			t.Errorf("came as %q", n.Hints)
		}
		return true
	})
}

func hearsAtOnce(t *testing.T, open opener) {
	here, there := open(t)
	for range 100 {
		a := topic()
		bell := there.Subscribe(a)
		here.Publish(a, 1)
		await(t, bell, "the ring behind Subscribe", rung)
		bell.Close()
	}
}

func takeSilences(t *testing.T, open opener) {
	here, _ := open(t)
	a := topic()
	bell := listen(t, here, a)
	here.Publish(a, 1)
	if news := bell.Take(); !news.Rung || news.Seq != 1 {
		t.Fatalf("took %+v", news)
	}
	mustBeSilent(t, bell)
}

func rung(n bus.News) bool { return n.Rung }

// topic is one that nobody else has, also on a NATS shared with other programs.
func topic() string { return "feed." + causeway.NewID(causeway.PrefixCampaign).String() }

func listen(t *testing.T, b bus.Bus, topic string) *bus.Doorbell {
	bell := b.Subscribe(topic)
	t.Cleanup(bell.Close)
	return bell
}

// await takes news from bell until one satisfies.
func await(t *testing.T, bell *bus.Doorbell, what string, satisfies func(bus.News) bool) bus.News {
	t.Helper()
	deadline := time.After(patience)
	var last bus.News
	for {
		select {
		case <-bell.C():
			last = bell.Take()
			if satisfies(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("%s did not come within %v; the last news was %+v", what, patience, last)
		}
	}
}

func mustBeSilent(t *testing.T, bell *bus.Doorbell) {
	t.Helper()
	if len(bell.C()) != 0 {
		t.Error("the doorbell rings")
	}
	if news := bell.Take(); news.Rung || len(news.Hints) > 0 || news.Lost > 0 {
		t.Errorf("the doorbell has news: %+v", news)
	}
}

func shut(t *testing.T, b bus.Bus) {
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// open joins the bus at address and waits until it reaches the others.
func open(t *testing.T, address string) *bus.NATS {
	t.Helper()
	n, err := bus.OpenNATS(address, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenNATS: %v", err)
	}
	t.Cleanup(func() { shut(t, n) })
	mustBeReady(t, n)
	return n
}

// mustBeReady waits until n reaches the others. Ready can only be asked, so it is
// asked again with each tick.
func mustBeReady(t *testing.T, n *bus.NATS) {
	t.Helper()
	become(t, "ready", n, func(err error) bool { return err == nil })
}

func become(t *testing.T, what string, n *bus.NATS, is func(error) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !is(n.Ready()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the bus is not %s within %v: %v", what, patience, n.Ready())
		}
	}
}

// startNATS runs a NATS server for the test and answers its address.
func startNATS(t *testing.T) string {
	t.Helper()
	return runNATS(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT}).ClientURL()
}

func runNATS(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	options.NoLog, options.NoSigs = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatalf("start NATS: %v", err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatalf("NATS takes no connections within %v", patience)
	}
	return s
}
