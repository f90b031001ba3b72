package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
)

// storefront is a campaign with a page to which Bo has written, and Ana, who answers there.
type storefront struct {
	*program
	facebook   *facebook
	page       *simulator.Page
	campaign   string
	connection string
	chat       string
	began      string // the feed's cursor before anybody wrote
	mai, ana   person
	bo         *simulator.PageCustomer
	asked      simulator.PageMessage
}

func opensStorefront(t *testing.T, options ...option) *storefront {
	t.Helper()
	f := opensFacebook(t)
	return opensStorefrontOf(t, f, begin(t, append([]option{f.ours}, options...)...))
}

// opensStorefrontAt opens a storefront in which everybody has the same clock, Facebook
// among them.
func opensStorefrontAt(t *testing.T, clock *shiftedClock) *storefront {
	t.Helper()
	f := opensFacebookWith(t, simulator.MessengerOptions{RetryScale: 0.001, Clock: clock})
	return opensStorefrontOf(t, f, beginAt(t, clock, f.ours))
}

func opensStorefrontOf(t *testing.T, f *facebook, p *program) *storefront {
	t.Helper()
	s := &storefront{program: p, facebook: f, page: f.pages[0], campaign: p.campaign("Shop")}
	s.mai, s.ana = p.user("Mai", s.campaign, "MANAGER"), p.user("Ana", s.campaign, "AGENT")
	s.connection = s.mai.connectsPage(s.campaign, s.mai.logsIn(f, s.campaign, f.pages...), s.page)
	s.began = p.cursor(s.campaign)
	s.bo = s.page.Customer("Bo Tran")
	s.asked = s.bo.Writes("Do you have umbrellas?")
	s.chat = s.ana.chatOf(s.campaign, s.connection)
	return s
}

// settles waits until all that Facebook had to tell was told and understood, and returns
// what became of it.
func (s *storefront) settles() map[string]int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.facebook.Idle(ctx); err != nil {
		s.t.Fatal(err)
	}
	logs := s.processed(s.connection, 1)
	if logs["FAILED"] > 0 {
		s.t.Errorf("the logs are %v", logs)
	}
	return logs
}

// reads is the conversation as Ana has it before her.
func (s *storefront) reads() data {
	s.t.Helper()
	return s.ana.gets(`query($v: ID!) { conversation(id: $v) {
		status unreadCount threadOwner threadOwnerAppId assignee { name } replyPolicy { allowed window closesAt problem { code message } }
		contact { name avatarUrl }
		messages { edges { node { id direction authorKind author { name } text status standby externalId attempts deletedAt editedAt
			reactions { emoji contact { name } } attachments { kind state url name mimeType width height } } } } } }`,
		data{"v": s.chat}).at("conversation")
}

// written is one of the conversation's messages.
func (s *storefront) written(id string) data {
	s.t.Helper()
	for _, m := range s.reads().nodes("messages") {
		if m.text("id") == id || m.text("externalId") == id {
			return m
		}
	}
	s.t.Fatalf("there is no message %s", id)
	return nil
}

// awaits waits until the conversation is as it must be.
func (s *storefront) awaits(what string, ready func(conversation data) bool) {
	s.t.Helper()
	eventually(s.t, what, func() error {
		if c := s.reads(); !ready(c) {
			return fmt.Errorf("the conversation is %v", c)
		}
		return nil
	})
}

// said are the texts of all that went out, in the order of the conversation.
func (s *storefront) said() []string {
	s.t.Helper()
	var texts []string
	for _, m := range s.reads().nodes("messages") {
		if m.text("direction") == "OUTBOUND" {
			texts = append(texts, m.text("text"))
		}
	}
	return texts
}

// got are the texts that Bo has received.
func (s *storefront) got() []string {
	var texts []string
	for _, sent := range s.bo.Received() {
		texts = append(texts, sent.Text)
	}
	return texts
}

func TestAnEchoBeforeDuringAndAfterTheAnswerIsOneMessage(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		s := opensStorefront(t, on)
		texts := []string{"before", "during", "after", "instead"}
		for i, when := range []simulator.EchoTime{simulator.EchoBefore, simulator.EchoDuring, simulator.EchoAfter, simulator.EchoBefore} {
			s.facebook.EchoWhen(when)
			if texts[i] == "instead" { // the answer never comes: the echo alone tells
				s.facebook.FailNext("POST messages", simulator.GraphFailure{Lost: true})
			}
			m := s.becomes(s.ana.answers(s.chat, texts[i]), "DELIVERED", "")
			if sent := s.bo.Received(); len(sent) != i+1 || m.text("externalId") != sent[i].ID || m.at("author").text("name") != "Ana" {
				t.Errorf("%s: it is %v, and Bo got %v", texts[i], m, sent)
			}
		}
		logs := s.settles()
		if said := s.said(); !slices.Equal(said, texts) || !slices.Equal(s.got(), texts) {
			t.Errorf("the conversation shows %q, Bo got %q", said, s.got())
		}
		if logs["PROCESSED"]+logs["DUPLICATE"] < 1+2*len(texts) { // each was echoed and arrived
			t.Errorf("the logs are %v", logs)
		}
	})
}

