package messenger

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"

	"causeway/internal/platform"
)

// outgoing is the body of a call that sends something.
type outgoing struct {
	Recipient recipient      `json:"recipient"`
	Type      string         `json:"messaging_type,omitempty"`
	Tag       string         `json:"tag,omitempty"`
	Message   *outgoingWords `json:"message,omitempty"`
	ReplyTo   *reply         `json:"reply_to,omitempty"`
	Action    string         `json:"sender_action,omitempty"`
}

type recipient struct {
	ID      string `json:"id,omitempty"`
	UserRef string `json:"user_ref,omitempty"`
}

type reply struct {
	ID string `json:"mid"`
}

type outgoingWords struct {
	Text       string        `json:"text,omitempty"`
	Metadata   string        `json:"metadata,omitempty"`
	Attachment *outgoingFile `json:"attachment,omitempty"`
}

type outgoingFile struct {
	Type    string   `json:"type"`
	Payload struct{} `json:"payload"`
}

func to(chat string) recipient {
	if ref, found := strings.CutPrefix(chat, userRef); found {
		return recipient{UserRef: ref}
	}
	return recipient{ID: chat}
}

// Send sends one text, or one file, which goes out piece by piece as it is read. A
// message that a person wrote after the standard window has the HUMAN_AGENT tag. If
// Facebook will not have the message because of the one it answers, it is sent without
// answering any: a refusal proves that nothing went out. An answer that names no message
// is taken for none: the message may well have gone out, and the echo or Lookup tells.
// Facebook does not say when it took a message; Sent.At is our own time.
func (c *Client) Send(ctx context.Context, m platform.Outgoing) (platform.Sent, error) {
	sent, err := c.send(ctx, m)
	if r := platform.Refused(err); r != nil && m.ReplyTo != "" && r.Kind == platform.Rejected && badParameter(r.Code) {
		m.ReplyTo = ""
		return c.send(ctx, m)
	}
	return sent, err
}

// badParameter tells code 100, with whatever subcode: something in the call is wrong.
func badParameter(code string) bool { return code == "100" || strings.HasPrefix(code, "100/") }

func (c *Client) send(ctx context.Context, m platform.Outgoing) (platform.Sent, error) {
	const name = "messages"
	body := outgoing{
		Recipient: to(m.Chat),
		Type:      "RESPONSE",
		Message:   &outgoingWords{Text: m.Text, Metadata: m.Metadata},
	}
	if m.HumanAgent {
		body.Type, body.Tag = "MESSAGE_TAG", "HUMAN_AGENT"
	}
	if m.ReplyTo != "" {
		body.ReplyTo = &reply{ID: m.ReplyTo}
	}
	content := asJSON(body)
	if m.File != nil {
		body.Message.Text = ""
		body.Message.Attachment = &outgoingFile{Type: typeOf(m.File)}
		content = body.withFile(m.File)
	}
	var sent struct {
		ID ident `json:"message_id"`
	}
	err := c.post(ctx, name, []string{c.page, "messages"}, content, &sent)
	if r := platform.Refused(err); r != nil && r.Kind == platform.Unavailable && r.Code == strconv.Itoa(http.StatusOK) {
		r.Kind = platform.Unreachable
	}
	if err != nil {
		return platform.Sent{}, err
	}
	if sent.ID == "" {
		return platform.Sent{}, &platform.Refusal{
			Kind: platform.Unreachable, Method: name, Code: strconv.Itoa(http.StatusOK), Message: "a message without its id", Sent: true,
		}
	}
	return platform.Sent{ID: string(sent.ID), At: c.clock.Now()}, nil
}

// typeOf is Messenger's word for the kind of a file. It must agree with the file's type,
// or the upload is refused (100/2018047), so that a kind that does not is a file.
func typeOf(f *platform.OutgoingFile) string {
	main, _, _ := strings.Cut(f.MimeType, "/")
	switch {
	case f.Kind == platform.Image && main == "image":
		return "image"
	case f.Kind == platform.Video && main == "video":
		return "video"
	case (f.Kind == platform.Audio || f.Kind == platform.Voice) && main == "audio":
		return "audio"
	default:
		return "file"
	}
}

// withFile is the body as a form, with the file at its end.
func (o outgoing) withFile(f *platform.OutgoingFile) *content {
	var around bytes.Buffer
	form := multipart.NewWriter(&around)
	field := func(name string, value any) {
		text, isText := value.(string)
		if !isText {
			b, _ := json.Marshal(value)
			text = string(b)
		}
		if text != "" {
			_ = form.WriteField(name, text) // into memory
		}
	}
	field("recipient", o.Recipient)
	field("messaging_type", o.Type)
	field("tag", o.Tag)
	field("message", o.Message)
	if o.ReplyTo != nil {
		field("reply_to", o.ReplyTo)
	}
	_, _ = form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("filedata", f.Name)},
		"Content-Type":        {f.MimeType},
	})
	before := bytes.Clone(around.Bytes())
	around.Reset()
	_ = form.Close()
	after := around.Bytes()

	broken := new(atomic.Bool)
	return &content{
		mimeType: form.FormDataContentType(),
		size:     int64(len(before)) + f.Size + int64(len(after)),
		broken:   broken,
		upload:   true,
		open: func() (io.ReadCloser, error) {
			file, err := f.Open()
			if err != nil {
				return nil, err
			}
			whole := &exactly{from: file, left: f.Size, broken: broken}
			return struct {
				io.Reader
				io.Closer
			}{io.MultiReader(bytes.NewReader(before), whole, bytes.NewReader(after)), file}, nil
		},
	}
}

// exactly reads as many bytes as were announced, and notes if there are fewer. Of more,
// the rest is left.
type exactly struct {
	from   io.Reader
	left   int64
	broken *atomic.Bool
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.from.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err != nil && e.left > 0 {
		e.broken.Store(true)
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// ShowTyping shows or hides that somebody types. Facebook hides it by itself after some
// twenty seconds.
func (c *Client) ShowTyping(ctx context.Context, chat string, typing bool) error {
	if typing {
		return c.act(ctx, chat, "typing_on")
	}
	return c.act(ctx, chat, "typing_off")
}

// MarkSeen shows the customer that everything was read.
func (c *Client) MarkSeen(ctx context.Context, chat string) error {
	return c.act(ctx, chat, "mark_seen")
}

func (c *Client) act(ctx context.Context, chat, action string) error {
	return c.post(ctx, action, []string{c.page, "messages"}, asJSON(outgoing{Recipient: to(chat), Action: action}), nil)
}
