package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway"
	"causeway/internal/media"
	"causeway/internal/platform/simulator"
	"causeway/internal/store/storetest"
)

// attach is a file of an agent's.
type attach struct {
	name    string
	content []byte
}

const sendFiles = `mutation($v: ID!, $t: String, $f: [Upload!], $k: String) {
	sendMessage(input: {conversationId: $v, text: $t, attachments: $f, idempotencyKey: $k}) {
		message { id status text attachments { id kind state url name mimeType size width height } }
		userErrors { code field message }
	}
}`

// uploads sends a message with files, as the multipart request specification has it.
func (who person) uploads(variables data, files ...attach) answer {
	who.p.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	places, nulls := map[string][]string{}, make([]any, len(files))
	for i := range files {
		places[fmt.Sprint(i)] = []string{fmt.Sprint("variables.f.", i)}
	}
	variables["f"] = nulls
	operations, _ := json.Marshal(map[string]any{"query": sendFiles, "variables": variables})
	paths, _ := json.Marshal(places)
	_ = w.WriteField("operations", string(operations))
	_ = w.WriteField("map", string(paths))
	for i, f := range files {
		part, err := w.CreateFormFile(fmt.Sprint(i), f.name)
		if err != nil {
			who.p.t.Fatal(err)
		}
		_, _ = part.Write(f.content)
	}
	_ = w.Close()
	req, err := http.NewRequestWithContext(who.p.t.Context(), http.MethodPost, who.p.url+"/graphql", &form)
	if err != nil {
		who.p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("GraphQL-Require-Preflight", "true")
	req.Header.Set("Authorization", "Bearer "+who.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		who.p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		who.p.t.Fatal(err)
	}
	a := answer{Status: res.StatusCode, Body: string(raw)}
	if err := json.Unmarshal(raw, &a); err != nil {
		who.p.t.Fatalf("not a GraphQL response (%d): %s", res.StatusCode, raw)
	}
	return a
}

// sendsFiles is uploads of what must be taken.
func (who person) sendsFiles(variables data, files ...attach) data {
	who.p.t.Helper()
	a := who.uploads(variables, files...)
	payload := a.Data.at("sendMessage")
	if len(a.Errors) > 0 || len(payload.list("userErrors")) > 0 {
		who.p.t.Fatalf("sendMessage was answered %s", a.Body)
	}
	return payload.at("message")
}

// downloads asks for an address, with further headers in pairs.
func (p *program) downloads(address string, headers ...string) (*http.Response, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, content
}

// Small files of every kind. What they are called is of no account.
func picture() []byte {
	var encoded bytes.Buffer
	_ = png.Encode(&encoded, image.NewNRGBA(image.Rect(0, 0, 3, 2))) // a buffer takes everything
	return encoded.Bytes()
}
func pdf() []byte { return []byte("%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n") }
func opus() []byte {
	return []byte("OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x13OpusHead\x01\x01" + strings.Repeat("\x00", 40))
}

// sendsParts sends a message of two parts.
func (s *house) sendsParts() {
	s.t.Helper()
	s.becomes(s.agent.sendsFiles(data{"v": s.conversation, "t": "Here"}, attach{"a.png", picture()}).text("id"), "SENT", "")
}

// attachments reads the attachments of a conversation's messages, in order.
func (who person) attachments(conversation string) []data {
	who.p.t.Helper()
	var all []data
	for _, m := range who.gets(`query($v: ID!) { conversation(id: $v) { messages { edges { node { text attachments { id kind state url name mimeType size width height } } } } } }`,
		data{"v": conversation}).at("conversation").nodes("messages") {
		all = append(all, m.list("attachments")...)
	}
	return all
}

func TestAnAgentsFilesReachTheCustomer(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	from := s.cursor(s.campaign)
	sent := s.agent.sendsFiles(data{"v": s.conversation, "t": "As you asked:"},
		attach{"umbrella.exe", picture()}, attach{"../../Prices – 値段.pdf", pdf()}, attach{"hello.ogg", opus()})
	id := sent.text("id")
	files := sent.list("attachments")
	if len(files) != 3 || sent.text("status") != "QUEUED" {
		t.Fatalf("sendMessage answered %v", sent)
	}
	for i, want := range []data{
		{"kind": "IMAGE", "mimeType": "image/png", "name": "umbrella.exe", "width": 3.0},
		{"kind": "FILE", "mimeType": "application/pdf", "name": "Prices – 値段.pdf", "width": nil},
		{"kind": "VOICE", "mimeType": "audio/ogg", "name": "hello.ogg", "width": nil},
	} {
		for field, value := range want {
			if files[i][field] != value {
				t.Errorf("file %d has the %s %v, not %v", i, field, files[i][field], value)
			}
		}
		if files[i].text("state") != "STORED" {
			t.Errorf("file %d is %v", i, files[i])
		}
		_, content := s.downloads(files[i].text("url"))
		if !bytes.Equal(content, [][]byte{picture(), pdf(), opus()}[i]) {
			t.Errorf("file %d is served as %d bytes", i, len(content))
		}
	}
	s.agent.answers(s.conversation, "Anything else?")
	s.becomes(id, "SENT", "")
	got, err := s.bot.WaitSent(t.Context(), s.lan.ID(), 5)
	if err != nil {
		t.Fatal(err)
	}
	var methods []string
	for _, m := range got {
		methods = append(methods, m.Method)
	}
	if !slices.Equal(methods, []string{"sendMessage", "sendPhoto", "sendDocument", "sendVoice", "sendMessage"}) {
		t.Errorf("Lan got %q", methods)
	}
	if got[0].Text != "As you asked:" || !bytes.Equal(got[1].Data, picture()) || !bytes.Equal(got[2].Data, pdf()) || !bytes.Equal(got[3].Data, opus()) {
		t.Errorf("Lan got %+v", got)
	}
	if got[1].MIME != "image/png" || got[2].FileName != "Prices – 値段.pdf" {
		t.Errorf("Lan got %q of %s and %q", got[1].FileName, got[1].MIME, got[2].FileName)
	}

	// What the customer does with the picture is seen on the message that carries it.
	watch := s.agent.opens()
	watch.subscribes(`subscription($c: ID!, $a: Cursor) { messageUpdated(campaignId: $c, after: $a) { change message { id externalId attachments { url } reactions { emoji } } } }`,
		data{"c": s.campaign, "a": from})
	s.lan.Reacts(got[1].Ref(), "❤")
	for {
		seen := watch.sees().at("messageUpdated")
		if seen.text("change") != "REACTIONS" {
			continue
		}
		m := seen.at("message")
		if m.text("id") != id || len(m.list("reactions")) != 1 || m.text("externalId") != fmt.Sprintf("%d/%d", s.lan.ID(), got[0].ID) {
			t.Errorf("agents see %v", seen)
		}
		if again := m.list("attachments")[0].text("url"); again != files[0].text("url") {
			t.Errorf("a subscription shows another address: %s and %s", again, files[0].text("url"))
		}
		break
	}
}

func TestAFileThatTelegramDoesNotTakeIsRefusedBeforeItIsQueued(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	before := len(s.column("SELECT id FROM messages"))
	large := func(of []byte, size int) []byte { return append(of, make([]byte, size-len(of))...) }
	for name, try := range map[string]struct {
		files             []attach
		code, field, says string
	}{
		"a picture of 11 MB":       {[]attach{{"a.pdf", pdf()}, {"a.png", large(picture(), 11<<20)}}, "ATTACHMENT_REJECTED", "input.attachments.1", "10 MB"},
		"a file of 51 MB":          {[]attach{{"a.zip", large([]byte("PK\x03\x04"), 51<<20)}}, "ATTACHMENT_REJECTED", "input.attachments.0", "50 MB"},
		"nothing":                  {[]attach{{"a.png", nil}}, "ATTACHMENT_REJECTED", "input.attachments.0", "empty"},
		"eleven":                   {slices.Repeat([]attach{{"a.pdf", pdf()}}, 11), "INVALID_INPUT", "input.attachments", "10"},
		"neither a text nor files": {nil, "INVALID_INPUT", "input.text", ""},
	} {
		problems := s.agent.uploads(data{"v": s.conversation, "t": ""}, try.files...).Data.at("sendMessage").list("userErrors")
		if len(problems) != 1 || problems[0].text("code") != try.code || path(problems[0]) != try.field || !strings.Contains(problems[0].text("message"), try.says) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	if after := len(s.column("SELECT id FROM messages")); after != before {
		t.Errorf("%d messages were stored", after-before)
	}
	for who, try := range map[string]struct {
		person
		code string
	}{"an agent of another campaign": {s.foreign, "NOT_FOUND"}, "nobody": {s.nobody(), "UNAUTHENTICATED"}} {
		a := try.uploads(data{"v": s.conversation}, attach{"a.png", picture()})
		problems := a.Data.at("sendMessage").list("userErrors")
		if a.code() != try.code && (len(problems) != 1 || problems[0].text("code") != try.code) {
			t.Errorf("%s: %s", who, a.Body)
		}
	}
	// A page that calls itself a picture is a file, and is not shown as one.
	page := s.agent.sendsFiles(data{"v": s.conversation}, attach{"a.png", []byte("<!DOCTYPE html><script>alert(1)</script>")}).list("attachments")[0]
	if page.text("kind") != "FILE" || page.text("mimeType") != "text/html" {
		t.Errorf("it is %v", page)
	}
	res, _ := s.downloads(page.text("url"))
	if kind := res.Header.Get("Content-Type"); kind == "text/html" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") ||
		res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("it is served with %v", res.Header)
	}
}

func TestACustomersFilesAreFetchedAndServed(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	song := bytes.Repeat([]byte("la la la "), 1000)
	s.lan.SendsFile(s.bot, simulator.Document, simulator.File{Name: "film.mkv", MIME: "video/x-matroska", Size: 30 << 20, Data: []byte("cut")}, "too large")
	s.lan.SendsFile(s.bot, simulator.Document, simulator.File{Name: "gone.pdf", MIME: "application/pdf", Data: pdf(), Fails: &simulator.Failure{Status: 404}}, "unreachable")
	s.telegram.FailNext("getFile", simulator.Failure{HTML: true, Status: 502})
	s.lan.SendsFile(s.bot, simulator.Document, simulator.File{Name: "song\".txt", MIME: "image/png", Data: song}, "late")
	var files []data
	eventually(t, "the files are fetched", func() error {
		files = s.agent.attachments(s.conversation)
		if len(files) != 4 || slices.ContainsFunc(files, func(f data) bool { return f.text("state") == "PENDING" }) {
			return fmt.Errorf("%v", files)
		}
		return nil
	})
	for i, state := range []string{"STORED", "TOO_LARGE", "FAILED", "STORED"} {
		if files[i].text("state") != state || (files[i]["url"] != nil) != (state == "STORED") {
			t.Errorf("file %d is %v", i, files[i])
		}
	}
	if f := files[3]; f.text("mimeType") != "text/plain" || f.number("size") != len(song) || f.text("name") != "song\".txt" {
		t.Errorf("what is known of a file is %v", f)
	}
	if f := files[0]; f.number("width") != 480 || f.text("mimeType") != "image/png" {
		t.Errorf("what is known of a picture is %v", f)
	}

	address := files[3].text("url")
	res, content := s.downloads(address)
	if res.StatusCode != 200 || !bytes.Equal(content, song) || res.Header.Get("Accept-Ranges") != "bytes" || !strings.HasPrefix(address, s.url+"/media/att_") {
		t.Errorf("%s: %d and %d bytes", address, res.StatusCode, len(content))
	}
	res, content = s.downloads(address, "Range", "bytes=9-17", "Origin", "https://any.example.com")
	if res.StatusCode != 206 || string(content) != "la la la " || res.Header.Get("Content-Range") != fmt.Sprintf("bytes 9-17/%d", len(song)) ||
		res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a range: %d %q %v", res.StatusCode, content, res.Header)
	}
	if res, _ := s.downloads(address, "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 {
		t.Errorf("what is known already: %d", res.StatusCode)
	}
}

