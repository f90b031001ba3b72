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

const (
	// TelegramPath is what a bot's address begins with; its key follows.
	TelegramPath = "/webhooks/telegram/"
	// FacebookPath is the address of this server's own Facebook app. Below it are those of
	// people's own apps, by the keys of their connections.
	FacebookPath = "/webhooks/facebook"
)

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
	// Secret is what the platform must send, or sign with. Without one every request is
	// refused.
	Secret []byte
	// VerifyToken is what Facebook must send when it looks at the address of a person's
	// own app. Without one every look is refused.
	VerifyToken []byte
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

// Pages knows the pages that are connected through this server's own Facebook app.
type Pages interface {
	// Page returns where a page's updates belong; NOT_FOUND if it is not connected
	// through that app now.
	Page(ctx context.Context, page string) (*Endpoint, error)
	// Stranger is told that an update came in of a page that is not connected. It does
	// not block.
	Stranger(page string)
}

// FacebookApp is what this server's own app at Facebook proves itself with. Empty: there
// is none, and every request is refused.
type FacebookApp struct {
	Secret      string
	VerifyToken string
}

// Adder stores raw updates: intake.Intake.
type Adder interface {
	Add(ctx context.Context, entry intake.Entry) error
	AddBatch(ctx context.Context, batch intake.Batch) error
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
	Pages       Pages
	Facebook    FacebookApp
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
// 401 for a secret or signature that is wrong, missing or not known here, 400 for what
// is not a JSON object, 503 with Retry-After for what could not be stored, and 200 once
// it is. A look at a Facebook address is answered with its challenge, or 403.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if key, ok := strings.CutPrefix(r.URL.Path, TelegramPath); ok {
		h.serve(w, r, func() int { return h.telegram(r, key) })
		return
	}
	key, own := strings.CutPrefix(r.URL.Path, FacebookPath+"/")
	switch {
	case !own && r.URL.Path != FacebookPath:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		h.handshake(w, r, key, own)
	default:
		h.serve(w, r, func() int { return h.facebook(r, key, own) })
	}
}

// serve answers a delivery with the status that is decided on it.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, decide func() int) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	status := decide()
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close") // instead of reading the rest
	}
	w.WriteHeader(status)
}

// find is the connection that a key names, of one platform, or the status that says
// why there is none.
func (h *Handler) find(ctx context.Context, key string, on platform.Name) (*Endpoint, int) {
	if key == "" || strings.Contains(key, "/") {
		return nil, http.StatusNotFound
	}
	end, err := h.cfg.Connections.Find(ctx, key)
	switch {
	case errors.Is(err, causeway.Fail(causeway.NotFound)):
		return nil, http.StatusNotFound
	case err != nil:
		h.cfg.Log.WarnContext(ctx, "a webhook's connection could not be looked up", "error", err)
		return nil, http.StatusServiceUnavailable
	case end.Platform != on:
		return nil, http.StatusNotFound
	case end.Disconnected:
		return nil, http.StatusGone
	}
	return end, 0
}

// body reads what was posted. It is nil if that is more than MaxBody; whole tells
// whether all of it arrived. What it returns goes back with reuse.
func (h *Handler) body(r *http.Request) (body *bytes.Buffer, whole bool) {
	if r.ContentLength > MaxBody {
		return nil, false
	}
	buffer := h.buffers.Get().(*bytes.Buffer)
	err := readBody(buffer, r)
	if buffer.Len() > MaxBody {
		return nil, false
	}
	return buffer, err == nil
}

// telegram decides on one update of a bot.
func (h *Handler) telegram(r *http.Request, key string) int {
	end, status := h.find(r.Context(), key, platform.Telegram)
	if status != 0 {
		return status
	}
	buffer, whole := h.body(r)
	if buffer == nil {
		return http.StatusRequestEntityTooLarge
	}
	if !secretMatches(r, end.Secret) {
		h.reuse(buffer)
		h.rejected.add(end.Connection)
		return http.StatusUnauthorized
	}
	envelope, err := h.parser.Envelope(buffer.Bytes())
	if !whole || err != nil {
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
	h.mark(&entry, r.Header)
	return h.store(r.Context(), entry, buffer)
}

// mark marks a test event.
func (h *Handler) mark(entry *intake.Entry, header http.Header) {
	if h.cfg.Tests == nil {
		return
	}
	if key, ok := h.cfg.Tests.TestEvent(header, entry.Connection); ok {
		entry.Test, entry.Envelope.Key = true, key
	}
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
