package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"causeway/internal/platform"
)

// slowest is how many bytes of a file are expected to go out in a second at least.
const slowest = 256 << 10

// sendFile sends a file; a picture that is no photo to Telegram as a document.
func (c *Client) sendFile(ctx context.Context, to address, f *platform.OutgoingFile) (platform.Sent, error) {
	sent, err := c.sendFileAs(ctx, to, f, f.Kind)
	r := platform.Refused(err)
	if f.Kind == platform.Image && r != nil && r.Kind == platform.FileRejected && mentions(r.Message, "PHOTO_INVALID_DIMENSIONS") {
		return c.sendFileAs(ctx, to, f, platform.File) // what was refused has not gone out
	}
	return sent, err
}

func (c *Client) sendFileAs(
	ctx context.Context, to address, f *platform.OutgoingFile, kind platform.AttachmentKind,
) (platform.Sent, error) {
	method, part := methodFor(kind)
	if limit := Limits().Files[kind]; f.Size > limit {
		return platform.Sent{}, &platform.Refusal{
			Kind: platform.TooLarge, Method: method, Message: fmt.Sprintf("%d bytes are more than the %d that are taken", f.Size, limit),
		}
	}
	u, err := pack(to, part, f)
	if err != nil {
		return platform.Sent{}, &platform.Refusal{Kind: platform.Rejected, Method: method, Message: "the request cannot be written"}
	}
	timeout := callTimeout + time.Duration(f.Size/slowest)*time.Second
	var sent posted
	err = c.deliver(ctx, timeout, method, u.parcel(), &sent)
	if trouble := u.trouble(); err != nil && trouble != nil {
		if errors.Is(trouble, errOtherSize) {
			return platform.Sent{}, &platform.Refusal{Kind: platform.FileRejected, Method: method, Message: trouble.Error()}
		}
		return platform.Sent{}, fmt.Errorf("read the file for %s: %w", method, trouble)
	}
	if r := platform.Refused(err); r != nil {
		blameFile(r)
	}
	return sent.confirmed(method, err)
}

// blameFile tells refusals of a file from those of the message around it. A gateway's
// word that it is too large is believed.
func blameFile(r *platform.Refusal) {
	switch {
	case r.Code == strconv.Itoa(http.StatusRequestEntityTooLarge):
		r.Kind = platform.TooLarge
	case r.Kind != platform.Rejected:
	case mentions(r.Message, "too big", "too large"):
		r.Kind = platform.TooLarge
	case ofFile(r.Message):
		r.Kind = platform.FileRejected
	}
}

// ofFile tells whether a refusal's words are about a file: by Telegram's names such as
// PHOTO_INVALID_DIMENSIONS, but for those that say what the chat does not allow.
func ofFile(message string) bool {
	_, reason, found := strings.Cut(message, ": ")
	if !found {
		reason = message
	}
	reason = strings.ToUpper(strings.TrimSpace(reason))
	if strings.HasSuffix(reason, "_FORBIDDEN") {
		return false
	}
	for _, start := range []string{
		"PHOTO_", "IMAGE_", "VIDEO_", "AUDIO_", "VOICE_", "DOCUMENT_", "MEDIA_", "FILE_",
		"FILE MUST BE NON-EMPTY", "WRONG FILE", "WRONG REMOTE FILE", "INVALID FILE",
	} {
		if strings.HasPrefix(reason, start) {
			return true
		}
	}
	return false
}

// upload is a file on its way, as multipart/form-data. Nothing of the file is held:
// it is read as the connection takes it.
type upload struct {
	file       *platform.OutgoingFile
	mimeType   string
	head, tail []byte // what stands around the file

	mu   sync.Mutex
	last *uploadBody // the latest that was opened
	err  error       // why the file could not be read
}

// pack makes an upload of a file in the part of this name.
func pack(to address, part string, f *platform.OutgoingFile) (*upload, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	fields := [][2]string{{"chat_id", strconv.FormatInt(to.ChatID, 10)}}
	if to.Thread != 0 {
		fields = append(fields, [2]string{"message_thread_id", strconv.FormatInt(to.Thread, 10)})
	}
	if to.Reply != nil {
		answers, err := json.Marshal(to.Reply)
		if err != nil {
			return nil, err
		}
		fields = append(fields, [2]string{"reply_parameters", string(answers)})
	}
	for _, field := range fields {
		if err := w.WriteField(field[0], field[1]); err != nil {
			return nil, err
		}
	}
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition(part, fileName(f.Name))},
		"Content-Type":        {mediaType(f.MimeType)},
	})
	if err != nil {
		return nil, err
	}
	head := form.Len()
	if err := w.Close(); err != nil {
		return nil, err
	}
	whole := form.Bytes()
	return &upload{file: f, mimeType: w.FormDataContentType(), head: whole[:head], tail: whole[head:]}, nil
}

// maxName is the longest name of a file, in bytes, that is passed on whole.
const maxName = 200

// fileName is a name that no parser of headers stumbles over, with the ending kept.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '/', r == '\\', r == unicode.ReplacementChar:
			return '_'
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, name)
	if len(name) > maxName {
		ending := path.Ext(name)
		if len(ending) > maxName/4 {
			ending = ""
		}
		name = strings.ToValidUTF8(name[:maxName-len(ending)], "") + ending
	}
	if name == "" {
		return "file"
	}
	return name
}

// mediaType is a type that can stand in a header.
func mediaType(t string) string {
	if parsed, _, err := mime.ParseMediaType(t); err == nil && strings.Contains(parsed, "/") {
		return parsed
	}
	return "application/octet-stream"
}

func (u *upload) parcel() parcel {
	return parcel{
		mimeType: u.mimeType, size: int64(len(u.head)) + u.file.Size + int64(len(u.tail)),
		open: u.open, arrived: u.arrived,
	}
}

func (u *upload) open() (io.ReadCloser, error) {
	file, err := u.file.Open()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.err = err
		return nil, err
	}
	u.last = &uploadBody{
		of: u, file: file,
		parts: io.MultiReader(bytes.NewReader(u.head), &exactly{file, u.file.Size}, bytes.NewReader(u.tail)),
		left:  int64(len(u.head)) + u.file.Size + int64(len(u.tail)),
	}
	return u.last, nil
}

// arrived tells whether the last byte was read for sending. If not, it never will be,
// and Telegram does nothing with a request that breaks off.
func (u *upload) arrived() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last.over = true
	return u.last.left == 0
}

// trouble is why the file could not be read; nil if it could.
func (u *upload) trouble() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// uploadBody is an upload being read. The lock of the upload guards left and over, and
// is not held while the file is read: that may take its time.
type uploadBody struct {
	of    *upload
	file  io.Closer
	parts io.Reader
	left  int64
	over  bool
}

var errOver = errors.New("nobody waits for this upload any more")

func (b *uploadBody) Read(p []byte) (int, error) {
	n, err := b.parts.Read(p)
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	if b.over {
		return 0, errOver
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.of.err = err
	}
	return n, err
}

// Close lets go of the file. It may come while the file is read, which is no trouble
// with the file.
func (b *uploadBody) Close() error {
	b.of.mu.Lock()
	b.over = true
	b.of.mu.Unlock()
	return b.file.Close()
}

var errOtherSize = errors.New("the file is not as long as it was said to be")

// exactly reads a file of which the length was told already.
type exactly struct {
	file io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.file.Read(p)
	e.left -= int64(n)
	if e.left < 0 || e.left > 0 && errors.Is(err, io.EOF) {
		return 0, errOtherSize
	}
	return n, err
}
