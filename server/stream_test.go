package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// stream is a subscription over server-sent events, a request of its own.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	close func() // goes away
}

// streams posts a subscription and reads its events as they come.
func (who person) streams(query string, variables data) *stream {
	who.p.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		who.p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(who.p.t.Context(), patience)
	who.p.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, who.p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		who.p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+who.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		who.p.t.Fatal(err)
	}
	who.p.t.Cleanup(func() { _ = res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		who.p.t.Fatalf("a stream was asked for, and %d %s came", res.StatusCode, kind)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &stream{t: who.p.t, lines: lines, close: cancel}
}

// next reads the next event: its name and what it carries.
func (s *stream) next() (event string, payload answer, err error) {
	for s.lines.Scan() {
		line := s.lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			event = name
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok && text != "" {
			if err := json.Unmarshal([]byte(text), &payload); err != nil {
				return event, payload, err
			}
		}
		if line == "" && event != "" {
			return event, payload, nil
		}
	}
	return "", payload, errors.Join(s.lines.Err(), io.EOF)
}

// sees returns the data of the next event.
func (s *stream) sees() data {
	s.t.Helper()
	event, payload, err := s.next()
	if err != nil || event != "next" || len(payload.Errors) > 0 {
		s.t.Fatalf("waiting for an event: %q %v %v", event, payload.Errors, err)
	}
	return payload.Data
}
