package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"
)

// longestName is how many characters of a name are told: a page may be called
// anything, and the letter is to be read on a phone.
const longestName = 80

//go:embed notice.html notice.txt
var files embed.FS

var (
	page  = htmltemplate.Must(htmltemplate.ParseFS(files, "notice.html"))
	plain = texttemplate.Must(texttemplate.ParseFS(files, "notice.txt"))
)

// Notice is what somebody should know about a connection that does not work. All but
// Language and Since may be empty, and is then left out. The names are the world's:
// whatever they hold, they are told as text on one line.
type Notice struct {
	Language      string // one of en, vi, ru, zh-Hant, zh-Hans; any other is told in English
	Platform      string // Messenger, Telegram
	Connection    string // its name
	Campaign      string // its campaign's name
	Message       string // the problem, already in Language
	Causes        []string
	Solutions     []string
	PlatformWords string // the platform's own words, without secrets
	Link          string // where the connection is looked at; anything but http and https is left out
	Since         time.Time
}

// Compose puts a notice into a letter without a recipient: the same words as text and
// as HTML. The HTML is one piece (no picture, script, font or address is fetched), fits
// a narrow screen, and follows a mail program that shows dark colours.
func Compose(n Notice) (Message, error) {
	w := wordsIn(n.Language)
	n.Platform, n.Connection, n.Campaign = name(n.Platform), name(n.Connection), name(n.Campaign)
	n.PlatformWords = oneLine(n.PlatformWords)
	if !strings.HasPrefix(n.Link, "https://") && !strings.HasPrefix(n.Link, "http://") {
		n.Link = ""
	}
	told := strings.NewReplacer("{connection}", n.Connection, "{campaign}", n.Campaign, "{time}", n.Since.UTC().Format(w.clock)).Replace
	view := struct {
		Notice
		Words words
		Title string
		Where string
		Begun string
	}{n, w, told(w.title), n.Platform, told(w.since)}
	if n.Campaign != "" {
		view.Where = strings.TrimPrefix(n.Platform+" · "+told(w.campaign), " · ")
	}
	var html, text strings.Builder
	if err := page.Execute(&html, view); err != nil {
		return Message{}, fmt.Errorf("compose a notice as HTML: %w", err)
	}
	if err := plain.Execute(&text, view); err != nil {
		return Message{}, fmt.Errorf("compose a notice as text: %w", err)
	}
	return Message{Subject: view.Title, Text: text.String(), HTML: html.String()}, nil
}

// name is a name on one line, cut where it is longer than anybody reads.
func name(s string) string {
	s = oneLine(s)
	if utf8.RuneCountInString(s) <= longestName {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:longestName-1])) + "…"
}
