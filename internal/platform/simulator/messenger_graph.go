package simulator

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How many calls are kept for Calls.
const keptCalls = 10_000

var versionShape = regexp.MustCompile(`^v\d+\.\d+$`)

// GraphCall is one request that reached the Graph API, as a test looks at it later.
type GraphCall struct {
	Method string // of HTTP
	Edge   string // as FailNext names it
	Path   string // without the version
	// Version is that of the address; empty without one.
	Version string
	// App, Person and Page are the ids that the call's token speaks for; Page is that of
	// the address where it names one. Empty if none.
	App, Person, Page string
	Chat              string // the customer's PSID, if one is meant
	// Params are those of address and body but for the token, the proof and secrets.
	Params map[string]string
	// TokenIn is where the token came: "header", "query" or "body"; empty without one.
	TokenIn string
	At      time.Time
	// Status, Code and Subcode are what was answered; all zero while the answer is out,
	// and when the look-alike hung up instead.
	Status, Code, Subcode int
}

// Calls are the calls of these edges so far, oldest first; of all without a name.
func (m *Messenger) Calls(edges ...string) []GraphCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.callsOf(edges)
}

func (m *Messenger) callsOf(edges []string) []GraphCall {
	var found []GraphCall
	for _, call := range m.calls {
		if len(edges) == 0 || containsFold(edges, call.Edge) || containsFold(edges, call.Method+" "+call.Edge) {
			found = append(found, *call)
		}
	}
	return found
}

// WaitCalls waits until an edge was called n times, answered or not.
func (m *Messenger) WaitCalls(ctx context.Context, edge string, n int) ([]GraphCall, error) {
	var calls []GraphCall
	err := m.await(ctx, func() string {
		calls = m.callsOf([]string{edge})
		if len(calls) < n {
			return edge + " was called " + strconv.Itoa(len(calls)) + " times, not " + strconv.Itoa(n)
		}
		return ""
	})
	return calls, err
}

// graphRequest is a call that was read.
type graphRequest struct {
	params
	method  string
	version string
	path    []string
	bearer  string
	tokenIn string
}

// graphAnswer is what is said to a call.
type graphAnswer struct {
	status  int
	body    any
	trouble *graphError
	// echoes must have been posted once before the answer is written.
	echoes []*notice
	// after is done once the answer is written.
	after func()
	// redirect is where the caller is sent instead.
	redirect string
}

// ServeHTTP answers as graph.facebook.com and www.facebook.com do: the Graph API with or
// without a version in the address, the login dialog at /{version}/dialog/oauth, and the
// bytes of pictures and files.
func (m *Messenger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.enter() {
		panic(http.ErrAbortHandler) // hangs up without an answer
	}
	defer m.leave()
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	request := &graphRequest{method: r.Method, path: path}
	if versionShape.MatchString(path[0]) {
		request.version, request.path = path[0], path[1:]
	}
	switch {
	case path[0] == mediaRoute:
		m.serveMedia(w, r, path[1:])
	case slices.Equal(request.path, []string{"dialog", "oauth"}):
		m.serveDialog(w, r)
	case strings.Join(request.path, "") == "":
		m.plain(w, http.StatusOK, "Facebook", "A look-alike of Facebook, for trying things out. Nothing here leaves this machine.")
	default:
		m.serveGraph(w, r, request)
	}
}

func (m *Messenger) serveGraph(w http.ResponseWriter, r *http.Request, request *graphRequest) {
	var err error
	if request.params, err = readParams(r); err != nil {
		m.write(w, nil, graphAnswer{trouble: refuse(100, 0).saying("(#100) The request could not be read")})
		return
	}
	if request.method == http.MethodPost && request.text("method") != "" {
		request.method = strings.ToUpper(request.text("method"))
	}
	request.takeToken(r)

	m.mu.Lock()
	call := m.record(request)
	failure := m.nextFailure(call)
	m.mu.Unlock()
	if failure != nil && !failure.Lost {
		m.fail(w, r, call, failure)
		return
	}
	a := m.answer(r.Context(), request)
	if failure == nil {
		m.waitPosted(r.Context(), a.echoes)
		m.write(w, call, a)
		_ = http.NewResponseController(w).Flush()
	}
	if a.after != nil {
		a.after()
	}
	if failure == nil {
		return
	}
	if failure.Hang {
		m.hang(r.Context())
	}
	panic(http.ErrAbortHandler) // done, and never told
}

