package telegram

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"causeway/internal/platform"
)

// Limits are what the Bot API takes of a message: 4096 characters, counted in UTF-16
// code units to be safe.
func Limits() platform.Limits { return platform.Limits{Text: 4096} }

// reply is Telegram's reply_parameters.
type reply struct {
	MessageID int64 `json:"message_id"`
	// Anyway sends the message also where the one it answers is gone.
	Anyway bool `json:"allow_sending_without_reply"`
}

// Send sends a text as it was typed: without parse_mode, so that nothing in it is
// taken for markup. A message that is answered counts only in the chat in which the
// answer goes out. An answer of Telegram's that names no message is taken for none:
// the message may well have gone out.
func (c *Client) Send(ctx context.Context, m platform.Outgoing) (platform.Sent, error) {
	const method = "sendMessage"
	to, thread, err := place(m.Chat)
	if err != nil {
		return platform.Sent{}, &platform.Refusal{Kind: platform.Rejected, Method: method, Message: "the chat's id is not a number"}
	}
	var sent struct {
		ID   ident `json:"message_id"`
		Chat *chat `json:"chat"`
		Date int64 `json:"date"`
	}
	err = c.call(ctx, method, struct {
		ChatID int64  `json:"chat_id"`
		Thread int64  `json:"message_thread_id,omitempty"`
		Text   string `json:"text"`
		Reply  *reply `json:"reply_parameters,omitempty"`
	}{to, thread, m.Text, answered(to, m.ReplyTo)}, &sent)
	if r := platform.Refused(err); r != nil && r.Kind == platform.Unavailable && r.Code == strconv.Itoa(http.StatusOK) {
		r.Kind = platform.Unreachable
	}
	if err != nil {
		return platform.Sent{}, err
	}
	if !sent.ID.given || sent.Chat == nil {
		return platform.Sent{}, &platform.Refusal{
			Kind: platform.Unreachable, Method: method, Code: strconv.Itoa(http.StatusOK), Message: "a message without its id", Sent: true,
		}
	}
	return platform.Sent{ID: messageID(sent.Chat, sent.ID), At: at(sent.Date)}, nil
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