func TestATextWithFilesIsOneMessageWhoseEveryPartIsKnownAgain(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		s := opensStorefront(t, on)
		id := s.ana.sendsFiles(data{"v": s.chat, "t": "As you asked:"}, attach{"umbrella.png", picture()}, attach{"prices.pdf", pdf()}).text("id")
		for i, when := range []simulator.EchoTime{simulator.EchoBefore, simulator.EchoDuring, simulator.EchoAfter} {
			s.facebook.EchoWhen(when)
			if _, err := s.bo.WaitReceived(t.Context(), i+1); err != nil {
				t.Fatal(err)
			}
		}
		m := s.becomes(id, "DELIVERED", "")
		got := s.bo.Received()
		if len(got) != 3 || got[0].Text != "As you asked:" || got[1].FileKind != "image" || !bytes.Equal(got[1].Data, picture()) ||
			got[2].FileKind != "file" || got[2].FileName != "prices.pdf" || !bytes.Equal(got[2].Data, pdf()) {
			t.Fatalf("Bo got %v", got)
		}
		if m.text("externalId") != got[0].ID {
			t.Errorf("the message is %v and not %s", m, got[0].ID)
		}
		s.bo.Reacts(got[2].Ref(), "love", "❤") // to the last part
		eventually(t, "the reaction is seen", func() error {
			if reactions := s.written(id).list("reactions"); len(reactions) != 1 || reactions[0].text("emoji") != "❤" {
				return fmt.Errorf("the reactions are %v", reactions)
			}
			return nil
		})
		s.settles()
		if said := s.said(); len(said) != 1 || len(s.bo.Received()) != 3 {
			t.Errorf("the conversation shows %q, Bo got %v", said, s.bo.Received())
		}
	})
}

func TestWhatWasDeliveredAndReadInAnyOrderNeverGoesBack(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		s := opensStorefront(t, on)
		watch := s.ana.opens()
		watch.subscribes(`subscription($c: ID!, $a: Cursor) { messageUpdated(campaignId: $c, after: $a) { change status message { id status } } }`,
			data{"c": s.campaign, "a": s.began})

		s.bo.GoesOffline()
		var ids []string
		for _, text := range []string{"one", "two"} {
			ids = append(ids, s.ana.answers(s.chat, text))
			s.becomes(ids[len(ids)-1], "SENT", "")
		}
		s.settles()
		s.facebook.app.Hold()
		s.bo.ComesOnline()
		s.bo.Reads()
		for _, text := range []string{"three", "four"} { // echoed, delivered and read out of turn
			id := s.ana.answers(s.chat, text)
			s.becomes(id, "SENT", "")
			ids = append(ids, id)
			s.bo.Reads()
		}
		s.facebook.app.Release(simulator.Batching{Size: 1, Shuffle: true, Copies: 2})

		rank := map[string]int{"QUEUED": 0, "SENT": 1, "DELIVERED": 2, "READ": 3}
		reached := map[string]int{}
		read := 0
		for read < len(ids) {
			seen := watch.sees().at("messageUpdated")
			id, status := seen.at("message").text("id"), seen.text("status")
			if seen.text("change") != "STATUS" || !slices.Contains(ids, id) {
				continue
			}
			if rank[status] <= reached[id] || rank[seen.at("message").text("status")] < rank[status] {
				t.Errorf("%s is %v after %d", id, seen, reached[id])
			}
			if reached[id] = rank[status]; status == "READ" {
				read++
			}
		}
		s.settles()
		for _, id := range ids {
			if m := s.message(id); m.text("status") != "READ" {
				t.Errorf("in the end it is %v", m)
			}
		}
	})
}

