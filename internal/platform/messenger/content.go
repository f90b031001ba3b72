package messenger

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"causeway/internal/platform"
)

// content is what a message says. What has no attachment of its own, such as the
// address of a link or the words of a template, is told in the text.
func (m *message) content() platform.Content {
	content := platform.Content{Text: m.Text}
	for i := range m.Attachments {
		m.Attachments[i].addTo(&content)
	}
	content.Attachments = m.stickers(content.Attachments)
	if content.Text == "" && len(content.Attachments) == 0 || m.Unsupported {
		content.Attachments = append(content.Attachments, unsupported("message"))
	}
	return content
}

func (a *attachment) addTo(content *platform.Content) {
	p := &a.Payload
	one := platform.Attachment{Ref: address(p.URL)}
	switch a.Type {
	case "image":
		one.Kind = platform.Image
		if p.Sticker != "" {
			one.Kind, one.Name = platform.Sticker, stickerName(p.Sticker)
		}
	case "sticker":
		one.Kind, one.Name = platform.Sticker, stickerName(p.Sticker)
	case "video":
		one.Kind = platform.Video
	case "audio": // a voice message as well: Facebook does not tell them apart
		one.Kind = platform.Audio
	case "file":
		one.Kind, one.Name = platform.File, fileName(p.URL)
	case "location":
		one = a.location()
	case "fallback", "share", "post", "ig_post", "reel", "ig_reel", "story_mention":
		one = a.link(content)
	case "template":
		if p.words(content) {
			return
		}
		one = unsupported(joined(" ", "template", string(p.Template)))
	case "appointment_booking":
		content.Text = lines(content.Text, p.appointment())
		return
	default:
		one = unsupported(string(a.Type))
	}
	content.Attachments = append(content.Attachments, one)
}

// unsupported stands for what this program has no words for, named by Facebook's.
func unsupported(name string) platform.Attachment {
	if name == "" || len(name) > 64 {
		name = "unknown"
	}
	return platform.Attachment{Kind: platform.Unsupported, Name: name}
}

// address is what can be fetched; empty for what is none.
func address(s opaque) string {
	const longest = 8192
	if len(s) > longest {
		return ""
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return string(s)
}

// fileName is the name of a file, which stands nowhere but in its address.
func fileName(s opaque) string {
	u, err := url.Parse(string(s))
	if err != nil {
		return ""
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" || len(name) > 255 {
		return ""
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// stickers leaves one sticker of each: for some months of 2026 Facebook sent each twice,
// as an image and as a sticker. Nobody can send a picture together with a sticker, so
// the image beside a sticker is the same one.
func (m *message) stickers(all []platform.Attachment) []platform.Attachment {
	if m.Sticker != "" && len(all) == 0 {
		return []platform.Attachment{{Kind: platform.Sticker, Name: stickerName(m.Sticker)}}
	}
	var sticker bool
	for i := range all {
		if m.Sticker != "" && all[i].Kind == platform.Image {
			all[i].Kind, all[i].Name = platform.Sticker, stickerName(m.Sticker)
		}
		sticker = sticker || all[i].Kind == platform.Sticker
	}
	if !sticker {
		return all
	}
	var kept []platform.Attachment
	var best *platform.Attachment
	for i := range all {
		switch one := all[i]; {
		case one.Kind != platform.Sticker && one.Kind != platform.Image:
			kept = append(kept, one)
		case best == nil:
			best = &all[i]
		case one.Kind == platform.Sticker && (best.Kind != platform.Sticker || best.Ref == ""):
			best = &all[i]
		}
	}
	return append(kept, *best)
}

// stickerName is 👍 for the three sizes of the one that everybody knows.
func stickerName(id ident) string {
	switch id {
	case "369239263222822", "369239343222814", "369239383222810":
		return "👍"
	default:
		return ""
	}
}

func (a *attachment) location() platform.Attachment {
	one := platform.Attachment{Kind: platform.Location, Name: joined(", ", string(a.Payload.Title), string(a.Title))}
	if a.Title == a.Payload.Title {
		one.Name = string(a.Title)
	}
	if c := a.Payload.Coordinates; c != nil {
		one.Latitude, one.Longitude = c.Latitude, c.Longitude
	}
	return one
}

// link is what was shared from elsewhere: its title, with its address in the text unless
// it is there already. It has no bytes.
func (a *attachment) link(content *platform.Content) platform.Attachment {
	title, to := string(a.Payload.Title), string(a.Payload.URL)
	if title == "" {
		title = string(a.Title)
	}
	if to == "" {
		to = string(a.URL)
	}
	if to != "" && !strings.Contains(content.Text, to) {
		content.Text = lines(content.Text, to)
	}
	if title == "" {
		title = to
	}
	return platform.Attachment{Kind: platform.Link, Name: title}
}

// words tells a template, and whether there was anything to tell.
func (p *payload) words(content *platform.Content) bool {
	words := []string{string(p.Text), string(p.Intro)}
	elements := p.Elements
	if p.Product != nil {
		elements = append(elements, p.Product.Elements...)
	}
	for _, e := range elements {
		words = append(words, joined(" – ", string(e.Title), string(e.Subtitle)), string(e.URL))
		words = append(words, buttonWords(e.Buttons)...)
		if ref := address(e.Image); ref != "" {
			content.Attachments = append(content.Attachments, platform.Attachment{Kind: platform.Image, Ref: ref})
		}
	}
	words = append(words, buttonWords(p.Buttons)...)
	told := lines(words...)
	content.Text = lines(content.Text, told)
	return told != ""
}

func buttonWords(buttons []button) []string {
	var words []string
	for _, b := range buttons {
		if text := joined(" ", string(b.Title), string(b.URL)); text != "" {
			words = append(words, "▸ "+text)
		}
	}
	return words
}

func (p *payload) appointment() string {
	const minute = "2006-01-02 15:04 UTC"
	when := ""
	if start := at(p.Start); !start.IsZero() {
		when = start.Format(minute)
		if end := at(p.End); !end.IsZero() {
			when += " – " + end.Format(minute)
		}
	}
	return joined(": ", strings.TrimSpace(fmt.Sprintf("Appointment %s", p.BookingStatus)), when)
}
