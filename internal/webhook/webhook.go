// Package webhook is the door through which platforms hand in updates: it finds the
// connection that an address names, verifies, reads the envelope, hands the raw body
// to intake and answers. What an update means does not enter, and nothing is asked of
// a platform.
//
// A Handler serves any number of requests at once. There is one lock, around the
// refusals that are not written down yet.
package webhook

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"causeway"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

// TelegramPath is what a bot's address begins with; its key follows.
const TelegramPath = "/webhooks/telegram/"

// MaxBody is how many bytes an update may have.
const MaxBody = 1 << 20

const (
	// keepBuffer is the largest buffer kept for the next request: updates have a
	// kilobyte or a few.
	keepBuffer = 64 << 10

	retryAfter = "2" // seconds
)

// Endpoint is what an address stands for.
type Endpoint struct {
	Connection causeway.ID
	Campaign   causeway.ID
	Platform   platform.Name
	Account    string // external id of the page or bot
	// Secret is what the platform must send. Without one every request is refused.
	Secret []byte
	// Disconnected: the connection is over and its key is kept.
	Disconnected bool
}

// Finder knows the connections' addresses.
type Finder interface {
	// Find returns what key stands for. NOT_FOUND means that no connection ever had it;
	// any other error, that it could not be looked up now. It is asked for every
	// request, so it should not need the database for each.
	Find(ctx context.Context, key string) (*Endpoint, error)
}

// Adder stores raw updates: intake.Intake.
type Adder interface {
	Add(ctx context.Context, entry intake.Entry) error
}

var _ Adder = (*intake.Intake)(nil)

// Tests recognises test events, among requests that are authentic.
type Tests interface {
	// TestEvent tells whether a request with this header, to this connection's address, is
	// a test event of this server's own, and under which key it is to be stored. It is
	// asked for every request.
	TestEvent(header http.Header, connection causeway.ID) (key string, ok bool)
}

// Config is what a Handler needs.
type Config struct {
	Connections Finder
	Intake      Adder
	// Tests recognises what this server posted to itself; nothing is if it is nil.
	Tests Tests
	// Rejected is told who was turned away; nobody is if it is nil.
	Rejected Rejected
	Clock    causeway.Clock
	Log      *slog.Logger // none: silent
}

// Handler serves the addresses below /webhooks/. Start it before the first request and
// Close it after the last.
type Handler struct {
	cfg      Config
	parser   platform.Parser
	buffers  sync.Pool // of *bytes.Buffer
	rejected *rejections
}

var _ http.Handler = (*Handler)(nil)

// New is a Handler that serves, and that counts refusals from Start on.
func New(cfg Config) *Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{
		cfg:      cfg,
		parser:   telegram.Parser{},
		buffers:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		rejected: newRejections(cfg),
	}
}

// Start begins to write down refusals.
func (h *Handler) Start() { h.rejected.start() }

// Close writes down the last refusals and returns when nothing is running. It may
// come twice, and before Start.
func (h *Handler) Close() error { return h.rejected.close() }

// ServeHTTP answers, in this order of precedence: 404 for an address that no
// connection ever had, 410 for one that is disconnected, 413 for a body over MaxBody,
// 401 for a secret that is wrong, missing or not known here, 400 for what is not a
// JSON object, 503 with Retry-After for what could not be stored, and 200 once it is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, TelegramPath)
	if !ok || key == "" || strings.Contains(key, "/") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	status := h.serveTelegram(r, key)
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close") // instead of reading the rest
	}
	w.WriteHeader(status)
}

// serveTelegram decides on one request.
func (h *Handler) serveTelegram(r *http.Request, key string) int {
	ctx := r.Context()
	end, err := h.cfg.Connections.Find(ctx, key)
	if errors.Is(err, causeway.Fail(causeway.NotFound)) {
		return http.StatusNotFound
	}
	if err != nil {
		h.cfg.Log.WarnContext(ctx, "a webhook's connection could not be looked up", "error", err)
		return http.StatusServiceUnavailable
	}
	if end.Platform != platform.Telegram {
		return http.StatusNotFound
	}
	if end.Disconnected {
		return http.StatusGone
	}
	if r.ContentLength > MaxBody {
		return http.StatusRequestEntityTooLarge
	}
	buffer := h.buffers.Get().(*bytes.Buffer)
	unread := readBody(buffer, r)
	if buffer.Len() > MaxBody {
		return http.StatusRequestEntityTooLarge
	}
	if !secretMatches(r, end.Secret) {
		h.reuse(buffer)
		h.rejected.add(end.Connection)
		return http.StatusUnauthorized
	}
	envelope, err := h.parser.Envelope(buffer.Bytes())
	if unread != nil || err != nil {
		h.reuse(buffer)
		return http.StatusBadRequest
	}
	entry := intake.Entry{
		Campaign:   end.Campaign,
		Connection: end.Connection,
		Account:    end.Account,
		Envelope:   envelope,
		Body:       buffer.Bytes(),
	}
	if h.cfg.Tests != nil {
		if key, ok := h.cfg.Tests.TestEvent(r.Header, end.Connection); ok {
			entry.Test, entry.Envelope.Key = true, key
		}
	}
	return h.store(ctx, entry, buffer)
}

// store hands the body to intake. After an error the buffer may still be read there,
// so it is not used again.
func (h *Handler) store(ctx context.Context, entry intake.Entry, buffer *bytes.Buffer) int {
	if err := h.cfg.Intake.Add(ctx, entry); err != nil {
		h.cfg.Log.WarnContext(ctx, "an update was not stored", "connection", entry.Connection, "error", causeway.CodeOf(err))
		return http.StatusServiceUnavailable
	}
	h.reuse(buffer)
	return http.StatusOK
}

// readBody reads at most one byte more than an update may have.
func readBody(into *bytes.Buffer, r *http.Request) error {
	into.Reset()
	if r.ContentLength > 0 {
		into.Grow(int(r.ContentLength) + bytes.MinRead) // ReadFrom wants room to see the end
	}
	_, err := into.ReadFrom(&io.LimitedReader{R: r.Body, N: MaxBody + 1})
	return err
}

func (h *Handler) reuse(buffer *bytes.Buffer) {
	if buffer.Cap() <= keepBuffer {
		h.buffers.Put(buffer)
	}
}

// secretMatches compares in constant time. A secret that is not known matches nothing.
func secretMatches(r *http.Request, secret []byte) bool {
	sent := r.Header[telegram.SecretHeader]
	if len(secret) == 0 || len(sent) != 1 {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(sent[0]), secret) == 1
}
