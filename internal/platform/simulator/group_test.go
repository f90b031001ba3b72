package simulator_test

import (
	"fmt"
	"testing"

	"causeway/internal/platform/simulator"
)

func TestABotWithPrivacySeesOnlyWhatIsMeantForIt(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	g := tg.Group("Traders", false)
	g.Adds(b)
	updates := in.all()
	if len(updates) != 2 || updates[0]["my_chat_member"] == nil {
		t.Fatalf("joining told %v", updates)
	}
	same(t, at(t, updates[0], "my_chat_member", "chat", "type"), `"group"`)
	worked(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": g.ID(), "text": "hello all"}))

	lan.Writes(g, "talking among ourselves")
	lan.Writes(g, "/help")
	lan.Writes(g, "/help@other_bot")
	lan.Writes(g, "hey @Shop_Bot")
	lan.Writes(g, "an answer", simulator.InReplyTo(b.Sent(g.ID())[0].Ref()))
	g.Joins(lan)
	g.Promotes(b)
	lan.Writes(g, "among ourselves, with the bot in charge")
	var seen []string
	for _, update := range in.all() {
		seen = append(seen, text(update))
	}
	if want := `["/help" "hey @Shop_Bot" "an answer" "" "" "among ourselves, with the bot in charge"]`; fmt.Sprintf("%q", seen) != want {
		t.Fatalf("saw %q", seen)
	}
}

func TestAGroupThatMovesTellsItsNewPlace(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	g := tg.Group("Traders", false)
	g.Adds(b)
	in.all()
	old := g.ID()
	g.Migrate()
	updates := in.all()
	if len(updates) != 2 {
		t.Fatalf("moving told %v", updates)
	}
	same(t, at(t, updates[0], "message", "migrate_to_chat_id"), jsonNumber(g.ID()))
	same(t, at(t, updates[0], "message", "chat", "id"), jsonNumber(old))
	same(t, at(t, updates[1], "message", "migrate_from_chat_id"), jsonNumber(old))
	r := call(t, tg, b.Token(), "sendMessage", o{"chat_id": old, "text": "hi"})
	refused(t, r, 400, "group chat was upgraded to a supergroup chat")
	if r.Parameters.MigrateTo != g.ID() || old < -1e12 || g.ID() > -1e12 {
		t.Fatalf("moved from %d to %d, told %d", old, g.ID(), r.Parameters.MigrateTo)
	}
	worked(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": g.ID(), "text": "hi"}))
	lan.Writes(g, "here now")
	same(t, at(t, in.one("message"), "chat", "type"), `"supergroup"`)
}

func TestAForumHasTopics(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	g := tg.Group("Traders", true)
	g.Adds(b)
	in.all()
	orders := g.Topic("Orders")
	m := in.one("message")
	same(t, at(t, m, "forum_topic_created", "name"), `"Orders"`)
	same(t, at(t, m, "message_thread_id"), jsonNumber(orders.Thread()))
	lan.Writes(orders, "in the topic")
	m = in.one("message")
	same(t, m["is_topic_message"], `true`)
	same(t, at(t, m, "chat", "is_forum"), `true`)
	same(t, at(t, m, "reply_to_message", "forum_topic_created", "name"), `"Orders"`)
	lan.Writes(g, "in General")
	if m = in.one("message"); m["message_thread_id"] != nil {
		t.Fatalf("General has a thread: %v", m)
	}
	send := func(thread int64) reply {
		return call(t, tg, b.Token(), "sendMessage", o{"chat_id": g.ID(), "text": "hi", "message_thread_id": thread})
	}
	sent := worked(t, send(orders.Thread())).into(t)
	same(t, sent["message_thread_id"], jsonNumber(orders.Thread()))
	refused(t, send(1), 400, "message thread not found")
	refused(t, send(999), 400, "message thread not found")
}

func TestServiceMessagesOfAGroup(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	in := newInbox(t, tg, b)
	lan := tg.Customer("Lan", "vi")
	g := tg.Group("Traders", false)
	g.Adds(b)
	in.all()
	g.Joins(lan)
	same(t, at(t, in.one("message"), "new_chat_members", 0, "first_name"), `"Lan"`)
	ref := lan.Writes(g, "pin me")
	in.all()
	g.Pins(ref)
	same(t, at(t, in.one("message"), "pinned_message", "text"), `"pin me"`)
	g.Renames("Friends")
	m := in.one("message")
	same(t, m["new_chat_title"], `"Friends"`)
	same(t, at(t, m, "chat", "title"), `"Friends"`)
	g.WritesAnonymously("from the management")
	same(t, at(t, in.one("message"), "sender_chat", "id"), jsonNumber(g.ID()))
	g.Leaves(lan)
	same(t, at(t, in.one("message"), "left_chat_member", "id"), jsonNumber(lan.ID()))
	g.Removes(b)
	same(t, at(t, in.one("my_chat_member"), "new_chat_member", "status"), `"kicked"`)
	refused(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": g.ID(), "text": "hi"}), 403, "bot was kicked from the group chat")
	lan.Writes(g, "gone?")
	if updates := in.all(); len(updates) != 0 {
		t.Fatalf("a bot outside was told %v", updates)
	}
	g.Drops(b)
	refused(t, call(t, tg, b.Token(), "sendMessage", o{"chat_id": g.ID(), "text": "hi"}), 403, "bot is not a member of the group chat")
	shy := tg.AddBot("shy_bot", "Shy", simulator.WithoutGroups())
	if g.Adds(shy) != 0 {
		t.Fatal("a bot that stays out of groups was added")
	}
}

func TestAChannelPosts(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	b := tg.AddBot("shop_bot", "Shop")
	in := newInbox(t, tg, b)
	channel := tg.Channel("News")
	channel.Promotes(b)
	in.all()
	ref := channel.Posts("Sale on Friday")
	m := in.one("channel_post")
	if m["from"] != nil {
		t.Fatalf("a channel post has an author: %v", m)
	}
	same(t, at(t, m, "chat", "type"), `"channel"`)
	same(t, at(t, m, "sender_chat", "title"), `"News"`)
	tg.Customer("Owner", "en").Edits(ref, "Sale on Saturday")
	same(t, at(t, in.one("edited_channel_post"), "text"), `"Sale on Saturday"`)
}
