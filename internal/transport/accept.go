package transport

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// What a response may be.
const (
	typeJSON     = "application/json"
	typeResponse = "application/graphql-response+json"
	typeStream   = "text/event-stream"
)

// mostRanges bounds what is read of an Accept header.
const mostRanges = 64

// accepted is what a client takes, and how gladly.
type accepted struct {
	json   string  // application/json or application/graphql-response+json; empty: neither
	jsonQ  float64 // its quality
	stream float64 // the quality of text/event-stream; 0: not taken
}

// accept reads a request's Accept header by its q values; the most exact range that
// fits a type counts. Without the header anything goes. Of types that are taken as
// gladly the older one wins, unless the newer one is named.
func accept(r *http.Request) accepted {
	header := strings.TrimSpace(strings.Join(r.Header.Values("Accept"), ","))
	if header == "" {
		header = "*/*"
	}
	ranges := mediaRanges(header)
	a := accepted{}
	// Who takes anything does not ask for a response that never ends.
	if stream := qualityOf(ranges, "text", "event-stream"); stream.exact > anyType {
		a.stream = stream.q
	}
	plain := qualityOf(ranges, "application", "json")
	response := qualityOf(ranges, "application", "graphql-response+json")
	switch {
	case response.q > plain.q, response.q > 0 && response.q == plain.q && response.exact > plain.exact,
		response.q > 0 && response.q == plain.q && response.exact == exactType && response.place < plain.place:
		a.json, a.jsonQ = typeResponse, response.q
	case plain.q > 0:
		a.json, a.jsonQ = typeJSON, plain.q
	}
	return a
}

// prefersStream tells whether a client takes events, and JSON less gladly.
func (a accepted) prefersStream() bool { return a.stream > 0 && a.stream > a.jsonQ }

// nothing tells whether there is no type for this client.
func (a accepted) nothing() bool { return a.json == "" && a.stream == 0 }

// How exactly a range fits a type.
const (
	anyType = iota + 1
	anySubtype
	exactType
)

type mediaRange struct {
	kind, subtype string
	q             float64
}

type quality struct {
	q     float64
	exact int
	place int
}

func mediaRanges(header string) []mediaRange {
	var ranges []mediaRange
	for part := range strings.SplitSeq(header, ",") {
		if len(ranges) == mostRanges {
			break
		}
		media, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if charset, ok := parameters["charset"]; ok && !isUTF8(charset) {
			continue
		}
		kind, subtype, ok := strings.Cut(media, "/")
		if !ok {
			continue
		}
		q := 1.0
		if text, ok := parameters["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		ranges = append(ranges, mediaRange{kind, subtype, q})
	}
	return ranges
}

// qualityOf is how gladly a type is taken.
func qualityOf(ranges []mediaRange, kind, subtype string) quality {
	var best quality
	for i, r := range ranges {
		exact := 0
		switch {
		case r.kind == kind && r.subtype == subtype:
			exact = exactType
		case r.kind == kind && r.subtype == "*":
			exact = anySubtype
		case r.kind == "*" && r.subtype == "*":
			exact = anyType
		}
		if exact > best.exact {
			best = quality{r.q, exact, i}
		}
	}
	return best
}

// takesGzip tells whether a client takes a body compressed with gzip.
func takesGzip(r *http.Request) bool {
	var best quality
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		exact := 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			exact = exactType
		case "*":
			exact = anyType
		}
		if exact <= best.exact {
			continue
		}
		q := 1.0
		if name, value, ok := strings.Cut(weight, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, _ = strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
		best = quality{q: q, exact: exact}
	}
	return best.q > 0
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