func TestOnlyWhoHasAGoodAddressGetsAFile(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	good := s.agent.attachments(s.conversation)[0].text("url")
	parsed, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	bare := s.url + parsed.Path
	own := s.app.signer
	other, err := media.NewSigner(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	id := s.column("SELECT id FROM attachments")[0]
	contact := s.column("SELECT id FROM contacts")[0]
	for what, try := range map[string]struct {
		address string
		status  int
	}{
		"good":                      {good, 200},
		"unsigned":                  {bare, 403},
		"with an empty signature":   {bare + "?expires=" + parsed.Query().Get("expires") + "&signature=", 403},
		"for longer":                {strings.Replace(good, "expires=", "expires=9", 1), 403},
		"for another thing":         {strings.Replace(good, id, contact, 1), 403},
		"of another server":         {other.Address(s.url, causeway.ID(id), time.Now()), 403},
		"expired":                   {own.Address(s.url, causeway.ID(id), time.Now().Add(-3*time.Hour)), 410},
		"a contact without picture": {own.Address(s.url, causeway.ID(contact), time.Now()), 404},
		"a message":                 {own.Address(s.url, causeway.ID(s.column("SELECT id FROM messages")[0]), time.Now()), 404},
		"a connection":              {own.Address(s.url, causeway.ID(s.connection), time.Now()), 404},
	} {
		res, content := s.downloads(try.address)
		if res.StatusCode != try.status {
			t.Errorf("%s: %d %.100s", what, res.StatusCode, content)
		}
		if try.status != 200 && res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %v", what, res.Header)
		}
	}
	if attachments := s.foreign.gets(`query($a: ID!) { node(id: $a) { id } }`, data{"a": id}); attachments["node"] != nil {
		t.Errorf("an agent of another campaign sees %v", attachments)
	}
	s.stop()
	s.start()
	if res, _ := s.downloads(strings.Replace(good, parsed.Host, strings.TrimPrefix(s.url, "http://"), 1)); res.StatusCode != 200 {
		t.Errorf("after a restart: %d", res.StatusCode)
	}
}

