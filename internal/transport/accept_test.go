package transport

import (
	"net/http"
	"testing"
)

func TestAcceptIsReadByItsQValues(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]accepted{
		"":                                  {typeJSON, 1, 0},
		"*/*":                               {typeJSON, 1, 0},
		"application/*":                     {typeJSON, 1, 0},
		"application/json":                  {typeJSON, 1, 0},
		"application/graphql-response+json": {typeResponse, 1, 0},
		"text/event-stream":                 {"", 0, 1},
		"text/*;q=0.5":                      {"", 0, 0.5},
		"text/html":                         {},
		"application/json;q=2":              {},
		"application/json;q=x, text/html":   {},
		"APPLICATION/JSON ; Q=0.3":          {typeJSON, 0.3, 0},
		"application/json;charset=utf-8":    {typeJSON, 1, 0},
		"*/*;q=0.1, text/event-stream":      {typeJSON, 0.1, 1},
		"application/json, */*":             {typeJSON, 1, 0},
		"application/graphql-response+json,*/*;q=0.9":                      {typeResponse, 1, 0},
		"application/graphql-response+json,application/json":               {typeResponse, 1, 0},
		"application/json,application/graphql-response+json":               {typeJSON, 1, 0},
		"application/json;q=0.5,application/graphql-response+json;q=0.500": {typeJSON, 0.5, 0},
	} {
		r := &http.Request{Header: http.Header{}}
		if header != "" {
			r.Header.Set("Accept", header)
		}
		if got := accept(r); got != want {
			t.Errorf("%q: %+v, expected %+v", header, got, want)
		}
	}
}
