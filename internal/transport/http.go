package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const allowedMethods = "GET, POST, OPTIONS"

// refusal is a request that is no GraphQL request, or not one that can be answered as
// it asks.
type refusal struct {
	status int
	allow  string
	words  string
}

func badRequest(words string) *refusal { return &refusal{status: http.StatusBadRequest, words: words} }

// exchange is one request and where its answer goes.
type exchange struct {
	*Handler
	w     http.ResponseWriter
	r     *http.Request
	takes accepted
	out   *http.ResponseController
}

// serveHTTP answers a request by the GraphQL-over-HTTP specification, or with an event
// stream.
func (h *Handler) serveHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept, Accept-Encoding")
	x := &exchange{Handler: h, w: w, r: r, takes: accept(r), out: http.NewResponseController(w)}
	if r.Method == http.MethodOptions {
		header.Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusOK)
		return
	}
	params, done, refused := x.read()
	defer done()
	if refused != nil {
		x.refuse(refused)
		return
	}
	ctx := r.Context()
	if bearer, ok := bearerOf(r.Header.Get("Authorization")); ok {
		signedIn, err := h.signIn(ctx, bearer)
		if errors.Is(err, ErrUnavailable) {
			header.Set("Retry-After", "2")
			x.write(http.StatusServiceUnavailable, x.engine.refuse(ctx, nil, gqlerror.List{gqlerror.WrapPath(nil, err)}))
			return
		}
		if err == nil {
			x.r = r.WithContext(signedIn)
		}
	}
	x.answer(params)
}

// read makes the request into parameters; done gives back what files took.
func (x *exchange) read() (params *graphql.RawParams, done func(), refused *refusal) {
	done = func() {}
	switch {
	case x.r.Method != http.MethodGet && x.r.Method != http.MethodPost:
		return nil, done, &refusal{http.StatusMethodNotAllowed, allowedMethods, "use GET or POST"}
	case x.takes.nothing():
		return nil, done, &refusal{status: http.StatusNotAcceptable, words: "nothing that this server answers is acceptable: " +
			typeResponse + ", " + typeJSON + ", " + typeStream}
	case !isIdentity(x.r.Header.Get("Content-Encoding")):
		x.w.Header().Set("Accept-Encoding", "identity")
		return nil, done, &refusal{status: http.StatusUnsupportedMediaType, words: "send the body without Content-Encoding"}
	}
	start := graphql.Now()
	if x.r.Method == http.MethodGet {
		params, refused = readQuery(x.r.URL.RawQuery)
	} else {
		params, done, refused = x.readBody()
	}
	if refused != nil {
		return nil, done, refused
	}
	if params.Query == "" && params.Extensions["persistedQuery"] == nil {
		return nil, done, badRequest("query is missing")
	}
	params.Headers = x.r.Header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return params, done, nil
}

// readBody reads a POST, within a time and a size.
func (x *exchange) readBody() (params *graphql.RawParams, done func(), refused *refusal) {
	media, parameters, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	charset, hasCharset := parameters["charset"]
	switch {
	case err != nil, hasCharset && !isUTF8(charset):
		return nil, func() {}, &refusal{status: http.StatusUnsupportedMediaType, words: "send " + typeJSON + ", in UTF-8"}
	case media == typeJSON:
		defer x.readWithin(x.cfg.MaxBody, x.cfg.ReadTimeout)()
		params, refused = readJSON(x.r.Body)
		return params, func() {}, x.overrun(refused, x.cfg.MaxBody)
	case media == "multipart/form-data":
		if !asksFirst(x.r) {
			return nil, func() {}, badRequest("a form needs a header that browsers ask for first, such as GraphQL-Require-Preflight: true")
		}
		defer x.readWithin(x.cfg.MaxUpload, 4*x.cfg.ReadTimeout)()
		params, done, refused = readForm(x.r, parameters["boundary"], x.cfg.MaxBody)
		return params, done, x.overrun(refused, x.cfg.MaxUpload)
	}
	return nil, func() {}, &refusal{status: http.StatusUnsupportedMediaType, words: "send " + typeJSON + ", or multipart/form-data with files"}
}

// bounded is a body that remembers why it ended early.
type bounded struct {
	io.ReadCloser
	err error
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// readWithin bounds the body; the function that it returns lifts the deadline, which
// would end a stream otherwise.
func (x *exchange) readWithin(size int64, timeout time.Duration) (lift func()) {
	x.r.Body = &bounded{ReadCloser: http.MaxBytesReader(x.w, x.r.Body, size)}
	_ = x.out.SetReadDeadline(time.Now().Add(timeout))
	return func() { _ = x.out.SetReadDeadline(time.Time{}) }
}

// overrun is the refusal of a body that was too long or too slow, else what reading it
// said.
func (x *exchange) overrun(refused *refusal, size int64) *refusal {
	body, ok := x.r.Body.(*bounded)
	if !ok || refused == nil {
		return refused
	}
	if _, tooLong := errors.AsType[*http.MaxBytesError](body.err); tooLong {
		return &refusal{status: http.StatusRequestEntityTooLarge, words: "the body is longer than " + strconv.FormatInt(size, 10) + " bytes"}
	}
	if errors.Is(body.err, os.ErrDeadlineExceeded) {
		x.w.Header().Set("Connection", "close")
		return &refusal{status: http.StatusRequestTimeout, words: "the body took too long"}
	}
	return refused
}

// readQuery reads the parameters of a GET.
func readQuery(query string) (*graphql.RawParams, *refusal) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, badRequest("the address's query cannot be read")
	}
	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	var ok bool
	if params.Variables, ok = object([]byte(values.Get("variables"))); !ok {
		return nil, badRequest("variables is not a JSON object")
	}
	if params.Extensions, ok = object([]byte(values.Get("extensions"))); !ok {
		return nil, badRequest("extensions is not a JSON object")
	}
	return params, nil
}