func (r *graphRequest) takeToken(from *http.Request) {
	header, isBearer := strings.CutPrefix(from.Header.Get("Authorization"), "Bearer ")
	if header == from.Header.Get("Authorization") {
		header, isBearer = strings.CutPrefix(header, "OAuth ")
	}
	switch {
	case isBearer:
		r.bearer, r.tokenIn = header, "header"
	case from.URL.Query().Get("access_token") != "":
		r.bearer, r.tokenIn = from.URL.Query().Get("access_token"), "query"
	case r.text("access_token") != "":
		r.bearer, r.tokenIn = r.text("access_token"), "body"
	}
}

// record notes the call; its token need not be good.
func (m *Messenger) record(r *graphRequest) *GraphCall {
	call := &GraphCall{
		Method: r.method, Path: strings.Join(r.path, "/"), Version: r.version, Params: maps.Clone(r.values),
		TokenIn: r.tokenIn, At: m.now(),
	}
	for _, secret := range []string{"access_token", "appsecret_proof", "client_secret", "fb_exchange_token", "code", "input_token"} {
		delete(call.Params, secret)
	}
	if t := m.find(r.bearer); t != nil {
		call.App = t.app.id
		if t.person != nil {
			call.Person = t.person.id
		}
		if t.page != nil {
			call.Page = t.page.id
		}
	}
	node := r.path[0]
	if m.pages[node] != nil {
		call.Page = node
	}
	call.Edge = m.edgeOf(r)
	call.Chat = r.recipient()
	if m.customerOf(node) != nil {
		call.Chat = node
	}
	if call.Chat == "" {
		call.Chat = r.text("user_id")
	}
	m.calls = latest(append(m.calls, call), keptCalls)
	m.changed.ring()
	return call
}

// recipient is the PSID that a call names, or empty.
func (r *graphRequest) recipient() string {
	var named struct {
		ID json.RawMessage `json:"id"`
	}
	text := r.text("recipient")
	if !strings.HasPrefix(text, "{") {
		return text
	}
	_ = json.Unmarshal([]byte(text), &named) // whatever else it is names nobody
	return strings.Trim(string(named.ID), `"`)
}

func (m *Messenger) edgeOf(r *graphRequest) string {
	node := r.path[0]
	switch {
	case len(r.path) > 1:
		return r.path[1]
	case m.pages[node] != nil:
		return "page"
	case m.apps[node] != nil:
		return "app"
	case m.customerOf(node) != nil:
		return "profile"
	case strings.HasPrefix(node, "t_"):
		return "conversation"
	case strings.HasPrefix(node, "m_"):
		return "message"
	}
	return node
}

func (m *Messenger) fail(w http.ResponseWriter, r *http.Request, call *GraphCall, failure *GraphFailure) {
	if failure.Hang {
		m.hang(r.Context())
		panic(http.ErrAbortHandler)
	}
	for name, values := range failure.Header {
		w.Header()[name] = values
	}
	e := failure.error()
	if !failure.HTML {
		m.write(w, call, graphAnswer{trouble: e})
		return
	}
	m.mu.Lock()
	call.Status = e.status
	m.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(e.status)
	_, _ = w.Write([]byte("<!DOCTYPE html>\n<html><head><title>Facebook | Error</title></head><body>" +
		"<h1>Sorry, something went wrong.</h1><p>We're working on it and we'll get it fixed as soon as we can.</p></body></html>\n"))
}

