package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// service is one way to deliver events.
type service struct {
	graphql http.Handler
	// emit makes the events first, first+1 … happen and returns when they were stored.
	emit    func(ctx context.Context, first, n int) (stored time.Time, err error)
	storing func() time.Duration // CPU time that emit used before the events were stored
	close   func() error
}

var serverNames = []string{"bare", "joined", "gqlgen", "causeway"}

func build(ctx context.Context, name, data string) (*service, error) {
	switch name {
	case "bare":
		return newBare(false), nil
	case "joined":
		return newBare(true), nil
	case "gqlgen", "causeway":
		return newProduct(ctx, data, name == "causeway")
	default:
		return nil, fmt.Errorf("no server is called %q", name)
	}
}

// emitted answers a request for events.
type emitted struct {
	First  int
	Stored int64 // Unix nanoseconds
}

// usage is what the load generator asks of the server's process.
type usage struct {
	CPU time.Duration // without what storing events took
	RSS int64         // bytes, after a collection if that was asked for
}

// runServer serves until standard input ends, and prints its address first.
func runServer(name, data, profile string) error {
	s, err := build(context.Background(), name, data)
	if err != nil {
		return err
	}
	if profile != "" && name == "causeway" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	next := 1
	mux := http.NewServeMux()
	mux.Handle("/graphql", s.graphql)
	mux.HandleFunc("POST /emit", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		answer := emitted{First: next}
		next += n // one load generator asks, one request after the other
		stored, err := s.emit(r.Context(), answer.First, n)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.Stored = stored.UnixNano()
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("GET /usage", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("collect") {
			debug.FreeOSMemory()
		}
		_ = json.NewEncoder(w).Encode(usage{CPU: cpuTime(syscall.RUSAGE_SELF) - s.storing(), RSS: rss()})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return s.close()
}

// rusageThread is RUSAGE_THREAD of Linux: only the thread that asks.
const rusageThread = 1

func cpuTime(of int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(of, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss is the process's resident memory, as Linux tells it.
func rss() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// serverProcess is a server in a process of its own.
type serverProcess struct {
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

func startServer(name, data, profile string) (*serverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve", name, "-data", data, "-profile", profile)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server said no address: %w", err)
	}
	return &serverProcess{address: strings.TrimSpace(address), cmd: cmd, stdin: stdin}, nil
}

func (s *serverProcess) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}
