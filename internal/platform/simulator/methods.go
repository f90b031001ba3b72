package simulator

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var tokenShape = regexp.MustCompile(`^\d+:[\w-]{35}$`)

// ServeHTTP answers as api.telegram.org does: methods at /bot<token>/<method>, files at
// /file/bot<token>/<path>.
func (tg *Telegram) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !tg.enter() {
		panic(http.ErrAbortHandler) // hangs up without an answer
	}
	defer tg.leave()
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		answer{status: http.StatusMethodNotAllowed, description: "Method Not Allowed: closing"}.write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	isFile := strings.HasPrefix(r.URL.Path, "/file/bot")
	rest, found := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/file"), "/bot")
	token, name, complete := strings.Cut(rest, "/")
	if !found || !complete || !tokenShape.MatchString(token) {
		answer{status: http.StatusNotFound, description: "Not Found"}.write(w)
		return
	}
	b := tg.botOf(token)
	if b == nil {
		answer{status: http.StatusUnauthorized, description: "Unauthorized"}.write(w)
		return
	}
	if isFile {
		b.serveFile(w, r, name)
		return
	}
	b.serveMethod(w, r, strings.TrimSuffix(name, "/"))
}

// enter counts a request in; it reports false when nobody is at home.
func (tg *Telegram) enter() bool {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	if tg.closed || tg.down {
		return false
	}
	tg.requests++
	return true
}

func (tg *Telegram) leave() {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	tg.requests--
	tg.changed.ring()
}

func (tg *Telegram) botOf(token string) *Bot {
	number, _, _ := strings.Cut(token, ":")
	id, _ := strconv.ParseInt(number, 10, 64)
	tg.mu.Lock()
	defer tg.mu.Unlock()
	if b := tg.bots[id]; b != nil && b.token == token {
		return b
	}
	return nil
}

func (b *Bot) serveMethod(w http.ResponseWriter, r *http.Request, name string) {
	p, err := readParams(r)
	if err != nil {
		refusal(err).write(w)
		return
	}
	record, failure := b.recordCall(name, p)
	if failure != nil && !failure.Lost && !failure.Cut {
		b.fail(w, r, failure, record)
		return
	}
	a := b.call(r.Context(), name, p)
	if failure != nil || a.status == 0 {
		panic(http.ErrAbortHandler) // done, and never told; or hung up on while it waited
	}
	b.tg.recordAnswer(record, a)
	a.write(w)
}

func (b *Bot) recordCall(name string, p params) (int, *Failure) {
	call := Call{Bot: b.username, Method: name, Params: p.values, Files: map[string][]byte{}}
	for part, file := range p.files {
		call.Files[part] = file.data
	}
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	call.At = b.tg.clock.Now()
	b.tg.calls = append(b.tg.calls, call)
	b.tg.changed.ring()
	return len(b.tg.calls) - 1, b.tg.nextFailure(name, p.number("chat_id"))
}

func (tg *Telegram) recordAnswer(record int, a answer) {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	tg.calls[record].Status, tg.calls[record].Description = a.status, a.description
	tg.changed.ring()
}

func (b *Bot) fail(w http.ResponseWriter, r *http.Request, failure *Failure, record int) {
	if failure.Hang {
		b.tg.hang(r.Context())
		panic(http.ErrAbortHandler)
	}
	a := failure.answer()
	b.tg.recordAnswer(record, a)
	if !failure.HTML {
		a.write(w)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.page()))
}

// hang returns when the caller has left, or nobody is at home any more.
func (tg *Telegram) hang(ctx context.Context) {
	_ = tg.await(ctx, func() string {
		if tg.closed || tg.down {
			return ""
		}
		return "told to hang"
	})
}

// call runs a method. An answer without a status means hanging up.
func (b *Bot) call(ctx context.Context, name string, p params) answer {
	switch strings.ToLower(name) {
	case "getupdates":
		return result(b.getUpdates(ctx, p))
	case "setwebhook":
		return result(b.setWebhook(ctx, p))
	}
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	return result(b.quickCall(name, p))
}

func result(a answer, err error) answer {
	if err != nil {
		return refusal(err)
	}
	return a
}

func done(value any) (answer, error) { return answer{status: http.StatusOK, result: value}, nil }

// quickCall runs a method that waits for nothing.
func (b *Bot) quickCall(name string, p params) (answer, error) {
	switch strings.ToLower(name) {
	case "getme":
		return done(b.describe())
	case "getmycommands":
		return b.getMyCommands(p)
	case "setmycommands":
		return b.setMyCommands(p)
	case "deletemycommands":
		delete(b.commands, commandKey(p.text("scope"), p.text("language_code")))
		return done(true)
	case "getuserprofilephotos":
		return b.getUserProfilePhotos(p)
	case "getchat":
		return b.getChat(p)
	case "getfile":
		return b.getFile(p)
	case "deletewebhook":
		return b.deleteWebhook(p)
	case "getwebhookinfo":
		return done(b.webhookInfo())
	case "answercallbackquery":
		return b.answerCallbackQuery(p)
	case "setmessagereaction":
		return b.setMessageReaction(p)
	case "sendchataction":
		return b.sendChatAction(p)
	case "sendmessage":
		return b.sendMessage(p)
	}
	for _, kind := range sendable {
		if strings.EqualFold(name, "send"+kind) {
			return b.sendMedia(kind, p)
		}
	}
	return answer{}, answer{status: http.StatusNotFound, description: "Not Found: method not found"}
}

