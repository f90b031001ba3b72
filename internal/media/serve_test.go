package media_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"causeway"
	"causeway/internal/media"
)

func TestAFileIsServedWithEverythingThatKeepsItFromRunning(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	address := house.keeps(t, "picture.png", "image/png", "\x89PNG\r\n\x1a\n...")
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		answer := house.asks(t, method, address)
		if answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", method, answer.Code, answer.Body)
		}
		for name, want := range map[string]string{
			"Content-Type": "image/png", "Content-Length": "11", "Accept-Ranges": "bytes",
			"Content-Disposition":          `inline; filename="picture.png"; filename*=UTF-8''picture.png`,
			"X-Content-Type-Options":       "nosniff",
			"Content-Security-Policy":      "default-src 'none'; sandbox",
			"Cross-Origin-Resource-Policy": "cross-origin",
			"Referrer-Policy":              "no-referrer",
			"Access-Control-Allow-Origin":  "*",
			"Cache-Control":                "private, max-age=7200, immutable",
		} {
			if got := answer.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, should be %q", method, name, got, want)
			}
		}
		if answer.Header().Get("Access-Control-Allow-Credentials") != "" || answer.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", method, answer.Header())
		}
		want := "\x89PNG\r\n\x1a\n..."
		if method == http.MethodHead {
			want = ""
		}
		if answer.Body.String() != want {
			t.Errorf("%s: %q", method, answer.Body)
		}
	}
	house.now = noon.Add(90 * time.Minute)
	if got := house.asks(t, http.MethodGet, address).Header().Get("Cache-Control"); got != "private, max-age=1800, immutable" {
		t.Errorf("half an hour before its end it may be kept for %q", got)
	}
}

func TestABadAddressIsRefusedInWordsBeforeAnythingIsLookedUp(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	address := house.keeps(t, "a.txt", "text/plain", "hello")
	other := house.keeps(t, "b.txt", "text/plain", "other")
	_, query, _ := strings.Cut(address, "?")
	path, _, _ := strings.Cut(other, "?")
	house.looked = 0
	for _, forged := range []string{path + "?" + query, path, address + "A", strings.Replace(address, "expires=", "expires=9", 1), "/media/..%2f..%2fetc%2fpasswd?" + query} {
		answer := house.asks(t, http.MethodGet, forged)
		if answer.Code != http.StatusForbidden || !strings.HasPrefix(answer.Body.String(), "This address is not complete") {
			t.Errorf("%s: %d %s", forged, answer.Code, answer.Body)
		}
	}
	house.now = noon.Add(2 * time.Hour)
	expired := house.asks(t, http.MethodGet, address)
	if expired.Code != http.StatusGone || !strings.HasPrefix(expired.Body.String(), "This address has expired") {
		t.Errorf("expired: %d %s", expired.Code, expired.Body)
	}
	if house.looked != 0 {
		t.Errorf("looked up %d times", house.looked)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8",
		"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*", "Content-Disposition": ""} {
		if got := expired.Header().Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestAFileThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	unknown := house.signer.Address("", causeway.NewID(causeway.PrefixAttachment), noon)
	if answer := house.asks(t, http.MethodGet, unknown); answer.Code != http.StatusNotFound || !strings.HasPrefix(answer.Body.String(), "There is no such file") {
		t.Errorf("unknown: %d %s", answer.Code, answer.Body)
	}
	removed := house.keeps(t, "a.txt", "text/plain", "hello")
	if err := house.store.Remove(t.Context(), house.file(removed).Hash); err != nil {
		t.Fatal(err)
	}
	if answer := house.asks(t, http.MethodGet, removed); answer.Code != http.StatusNotFound {
		t.Errorf("removed: %d %s", answer.Code, answer.Body)
	}
	hidden := house.keeps(t, "b.txt", "text/plain", "hidden")
	house.trouble = causeway.Missing("id")
	if answer := house.asks(t, http.MethodGet, hidden); answer.Code != http.StatusNotFound {
		t.Errorf("not found by its code: %d %s", answer.Code, answer.Body)
	}
}

func TestTroubleOfOursIsLoggedAndNotTold(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	address := house.keeps(t, "a.txt", "text/plain", "hello")
	file := house.file(address)
	file.Size++
	house.files[idOf(address)] = file
	if answer := house.asks(t, http.MethodGet, address); answer.Code != http.StatusInternalServerError || !strings.Contains(house.log.String(), "should have 6") {
		t.Errorf("damaged: %d %s, logged %s", answer.Code, answer.Body, &house.log)
	}
	house.trouble = errors.New("database is locked")
	answer := house.asks(t, http.MethodGet, address)
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "database") || !strings.Contains(house.log.String(), "database is locked") {
		t.Errorf("locked: %d %s, logged %s", answer.Code, answer.Body, &house.log)
	}
	if _, signature := parts(t, address); strings.Contains(house.log.String(), signature) {
		t.Errorf("the signature is logged: %s", &house.log)
	}
}

