package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"causeway"
)

// File is a file that is served: content, and what is known of it besides.
type File struct {
	Hash     string
	MimeType string // as Blob.MimeType; what it says decides how the file is served
	Name     string // as the stranger wrote it; may be empty
	Size     int64  // bytes; content of another size is damaged and is not served; or AnySize
}

// AnySize as a File's Size: the content is served as long as it is.
const AnySize = -1

// HandlerConfig is what the handler works with. Signer, Store and Find are needed.
type HandlerConfig struct {
	Signer *Signer
	Store  Store
	// Find tells which file has the id; ErrNotFound, or an error with the code NOT_FOUND,
	// if none has or its content is not here. It is asked only for ids that this server
	// has signed.
	Find  func(ctx context.Context, id causeway.ID) (File, error)
	Clock causeway.Clock // nil: the machine's
	Log   *slog.Logger   // nil: nothing is logged
}

// NewHandler serves GET and HEAD of /media/{id}; the id is the request's path value "id".
// Whoever has a good address gets the file, in parts if they ask for parts: the signature
// is the right, so that pages of any origin may read it and no cookie is looked at. A
// forged address is answered 403, an expired one 410, an unknown file 404, each in words.
//
// Nothing that is served can run in a browser: what could is offered for keeping and
// called bytes, nothing is sniffed, and all is under a policy that forbids everything.
func NewHandler(cfg HandlerConfig) http.Handler {
	if cfg.Clock == nil {
		cfg.Clock = causeway.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &handler{cfg}
}

type handler struct{ HandlerConfig }

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		say(w, http.StatusMethodNotAllowed, "Files can only be fetched from here.")
		return
	}
	id, now, query := causeway.ID(r.PathValue("id")), h.Clock.Now(), r.URL.Query()
	switch err := h.Signer.Verify(id, query.Get("expires"), query.Get("signature"), now); {
	case errors.Is(err, ErrExpired):
		say(w, http.StatusGone, "This address has expired. Open the conversation again to get a new one.")
		return
	case err != nil:
		say(w, http.StatusForbidden, "This address is not complete, or has been changed. Open the file from its conversation.")
		return
	}
	file, content, err := h.open(r.Context(), id)
	if errors.Is(err, ErrNotFound) || errors.Is(err, causeway.Fail(causeway.NotFound)) {
		say(w, http.StatusNotFound, "There is no such file here, or it is not kept any more.")
		return
	}
	if err != nil {
		if r.Context().Err() == nil {
			h.Log.ErrorContext(r.Context(), "a file could not be served", "id", id, "error", err)
		}
		say(w, http.StatusInternalServerError, "The file cannot be read at the moment. Try again later.")
		return
	}
	defer content.Close()
	contentType, err := contentTypeOf(file, content)
	if err != nil {
		h.Log.ErrorContext(r.Context(), "a file could not be served", "id", id, "error", err)
		say(w, http.StatusInternalServerError, "The file cannot be read at the moment. Try again later.")
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Disposition", disposition(file.Name, file.MimeType, string(id)))
	header.Set("Cache-Control", fmt.Sprintf("private, max-age=%d, immutable", secondsUntil(query.Get("expires"), now)))
	header.Set("ETag", `"`+file.Hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
}

// open finds the file and opens its content, at its start.
func (h *handler) open(ctx context.Context, id causeway.ID) (File, io.ReadSeekCloser, error) {
	file, err := h.Find(ctx, id)
	if err != nil {
		return File{}, nil, fmt.Errorf("find the file: %w", err)
	}
	content, err := h.Store.Open(ctx, file.Hash)
	if errors.Is(err, ErrNotFound) {
		h.Log.WarnContext(ctx, "the content of a file is gone", "id", id, "hash", file.Hash)
	}
	if err != nil {
		return File{}, nil, err
	}
	size, err := content.Seek(0, io.SeekEnd)
	if err == nil && file.Size != AnySize && size != file.Size {
		err = fmt.Errorf("content %s has %d bytes and should have %d", file.Hash, size, file.Size)
	}
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = content.Close()
		return File{}, nil, err
	}
	return file, content, nil
}

// contentTypeOf is the Content-Type of a file; of a text with the encoding that its
// beginning is in.
func contentTypeOf(file File, content io.ReadSeeker) (string, error) {
	name := servedType(file.MimeType)
	if name != plainText {
		return name, nil
	}
	head, err := io.ReadAll(io.LimitReader(content, sniffed))
	if err != nil {
		return "", err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if encoding := charset(head); encoding != "" {
		return name + "; charset=" + encoding, nil
	}
	return name, nil
}

// secondsUntil is how long an address that was verified is good for.
func secondsUntil(expires string, now time.Time) int64 {
	until, _ := strconv.ParseInt(expires, 10, 64)
	return max(until-now.Unix(), 0)
}

// say answers with a sentence for whoever opened the address in a browser.
func say(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, sentence+"\n")
}
