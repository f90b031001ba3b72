package transport

import (
	"bytes"
	"compress/gzip"
)

// gzipFrom is the length from which a body is worth compressing.
const gzipFrom = 1400 // what fits into one packet anyway

// compressed is a body under gzip. Speed counts: bodies are small and made anew for
// every request.
func compressed(body []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(body) / 3)
	// Neither a bytes.Buffer nor a level that exists can fail.
	writer, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = writer.Write(body)
	_ = writer.Close()
	return b.Bytes()
}