func TestFilesAreOnlyFetched(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	address := house.keeps(t, "a.txt", "text/plain", "hello")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if answer := house.asks(t, method, address); answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", method, answer.Code, answer.Header())
		}
	}
}

func TestAFileIsServedInPartsAsAPlayerAsksForThem(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	address := house.keeps(t, "voice.ogg", "audio/ogg", "0123456789")
	etag := house.asks(t, http.MethodGet, address).Header().Get("ETag")
	for asked, c := range map[string]struct {
		status      int
		body, where string
	}{
		"bytes=0-3":         {206, "0123", "bytes 0-3/10"},
		"bytes=4-":          {206, "456789", "bytes 4-9/10"},
		"bytes=-3":          {206, "789", "bytes 7-9/10"},
		"bytes=-30":         {206, "0123456789", "bytes 0-9/10"},
		"bytes=8-100":       {206, "89", "bytes 8-9/10"},
		"bytes=10-":         {416, "", "bytes */10"},
		"bytes=a-b":         {416, "", ""},
		"seconds=1-2":       {416, "", ""},
		"bytes=0-8,1-9,2-9": {200, "0123456789", ""}, // more than there is: the whole
	} {
		answer := house.asks(t, http.MethodGet, address, "Range", asked)
		if answer.Code != c.status || c.status < 300 && answer.Body.String() != c.body || answer.Header().Get("Content-Range") != c.where {
			t.Errorf("%s: %d %q %s", asked, answer.Code, answer.Body, answer.Header().Get("Content-Range"))
		}
		if answer.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: may be sniffed", asked)
		}
		if c.status == 416 && strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: the refusal may be kept", asked)
		}
	}
	several := house.asks(t, http.MethodGet, address, "Range", "bytes=0-1,5-6,-1")
	kind, params, err := mime.ParseMediaType(several.Header().Get("Content-Type"))
	if several.Code != 206 || kind != "multipart/byteranges" || err != nil {
		t.Fatalf("several parts: %d %v", several.Code, several.Header())
	}
	var got []string
	for reader := multipart.NewReader(several.Body, params["boundary"]); ; {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(part)
		got = append(got, part.Header.Get("Content-Type")+" "+part.Header.Get("Content-Range")+" "+string(body))
	}
	if fmt.Sprint(got) != "[audio/ogg bytes 0-1/10 01 audio/ogg bytes 5-6/10 56 audio/ogg bytes 9-9/10 9]" {
		t.Errorf("several parts: %q", got)
	}
	if answer := house.asks(t, http.MethodGet, address, "Range", "bytes=0-3", "If-Range", etag); answer.Code != 206 {
		t.Errorf("the part of the same content: %d", answer.Code)
	}
	if answer := house.asks(t, http.MethodGet, address, "Range", "bytes=0-3", "If-Range", `"other"`); answer.Code != 200 || answer.Body.String() != "0123456789" {
		t.Errorf("the part of other content: %d %q", answer.Code, answer.Body)
	}
	if answer := house.asks(t, http.MethodGet, address, "If-None-Match", etag); answer.Code != 304 || answer.Body.Len() != 0 {
		t.Errorf("what the browser has: %d %q", answer.Code, answer.Body)
	}
	if answer := house.asks(t, http.MethodHead, address, "Range", "bytes=0-3"); answer.Code != 206 || answer.Body.Len() != 0 || answer.Header().Get("Content-Length") != "4" {
		t.Errorf("the head of a part: %d %v", answer.Code, answer.Header())
	}
}

