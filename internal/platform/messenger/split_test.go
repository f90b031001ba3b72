package messenger

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestABodyIsCutIntoItsEntriesByteForByte(t *testing.T) {
	t.Parallel()
	first, second := `{"id":24681357900246813579, "messaging":[{"text":"\u00e4\/"}]}`, `{ "time" : 1e3,"id":"102" }`
	entries, err := Split([]byte(" {\"entry\" : [" + first + " , " + second + ",{},5],\"x\":1,\"object\":\"page\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{"24681357900246813579", []byte(`{"object":"page","entry":[` + first + `]}`)},
		{"102", []byte(`{"object":"page","entry":[` + second + `]}`)},
		{"", []byte(`{"object":"page","entry":[{}]}`)},
		{"", []byte(`{"object":"page","entry":[5]}`)},
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries {
		if e.Page != want[i].Page || !bytes.Equal(e.Raw, want[i].Raw) {
			t.Errorf("entry %d is %s of page %q, want %s of %q", i, e.Raw, e.Page, want[i].Raw, want[i].Page)
		}
		again, err := Split(e.Raw)
		if err != nil || len(again) != 1 || !bytes.Equal(again[0].Raw, e.Raw) {
			t.Errorf("cut again it is %v, %v", again, err)
		}
	}
}

func TestWhatIsNoBodyOfAPageIsToldApart(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		"":                                     ErrNotJSON,
		`{"object":"page"`:                     ErrNotJSON,
		`{"object":"page"}{}`:                  ErrNotJSON,
		strings.Repeat(`{"object":`, 100000):   ErrNotJSON, // deeper than anybody means
		"null":                                 ErrNotObject,
		"[]":                                   ErrNotObject,
		`"page"`:                               ErrNotObject,
		"{}":                                   ErrNotPage,
		`{"object":"instagram","entry":[]}`:    ErrNotPage,
		`{"object":["page"],"entry":[]}`:       ErrNotPage,
		`{"object":"page"}`:                    nil,
		`{"object":"page","entry":null}`:       nil,
		`{"object":"page","entry":{"id":"1"}}`: nil,
		`{"object":"\u0070age","entry":[]}`:    nil,
	} {
		entries, err := Split([]byte(body))
		if !errors.Is(err, want) || len(entries) != 0 {
			t.Errorf("%.40s: %v, %v, want %v", body, entries, err, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := Split(raw)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !json.Valid(e.Raw) {
				t.Errorf("%q is no JSON", e.Raw)
			}
			if again, err := Split(e.Raw); err != nil || len(again) != 1 || again[0].Page != e.Page {
				t.Errorf("cut again it is %v, %v", again, err)
			}
		}
	})
}

func TestOnlyTheAppsOwnSignatureIsTaken(t *testing.T) {
	t.Parallel()
	const secret = "planted-app-secret"
	body := []byte(`{"object":"page","entry":[{"text":"\u00e4\/"}]}`)
	good := Sign(secret, body)
	if !VerifySignature(secret, good, body) {
		t.Error("the app's own signature was refused")
	}
	for what, forged := range map[string]struct {
		secret, header string
		body           []byte
	}{
		"another body":              {secret, good, []byte(`{"object":"page","entry":[{"text":"ä/"}]}`)},
		"another secret":            {"other", good, body},
		"no secret":                 {"", Sign("", body), body},
		"no header":                 {secret, "", body},
		"no scheme":                 {secret, strings.TrimPrefix(good, "sha256="), body},
		"the older scheme":          {secret, "sha1=" + strings.TrimPrefix(good, "sha256="), body},
		"half":                      {secret, good[:40], body},
		"more":                      {secret, good + "00", body},
		"no digits":                 {secret, "sha256=" + strings.Repeat("zz", 32), body},
		"the empty secret's":        {secret, Sign("", body), body},
		"a space":                   {secret, good + " ", body},
		"several, by a comma":       {secret, "sha256=00," + good, body},
		"signature of the verified": {secret, Sign(secret, nil), body},
	} {
		if VerifySignature(forged.secret, forged.header, forged.body) {
			t.Errorf("%s passed", what)
		}
	}
}

func FuzzVerifySignature(f *testing.F) {
	f.Add("secret", Sign("secret", []byte("body")), []byte("body"))
	f.Add("", Sign("", []byte("body")), []byte("body"))
	f.Add("secret", "sha256=", []byte{})
	f.Fuzz(func(t *testing.T, secret, header string, raw []byte) {
		want := secret != "" && strings.EqualFold(header, Sign(secret, raw)) && strings.HasPrefix(header, "sha256=")
		if VerifySignature(secret, header, raw) != want {
			t.Errorf("%q for %q: want %v", header, raw, want)
		}
	})
}

func TestTheHandshakeIsAnsweredOnlyWithTheToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, token, challenge string
		ok                      bool
	}{
		{"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=right", "right", "1158201444", true},
		{"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=wrong", "right", "", false},
		{"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=", "", "", false},
		{"hub.mode=subscribe&hub.challenge=1158201444", "right", "", false},
		{"hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=right", "right", "", false},
		{"hub.challenge=1&hub.verify_token=right", "right", "", false},
		{"hub.mode=subscribe&hub.verify_token=right", "right", "", false},
		{"", "", "", false},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		challenge, ok := VerifyHandshake(query, c.token)
		if challenge != c.challenge || ok != c.ok {
			t.Errorf("%s with %q: %q, %v", c.query, c.token, challenge, ok)
		}
	}
}
