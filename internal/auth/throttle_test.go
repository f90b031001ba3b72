package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAFloodOfAddressesNeitherFillsTheMemoryNorFreesWhoIsGuessedAt(t *testing.T) {
	t.Parallel()
	guessed, now := newThrottle(), time.Now()
	for range maxWrongTries {
		guessed.begin(now, "mail ana")
	}
	for i := range maxThrottled + 500 {
		now = now.Add(time.Microsecond)
		if _, wait := guessed.begin(now, fmt.Sprint("mail ", i)); wait > 0 {
			t.Fatalf("address %d was refused", i)
		}
	}
	if n := len(guessed.tries); n > maxThrottled {
		t.Errorf("%d addresses are remembered", n)
	}
	if guessed.wait(now, "mail ana") == 0 {
		t.Error("the flood freed the one that is guessed at")
	}
	// Once they are over, one fresh address clears all of them away.
	now = now.Add(wrongTryWindow)
	guessed.begin(now, "mail bo")
	if n := len(guessed.tries); n != 1 {
		t.Errorf("%d addresses are remembered after all were over", n)
	}
}

func TestWhatWasRightLeavesNoTrace(t *testing.T) {
	t.Parallel()
	tries, now := newThrottle(), time.Now()
	undo, _ := tries.begin(now, "mail ana", "net 192.0.2.1")
	undo()
	if len(tries.tries) != 0 {
		t.Errorf("remembered: %v", tries.tries)
	}
	undo() // nothing left to undo
}

func TestANetworkIsOneAddressOrASlash64(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1:4000":                  "net 192.0.2.1",
		"192.0.2.1":                       "net 192.0.2.1",
		"[::ffff:192.0.2.1]:4000":         "net 192.0.2.1",
		"[2001:db8:0:1:2:3:4:5]:4000":     "net 2001:db8:0:1::/64",
		"2001:db8:0:1::9":                 "net 2001:db8:0:1::/64",
		"[fe80::1%eth0]:4000":             "net fe80::/64",
		"":                                networkKey(""),
		strings.Repeat("long", 10_000):    networkKey(strings.Repeat("long", 10_000)),
		"two 192.0.2.1:4000 addresses:80": networkKey("two 192.0.2.1:4000 addresses:80"),
	} {
		got := networkKey(address)
		if got != want || len(got) > 80 {
			t.Errorf("%.30q is %q, want %q", address, got, want)
		}
	}
}

func TestAPasswordFitsItsHashAlone(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	first, err := p.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.hash(t.Context(), "correct horse battery")
	if err != nil || first == second {
		t.Fatalf("hashed twice to the same: %v", err)
	}
	for _, c := range []struct {
		password, hash string
		want           bool
	}{
		{"correct horse battery", first, true},
		{"correct horse battery", second, true},
		{"correct horse batterz", first, false},
		{"", first, false},
		{"", p.nobody, false},
	} {
		if got, err := matches(c.password, c.hash); got != c.want || err != nil {
			t.Errorf("%q: %v, %v", c.password, got, err)
		}
	}
	for _, broken := range []string{"", "none", "$argon2id$v=19$m=1,t=0,p=1$AA$AA", "$argon2id$v=19$x$AA$AA",
		"$argon2id$v=19$m=19456,t=2,p=1$AA$", strings.Replace(first, "v=19", "v=16", 1)} {
		if fits, err := matches("", broken); fits || err == nil {
			t.Errorf("%q fits %v, %v", broken, fits, err)
		}
	}
}

func TestAFloodOfPasswordsIsTurnedAway(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	for range hashesAtOnce {
		if _, err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.waiting.Store(hashesWaiting)
	if _, err := p.enter(t.Context()); err == nil {
		t.Error("one more waits")
	}
	if n := p.waiting.Load(); n != hashesWaiting {
		t.Errorf("%d wait", n)
	}
}
