package main

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pageFixtures reads what is kept beside the repository of what Facebook posts, and lets
// each be about a page of its own, which it connects.
func (p *program) pageFixtures(f *facebook, campaign string) []fixture {
	p.t.Helper()
	const folder = "../../shared/fixtures/messenger"
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		p.t.Skipf("there are no bodies from life in %s: %v", folder, err)
	}
	var all []fixture
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		var said struct {
			Object string
			Entry  []struct{ ID json.RawMessage }
		}
		if err := json.Unmarshal(body, &said); err != nil || len(said.Entry) == 0 {
			p.t.Fatalf("%s: %v", file, err)
		}
		one := fixture{name: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "restfb-"), ".json"), body: body}
		if said.Object == "page" {
			page := f.AddPage(one.name)
			one.connection = p.pageOf(campaign, page)
			id := regexp.MustCompile(`("id":\s*"?)` + regexp.QuoteMeta(strings.Trim(string(said.Entry[0].ID), `"`)))
			one.body = id.ReplaceAll(body, []byte("${1}"+page.ID()))
		}
		all = append(all, one)
	}
	return all
}

// pagesBecome is the last that is to be said of each body. Changes of a page, and what is
// about a message or a chat that nobody knows here, are IGNORED.
var pagesBecome = map[string]string{
	"accountlinking-linked":       "INTERNAL 987654321432: The customer linked their account",
	"accountlinking-unlinked":     "INTERNAL 987654321432: The customer unlinked their account",
	"airline-itinerary-template":  "INBOUND 987654321432: Here's your flight itinerary.",
	"approles":                    "INTERNAL 987654321432: The roles of the page's apps changed. app 123456789: primary receiver",
	"button-template":             "INBOUND 987654321432: ▸ Visit Messenger BUTTON_URL",
	"checkoutupdate-shipping":     "INTERNAL USER_ID: The customer chose where to ship to: 1 Hacker Way, MENLO PARK, CA 94025, US",
	"delivery-basic":              "IGNORED message_deliveries",
	"feed-comment-add-25":         "IGNORED feed",
	"feed-two-entries-25":         "IGNORED payment_options",
	"leadgen":                     "IGNORED leadgen",
	"mention-post-add":            "IGNORED mention",
	"message-basic":               "INBOUND 987654321432: hello, world!",
	"message-basic-echo":          "OUTBOUND : hello, world!",
	"message-edits":               "INBOUND 987654321432: hello, world!",
	"message-fallback-attachment": "INBOUND 987654321432: https://www.messenger.com/ [LINK]",
	"message-isdeleted":           "IGNORED messages",
	"message-isunsupported":       "INBOUND 987654321432:  [UNSUPPORTED]",
	"message-location-attachment": "INBOUND 987654321432:  [LOCATION]",
	"message-media-attachment":    "INBOUND 987654321432:  [IMAGE]",
	"message-nlp-1":               "INBOUND 968155906638513: bye, see you tomorrow at 4pm",
	"message-nlp-2":               "INBOUND 968155906638513: hi there",
	"message-prior":               "INBOUND 987654321432: Thanks for messaging me!",
	"message-product-template":    "INBOUND <PSID>: Some product title – $40 [IMAGE]",
	"message-product-template-2":  "product name – product price as a string [IMAGE]",
	"message-quickreply":          "INBOUND 987654321432: quick reply text",
	"message-reply-1":             "INBOUND 987654321432: hello, world!",
	"message-reply-2":             "INBOUND 987654321432: hello, world!",
	"message-sticker":             "INBOUND 987654321432:  [STICKER]",
	"message-sticker-thumbup":     "INBOUND 987654321432:  [STICKER]",
	"optin-basic":                 "INTERNAL 987654321432: The customer opted in (ref PASS_THROUGH_PARAM)",
	"optin-userref":               "INTERNAL 987654321432: The customer opted in by the checkbox on the website (ref PASS_THROUGH_PARAM)",
	"pass-thread-control":         "INTERNAL USER_ID: The thread was passed to app NEW_OWNER_APP_ID: “METADATA”",
	"payment":                     "Peter Chang, peter@anemailprovider.com, +15105551234, 1 Hacker Way, MENLO PARK, CA 94025, US",
	"policy-callback-block":       "PROCESSED messaging_policy_enforcement",
	"postback-basic":              "INBOUND 987654321432: USER_DEFINED_PAYLOAD",
	"postback-chat":               "INBOUND user_ref:987654321432: hey",
	"postback-referral":           "INBOUND 987654321432: USER_DEFINED_PAYLOAD",
	"ratings-rating-add-31":       "IGNORED ratings",
	"reaction-1":                  "IGNORED message_reactions",
	"reaction-2":                  "IGNORED message_reactions",
	"read-basic":                  "IGNORED message_reads",
	"referral-basic":              "INTERNAL 987654321432: The customer came by an m.me link (ref ref_data_in_m_dot_me_param)",
	"request-thread-control":      "INTERNAL USER_ID: The thread is asked for by app REQUESTED_OWNER_APP_ID: “METADATA”",
	"standby-message-basic-echo":  "OUTBOUND : hello, world!",
	"take-thread-control":         "INTERNAL USER_ID: The thread was taken from app PREVIOUS_OWNER_APP_ID: “METADATA”",
	"unknown-change-value":        "IGNORED foo",
}

