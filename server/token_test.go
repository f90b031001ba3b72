package main

import (
	"strings"
	"testing"
)

func TestAPrintedTokenNeedsAUserWhoMaySignInAndAName(t *testing.T) {
	t.Parallel()
	p := begin(t)
	ana := p.user("Ana", "", "")
	id := ana.gets(`{ viewer { id } }`, nil).at("viewer").text("id")
	p.admin().does(`mutation($u: ID!) { updateUser(input: {id: $u, deactivated: true}) { userErrors { code message } } }`, data{"u": id})
	for _, c := range []struct{ email, name, said string }{
		{"nobody@example.com", "laptop", "no user"},
		{"ana@example.com", "laptop", "deactivated"},
		{"ana@example.com", " ", "--name"},
	} {
		var out strings.Builder
		err := printToken(t.Context(), p.settings, c.email, c.name, &out, p.app.log)
		if err == nil || !strings.Contains(err.Error(), c.said) || strings.Contains(err.Error(), "_") || out.Len() > 0 {
			t.Errorf("a token %q for %s: %q, %v", c.name, c.email, out.String(), err)
		}
	}
}