// write says the answer; call may be nil.
func (m *Messenger) write(w http.ResponseWriter, call *GraphCall, a graphAnswer) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	m.mu.Lock()
	trace := "A" + m.draw(20)
	if a.trouble != nil {
		a.status, a.body = a.trouble.status, a.trouble.envelope(trace)
	}
	if call != nil {
		call.Status = a.status
		if a.trouble != nil {
			call.Code, call.Subcode = a.trouble.code, a.trouble.subcode
		}
		m.changed.ring()
	}
	for name, values := range m.usage {
		if w.Header()[name] == nil {
			w.Header()[name] = values
		}
	}
	m.mu.Unlock()
	w.Header().Set("X-Fb-Trace-Id", trace)
	if a.redirect != "" {
		w.Header().Set("Location", a.redirect)
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(encode(a.body)) // a caller who left is told nothing
}

func (e *graphError) envelope(trace string) any {
	body := object{"message": e.message, "type": e.kind, "code": e.code, "fbtrace_id": trace}
	if e.subcode != 0 {
		body["error_subcode"] = e.subcode
	}
	if e.transient {
		body["is_transient"] = true
	}
	return object{"error": body}
}

// field is one of the fields that a call asks for: name.limit(5){inner,…}.
type field struct {
	name  string
	limit int // zero: none said
	inner []field
}

// readFields reads a list of fields. What does not fit the form is taken as it comes.
func readFields(text string) []field {
	fields, _ := cutFields(text)
	return fields
}

func cutFields(text string) (fields []field, rest string) {
	for text != "" && text[0] != '}' {
		end := strings.IndexAny(text, ",{}.")
		if end < 0 {
			end = len(text)
		}
		f := field{name: strings.TrimSpace(text[:end])}
		text = text[end:]
		for strings.HasPrefix(text, ".") {
			option, after, _ := strings.Cut(text[1:], ")")
			if n, ok := strings.CutPrefix(option, "limit("); ok {
				f.limit, _ = strconv.Atoi(n)
			}
			text = after
		}
		if strings.HasPrefix(text, "{") {
			f.inner, text = cutFields(text[1:])
			text = strings.TrimPrefix(text, "}")
		}
		if f.name != "" {
			fields = append(fields, f)
		}
		text = strings.TrimPrefix(text, ",")
	}
	return fields, text
}

// pick answers the fields of a node, and its id always. look tells a field's value: nil
// when there is none; false when nodes of this kind do not have the field.
func pick(kind, id string, fields []field, look func(field) (any, bool)) (object, *graphError) {
	o := object{"id": id}
	for _, f := range fields {
		if f.name == "id" {
			continue
		}
		value, known := look(f)
		if !known {
			return nil, refuse(100, 0).saying("(#100) Tried accessing nonexisting field (" + f.name + ") on node type (" + kind + ")")
		}
		if value != nil {
			o[f.name] = value
		}
	}
	return o, nil
}

// listed is one piece of a list, as the parameters limit and after ask for it. The
// address of the next piece holds the token, as Facebook's does.
func (m *Messenger) listed(r *graphRequest, all []object, most int) object {
	limit := int(r.number("limit"))
	if limit <= 0 || limit > most {
		limit = most
	}
	if r.text("limit") == "" {
		limit = min(25, most)
	}
	start := readCursor(r.text("after"))
	start = min(max(start, 0), len(all))
	end := min(start+limit, len(all))
	o := object{"data": all[start:end]}
	if end == start {
		return o
	}
	paging := object{"cursors": object{"before": cursor(start), "after": cursor(end)}}
	if end < len(all) {
		paging["next"] = m.url + "/" + strings.Join(append([]string{"v25.0"}, r.path...), "/") +
			"?access_token=" + r.bearer + "&fields=" + r.text("fields") + "&limit=" + strconv.Itoa(limit) + "&after=" + cursor(end)
	}
	o["paging"] = paging
	return o
}

func cursor(n int) string { return "QVFI" + strconv.FormatInt(int64(n)+1_000_000, 36) }

func readCursor(text string) int {
	digits, _ := strings.CutPrefix(text, "QVFI")
	n, err := strconv.ParseInt(digits, 36, 64)
	if err != nil {
		return 0
	}
	return int(n - 1_000_000)
}
