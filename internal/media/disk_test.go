package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"causeway/internal/media"
)

const plenty = 1 << 20

func TestWhatIsPutCanBeReadFromItsHash(t *testing.T) {
	t.Parallel()
	store := openDisk(t, t.TempDir())
	for name, content := range map[string]string{
		"nothing": "", "a byte": "x", "a sentence": "Hello, is anybody there?\n", "much": strings.Repeat("abc", 100_000),
	} {
		blob := put(t, store, content)
		sum := sha256.Sum256([]byte(content))
		if blob.Hash != hex.EncodeToString(sum[:]) || blob.Size != int64(len(content)) {
			t.Errorf("%s: kept as %+v", name, blob)
		}
		if got := read(t, store, blob.Hash); got != content {
			t.Errorf("%s: %d bytes came back of %d", name, len(got), len(content))
		}
	}
}

func TestWhatIsPutIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "media")
	blob := put(t, openDisk(t, dir), "kept")
	if got := read(t, openDisk(t, dir), blob.Hash); got != "kept" {
		t.Fatalf("after a restart: %q", got)
	}
}

func TestNobodyElseOnTheMachineCanReadWhatIsKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "media")
	put(t, openDisk(t, dir), "kept")
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSameContentIsKeptOnceHoweverManyPutItAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := []*media.Disk{openDisk(t, dir), openDisk(t, dir)} // as two servers would
	content := strings.Repeat("the same picture ", 10_000)
	var putting sync.WaitGroup
	for i := range 32 {
		putting.Go(func() {
			blob, err := stores[i%2].Put(t.Context(), iotest.OneByteReader(strings.NewReader(content[:64])), plenty)
			if err != nil || blob.Size != 64 {
				t.Errorf("put a little: %+v, %v", blob, err)
			}
			blob, err = stores[i%2].Put(t.Context(), strings.NewReader(content), plenty)
			if err != nil {
				t.Errorf("put: %v", err)
				return
			}
			if got := read(t, stores[(i+1)%2], blob.Hash); got != content {
				t.Errorf("%d bytes came back of %d", len(got), len(content))
			}
		})
	}
	putting.Wait()
	if files := filesIn(t, dir); len(files) != 2 {
		t.Fatalf("on the disk: %v", files)
	}
}

func TestAFileThatIsTooLargeIsCutOffAtOnceAndNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openDisk(t, dir)
	for _, limit := range []int64{0, 1, 1000, 70_000} {
		endless := &counted{from: zeros{}}
		if _, err := store.Put(t.Context(), endless, limit); !errors.Is(err, media.ErrTooLarge) {
			t.Errorf("limit %d: %v", limit, err)
		}
		if endless.read > limit+1 {
			t.Errorf("limit %d: %d bytes were read", limit, endless.read)
		}
		exact := io.LimitReader(zeros{}, limit)
		if blob, err := store.Put(t.Context(), exact, limit); err != nil || blob.Size != limit {
			t.Errorf("exactly %d bytes: %+v, %v", limit, blob, err)
		}
	}
	if _, err := store.Put(t.Context(), strings.NewReader(""), -1); !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("a limit below zero: %v", err)
	}
	if _, err := store.Put(t.Context(), strings.NewReader("no limit"), 1<<63-1); err != nil {
		t.Errorf("the largest limit: %v", err)
	}
	if files := filesIn(t, dir); len(files) != 5 {
		t.Errorf("on the disk: %v", files)
	}
}

func TestAFileThatBreaksOffIsNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openDisk(t, dir)
	broken := errors.New("connection reset")
	_, err := store.Put(t.Context(), io.MultiReader(strings.NewReader("the first half"), iotest.ErrReader(broken)), plenty)
	if !errors.Is(err, broken) {
		t.Errorf("broken off: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = store.Put(ctx, &counted{from: zeros{}, then: cancel}, 1<<40)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestWhatACrashLeftIsRemovedAndWhatAnotherServerIsWritingIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := put(t, openDisk(t, dir), "kept")
	left, current := filepath.Join(dir, "incoming", "left"), filepath.Join(dir, "incoming", "current")
	for _, path := range []string{left, current} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chtimes(left, long, long), os.Chtimes(filepath.Join(dir, kept.Hash[:2], kept.Hash), long, long)); err != nil {
		t.Fatal(err)
	}
	store := openDisk(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the crash left: %v", err)
	}
	if _, err := os.Stat(current); err != nil {
		t.Errorf("what is being written: %v", err)
	}
	if got := read(t, store, kept.Hash); got != "kept" {
		t.Errorf("what was kept: %q", got)
	}
}

func TestAPutMendsContentThatTheDiskDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openDisk(t, dir)
	blob := put(t, store, "whole")
	if err := os.Truncate(filepath.Join(dir, blob.Hash[:2], blob.Hash), 2); err != nil {
		t.Fatal(err)
	}
	put(t, store, "whole")
	if got := read(t, store, blob.Hash); got != "whole" {
		t.Fatalf("after another put: %q", got)
	}
}

