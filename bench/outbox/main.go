// Command outbox prints, in one run, what it costs to send what agents write: messages
// per CPU second of the sending process, and what the same messages cost the simulated
// Telegram that takes them, for
//
//	bare         net/http alone, which posts sendMessage and reads the answer
//	client       this program's client of the Bot API, and no database
//	sendMessage  agents' messages stored as QUEUED, each with its event; nothing is sent
//	outbox       those messages sent, until each is stored as SENT with its event
//	whole        both at the same time: from an agent's message to SENT
//
// The simulator and the way that is measured are a process each. Nobody's pace is
// bounded: the machine is. After each way that sends, the simulator's chats are read:
// every message is to be there, once and in order.
//
//	go run ./bench/outbox -conversations 500 -messages 20
//	go run ./bench/outbox -postgres postgres://postgres@127.0.0.1:5432/postgres
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// size is how much is sent, and by how many.
type size struct {
	Bots          int
	Conversations int // of all bots together
	Messages      int // in each conversation
	Workers       int // who post, or write, at the same time
}

func (s size) all() int { return s.Conversations * s.Messages }

func main() {
	var s size
	be := flag.String("be", "", "be this part (the command starts itself so)")
	telegram := flag.String("telegram", "", "where the part that simulates Telegram is asked")
	postgres := flag.String("postgres", "", "a PostgreSQL server on which a database may be made for the run; none: SQLite")
	profiles := flag.String("profiles", "", "folder for a CPU profile of each way")
	flag.IntVar(&s.Bots, "bots", 4, "bots, each with its share of the conversations")
	flag.IntVar(&s.Conversations, "conversations", 500, "conversations")
	flag.IntVar(&s.Messages, "messages", 20, "messages in each conversation")
	flag.IntVar(&s.Workers, "workers", 128, "who post, or write, at the same time; the outbox has workers of its own")
	flag.Parse()
	var err error
	if *be != "" {
		err = runPart(*be, *telegram, *postgres, *profiles, s)
	} else {
		err = compare(*postgres, *profiles, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "outbox:", err)
		os.Exit(1)
	}
}

// way is one way to bring messages to Telegram, or a stretch of it.
type way struct {
	name string
	part string
	// before is done first and not counted; run is what is measured.
	before, run string
	sends       bool
}

var ways = []way{
	{name: "bare", part: "bare", run: "send", sends: true},
	{name: "client", part: "client", run: "send", sends: true},
	{name: "sendMessage", part: "causeway", run: "queue"},
	{name: "outbox", part: "causeway", before: "queue", run: "deliver", sends: true},
	{name: "whole", part: "causeway", before: "start", run: "queueAndDeliver", sends: true},
}

func compare(postgres, profiles string, s size) error {
	fmt.Printf("%-12s %9s %9s %9s %10s %16s %8s %14s\n",
		"way", "messages", "in", "CPU", "per CPU s", "ratio", "amiss", "simulator CPU")
	var base float64
	for _, w := range ways {
		r, err := measure(w, postgres, profiles, s)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		rate := float64(s.all()) / r.cpu.Seconds()
		if base == 0 {
			base = rate
		}
		fmt.Printf("%-12s %9d %9s %9s %10.0f %16.3f %8s %14s\n", w.name, s.all(), round(r.took), round(r.cpu),
			rate, rate/base, r.amiss, round(r.simulator))
	}
	fmt.Printf("\nratio: to %s; amiss: messages that did not come, came twice or out of order\n", ways[0].name)
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// result is what one way showed.
type result struct {
	took, cpu time.Duration
	simulator time.Duration // its CPU time meanwhile
	amiss     string
}

func measure(w way, postgres, profiles string, s size) (result, error) {
	telegram, err := startPart("telegram", "", "", "", s)
	if err != nil {
		return result{}, err
	}
	defer telegram.stop()
	if profiles != "" {
		profiles += "/" + w.name + ".pprof"
	}
	sender, err := startPart(w.part, telegram.address, postgres, profiles, s)
	if err != nil {
		return result{}, err
	}
	defer sender.stop()
	if w.before != "" {
		if _, err := sender.do(w.before); err != nil {
			return result{}, err
		}
	}
	was, err := telegram.do("usage")
	if err != nil {
		return result{}, err
	}
	ran, err := sender.do(w.run)
	if err != nil {
		return result{}, err
	}
	is, err := telegram.do("usage")
	if err != nil {
		return result{}, err
	}
	r := result{took: ran.Took, cpu: ran.CPU, simulator: is.Total - was.Total, amiss: "-"}
	if w.sends {
		checked, err := telegram.do("check")
		if err != nil {
			return result{}, err
		}
		r.amiss = fmt.Sprint(checked.Amiss)
	}
	return r, nil
}
