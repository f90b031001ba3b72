package transport

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
)

// formOf writes a form of parts, in turns their names and contents; a name that begins
// with file: is a file's.
func formOf(t testing.TB, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		name, isFile := strings.CutPrefix(parts[i], "file:")
		create := w.CreateFormField
		if isFile {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, name+".txt") }
		}
		part, err := create(name)
		if err == nil {
			_, err = part.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

const (
	uploadOne  = `{"query":"mutation($f:Upload!){upload(file:$f)}","variables":{"f":null}}`
	uploadMany = `{"query":"mutation($f:[Upload!]!){uploads(files:$f)}","variables":{"f":[null,null]}}`
)

func TestFilesComeInAForm(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	long := strings.Repeat("x", 2*inMemory)
	for name, c := range map[string]struct {
		parts  []string
		status int
		has    string
	}{
		"a file":                      {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", "content"}, 200, `{"data":{"upload":"a.txt content"}}`},
		"an empty file":               {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", ""}, 200, `"a.txt "`},
		"a file that waits on disk":   {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", long}, 200, `"a.txt 524288"`},
		"two files":                   {[]string{"operations", uploadMany, "map", `{"a":["variables.f.0"],"b":["variables.f.1"]}`, "file:a", "A", "file:b", "B"}, 200, `["a.txt A","b.txt B"]`},
		"two files in another order":  {[]string{"operations", uploadMany, "map", `{"a":["variables.f.0"],"b":["variables.f.1"]}`, "file:b", "B", "file:a", "A"}, 200, `["a.txt A","b.txt B"]`},
		"a file in two places":        {[]string{"operations", uploadMany, "map", `{"a":["variables.f.0","variables.f.1"]}`, "file:a", "A"}, 200, `["a.txt A","a.txt A"]`},
		"a long one in two places":    {[]string{"operations", uploadMany, "map", `{"a":["variables.f.0","variables.f.1"]}`, "file:a", long}, 200, `["a.txt 524288","a.txt 524288"]`},
		"no operations":               {[]string{"map", `{}`}, 400, "operations"},
		"no map":                      {[]string{"operations", uploadOne}, 400, "map"},
		"a list of operations":        {[]string{"operations", "[" + uploadOne + "]", "map", `{"a":["0.variables.f"]}`, "file:a", "x"}, 400, "operations"},
		"a map that is none":          {[]string{"operations", uploadOne, "map", `[]`, "file:a", "x"}, 400, "map"},
		"a file too few":              {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`}, 400, "missing"},
		"a file too many":             {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", "x", "file:b", "x"}, 400, "does not name"},
		"a file twice":                {[]string{"operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", "x", "file:a", "x"}, 400, "twice"},
		"a place outside":             {[]string{"operations", uploadOne, "map", `{"a":["query"]}`, "file:a", "x"}, 400, "place"},
		"a place that is not there":   {[]string{"operations", uploadOne, "map", `{"a":["variables.g"]}`, "file:a", "x"}, 400, "place"},
		"a place beyond the list":     {[]string{"operations", uploadMany, "map", `{"a":["variables.f.2"]}`, "file:a", "x"}, 400, "place"},
		"a place before the list":     {[]string{"operations", uploadMany, "map", `{"a":["variables.f.-1"]}`, "file:a", "x"}, 400, "place"},
		"a place in nothing":          {[]string{"operations", uploadOne, "map", `{"a":["variables.f.g.h"]}`, "file:a", "x"}, 400, "place"},
		"a place that is taken":       {[]string{"operations", uploadOne, "map", `{"a":["variables.f"],"b":["variables.f"]}`, "file:a", "x", "file:b", "x"}, 400, "place"},
		"a place with something":      {[]string{"operations", strings.Replace(uploadOne, "null", "7", 1), "map", `{"a":["variables.f"]}`, "file:a", "x"}, 400, "place"},
		"more files than are allowed": {[]string{"operations", uploadOne, "map", "{" + strings.TrimSuffix(many(21, `"#":["variables.f"],`), ",") + "}"}, 400, "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, contentType := formOf(t, c.parts...)
			asked{
				header: headers("Content-Type", contentType, "GraphQL-Require-Preflight", "1", "Accept", typeResponse),
				body:   body, status: c.status, has: c.has,
			}.try(t, at)
		})
	}
}

func TestAFormThatAnyPageCouldPostIsRefused(t *testing.T) {
	t.Parallel()
	at := serves(t, nil)
	body, contentType := formOf(t, "operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", "x")
	asked{header: headers("Content-Type", contentType, "Authorization", "Bearer good"), body: body, status: 400, has: "browsers ask", hasNot: "data"}.try(t, at)
}

func TestUploadsAreBoundedAndLeaveNothingBehind(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	at := serves(t, func(c *Config) { c.MaxUpload = 1 << 20 })
	for size, status := range map[int]int{1<<20 - 1000: 200, 1 << 20: 413} {
		body, contentType := formOf(t, "operations", uploadOne, "map", `{"a":["variables.f"]}`, "file:a", strings.Repeat("x", size))
		asked{header: headers("Content-Type", contentType, "Apollo-Require-Preflight", "true"), body: body, status: status}.try(t, at)
	}
	// What is written to a response is written before its files are removed.
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "the files of uploads are gone", func() bool {
		left, err := os.ReadDir(folder)
		return err == nil && len(left) == 0
	})
}

func FuzzForm(f *testing.F) {
	body, contentType := formOf(f, "operations", uploadMany, "map", `{"a":["variables.f.0"],"b":["variables.f.1"]}`, "file:a", "A", "file:b", "B")
	f.Add(body, strings.TrimPrefix(contentType, "multipart/form-data; boundary="))
	f.Add("--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"variables\":{\"f\":[]}}\r\n--x\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{\"a\":[\"variables.f.0.1\"]}\r\n--x--", "x")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		r := &http.Request{Body: http.NoBody, Header: http.Header{}}
		r.Body = readCloser{strings.NewReader(body)}
		params, done, refused := readForm(r, boundary, 1<<16)
		defer done()
		if (params == nil) == (refused == nil) && refused == nil {
			t.Error("neither parameters nor a refusal")
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
