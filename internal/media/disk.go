package media

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// incoming is the folder of what is still being written.
const incoming = "incoming"

// abandonedAfter is how long nothing was written to an incoming file before it counts as
// left behind. Another server may be writing into the same folder, and no reader that
// this program hands to Put may stall for so long.
const abandonedAfter = 10 * time.Minute

// Disk is a Store in a folder: content 3fab… is the file 3f/3fab…. Folders have mode 0700
// and files 0600. Several processes may use the same folder.
type Disk struct{ dir string }

var _ Store = (*Disk)(nil)

// OpenDisk opens the store in dir, making the folder if there is none, and removes what a
// crash left half-written there ten minutes ago or earlier.
func OpenDisk(dir string) (*Disk, error) {
	d := &Disk{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of media: %w", err)
	}
	// What is kept is no safer than the names of the folders that lead to it.
	if err := errors.Join(syncFolder(dir), syncFolder(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("make the folder of media durable: %w", err)
	}
	if err := d.sweep(time.Now().Add(-abandonedAfter)); err != nil {
		return nil, fmt.Errorf("clean the folder of media: %w", err)
	}
	return d, nil
}

// Put implements Store.
func (d *Disk) Put(ctx context.Context, r io.Reader, limit int64) (Blob, error) {
	draft, err := os.OpenFile(filepath.Join(d.dir, incoming, rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Blob{}, fmt.Errorf("keep a file: %w", err)
	}
	defer os.Remove(draft.Name()) // not there any more when all went well
	defer draft.Close()
	blob, err := write(ctx, draft, r, limit)
	if err != nil {
		return Blob{}, err
	}
	if err := errors.Join(draft.Sync(), draft.Close()); err != nil {
		return Blob{}, fmt.Errorf("keep a file: %w", err)
	}
	if err := d.accept(draft.Name(), blob.Hash); err != nil {
		return Blob{}, fmt.Errorf("keep a file: %w", err)
	}
	return blob, nil
}

// Open implements Store.
func (d *Disk) Open(_ context.Context, hash string) (io.ReadSeekCloser, error) {
	if !isHash(hash) {
		return nil, ErrNotFound
	}
	file, err := os.Open(d.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open a file: %w", err)
	}
	return file, nil
}

// Remove implements Store.
func (d *Disk) Remove(_ context.Context, hash string) error {
	if !isHash(hash) {
		return nil
	}
	if err := os.Remove(d.path(hash)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a file: %w", err)
	}
	return nil
}

// write copies r to draft and describes what came.
func write(ctx context.Context, draft *os.File, r io.Reader, limit int64) (Blob, error) {
	if limit < 0 {
		return Blob{}, ErrTooLarge
	}
	source := &source{ctx: ctx, from: r}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(draft, sum), io.LimitReader(source, oneMore(limit)))
	switch {
	case source.err != nil:
		return Blob{}, fmt.Errorf("read a file to keep: %w", source.err)
	case err != nil:
		return Blob{}, fmt.Errorf("keep a file: %w", err)
	case size > limit:
		return Blob{}, ErrTooLarge
	}
	blob := Blob{Hash: hex.EncodeToString(sum.Sum(nil)), Size: size}
	if blob.MimeType, err = sniff(draft); err != nil {
		return Blob{}, fmt.Errorf("look at a file to keep: %w", err)
	}
	blob.Width, blob.Height = dimensions(draft, blob.MimeType)
	return blob, nil
}

func oneMore(limit int64) int64 {
	if limit == math.MaxInt64 {
		return limit
	}
	return limit + 1
}

// source reads while ctx lasts and remembers what went wrong, so that it is not taken
// for trouble with the disk.
type source struct {
	ctx  context.Context
	from io.Reader
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// accept moves a finished draft to where its hash says. Content that is there already is
// replaced by the same: a Remove that comes in between does not take it away, and a file
// that the disk has damaged is whole again.
func (d *Disk) accept(draft, hash string) error {
	target := d.path(hash)
	shard := filepath.Dir(target)
	switch err := os.Mkdir(shard, 0o700); {
	case err == nil, errors.Is(err, fs.ErrExist):
		// Also where another Put has just made it and has not come to this yet.
		if err := syncFolder(d.dir); err != nil {
			return err
		}
	default:
		return err
	}
	if err := os.Rename(draft, target); err != nil {
		return err
	}
	return syncFolder(shard)
}

// sweep removes incoming files that were last written before the given time.
func (d *Disk) sweep(before time.Time) error {
	drafts, err := os.ReadDir(filepath.Join(d.dir, incoming))
	if err != nil {
		return err
	}
	for _, draft := range drafts {
		info, err := draft.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // finished meanwhile
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.ModTime().After(before) {
			continue
		}
		if err := os.Remove(filepath.Join(d.dir, incoming, draft.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// path is where the content of a hash is; hash must be one.
func (d *Disk) path(hash string) string { return filepath.Join(d.dir, hash[:2], hash) }

// isHash tells whether s is written like Blob.Hash. Nothing that is can lead anywhere
// but into the store's own folder.
func isHash(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// syncFolder makes the folder's list of names durable; a file's own fsync does not.
func syncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
