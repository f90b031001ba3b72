package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeysAreRotatedWithOneCommandWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	p := begin(t)
	bot, connection := p.bot(p.campaign("Shop"), "shop_bot")
	hook := posterTo(t, bot)
	hook.mustPost(t, textUpdate(1, 1, "Hello?"), 200)
	before := p.column("SELECT hex(sealed_token) FROM connections")

	var out bytes.Buffer
	rotate := []string{"keys", "rotate", "--data=" + p.settings.Data}
	if err := run(t.Context(), rotate, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "newest key: 2.") || !strings.Contains(out.String(), filepath.Join(p.settings.Data, "secret.key")) {
		t.Errorf("it printed %q", out.String())
	}
	if after := p.column("SELECT hex(sealed_token) FROM connections"); len(after) != 1 || after[0] == before[0] {
		t.Error("the token was not sealed anew")
	}
	hook.mustPost(t, textUpdate(1, 2, "Anybody there?"), 200)
	p.processed(connection, 2)
	report := p.admin().does(`mutation($id: ID!) { testConnection(input: {connectionId: $id}) { report { passed } userErrors { code message } } }`, data{"id": connection}).at("report")
	if report["passed"] != true {
		t.Errorf("the connection, with its token sealed anew: %v\n%s", report, p.log)
	}
	p.stop()
	p.start()
	posterTo(t, bot).at(p.url).mustPost(t, textUpdate(1, 3, "Hello again"), 200)
	p.processed(connection, 3)
}

func TestARotationNamesWhatNoKeyOpens(t *testing.T) {
	t.Parallel()
	p := begin(t)
	_, connection := p.bot(p.campaign("Shop"), "shop_bot")
	p.stop()
	other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	var out bytes.Buffer
	err := run(t.Context(), []string{"keys", "rotate", "--data=" + p.settings.Data, "--secret-keys=" + other}, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "1 rows") || !strings.Contains(out.String(), connection) {
		t.Errorf("%v; it printed %q", err, out.String())
	}
	if strings.Contains(out.String()+err.Error(), other) {
		t.Error("a key was told")
	}
	out.Reset()
	err = run(t.Context(), []string{"keys", "rotate", "--data=" + t.TempDir()}, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "--secret-keys") || out.Len() > 0 {
		t.Errorf("without a key file: %v; it printed %q", err, out.String())
	}
}
