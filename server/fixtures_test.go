package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"causeway/internal/platform/simulator"
)

// fixture is an update from life, and the connection of its own that it is posted to.
type fixture struct {
	name       string
	body       []byte
	hook       *poster
	connection string
}

// fixtures reads what is kept beside the repository and connects a bot for each: some
// repeat each other's numbers.
func (p *program) fixtures(campaign string) []fixture {
	p.t.Helper()
	const folder = "../../shared/fixtures/telegram"
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		p.t.Skipf("there are no updates from life in %s: %v", folder, err)
	}
	var all []fixture
	for i, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		f := fixture{name: strings.TrimSuffix(filepath.Base(file), ".json"), body: body}
		var bot *simulator.Bot
		bot, f.connection = p.bot(campaign, fmt.Sprintf("fixture%d_bot", i))
		f.hook = posterTo(p.t, bot)
		all = append(all, f)
	}
	return all
}

// became is what a campaign shows of each fixture: what became of the update, and each
// conversation with its messages.
func (p *program) became(fixtures []fixture, campaign string) map[string]string {
	p.t.Helper()
	told := map[string]string{}
	for _, f := range fixtures {
		c := p.admin().gets(`query($id: ID!) { connection(id: $id) { campaign { id }
			webhookLogs { edges { node { status eventType error } } } } }`, data{"id": f.connection}).at("connection")
		var lines []string
		for _, log := range c.nodes("webhookLogs") {
			if log.text("status") != "DUPLICATE" {
				lines = append(lines, strings.TrimSpace(log.text("status")+" "+log.text("eventType")+" "+log.text("error")))
			}
		}
		slices.Sort(lines)
		lines = slices.Compact(lines)
		conversations := p.admin().gets(`query($c: ID!, $id: ID!) { campaign(id: $c) { conversations(filter: {connectionId: $id}) { edges { node { title unreadCount contact { name blocked }
			messages { edges { node { direction text payload forwardedFrom albumId contact { name } replyTo { text } attachments { kind } } } } } } } } }`,
			data{"c": campaign, "id": f.connection}).at("campaign").nodes("conversations")
		slices.SortFunc(conversations, func(a, b data) int { return cmp.Compare(a.text("title"), b.text("title")) })
		for _, conversation := range conversations {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s/%s %v", conversation.text("title"), conversation.at("contact").text("name"), conversation.at("contact")["blocked"])))
			for _, m := range conversation.nodes("messages") {
				line := m.text("direction") + " " + m.at("contact").text("name") + ": " + m.text("text")
				for _, a := range m.list("attachments") {
					line += " [" + a.text("kind") + "]"
				}
				if from := m.text("forwardedFrom"); from != "" {
					line += " from " + from
				}
				if m.text("albumId") != "" {
					line += " of an album"
				}
				lines = append(lines, line)
			}
		}
		told[f.name] = strings.Join(lines, "\n")
	}
	return told
}

