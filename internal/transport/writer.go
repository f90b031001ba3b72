package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// writeChunk is how much a reader that is behind must take within the write deadline.
const writeChunk = 16 << 10

// writer writes frames to one connection and never makes its caller wait. What the
// kernel takes at once is written from the caller's goroutine, without one of its
// own; a remainder is left to a goroutine that ends when nothing is left. What waits
// is bounded.
type writer struct {
	conn  net.Conn
	raw   syscall.RawConn // nil where there is none, as under TLS: always a goroutine
	limit SocketLimits
	write func(fd uintptr) bool // made once: raw wants a function

	mu      sync.Mutex
	waiting []byte
	ends    int  // frames that wait
	busy    bool // the goroutine runs
	closing bool // the last frame is written or waits
	failed  bool
	roomy   chan struct{} // closed when there is room again; nil while nobody waits
	now     []byte        // what write writes
	n       int           // what of it was written
	err     error
}

func newWriter(conn net.Conn, limit SocketLimits) *writer {
	w := &writer{conn: conn, limit: limit}
	if tcp, ok := conn.(*net.TCPConn); ok {
		w.raw, _ = tcp.SyscallConn()
	}
	w.write = func(fd uintptr) bool {
		for {
			w.n, w.err = syscall.Write(int(fd), w.now)
			if !errors.Is(w.err, syscall.EINTR) {
				return true
			}
		}
	}
	return w
}

// push writes frames in order and returns how many there was room for. A writer that
// failed or closed takes them all and forgets them.
func (w *writer) push(f *frames) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.failed || w.closing:
		return len(f.ends)
	case !w.busy:
		w.begin(f.bytes, len(f.ends))
		return len(f.ends)
	}
	n, from := 0, 0
	for ; n < len(f.ends) && w.fits(f.ends[n]-from); n++ {
		w.waiting = append(w.waiting, f.bytes[from:f.ends[n]]...)
		w.ends++
		from = f.ends[n]
	}
	return n
}

// must writes a frame whether there is room or not: what is bounded elsewhere.
func (w *writer) must(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(frame)
}

// last writes the last frame.
func (w *writer) last(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(frame)
	w.closing = true
}

func (w *writer) add(frame []byte) {
	switch {
	case w.failed || w.closing:
	case w.busy:
		w.waiting = append(w.waiting, frame...)
		w.ends++
	default:
		w.begin(frame, 1)
	}
}

// room waits until less than half of what may wait does; false when ctx ended first.
func (w *writer) room(ctx context.Context) bool {
	for {
		w.mu.Lock()
		if w.failed || w.closing || w.halfEmpty() {
			w.mu.Unlock()
			return ctx.Err() == nil
		}
		if w.roomy == nil {
			w.roomy = make(chan struct{})
		}
		roomy := w.roomy
		w.mu.Unlock()
		select {
		case <-roomy:
		case <-ctx.Done():
			return false
		}
	}
}

func (w *writer) fits(n int) bool {
	return len(w.waiting)+n <= w.limit.QueueBytes && w.ends < w.limit.QueueFrames
}

func (w *writer) halfEmpty() bool {
	return len(w.waiting) <= w.limit.QueueBytes/2 && w.ends <= w.limit.QueueFrames/2
}

// begin writes what the kernel takes and leaves the rest to a goroutine. Nothing
// waits yet.
func (w *writer) begin(b []byte, ends int) {
	written := 0
	if w.raw != nil {
		w.now, w.n, w.err = b, 0, nil
		err := w.raw.Write(w.write)
		w.now = nil
		if err == nil && w.err != nil && !errors.Is(w.err, syscall.EAGAIN) {
			err = w.err
		}
		if err != nil {
			w.fail()
			return
		}
		written = max(w.n, 0)
	}
	if written == len(b) {
		return
	}
	w.waiting = append(w.waiting, b[written:]...)
	w.ends = ends
	w.busy = true
	go w.drain()
}

// drain writes what waits until nothing does.
func (w *writer) drain() {
	for {
		w.mu.Lock()
		b := w.waiting
		w.waiting, w.ends = nil, 0
		if len(b) == 0 || w.failed {
			w.busy = false
			w.tellRoom()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if err := w.writeAll(b); err != nil {
			w.mu.Lock()
			w.fail()
			w.busy = false
			w.mu.Unlock()
			return
		}
	}
}

func (w *writer) writeAll(b []byte) error {
	for len(b) > 0 {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.limit.Write)); err != nil {
			return err
		}
		n, err := w.conn.Write(b[:min(len(b), writeChunk)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return w.conn.SetWriteDeadline(time.Time{})
}

// fail gives up: the socket's reader notices that its connection is closed.
func (w *writer) fail() {
	w.failed = true
	w.waiting, w.ends = nil, 0
	w.tellRoom()
	_ = w.conn.Close()
}

func (w *writer) tellRoom() {
	if w.roomy != nil {
		close(w.roomy)
		w.roomy = nil
	}
}
