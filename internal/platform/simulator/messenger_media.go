package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	mediaRoute = "cdn"
	mediaLife  = 3 * 24 * time.Hour
	// How many bytes of pictures and files are kept; older ones are gone.
	keptMedia = 128 << 20
)

// storedFile is a picture or file that somebody sent.
type storedFile struct {
	m        *Messenger
	id       string
	name     string
	mime     string
	data     []byte
	width    int
	height   int
	reusable string // the attachment_id by which its page can send it again
	page     *Page
	uploaded string // the type it was sent as
}

// store keeps a file for as long as there is room; its address is good for three days
// at a time. The bytes of the oldest ones go first.
func (m *Messenger) store(f File) *storedFile {
	s := m.keep(f)
	m.shelf = append(m.shelf, s)
	m.stored += len(s.data)
	for m.stored > keptMedia && len(m.shelf) > 1 {
		oldest := m.shelf[0]
		m.stored -= len(oldest.data)
		oldest.data = nil
		delete(m.files, oldest.id)
		m.shelf = m.shelf[1:]
	}
	return s
}

// keep keeps a file for good.
func (m *Messenger) keep(f File) *storedFile {
	s := &storedFile{m: m, id: m.numeral(16), name: path.Base("/" + f.Name), mime: f.MIME, data: f.Data, width: f.Width, height: f.Height}
	if f.Name == "" {
		s.name = "file"
	}
	if s.mime == "" {
		s.mime = mime.TypeByExtension(path.Ext(s.name))
	}
	if s.mime == "" {
		s.mime = "application/octet-stream"
	}
	m.files[s.id] = s
	return s
}

// address is where the bytes are; it is signed, and good for three days from now.
func (s *storedFile) address() string {
	if s == nil {
		return ""
	}
	ends := strconv.FormatInt(s.m.now().Add(mediaLife).Unix(), 16)
	return s.m.url + "/" + mediaRoute + "/v/" + s.id + "/" + url.PathEscape(s.name) + "?oe=" + ends + "&oh=" + s.signature(ends)
}

func (s *storedFile) signature(ends string) string {
	mac := hmac.New(sha256.New, []byte(s.m.mediaKey))
	mac.Write([]byte(s.id + " " + ends))
	return hex.EncodeToString(mac.Sum(nil))[:32]
}

// ExpireMedia ends every address of pictures and files that was given so far.
func (m *Messenger) ExpireMedia() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mediaKey = m.draw(32)
}

// serveMedia gives the bytes behind an address, for as long as it is good.
func (m *Messenger) serveMedia(w http.ResponseWriter, r *http.Request, rest []string) {
	call := &GraphCall{Method: r.Method, Edge: "media", Path: strings.Trim(r.URL.Path, "/")}
	m.mu.Lock()
	call.At = m.now()
	m.calls = latest(append(m.calls, call), keptCalls)
	failure := m.nextFailure(call)
	var file *storedFile
	var data []byte
	if len(rest) == 3 && rest[0] == "v" {
		file = m.files[rest[1]]
	}
	status := http.StatusOK
	ends := r.URL.Query().Get("oe")
	until, _ := strconv.ParseInt(ends, 16, 64)
	switch {
	case file == nil:
		status = http.StatusNotFound
	case !hmac.Equal([]byte(file.signature(ends)), []byte(r.URL.Query().Get("oh"))):
		status = http.StatusForbidden
	case m.now().Unix() >= until:
		status = http.StatusForbidden
	default:
		data = file.data
	}
	m.mu.Unlock()
	if failure != nil {
		m.fail(w, r, call, failure)
		return
	}
	m.mu.Lock()
	call.Status = status
	m.changed.ring()
	m.mu.Unlock()
	if status != http.StatusOK {
		http.Error(w, map[int]string{http.StatusForbidden: "URL signature expired", http.StatusNotFound: "Not found"}[status], status)
		return
	}
	w.Header().Set("Content-Type", file.mime)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// draws makes a picture of two colours fading into each other.
func (m *Messenger) draws(width, height int, name string) File {
	shade := func() uint8 { return uint8(40 + m.random.IntN(160)) } //nolint:gosec // below 256
	from, to := color.NRGBA{shade(), shade(), shade(), 255}, color.NRGBA{shade(), shade(), shade(), 255}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	mix := func(a, b uint8, y int) uint8 { return uint8((int(a)*(height-y) + int(b)*y) / height) } //nolint:gosec // between two bytes
	for y := range height {
		c := color.NRGBA{mix(from.R, to.R, y), mix(from.G, to.G, y), mix(from.B, to.B, y), 255}
		for x := range width {
			img.SetNRGBA(x, y, c)
		}
	}
	var encoded bytes.Buffer
	_ = png.Encode(&encoded, img) // a buffer takes everything
	return File{Name: name, MIME: "image/png", Data: encoded.Bytes(), Width: width, Height: height}
}
