package telegram

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"causeway/internal/platform"
)

// reply is Telegram's reply_parameters.
type reply struct {
	MessageID int64 `json:"message_id"`
	// Anyway sends the message also where the one it answers is gone.
	Anyway bool `json:"allow_sending_without_reply"`
}

// Send sends a text as it was typed: without parse_mode, so that nothing in it is
// taken for markup; or a file, by the method that fits its kind. A message that is
// answered counts only in the chat in which the answer goes out. An answer of
// Telegram's that names no message is taken for none: the message may well have gone
// out. Of a file that did not go out whole, nothing did.
//
// A picture whose dimensions Telegram does not take as a photo goes out as a document.
// A context without a deadline gives a file 15 seconds, and a second more for each
// 256 KiB. A file of ours that cannot be read is no refusal but plain trouble.
func (c *Client) Send(ctx context.Context, m platform.Outgoing) (platform.Sent, error) {
	method := "sendMessage"
	if m.File != nil {
		method, _ = methodFor(m.File.Kind)
	}
	chat, thread, err := place(m.Chat)
	if err != nil {
		return platform.Sent{}, &platform.Refusal{Kind: platform.Rejected, Method: method, Message: "the chat's id is not a number"}
	}
	to := address{ChatID: chat, Thread: thread, Reply: answered(chat, m.ReplyTo)}
	if m.File != nil {
		return c.sendFile(ctx, to, m.File)
	}
	var sent posted
	err = c.call(ctx, method, struct {
		address
		Text string `json:"text"`
	}{to, m.Text}, &sent)
	return sent.confirmed(method, err)
}

// address is where a message goes.
type address struct {
	ChatID int64  `json:"chat_id"`
	Thread int64  `json:"message_thread_id,omitempty"`
	Reply  *reply `json:"reply_parameters,omitempty"`
}

// posted is as much as is read of a message that was sent.
type posted struct {
	ID   ident `json:"message_id"`
	Chat *chat `json:"chat"`
	Date int64 `json:"date"`
}

// confirmed is what came of sending, where err is what the call said.
func (p *posted) confirmed(method string, err error) (platform.Sent, error) {
	if r := platform.Refused(err); r != nil && r.Kind == platform.Unavailable && r.Code == strconv.Itoa(http.StatusOK) {
		r.Kind = platform.Unreachable
	}
	if err != nil {
		return platform.Sent{}, err
	}
	if !p.ID.given || p.Chat == nil {
		return platform.Sent{}, &platform.Refusal{
			Kind: platform.Unreachable, Method: method, Code: strconv.Itoa(http.StatusOK), Message: "a message without its id", Sent: true,
		}
	}
	return platform.Sent{ID: messageID(p.Chat, p.ID), At: at(p.Date)}, nil
}

// place splits a chat's id from its topic's. The General topic, 1, is none: Telegram
// refuses its number.
func place(id string) (chat, thread int64, err error) {
	base, topic, _ := strings.Cut(id, ":")
	if chat, err = strconv.ParseInt(base, 10, 64); err != nil {
		return 0, 0, err
	}
	if topic != "" {
		if thread, err = strconv.ParseInt(topic, 10, 64); err != nil {
			return 0, 0, err
		}
	}
	if thread == generalTopic {
		thread = 0
	}
	return chat, thread, nil
}

// generalTopic is the thread of the topic that every forum has.
const generalTopic = 1

// answered is the message of this chat with the id that messageID made, or nil.
func answered(chat int64, id string) *reply {
	in, number, _ := strings.Cut(id, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || in != strconv.FormatInt(chat, 10) {
		return nil
	}
	return &reply{MessageID: n, Anyway: true}
}