// theyBecome is the last that is to be said of each kind that is known; one that is
// not known is IGNORED.
var theyBecome = map[string]string{
	"channel_post_boost_added_chat-channel":            "INTERNAL Test: Test boosted the channel",
	"channel_post_gift_chat-channel":                   "INTERNAL Test: Test sent a gift",
	"channel_post_giveaway_chat-channel":               "INTERNAL Test: Test announced a giveaway",
	"channel_post_giveaway_completed_chat-channel":     "INTERNAL Test: A giveaway ended",
	"channel_post_giveaway_created_chat-channel":       "INTERNAL Test: Test scheduled a giveaway",
	"channel_post_giveaway_winners_reply_chat-channel": "INTERNAL Test: A giveaway ended",
	"channel_post_unique_gift_chat-channel":            "INTERNAL Test: Test sent a gift",
	"chat_boost":                                       "IGNORED chat_boost",
	"chat_shared_chat-private":                         "INTERNAL Андрей Власов: Андрей Власов shared a chat with the bot",
	"dice_chat-supergroup":                             "INBOUND Hirrolot: 🎲 2",
	"forum_topic_closed_chat-supergroup":               "INTERNAL Владислав: Владислав closed the topic",
	"forum_topic_created_topic_chat-supergroup":        "INTERNAL вафель': вафель' opened the topic “???”",
	"message_reaction":                                 "PROCESSED message_reaction",
	"message_reaction-2":                               "PROCESSED message_reaction",
	"message_reaction_count":                           "IGNORED message_reaction_count",
	"migrate_from_chat_id_chat-supergroup":             "INTERNAL test: The group became a supergroup",
	"migrate_to_chat_id_chat-group":                    "INTERNAL test: The group became a supergroup",
	"my_chat_member_status-kicked":                     "INTERNAL FN LN: The customer blocked the bot",
	"new_update_kind":                                  "IGNORED new_update_kind",
	"photo_caption_chat-private":                       "INBOUND Crax | rats addict: www.example.com [IMAGE]",
	"photo_caption_chat-private-2":                     "INBOUND shadowchain: El Psy Kongroo [IMAGE]",
	"photo_chat-private":                               "INBOUND Андрей Власов:  [IMAGE]",
	"pinned_message_chat-supergroup":                   "INTERNAL Hirrolot: Hirrolot pinned a message",
	"purchased_paid_media":                             "IGNORED purchased_paid_media",
	"removed_chat_boost":                               "IGNORED removed_chat_boost",
	"sticker_chat-private":                             "INBOUND Андрей Власов:  [STICKER]",
	"story_chat-supergroup":                            "INBOUND Wert:  [UNSUPPORTED]",
	"text_chat-private":                                "INBOUND Waffle: hello there",
	"text_chat-private-2":                              "INBOUND Hirrolot: 4",
	"text_chat-private-3":                              "INBOUND Андрей Власов: Лол кек 😂",
	"text_chat-private-4":                              "INBOUND shadowchain: El Psy Kongroo",
	"text_forwarded_chat-supergroup":                   "INBOUND a: text from a",
	"text_reply_topic_chat-supergroup":                 "INBOUND вафель': blah",
	"text_reply_topic_command_chat-supergroup":         "INBOUND the Cable Guy: /report",
	"video_chat-private":                               "INBOUND Андрей Власов:  [VIDEO]",
	"video_chat_started_chat-supergroup":               "INTERNAL C++ Together 2.0: C++ Together 2.0 started a video chat",
	"video_media_group_chat-private":                   "INBOUND Андрей Власов:  [VIDEO] of an album",
}

func TestUpdatesFromLifeBecomeWhatTheyAre(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	fixtures := p.fixtures(campaign)
	for _, f := range fixtures {
		f.hook.mustPost(t, f.body, 200)
	}
	for _, f := range fixtures {
		p.processed(f.connection, 1)
	}
	told := p.became(fixtures, campaign)
	for name, what := range told {
		lines := strings.Split(what, "\n")
		if !strings.HasPrefix(lines[0], "PROCESSED ") && !strings.HasPrefix(lines[0], "IGNORED ") {
			t.Errorf("%s was not understood: %s", name, lines[0])
		}
		want, known := theyBecome[strings.TrimPrefix(name, "teloxide-")]
		if known && lines[len(lines)-1] != want {
			t.Errorf("%s became\n%s\ninstead of %s", name, what, want)
		}
	}
}

func TestUpdatesFromLifeFiveTimesEachAndShuffledBecomeTheSame(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	fixtures := p.fixtures(campaign)
	for _, f := range fixtures {
		f.hook.mustPost(t, f.body, 200)
		p.processed(f.connection, 1)
	}
	once := p.became(fixtures, campaign)
	onEachDatabase(t, func(t *testing.T, database option) {
		const times = 5
		p := begin(t, database)
		campaign := p.campaign("Shop")
		fixtures := p.fixtures(campaign)
		shuffled := slices.Repeat(fixtures, times)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		next, done := make(chan fixture), make(chan struct{})
		for range 2 * times {
			go func() {
				defer func() { done <- struct{}{} }()
				for f := range next {
					f.hook.mustPost(t, f.body, 200)
				}
			}()
		}
		for _, f := range shuffled {
			next <- f
		}
		close(next)
		for range 2 * times {
			<-done
		}
		for _, f := range fixtures {
			if logs := p.processed(f.connection, times); logs["DUPLICATE"] != times-1 || logs["FAILED"] > 0 {
				t.Errorf("%s: the logs are %v", f.name, logs)
			}
		}
		often := p.became(fixtures, campaign)
		for name := range once {
			if often[name] != once[name] {
				t.Errorf("%s became\n%s\ninstead of\n%s", name, often[name], once[name])
			}
		}
	})
}