func TestThePicturesOfCustomersAndBotsAreKept(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Shop")
	bot := p.telegram.AddBot("shop_bot", "Shop", simulator.WithAvatar())
	connection := p.admin().does(`mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id } userErrors { code message } } }`,
		data{"c": campaign, "t": bot.Token()}).at("connection").text("id")
	lan := p.telegram.Customer("Lan", "vi", simulator.WithPicture(), simulator.WithUsername("lan"))
	minh := p.telegram.Customer("Minh", "vi")
	lan.Writes(bot, "Hello?")
	minh.Writes(bot, "Hello?")
	shown := map[string]string{}
	eventually(t, "the pictures are there", func() error {
		clear(shown)
		d := p.admin().gets(`query($c: ID!, $n: ID!) {
			connection(id: $n) { account { ... on TelegramBot { avatarUrl } } }
			campaign(id: $c) { conversations { edges { node { contact { name username avatarUrl } } } } } }`, data{"c": campaign, "n": connection})
		shown["the bot"] = d.at("connection", "account").text("avatarUrl")
		for _, c := range d.at("campaign").nodes("conversations") {
			shown[c.at("contact").text("name")] = c.at("contact").text("avatarUrl")
		}
		if shown["the bot"] == "" || shown["Lan"] == "" || len(shown) != 3 {
			return fmt.Errorf("%v", shown)
		}
		return nil
	})
	if shown["Minh"] != "" {
		t.Errorf("a customer without a picture has %s", shown["Minh"])
	}
	for _, who := range []string{"the bot", "Lan"} {
		res, content := p.downloads(shown[who])
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/png" || !bytes.HasPrefix(content, []byte("\x89PNG")) {
			t.Errorf("the picture of %s: %d %v", who, res.StatusCode, res.Header)
		}
	}
}

