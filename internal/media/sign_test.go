package media_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/internal/media"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestAnAddressIsTheSameForAllReadersOfAnHourAndGoodForOneToTwo(t *testing.T) {
	t.Parallel()
	signer, id := newSigner(t, 1), causeway.NewID(causeway.PrefixAttachment)
	first := signer.Address("https://chat.example/", id, noon)
	if !strings.HasPrefix(first, "https://chat.example/media/"+string(id)+"?expires=") {
		t.Fatalf("the address is %s", first)
	}
	for _, later := range []time.Duration{time.Second, 30 * time.Minute, time.Hour - time.Millisecond} {
		if again := signer.Address("https://chat.example", id, noon.Add(later)); again != first {
			t.Errorf("after %v it is %s, and was %s", later, again, first)
		}
	}
	if next := signer.Address("https://chat.example", id, noon.Add(time.Hour)); next == first {
		t.Error("an hour later it is still the same")
	}
	delhi := time.FixedZone("UTC+5:30", 19800) // its hours begin at our half hours
	if again := signer.Address("https://chat.example", id, noon.Add(40*time.Minute).In(delhi)); again != first {
		t.Errorf("in another zone it is %s", again)
	}
	for _, made := range []time.Time{noon, noon.Add(time.Hour - time.Millisecond)} {
		expires, signature := parts(t, signer.Address("", id, made))
		if err := signer.Verify(id, expires, signature, made.Add(time.Hour)); err != nil {
			t.Errorf("made at %v, an hour later: %v", made, err)
		}
		if err := signer.Verify(id, expires, signature, made.Add(2*time.Hour)); !errors.Is(err, media.ErrExpired) {
			t.Errorf("made at %v, two hours later: %v", made, err)
		}
	}
}

func TestAnAddressThatWasChangedIsForgedAndNeverExpired(t *testing.T) {
	t.Parallel()
	signer, id := newSigner(t, 1), causeway.NewID(causeway.PrefixAttachment)
	expires, signature := parts(t, signer.Address("", id, noon))
	_, foreign := parts(t, newSigner(t, 2).Address("", id, noon))
	for what, c := range map[string][3]string{
		"another id":            {string(causeway.NewID(causeway.PrefixAttachment)), expires, signature},
		"no id":                 {"", expires, signature},
		"a later end":           {string(id), "9999999999", signature},
		"an end long ago":       {string(id), "0", signature},
		"no end":                {string(id), "", signature},
		"an end with a sign":    {string(id), "+" + expires, signature},
		"an end with a zero":    {string(id), "0" + expires, signature},
		"an end beyond numbers": {string(id), strings.Repeat("9", 40), signature},
		"no signature":          {string(id), expires, ""},
		"half a signature":      {string(id), expires, signature[:20]},
		"a longer signature":    {string(id), expires, signature + "A"},
		"a padded signature":    {string(id), expires, signature + "="},
		"another key":           {string(id), expires, foreign},
		"digits moved over":     {expires[len(expires)-1:] + string(id), expires[:len(expires)-1], signature},
	} {
		for _, now := range []time.Time{noon, noon.AddDate(1, 0, 0)} {
			if err := signer.Verify(causeway.ID(c[0]), c[1], c[2], now); !errors.Is(err, media.ErrForged) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestASignerNeedsAKeyThatCannotBeGuessedAndKeepsItToItself(t *testing.T) {
	t.Parallel()
	for _, short := range [][]byte{nil, {}, []byte("secret"), make([]byte, 31)} {
		if _, err := media.NewSigner(short); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("a key of %d bytes: %v", len(short), err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", newSigner(t, 1), newSigner(t, 1), newSigner(t, 1)); text != "media.Signer media.Signer media.Signer" {
		t.Errorf("it says %s", text)
	}
}

func FuzzVerifyTakesOnlyWhatAddressMade(f *testing.F) {
	signer, id := newSigner(f, 1), causeway.ID("att_01jd4x7q5vf7w8m3e0c5r2k9ta")
	good, signature := parts(f, signer.Address("", id, noon))
	f.Add(string(id), good, signature)
	f.Add(string(id), "0"+good, signature)
	f.Add("", "", "")
	f.Add(string(id), "-1", strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, someID, expires, someSignature string) {
		err := signer.Verify(causeway.ID(someID), expires, someSignature, noon)
		if genuine := someID == string(id) && expires == good && someSignature == signature; (err == nil) != genuine {
			t.Fatalf("%q %q %q: %v", someID, expires, someSignature, err)
		}
	})
}

func newSigner(t testing.TB, key byte) *media.Signer {
	t.Helper()
	secret := make([]byte, 32)
	secret[0] = key
	signer, err := media.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// parts are what an address carries.
func parts(t testing.TB, address string) (expires, signature string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("expires"), u.Query().Get("signature")
}
