package playground_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"causeway/internal/playground"
)

// served is an answer of the handler to a request with headers given as name, value.
func served(t *testing.T, h http.Handler, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// text is the answer's body, as a browser would have it.
func text(t *testing.T, res *http.Response) string {
	t.Helper()
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = zip
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func page() http.Handler {
	return playground.New(playground.Config{Endpoint: "/graphql", SchemaURL: "/schema.graphqls"})
}

// files are the addresses of everything that the page may load.
func files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("dist/playground")
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, entry := range entries {
		addresses = append(addresses, "/playground/"+strings.TrimSuffix(entry.Name(), ".gz"))
	}
	return addresses
}

func TestThePageKnowsWhereTheAPIAndTheSchemaAre(t *testing.T) {
	t.Parallel()
	html := text(t, served(t, page(), http.MethodGet, "/"))
	for _, want := range []string{`data-endpoint="/graphql"`, `data-schema-url="/schema.graphqls"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s:\n%s", want, html)
		}
	}
	loaded := regexp.MustCompile(`(?:src|href)="\.(/playground/[^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(loaded) < 3 {
		t.Errorf("the page loads only %v", loaded)
	}
	for _, match := range loaded {
		if res := served(t, page(), http.MethodGet, match[1]); res.StatusCode != http.StatusOK {
			t.Errorf("the page loads %s, which is answered %s", match[1], res.Status)
		}
	}
}

func TestWhatIsConfiguredCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	h := playground.New(playground.Config{Endpoint: `/"><script>alert(1)</script>`})
	if html := text(t, served(t, h, http.MethodGet, "/")); strings.Contains(html, "<script>alert") {
		t.Errorf("the endpoint became a script:\n%s", html)
	}
}

func TestNothingIsAskedOfAnotherHost(t *testing.T) {
	t.Parallel()
	res := served(t, page(), http.MethodGet, "/")
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("what the policy does not name is not forbidden: %s", policy)
	}
	for directive := range strings.SplitSeq(policy, ";") {
		fields := strings.Fields(directive)
		for _, source := range fields[1:] {
			allowed := []string{"'none'", "'self'"}
			switch fields[0] {
			case "style-src":
				allowed = append(allowed, "'unsafe-inline'")
			case "img-src":
				allowed = append(allowed, "data:")
			}
			if !slices.Contains(allowed, source) {
				t.Errorf("%s allows %s", fields[0], source)
			}
		}
	}
	html := text(t, res)
	if strings.Contains(html, "://") || strings.Contains(html, "<style") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(html) {
		t.Errorf("the page names another host or holds a style or script:\n%s", html)
	}
	// What stands before // where a stylesheet or a script would load it by itself;
	// addresses in texts and links are not requests.
	loads := regexp.MustCompile(`(?:url\(\s*["']?|@import\s+["']|importScripts\(["'` + "`" + `]|\bimport\(\s*["'` + "`" + `]|\bfrom\s*["'])(?:https?:)?$`)
	h := page()
	for _, address := range files(t) {
		if path.Ext(address) == ".txt" {
			continue
		}
		pieces := strings.Split(text(t, served(t, h, http.MethodGet, address)), "//")
		for i, before := range pieces[:len(pieces)-1] {
			if loads.MatchString(before[max(0, len(before)-40):]) {
				t.Errorf("%s loads //%.60s", address, pieces[i+1])
			}
		}
	}
}

func TestEveryFileIsServedAsWhatItIs(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
		".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", "": "text/html; charset=utf-8",
	}
	for _, address := range append(files(t), "/") {
		res := served(t, page(), http.MethodGet, address, "Accept-Encoding", "gzip")
		want := map[string]string{
			"Content-Type":           types[path.Ext(address)],
			"Content-Encoding":       "gzip",
			"Vary":                   "Accept-Encoding",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Cache-Control":          "public, max-age=31536000, immutable",
		}
		if address == "/" || address == "/playground/licences.txt" {
			want["Cache-Control"] = "no-cache"
		}
		for name, value := range want {
			if got := res.Header.Get(name); got != value || value == "" {
				t.Errorf("%s: %s is %q, not %q", address, name, got, value)
			}
		}
		if !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy, and a worker goes by its own", address)
		}
	}
}