func (b *Bot) describe() object {
	me := b.user()
	me["can_join_groups"] = b.joinsGroups
	me["can_read_all_group_messages"] = b.readsGroups
	for _, name := range []string{
		"supports_inline_queries", "can_connect_to_business", "has_main_web_app", "has_topics_enabled",
		"allows_users_to_create_topics", "can_manage_bots",
	} {
		me[name] = false
	}
	return me
}

func commandKey(scope, language string) string {
	if scope == "" {
		scope = `{"type":"default"}`
	}
	return scope + " " + language
}

func (b *Bot) getMyCommands(p params) (answer, error) {
	commands := b.commands[commandKey(p.text("scope"), p.text("language_code"))]
	if commands == nil {
		commands = []Command{}
	}
	return done(commands)
}

var commandShape = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

func (b *Bot) setMyCommands(p params) (answer, error) {
	var commands []Command
	if _, err := p.decode("commands", &commands); err != nil {
		return answer{}, err
	}
	for _, c := range commands {
		if !commandShape.MatchString(c.Command) {
			return answer{}, badRequest("BOT_COMMAND_INVALID")
		}
		if c.Description == "" || units(c.Description) > 256 {
			return answer{}, badRequest("BOT_COMMAND_DESCRIPTION_INVALID")
		}
	}
	b.commands[commandKey(p.text("scope"), p.text("language_code"))] = commands
	return done(true)
}

func (b *Bot) getUserProfilePhotos(p params) (answer, error) {
	id := p.number("user_id")
	if b.tg.people[id] == nil && b.tg.bots[id] == nil {
		return answer{}, badRequest("user not found")
	}
	photos := []any{}
	if of := b.tg.bots[id]; of != nil && of.avatar != nil {
		photos = append(photos, of.avatar.sizesFor(b))
	}
	if of := b.tg.people[id]; of != nil && of.picture != nil {
		photos = append(photos, of.picture.sizesFor(b))
	}
	return done(object{"total_count": len(photos), "photos": photos})
}

func (b *Bot) answerCallbackQuery(p params) (answer, error) {
	if units(p.text("text")) > 200 {
		return answer{}, badRequest("MESSAGE_TOO_LONG")
	}
	if !b.taps[p.text("callback_query_id")] {
		return answer{}, badRequest("query is too old and response timeout expired or query ID is invalid")
	}
	return done(true)
}

// getChat tells of a chat more than messages do. That a customer blocked the bot is no
// hindrance.
func (b *Bot) getChat(p params) (answer, error) {
	id := p.number("chat_id")
	c := b.chats[id]
	if person := b.tg.people[id]; c == nil && person != nil && b.knows(id) {
		c = b.tg.newChat("private", "", id)
		c.customer = person
	}
	if c == nil {
		if id > 0 {
			return answer{}, badRequest("chat not found")
		}
		group, err := b.chatToWrite(p)
		if err != nil {
			return answer{}, err
		}
		c = group
	}
	o := c.wire()
	o["accent_color_id"], o["max_reaction_count"] = id%7, 11
	picture := c.picture
	if c.customer != nil {
		picture = c.customer.picture
		if c.customer.username != "" {
			o["active_usernames"] = []string{c.customer.username}
		}
	}
	if picture != nil {
		small, big := picture.sizes[0], picture
		o["photo"] = object{
			"small_file_id": small.idFor(b), "small_file_unique_id": small.unique,
			"big_file_id": big.idFor(b), "big_file_unique_id": big.unique,
		}
	}
	return done(o)
}

// Action is what the bot told to be doing.
type Action struct {
	Chat   int64
	Thread int64  // zero if none
	Action string // typing, upload_photo ...
	At     time.Time
}

// Actions are what the bot told a chat to be doing, oldest first.
func (b *Bot) Actions(chatID int64) []Action {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	var found []Action
	for _, a := range b.actions {
		if a.Chat == chatID {
			found = append(found, a)
		}
	}
	return found
}

func (b *Bot) sendChatAction(p params) (answer, error) {
	c, err := b.chatToWrite(p)
	if err != nil {
		return answer{}, err
	}
	thread, err := c.threadToWrite(p)
	if err != nil {
		return answer{}, err
	}
	actions := []string{
		"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
		"upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note",
	}
	if !slices.Contains(actions, strings.ToLower(p.text("action"))) {
		return answer{}, badRequest("wrong parameter action in request")
	}
	b.actions = append(b.actions, Action{
		Chat: c.id, Thread: thread, Action: strings.ToLower(p.text("action")), At: b.tg.clock.Now(),
	})
	b.tg.changed.ring()
	return done(true)
}

// Telegram's list of what anybody may react with.
const reactions = " 👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 " +
	"👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡 "

func (b *Bot) setMessageReaction(p params) (answer, error) {
	c, err := b.chatToWrite(p)
	if err != nil {
		return answer{}, err
	}
	m := c.messages[p.number("message_id")]
	if m == nil {
		return answer{}, badRequest("message to react not found")
	}
	var chosen []struct{ Type, Emoji string }
	if _, err := p.decode("reaction", &chosen); err != nil {
		return answer{}, err
	}
	if len(chosen) > 1 {
		return answer{}, badRequest("REACTIONS_TOO_MANY")
	}
	var emoji []string
	for _, r := range chosen {
		if r.Type != "emoji" || !strings.Contains(reactions, " "+r.Emoji+" ") {
			return answer{}, badRequest("REACTION_INVALID")
		}
		emoji = append(emoji, r.Emoji)
	}
	m.reactions[b.id] = emoji
	b.tg.changed.ring()
	return done(true)
}
