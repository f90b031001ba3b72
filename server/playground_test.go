package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"causeway"
	"causeway/internal/platform/simulator"
	"causeway/internal/playground/browsertest"
)

// visitor is a person at the playground.
type visitor struct {
	*browsertest.Page
	p *program
}

// visits opens the playground and waits until it can be written in.
func (p *program) visits(b *browsertest.Browser, w browsertest.Window) visitor {
	p.t.Helper()
	v := visitor{b.Open(p.t, p.url, w), p}
	v.Until("the editors are there", `document.querySelector('.graphiql-query-editor .view-line') && `+answerModel)
	return v
}

// answerModel is the text that GraphiQL shows as the answer.
const answerModel = `globalThis.__MONACO?.editor.getModels().find(({ uri }) => uri.path.endsWith('response.json'))`

// answerEditor is the editor with the answer, and firstLine what is read at its top: the
// event that the first line is part of, and how far from the event's beginning it is.
const (
	answerEditor = `globalThis.__MONACO.editor.getEditors().find((editor) => editor.getModel() === ` + answerModel + `)`
	firstLine    = `(() => {
		const editor = ` + answerEditor + `, lines = editor.getModel().getLinesContent();
		const first = editor.getVisibleRanges()[0].startLineNumber;
		const event = lines.slice(0, first).findLastIndex((line) => line.startsWith('  "#'));
		return lines[event] + ' + ' + (first - event);
	})()`
)

// tab changes to the example of that operation; with is what is changed of its
// variables.
func (v visitor) tab(operation string, with data) {
	v.p.t.Helper()
	v.Click(fmt.Sprintf(`button[title=%q]`, operation))
	v.Until("the tab "+operation+" is open", fmt.Sprintf(`document.querySelector('[role=tab][aria-selected=true], .graphiql-tab-active')?.textContent.includes(%q)`, operation))
	changes, err := json.Marshal(with)
	if err != nil {
		v.p.t.Fatal(err)
	}
	v.Eval(fmt.Sprintf(`{
		const variables = globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith('variables.json'));
		variables.setValue(JSON.stringify({ ...JSON.parse(variables.getValue()), ...%s }, null, 2));
	}`, changes), nil)
}

// runs runs the operation of the tab and waits until the answer has what it must.
func (v visitor) runs(parts ...string) {
	v.p.t.Helper()
	v.Click(".graphiql-execute-button")
	v.shows(parts...)
}

// shows waits until the answer has all parts, in that order.
func (v visitor) shows(parts ...string) {
	v.p.t.Helper()
	wanted, err := json.Marshal(parts)
	if err != nil {
		v.p.t.Fatal(err)
	}
	v.Until(fmt.Sprintf("the answer shows %q", parts), fmt.Sprintf(`%s.reduce((from, part) => {
		const at = from < 0 ? -1 : %s.getValue().indexOf(part, from);
		return at < 0 ? -1 : at + part.length;
	}, 0) >= 0`, wanted, answerModel))
}

// is waits until the line above GraphiQL says whose token is used.
func (v visitor) is(who string) {
	v.p.t.Helper()
	v.Until("the page says "+who, fmt.Sprintf(`document.querySelector('.bar output').textContent.includes(%q)`, who))
}

// schemas counts how often the schema was fetched.
func (v visitor) schemas() int {
	v.p.t.Helper()
	var n int
	v.Eval(`performance.getEntriesByType('resource').filter(({ name, encodedBodySize }) => name.endsWith('/graphql') && encodedBodySize > 5000).length`, &n)
	return n
}

// content is nothing that the page could be reproached with: no error, and nothing
// asked of another host.
func (v visitor) content() {
	v.p.t.Helper()
	if complaints := v.Complaints(); len(complaints) > 0 {
		v.p.t.Errorf("the browser complains: %q", complaints)
	}
	host := strings.TrimPrefix(v.p.url, "http")
	requests := v.Requests()
	for _, address := range requests {
		if !strings.HasPrefix(address, "http"+host+"/") && !strings.HasPrefix(address, "ws"+host+"/") && !strings.HasPrefix(address, "data:") {
			v.p.t.Errorf("the page asked %s", address)
		}
	}
	if len(requests) < 10 {
		v.p.t.Errorf("only these requests were seen: %q", requests)
	}
}

func TestThePlaygroundInABrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	for name, story := range map[string]func(*testing.T, *browsertest.Browser){
		"a visitor lives the whole story":                    livesTheWholeStory,
		"a token is typed once, and forgotten when asked to": typesATokenOnce,
		"it fits every screen":                               fitsEveryScreen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, b)
		})
	}
}

func livesTheWholeStory(t *testing.T, b *browsertest.Browser) {
	p := begin(t, func(s *settings) { s.AdminEmail, s.AdminPassword = "ada@example.com", "a long password" })
	bot := p.telegram.AddBot("corner_bot", "Corner Shop", simulator.WithoutPrivacy())
	v := p.visits(b, browsertest.Window{Width: 1280, Height: 800})
	v.is("Signed out")
	eventually(t, "the schema is fetched", func() error {
		if v.schemas() == 0 {
			return errors.New("no answer was as large as a schema")
		}
		return nil
	})
	before := v.schemas()

	v.tab("SignIn", data{"email": "ada@example.com", "password": "a wrong password"})
	v.runs(`"token": null`, `"userErrors"`, `"message"`)
	v.tab("SignIn", data{"email": "ada@example.com", "password": "a long password"})
	v.runs(`"token": "cw_`, `"userErrors": []`)
	v.is("ADMIN")
	eventually(t, "the schema is fetched again with the token", func() error {
		if now := v.schemas(); now <= before {
			return fmt.Errorf("it was fetched %d times before, and %d now", before, now)
		}
		return nil
	})

	v.tab("CreateCampaign", data{"name": "Corner shop"})
	v.runs(`"id": "camp_`, `"name": "Corner shop"`)
	v.tab("ConnectBot", data{"botToken": bot.Token()})
	v.runs(`"status": "ACTIVE"`, `"userErrors": []`)

	v.tab("LiveMessages", nil)
	v.Click(".graphiql-execute-button")
	v.Until("the subscription runs", `document.querySelector('.graphiql-execute-button[aria-label^="Stop"]')`)
	nora := p.telegram.Customer("Nora", "vi")
	// The socket is open a moment after the button says so, and who subscribes late
	// sees nothing of what was before.
	eventually(t, "a message is seen live", func() error {
		nora.Writes(bot, "Is anybody there?")
		var seen bool
		v.Eval(answerModel+`.getValue().includes('Is anybody there?')`, &seen)
		if !seen {
			return errors.New("nothing is shown yet")
		}
		return nil
	})
	nora.Writes(bot, "The first of two")
	v.shows("The first of two")
	nora.Writes(bot, "The second of two")
	v.shows("#", "The second of two", "#", "The first of two", "#1 at", "Is anybody there?")
	for n := range 30 {
		nora.Writes(bot, fmt.Sprintf("Message %d of many", n+1))
	}
	many := make([]string, 0, 31)
	for n := range 30 {
		many = append(many, fmt.Sprintf("Message %d of many", 30-n))
	}
	v.shows(append(many, "The second of two")...)
	v.Eval(answerEditor+`.setScrollTop(2000)`, nil)
	var reading, read string
	v.Eval(firstLine, &reading)
	nora.Writes(bot, "One more")
	v.shows("One more", "Message 30 of many")
	if v.Eval(firstLine, &read); read != reading {
		t.Errorf("a new event moved the reader from %q to %q", reading, read)
	}
	v.Click(".graphiql-execute-button")
	v.shows("One more", "The second of two", "Is anybody there?")

	v.tab("Inbox", nil)
	v.runs(`"name": "Corner shop"`, `"eventCursor"`, `"name": "Nora"`, `"text": "One more"`)
	v.tab("WebhookLogs", nil)
	v.runs(`"status": "PROCESSED"`, "One more")
	v.content()
}