func TestOnlyWhatCannotRunIsShown(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	for mimeType, want := range map[string][2]string{
		"image/png": {"inline", "image/png"}, "image/jpeg": {"inline", "image/jpeg"}, "image/gif": {"inline", "image/gif"},
		"image/webp": {"inline", "image/webp"}, "image/avif": {"inline", "image/avif"}, "image/bmp": {"inline", "image/bmp"},
		"IMAGE/PNG": {"inline", "image/png"}, "audio/ogg": {"inline", "audio/ogg"}, "audio/mpeg": {"inline", "audio/mpeg"},
		"video/mp4": {"inline", "video/mp4"}, "video/webm": {"inline", "video/webm"}, "video/quicktime": {"inline", "video/quicktime"},
		"text/plain": {"inline", "text/plain; charset=utf-8"}, "text/plain; charset=utf-7": {"inline", "text/plain; charset=utf-8"},

		"application/pdf": {"attachment", "application/pdf"}, "application/zip": {"attachment", "application/zip"},
		"image/heic": {"attachment", "image/heic"}, "image/tiff": {"attachment", "image/tiff"}, "audio/midi": {"attachment", "audio/midi"},
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": {"attachment", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},

		"image/svg+xml": {"attachment", "application/octet-stream"}, "Image/SVG+XML; charset=utf-8": {"attachment", "application/octet-stream"},
		"text/html": {"attachment", "application/octet-stream"}, "application/xhtml+xml": {"attachment", "application/octet-stream"},
		"text/xml": {"attachment", "application/octet-stream"}, "application/xml": {"attachment", "application/octet-stream"},
		"text/javascript": {"attachment", "application/octet-stream"}, "application/javascript": {"attachment", "application/octet-stream"},
		"text/css": {"attachment", "application/octet-stream"}, "text/csv": {"attachment", "application/octet-stream"},
		"application/vnd.mozilla.xul+xml": {"attachment", "application/octet-stream"}, "application/wasm": {"attachment", "application/octet-stream"},
		"application/x-shockwave-flash": {"attachment", "application/octet-stream"}, "message/rfc822": {"attachment", "application/octet-stream"},
		"multipart/related": {"attachment", "application/octet-stream"}, "font/woff2": {"attachment", "application/octet-stream"},
		"": {"attachment", "application/octet-stream"}, "image/png\r\nX: y": {"attachment", "application/octet-stream"}, "nonsense": {"attachment", "application/octet-stream"},
	} {
		answer := house.asks(t, http.MethodGet, house.keeps(t, "a", mimeType, "<script>alert(1)</script>"))
		how, _, _ := strings.Cut(answer.Header().Get("Content-Disposition"), ";")
		if answer.Code != 200 || how != want[0] || answer.Header().Get("Content-Type") != want[1] {
			t.Errorf("%q: %d, %s as %s", mimeType, answer.Code, how, answer.Header().Get("Content-Type"))
		}
	}
}

func TestATextIsServedInItsOwnEncoding(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	for want, text := range map[string]string{
		"; charset=utf-8":      "Xin chào, bạn khỏe không?" + strings.Repeat(" 你好", 2000), // cut within a character
		"; charset=utf-16le":   "\xff\xfeh\x00i\x00",
		"; charset=utf-16be":   "\xfe\xff\x00h\x00i",
		"; charset=iso-8859-1": "un caf\xe9, s'il vous pla\xeet",
		"":                     "\xcf\xf0\xe8\xe2\xe5\xf2 \x80\x93", // who knows
	} {
		answer := house.asks(t, http.MethodGet, house.keeps(t, "a.txt", "text/plain", text))
		if got := answer.Header().Get("Content-Type"); got != "text/plain"+want || answer.Body.String() != text {
			t.Errorf("%q: %s", want, got)
		}
	}
}

