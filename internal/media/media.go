// Package media keeps files and serves them: what customers send, what agents send, and
// the pictures of both. Content is kept under its own hash and served by signed,
// expiring addresses; what a file is, its first bytes say and nobody else.
//
// The room is handed readers. Platforms, their tokens and our rows do not enter: who may
// see a file, which attachment has which content and when content is no longer needed is
// decided above. Everything here may be used concurrently, and no goroutine outlives the
// call that it serves but those of a client's idle connections, which end with its
// CloseIdleConnections.
package media

import (
	"context"
	"errors"
	"io"
)

var (
	// ErrNotFound: there is no such content, or no such file.
	ErrNotFound = errors.New("no such file")
	// ErrTooLarge: more bytes came than the limit allows.
	ErrTooLarge = errors.New("the file is larger than allowed")
)

// Blob describes content that is kept.
type Blob struct {
	// Hash names the content: its SHA-256 in 64 lower-case hexadecimal digits.
	Hash string
	// Size is in bytes.
	Size int64
	// MimeType is what the first bytes say, without parameters; application/octet-stream
	// if they say nothing. Only the type is told by it: the rest of the content may be
	// anything.
	MimeType string
	// Width and Height of a PNG, JPEG, GIF or WebP, in pixels, as its header says and
	// before any rotation that the picture asks for; zero if unknown.
	Width, Height int
}

// Store keeps content under its hash. Its methods may be called concurrently.
type Store interface {
	// Put reads r to its end and keeps what comes. When it returns without an error the
	// content survives a crash; with one, nothing was kept. The same content is kept once,
	// however often and however concurrently it is put.
	//
	// Of more than limit bytes it reads limit and one, and returns ErrTooLarge; a negative
	// limit allows nothing. An error of r's is in the chain of Put's own. When ctx ends,
	// Put ends after the Read that it is in: r must itself end with ctx.
	Put(ctx context.Context, r io.Reader, limit int64) (Blob, error)
	// Open opens content from its start. ErrNotFound if there is none under the hash,
	// whatever the hash looks like. Content that is removed can be read to its end by
	// those who opened it before.
	Open(ctx context.Context, hash string) (io.ReadSeekCloser, error)
	// Remove forgets content; what is not there is no error. Content is shared by all who
	// put it, so that it is the caller who knows that nobody needs it any more, Puts that
	// are under way included.
	Remove(ctx context.Context, hash string) error
}
