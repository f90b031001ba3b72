package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
	"causeway/internal/store/storetest"
)

// spawned is the program as a process of its own, which can be killed.
type spawned struct {
	*program
	arguments []string
	process   *exec.Cmd
	pipe      *bufio.Scanner
	log       bytes.Buffer // read it after the end
}

// spawn starts the program with arguments as an operator gives them.
func spawn(t *testing.T, telegram *simulator.Telegram, arguments ...string) *spawned {
	t.Helper()
	s := &spawned{program: &program{t: t, telegram: telegram, log: &lockedBuffer{}}}
	s.arguments = append([]string{
		"--listen", "127.0.0.1:0", "--admin-token", adminToken, "--telegram-api-url", telegram.URL(), "--log-level", "debug",
	}, arguments...)
	s.run()
	t.Cleanup(func() {
		s.ends(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("log of the program:\n%s", s.log.String())
		}
	})
	return s
}

// run starts the process, anew after an end, and waits until it serves.
func (s *spawned) run() {
	s.t.Helper()
	s.process = exec.CommandContext(context.Background(), os.Args[0], s.arguments...) //nolint:gosec // it is this very test
	s.process.Env = append(os.Environ(), childVariable+"=1")
	s.process.Stderr = &s.log
	out, err := s.process.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.pipe = bufio.NewScanner(out)
	for s.pipe.Scan() {
		if address, ok := strings.CutPrefix(s.pipe.Text(), "Causeway is listening on "); ok {
			s.url = address
			return
		}
	}
	s.t.Fatalf("the program did not start: %v\n%s", s.process.Wait(), s.log.String())
}

// ends sends the process a signal, waits for its end and tells its exit code.
func (s *spawned) ends(signal os.Signal) int {
	if s.process.ProcessState != nil {
		return s.process.ProcessState.ExitCode()
	}
	_ = s.process.Process.Signal(signal)
	for s.pipe.Scan() { // what it still has to say
	}
	_ = s.process.Wait() // how it ended is in its state
	return s.process.ProcessState.ExitCode()
}

// ledger is what Telegram would know: which updates were answered with 200.
type ledger struct {
	texts chan string // taken
	stuck chan [2]int // a chat's number and the text it got no answer to; the text 0 at its end
}

// talksUntilCut is talks, but each chat stops at the first text that gets no answer,
// and tells where.
func (p *poster) talksUntilCut(ctx context.Context, from map[int]int, last int) ledger {
	l := ledger{texts: make(chan string, len(from)*last), stuck: make(chan [2]int, len(from))}
	for chat, n := range from {
		go func() {
			for ; n <= last; n++ {
				status, _, err := p.posts(ctx, textUpdate(chat, n, numbered(chat, n)))
				if err != nil || status != 200 {
					break
				}
				l.texts <- numbered(chat, n)
			}
			l.stuck <- [2]int{chat, n}
		}()
	}
	return l
}

func TestWhatWasAnswered200SurvivesAKill(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		survivesKills(t)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		survivesKills(t, "--database", storetest.PostgresAddress(t))
	})
}

func survivesKills(t *testing.T, arguments ...string) {
	const chats, each, kills = 8, 120, 3
	s := spawn(t, simulator.StartTelegram(t), append(arguments, "--data", t.TempDir(), "--public-url", string(ownAddress))...)
	campaign := s.campaign("Shop")
	bot, connection := s.bot(campaign, "shop_bot")
	hook := posterTo(t, bot)
	agent := s.admin().collects(campaign, s.cursor(campaign))

	from := map[int]int{}
	for chat := 1; chat <= chats; chat++ {
		from[chat] = 1
	}
	answered := map[string]bool{}
	for killed := range kills + 1 {
		l := hook.at(s.url).talksUntilCut(t.Context(), from, each)
		if killed < kills {
			for range chats * each / (kills + 2) { // in full flow
				answered[<-l.texts] = true
			}
			s.ends(syscall.SIGKILL)
		}
		for range chats {
			stuck := <-l.stuck
			from[stuck[0]] = stuck[1]
		}
		close(l.texts)
		for text := range l.texts {
			answered[text] = true
		}
		if killed < kills {
			s.run()
			s.keptOnce(connection, answered)
		}
	}
	if len(answered) != chats*each {
		t.Fatalf("%d of %d updates were answered 200 in the end", len(answered), chats*each)
	}

	// An agent who watched all the time, over the kills, saw each once and in order. What
	// a killed process was working on is taken up again when its lease has ended.
	if err := agent.until(agent.has(chats * each)); err != nil {
		t.Fatal(err)
	}
	if err := inOrderOnce(agent.texts, chats, 1, each); err != nil {
		t.Error(err)
	}
	all := []string{}
	for _, texts := range s.texts(campaign) {
		all = append(all, texts...)
	}
	if err := inOrderOnce(all, chats, 1, each); err != nil {
		t.Errorf("the conversations differ from what was seen: %v", err)
	}
	if logs := s.processed(connection, chats*each); logs["PROCESSED"] != chats*each || logs["FAILED"] > 0 {
		t.Errorf("the logs are %v", logs)
	}
}

