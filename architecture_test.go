package causeway_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// floors are the rooms from the ground up, as docs/architecture.md draws them. An
// import points to a lower floor only; where the order within a floor matters, the
// floor is split into lines.
var floors = [][]string{
	{"."},
	{"internal/platform"},
	{"ent"},
	{"internal/store", "internal/bus", "internal/secret", "internal/mail", "internal/problem",
		"internal/platform/telegram", "internal/platform/messenger", "internal/platform/simulator", "internal/transport", "internal/playground"},
	{"internal/auth", "internal/queue", "internal/media"},
	{"internal/intake", "internal/feed", "internal/audit", "internal/presence"},
	{"internal/campaign", "internal/conversation", "internal/connection"},
	{"graph", "internal/webhook"},
	{"server"},
}

// rooms that may not know all that lies below them.
var strangers = map[string][]string{
	"internal/platform/simulator": {"ent", "internal/"},      // it speaks HTTP only; platform itself is below
	"internal/platform/telegram":  {"ent"},                   // our database
	"internal/platform/messenger": {"ent"},                   // our database
	"internal/mail":               {"ent"},                   // it is told what to say
	"internal/transport":          {".", "ent", "internal/"}, // this schema, this product
	"internal/media":              {"ent", "internal/"},      // it is handed readers, not tokens or rows
	"internal/playground":         {".", "ent", "internal/"}, // it is a page
	"internal/conversation":       {"internal/platform/"},    // one platform's words
	"internal/webhook":            {"ent", "internal/store"}, // it hands in, it does not read
	"graph":                       {"internal/platform/telegram", "internal/platform/messenger", "internal/platform/simulator"},
}

// allowed are the exceptions from strangers.
var allowed = map[string]string{"internal/platform/simulator": "internal/platform"}

func TestAnImportPointsToALowerFloorOnly(t *testing.T) {
	t.Parallel()
	for from, imports := range importsOfRooms(t) {
		for _, to := range imports {
			if from == to {
				continue
			}
			if floorOf(t, to) >= floorOf(t, from) {
				t.Errorf("%s imports %s, which is not below it", from, to)
			}
			for _, stranger := range strangers[from] {
				known := to == stranger || strings.HasSuffix(stranger, "/") && strings.HasPrefix(to, stranger)
				if known && allowed[from] != to {
					t.Errorf("%s imports %s, which it must not know", from, to)
				}
			}
		}
	}
}

// importsOfRooms are the rooms that each room's own code imports; tests may look
// anywhere, and so may commands that no room imports.
func importsOfRooms(t *testing.T) map[string][]string {
	t.Helper()
	rooms := map[string][]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := path.Base(name); base != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bench" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "tools.go" || name == "ent/entc.go" {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from, err := roomOf(path.Dir(name))
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if imported != "causeway" && !strings.HasPrefix(imported, "causeway/") {
				continue
			}
			to, err := roomOf(strings.TrimPrefix(strings.TrimPrefix(imported, "causeway"), "/"))
			if err != nil {
				return err
			}
			rooms[from] = append(rooms[from], to)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rooms) < 10 {
		t.Fatalf("only %d rooms were found", len(rooms))
	}
	return rooms
}

// roomOf is the room that a folder belongs to: itself or the nearest one above it.
func roomOf(dir string) (string, error) {
	if dir == "" {
		dir = "."
	}
	for at := dir; ; at = path.Dir(at) {
		for _, floor := range floors {
			for _, room := range floor {
				if room == at {
					return room, nil
				}
			}
		}
		if at == "." || path.Dir(at) == "." {
			return "", fmt.Errorf("%s is no room: give it a floor here and in docs/architecture.md", dir)
		}
	}
}

func floorOf(t *testing.T, room string) int {
	t.Helper()
	for i, floor := range floors {
		for _, r := range floor {
			if r == room {
				return i
			}
		}
	}
	t.Fatalf("%s has no floor", room)
	return 0
}
