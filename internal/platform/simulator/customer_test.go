package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"causeway/internal/platform/simulator"
)

// inbox polls and confirms, and gives the updates by kind and content.
type inbox struct {
	t      *testing.T
	tg     *simulator.Telegram
	bot    *simulator.Bot
	offset int64
}

func newInbox(t *testing.T, tg *simulator.Telegram, b *simulator.Bot) *inbox {
	t.Helper()
	in := &inbox{t: t, tg: tg, bot: b}
	all := []string{
		"message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "message_reaction", "my_chat_member",
	}
	worked(t, call(t, tg, b.Token(), "getUpdates", o{"allowed_updates": all}))
	return in
}

// all are the updates since the last time.
func (in *inbox) all() []map[string]any {
	in.t.Helper()
	var updates []map[string]any
	r := worked(in.t, call(in.t, in.tg, in.bot.Token(), "getUpdates", o{"offset": in.offset}))
	if err := json.Unmarshal(r.Result, &updates); err != nil {
		in.t.Fatal(err)
	}
	if n := len(updates); n > 0 {
		in.offset = int64(updates[n-1]["update_id"].(float64)) + 1
	}
	return updates
}

// one is the only update since the last time, which is of this kind.
func (in *inbox) one(kind string) map[string]any {
	in.t.Helper()
	updates := in.all()
	if len(updates) != 1 || updates[0][kind] == nil {
		in.t.Fatalf("want one %s, got %v", kind, updates)
	}
	return updates[0][kind].(map[string]any)
}

// at follows keys and indexes.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := value.(map[string]any)
			if !ok || m[step] == nil {
				t.Fatalf("no %q in %v", step, value)
			}
			value = m[step]
		case int:
			list, ok := value.([]any)
			if !ok || len(list) <= step {
				t.Fatalf("no %d in %v", step, value)
			}
			value = list[step]
		}
	}
	return value
}

func same(t *testing.T, got any, want string) {
	t.Helper()
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != want {
		t.Fatalf("got %s, want %s", raw, want)
	}
}

func TestWhatACustomerSendsLooksLikeTelegrams(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan Nguyễn", "vi", simulator.WithUsername("@lan"))

	started := lan.Starts(b, "summer")
	m := in.one("message")
	same(t, m["from"], fmt.Sprintf(`{"first_name":"Lan","id":%d,"is_bot":false,"language_code":"vi","last_name":"Nguyễn","username":"lan"}`, lan.ID()))
	same(t, m["chat"], fmt.Sprintf(`{"first_name":"Lan","id":%d,"last_name":"Nguyễn","type":"private","username":"lan"}`, lan.ID()))
	same(t, m["text"], `"/start summer"`)
	same(t, m["entities"], `[{"length":6,"offset":0,"type":"bot_command"}]`)

	lan.Writes(b, "🥰 see https://shop.example", simulator.InReplyTo(started), simulator.ForwardedFrom("Mai"))
	m = in.one("message")
	same(t, at(t, m, "reply_to_message", "message_id"), `1`)
	same(t, at(t, m, "entities", 0, "offset"), `7`) // the emoji counts twice
	same(t, at(t, m, "forward_origin", "sender_user_name"), `"Mai"`)

	ref := lan.SendsPhoto(b, "this one")
	m = in.one("message")
	if sizes := at(t, m, "photo").([]any); len(sizes) != 3 || m["caption"] != "this one" {
		t.Fatalf("photo %v", m)
	}
	same(t, at(t, m, "photo", 2, "width"), `480`)
	lan.Edits(ref, "that one")
	m = in.one("edited_message")
	if m["caption"] != "that one" || m["edit_date"] == nil || m["message_id"] != float64(ref.ID) || m["photo"] == nil {
		t.Fatalf("edit %v", m)
	}

	lan.SendsDocument(b, "receipt.pdf", "")
	same(t, at(t, in.one("message"), "document", "file_name"), `"receipt.pdf"`)
	lan.SendsVoice(b, 3)
	m = in.one("message")
	same(t, at(t, m, "voice", "duration"), `3`)
	same(t, at(t, m, "voice", "mime_type"), `"audio/ogg"`)
	lan.SendsSticker(b, "🥰")
	m = in.one("message")
	same(t, at(t, m, "sticker", "emoji"), `"🥰"`)
	same(t, at(t, m, "sticker", "is_video"), `false`)
	lan.SendsLocation(b, 16.05, 108.2)
	same(t, at(t, in.one("message"), "location"), `{"latitude":16.05,"longitude":108.2}`)
	lan.SendsContact(b, "+84901234567")
	same(t, at(t, in.one("message"), "contact", "user_id"), jsonNumber(lan.ID()))
	lan.Sends(b, o{"dice": o{"emoji": "🎲", "value": 2}})
	same(t, at(t, in.one("message"), "dice", "value"), `2`)
	lan.SendsFile(b, simulator.Animation, simulator.File{Name: "a.mp4", MIME: "video/mp4", Data: []byte("x"), Width: 10, Height: 10, Duration: 1}, "")
	m = in.one("message")
	same(t, at(t, m, "document", "file_id"), fmt.Sprintf("%q", at(t, m, "animation", "file_id")))
	lan.SendsFile(b, simulator.VideoNote, simulator.File{Data: []byte("x"), Width: 240, Height: 240}, "")
	same(t, at(t, in.one("message"), "video_note", "length"), `240`)

	if refs := lan.SendsAlbum(b, 3, "all three"); len(refs) != 3 {
		t.Fatalf("album %v", refs)
	}
	parts := in.all()
	if len(parts) != 3 {
		t.Fatalf("album %v", parts)
	}
	for _, part := range parts {
		same(t, at(t, part, "message", "media_group_id"), fmt.Sprintf("%q", at(t, parts[0], "message", "media_group_id")))
	}
}

