package telegram

import (
	"fmt"

	"causeway/internal/platform"
)

// parseMembership reads what became of the bot's own place in a chat.
func parseMembership(body []byte) ([]platform.Event, error) {
	var c membership
	if err := decode(kindMyChatMember, body, &c); err != nil {
		return nil, err
	}
	if c.Chat == nil || !c.Chat.ID.given {
		return nil, lacks(kindMyChatMember, "chat.id")
	}
	if c.New.Status == "" {
		return nil, lacks(kindMyChatMember, "new_chat_member.status")
	}
	in := chatWith(c.Chat, c.From)
	if c.Old.present() && c.New.present() && !c.Chat.private() {
		return []platform.Event{platform.Noted{
			Chat: in, Author: c.author(), Text: c.change(), SentAt: at(c.Date),
		}}, nil
	}
	return []platform.Event{platform.Reachable{
		Chat: in, Reachable: c.New.present(), Text: c.arrival(), At: at(c.Date),
	}}, nil
}

func (c *membership) author() *platform.Person {
	if c.From == nil || !c.From.ID.given {
		return nil
	}
	p := c.From.person()
	return &p
}

// arrival words that the bot can write here now, or no longer.
func (c *membership) arrival() string {
	switch {
	case c.Chat.private() && !c.New.present():
		return "The customer blocked the bot"
	case c.Chat.private() && c.Old.Status == "kicked":
		return "The customer unblocked the bot"
	case c.Chat.private():
		return "The customer started the bot"
	case c.New.present():
		return fmt.Sprintf("The bot was added to the %s", c.Chat.noun())
	default:
		return fmt.Sprintf("The bot was removed from the %s", c.Chat.noun())
	}
}

// change words another role in a chat that the bot stays in.
func (c *membership) change() string {
	switch {
	case c.New.Status == "restricted":
		return "The bot's rights were restricted"
	case c.New.Status == c.Old.Status:
		return "The bot's rights changed"
	case c.New.Status == "administrator":
		return "The bot became an administrator"
	case c.Old.Status == "administrator":
		return "The bot is no longer an administrator"
	default:
		return "The bot's rights changed"
	}
}

// present tells whether the bot is in the chat with this status.
func (s memberStatus) present() bool {
	switch s.Status {
	case "creator", "administrator", "member":
		return true
	case "restricted":
		return s.IsMember
	default:
		return false
	}
}
