package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"causeway/internal/secret"
)

func TestTheFirstStartMakesAKeyFileThatTheSecondReads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "secret.key")
	first, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatalf("first start: %v", err)
	}
	sealed := seal(t, first, "token", "conn_a")
	second, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatalf("second start: %v", err)
	}
	if plain, err := second.Open(sealed, "conn_a"); err != nil || string(plain) != "token" {
		t.Fatalf("after a restart: %q, %v", plain, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v", info.Mode(), err)
	}
	if names := list(t, filepath.Dir(path)); len(names) != 1 {
		t.Fatalf("left behind: %v", names)
	}
}

func TestServersThatStartAtOnceGetTheSameKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	rings := make([]*secret.Ring, 16)
	var starting sync.WaitGroup
	for i := range rings {
		starting.Go(func() {
			var err error
			if rings[i], err = secret.LoadOrCreate(path); err != nil {
				t.Errorf("start %d: %v", i, err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	sealed := seal(t, rings[0], "token", "conn_a")
	for i, r := range rings {
		if r.NeedsRotation(sealed) {
			t.Errorf("start %d got another key", i)
		}
	}
	if names := list(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestAKeyFileThatOthersCanReachIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o644, 0o640, 0o620, 0o601} {
		path := keyFile(t, keyText(1), mode)
		_, err := secret.LoadOrCreate(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if _, err := secret.LoadOrCreate(keyFile(t, keyText(1), mode)); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestABrokenKeyFileIsNeverReplaced(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "hunter2!", strings.Repeat("A", 100_000)} {
		path := keyFile(t, text, 0o600)
		_, err := secret.LoadOrCreate(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.10q: %v", text, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%.10q was replaced: %v", text, err)
		}
	}
	if _, err := secret.LoadOrCreate(t.TempDir()); err == nil {
		t.Error("a folder was taken for a key file")
	}
}

func TestAKeyFileHoldsAsManyKeysAsTheSetting(t *testing.T) {
	t.Parallel()
	old := seal(t, ring(t, keyText(1)), "token", "conn_a")
	r, err := secret.LoadOrCreate(keyFile(t, keyText(2)+",\n"+keyText(1)+"\n", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(old, "conn_a"); err != nil || !r.NeedsRotation(old) {
		t.Fatalf("the older key of the file: %v", err)
	}
}

func keyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func list(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestANewKeySealsAtOnceInEveryProcessThatReadTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	server, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	old := seal(t, server, "token", "conn_a")
	derived, _ := server.Derive("addresses")
	rotating, err := secret.AddKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if !rotating.NeedsRotation(old) {
		t.Error("there is no new key")
	}
	renewed := seal(t, rotating, "token", "conn_a")
	for what, sealed := range map[string][]byte{"the new key": renewed, "the old key": old} {
		if plain, err := server.Open(sealed, "conn_a"); err != nil || string(plain) != "token" {
			t.Errorf("what %s sealed, in the server that ran before: %q, %v", what, plain, err)
		}
	}
	if rotating.NeedsRotation(seal(t, server, "another", "conn_b")) {
		t.Error("the server that ran before still seals with the old key")
	}
	if now, _ := server.Derive("addresses"); string(now) != string(derived) {
		t.Error("a new key changes what is derived")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || len(list(t, filepath.Dir(path))) != 1 {
		t.Errorf("the file has mode %v, %v; beside it: %v", info.Mode(), err, list(t, filepath.Dir(path)))
	}
}

func TestKeysThatAreBroughtInAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	path := keyFile(t, keyText(1), 0o600)
	var sealed [8][]byte
	var bringing sync.WaitGroup
	for i := range sealed {
		bringing.Go(func() {
			if r, err := secret.AddKey(path); err == nil { // else somebody else was at it, which is told
				sealed[i] = seal(t, r, "token", "conn_a")
			} else if !strings.Contains(err.Error(), path+".new") {
				t.Errorf("bringing in key %d: %v", i, err)
			}
		})
	}
	bringing.Wait()
	r, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	some := false
	for i, s := range sealed {
		some = some || s != nil
		if s == nil {
			continue
		}
		if _, err := r.Open(s, "conn_a"); err != nil {
			t.Errorf("key %d was lost: %v", i, err)
		}
	}
	if !some {
		t.Error("nobody brought in a key")
	}
}

func TestAKeyIsBroughtIntoAGoodFileOnly(t *testing.T) {
	t.Parallel()
	if _, err := secret.AddKey(filepath.Join(t.TempDir(), "secret.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	for text, mode := range map[string]os.FileMode{keyText(1): 0o644, "hunter2!": 0o600, strings.Repeat(keyText(1)+",", 400): 0o600} {
		path := keyFile(t, text, mode)
		_, err := secret.AddKey(path)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.10q: %v", text, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%.10q was changed: %v", text, err)
		}
		if names := list(t, filepath.Dir(path)); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
	}
}

func TestARingGoesOnWithItsKeysWhenTheFileIsSpoiled(t *testing.T) {
	t.Parallel()
	path := keyFile(t, keyText(1), 0o600)
	r, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func() error{
		func() error { return os.WriteFile(path, []byte("not a key"), 0o600) },
		func() error { return os.Remove(path) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if plain, err := r.Open(seal(t, r, "token", "conn_a"), "conn_a"); err != nil || string(plain) != "token" {
			t.Errorf("%q, %v", plain, err)
		}
	}
}
