package simulator

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

var (
	htmlTag  = regexp.MustCompile(`^<(/?)([a-zA-Z-]+)((?:\s[^>]*)?)>`)
	htmlHref = regexp.MustCompile(`href\s*=\s*["']([^"']*)["']`)
)

// formatted is a call's text after its parse_mode: HTML is read; the two Markdowns are
// not, and are refused rather than shown raw.
func formatted(p params, key, entitiesKey string) (string, []object, error) {
	text := p.text(key)
	switch strings.ToLower(p.text("parse_mode")) {
	case "":
		var entities []object
		_, err := p.decode(entitiesKey, &entities)
		return text, entities, err
	case "html":
		return parseHTML(text)
	case "markdown", "markdownv2":
		return "", nil, badRequest("can't parse entities: this simulator reads HTML only")
	}
	return "", nil, badRequest("unsupported parse_mode")
}

// parseHTML reads the tags that Telegram knows into entities.
func parseHTML(text string) (string, []object, error) {
	kinds := map[string]string{
		"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
		"s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
		"a": "text_link", "blockquote": "blockquote", "tg-spoiler": "spoiler",
	}
	type open struct {
		tag, attributes string
		offset          int
	}
	var (
		plain    strings.Builder
		stack    []open
		entities []object
		length   int
	)
	for at := 0; at < len(text); {
		next := strings.IndexByte(text[at:], '<')
		if next != 0 {
			if next < 0 {
				next = len(text) - at
			}
			piece := html.UnescapeString(text[at : at+next])
			plain.WriteString(piece)
			length += units(piece)
			at += next
			continue
		}
		tag := htmlTag.FindStringSubmatch(text[at:])
		if tag == nil {
			return "", nil, badRequest(fmt.Sprintf("can't parse entities: Unclosed start tag at byte offset %d", at))
		}
		name := strings.ToLower(tag[2])
		switch {
		case kinds[name] == "":
			return "", nil, badRequest(fmt.Sprintf("can't parse entities: Unsupported start tag %q at byte offset %d", name, at))
		case tag[1] == "":
			stack = append(stack, open{name, tag[3], length})
		case len(stack) == 0 || stack[len(stack)-1].tag != name:
			return "", nil, badRequest(fmt.Sprintf("can't parse entities: Unmatched end tag at byte offset %d", at))
		default:
			start := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			entity := object{"type": kinds[name], "offset": start.offset, "length": length - start.offset}
			if href := htmlHref.FindStringSubmatch(start.attributes); name == "a" && href != nil {
				entity["url"] = html.UnescapeString(href[1])
			}
			if length > start.offset {
				entities = append(entities, entity)
			}
		}
		at += len(tag[0])
	}
	if len(stack) > 0 {
		return "", nil, badRequest(fmt.Sprintf("can't parse entities: Can't find end tag corresponding to start tag %q", stack[len(stack)-1].tag))
	}
	return plain.String(), entities, nil
}
