package telegram

import "causeway/internal/platform"

// parseReaction reads the reactions one person now has on a message. Of a custom
// emoji only a number is told, and of a paid one that it cost a star.
func parseReaction(body []byte) ([]platform.Event, error) {
	var r reaction
	if err := decode(kindReaction, body, &r); err != nil {
		return nil, err
	}
	if r.Chat == nil || !r.Chat.ID.given {
		return nil, lacks(kindReaction, "chat.id")
	}
	if !r.MessageID.given {
		return nil, lacks(kindReaction, "message_id")
	}
	reacted := platform.Reacted{
		Chat:      chatWith(r.Chat, r.User),
		MessageID: messageID(r.Chat, r.MessageID),
		At:        at(r.Date),
	}
	switch {
	case r.User != nil && r.User.ID.given:
		reacted.Author = r.User.person()
	case r.ActorChat != nil && r.ActorChat.ID.given:
		reacted.Author = r.ActorChat.person()
	default:
		reacted.Author = r.Chat.person()
	}
	for _, now := range r.Now {
		switch {
		case now.Emoji != "":
			reacted.Emoji = append(reacted.Emoji, now.Emoji)
		case now.Type == "paid":
			reacted.Emoji = append(reacted.Emoji, "⭐")
		default:
			reacted.Emoji = append(reacted.Emoji, "❔")
		}
	}
	return []platform.Event{reacted}, nil
}
