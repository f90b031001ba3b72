// Package telegram speaks the Telegram Bot API: Parser reads the updates a bot gets
// and says what they mean in the words of package platform, and Client makes the
// calls. Our database does not enter, nor does any other platform. Parser holds
// nothing and Client only what it was made with, so both are safe for several
// goroutines.
//
// Ids: a chat is its decimal number ("42", "-1001234"), a forum topic is the chat
// and the topic's thread ("-1001234:4"), and a message is the chat it was written in
// and its number there ("-1001234/35"), since Telegram counts messages per chat.
package telegram

import (
	"encoding/json"
	"errors"
	"fmt"

	"causeway/internal/platform"
)

// SecretHeader is the header in which Telegram sends a webhook's secret along, in Go's
// canonical form.
const SecretHeader = "X-Telegram-Bot-Api-Secret-Token"

// The kinds of updates this program understands. Every other kind is no error and
// means nothing.
const (
	kindMessage           = "message"
	kindEditedMessage     = "edited_message"
	kindChannelPost       = "channel_post"
	kindEditedChannelPost = "edited_channel_post"
	kindCallbackQuery     = "callback_query"
	kindReaction          = "message_reaction"
	kindMyChatMember      = "my_chat_member"
)

// AllowedUpdates are the kinds of updates to ask Telegram for: those that Parse
// understands. Reactions come only to who names them.
func AllowedUpdates() []string {
	return []string{
		kindMessage, kindEditedMessage, kindChannelPost, kindEditedChannelPost,
		kindCallbackQuery, kindReaction, kindMyChatMember,
	}
}

// Parser reads Telegram's updates.
type Parser struct{}

var _ platform.Parser = Parser{}

// Parse tells what an update means to the bot with this id, as platform.Parser says.
// ButtonTapped.At is zero, since Telegram does not tell when a button was tapped; so
// is every time that Telegram gives as 0. A reaction does not say in which topic its
// message is, so its chat is without one. An error repeats nothing of the update.
func (Parser) Parse(account string, raw []byte) ([]platform.Event, error) {
	u, err := open(raw)
	if err != nil {
		return nil, err
	}
	switch kind := u.event(); kind {
	case kindMessage, kindChannelPost:
		return parseMessage(account, kind, u.body)
	case kindEditedMessage, kindEditedChannelPost:
		return parseEdit(kind, u.body)
	case kindCallbackQuery:
		return parseTap(u.body)
	case kindReaction:
		return parseReaction(u.body)
	case kindMyChatMember:
		return parseMembership(u.body)
	default:
		return nil, nil
	}
}

// decode reads the body of an update of a known kind. Package json's errors quote
// what they read, so only the place is kept of them.
func decode(kind string, body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return fmt.Errorf("%s: %s has not the shape the Bot API gives it", kind, wrong.Field)
	}
	return fmt.Errorf("%s: not the shape the Bot API gives it", kind)
}

// lacks is the error of an update without a field that makes it what it is.
func lacks(kind, field string) error { return fmt.Errorf("%s: %s is missing", kind, field) }