// stateOf is what became of each fixture, the statuses of messages and whose each thread
// is among it.
func (p *program) stateOf(fixtures []fixture, campaign string) map[string]string {
	p.t.Helper()
	told := p.became(fixtures, campaign)
	for _, f := range fixtures {
		conversations := p.admin().gets(`query($c: ID!, $id: ID!) { campaign(id: $c) { conversations(filter: {connectionId: $id}) { edges { node {
			status unreadCount threadOwner threadOwnerAppId contact { externalId } messages { totalCount edges { node { status standby payload externalId } } } } } } } }`,
			data{"c": campaign, "id": f.connection}).at("campaign").nodes("conversations")
		state, _ := json.Marshal(conversations)
		told[f.name] = string(state) + "\n" + told[f.name]
	}
	return told
}

func (p *program) ofPages(fixtures []fixture) []fixture {
	return slices.DeleteFunc(slices.Clone(fixtures), func(f fixture) bool { return f.connection == "" })
}

func TestWhatFacebookPostsInLifeBecomesWhatItIs(t *testing.T) {
	t.Parallel()
	f := opensFacebook(t)
	p := begin(t, f.ours)
	campaign := p.campaign("Shop")
	fixtures := p.pageFixtures(f, campaign)
	for _, one := range fixtures {
		if status := f.delivers(p, string(one.body)); status != 200 {
			t.Errorf("%s is answered %d", one.name, status)
		}
	}
	fixtures = p.ofPages(fixtures)
	for _, one := range fixtures {
		p.processed(one.connection, 1)
	}
	states := p.stateOf(fixtures, campaign)
	for name, what := range states {
		lines := strings.Split(what, "\n")
		want, known := pagesBecome[name]
		if known && lines[len(lines)-1] != want {
			t.Errorf("%s became\n%s\ninstead of %s", name, what, want)
		}
	}
	for name, parts := range map[string][]string{
		"message-quickreply":         {`"payload":"PAYLOAD_QUICK_REPLY"`},
		"postback-referral":          {`"payload":"USER_DEFINED_PAYLOAD"`, "INTERNAL 987654321432: The customer came by an m.me link"},
		"standby-message-basic-echo": {`"standby":true`, `"threadOwner":"ANOTHER_APP"`, `"threadOwnerAppId":"1517776481860111"`},
		"pass-thread-control":        {`"threadOwner":"ANOTHER_APP"`, `"threadOwnerAppId":"NEW_OWNER_APP_ID"`},
	} {
		for _, part := range parts {
			if what := states[name]; !strings.Contains(what, part) {
				t.Errorf("%s became\n%s\nwithout %s", name, what, part)
			}
		}
	}
}

func TestWhatFacebookPostsFiveTimesEachAndShuffledBecomesTheSame(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, on option) {
		const times = 5
		f := opensFacebook(t)
		p := begin(t, f.ours, on)
		one, five := p.campaign("Once"), p.campaign("Five times")
		once, often := p.ofPages(p.pageFixtures(f, one)), p.ofPages(p.pageFixtures(f, five))
		for _, each := range once {
			f.delivers(p, string(each.body))
		}
		shuffled := slices.Repeat(often, times)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		next := make(chan fixture)
		var posts sync.WaitGroup
		for range 2 * times {
			posts.Go(func() {
				for each := range next {
					if status := f.delivers(p, string(each.body)); status != 200 {
						t.Errorf("%s is answered %d", each.name, status)
					}
				}
			})
		}
		for _, each := range shuffled {
			next <- each
		}
		close(next)
		posts.Wait()
		for i := range once {
			// What has no number and changes nothing cannot be told from its repeats.
			first := p.processed(once[i].connection, strings.Count(string(once[i].body), `"time"`))
			want := map[string]int{}
			for status, n := range first {
				if status == "PROCESSED" {
					want["PROCESSED"], want["DUPLICATE"] = n, (times-1)*n
				} else {
					want[status] = times * n
				}
			}
			if logs := p.processed(often[i].connection, times*strings.Count(string(often[i].body), `"time"`)); !maps.Equal(logs, want) {
				t.Errorf("%s: of %v came %v", once[i].name, first, logs)
			}
		}
		before, after := p.stateOf(once, one), p.stateOf(often, five)
		for name := range before {
			if after[name] != before[name] {
				t.Errorf("%s became\n%s\ninstead of\n%s", name, after[name], before[name])
			}
		}
	})
}