func TestAFilesNameIsASetOfHarmlessCharacters(t *testing.T) {
	t.Parallel()
	house := newHouse(t)
	for name, want := range map[string]string{
		"invoice 7.pdf": "invoice 7.pdf", `say "hi".txt`: `say "hi".txt`, `a%20b.txt`: `a%20b.txt`, "it's.txt": "it's.txt", "a;b=c,d.txt": "a;b=c,d.txt",
		"ảnh đẹp 你好 😀.png": "ảnh đẹp 你好 😀.png", "👩‍👩‍👧.png": "👩‍👩‍👧.png",
		"a\r\nSet-Cookie: b=c\r\n\r\n<script>.txt": "aSet-Cookie: b=c<script>.txt", "nul\x00l.txt": "null.txt", "tab\tbed\x7f\u0085.txt": "tabbed.txt",
		"../../etc/passwd": "etcpasswd", `C:\Windows\system.ini`: "C:Windowssystem.ini", "/absolute": "absolute", ".htaccess": "htaccess",
		"gnp.\u202eexe.txt": "gnp.exe.txt", "\u2066hidden\u2069.txt": "hidden.txt", "bad\xff\xfe.txt": "bad.txt", "dots.. . ": "dots",
		strings.Repeat("long ", 100) + ".jpeg": strings.Repeat("long ", 39) + ".jpeg",
		strings.Repeat("đ", 150) + ".jpeg":     strings.Repeat("đ", 97) + ".jpeg", // never half a character
	} {
		answer := house.asks(t, http.MethodGet, house.keeps(t, name, "application/pdf", "%PDF"))
		raw := answer.Header().Get("Content-Disposition")
		how, params, err := mime.ParseMediaType(raw)
		if err != nil || how != "attachment" || params["filename"] != want {
			t.Errorf("%q is kept as %q, should be %q: %s (%v)", name, params["filename"], want, raw, err)
		}
		checkDisposition(t, raw)
	}
	for mimeType, extension := range map[string]string{"image/jpeg": ".jpg", "application/pdf": ".pdf", "image/svg+xml": ".svg", "": ""} {
		for _, nameless := range []string{"", "...", "///", "\r\n", "\u202e"} {
			address := house.keeps(t, nameless, mimeType, "x")
			want := `filename="` + string(idOf(address)) + extension + `"`
			if raw := house.asks(t, http.MethodGet, address).Header().Get("Content-Disposition"); !strings.Contains(raw, want) {
				t.Errorf("%s without a name (%q) is called %s", mimeType, nameless, raw)
			}
		}
	}
}