func TestFilesGoOutOnceThroughAKill(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		sendsFilesThroughAKill(t)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		sendsFilesThroughAKill(t, "--database", storetest.PostgresAddress(t))
	})
}

// sendsFilesThroughAKill kills the program while it sends the second part of a message,
// which may have arrived, and while it waits to send the second part of another.
func sendsFilesThroughAKill(t *testing.T, arguments ...string) {
	s := spawn(t, simulator.StartTelegram(t), append(arguments, "--data", t.TempDir(), "--public-url", string(ownAddress))...)
	campaign := s.campaign("Shop")
	bot, _ := s.bot(campaign, "shop_bot")
	lan, withLan := s.writesFirst(campaign, bot, "Lan")
	minh, withMinh := s.writesFirst(campaign, bot, "Minh")
	s.telegram.FailNext("sendPhoto", simulator.Failure{Hang: true, Chat: lan.ID()})
	s.telegram.FailNext("sendPhoto", simulator.Failure{RetryAfter: 2, Chat: minh.ID()})
	files := []attach{{"a.png", picture()}, {"b.pdf", pdf()}}
	cut := s.admin().sendsFiles(data{"v": withLan, "t": "one"}, files...).text("id")
	waits := s.admin().sendsFiles(data{"v": withMinh, "t": "one"}, files...).text("id")
	if _, err := s.telegram.WaitCalls(t.Context(), "sendPhoto", 2); err != nil {
		t.Fatal(err)
	}
	s.becomes(waits, "QUEUED", "RATE_LIMITED")
	s.ends(syscall.SIGKILL)
	s.telegram.FailNoMore()
	s.run()
	s.becomes(waits, "SENT", "")
	s.becomes(cut, "FAILED", "DELIVERY_UNCONFIRMED")
	s.admin().does(`mutation($m: ID!) { retryMessage(id: $m) { message { id } userErrors { code } } }`, data{"m": cut})
	s.becomes(cut, "SENT", "")
	for name, customer := range map[string]*simulator.Customer{"Lan": lan, "Minh": minh} {
		var methods []string
		for _, m := range customer.Received(bot) {
			methods = append(methods, m.Method)
		}
		if !slices.Equal(methods, []string{"sendMessage", "sendPhoto", "sendDocument"}) {
			t.Errorf("%s got %q", name, methods)
		}
	}
}