// readJSON reads the body of a POST. What is wrong is told without its content.
func readJSON(body io.Reader) (*graphql.RawParams, *refusal) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, badRequest("the body could not be read")
	}
	var parts struct {
		Query         json.RawMessage `json:"query"`
		OperationName json.RawMessage `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
		Extensions    json.RawMessage `json:"extensions"`
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(raw, &parts) != nil {
		return nil, badRequest("the body is not one JSON object")
	}
	params := &graphql.RawParams{}
	var ok bool
	if params.Query, ok = text(parts.Query); !ok {
		return nil, badRequest("query is not a string")
	}
	if params.OperationName, ok = text(parts.OperationName); !ok {
		return nil, badRequest("operationName is not a string")
	}
	if params.Variables, ok = object(parts.Variables); !ok {
		return nil, badRequest("variables is not an object")
	}
	if params.Extensions, ok = object(parts.Extensions); !ok {
		return nil, badRequest("extensions is not an object")
	}
	return params, nil
}

// text is a JSON string; empty for null and for nothing.
func text(raw []byte) (s string, ok bool) {
	if len(raw) == 0 {
		return "", true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// object is a JSON object, its numbers as they were written; nil for null and for
// nothing.
func object(raw []byte) (o map[string]any, ok bool) {
	if len(raw) == 0 {
		return nil, true
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&o) != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return o, err == io.EOF
}

// answer runs an operation, or says why not.
func (x *exchange) answer(params *graphql.RawParams) {
	ctx := x.r.Context()
	op, errs := x.engine.prepare(ctx, params)
	if len(errs) == 0 {
		if refused := x.unfit(op.Operation.Operation); refused != nil {
			x.refuse(refused)
			return
		}
	}
	if x.takes.stream > 0 && (x.takes.json == "" || x.takes.prefersStream() || isSubscription(op)) {
		x.stream(op, errs)
		return
	}
	if len(errs) > 0 {
		x.refuseOperation(op, errs)
		return
	}
	responses, ctx := x.engine.run(ctx, op)
	response := responses(ctx)
	if response == nil { // the client went away
		return
	}
	x.write(http.StatusOK, response)
}

// unfit refuses operations that this kind of request cannot carry.
func (x *exchange) unfit(kind ast.Operation) *refusal {
	if kind == ast.Mutation && x.r.Method == http.MethodGet {
		return &refusal{http.StatusMethodNotAllowed, http.MethodPost, "GET is for queries and subscriptions; send mutations by POST"}
	}
	if kind == ast.Subscription && x.takes.stream == 0 {
		return &refusal{status: http.StatusNotAcceptable, words: "a subscription needs Accept: " + typeStream + ", or a WebSocket"}
	}
	return nil
}

func isSubscription(op *graphql.OperationContext) bool {
	return op.Operation != nil && op.Operation.Operation == ast.Subscription
}

// refuse answers what is not a request that GraphQL could answer.
func (x *exchange) refuse(refused *refusal) {
	if refused.allow != "" {
		x.w.Header().Set("Allow", refused.allow)
	}
	response := x.engine.refuse(x.r.Context(), nil, gqlerror.List{requestError(CodeBadRequest, "%s", refused.words)})
	x.write(refused.status, response)
}

// refuseOperation answers a request error. Under application/json a well-formed
// request is answered 200, as its clients expect; errors are in the body.
func (x *exchange) refuseOperation(op *graphql.OperationContext, errs gqlerror.List) {
	status := statusOf(op)
	switch status {
	case http.StatusUnauthorized:
		x.w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		x.w.Header().Set("Retry-After", "1")
	}
	if x.takes.json == typeJSON {
		status = http.StatusOK
	}
	x.write(status, x.engine.refuse(x.r.Context(), op, errs))
}

// write sends a whole response.
func (x *exchange) write(status int, response *graphql.Response) {
	body, err := encode(response)
	if err != nil {
		body = []byte(`{"errors":[{"message":"the response could not be written as JSON"}]}`)
		status = http.StatusInternalServerError
	}
	media := x.takes.json
	if media == "" {
		media = typeResponse
	}
	header := x.w.Header()
	header.Set("Content-Type", media+"; charset=utf-8")
	if len(body) >= gzipFrom && takesGzip(x.r) {
		header.Set("Content-Encoding", "gzip")
		body = compressed(body)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_ = x.out.SetWriteDeadline(time.Now().Add(x.cfg.WriteDeadline))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that is gone needs no answer
	_ = x.out.Flush()
	_ = x.out.SetWriteDeadline(time.Time{}) // the connection may carry another request
}

func isIdentity(coding string) bool {
	coding = strings.TrimSpace(coding)
	return coding == "" || strings.EqualFold(coding, "identity")
}
