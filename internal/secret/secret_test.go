package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"causeway"
	"causeway/internal/secret"
)

// keyText is a key made of one repeated byte, as it stands in the settings.
func keyText(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))
}

func ring(t testing.TB, keys ...string) *secret.Ring {
	t.Helper()
	r, err := secret.Parse(strings.Join(keys, ","))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return r
}

func seal(t testing.TB, r *secret.Ring, plain string, row causeway.ID) []byte {
	t.Helper()
	sealed, err := r.Seal([]byte(plain), row)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return sealed
}

func TestASealedTokenOpensForItsRow(t *testing.T) {
	t.Parallel()
	r, row := ring(t, keyText(1)), causeway.NewID(causeway.PrefixConnection)
	for _, plain := range []string{"", "123456:token", strings.Repeat("long ", 10_000)} {
		sealed := seal(t, r, plain, row)
		before := bytes.Clone(sealed)
		got, err := r.Open(sealed, row)
		if err != nil || string(got) != plain {
			t.Fatalf("Open of %d bytes: %d bytes, %v", len(plain), len(got), err)
		}
		if !bytes.Equal(before, sealed) {
			t.Fatal("Open changed what it was given")
		}
		if plain != "" && bytes.Contains(sealed, []byte(plain)) {
			t.Fatal("the sealed bytes contain the plain ones")
		}
		if bytes.Equal(sealed, seal(t, r, plain, row)) {
			t.Fatal("sealing twice gave the same bytes")
		}
	}
}

func TestASealedTokenOpensForNoOtherRow(t *testing.T) {
	t.Parallel()
	r := ring(t, keyText(1))
	sealed := seal(t, r, "token", "conn_a")
	for _, row := range []causeway.ID{"conn_b", "conn_", "conn_aa", ""} {
		if _, err := r.Open(sealed, row); !errors.Is(err, secret.ErrDamaged) {
			t.Errorf("row %q: %v, want ErrDamaged", row, err)
		}
	}
	if _, err := r.Seal([]byte("token"), ""); err == nil {
		t.Error("sealed for a row without an id")
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	r := ring(t, keyText(1), keyText(2))
	sealed := seal(t, r, "token", "conn_a")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if plain, err := r.Open(changed, "conn_a"); err == nil {
			t.Errorf("byte %d changed and opened as %q", i, plain)
		}
		if _, err := r.Open(sealed[:i], "conn_a"); !errors.Is(err, secret.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v, want ErrDamaged", i, err)
		}
	}
	if _, err := r.Open(append(bytes.Clone(sealed), 0), "conn_a"); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("a byte added: %v, want ErrDamaged", err)
	}
}

func TestAKeyThatIsGoneIsToldFromDamage(t *testing.T) {
	t.Parallel()
	sealed := seal(t, ring(t, keyText(1)), "token", "conn_a")
	if _, err := ring(t, keyText(2)).Open(sealed, "conn_a"); !errors.Is(err, secret.ErrUnknownKey) {
		t.Fatalf("%v, want ErrUnknownKey", err)
	}
}

func TestANewKeyInFrontSealsAndTheOldOneStillOpens(t *testing.T) {
	t.Parallel()
	before := ring(t, keyText(1))
	old := seal(t, before, "token", "conn_a")
	if before.NeedsRotation(old) {
		t.Error("sealed with the first key and asks for rotation")
	}
	during := ring(t, keyText(2), keyText(1))
	if !during.NeedsRotation(old) {
		t.Error("sealed with the second key and asks for no rotation")
	}
	plain, err := during.Open(old, "conn_a")
	if err != nil || string(plain) != "token" {
		t.Fatalf("Open with the second key: %q, %v", plain, err)
	}
	renewed := seal(t, during, string(plain), "conn_a")
	if during.NeedsRotation(renewed) {
		t.Error("sealed anew and still asks for rotation")
	}
	after := ring(t, keyText(2))
	if plain, err := after.Open(renewed, "conn_a"); err != nil || string(plain) != "token" {
		t.Fatalf("Open after the old key left: %q, %v", plain, err)
	}
	for _, broken := range [][]byte{nil, {1}, []byte("plain text that was never sealed at all")} {
		if !after.NeedsRotation(broken) {
			t.Errorf("%q would be passed over by a rotation", broken)
		}
	}
}

