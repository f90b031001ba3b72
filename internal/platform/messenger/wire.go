package messenger

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What follows is the part of Facebook's objects that this program reads. Keys that
// are not here are ignored: Facebook adds some several times a year.

// entry is what a body says of one page.
type entry struct {
	ID        ident             `json:"id"`
	Time      number            `json:"time"`
	Messaging []json.RawMessage `json:"messaging"`
	Standby   []json.RawMessage `json:"standby"`
	Changes   []struct {
		Field string `json:"field"`
	} `json:"changes"`
}

// party is who sent an event, or got it.
type party struct {
	ID      ident `json:"id"`
	UserRef ident `json:"user_ref"`
}

type message struct {
	ID          ident        `json:"mid"`
	Text        string       `json:"text"`
	Echo        bool         `json:"is_echo"`
	Deleted     bool         `json:"is_deleted"`
	Unsupported bool         `json:"is_unsupported"`
	App         ident        `json:"app_id"`
	Metadata    opaque       `json:"metadata"`
	Sticker     ident        `json:"sticker_id"`
	Attachments []attachment `json:"attachments"`
	Referral    *referral    `json:"referral"`
	QuickReply  *struct {
		Payload opaque `json:"payload"`
	} `json:"quick_reply"`
	ReplyTo *struct {
		ID ident `json:"mid"`
	} `json:"reply_to"`
}

// attachment is anything a message carries. Of some kinds, title and address stand
// beside the type.
type attachment struct {
	Type    opaque  `json:"type"`
	Title   opaque  `json:"title"`
	URL     opaque  `json:"url"`
	Payload payload `json:"payload"`
}

// payload is the inside of an attachment. Facebook also puts null or a string here,
// which are as good as nothing.
type payload struct {
	URL         opaque `json:"url"`
	Title       opaque `json:"title"`
	Sticker     ident  `json:"sticker_id"`
	Coordinates *struct {
		Latitude  *float64 `json:"lat"`
		Longitude *float64 `json:"long"`
	} `json:"coordinates"`

	Template opaque    `json:"template_type"`
	Text     opaque    `json:"text"`
	Intro    opaque    `json:"intro_message"`
	Elements []element `json:"elements"`
	Buttons  []button  `json:"buttons"`
	Product  *struct {
		Elements []element `json:"elements"`
	} `json:"product"`

	BookingStatus opaque `json:"status"`
	Start         number `json:"start_time"`
	End           number `json:"end_time"`
}

// UnmarshalJSON reads what it can: an attachment of an unexpected shape is shown as
// one that is not supported, and does not cost the message.
func (p *payload) UnmarshalJSON(b []byte) error {
	type plain payload
	var read plain
	if json.Unmarshal(b, &read) == nil {
		*p = payload(read)
	}
	return nil
}

type element struct {
	Title    opaque   `json:"title"`
	Subtitle opaque   `json:"subtitle"`
	Image    opaque   `json:"image_url"`
	URL      opaque   `json:"url"`
	Buttons  []button `json:"buttons"`
}

type button struct {
	Title opaque `json:"title"`
	URL   opaque `json:"url"`
}

type referral struct {
	Ref     opaque `json:"ref"`
	Source  opaque `json:"source"`
	Type    opaque `json:"type"`
	Ad      ident  `json:"ad_id"`
	Referer opaque `json:"referer_uri"`
	Product *struct {
		ID ident `json:"id"`
	} `json:"product"`
	AdContext *struct {
		Title opaque `json:"ad_title"`
	} `json:"ads_context_data"`
}

// ident is an id: a string, or a whole number, which is kept as it is written, since
// Facebook's go beyond what a float64 holds. Anything else is no id, and empty.
type ident string

// maxIdent is the longest id that is taken for one, in bytes. Facebook's mids have
// some two hundred.
const maxIdent = 512

// UnmarshalJSON never fails: what must have an id is looked at afterwards.
func (id *ident) UnmarshalJSON(b []byte) error {
	*id = ""
	if b[0] != '"' {
		if whole(b) {
			*id = ident(b)
		}
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil && len(s) <= maxIdent && !strings.ContainsFunc(s, unicode.IsControl) {
		*id = ident(s)
	}
	return nil
}

// whole tells a number without sign, fraction and exponent.
func whole(b []byte) bool {
	if len(b) == 0 || len(b) > 40 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// opaque is a text that is sometimes a number, and sometimes something else, which is
// as good as nothing.
type opaque string

// UnmarshalJSON never fails.
func (o *opaque) UnmarshalJSON(b []byte) error {
	*o = ""
	switch c := b[0]; {
	case c == '"':
		_ = json.Unmarshal(b, (*string)(o))
	case c == '-' || '0' <= c && c <= '9':
		*o = opaque(b)
	}
	return nil
}

// number is a whole number, quoted or not; zero if it is none.
type number int64

// UnmarshalJSON never fails.
func (n *number) UnmarshalJSON(b []byte) error {
	*n = 0
	if i, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64); err == nil {
		*n = number(i)
	}
	return nil
}

var (
	_ json.Unmarshaler = (*ident)(nil)
	_ json.Unmarshaler = (*opaque)(nil)
	_ json.Unmarshaler = (*number)(nil)
	_ json.Unmarshaler = (*payload)(nil)
)

// at is the time that a number of Facebook's means: milliseconds, or seconds, as some
// events have it. As milliseconds, the largest that is taken for seconds is in 1973.
// Zero for what no calendar of ours holds.
func at(n number) time.Time {
	const seconds, endOfYear9999 = 100_000_000_000, 253402300799999
	switch {
	case n <= 0 || n > endOfYear9999:
		return time.Time{}
	case n < seconds:
		return time.Unix(int64(n), 0).UTC()
	default:
		return time.UnixMilli(int64(n)).UTC()
	}
}

// joined puts what there is of parts together.
func joined(separator string, parts ...string) string {
	there := make([]string, 0, len(parts))
	for _, part := range parts {
		if part != "" {
			there = append(there, part)
		}
	}
	return strings.Join(there, separator)
}

func lines(parts ...string) string { return joined("\n", parts...) }

// short cuts a text that stands inside a sentence of ours.
func short(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// quoted is a short text in quotation marks; empty for none.
func quoted(text opaque) string {
	if s := short(string(text)); s != "" {
		return "“" + s + "”"
	}
	return ""
}
