package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/gif" // what a photo may be
	_ "image/jpeg"
	"maps"
	"net/http"
	"strings"
)

// What send methods exist for: sendPhoto takes "photo", and so on.
var sendable = []string{Photo, Document, Video, Audio, Voice, Sticker, Animation}

const (
	maxText    = 4096
	maxCaption = 1024
	maxPhoto   = 10 << 20
)

// chatToWrite is the chat that a call names, if the bot may write there.
func (b *Bot) chatToWrite(p params) (*chat, error) {
	id := p.number("chat_id")
	switch {
	case p.text("chat_id") == "":
		return nil, badRequest("chat_id is empty")
	case b.tg.bots[id] != nil:
		return nil, forbidden("bot can't send messages to bots")
	case id > 0:
		return b.privateToWrite(id)
	}
	c := b.tg.groups[id]
	if c == nil || c.bots[b] == "" {
		return nil, badRequest("chat not found")
	}
	kind := c.kind + " chat"
	switch {
	case c.movedTo != 0:
		return nil, answer{
			status: http.StatusBadRequest, migrateTo: c.movedTo,
			description: "Bad Request: group chat was upgraded to a supergroup chat",
		}
	case c.bots[b] == "kicked":
		return nil, forbidden("bot was kicked from the " + kind)
	case c.bots[b] == "left":
		return nil, forbidden("bot is not a member of the " + kind)
	}
	return c, nil
}

func (b *Bot) privateToWrite(id int64) (*chat, error) {
	c := b.chats[id]
	switch {
	case c == nil && b.knows(id):
		return nil, forbidden("bot can't initiate conversation with a user")
	case c == nil:
		return nil, badRequest("chat not found")
	case c.customer.deactivated:
		return nil, forbidden("user is deactivated")
	case c.blocked:
		return nil, forbidden("bot was blocked by the user")
	}
	return c, nil
}

// knows reports whether the bot has met the person in a group.
func (b *Bot) knows(id int64) bool {
	for _, c := range b.tg.groups {
		if c.bots[b] == "" {
			continue
		}
		for _, m := range c.messages {
			if m.writer != nil && m.writer.id == id {
				return true
			}
		}
	}
	return false
}

func (b *Bot) sendMessage(p params) (answer, error) {
	text, entities, err := formatted(p, "text", "entities")
	if err != nil {
		return answer{}, err
	}
	switch {
	case strings.TrimSpace(text) == "":
		return answer{}, badRequest("message text is empty")
	case units(text) > maxText:
		return answer{}, badRequest("message is too long")
	}
	content := written("text", text)
	if entities != nil {
		content["entities"] = entities
	}
	return b.send("sendMessage", p, content, nil)
}

// sendMedia sends an upload, or a file that the bot has seen. Addresses of files are
// not fetched: they are refused as Telegram refuses what it cannot get.
func (b *Bot) sendMedia(kind string, p params) (answer, error) {
	caption, entities, err := formatted(p, "caption", "caption_entities")
	if err != nil {
		return answer{}, err
	}
	if units(caption) > maxCaption {
		return answer{}, badRequest("message caption is too long")
	}
	stored, err := b.fileToSend(kind, p)
	if err != nil {
		return answer{}, err
	}
	content := object{}
	if kind != Sticker {
		content = written("caption", caption)
	}
	if entities != nil {
		content["caption_entities"] = entities
	}
	return b.send("send"+title(kind), p, content, stored)
}