const (
	takes = `mutation($v: ID!) { takeConversation(id: $v) { conversation { threadOwner threadOwnerAppId assignee { name } replyPolicy { allowed } }
		userErrors { code message platformCode } } }`
	handsOver = `mutation($v: ID!, $to: HandOverTarget!) { handOverConversation(input: {id: $v, target: $to, metadata: "about umbrellas"}) {
		conversation { threadOwner threadOwnerAppId assignee { name } replyPolicy { allowed } } userErrors { code message platformCode } } }`
)

func TestAThreadThatAnotherAppTookIsTakenBackAndHandedOver(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		s := opensStorefront(t, on)
		bot := s.facebook.AddApp("Shop bot")
		s.page.Subscribe(bot, "messages")
		s.bo.TakenBy(bot.ID())
		s.awaits("the bot's turn is known", func(c data) bool {
			return c.text("threadOwner") == "ANOTHER_APP" && c.text("threadOwnerAppId") == bot.ID()
		})
		calls := len(s.facebook.Calls("POST messages"))
		if p := s.ana.refused(s.chat, "Yes"); p.text("code") != "THREAD_OWNED_BY_ANOTHER_APP" {
			t.Errorf("sendMessage answers %v", p)
		}
		if c := s.reads().at("replyPolicy"); c["allowed"] != false || c.at("problem").text("code") != "THREAD_OWNED_BY_ANOTHER_APP" {
			t.Errorf("the reply policy is %v", c)
		}
		s.bo.AnsweredBy(bot, "I am a bot", "")
		s.bo.Writes("A person, please")
		s.awaits("the bot is overheard", func(c data) bool { return len(c.nodes("messages")) == 4 }) // and the note that it took over
		for _, m := range s.reads().nodes("messages")[2:] {
			if m["standby"] != true || m.text("authorKind") != map[string]string{"I am a bot": "BOT", "A person, please": "CUSTOMER"}[m.text("text")] {
				t.Errorf("overheard was %v", m)
			}
		}
		if n := len(s.facebook.Calls("POST messages")); n != calls {
			t.Errorf("Facebook was called %d times", n-calls)
		}

		taken := s.ana.does(takes, data{"v": s.chat}).at("conversation")
		if taken.text("threadOwner") != "US" || taken.at("assignee").text("name") != "Ana" || taken.at("replyPolicy")["allowed"] != true {
			t.Errorf("taken, it is %v", taken)
		}
		if owner := s.bo.Owner(); owner != s.facebook.app.ID() {
			t.Errorf("Facebook gave it to %s", owner)
		}
		s.becomes(s.ana.answers(s.chat, "I am one"), "DELIVERED", "")
		s.settles()
		if c := s.reads(); c.text("threadOwner") != "US" {
			t.Errorf("afterwards it is %v", c)
		}

		given := s.ana.does(handsOver, data{"v": s.chat, "to": "PRIMARY_APP"}).at("conversation")
		if given.text("threadOwner") != "ANOTHER_APP" || given.text("threadOwnerAppId") != bot.ID() || given["assignee"] != nil || s.bo.Owner() != bot.ID() {
			t.Errorf("handed over to %s, it is %v", s.bo.Owner(), given)
		}
	})
}

func TestAThreadHandedToThePagesInboxIsAnsweredThere(t *testing.T) {
	t.Parallel()
	s := opensStorefront(t)
	s.page.SetDefaultApp(s.facebook.app)
	s.ana.does(takes, data{"v": s.chat})
	given := s.ana.does(handsOver, data{"v": s.chat, "to": "PAGE_INBOX"}).at("conversation")
	if given.text("threadOwner") != "PLATFORM_INBOX" || given["assignee"] != nil || given.at("replyPolicy")["allowed"] != false || s.bo.Owner() != simulator.PageInboxApp {
		t.Errorf("handed over to %s, it is %v", s.bo.Owner(), given)
	}
	if p := s.ana.refused(s.chat, "Yes"); p.text("code") != "THREAD_OWNED_BY_ANOTHER_APP" {
		t.Errorf("sendMessage answers %v", p)
	}
	s.bo.Inbox("The page's people here")
	s.awaits("the inbox is heard", func(c data) bool {
		list := c.nodes("messages")
		last := list[len(list)-1]
		return last.text("text") == "The page's people here" && last.text("authorKind") == "PLATFORM_INBOX" && last.text("direction") == "OUTBOUND"
	})
	s.settles()
	if c := s.reads(); c.text("threadOwner") != "PLATFORM_INBOX" || c["assignee"] != nil {
		t.Errorf("answered there, it is %v", c)
	}
	if taken := s.ana.does(takes, data{"v": s.chat}).at("conversation"); taken.text("threadOwner") != "US" {
		t.Errorf("taken back, it is %v", taken)
	}
	s.becomes(s.ana.answers(s.chat, "And here again"), "DELIVERED", "")
}

