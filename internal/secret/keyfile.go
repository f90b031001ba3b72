package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// maxKeyFile bounds what is read as a key file: some hundreds of keys.
const maxKeyFile = 16 << 10

// LoadOrCreate reads a ring from the file at path, written as Parse reads it. Where
// there is none, it makes the folder and the file with one fresh key, mode 0600,
// whole and on the disk before it returns; of several processes that start at once,
// all get the key of one. A file that others than its owner can reach is refused
// with the command that mends it. Whoever loses this file loses every secret sealed
// with it.
func LoadOrCreate(path string) (*Ring, error) {
	ring, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	return load(path)
}

// AddKey puts a fresh key in front of those in the key file at path and answers the
// ring that the file holds from now on. Rings that were read from the file before, in any
// process, seal with the new key from now on, and open what it sealed: nothing needs to be
// started anew. The new file takes the old one's place whole and on the disk, or not at
// all. One process at a time can do it; what a crash left in its way is named. Where there
// is no file it answers fs.ErrNotExist, since an empty one would hide that the keys are
// somewhere else.
func AddKey(path string) (*Ring, error) {
	if _, err := load(path); err != nil { // a file that is none gets no further key
		return nil, err
	}
	draft := path + ".new" // whoever makes it has the turn, until it is renamed
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("another key is being brought in; if nothing else runs that does it, remove what it left: %s", draft)
	}
	if err != nil {
		return nil, fmt.Errorf("bring in a key: %w", err)
	}
	err = prepend(file, path)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("bring in a key: %w", errors.Join(err, os.Remove(draft)))
	}
	if err := os.Rename(draft, path); err != nil {
		return nil, fmt.Errorf("bring in a key: %w", errors.Join(err, os.Remove(draft)))
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("bring in a key: %w", err)
	}
	return load(path)
}

// prepend writes a fresh key and those of the file at path.
func prepend(to io.Writer, path string) error {
	text, _, err := readKeys(path) // again: those that are there now, in our turn
	if err != nil {
		return err
	}
	longer := newKeyText() + ",\n" + text
	if len(longer) > maxKeyFile {
		return fmt.Errorf("the key file %s has no room for a further key; remove the last ones, which nothing is sealed with any more", path)
	}
	_, err = io.WriteString(to, longer)
	return err
}

// keyFile is the file of a ring, as it was when it was read.
type keyFile struct {
	path string

	mu   sync.Mutex
	seen fs.FileInfo
}

// latest are the keys as the ring's file has them now; those known before where it is
// as it was, or cannot be read.
func (r *Ring) latest() []key {
	if r.file == nil {
		return r.known()
	}
	r.file.mu.Lock()
	defer r.file.mu.Unlock()
	now, err := os.Stat(r.file.path)
	if err != nil || r.file.isAsSeen(now) {
		return r.known()
	}
	fresh, err := load(r.file.path)
	if err != nil {
		return r.known()
	}
	r.file.seen = fresh.file.seen
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = fresh.keys
	return r.keys
}

func (f *keyFile) isAsSeen(now fs.FileInfo) bool {
	return os.SameFile(f.seen, now) && f.seen.ModTime().Equal(now.ModTime()) && f.seen.Size() == now.Size()
}

func load(path string) (*Ring, error) {
	text, info, err := readKeys(path)
	if err != nil {
		return nil, err
	}
	ring, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %w", path, err)
	}
	ring.file = &keyFile{path: path, seen: info}
	return ring, nil
}

// readKeys reads a key file, which only its owner may reach.
func readKeys(path string) (string, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("open the key file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", nil, fmt.Errorf("look at the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("the key file %s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", nil, fmt.Errorf("the key file %s is open to other users (mode %04o); close it with: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return "", nil, fmt.Errorf("read the key file: %w", err)
	}
	if len(text) > maxKeyFile {
		return "", nil, fmt.Errorf("the key file %s is longer than %d bytes and cannot be one", path, maxKeyFile)
	}
	return string(text), info, nil
}

// create writes a fresh key beside path and links it there, which, unlike renaming,
// never replaces a file that another process put there in the meantime.
func create(path string) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(newKeyText() + "\n")
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes the folder's list of names durable; a file's own fsync does not.
func syncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
