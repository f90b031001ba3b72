package transport

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// clientPatience bounds one run of a client, and the installation of all.
const clientPatience = 3 * time.Minute

// clientsVariable makes it a failure that the clients cannot be installed where there
// is Node; without it, on a machine without the internet, they are skipped.
const clientsVariable = "CAUSEWAY_TEST_CLIENTS"

// clientRoom is where the clients of clienttest are installed, once for all tests.
var clientRoom = sync.OnceValues(installClients)

// installClients copies clienttest into a folder that stays between runs, under a name
// made of its lock file, and installs the packages there if they are not yet.
func installClients() (string, error) {
	lock, err := os.ReadFile(filepath.Join("clienttest", "package-lock.json"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	room := filepath.Join(cache, "causeway-clienttest-"+sha256Of(string(lock))[:16])
	if _, err := os.Stat(filepath.Join(room, "installed")); err == nil {
		return room, copyScripts(room) // they may be newer than the packages
	}
	fresh, err := os.MkdirTemp(filepath.Dir(room), "causeway-clienttest-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }() // where it was not renamed
	if err := copyScripts(fresh); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(fresh, "installed"), nil, 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, room); err != nil {
		_, err = os.Stat(filepath.Join(room, "installed")) // another run was faster
		return room, err
	}
	return room, nil
}

// copyScripts copies what is committed of clienttest.
func copyScripts(to string) error {
	for _, pattern := range []string{"*.json", "*.mjs", "*/package.json", "*/*.mjs"} {
		files, err := filepath.Glob(filepath.Join("clienttest", pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			target := filepath.Join(to, file[len("clienttest/"):])
			if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
				return err
			}
			if there, err := os.ReadFile(target); err == nil && bytes.Equal(there, content) {
				continue // another run may be reading it
			}
			if err := os.WriteFile(target, content, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// runsClient runs a script of clienttest against an address. It skips where Node or the
// packages cannot be had.
func runsClient(t *testing.T, script string, arguments ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the clients of npm are not run")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on this machine: the clients of npm are not run", program)
		}
	}
	room, err := clientRoom()
	if err != nil {
		if os.Getenv(clientsVariable) != "" {
			t.Fatalf("install the clients of npm: %v", err)
		}
		t.Skipf("the clients of npm cannot be installed here: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	var out bytes.Buffer
	run := exec.CommandContext(ctx, "node", append([]string{script}, arguments...)...)
	run.Dir, run.Stdout, run.Stderr = room, &out, &out
	if err := run.Run(); err != nil {
		t.Errorf("%s: %v\n%s", script, err, &out)
		return
	}
	t.Logf("%s:\n%s", script, &out)
}

func TestTheAuditOfGraphqlHTTPPasses(t *testing.T) {
	t.Parallel()
	runsClient(t, "clients/audit.mjs", serves(t, nil)+"/graphql")
}

func TestApolloClient3Works(t *testing.T) {
	t.Parallel()
	runsClient(t, "apollo3/client.mjs", serves(t, nil)+"/graphql")
}

func TestApolloClient4Works(t *testing.T) {
	t.Parallel()
	runsClient(t, "apollo4/client.mjs", serves(t, nil)+"/graphql")
}

func TestUrqlWorks(t *testing.T) {
	t.Parallel()
	runsClient(t, "clients/urql.mjs", serves(t, nil)+"/graphql")
}

func TestGraphqlSSEAndEventSourceWork(t *testing.T) {
	t.Parallel()
	runsClient(t, "clients/sse.mjs", serves(t, nil)+"/graphql")
}
