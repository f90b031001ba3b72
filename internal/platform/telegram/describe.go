package telegram

import (
	"context"
	"strconv"

	"causeway/internal/platform"
)

// Describe reads name, username and picture of a customer, a group or a channel that
// the bot knows. The picture is the small one, 160 pixels wide, and its file_id holds
// until the picture is changed. Telegram tells no language here.
func (c *Client) Describe(ctx context.Context, contact string) (platform.ContactProfile, error) {
	const method = "getChat"
	id, err := strconv.ParseInt(contact, 10, 64)
	if err != nil {
		return platform.ContactProfile{}, &platform.Refusal{
			Kind: platform.Rejected, Method: method, Message: "the contact's id is not a number",
		}
	}
	var found struct {
		chat
		Photo struct {
			Small string `json:"small_file_id"`
		} `json:"photo"`
	}
	if err := c.call(ctx, method, map[string]any{"chat_id": id}, &found); err != nil {
		return platform.ContactProfile{}, err
	}
	return platform.ContactProfile{
		Name:      firstSeen(found.Title, found.FirstName+" "+found.LastName, handle(found.Username), ""),
		Username:  found.Username,
		AvatarRef: found.Photo.Small,
	}, nil
}
