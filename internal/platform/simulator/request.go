package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// A request may hold an upload of 50 MB and its envelope; more gets 413.
const (
	maxUpload  = 50 << 20
	maxRequest = maxUpload + 1<<20
)

// Call is one request that reached a bot's method, as a test looks at it later.
type Call struct {
	Bot    string // the bot's username
	Method string // as it was called
	Params map[string]string
	Files  map[string][]byte // of multipart parts
	At     time.Time
	// Status is what was answered; zero while the answer is out, and when the
	// look-alike hung up instead.
	Status      int
	Description string
}

// Calls are the calls of these methods so far, oldest first; of all without a name.
func (tg *Telegram) Calls(methods ...string) []Call {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return tg.callsOf(methods)
}

func (tg *Telegram) callsOf(methods []string) []Call {
	var found []Call
	for _, call := range tg.calls {
		if len(methods) == 0 || containsFold(methods, call.Method) {
			found = append(found, call)
		}
	}
	return found
}

// WaitCalls waits until a method was called n times, answered or not.
func (tg *Telegram) WaitCalls(ctx context.Context, method string, n int) ([]Call, error) {
	var calls []Call
	err := tg.await(ctx, func() string {
		calls = tg.callsOf([]string{method})
		if len(calls) < n {
			return method + " was called " + strconv.Itoa(len(calls)) + " times, not " + strconv.Itoa(n)
		}
		return ""
	})
	return calls, err
}

func containsFold(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// params are a call's parameters, however they came: what was not a string in JSON
// is its JSON text, as forms have it.
type params struct {
	values map[string]string
	files  map[string]upload
}

type upload struct {
	name, mime string
	data       []byte
}

// readParams reads query, form, multipart or JSON; the body wins over the query.
func readParams(r *http.Request) (params, error) {
	p := params{values: map[string]string{}, files: map[string]upload{}}
	for name, values := range r.URL.Query() {
		p.values[name] = values[0]
	}
	if r.Method != http.MethodPost {
		return p, nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return p, p.readJSON(r.Body)
	case "multipart/form-data":
		return p, p.readMultipart(r)
	case "application/x-www-form-urlencoded":
		if err := r.ParseForm(); err != nil {
			return p, err
		}
		for name, values := range r.PostForm {
			p.values[name] = values[0]
		}
	}
	return p, nil
}

func (p params) readJSON(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return badRequest("can't parse request JSON object")
	}
	p.take(fields)
	return nil
}

func (p params) take(fields map[string]json.RawMessage) {
	for name, value := range fields {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		if string(value) != "null" {
			p.values[name] = text
		}
	}
}

func (p params) readMultipart(r *http.Request) error {
	if err := r.ParseMultipartForm(maxRequest); err != nil {
		return err
	}
	for name, values := range r.MultipartForm.Value {
		p.values[name] = values[0]
	}
	for name, headers := range r.MultipartForm.File {
		file, err := readPart(headers[0])
		if err != nil {
			return err
		}
		p.files[name] = file
	}
	return r.MultipartForm.RemoveAll()
}

func readPart(header *multipart.FileHeader) (upload, error) {
	part, err := header.Open()
	if err != nil {
		return upload{}, err
	}
	defer part.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(part)
	return upload{name: header.Filename, mime: header.Header.Get("Content-Type"), data: data}, err
}

func (p params) text(name string) string { return p.values[name] }

func (p params) number(name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(p.values[name]), 10, 64)
	return n
}

func (p params) truth(name string) bool {
	switch strings.ToLower(strings.TrimSpace(p.values[name])) {
	case "true", "yes", "1":
		return true
	}
	return false
}

// decode reads a parameter that is JSON; it reports whether there was one.
func (p params) decode(name string, into any) (bool, error) {
	text, ok := p.values[name]
	if !ok || text == "" {
		return false, nil
	}
	if json.Unmarshal([]byte(text), into) != nil {
		return false, badRequest("can't parse " + strings.ReplaceAll(name, "_", " ") + " JSON object")
	}
	return true, nil
}

// answer is what a method says; as an error it is a refusal.
type answer struct {
	status      int
	result      any
	description string
	retryAfter  int
	migrateTo   int64
}

func (a answer) Error() string { return strconv.Itoa(a.status) + " " + a.description }

func badRequest(what string) error {
	return answer{status: http.StatusBadRequest, description: "Bad Request: " + what}
}

func forbidden(what string) error {
	return answer{status: http.StatusForbidden, description: "Forbidden: " + what}
}

func conflict(what string) error {
	return answer{status: http.StatusConflict, description: "Conflict: " + what}
}

// refusal is err as it is answered.
func refusal(err error) answer {
	var known answer
	if errors.As(err, &known) {
		return known
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return answer{status: http.StatusRequestEntityTooLarge, description: "Request Entity Too Large"}
	}
	return answer{status: http.StatusBadRequest, description: "Bad Request: can't read the request"}
}

// envelope is the answer's body.
func (a answer) envelope() object {
	body := object{"ok": a.status < 300}
	if a.description != "" {
		body["description"] = a.description
	}
	if a.status < 300 {
		body["result"] = a.result
		return body
	}
	body["error_code"] = a.status
	hints := object{}
	if a.retryAfter > 0 {
		hints["retry_after"] = a.retryAfter
	}
	if a.migrateTo != 0 {
		hints["migrate_to_chat_id"] = a.migrateTo
	}
	if len(hints) > 0 {
		body["parameters"] = hints
	}
	return body
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(encode(a.envelope())) // a caller who left is told nothing
}

// encode writes JSON as Telegram does: nothing beyond ASCII stands in it unescaped.
func encode(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("simulator: " + err.Error()) // everything encoded here came from JSON or is plain
	}
	ascii := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] < utf8.RuneSelf {
			ascii = append(ascii, raw[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(raw[i:])
		for _, unit := range utf16.Encode([]rune{r}) {
			ascii = append(ascii, `\u`...)
			hex := strconv.FormatUint(uint64(unit), 16)
			ascii = append(append(ascii, "0000"[len(hex):]...), hex...)
		}
		i += size
	}
	return ascii
}

// units is the length of text as Telegram counts it: in UTF-16 code units.
func units(text string) int { return len(utf16.Encode([]rune(text))) }