func TestAFileIsCompressedForWhoeverAcceptsIt(t *testing.T) {
	t.Parallel()
	for accept, zipped := range map[string]bool{
		"":                          false,
		"gzip":                      true,
		"GZIP":                      true,
		"gzip, deflate, br, zstd":   true,
		"br;q=1.0, gzip;q=0.2":      true,
		"identity":                  false,
		"gzip;q=0":                  false,
		"gzip; Q=0.000, *":          false,
		"*":                         true,
		"*;q=0":                     false,
		"br, identity;q=0.5, *;q=1": true,
		"gzip;q=much":               false,
	} {
		res := served(t, page(), http.MethodGet, "/", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q: compressed is %t", accept, got)
		}
		if !strings.Contains(text(t, res), "<title>Causeway playground</title>") {
			t.Errorf("Accept-Encoding %q: not the page", accept)
		}
	}
}

func TestAnUnchangedPageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	tags := map[string]bool{}
	for _, encoding := range []string{"gzip", "identity"} {
		tag := served(t, page(), http.MethodGet, "/", "Accept-Encoding", encoding).Header.Get("ETag")
		res := served(t, page(), http.MethodGet, "/", "Accept-Encoding", encoding, "If-None-Match", tag)
		if res.StatusCode != http.StatusNotModified || text(t, res) != "" {
			t.Errorf("%s: %s with If-None-Match %s", encoding, res.Status, tag)
		}
		tags[tag] = true
	}
	if len(tags) != 2 {
		t.Errorf("both encodings have the same tag: %v", tags)
	}
	other := playground.New(playground.Config{Endpoint: "/elsewhere"})
	if tag := served(t, other, http.MethodGet, "/").Header.Get("ETag"); tags[tag] {
		t.Errorf("another page has the same tag %s", tag)
	}
}

func TestOnlyThePageAndItsFilesAreThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{http.MethodHead, "/", http.StatusOK},
		{http.MethodPost, "/", http.StatusMethodNotAllowed},
		{http.MethodGet, "/elsewhere", http.StatusNotFound},
		{http.MethodGet, "/playground/", http.StatusNotFound},
		{http.MethodGet, "/playground/index.html", http.StatusNotFound},
		{http.MethodGet, "/playground/licences.txt.gz", http.StatusNotFound},
		{http.MethodGet, "/sources.sha256", http.StatusNotFound},
	} {
		if res := served(t, page(), c.method, c.target); res.StatusCode != c.status {
			t.Errorf("%s %s: %s, not %d", c.method, c.target, res.Status, c.status)
		}
	}
}

func TestTheSchemaIsShownAsText(t *testing.T) {
	t.Parallel()
	res := served(t, playground.Schema("type Query { a: Int }"), http.MethodGet, "/schema.graphqls", "Accept-Encoding", "gzip")
	if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type is %s", got)
	}
	if got := text(t, res); got != "type Query { a: Int }" {
		t.Errorf("the schema is %q", got)
	}
}

func TestTheBuildIsOfTheseSources(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("dist/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	web := os.DirFS("web")
	names := []string{"index.html", "package-lock.json", "vite.config.js"}
	sources, err := fs.Glob(web, "src/*")
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, sources...)
	slices.Sort(names)
	hash := sha256.New()
	for _, name := range names {
		content, err := fs.ReadFile(web, name)
		if err != nil {
			t.Fatal(err)
		}
		hash.Write([]byte(name + "\x00"))
		hash.Write(content)
		hash.Write([]byte{0})
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != strings.TrimSpace(string(want)) {
		t.Error("dist was built from other sources: run internal/playground/web/build.sh and commit what it writes")
	}
}

func TestTheLockFileNamesNoHost(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("package-lock.json says where packages were downloaded: npm install --omit-lockfile-registry-resolved leaves that out")
	}
}