func TestATokenOfAFilesAddressIsNowhere(t *testing.T) {
	t.Parallel()
	tg := simulator.StartTelegram(t)
	p := beginWith(t, tg)
	campaign := p.campaign("Shop")
	bot := tg.AddBot("shop_bot", "Shop", simulator.WithAvatar())
	connection := p.admin().does(`mutation($c: ID!, $t: String!) { connectTelegramBot(input: {campaignId: $c, botToken: $t}) { connection { id } userErrors { code message } } }`,
		data{"c": campaign, "t": bot.Token()}).at("connection").text("id")
	told := "upstream " + tg.URL() + "/file/bot" + bot.Token() + "/photos/file_1.jpg refused"
	lan := tg.Customer("Lan", "vi", simulator.WithPicture())
	tg.FailNext("getChat", simulator.Failure{Status: 502, Description: told})
	lan.Writes(bot, "Hello?")
	conversation := p.conversationWith(campaign, lan, "Lan")
	eventually(t, "the avatars are kept", func() error {
		if len(p.column("SELECT id FROM contacts WHERE avatar_hash IS NOT NULL")) == 0 || len(p.column("SELECT id FROM connections WHERE avatar_hash IS NOT NULL")) == 0 {
			return errors.New("no avatar")
		}
		return nil
	})
	for _, failure := range []simulator.Failure{
		{Status: 404, Description: told}, {Status: 502, Description: told}, {Status: 502, HTML: true, Description: told}, {Cut: true}, {Lost: true},
		{Status: 401, Description: told}, {Status: 429, RetryAfter: 1, Description: told},
	} {
		tg.FailNext(simulator.FileRoute, failure)
		tg.FailNext("getFile", failure)
		lan.SendsPhoto(bot, "look")
	}
	responses := &bytes.Buffer{}
	for _, failure := range []simulator.Failure{
		{Status: 400, Description: told}, {Status: 413, Description: told}, {Status: 403, Description: told}, {Status: 400, Description: "Bad Request: PHOTO_INVALID " + told},
	} {
		tg.FailNext("sendPhoto", failure)
		id := p.admin().sendsFiles(data{"v": conversation}, attach{"a.png", picture()}).text("id")
		eventually(t, "it is given up", func() error {
			if m := p.message(id); m.text("status") != "FAILED" {
				return fmt.Errorf("it is %v", m)
			}
			return nil
		})
		lan.Writes(bot, "Hello again") // which ends a block
		eventually(t, "Lan can be written to", func() error {
			c := p.admin().gets(`query($v: ID!) { conversation(id: $v) { contact { blocked } } }`, data{"v": conversation}).at("conversation", "contact")
			if c["blocked"] != false {
				return errors.New("blocked")
			}
			return nil
		})
	}
	p.admin().sendsFiles(data{"v": conversation, "t": "and this"}, attach{"a.png", picture()})
	tg.FailNoMore()
	lan.SendsPhoto(bot, "look")
	eventually(t, "a picture is kept", func() error {
		if n := len(p.column("SELECT id FROM attachments WHERE state = 'STORED' AND platform_ref IS NOT NULL")); n == 0 {
			return errors.New("no picture")
		}
		return nil
	})
	responses.WriteString(p.admin().asks(`query($c: ID!, $n: ID!) {
		campaign(id: $c) { conversations { edges { node { contact { name avatarUrl } messages { edges { node { text status problem { code message causes solutions platformCode platformMessage }
			attachments { id kind state url name mimeType size } } } } } } } }
		connection(id: $n) { problem { message platformMessage } account { ... on TelegramBot { avatarUrl } }
			webhookLogs { edges { node { payload error } } } testReports { checks { message problem { platformMessage } } } }
	}`, data{"c": campaign, "n": connection}).Body)
	for _, a := range p.admin().attachments(conversation) {
		if address := a.text("url"); address != "" {
			res, content := p.downloads(address)
			_ = res.Header.Write(responses)
			responses.Write(content)
		}
	}
	running := p.files(t)
	p.stop()
	half := bot.Token()[strings.Index(bot.Token(), ":")+1:]
	secrets := map[string]string{"the bot's token": bot.Token(), "the bot's token without its id": half, "a file's address": fmt.Sprintf("/file/bot%d", bot.ID())}
	p.isNowhereIn(t, "the data folder", running, secrets)
	p.isNowhereIn(t, "the data folder after the end", p.files(t), secrets)
	p.isNowhereIn(t, "the log", []byte(p.log.String()), secrets)
	p.isNowhereIn(t, "the responses", responses.Bytes(), secrets)
	if responses.Len() < 5000 || !strings.Contains(p.log.String(), "a file was not fetched") {
		t.Errorf("too little was looked at: %d bytes of responses and\n%s", responses.Len(), p.log)
	}
}