func TestABlockedBotIsToldAndRefused(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	in.all()
	lan.Blocks(b)
	m := in.one("my_chat_member")
	same(t, at(t, m, "old_chat_member", "status"), `"member"`)
	same(t, at(t, m, "new_chat_member", "status"), `"kicked"`)
	same(t, at(t, m, "new_chat_member", "user", "id"), jsonNumber(b.ID()))
	refused(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": lan.ID(), "text": "hi"}), 403, "bot was blocked by the user")
	lan.Unblocks(b)
	same(t, at(t, in.one("my_chat_member"), "new_chat_member", "status"), `"member"`)
	worked(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": lan.ID(), "text": "hi"}))

	lan.Blocks(b)
	lan.Writes(b, "I am back")
	if updates := in.all(); len(updates) != 3 || updates[1]["my_chat_member"] == nil || text(updates[2]) != "I am back" {
		t.Fatalf("updates %v", updates)
	}
}

func TestATapWaitsForItsAnswer(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	lan.Starts(b, "")
	in.all()
	worked(t, call(t, tg, b.Token(), "sendMessage", o{
		"chat_id": lan.ID(), "text": "pick", "reply_markup": o{"inline_keyboard": [][]o{{{"text": "Large", "callback_data": "size:L"}}}},
	}))
	tap := lan.Taps(lan.Received(b)[0].Ref(), "size:L")
	q := in.one("callback_query")
	same(t, at(t, q, "id"), fmt.Sprintf("%q", tap.ID))
	same(t, at(t, q, "message", "reply_markup", "inline_keyboard", 0, 0, "text"), `"Large"`)
	worked(t, call(t, tg, b.Token(), "answerCallbackQuery", o{"callback_query_id": tap.ID}))
	if err := tap.WaitAnswered(within(t), b); err != nil {
		t.Fatal(err)
	}
	b.ExpireTaps()
	refused(t, call(t, tg, b.Token(), "answerCallbackQuery", o{"callback_query_id": tap.ID}), 400, "query is too old")

	lan.Taps(b.Ref(lan.ID(), 999), "old")
	q = in.one("callback_query")
	same(t, at(t, q, "message", "date"), `0`)
	same(t, at(t, q, "message", "message_id"), `999`)
}

func TestReactionsTellTheWholeSet(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	ref := lan.Writes(b, "hi")
	in.all()
	lan.Reacts(ref, "👍")
	in.all()
	lan.Reacts(ref, "🔥", "👏")
	m := in.one("message_reaction")
	same(t, m["old_reaction"], `[{"emoji":"👍","type":"emoji"}]`)
	same(t, m["new_reaction"], `[{"emoji":"🔥","type":"emoji"},{"emoji":"👏","type":"emoji"}]`)
	lan.Reacts(ref)
	same(t, in.one("message_reaction")["new_reaction"], `[]`)

	react := func(list ...o) reply {
		return call(t, tg, b.Token(), "setMessageReaction", o{"chat_id": lan.ID(), "message_id": ref.ID, "reaction": list})
	}
	worked(t, react(o{"type": "emoji", "emoji": "👍"}))
	refused(t, react(o{"type": "emoji", "emoji": "🥑"}), 400, "REACTION_INVALID")
	refused(t, react(o{"type": "emoji", "emoji": "👍"}, o{"type": "emoji", "emoji": "🔥"}), 400, "REACTIONS_TOO_MANY")
}

func TestAChatIsDescribedWithItsPicture(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	lan := tg.Customer("Lan Nguyễn", "vi", simulator.WithUsername("lan"), simulator.WithPicture())
	plain, stranger := tg.Customer("Minh", "vi"), tg.Customer("Nobody", "")
	lan.Starts(b, "")
	lan.Blocks(b)
	plain.Starts(b, "")
	chat := worked(t, call(t, tg, b.Token(), "getChat", o{"chat_id": lan.ID()})).into(t)
	same(t, chat["type"], `"private"`)
	same(t, chat["last_name"], `"Nguyễn"`)
	same(t, chat["active_usernames"], `["lan"]`)
	for _, size := range []string{"small_file_id", "big_file_id"} {
		if _, data, err := fetched(t, tg, b, at(t, chat, "photo", size)); err != nil || http.DetectContentType(data) != "image/png" {
			t.Errorf("%s is %.20q, %v", size, data, err)
		}
	}
	worked(t, call(t, tg, b.Token(), "getUserProfilePhotos", o{"user_id": lan.ID()}))
	if chat := worked(t, call(t, tg, b.Token(), "getChat", o{"chat_id": plain.ID()})).into(t); chat["photo"] != nil {
		t.Errorf("a customer without a picture has %v", chat["photo"])
	}
	refused(t, call(t, tg, b.Token(), "getChat", o{"chat_id": stranger.ID()}), 400, "chat not found")

	g := tg.Group("Traders", false)
	refused(t, call(t, tg, b.Token(), "getChat", o{"chat_id": g.ID()}), 400, "chat not found")
	g.Adds(b)
	g.ChangesPicture()
	stranger.Writes(g, "hello")
	chat = worked(t, call(t, tg, b.Token(), "getChat", o{"chat_id": g.ID()})).into(t)
	same(t, chat["title"], `"Traders"`)
	at(t, chat, "photo", "small_file_id")
	worked(t, call(t, tg, b.Token(), "getChat", o{"chat_id": stranger.ID()})) // met in the group
}

func TestWhatTheBotIsDoingIsKept(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	g := tg.Group("Forum", true)
	g.Adds(b)
	topic := g.Topic("Returns")
	worked(t, call(t, tg, b.Token(), "sendChatAction", o{"chat_id": g.ID(), "action": "typing"}))
	worked(t, call(t, tg, b.Token(), "sendChatAction", o{"chat_id": g.ID(), "action": "upload_photo", "message_thread_id": topic.Thread()}))
	refused(t, call(t, tg, b.Token(), "sendChatAction", o{"chat_id": g.ID(), "action": "typing", "message_thread_id": 999}), 400, "message thread not found")
	got := b.Actions(g.ID())
	if len(got) != 2 || got[0].Action != "typing" || got[0].Thread != 0 || got[1].Action != "upload_photo" || got[1].Thread != topic.Thread() {
		t.Errorf("actions %+v", got)
	}
}
