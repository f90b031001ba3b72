package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"

	"causeway"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
)

// handshake answers Facebook's look at an address: its challenge for who knows the
// verify token, else 403.
func (h *Handler) handshake(w http.ResponseWriter, r *http.Request, key string, own bool) {
	token := h.cfg.Facebook.VerifyToken
	if own {
		end, status := h.find(r.Context(), key, platform.Messenger)
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		token = string(end.VerifyToken)
	}
	challenge, ok := messenger.VerifyHandshake(r.URL.Query(), token)
	if !ok {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, challenge)
}

// facebook decides on one delivery: of this server's own app, or of the app of the
// connection that key names.
func (h *Handler) facebook(r *http.Request, key string, own bool) int {
	var end *Endpoint
	secret := h.cfg.Facebook.Secret
	if own {
		var status int
		if end, status = h.find(r.Context(), key, platform.Messenger); status != 0 {
			return status
		}
		secret = string(end.Secret)
	}
	buffer, whole := h.body(r)
	if buffer == nil {
		return http.StatusRequestEntityTooLarge
	}
	if !messenger.VerifySignature(secret, r.Header.Get(messenger.SignatureHeader), buffer.Bytes()) {
		h.reuse(buffer)
		if own {
			h.rejected.add(end.Connection)
		}
		return http.StatusUnauthorized
	}
	parts, err := messenger.Split(buffer.Bytes())
	h.reuse(buffer) // the parts have bytes of their own
	if errors.Is(err, messenger.ErrNotPage) {
		return http.StatusOK // another product of the app, which is not served here
	}
	if !whole || err != nil {
		return http.StatusBadRequest
	}
	entries, err := h.entries(r.Context(), parts, end)
	if err != nil {
		h.cfg.Log.WarnContext(r.Context(), "a page could not be looked up", "error", err)
		return http.StatusServiceUnavailable
	}
	if len(entries) == 0 {
		return http.StatusOK
	}
	for i := range entries {
		h.mark(&entries[i], r.Header)
	}
	if err := h.cfg.Intake.AddBatch(r.Context(), intake.Batch{Entries: entries}); err != nil {
		h.cfg.Log.WarnContext(r.Context(), "updates were not stored", "entries", len(entries), "error", causeway.CodeOf(err))
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// entries are the parts of a delivery that are kept: those of pages that are connected
// through the app that delivered, which is only's alone unless it is nil.
func (h *Handler) entries(ctx context.Context, parts []messenger.Entry, only *Endpoint) ([]intake.Entry, error) {
	entries := make([]intake.Entry, 0, len(parts))
	for _, part := range parts {
		end, err := h.owner(ctx, part.Page, only)
		if err != nil {
			return nil, err
		}
		if end == nil {
			continue
		}
		envelope, err := messenger.Parser{}.Envelope(part.Raw)
		if err != nil { // it is of a page of ours, so it is kept whatever it is
			envelope = platform.Envelope{Event: "unknown"}
		}
		entries = append(entries, intake.Entry{
			Campaign: end.Campaign, Connection: end.Connection, Account: end.Account, Envelope: envelope, Body: part.Raw,
		})
	}
	return entries, nil
}

// owner is the connection that a page's entry belongs to; nil if it is not to be kept.
func (h *Handler) owner(ctx context.Context, page string, only *Endpoint) (*Endpoint, error) {
	switch {
	case only != nil && only.Account == page:
		return only, nil
	case only != nil, page == messenger.TestPage, page == "":
		return nil, nil
	}
	end, err := h.cfg.Pages.Page(ctx, page)
	if errors.Is(err, causeway.Fail(causeway.NotFound)) {
		h.cfg.Pages.Stranger(page)
		return nil, nil
	}
	return end, err
}
