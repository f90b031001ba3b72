// Command fanout prints, in one run, what it costs a server to deliver one event to
// many sockets: deliveries per CPU second of its process, how late they are, what a
// socket keeps of memory, and what got lost, for
//
//	bare      gorilla/websocket: a PreparedMessage, a goroutine per socket
//	joined    the same, with the frames that wait for a socket joined into one write
//	gqlgen    this program's schema on gqlgen's own transport
//	causeway  this program's whole path, from the stored event to the socket
//
// with one event in flight, steadily with 20 000 deliveries a second, and flooding
// with 16 events in flight; and then how 20 readers that never read are cut off.
// Server and load generator are processes of their own, over loopback.
//
//	go run ./bench/fanout -for 3s -sockets 100,1000,5000
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

func main() {
	serve := flag.String("serve", "", "be this server (the command starts itself so)")
	data := flag.String("data", "", "the server's folder")
	profile := flag.String("profile", "", "file for a CPU profile of the causeway server")
	load := flag.String("load", "", "be the load generator of the server at this address (the command starts itself so)")
	plan := flag.String("plan", "", "what the load generator does, as JSON")
	lasting := flag.Duration("for", 3*time.Second, "how long each load lasts")
	sockets := flag.String("sockets", "100,1000,5000,10000", "how many sockets")
	servers := flag.String("servers", strings.Join(serverNames, ","), "which servers")
	flag.Parse()
	var err error
	switch {
	case *serve != "":
		err = runServer(*serve, *data, *profile)
	case *load != "":
		err = runLoad(*load, *plan)
	default:
		err = compare(strings.Split(*sockets, ","), strings.Split(*servers, ","), *lasting, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

// plan is what a load generator does.
type plan struct {
	Sockets int
	Lasting time.Duration
	Stalled int // readers that never read, beside the others
}

// measured is what one load showed.
type measured struct {
	Events, Deliveries, Lost int
	CPU, Wall                time.Duration
	P50, P99, Max            time.Duration
}

func (m measured) perCPUSecond() float64 {
	if m.CPU <= 0 {
		return 0
	}
	return float64(m.Deliveries) / m.CPU.Seconds()
}

// report is what a load generator prints.
type report struct {
	Idle, Busy         float64 // bytes per socket
	Single, Steady     measured
	Flood              measured
	Stalled            measured
	CutOff, StalledAll int
}

func compare(sizes, servers []string, lasting time.Duration, profile string) error {
	fmt.Println("| sockets | server | load | deliveries | per CPU s | ratio | p50 | p99 | max | lost |")
	fmt.Println("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	memory := []string{
		"| sockets | server | kB per idle socket | ratio | kB per busy socket |",
		"| ---: | --- | ---: | ---: | ---: |",
	}
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		var base report
		for i, name := range servers {
			r, err := measure(name, plan{Sockets: n, Lasting: lasting}, profile)
			if err != nil && i == 0 {
				return fmt.Errorf("%s with %d sockets: %w", name, n, err)
			}
			if err != nil {
				fmt.Printf("| %d | %s | did not get that far | | | | | | | |\n", n, name)
				continue
			}
			if i == 0 {
				base = r
			}
			row(n, name, "one in flight", r.Single, base.Single)
			row(n, name, "steady", r.Steady, base.Steady)
			row(n, name, "flooding", r.Flood, base.Flood)
			memory = append(memory, fmt.Sprintf("| %d | %s | %.1f | %.2f | %.1f |", n, name, r.Idle/1024, r.Idle/base.Idle, r.Busy/1024))
		}
	}
	fmt.Printf("\nratio: to %s\n\n%s\n\n", servers[0], strings.Join(memory, "\n"))
	return stalled(lasting)
}

func stalled(lasting time.Duration) error {
	r, err := measure("causeway", plan{Sockets: 1000, Lasting: max(lasting, 5*time.Second), Stalled: 20}, "")
	if err != nil {
		return fmt.Errorf("with readers that never read: %w", err)
	}
	fmt.Println("| 1000 readers | load | deliveries | per CPU s | p50 | p99 | max | lost |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, of := range []struct {
		who string
		m   measured
	}{{"alone", r.Flood}, {"and 20 that never read", r.Stalled}} {
		fmt.Printf("| %s | flooding | %d | %.0f | %s | %s | %s | %d |\n", of.who, of.m.Deliveries, of.m.perCPUSecond(), of.m.P50, of.m.P99, of.m.Max, of.m.Lost)
	}
	fmt.Printf("\n%d of %d readers that never read were cut off\n", r.CutOff, r.StalledAll)
	return nil
}

func row(n int, name, load string, m, base measured) {
	fmt.Printf("| %d | %s | %s | %d | %.0f | %.2f | %s | %s | %s | %d |\n",
		n, name, load, m.Deliveries, m.perCPUSecond(), m.perCPUSecond()/base.perCPUSecond(), m.P50, m.P99, m.Max, m.Lost)
}

// measure runs a server and a load generator for it.
func measure(name string, p plan, profile string) (r report, err error) {
	data, err := os.MkdirTemp("", "causeway-fanout-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(data) }()
	server, err := startServer(name, data, profile)
	if err != nil {
		return r, err
	}
	defer server.stop()
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	load := exec.Command(self, "-load", server.address, "-plan", string(text))
	load.Stderr = os.Stderr
	out, err := load.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}