// keptOnce sees that what was answered 200 is stored, and nothing is twice but as a
// duplicate.
func (s *spawned) keptOnce(connection string, answered map[string]bool) {
	s.t.Helper()
	kept := map[string]int{}
	for after := any(nil); ; {
		c := s.admin().gets(`query($id: ID!, $a: Cursor) { connection(id: $id) { webhookLogs(first: 200, after: $a) { pageInfo { hasNextPage endCursor } edges { node { status payload } } } } }`,
			data{"id": connection, "a": after}).at("connection")
		for _, log := range c.nodes("webhookLogs") {
			if log.text("status") != "DUPLICATE" {
				kept[log.at("payload", "message").text("text")]++
			}
		}
		info := c.at("webhookLogs", "pageInfo")
		if info["hasNextPage"] != true {
			break
		}
		after = info.text("endCursor")
	}
	for text := range answered {
		if kept[text] != 1 {
			s.t.Errorf("%s was answered 200 and is there %d times after the kill", text, kept[text])
		}
	}
}

func TestTheProgramEndsWhenItIsAskedTo(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := spawn(t, simulator.StartTelegram(t), "--data", data, "--public-url", string(ownAddress))
	campaign := s.campaign("Shop")
	bot, _ := s.bot(campaign, "shop_bot")
	posterTo(t, bot).mustPost(t, textUpdate(1, 1, "Hello?"), 200)
	agent := s.admin().opens()

	if code := s.ends(syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with %d\n%s", code, s.log.String())
	}
	if code := agent.closeCode(); code != 1001 {
		t.Errorf("the socket was closed with %d", code)
	}
	if _, err := os.Stat(filepath.Join(data, "causeway.db-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database was not closed: %v", err)
	}
	s.run()
	eventually(t, "what was taken before the end is there", func() error {
		if texts := s.texts(campaign)["5001"]; !slices.Equal(texts, []string{"Hello?"}) {
			return fmt.Errorf("%q", texts)
		}
		return nil
	})
}

func TestWhatWasQueuedSurvivesAKill(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		deliversAfterAKill(t)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		deliversAfterAKill(t, "--database", storetest.PostgresAddress(t))
	})
}

// deliversAfterAKill queues 500 answers, kills the program while it sends them, and
// sees that each arrives once and in order, but for those that are told UNCONFIRMED.
func deliversAfterAKill(t *testing.T, arguments ...string) {
	const bots, chats, each = 5, 10, 10
	s := spawn(t, simulator.StartTelegram(t), append(arguments, "--data", t.TempDir(), "--public-url", string(ownAddress))...)
	campaign := s.campaign("Shop")
	customers := map[string]*simulator.Customer{} // by external id
	shops := map[string]*simulator.Bot{}
	for n := range bots {
		bot, _ := s.bot(campaign, fmt.Sprintf("shop%d_bot", n))
		for range chats {
			c := s.telegram.Customer("Lan", "vi")
			c.Writes(bot, "Hello?")
			customers[fmt.Sprint(c.ID())], shops[fmt.Sprint(c.ID())] = c, bot
		}
	}
	conversations := map[string]string{}
	eventually(t, "everybody is heard", func() error {
		for _, c := range s.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { edges { node { id contact { externalId } } } } } }`,
			data{"c": campaign}).at("campaign").nodes("conversations") {
			conversations[c.at("contact").text("externalId")] = c.text("id")
		}
		if len(conversations) != len(customers) {
			return fmt.Errorf("%d conversations", len(conversations))
		}
		return nil
	})
	for chat, conversation := range conversations {
		for n := 1; n <= each; n++ {
			s.admin().answers(conversation, chat+"/"+fmt.Sprint(n))
		}
	}
	s.ends(syscall.SIGKILL)
	early := len(s.telegram.Calls("sendMessage"))
	s.run()

	fates := map[string]data{} // by text
	for range 4 {              // what a killed process had in hand comes back when its leases end
		if fates = s.fates(campaign); len(fates) == bots*chats*each {
			break
		}
	}
	unconfirmed := 0
	for chat, customer := range customers {
		var want []string
		for n := 1; n <= each; n++ {
			text := chat + "/" + fmt.Sprint(n)
			got := slices.Contains(received(customer, shops[chat]), text)
			switch fate := fates[text]; {
			case fate.text("status") == "SENT":
				want = append(want, text)
			case fate.at("problem").text("code") == "DELIVERY_UNCONFIRMED":
				unconfirmed++
				if got {
					want = append(want, text)
				}
			default:
				t.Errorf("%s became %v", text, fate)
			}
		}
		if got := received(customer, shops[chat]); !slices.Equal(got, want) {
			t.Errorf("a customer got %q, the conversation says %q", got, want)
		}
	}
	t.Logf("%d answers were sent before the kill, %d are unconfirmed", early, unconfirmed)
	if early == 0 || early >= bots*chats*each {
		t.Errorf("the kill came when %d answers were sent", early)
	}
}

// fates waits for a while that nothing is queued any more, and returns what became of
// the answers that are not, by their texts.
func (s *spawned) fates(campaign string) map[string]data {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		fates := map[string]data{}
		all := 0
		for _, c := range s.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations(first: 200) { edges { node { messages(last: 10) { edges { node { direction text status problem { code } } } } } } } } }`,
			data{"c": campaign}).at("campaign").nodes("conversations") {
			for _, m := range c.nodes("messages") {
				if m.text("direction") != "OUTBOUND" {
					continue
				}
				if all++; m.text("status") != "QUEUED" {
					fates[m.text("text")] = m
				}
			}
		}
		if len(fates) == all {
			return fates
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fates
		}
	}
}
