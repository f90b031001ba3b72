package main

import (
	"slices"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

const messageAdded = `subscription($c: ID!, $a: Cursor) { messageAdded(campaignId: $c, after: $a) { cursor message { id text contact { name } conversation { id unreadCount } } } }`

// seen is what the stories about messages look at.
const seen = `cursor change message {
	id text direction authorKind status payload albumId forwardedFrom externalId editedAt
	contact { name externalId } replyTo { id text } reactions { emoji contact { name } }
	attachments { kind state name mimeType size width height durationSeconds latitude longitude }
	conversation { id title status unreadCount contact { name externalId blocked } lastMessage { id } }
}`

const (
	fullMessageAdded    = `subscription($c: ID!, $a: Cursor) { event: messageAdded(campaignId: $c, after: $a) { ` + seen + ` } }`
	fullMessageUpdated  = `subscription($c: ID!, $a: Cursor) { event: messageUpdated(campaignId: $c, after: $a) { ` + seen + ` } }`
	conversationUpdated = `subscription($c: ID!, $a: Cursor) { event: conversationUpdated(campaignId: $c, after: $a) { cursor created conversation { id title unreadCount contact { name externalId blocked } } } }`
)

func TestACustomerWritesAndTheAgentSeesIt(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot, _ := p.bot(campaign, "shop_bot")
	ana := p.user("Ana", campaign, "AGENT").opens()
	ana.subscribes(messageAdded, data{"c": campaign, "a": p.cursor(campaign)})

	lan := p.telegram.Customer("Lan Nguyen", "vi")
	lan.Writes(bot, "Xin chào, còn hàng không?")

	message := ana.sees().at("messageAdded", "message")
	if message.text("text") != "Xin chào, còn hàng không?" || message.at("contact").text("name") != "Lan Nguyen" {
		t.Errorf("the agent saw %v", message)
	}
}

// shop is a campaign with a bot and an agent who watches: what every story begins with.
type shop struct {
	*program
	campaign, connection string
	bot                  *simulator.Bot
	added, updated       *socket // the agent's
	conversations        *socket
}

func opensShop(t *testing.T, options ...option) *shop {
	t.Helper()
	p := begin(t, options...)
	s := &shop{program: p, campaign: p.campaign("Shop")}
	s.bot, s.connection = p.bot(s.campaign, "shop_bot")
	ana := p.user("Ana", s.campaign, "AGENT")
	from := data{"c": s.campaign, "a": p.cursor(s.campaign)}
	s.added, s.updated, s.conversations = ana.opens(), ana.opens(), ana.opens()
	s.added.subscribes(fullMessageAdded, from)
	s.updated.subscribes(fullMessageUpdated, from)
	s.conversations.subscribes(conversationUpdated, from)
	return s
}

// message is the message of the next event.
func (s *socket) message() data { s.t.Helper(); return s.sees().at("event", "message") }

// customers reads on until a message that a customer wrote.
func (s *socket) customers() data {
	s.t.Helper()
	for {
		if m := s.message(); m.text("authorKind") == "CUSTOMER" {
			return m
		}
	}
}

func TestAPhotoIsSeenWithItsCaption(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	s.telegram.Customer("Lan", "vi").SendsPhoto(s.bot, "Cái này còn không?")

	m := s.added.message()
	files := m.list("attachments")
	if m.text("text") != "Cái này còn không?" || len(files) != 1 {
		t.Fatalf("the agent saw %v", m)
	}
	photo := files[0]
	if photo.text("kind") != "IMAGE" || photo.text("state") != "PENDING" || photo.number("width") != 480 || photo.number("height") != 360 || photo.number("size") == 0 {
		t.Errorf("the photo is %v", photo)
	}
}

func TestEveryKindOfContentIsSeenAsWhatItIs(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	for _, story := range []struct {
		kind, text string
		sends      func()
	}{
		{"FILE", "my order", func() { lan.SendsDocument(s.bot, "order.pdf", "my order") }},
		{"VOICE", "", func() { lan.SendsVoice(s.bot, 3) }},
		{"STICKER", "", func() { lan.SendsSticker(s.bot, "👍") }},
		{"LOCATION", "", func() { lan.SendsLocation(s.bot, 10.77, 106.69) }},
		{"CONTACT_CARD", "", func() { lan.SendsContact(s.bot, "+84901234567") }},
		{"", "/start spring", func() { lan.Starts(s.bot, "spring") }},
	} {
		story.sends()
		m := s.added.message()
		var kind string
		if files := m.list("attachments"); len(files) == 1 {
			kind = files[0].text("kind")
		}
		if kind != story.kind || story.text != "" && m.text("text") != story.text {
			t.Errorf("%s %q was seen as %v", story.kind, story.text, m)
		}
	}
}

func TestAnEditChangesTheMessageThatIsThere(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	ref := lan.Writes(s.bot, "tow please")
	first := s.added.message()
	lan.Edits(ref, "two please")

	event := s.updated.sees().at("event")
	m := event.at("message")
	if event.text("change") != "EDITED" || m.text("id") != first.text("id") || m.text("text") != "two please" || m.text("editedAt") == "" {
		t.Errorf("the edit was seen as %v", event)
	}
	if n := s.messages(m.at("conversation").text("id")); len(n) != 1 {
		t.Errorf("an edit is no second message: %v", n)
	}
}

// messages are a conversation's, oldest first.
func (p *program) messages(conversation string) []data {
	p.t.Helper()
	return p.admin().gets(`query($id: ID!) { conversation(id: $id) { messages(first: 200) { edges { node { id text authorKind direction albumId externalId } } } } }`,
		data{"id": conversation}).at("conversation").nodes("messages")
}

func TestAReactionIsSeenAndTakenBack(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	ref := lan.Writes(s.bot, "Thanks!")
	id := s.added.message().text("id")

	lan.Reacts(ref, "👍", "❤")
	event := s.updated.sees().at("event")
	var emoji []string
	for _, r := range event.at("message").list("reactions") {
		emoji = append(emoji, r.text("emoji"))
		if r.at("contact").text("name") != "Lan" {
			t.Errorf("nobody reacted: %v", r)
		}
	}
	slices.Sort(emoji)
	if event.text("change") != "REACTIONS" || event.at("message").text("id") != id || !slices.Equal(emoji, []string{"❤", "👍"}) {
		t.Errorf("the reactions were seen as %v", event)
	}

	lan.Reacts(ref)
	if left := s.updated.message().list("reactions"); len(left) > 0 {
		t.Errorf("what was taken back is still there: %v", left)
	}
}

func TestAReplyShowsWhatItAnswersAndAForwardWhomItIsFrom(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	ref := lan.Writes(s.bot, "Blue or red?")
	first := s.added.message()
	lan.Writes(s.bot, "Blue", simulator.InReplyTo(ref))
	lan.Writes(s.bot, "Look at this", simulator.ForwardedFrom("Minh"))

	if reply := s.added.message(); reply.at("replyTo").text("id") != first.text("id") {
		t.Errorf("the reply was seen as %v", reply)
	}
	if forward := s.added.message(); forward.text("forwardedFrom") != "Minh" {
		t.Errorf("the forward was seen as %v", forward)
	}
}

func TestAnAlbumsPartsBelongTogether(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	s.telegram.Customer("Lan", "vi").SendsAlbum(s.bot, 3, "My garden")

	album := map[string]int{}
	for i := range 3 {
		m := s.added.message()
		album[m.text("albumId")]++
		if (m.text("text") == "My garden") != (i == 0) || len(m.list("attachments")) != 1 {
			t.Errorf("part %d was seen as %v", i, m)
		}
	}
	if len(album) != 1 || album[""] > 0 {
		t.Errorf("the parts are of these albums: %v", album)
	}
}

func TestAGroupsTopicIsAConversationOfItsOwn(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	club := s.telegram.Group("Garden club", true)
	club.Adds(s.bot)
	lan, minh := s.telegram.Customer("Lan", "vi"), s.telegram.Customer("Minh", "vi")
	roses := club.Topic("Roses")
	lan.Writes(club, "Hello everybody")
	minh.Writes(roses, "When do I cut them?")

	general := s.added.customers()
	topic := s.added.customers()
	if general.at("contact").text("name") != "Lan" || general.at("conversation").text("title") != "Garden club" ||
		general.at("conversation", "contact").text("name") != "Garden club" {
		t.Errorf("the group's message was seen as %v", general)
	}
	if topic.at("contact").text("name") != "Minh" || topic.at("conversation").text("title") != "Garden club › Roses" {
		t.Errorf("the topic's message was seen as %v", topic)
	}
	if general.at("conversation").text("id") == topic.at("conversation").text("id") {
		t.Error("the topic has no conversation of its own")
	}
}

func TestATappedButtonIsSeenAndAnswered(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	lan.Writes(s.bot, "Hello")
	s.added.message()
	tap := lan.Taps(s.bot.Ref(lan.ID(), 4711), "size:xl")

	m := s.added.message()
	if m.text("payload") != "size:xl" || m.text("authorKind") != "CUSTOMER" || m.at("contact").text("name") != "Lan" {
		t.Errorf("the tap was seen as %v", m)
	}
	if err := tap.WaitAnswered(t.Context(), s.bot); err != nil {
		t.Error(err)
	}
}

func TestACustomerWhoBlocksTheBotIsSeenToAndToComeBack(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	lan := s.telegram.Customer("Lan", "vi")
	lan.Writes(s.bot, "Hello")
	s.added.message()
	becomes := func(blocked bool) {
		t.Helper()
		for {
			contact := s.conversations.sees().at("event", "conversation", "contact")
			if contact["blocked"] == blocked {
				return
			}
		}
	}

	lan.Blocks(s.bot)
	becomes(true)
	if note := s.added.message(); note.text("direction") != "INTERNAL" || note.text("authorKind") != "SYSTEM" {
		t.Errorf("the block was noted as %v", note)
	}
	lan.Unblocks(s.bot)
	becomes(false)
	if note := s.added.message(); note.text("direction") != "INTERNAL" || note.at("conversation").number("unreadCount") != 1 {
		t.Errorf("the unblock was noted as %v", note)
	}
}

func TestAGroupThatMovesKeepsItsConversation(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	club := s.telegram.Group("Garden club", false)
	club.Adds(s.bot)
	lan := s.telegram.Customer("Lan", "vi")
	lan.Writes(club, "before")
	before := s.added.customers()
	club.Migrate()
	lan.Writes(club, "after")

	after := s.added.customers()
	if after.text("text") != "after" || after.at("conversation").text("id") != before.at("conversation").text("id") {
		t.Errorf("before the move %v, after it %v", before, after)
	}
	if list := s.admin().gets(`query($c: ID!) { campaign(id: $c) { conversations { totalCount } } }`, data{"c": s.campaign}).at("campaign", "conversations"); list.number("totalCount") != 1 {
		t.Errorf("there are %d conversations", list.number("totalCount"))
	}
}

func TestAChannelsPostAndAServiceMessageAreSeen(t *testing.T) {
	t.Parallel()
	s := opensShop(t)
	news := s.telegram.Channel("News")
	news.Promotes(s.bot)
	news.Posts("We open at nine")
	for {
		m := s.added.message()
		if m.text("text") == "We open at nine" {
			break
		}
	}
	club := s.telegram.Group("Garden club", false)
	club.Adds(s.bot)
	club.Joins(s.telegram.Customer("Minh", "vi"))
	for {
		m := s.added.message()
		if m.text("direction") == "INTERNAL" && strings.Contains(m.text("text"), "Minh") {
			break
		}
	}
}

func TestEventsComeOverEveryTransport(t *testing.T) {
	t.Parallel()
	for _, transport := range []struct {
		name       string
		subscribes func(who person, query string, variables data) interface{ sees() data }
	}{
		{"graphql-transport-ws", func(who person, query string, variables data) interface{ sees() data } {
			s := who.opens()
			s.subscribes(query, variables)
			return s
		}},
		{"graphql-ws", func(who person, query string, variables data) interface{ sees() data } {
			s, err := who.dials("graphql-ws")
			if err != nil {
				who.p.t.Fatal(err)
			}
			if !s.older {
				who.p.t.Fatal("the older protocol was not agreed on")
			}
			s.subscribes(query, variables)
			return s
		}},
		{"sse", func(who person, query string, variables data) interface{ sees() data } {
			return who.streams(query, variables)
		}},
	} {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			p := begin(t)
			campaign := p.campaign("Shop")
			bot, _ := p.bot(campaign, "shop_bot")
			ana := p.user("Ana", campaign, "AGENT")
			lan := p.telegram.Customer("Lan", "vi")
			from := p.cursor(campaign)
			lan.Writes(bot, "one") // replayed or live, as it comes
			agent := transport.subscribes(ana, messageAdded, data{"c": campaign, "a": from})
			for _, text := range []string{"one", "two", "three"} {
				if text != "one" {
					lan.Writes(bot, text)
				}
				if m := agent.sees().at("messageAdded", "message"); m.text("text") != text {
					t.Fatalf("instead of %q the agent saw %v", text, m)
				}
			}
		})
	}
}
