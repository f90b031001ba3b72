package media

import (
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
)

// maxName bounds a file's name, in bytes; file systems take 255.
const maxName = 200

// shown are the types that a browser may show by itself, because none of them can run a
// script. What is not here is offered for keeping. PDF is not here: a browser's reader
// runs the scripts in it.
var shown = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true,
	"audio/mpeg": true, "audio/ogg": true, "audio/mp4": true, "audio/aac": true, "audio/wav": true, "audio/flac": true,
	"audio/webm": true, "audio/amr": true, "audio/3gpp": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/3gpp": true,
	"video/mpeg": true, "video/matroska": true, "video/x-matroska": true, "video/x-msvideo": true,
	plainText: true,
}

// servedType is the type under which a file of this type is served. A browser must never
// be told one that it would run from here in a page of this server's: those, and all that
// nobody has thought of, are bytes.
func servedType(mimeType string) string {
	name, _, err := mime.ParseMediaType(mimeType)
	if err != nil {
		return unknownType
	}
	kind, sub, _ := strings.Cut(name, "/")
	switch {
	case shown[name]:
		return name
	case strings.HasSuffix(sub, "+xml"): // SVG first of all
		return unknownType
	case kind == "image", kind == "audio", kind == "video":
		return name
	case kind == "application" && (sub == "pdf" || sub == "zip" || sub == "json" || sub == "msword" || strings.HasPrefix(sub, "vnd.")):
		return name
	}
	return unknownType
}

// disposition is the Content-Disposition of a file, by RFC 6266: shown or kept, and its
// name twice, in ASCII for what knows no better and in UTF-8. The name is a stranger's; a
// file without one is called by the fallback and what its type usually ends in.
func disposition(name, mimeType, fallback string) string {
	how := "attachment"
	if shown[servedType(mimeType)] {
		how = "inline"
	}
	name = cleanName(name)
	if name == "" {
		name = fallback
		if known := mimetype.Lookup(mimeType); known != nil {
			name += known.Extension()
		}
	}
	return how + `; filename="` + asciiName(name) + `"; filename*=UTF-8''` + encodedName(name)
}

// cleanName is the name without what can lead out of a folder, hide, or make it read
// otherwise than it is; empty if nothing is left.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '/', r == '\\', r == utf8.RuneError, unicode.IsControl(r):
			return -1
		case unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff':
			return -1
		}
		return r
	}, name)
	name = strings.TrimLeft(name, ". ")
	if len(name) > maxName {
		name = shortened(name)
	}
	return strings.TrimRight(name, ". ")
}

// shortened cuts a name to maxName bytes between characters, and keeps its extension.
func shortened(name string) string {
	extension := path.Ext(name)
	if len(extension) > 16 {
		extension = ""
	}
	end := maxName - len(extension)
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + extension
}

// asciiName is the name with _ for each character that a quoted string cannot hold, or
// that some browsers read otherwise.
func asciiName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
}

// encodedName is the name as an ext-value of RFC 8187.
func encodedName(name string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
