package telegram

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
	"strings"

	"causeway/internal/platform"
)

// content is what the message says, in the kinds that are known here. What has no
// attachment of its own is told in words.
func (m *message) content() platform.Content {
	words := []string{m.Text, m.Caption}
	if m.Contact != nil {
		words = append(words, m.Contact.words())
	}
	if m.Poll != nil {
		words = append(words, m.Poll.words())
	}
	if m.Dice != nil {
		words = append(words, m.Dice.words())
	}
	return platform.Content{Text: lines(words...), Attachments: m.attachments()}
}

// understood tells whether something of the message's kind is in its content. A
// caption alone is not: it stands under something.
func (m *message) understood(c platform.Content) bool {
	return len(c.Attachments) > 0 || c.Text != m.Caption
}

func (m *message) attachments() []platform.Attachment {
	var all []platform.Attachment
	if len(m.Photo) > 0 {
		all = append(all, largest(m.Photo).attachment(platform.Image))
	}
	switch {
	case m.Animation != nil: // stands under document as well
		all = append(all, m.Animation.attachment(platform.Video))
	case m.Document != nil:
		all = append(all, m.Document.attachment(platform.File))
	}
	for _, f := range []struct {
		kind platform.AttachmentKind
		file *file
	}{
		{platform.Video, m.Video},
		{platform.Audio, m.Audio.titled()},
		{platform.Voice, m.Voice},
		{platform.Video, m.VideoNote.round()},
		{platform.Sticker, m.Sticker.named()},
	} {
		if f.file != nil {
			all = append(all, f.file.attachment(f.kind))
		}
	}
	switch {
	case m.Venue != nil: // stands under location as well
		all = append(all, m.Venue.attachment())
	case m.Location != nil:
		all = append(all, m.Location.attachment(""))
	}
	if m.Contact != nil {
		all = append(all, platform.Attachment{Kind: platform.ContactCard, Name: m.Contact.name()})
	}
	return all
}

func (f *file) attachment(kind platform.AttachmentKind) platform.Attachment {
	return platform.Attachment{
		Kind:            kind,
		Ref:             f.ID,
		Name:            f.Name,
		MimeType:        f.MimeType,
		Size:            whole53(f.Size),
		Width:           pixels(f.Width),
		Height:          pixels(f.Height),
		DurationSeconds: max(f.Duration, 0),
	}
}

// largest is the picture in its best size; Telegram sends several.
func largest(sizes []file) *file {
	best := &sizes[0]
	for i := range sizes {
		f := &sizes[i]
		if cmp.Or(cmp.Compare(f.Width*f.Height, best.Width*best.Height), cmp.Compare(f.Size, best.Size)) > 0 {
			best = f
		}
	}
	return best
}

// titled gives a piece of music without a file name the name of what is played.
func (f *file) titled() *file {
	if f == nil || f.Name != "" {
		return f
	}
	named := *f
	named.Name = joined(" – ", f.Performer, f.Title)
	return &named
}

// round gives a video note its size: it is as wide as high.
func (f *file) round() *file {
	if f == nil {
		return nil
	}
	note := *f
	note.Width, note.Height = f.Length, f.Length
	return &note
}

// named gives a sticker its emoji for a name, and the type that Telegram only hints at.
func (f *file) named() *file {
	if f == nil {
		return nil
	}
	sticker := *f
	sticker.Name = f.Emoji
	switch {
	case f.MimeType != "":
	case f.Animated:
		sticker.MimeType = "application/x-tgsticker"
	case f.Video:
		sticker.MimeType = "video/webm"
	default:
		sticker.MimeType = "image/webp"
	}
	return &sticker
}

func (l *location) attachment(name string) platform.Attachment {
	a := platform.Attachment{Kind: platform.Location, Name: name}
	if l != nil {
		a.Latitude, a.Longitude = l.Latitude, l.Longitude
	}
	return a
}

func (v *venue) attachment() platform.Attachment {
	return v.Location.attachment(joined(", ", v.Title, v.Address))
}

func (c *contact) name() string {
	return firstSeen(c.FirstName+" "+c.LastName, c.Phone)
}

func (c *contact) words() string {
	if c.name() == c.Phone {
		return c.Phone
	}
	return joined(", ", c.name(), c.Phone)
}

func (p *poll) words() string {
	all := []string{p.Question}
	for _, option := range p.Options {
		all = append(all, "• "+option.Text)
	}
	return lines(all...)
}

func (d *dice) words() string {
	return joined(" ", d.Emoji, strconv.FormatInt(d.Value, 10))
}

// unsupported stands for what a customer sent and this program has no words for: it
// is named after its key, so that agents at least see that something came. New
// fields come with every version of the Bot API; an object is more likely to be the
// content than a flag is.
func unsupported(body []byte) platform.Attachment {
	var object, other []byte
	for key, value := range members(body) {
		switch {
		case accompanies(string(key)) || absent(value):
		case object == nil && (value[0] == '{' || value[0] == '['):
			object = key
		case other == nil:
			other = key
		}
	}
	name := object
	if name == nil {
		name = other
	}
	if len(name) == 0 || len(name) > 64 {
		name = []byte("unknown")
	}
	return platform.Attachment{Kind: platform.Unsupported, Name: string(bytes.ToValidUTF8(name, []byte("\uFFFD")))}
}

// absent tells a value that says no more than a missing key would.
func absent(value []byte) bool {
	return string(value) == "null" || string(value) == "false"
}

// accompanies tells the keys of a message that are not what it says.
func accompanies(key string) bool {
	switch key {
	case "message_id", "message_thread_id", "direct_messages_topic", "from", "sender_chat",
		"sender_boost_count", "sender_business_bot", "sender_tag", "date", "guest_query_id",
		"guest_bot_caller_user", "guest_bot_caller_chat", "business_connection_id", "chat",
		"forward_origin", "forward_from", "forward_from_chat", "forward_from_message_id",
		"forward_signature", "forward_sender_name", "forward_date",
		"is_topic_message", "is_automatic_forward", "reply_to_message", "external_reply", "quote",
		"reply_to_story", "reply_to_checklist_task_id", "reply_to_poll_option_id", "via_bot",
		"edit_date", "has_protected_content", "is_from_offline", "is_paid_post",
		"media_group_id", "author_signature", "paid_star_count", "text", "entities",
		"link_preview_options", "suggested_post_info", "effect_id", "caption",
		"caption_entities", "show_caption_above_media", "has_media_spoiler", "reply_markup":
		return true
	default:
		return false
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

// whole53 is a size as a whole number; zero if it is negative or more than a JSON
// number holds exactly.
func whole53(n float64) int64 {
	if !(n > 0) || n > 1<<53 {
		return 0
	}
	return int64(n)
}

// pixels is a side of a picture; zero if it is no side of any.
func pixels(n float64) int {
	if !(n > 0) || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}