// title is a kind as methods spell it.
func title(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

func (b *Bot) fileToSend(kind string, p params) (*file, error) {
	source := p.text(kind)
	if known := b.files[source]; known != nil {
		if known.kind != kind && (kind == Photo || known.kind == Photo || kind == Sticker || known.kind == Sticker) {
			return nil, badRequest("can't use file of type " + title(known.kind) + " as " + title(kind))
		}
		return known, nil
	}
	part, attached := strings.CutPrefix(source, "attach://")
	if !attached {
		part = kind
	}
	sent, ok := p.files[part]
	switch {
	case !ok && strings.Contains(source, "://") && !attached:
		return nil, badRequest("failed to get HTTP URL content")
	case !ok && source == "":
		return nil, badRequest("there is no " + kind + " in the request")
	case !ok:
		return nil, badRequest("wrong remote file identifier specified: Wrong string length")
	case len(sent.data) == 0:
		return nil, badRequest("file must be non-empty")
	case len(sent.data) > maxUpload:
		return nil, answer{status: http.StatusRequestEntityTooLarge, description: "Request Entity Too Large"}
	}
	f := File{
		Name: sent.name, MIME: sent.mime, Data: sent.data, Duration: int(p.number("duration")),
		Width: int(p.number("width")), Height: int(p.number("height")), Emoji: p.text("emoji"),
	}
	switch {
	case kind == Photo:
		return b.tg.photoToSend(f)
	case kind == Document && f.MIME == "image/gif" && !p.truth("disable_content_type_detection"):
		kind = Animation
	}
	return b.tg.keep(kind, f), nil
}

func (tg *Telegram) photoToSend(f File) (*file, error) {
	if len(f.Data) > maxPhoto {
		return nil, badRequest(fmt.Sprintf(
			"file of size %d bytes is too big for a photo; the maximum size is %d bytes", len(f.Data), maxPhoto))
	}
	shape, _, err := image.DecodeConfig(bytes.NewReader(f.Data))
	if err != nil {
		return nil, badRequest("IMAGE_PROCESS_FAILED")
	}
	f.Width, f.Height = shape.Width, shape.Height
	if f.Width+f.Height > 10000 || max(f.Width, f.Height) > 20*max(min(f.Width, f.Height), 1) {
		return nil, badRequest("PHOTO_INVALID_DIMENSIONS")
	}
	return tg.photoOf(f), nil
}

// send puts the bot's message into the chat and answers it. The bot is not told of it.
func (b *Bot) send(method string, p params, content object, stored *file) (answer, error) {
	c, err := b.chatToWrite(p)
	if err != nil {
		return answer{}, err
	}
	m := &message{chat: c, from: b.user(), bot: b, content: content, at: b.tg.clock.Now(), reactions: map[int64][]string{}}
	if c.kind == "channel" {
		m.from, m.sender = nil, c.wire()
	}
	if m.thread, err = c.threadToWrite(p); err != nil {
		return answer{}, err
	}
	if m.replyTo, err = c.messageToAnswer(p); err != nil {
		return answer{}, err
	}
	if m.replyTo == nil {
		m.replyTo = c.messages[m.thread]
	}
	kind := ""
	if stored != nil {
		kind = strings.ToLower(strings.TrimPrefix(method, "send"))
		if kind == Document && stored.kind == Animation {
			kind = Animation // Telegram plays it
		}
		m.media = stored.as(kind)
	}
	if err := takeButtons(p, content); err != nil {
		return answer{}, err
	}
	c.lastID++
	m.id = c.lastID
	c.messages[m.id] = m

	sent := Sent{
		Chat: c.id, ID: m.id, Method: method, Kind: kind, Text: m.text(), Thread: m.thread, At: m.at,
		Object: m.wire(b), bot: b, chat: c,
	}
	if m.replyTo != nil && !m.replyTo.service {
		sent.ReplyTo = m.replyTo.id
	}
	if stored != nil {
		sent.FileName, sent.MIME, sent.Data = stored.Name, stored.MIME, stored.Data
	}
	b.sent = append(b.sent, sent)
	b.tg.changed.ring()
	return done(maps.Clone(sent.Object))
}

func (c *chat) threadToWrite(p params) (int64, error) {
	thread := p.number("message_thread_id")
	if thread == 0 {
		return 0, nil
	}
	topic := c.messages[thread]
	if !c.forum || topic == nil || !topic.service || topic.thread != thread {
		return 0, badRequest("message thread not found") // also for 1, the General topic
	}
	return thread, nil
}

func (c *chat) messageToAnswer(p params) (*message, error) {
	var reply struct {
		MessageID int64 `json:"message_id"`
		Anyway    bool  `json:"allow_sending_without_reply"`
	}
	if _, err := p.decode("reply_parameters", &reply); err != nil {
		return nil, err
	}
	if reply.MessageID == 0 {
		reply.MessageID, reply.Anyway = p.number("reply_to_message_id"), p.truth("allow_sending_without_reply")
	}
	if reply.MessageID == 0 {
		return nil, nil
	}
	m := c.messages[reply.MessageID]
	if m == nil && !reply.Anyway {
		return nil, badRequest("message to be replied not found")
	}
	return m, nil
}

// takeButtons keeps an inline keyboard, which messages show; other keyboards are not shown.
func takeButtons(p params, content object) error {
	var markup struct {
		Rows json.RawMessage `json:"inline_keyboard"`
	}
	if _, err := p.decode("reply_markup", &markup); err != nil {
		return err
	}
	if markup.Rows == nil {
		return nil
	}
	var rows [][]struct {
		Text string `json:"text"`
		Data string `json:"callback_data"`
	}
	if json.Unmarshal(markup.Rows, &rows) != nil {
		return badRequest("can't parse inline keyboard: expected an Array of Array of InlineKeyboardButton")
	}
	for _, row := range rows {
		for _, button := range row {
			if button.Text == "" {
				return badRequest("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			}
			if len(button.Data) > 64 {
				return badRequest("BUTTON_DATA_INVALID")
			}
		}
	}
	content["reply_markup"] = object{"inline_keyboard": markup.Rows}
	return nil
}