func TestKeysAreReadInEveryUsualSpelling(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16) // has + and / in base64
	sealed := seal(t, ring(t, base64.StdEncoding.EncodeToString(raw)), "token", "conn_a")
	for _, text := range []string{
		base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw),
		"  " + base64.StdEncoding.EncodeToString(raw) + "\n",
		keyText(1) + " , " + base64.StdEncoding.EncodeToString(raw),
	} {
		if _, err := ring(t, text).Open(sealed, "conn_a"); err != nil {
			t.Errorf("%d characters: %v", len(text), err)
		}
	}
}

func TestWhatIsDerivedStaysWhileKeysAreRotated(t *testing.T) {
	t.Parallel()
	derive := func(purpose string, keys ...string) string {
		t.Helper()
		derived, err := ring(t, keys...).Derive(purpose)
		if err != nil || len(derived) != 32 {
			t.Fatalf("Derive: %d bytes, %v", len(derived), err)
		}
		return string(derived)
	}
	before := derive("media", keyText(1))
	if derive("media", keyText(2), keyText(1)) != before {
		t.Error("a new key in front changes what is derived")
	}
	for what, other := range map[string]string{
		"for another purpose": derive("mail", keyText(1)), "of another key": derive("media", keyText(2)),
	} {
		if other == before {
			t.Errorf("the same is derived %s", what)
		}
	}
	if strings.Contains(before, strings.Repeat("\x01", 4)) {
		t.Error("what is derived shows the key")
	}
}

func TestABadKeyIsRefusedByPositionAndNotRepeated(t *testing.T) {
	t.Parallel()
	short := base64.StdEncoding.EncodeToString([]byte("sixteen bytes ok"))
	cases := map[string]struct{ keys, want string }{
		"nothing":       {" ", "no secret key"},
		"not base64":    {keyText(1) + ",hunter2!hunter2!", "key 2 of 2 is not base64"},
		"too short":     {short, "key 1 of 1 has 16 bytes and must have 32"},
		"an empty one":  {keyText(1) + ",", "key 2 of 2 is empty"},
		"the same ones": {keyText(1) + "," + keyText(2) + "," + keyText(1), "keys 1 and 3 are the same"},
	}
	for name, c := range cases {
		_, err := secret.Parse(c.keys)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		for _, word := range []string{keyText(1), keyText(2), short, "hunter2"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error repeats a key: %v", name, err)
			}
		}
	}
}

func TestARingPrintsNothingOfItsKeys(t *testing.T) {
	t.Parallel()
	r := ring(t, keyText(1), keyText(2))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		got := fmt.Sprintf(verb, r)
		if got != "secret.Ring(2)" && got != "*secret.Ring" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("Started", "ring", r)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("Started", "ring", r)
	if strings.Contains(log.String(), "aead") || log.Len() > 300 {
		t.Errorf("a log shows the ring: %s", log.String())
	}
}

func TestTokensAreOfTheAlphabetEveryPlatformTakes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		token := secret.RandomToken(32)
		if len(token) != 43 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Fatalf("a token of %d characters outside the alphabet", len(token))
		}
		if seen[token] {
			t.Fatal("the same token came twice")
		}
		seen[token] = true
	}
	defer func() {
		if recover() == nil {
			t.Error("a token that can be guessed was made")
		}
	}()
	secret.RandomToken(8)
}

func TestATokenIsRecognisedByItsHash(t *testing.T) {
	t.Parallel()
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2's example
	if got := secret.Hash("abc"); got != want {
		t.Fatalf("Hash = %s, want %s", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, keyText(1), keyText(2))
	sealed := seal(f, r, "token", "conn_a")
	f.Add(sealed, "conn_a")
	f.Add(sealed, "conn_b")
	f.Add(sealed[:20], "conn_a")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, row string) {
		plain, err := r.Open(data, causeway.ID(row))
		r.NeedsRotation(data)
		// Nothing else was ever sealed with these keys, in this process or another
		// that fuzzes beside it.
		if err == nil && (row != "conn_a" || string(plain) != "token") {
			t.Fatal("opened what was never sealed")
		}
		if err != nil && !errors.Is(err, secret.ErrDamaged) && !errors.Is(err, secret.ErrUnknownKey) {
			t.Fatalf("an unknown error: %v", err)
		}
	})
}