func FuzzNoNameBreaksOutOfItsHeader(f *testing.F) {
	house := newHouse(f)
	address := house.keeps(f, "", "", "x")
	for _, name := range []string{"a.txt", "a\r\nb: c", `"; filename="b`, "😀", "\xff", strings.Repeat("đ", 300), "..", "%0d%0a", "a'b''c"} {
		f.Add(name, "text/plain")
	}
	f.Add("a", "text/html\r\nX: y")
	f.Fuzz(func(t *testing.T, name, mimeType string) {
		file := house.file(address)
		file.Name, file.MimeType = name, mimeType
		house.files[idOf(address)] = file
		answer := house.asks(t, http.MethodGet, address)
		if answer.Code != http.StatusOK {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		checkDisposition(t, answer.Header().Get("Content-Disposition"))
		if strings.ContainsAny(answer.Header().Get("Content-Type"), "\r\n") {
			t.Fatalf("%q", answer.Header().Get("Content-Type"))
		}
	})
}

// checkDisposition: printable ASCII, one quoted name, one encoded, that a strict reader
// takes and that names no other folder.
func checkDisposition(t *testing.T, raw string) {
	t.Helper()
	for _, r := range raw {
		if r < ' ' || r > '~' {
			t.Fatalf("%q holds %q", raw, r)
		}
	}
	_, params, err := mime.ParseMediaType(raw)
	if err != nil || strings.Count(raw, `"`) != 2 || strings.Count(raw, "filename") != 2 && !strings.Contains(params["filename"], "filename") {
		t.Fatalf("%q: %v", raw, err)
	}
	name := params["filename"]
	if name == "" || strings.ContainsAny(name, "/\\\r\n\x00") || name[0] == '.' || !utf8.ValidString(name) || len(name) > 200 {
		t.Fatalf("%q names %q", raw, name)
	}
}

func BenchmarkServe(b *testing.B) {
	for name, asked := range map[string]string{"whole 256KB": "", "part of 64KB": "bytes=65536-131071"} {
		b.Run(name, func(b *testing.B) {
			house := newHouse(b)
			address := house.keeps(b, "picture.jpg", "image/jpeg", strings.Repeat("x", 256<<10))
			req := httptest.NewRequest(http.MethodGet, address, nil)
			if asked != "" {
				req.Header.Set("Range", asked)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discarded{header: http.Header{}}
				house.mux.ServeHTTP(w, req)
				if w.written < 64<<10 {
					b.Fatalf("%d bytes came", w.written)
				}
				b.SetBytes(w.written)
			}
		})
	}
}

// discarded is an answer that nobody reads.
type discarded struct {
	header  http.Header
	written int64
}

func (d *discarded) Header() http.Header { return d.header }
func (d *discarded) WriteHeader(int)     {}
func (d *discarded) Write(p []byte) (int, error) {
	d.written += int64(len(p))
	return len(p), nil
}

// house is a server that keeps files and serves them; its clock stands still.
type house struct {
	mux     *http.ServeMux
	signer  *media.Signer
	store   *media.Disk
	files   map[causeway.ID]media.File
	looked  int
	trouble error // what looking up ends with, if anything
	now     time.Time
	log     bytes.Buffer
}

func newHouse(t testing.TB) *house {
	t.Helper()
	store, err := media.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{mux: http.NewServeMux(), signer: newSigner(t, 1), store: store, files: map[causeway.ID]media.File{}, now: noon}
	h.mux.Handle("/media/{id}", media.NewHandler(media.HandlerConfig{
		Signer: h.signer, Store: store, Clock: h, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		Find: func(_ context.Context, id causeway.ID) (media.File, error) {
			h.looked++
			if h.trouble != nil {
				return media.File{}, h.trouble
			}
			file, ok := h.files[id]
			if !ok {
				return media.File{}, media.ErrNotFound
			}
			return file, nil
		},
	}))
	return h
}

// Now and NewTimer make the house its own clock.
func (h *house) Now() time.Time                          { return h.now }
func (h *house) NewTimer(d time.Duration) causeway.Timer { return causeway.System{}.NewTimer(d) }

// keeps keeps a file and returns its address.
func (h *house) keeps(t testing.TB, name, mimeType, content string) string {
	t.Helper()
	blob, err := h.store.Put(t.Context(), strings.NewReader(content), plenty)
	if err != nil {
		t.Fatal(err)
	}
	id := causeway.NewID(causeway.PrefixAttachment)
	h.files[id] = media.File{Hash: blob.Hash, MimeType: mimeType, Name: name, Size: blob.Size}
	return h.signer.Address("", id, noon)
}

func (h *house) file(address string) media.File { return h.files[idOf(address)] }

func idOf(address string) causeway.ID {
	id, _, _ := strings.Cut(strings.TrimPrefix(address, "/media/"), "?")
	return causeway.ID(id)
}

// asks sends a request with these headers, name after name and value.
func (h *house) asks(t testing.TB, method, address string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(method, address, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.mux.ServeHTTP(answer, req)
	return answer
}
