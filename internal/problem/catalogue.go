// Package problem is the catalogue: it puts a causeway.Problem into words a person
// can act on, in five languages, and chooses among the languages. The words live in
// texts, one file per language.
//
// It decides nothing about problems: whether one may be retried, which field it is
// about and who may read it is settled by whoever makes it. Only the words go
// through here, so no secret has a way in; arguments are told as they are given.
//
// Everything here may be used by many goroutines at once; nothing changes after New.
package problem

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"causeway"
)

//go:embed texts/*.json
var texts embed.FS

// Text is a problem in words.
type Text struct {
	Message   string   `json:"message"`             // one or two sentences: what is wrong
	Causes    []string `json:"causes,omitempty"`    // likely causes, most likely first
	Solutions []string `json:"solutions,omitempty"` // what to try, in order
}

// Catalogue knows the words for every code and reason in every supported language.
type Catalogue struct {
	languages map[string]words
}

// words are what one language's file holds. A reason's text may lack causes or
// solutions: then those of the problem's code are told.
type words struct {
	Codes   map[causeway.Code]Text   `json:"codes"`
	Reasons map[causeway.Reason]Text `json:"reasons"`
}

// New reads the catalogue that is built into the program. It fails only if a file
// of it is broken, which the tests of this package rule out.
func New() (*Catalogue, error) {
	c := &Catalogue{languages: map[string]words{}}
	for _, language := range Supported() {
		file, err := texts.ReadFile("texts/" + language + ".json")
		if err != nil {
			return nil, fmt.Errorf("reading the words in %s: %w", language, err)
		}
		w, err := decode(file)
		if err != nil {
			return nil, fmt.Errorf("reading the words in %s: %w", language, err)
		}
		c.languages[language] = w
	}
	return c, nil
}

func decode(file []byte) (words, error) {
	var w words
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields() // a misspelt key would silently drop a text
	return w, d.Decode(&w)
}

// Text tells p in a language: one that Match or Choose answered, or any other
// Accept-Language value, of which the best supported one is taken.
//
// A reason is told in its own words, and has its code's causes or solutions where it
// has none itself. A reason that is unknown, or whose message needs an argument that
// p does not carry, is told in the words of its code; a cause or solution that needs
// such an argument is left out. A code that is unknown is told as INTERNAL. The lists
// are never nil and belong to the caller.
func (c *Catalogue) Text(language string, p causeway.Problem) Text {
	w, ok := c.languages[language]
	if !ok {
		w = c.languages[Match(language)]
	}
	general, ok := w.Codes[p.Code]
	if !ok {
		general = w.Codes[causeway.Internal]
	}
	text := general
	if special, ok := w.Reasons[p.Reason]; ok && tellable(special.Message, p.Args) {
		text = special
	}
	if len(text.Causes) == 0 {
		text.Causes = general.Causes
	}
	if len(text.Solutions) == 0 {
		text.Solutions = general.Solutions
	}
	return filled(text, p.Args)
}

func filled(text Text, args map[string]string) Text {
	message, _ := fill(text.Message, args)
	return Text{
		Message:   message,
		Causes:    fillAll(text.Causes, args),
		Solutions: fillAll(text.Solutions, args),
	}
}

func fillAll(lines []string, args map[string]string) []string {
	told := slices.Grow([]string{}, len(lines))
	for _, line := range lines {
		if line, ok := fill(line, args); ok {
			told = append(told, line)
		}
	}
	return told
}

func tellable(line string, args map[string]string) bool {
	_, ok := fill(line, args)
	return ok
}

// fill puts the arguments in place of their names in braces. It answers false if one
// is missing or empty. What an argument says is never looked at for braces again.
func fill(line string, args map[string]string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, _ := strings.Cut(rest, "}")
		if args[name] == "" {
			return "", false
		}
		b.WriteString(args[name])
		line = after
	}
}
