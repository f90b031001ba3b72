package telegram

import (
	"context"

	"causeway/internal/platform"
)

// ShowTyping shows that the bot is typing, for five seconds or until its next message,
// in the topic where the chat names one. There is no call that ends it sooner, so
// false does nothing.
func (c *Client) ShowTyping(ctx context.Context, chat string, typing bool) error {
	const method = "sendChatAction"
	if !typing {
		return nil
	}
	to, thread, err := place(chat)
	if err != nil {
		return &platform.Refusal{Kind: platform.Rejected, Method: method, Message: "the chat's id is not a number"}
	}
	return c.call(ctx, method, struct {
		address
		Action string `json:"action"`
	}{address{ChatID: to, Thread: thread}, "typing"}, nil)
}