func TestARefusalTellsThatAnotherAppHasTheThread(t *testing.T) {
	t.Parallel()
	s := opensStorefront(t)
	bot := s.facebook.AddApp("Shop bot")
	s.settles()
	s.facebook.app.Hold() // nobody tells
	s.bo.TakenBy(bot.ID())
	m := s.becomes(s.ana.answers(s.chat, "Yes"), "FAILED", "THREAD_OWNED_BY_ANOTHER_APP")
	if m.at("problem").text("platformMessage") == "" {
		t.Errorf("the message is %v", m)
	}
	if c := s.reads(); c.text("threadOwner") != "ANOTHER_APP" || c.at("replyPolicy")["allowed"] != false {
		t.Errorf("the conversation is %v", c)
	}
	s.facebook.app.Release(simulator.Batching{})
	s.awaits("the owner is told", func(c data) bool { return c.text("threadOwnerAppId") == bot.ID() })
}

func TestTheWindowForAnswersByFacebooksClockAndOurs(t *testing.T) {
	t.Parallel()
	clock := newShiftedClock()
	s := opensStorefrontAt(t, clock)
	s.settles()
	windowIs := func(want string) {
		t.Helper()
		if p := s.reads().at("replyPolicy"); p.text("window") != want || p["allowed"] != (want != "CLOSED") {
			t.Errorf("the reply policy is %v, not %s", p, want)
		}
	}
	windowIs("STANDARD")
	s.becomes(s.ana.answers(s.chat, "within a day"), "DELIVERED", "")

	clock.turn(25 * time.Hour)
	windowIs("HUMAN_AGENT")
	s.becomes(s.ana.answers(s.chat, "after a day"), "DELIVERED", "")
	got := s.bo.Received()
	if len(got) != 2 || got[0].Type != "RESPONSE" || got[0].Tag != "" || got[1].Type != "MESSAGE_TAG" || got[1].Tag != "HUMAN_AGENT" {
		t.Errorf("Bo got %+v", got)
	}

	clock.turn(6*24*time.Hour - 2*time.Hour) // an hour before the end
	s.facebook.FailNext("POST messages", simulator.GraphFailure{Times: -1})
	waiting := s.ana.answers(s.chat, "too late")
	s.becomes(waiting, "QUEUED", "PLATFORM_ERROR")
	s.facebook.Works()
	clock.turn(2 * time.Hour)
	s.becomes(waiting, "FAILED", "REPLY_WINDOW_CLOSED")
	windowIs("CLOSED")
	if p := s.ana.refused(s.chat, "later still"); p.text("code") != "REPLY_WINDOW_CLOSED" || !strings.Contains(p.text("message"), "UTC") {
		t.Errorf("sendMessage answers %v", p)
	}
	if got := s.got(); !slices.Equal(got, []string{"within a day", "after a day"}) {
		t.Errorf("Bo got %q", got)
	}

	s.bo.Writes("Are you still there?")
	s.awaits("Bo is heard", func(c data) bool { return c.at("replyPolicy").text("window") == "STANDARD" })
	s.becomes(s.ana.answers(s.chat, "We are"), "DELIVERED", "")

	s.facebook.Passes(8 * 24 * time.Hour) // by its own clock alone
	m := s.becomes(s.ana.answers(s.chat, "too late for Facebook"), "FAILED", "REPLY_WINDOW_CLOSED")
	if c := s.reads(); c.text("threadOwner") != "NONE" && c.text("threadOwner") != "US" || m.at("problem").text("platformMessage") == "" {
		t.Errorf("the message is %v, the conversation %v", m, c)
	}
}

func TestAPageThatFacebookUnsubscribedIsNoticedByTheNextCheck(t *testing.T) {
	t.Parallel()
	clock := newShiftedClock()
	s := opensStorefrontAt(t, clock)
	s.settles()
	s.page.DropSubscription(s.facebook.app)
	eventually(t, "the next check notices", func() error {
		clock.turn(30 * time.Minute)
		c := s.mai.gets(`query($n: ID!) { connection(id: $n) { status problem { code } webhook { status } } }`, data{"n": s.connection}).at("connection")
		if c.text("status") != "ERROR" || c.at("problem").text("code") != "WEBHOOK_NOT_REGISTERED" || c.at("webhook").text("status") != "INACTIVE" {
			return fmt.Errorf("the connection is %v", c)
		}
		return nil
	})
	s.mai.does(`mutation($n: ID!) { registerWebhook(connectionId: $n) { connection { status } userErrors { code message } } }`, data{"n": s.connection})
	s.mai.isNow(s.connection, "ACTIVE", "")
	s.bo.Writes("Can you hear me?")
	s.awaits("Bo is heard again", func(c data) bool { return len(c.nodes("messages")) == 2 })
}