func typesATokenOnce(t *testing.T, b *browsertest.Browser) {
	p := begin(t)
	campaign := p.campaign("Corner shop")
	bot, _ := p.bot(campaign, "corner_bot")
	v := p.visits(b, browsertest.Window{Width: 1280, Height: 800})

	v.Type("#token", "cw_nobody-has-this-one")
	v.Click(".bar button[type=submit]")
	v.Until("the token is refused", `document.querySelector('.bar output.refused')`)
	v.Type("#token", "Bearer "+adminToken)
	v.Click(".bar button[type=submit]")
	v.is("ADMIN")
	v.Reload()
	v.is("ADMIN")
	v.Until("the editors are there", answerModel)

	cursor := p.cursor(campaign)
	p.telegram.Customer("Nora", "vi").Writes(bot, "Before it was asked for")
	v.tab("LiveMessages", data{"after": cursor})
	v.runs("#1 at", "Before it was asked for")
	v.Click(".bar button.quiet")
	v.is("Signed out")
	v.shows("ended at", "The token changed", "#1 at", "Before it was asked for")
	v.runs("ended at", "4403")
	var kept []string
	v.Eval(`[...Object.values(localStorage), ...Object.values(sessionStorage)]`, &kept)
	if strings.Contains(strings.Join(kept, " "), adminToken) {
		t.Errorf("the forgotten token is still kept: %q", kept)
	}
}

func fitsEveryScreen(t *testing.T, b *browsertest.Browser) {
	p := begin(t)
	for _, w := range []browsertest.Window{{Width: 1280, Height: 800}, {Width: 1280, Height: 800, Dark: true}, {Width: 390, Height: 844}, {Width: 390, Height: 844, Dark: true}} {
		v := p.visits(b, w)
		v.Type("#token", adminToken)
		v.Click(".bar button[type=submit]")
		v.is("ADMIN")
		v.tab("CreateCampaign", nil)
		v.runs(`"id": "camp_`)
		var width, lightness int
		v.Eval(`document.scrollingElement.scrollWidth`, &width)
		if width > w.Width {
			t.Errorf("%+v: the page is %d pixels wide", w, width)
		}
		v.Eval(`Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])`, &lightness)
		if dark := lightness < 128; dark != w.Dark {
			t.Errorf("%+v: the ground's red is %d", w, lightness)
		}
		for _, part := range []string{".bar input", ".graphiql-execute-button", ".graphiql-query-editor", ".graphiql-response"} {
			var inside bool
			v.Eval(fmt.Sprintf(`(() => {
				const box = document.querySelector(%q).getBoundingClientRect();
				return box.width > 30 && box.height > 20 && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
			})()`, part), &inside)
			if !inside {
				t.Errorf("%+v: %s cannot be seen", w, part)
			}
		}
		v.content()
	}
}

func TestThePlaygroundAndTheSchemaCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                          string
		option                        option
		page, schema                  int
		pageHas, pageLacks, schemaHas string
	}{
		{"both on", func(*settings) {}, http.StatusOK, http.StatusOK, "/schema.graphqls", "schema-url=\"\"", causeway.Schema()},
		{"no playground", func(s *settings) { s.Playground = false }, http.StatusNotFound, http.StatusOK, "", "root", causeway.Schema()},
		{"no introspection", func(s *settings) { s.Introspection = false }, http.StatusOK, http.StatusNotFound, "root", "/schema.graphqls", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := begin(t, c.option)
			status, page := p.fetches("/")
			if status != c.page || !strings.Contains(page, c.pageHas) || strings.Contains(page, c.pageLacks) {
				t.Errorf("/ is answered %d:\n%s", status, page)
			}
			if status, _ := p.fetches("/playground/licences.txt"); status != c.page {
				t.Errorf("/playground/licences.txt is answered %d", status)
			}
			status, schema := p.fetches("/schema.graphqls")
			if status != c.schema || !strings.Contains(schema, c.schemaHas) {
				t.Errorf("/schema.graphqls is answered %d", status)
			}
		})
	}
}

// fetches what is at a path.
func (p *program) fetches(path string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}
