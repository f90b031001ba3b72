package transport_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stream is a subscription over SSE.
type stream struct {
	h     *house
	resp  *http.Response
	lines *bufio.Scanner
}

func (h *house) stream(query string, headers ...string) *stream {
	h.Helper()
	resp := h.send(query, append([]string{"Accept", "text/event-stream"}, headers...)...)
	return &stream{h, resp, bufio.NewScanner(resp.Body)}
}

// hears reads the next line that says something; empty at the end.
func (s *stream) hears(want string) {
	s.h.Helper()
	for s.lines.Scan() {
		line := strings.TrimSpace(s.lines.Text())
		if line == "" || line == ":" {
			continue
		}
		if line != want {
			s.h.Fatalf("%s, not %s", line, want)
		}
		return
	}
	if want != "" {
		s.h.Fatalf("the stream ends (%v) before %s", s.lines.Err(), want)
	}
}

func (s *stream) close() { _ = s.resp.Body.Close() }

func TestAStreamTellsWhatHappensAndHowItEnds(t *testing.T) {
	in(t, func(h *house) {
		s := h.stream("subscription { ticks }", "Authorization", "Bearer good")
		defer s.close()
		h.ticks <- "one"
		s.hears("event: next")
		s.hears(`data: {"data":{"ticks":"one"}}`)
		close(h.refused)
		s.hears("event: next")
		s.hears(`data: {"errors":[{"message":"not any more"}],"data":null}`)
		s.hears("event: complete")
	})
}

func TestAStreamNeedsAViewer(t *testing.T) {
	in(t, func(h *house) {
		s := h.stream("subscription { ticks }")
		defer s.close()
		s.hears("event: next")
		s.hears(`data: {"errors":[{"message":"Sign in first","extensions":{"code":"UNAUTHENTICATED"}}],"data":null}`)
		s.hears("event: complete")
	})
}

func TestCloseBreaksStreamsOffSoThatTheServerStopsAtOnce(t *testing.T) {
	in(t, func(h *house) {
		s := h.stream("subscription { ticks }", "Authorization", "Bearer good")
		defer s.close()
		h.ticks <- "one"
		s.hears("event: next")
		s.hears(`data: {"data":{"ticks":"one"}}`)
		began := time.Now()
		h.no(h.handler.Close())
		s.hears("") // not complete: the client is to come back
		h.client.CloseIdleConnections()
		h.no(h.server.Shutdown(context.Background()))
		if took := time.Since(began); took > time.Second {
			h.Errorf("it took %v", took)
		}
	})
}

func TestAStreamNobodyReadsIsCutOff(t *testing.T) {
	in(t, func(h *house) {
		s := h.stream("subscription { ticks }", "Authorization", "Bearer good")
		defer s.close()
		synctest.Wait()
		began := time.Now()
		long := strings.Repeat("x", 1<<20)
		h.ticks <- long
		for {
			select {
			case h.ticks <- long:
			case <-h.gone:
				if took := time.Since(began); took > 11*time.Second {
					h.Errorf("after %v", took)
				}
				return
			}
		}
	})
}
