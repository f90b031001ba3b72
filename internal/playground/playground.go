// Package playground is the page at which a person tries the API: GraphiQL, built by
// Vite from web/, committed compressed under dist/ and embedded. It asks nothing of any
// other host, and its content security policy sees to that.
//
// What the examples say is about this API; how operations are executed does not enter.
// Its handlers keep no state and may be used concurrently.
package playground

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed dist/index.html dist/playground
var dist embed.FS

// Config is what the page has to know of the server.
type Config struct {
	// Endpoint is the path at which operations are posted and sockets opened.
	Endpoint string
	// SchemaURL is the path of the schema as text; without it the page has no link to it.
	SchemaURL string
}

// policy lets the page load, run and call what this server serves, and nothing else.
// Monaco writes its styles into the page while it runs, which only 'unsafe-inline'
// permits; scripts are never inline. It draws squiggles as data: images.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// forever is for files whose names change with their content.
const forever = "public, max-age=31536000, immutable"

// hashed names carry eight characters of their content's hash.
var hashed = regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z]+$`)

// New serves the page at "/" and its files below "/playground/", to GET and HEAD; what
// is neither is not found. A browser keeps the files for good, since their names change
// with their content, and asks each time whether the page has changed.
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	var page bytes.Buffer
	// The page is part of the program: one that cannot be filled in is no program.
	if err := template.Must(template.ParseFS(dist, "dist/index.html")).Execute(&page, cfg); err != nil {
		panic(fmt.Sprintf("fill in the playground's page: %v", err))
	}
	mux.Handle("GET /{$}", compress(page.Bytes(), "text/html; charset=utf-8"))
	files, err := dist.ReadDir("dist/playground")
	if err != nil {
		panic(fmt.Sprintf("list the playground's files: %v", err))
	}
	for _, file := range files {
		zipped, err := dist.ReadFile("dist/playground/" + file.Name())
		if err != nil {
			panic(fmt.Sprintf("read the playground's files: %v", err))
		}
		name := strings.TrimSuffix(file.Name(), ".gz")
		doc := newDocument(zipped, contentType(name))
		if hashed.MatchString(name) {
			doc.cacheControl = forever
		}
		mux.Handle("GET /playground/"+name, doc)
	}
	return mux
}

// Schema serves the schema as text that a browser shows.
func Schema(sdl string) http.Handler {
	return compress([]byte(sdl), "text/plain; charset=utf-8")
}

// document is a file, kept compressed and served as its reader wants it.
type document struct {
	zipped       []byte
	contentType  string
	cacheControl string
	tag          string
}

func newDocument(zipped []byte, contentType string) *document {
	sum := sha256.Sum256(zipped)
	return &document{zipped: zipped, contentType: contentType, cacheControl: "no-cache", tag: hex.EncodeToString(sum[:12])}
}

// compress is a document of what is not compressed yet.
func compress(plain []byte, contentType string) *document {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(plain) // a buffer takes everything
	_ = zip.Close()
	return newDocument(zipped.Bytes(), contentType)
}

// ServeHTTP answers with gzip to whoever accepts it, and with the plain file otherwise.
func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", d.contentType)
	header.Set("Cache-Control", d.cacheControl)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	// A login popup that comes back from another site still finds its opener.
	header.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	body, tag := d.zipped, d.tag+"-gzip"
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
	} else {
		plain, err := unzip(d.zipped)
		if err != nil {
			http.Error(w, "the file cannot be read", http.StatusInternalServerError)
			return
		}
		body, tag = plain, d.tag
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func unzip(zipped []byte) ([]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}

// acceptsGzip reads Accept-Encoding as RFC 9110 has it: gzip by its own name before *,
// and not with a weight of 0.
func acceptsGzip(values []string) bool {
	byName, byStar := -1.0, -1.0
	for coding := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		weight := 1.0
		if key, value, ok := strings.Cut(strings.TrimSpace(parameters), "="); ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			parsed, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				continue
			}
			weight = parsed
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			byName = max(byName, weight)
		case "*":
			byStar = max(byStar, weight)
		}
	}
	if byName >= 0 {
		return byName > 0
	}
	return byStar > 0
}

// contentType is a file's type. The machine's own table of types is not asked: the same
// program says the same everywhere.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".ttf":
		return "font/ttf"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}
