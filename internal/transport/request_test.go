package transport_test

import (
	"net/http"
	"strings"
	"testing"
)

const modern = "application/graphql-response+json"

func TestOnlyABearerTokenSignsIn(t *testing.T) {
	in(t, func(h *house) {
		for authorization, good := range map[string]bool{
			"Bearer good": true, "bearer good": true, "BEARER   good ": true,
			"": false, "good": false, "Basic good": false, "Bearer": false, "Bearer ": false, "Bearer bad": false, "Bearer good bad": false,
		} {
			status, body, _ := h.post("{ secret }", "Authorization", authorization, "Accept", modern)
			if good != (status == http.StatusOK) || good != strings.Contains(body, `"said":"yes"`) {
				h.Errorf("%q: %d %s", authorization, status, body)
			}
		}
	})
}

func TestWhatIsRefusedWholeHasAStatusAndNoData(t *testing.T) {
	in(t, func(h *house) {
		for _, c := range []struct {
			query, accept string
			status        int
			data          bool
		}{
			{"{ secret }", modern, http.StatusUnauthorized, false},
			{"{ secret }", "application/json", http.StatusOK, false},
			{"{ open secret }", modern, http.StatusUnauthorized, false},
			{"{ ... { secret } }", modern, http.StatusUnauthorized, false},
			{"query { ...all } fragment all on Query { secret }", modern, http.StatusUnauthorized, false},
			{"subscription { ticks }", modern, http.StatusUnauthorized, false},
			{"{ nothing }", modern, http.StatusBadRequest, false},
			{"{ secret ", modern, http.StatusBadRequest, false},
			{strings.Repeat("{ open ", 3000) + strings.Repeat("}", 3000), modern, http.StatusBadRequest, false},
			{"{ open }", modern, http.StatusOK, true},
			{"{ open }", "application/json", http.StatusOK, true},
			{"{ __typename ... { open } }", modern, http.StatusOK, true},
			{"{ __schema { queryType { name } } }", modern, http.StatusOK, true},
		} {
			status, body, header := h.post(c.query, "Accept", c.accept)
			if status != c.status || strings.Contains(body, `"data"`) != c.data || strings.Contains(body, `"errors"`) == c.data {
				h.Errorf("%.40s as %s: %d %s", c.query, c.accept, status, body)
			}
			if !strings.HasPrefix(header.Get("Content-Type"), c.accept) {
				h.Errorf("%.40s as %s is %s", c.query, c.accept, header.Get("Content-Type"))
			}
		}
	})
}

func TestTheLanguageOfARequestReachesIt(t *testing.T) {
	in(t, func(h *house) {
		if _, body, _ := h.post("{ open }", "Accept-Language", "vi"); !strings.Contains(body, `"language":"vi"`) {
			h.Error(body)
		}
	})
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	in(t, func(h *house) {
		status, body, _ := h.post("{ open } #"+strings.Repeat("x", 1<<20), "Accept", modern)
		if status != http.StatusRequestEntityTooLarge || strings.Contains(body, `"data"`) {
			h.Errorf("%d %.100s", status, body)
		}
	})
}

func TestPagesOfOtherOriginsAreKeptOut(t *testing.T) {
	in(t, func(h *house) {
		for origin, want := range map[string]struct{ socket, cors bool }{
			"":                            {true, false},
			"http://program":              {true, false}, // this server's own
			"https://PROGRAM":             {true, false},
			"https://inbox.example":       {true, true},
			"https://INBOX.example":       {true, true},
			"https://evil.example":        {false, false},
			"https://inbox.example.evil":  {false, false},
			"https://evil-inbox.example":  {false, false},
			"http://inbox.example":        {false, false},
			"https://inbox.example:8443":  {false, false},
			"http://program.evil.example": {false, false},
			"null":                        {false, false},
			"file://":                     {false, false},
			"%zz":                         {false, false},
		} {
			s, resp, err := h.dial(origin, "graphql-transport-ws")
			if (err == nil) != want.socket {
				h.Errorf("a socket from %q: %v", origin, err)
			}
			if err != nil && resp.StatusCode != http.StatusForbidden {
				h.Errorf("a socket from %q is answered %d", origin, resp.StatusCode)
			}
			if err == nil {
				_ = s.Close()
			}
			_, _, header := h.post("{ open }", "Origin", origin)
			if (header.Get("Access-Control-Allow-Origin") != "") != want.cors || header.Get("Vary") != "Origin" {
				h.Errorf("a request from %q: %v", origin, header)
			}
		}
	})
}

func TestABrowserMayAskBeforehand(t *testing.T) {
	in(t, func(h *house) {
		req, err := http.NewRequest(http.MethodOptions, "http://program/graphql", nil)
		h.no(err)
		req.Header.Set("Origin", "https://inbox.example")
		resp, err := h.client.Do(req)
		h.no(err)
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "https://inbox.example" ||
			!strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
			h.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	})
}
