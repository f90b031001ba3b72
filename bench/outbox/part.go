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
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// part is a process of the run: it does what it is asked by name.
type part struct {
	steps map[string]func(context.Context) error
	// world is what the part tells others of Telegram, and amiss how many messages are
	// not as they should be; of the part that simulates it.
	world *world
	amiss int
	close func() error
}

// done is what a step took.
type done struct {
	Took, CPU time.Duration
	Total     time.Duration // CPU time of the part since it began
	Amiss     int
}

// runPart is a part until standard input ends. It prints first where it is asked.
func runPart(name, telegram, postgres, profile string, s size) (err error) {
	var p *part
	switch name {
	case "telegram":
		p, err = newTelegram(s)
	case "bare", "client":
		p, err = newPoster(name, telegram, s)
	case "causeway":
		p, err = newProduct(context.Background(), telegram, postgres, s)
	default:
		return fmt.Errorf("no part is called %q", name)
	}
	if err != nil {
		return err
	}
	return errors.Join(p.serve(profile), p.close())
}

func (p *part) serve(profile string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /world", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p.world) })
	mux.HandleFunc("POST /{step}", func(w http.ResponseWriter, r *http.Request) {
		d, err := p.step(r.Context(), r.PathValue("step"), profile)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(d)
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
	return nil
}

// step does one step. A profile is of the last step that was asked for.
func (p *part) step(ctx context.Context, name, profile string) (done, error) {
	do, known := p.steps[name]
	if !known && name != "usage" {
		return done{}, fmt.Errorf("there is no step %q", name)
	}
	runtime.GC() // what came before is not this step's
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return done{}, err
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return done{}, err
		}
		defer pprof.StopCPUProfile()
	}
	began, used := time.Now(), cpuTime()
	if do != nil {
		if err := do(ctx); err != nil {
			return done{}, err
		}
	}
	total := cpuTime()
	return done{Took: time.Since(began), CPU: total - used, Total: total, Amiss: p.amiss}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// process is a part that was started.
type process struct {
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

func startPart(name, telegram, postgres, profile string, s size) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-be", name, "-telegram", telegram, "-postgres", postgres, "-profiles", profile,
		"-bots", strconv.Itoa(s.Bots), "-conversations", strconv.Itoa(s.Conversations),
		"-messages", strconv.Itoa(s.Messages), "-workers", strconv.Itoa(s.Workers))
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
	p := &process{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s said no address: %w", name, err)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
}

// do asks for a step and returns when it is done.
func (p *process) do(step string) (done, error) {
	var d done
	res, err := http.Post("http://"+p.address+"/"+step, "", nil)
	if err != nil {
		return d, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(res.Body)
		return d, fmt.Errorf("%s: %s", step, strings.TrimSpace(string(why)))
	}
	return d, json.NewDecoder(res.Body).Decode(&d)
}