func TestWhatIsRemovedIsGoneButForThoseWhoReadIt(t *testing.T) {
	t.Parallel()
	store := openDisk(t, t.TempDir())
	blob := put(t, store, "soon gone")
	reading, err := store.Open(t.Context(), blob.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	for range 2 {
		if err := store.Remove(t.Context(), blob.Hash); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
	if _, err := store.Open(t.Context(), blob.Hash); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("open what is removed: %v", err)
	}
	if rest, err := io.ReadAll(reading); err != nil || string(rest) != "soon gone" {
		t.Errorf("who had opened it reads %q, %v", rest, err)
	}
}

func TestNoHashLeadsOutOfTheFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "media")
	store := openDisk(t, dir)
	secret := filepath.Join(filepath.Dir(dir), "secret.key")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	blob := put(t, store, "kept")
	for _, hash := range []string{
		"", ".", "..", "../secret.key", "incoming", secret, "..%2fsecret.key", strings.Repeat("../", 20) + "etc",
		strings.Repeat(".", 64), "../" + strings.Repeat("a", 61), strings.ToUpper(blob.Hash), blob.Hash + "\x00", blob.Hash[:63] + "/", blob.Hash[1:],
	} {
		if _, err := store.Open(t.Context(), hash); !errors.Is(err, media.ErrNotFound) {
			t.Errorf("open %q: %v", hash, err)
		}
		if err := store.Remove(t.Context(), hash); err != nil {
			t.Errorf("remove %q: %v", hash, err)
		}
	}
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("the file outside: %v", err)
	}
	if got := read(t, store, blob.Hash); got != "kept" {
		t.Errorf("the file inside: %q", got)
	}
}

func TestAFileIsWhatItsFirstBytesSay(t *testing.T) {
	t.Parallel()
	store := openDisk(t, t.TempDir())
	picture := image.NewPaletted(image.Rect(0, 0, 37, 21), nil)
	picture.Palette = append(picture.Palette, image.White.C, image.Black.C)
	encoded := func(encode func(io.Writer) error) string {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		content, mimeType string
		width, height     int
	}{
		"png":                       {encoded(func(w io.Writer) error { return png.Encode(w, picture) }), "image/png", 37, 21},
		"jpeg":                      {encoded(func(w io.Writer) error { return jpeg.Encode(w, picture, nil) }), "image/jpeg", 37, 21},
		"gif":                       {encoded(func(w io.Writer) error { return gif.Encode(w, picture, nil) }), "image/gif", 37, 21},
		"webp VP8X":                 {webp("VP8X", 0, 0, 0, 0, 36, 0, 0, 20, 1, 0), "image/webp", 37, 277},
		"webp VP8L":                 {webp("VP8L", 0x2f, 36, 0x00, 0x05, 0, 0, 0, 0, 0, 0), "image/webp", 37, 21},
		"webp VP8":                  {webp("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 37, 0, 21, 0), "image/webp", 37, 21},
		"half a webp":               {webp("VP8 ")[:20], "image/webp", 0, 0},
		"a picture that breaks off": {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "image/png", 0, 0},
		"svg":                       {`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml", 0, 0},
		"html":                      {"<!DOCTYPE html><script>alert(1)</script>", "text/html", 0, 0},
		"pdf":                       {"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf", 0, 0},
		"voice":                     {"OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead\x01\x01", "audio/ogg", 0, 0},
		"m4a":                       {"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00M4A mp42isom", "audio/mp4", 0, 0},
		"mp4":                       {"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "video/mp4", 0, 0},
		"text":                      {"Xin chào, bạn khỏe không?", "text/plain", 0, 0},
		"noise":                     {"\x00\x01\x02\xfe\xff\x80\x81", "application/octet-stream", 0, 0},
		"nothing":                   {"", "application/octet-stream", 0, 0},
	} {
		blob := put(t, store, c.content)
		if blob.MimeType != c.mimeType || blob.Width != c.width || blob.Height != c.height {
			t.Errorf("%s is %s, %d by %d; should be %s, %d by %d", name, blob.MimeType, blob.Width, blob.Height, c.mimeType, c.width, c.height)
		}
	}
}

func FuzzPutTakesAnything(f *testing.F) {
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"))
	f.Add([]byte("GIF89a"))
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x10JFIF"))
	f.Add([]byte(webp("VP8X", 0, 0, 0, 0, 36, 0, 0, 20, 1, 0)))
	f.Add([]byte("%PDF-1.7"))
	f.Add([]byte("PK\x03\x04"))
	store, err := media.OpenDisk(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		blob, err := store.Put(t.Context(), bytes.NewReader(content), plenty)
		if err != nil {
			t.Fatal(err)
		}
		if blob.Size != int64(len(content)) || blob.MimeType == "" || strings.ContainsAny(blob.MimeType, "; \r\n") || blob.Width < 0 || blob.Height < 0 {
			t.Fatalf("%+v", blob)
		}
		if err := store.Remove(t.Context(), blob.Hash); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for name, size := range map[string]int64{"64KB": 64 << 10, "4MB": 4 << 20} {
		b.Run(name, func(b *testing.B) {
			store, err := media.OpenDisk(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			content := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				copy(content, []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
				if _, err := store.Put(b.Context(), bytes.NewReader(content), size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// webp is the head of a WebP file whose first chunk has this name and content.
func webp(chunk string, content ...byte) string {
	return "RIFF\x24\x00\x00\x00WEBP" + chunk + "\x0a\x00\x00\x00" + string(content)
}

func openDisk(t *testing.T, dir string) *media.Disk {
	t.Helper()
	store, err := media.OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func put(t *testing.T, store media.Store, content string) media.Blob {
	t.Helper()
	blob, err := store.Put(t.Context(), strings.NewReader(content), plenty)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return blob
}

func read(t *testing.T, store media.Store, hash string) string {
	t.Helper()
	file, err := store.Open(t.Context(), hash)
	if err != nil {
		t.Errorf("open: %v", err)
		return ""
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return string(content)
}

// filesIn are the names of all files below dir.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// zeros is a file without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// counted counts what is read; after the first read it calls then.
type counted struct {
	from io.Reader
	read int64
	then func()
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	if c.then != nil {
		c.then()
	}
	return n, err
}
