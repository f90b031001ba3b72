package main

import (
	"fmt"
	"strings"
	"testing"
)

// A server with a public address stands behind a proxy that ends TLS: to it, all come
// from there.
func TestBehindAProxyWhoGuessesPasswordsLocksOutNobodyElse(t *testing.T) {
	t.Parallel()
	p := begin(t)
	p.user("Ana", "", "")
	signIn := func(from, email, password string) string {
		_, _, body := p.posts(fmt.Sprintf(`mutation { signIn(input: {email: %q, password: %q}) { token userErrors { code } } }`, email, password),
			map[string]string{"X-Forwarded-For": from})
		return body
	}
	for i := range 10 {
		// What stands before the proxy's own word is the guesser's.
		signIn(fmt.Sprintf("198.51.100.%d, 203.0.113.7", i), fmt.Sprintf("guess%d@example.com", i), "a wrong password")
	}
	if body := signIn("203.0.113.7", "ana@example.com", "a long password"); !strings.Contains(body, "RATE_LIMITED") {
		t.Errorf("who guesses goes on: %s", body)
	}
	if body := signIn("203.0.113.8", "ana@example.com", "a long password"); !strings.Contains(body, `"token":"`) {
		t.Errorf("somebody else is locked out: %s", body)
	}
}
