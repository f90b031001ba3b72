// Command ingest prints, in one run, what it costs to take webhooks in: requests
// answered per CPU second of the serving process, and how long an answer takes, for
//
//	secret   a handler that only reads the body and compares the secret
//	hmac     a handler that reads the body and verifies an HMAC-SHA256
//	ent      one durable transaction per request through ent
//	stored   this program's webhook path: stored with synchronous=FULL, answered
//	applied  the same until the update is processed and its event is at a subscriber
//
// and then, of the whole program, how long a message takes from the webhook's request
// to a subscriber's socket. The server is a process of its own; the load comes from
// this one, over loopback.
//
//	go run ./bench/ingest -for 3s -connections 64
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be the server of this mode (the command starts itself so)")
	data := flag.String("data", "", "the server's folder")
	profiles := flag.String("profiles", "", "folder for a CPU profile of each mode's server")
	lasting := flag.Duration("for", 3*time.Second, "how long each mode is loaded")
	connections := flag.Int("connections", 64, "connections that post at the same time")
	messages := flag.Int("messages", 300, "messages whose way to the socket is timed")
	flag.Parse()
	var err error
	if *serve != "" {
		err = runServer(*serve, *data, *profiles)
	} else {
		err = compare(*lasting, *connections, *messages, *profiles)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

// result is what one mode showed.
type result struct {
	mode      string
	requests  int
	cpu       time.Duration
	latencies []time.Duration
}

func (r result) perCPUSecond() float64 { return float64(r.requests) / r.cpu.Seconds() }

func compare(lasting time.Duration, connections, messages int, profiles string) error {
	fmt.Printf("%-8s %10s %10s %16s %8s %10s %10s %10s\n",
		"mode", "requests", "CPU", "per CPU second", "ratio", "p50", "p99", "max")
	var base float64
	for _, mode := range modes {
		r, err := measure(mode.name, lasting, connections, profiles)
		if err != nil {
			return fmt.Errorf("%s: %w", mode.name, err)
		}
		if mode.name == baseMode {
			base = r.perCPUSecond()
		}
		ratio := "-"
		if base > 0 {
			ratio = fmt.Sprintf("%.3f", r.perCPUSecond()/base)
		}
		fmt.Printf("%-8s %10d %10s %16.0f %8s %10s %10s %10s\n", r.mode, r.requests, r.cpu.Round(time.Millisecond),
			r.perCPUSecond(), ratio, at(r.latencies, 0.5), at(r.latencies, 0.99), at(r.latencies, 1))
	}
	fmt.Printf("\nratio: to %s\n\n", baseMode)
	return timeTheWay(messages)
}

// at is a quantile of sorted durations.
func at(sorted []time.Duration, quantile float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(quantile*float64(len(sorted))), len(sorted)-1)
	return sorted[i].Round(10 * time.Microsecond)
}

func sorted(durations []time.Duration) []time.Duration {
	slices.Sort(durations)
	return durations
}
