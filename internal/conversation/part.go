package conversation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/media"
	"causeway/internal/platform"
)

// part is what of a message goes out in one call: its text, or one of its files.
type part struct {
	text string
	file *ent.Attachment // nil for the text
}

// partsOf are a message's parts in the order in which they go out: the text first, then
// each file. Its attachments are loaded in their order.
func partsOf(m *ent.Message) []part {
	var parts []part
	if m.Text != nil || len(m.Edges.Attachments) == 0 {
		parts = append(parts, part{text: deref(m.Text)})
	}
	for _, a := range m.Edges.Attachments {
		parts = append(parts, part{file: a})
	}
	return parts
}

// next is the first part that the platform has not taken yet, and last whether none
// comes after it.
func (l *letter) next() (p part, last bool) {
	return l.parts[l.PartsSent], l.PartsSent == len(l.parts)-1
}

// slowest is how many bytes of a file are expected to go out or come in within a
// second at least.
const slowest = 256 << 10

// callTime bounds the call that sends a part: 15 seconds, and for a file a second more
// for each 256 KiB of it.
func (p part) callTime() time.Duration {
	if p.file == nil || p.file.Size == nil {
		return sendDeadline
	}
	return sendDeadline + time.Duration(*p.file.Size/slowest)*time.Second
}

// metadata is what comes back in the echo of a message's part, where the platform has
// echoes: the message's id, and for every part but the first its place, as in
// msg_01…/2.
func metadata(message causeway.ID, place int) string {
	if place == 0 {
		return string(message)
	}
	return fmt.Sprintf("%s/%d", message, place)
}

// outgoing is the part of a letter that is sent next, as the platform is handed it. The
// message that is answered is named with the first part only.
func (o *outbox) outgoing(ctx context.Context, l *letter) (platform.Outgoing, error) {
	p, _ := l.next()
	out := platform.Outgoing{Chat: l.conv.Chat, Text: p.text, Metadata: metadata(l.ID, l.PartsSent)}
	w, _ := window(o.limits[l.conv.Platform], l.conv, o.clock.Now())
	out.HumanAgent = w == WindowHuman
	if answered := l.Edges.ReplyTo; answered != nil && l.PartsSent == 0 {
		out.ReplyTo = deref(answered.ExternalID)
	}
	if p.file == nil {
		return out, nil
	}
	file, err := o.fileOf(ctx, p.file)
	out.File = file
	return out, err
}

// fileOf is a kept file as the platform is handed it. One that is not kept any more is
// refused as the platform would.
func (o *outbox) fileOf(ctx context.Context, a *ent.Attachment) (*platform.OutgoingFile, error) {
	if o.media == nil {
		return nil, errNoMedia
	}
	hash := deref(a.Hash)
	content, err := o.media.Open(ctx, hash)
	if errors.Is(err, media.ErrNotFound) {
		return nil, &platform.Refusal{Kind: platform.FileRejected, Method: "send", Message: "the file is not kept here any more"}
	}
	if err != nil {
		return nil, err
	}
	if err := content.Close(); err != nil {
		return nil, err
	}
	file := &platform.OutgoingFile{
		Kind: a.Kind, Name: deref(a.Name), MimeType: deref(a.MimeType),
		Open: func() (io.ReadCloser, error) { return o.media.Open(context.WithoutCancel(ctx), hash) },
	}
	if a.Size != nil {
		file.Size = int64(*a.Size)
	}
	if file.Name == "" {
		file.Name = strings.ToLower(string(a.Kind))
	}
	return file, nil
}