func TestWhoWritesToThePageHasANameAndAPicture(t *testing.T) {
	t.Parallel()
	s := opensStorefront(t, func(set *settings) { set.AllowPrivateMedia = true })
	s.awaits("Bo is known", func(c data) bool {
		contact := c.at("contact")
		return contact.text("name") == "Bo Tran" && contact.text("avatarUrl") != ""
	})
	contact := s.reads().at("contact")
	if res, content := s.downloads(contact.text("avatarUrl")); res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/png" || len(content) == 0 {
		t.Errorf("the picture is %d %v", res.StatusCode, res.Header)
	}
	found := s.ana.gets(`query($c: ID!) { campaign(id: $c) { conversations(filter: {search: "tran"}) { totalCount } } }`, data{"c": s.campaign}).at("campaign", "conversations")
	if found.number("totalCount") != 1 {
		t.Errorf("by the name %v is found", found)
	}
}

func TestWhatACustomerShowsIsFetched(t *testing.T) {
	t.Parallel()
	s := opensStorefront(t, func(set *settings) { set.AllowPrivateMedia = true })
	photo := s.bo.SendsPicture()
	s.bo.SendsDocument("Order 7.pdf")
	s.bo.SendsSticker(simulator.LikeSticker, simulator.StickerAsBoth)
	s.awaits("all is stored", func(c data) bool {
		stored := 0
		for _, m := range c.nodes("messages") {
			for _, a := range m.list("attachments") {
				if a.text("state") == "STORED" {
					stored++
				}
			}
		}
		return stored == 3
	})
	var kinds []string
	for _, a := range s.ana.attachments(s.chat) {
		kinds = append(kinds, a.text("kind"))
	}
	if !slices.Equal(kinds, []string{"IMAGE", "FILE", "STICKER"}) {
		t.Errorf("there are %q", kinds)
	}
	shown := s.written(photo.ID).list("attachments")[0]
	res, content := s.downloads(shown.text("url"))
	image, err := png.Decode(bytes.NewReader(content))
	if err != nil || res.Header.Get("Content-Type") != "image/png" || image.Bounds().Dx() != shown.number("width") || shown.number("width") != 320 {
		t.Errorf("the picture is %v, served with %v: %v", shown, res.Header, err)
	}
}

func TestACustomerEditsTakesBackAndReacts(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		s := opensStorefront(t, on)
		second := s.bo.Writes("I live at 7 Secret Street")
		s.awaits("both are heard", func(c data) bool { return c.number("unreadCount") == 2 })
		s.bo.Edits(s.asked, "Do you have red umbrellas?")
		s.bo.Unsends(second)
		s.awaits("it was taken back", func(c data) bool {
			list := c.nodes("messages")
			return list[0].text("text") == "Do you have red umbrellas?" && list[0]["editedAt"] != nil &&
				list[1]["text"] == nil && list[1]["deletedAt"] != nil && c.number("unreadCount") == 1
		})
		found := s.ana.gets(`query($c: ID!) { campaign(id: $c) { conversations(filter: {search: "secret"}) { totalCount } } }`, data{"c": s.campaign}).at("campaign", "conversations")
		if found.number("totalCount") != 0 {
			t.Errorf("what was taken back is found: %v", found)
		}

		id := s.ana.answers(s.chat, "Yes, here")
		s.becomes(id, "DELIVERED", "")
		mine := s.bo.Received()[0].Ref()
		shows := func(emoji ...string) {
			t.Helper()
			eventually(t, fmt.Sprintf("the reactions are %q", emoji), func() error {
				var got []string
				for _, name := range []string{id, s.asked.ID} {
					for _, r := range s.written(name).list("reactions") {
						got = append(got, r.text("emoji"))
					}
				}
				if !slices.Equal(got, emoji) {
					return fmt.Errorf("they are %q", got)
				}
				return nil
			})
		}
		s.bo.Reacts(mine, "love", "❤")
		shows("❤")
		s.bo.Reacts(mine, "like", "👍")
		s.bo.Reacts(s.asked, "smile", "😆")
		shows("👍", "😆")
		s.bo.Unreacts(mine)
		shows("😆")
		s.settles()
	})
}
