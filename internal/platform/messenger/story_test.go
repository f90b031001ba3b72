package messenger_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/platform"
	"causeway/internal/platform/messenger"
	"causeway/internal/platform/simulator"
)

const verifyToken = "let-me-in"

// shop is a page on a simulated Facebook, with its own webhook, read by the parser.
type shop struct {
	fb     *simulator.Messenger
	app    *simulator.App
	page   *simulator.Page
	person *simulator.Person
	ours   *messenger.App
	client *messenger.Client
	user   messenger.Token // the person's
	token  string          // the page's

	mu     sync.Mutex
	events []platform.Event
}

func openShop(t *testing.T, options ...simulator.AppOption) *shop {
	t.Helper()
	s := &shop{fb: simulator.StartMessenger(t)}
	s.app = s.fb.AddApp("Causeway", options...)
	s.page, s.person = s.fb.AddPage("Shop A", simulator.WithFollowers(120)), s.fb.AddPerson("Mai Pham")
	s.page.Appoints(s.person)
	s.user = messenger.Token(s.person.Allows(s.app, []*simulator.Page{s.page}))
	s.ours = messenger.NewApp(messenger.AppConfig{
		ID: s.app.ID(), Secret: s.app.Secret(), GraphURL: s.fb.URL(), DialogURL: s.fb.URL(), Version: "v25.0",
	})
	srv := httptest.NewServer(http.HandlerFunc(s.hear))
	t.Cleanup(srv.Close)
	if err := s.ours.SetWebhook(t.Context(), srv.URL+"/webhooks/facebook", verifyToken, messenger.Fields()); err != nil {
		t.Fatal(err)
	}
	pages, err := s.ours.Pages(t.Context(), s.user)
	if err != nil || len(pages) != 1 || pages[0].Token == "" {
		t.Fatalf("the person's pages: %v, %v", pages, err)
	}
	s.token = string(pages[0].Token)
	s.client = messenger.New(messenger.Config{
		GraphURL: s.fb.URL(), Version: "v25.0", AppSecret: s.app.Secret(), Media: http.DefaultClient,
	}, pages[0].ID, s.token)
	if err := s.client.Subscribe(t.Context(), messenger.Fields()); err != nil {
		t.Fatal(err)
	}
	return s
}

// hear is a webhook as small as can be.
func (s *shop) hear(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		challenge, ok := messenger.VerifyHandshake(r.URL.Query(), verifyToken)
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, challenge)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if !messenger.VerifySignature(s.app.Secret(), r.Header.Get("X-Hub-Signature-256"), body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	entries, err := messenger.Split(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		events, err := messenger.Parser{}.Parse(s.page.ID(), e.Raw)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.events = append(s.events, events...)
	}
}

// heard waits until everything was posted, and hands over the events since the last time.
func (s *shop) heard(t *testing.T) []platform.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.fb.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	return events
}

// only are the events of one type.
func only[T platform.Event](events []platform.Event) []T {
	var found []T
	for _, e := range events {
		if e, is := e.(T); is {
			found = append(found, e)
		}
	}
	return found
}

func TestAPageIsConnectedByALogin(t *testing.T) {
	t.Parallel()
	s := openShop(t, simulator.RequiringProof())
	facts, err := s.ours.DebugToken(t.Context(), s.user)
	if err != nil || !facts.Valid || facts.AppID != s.app.ID() || facts.UserID != s.person.ID() || facts.Type != "USER" {
		t.Errorf("the token is worth %+v, %v", facts, err)
	}
	me, err := s.ours.Me(t.Context(), s.user)
	if err != nil || me.Name != "Mai Pham" {
		t.Errorf("it is of %v, %v", me, err)
	}
	granted, err := s.ours.Permissions(t.Context(), s.user)
	if missing := messenger.Missing(granted, messenger.Scopes()); err != nil || len(missing) > 0 {
		t.Errorf("missing are %v, %v", missing, err)
	}
	if long, err := s.ours.Extend(t.Context(), s.user); err != nil || long.Token == "" {
		t.Errorf("extended: %v, %v", long, err)
	}
	page, err := s.client.Page(t.Context())
	if err != nil || page.Name != "Shop A" || page.Followers == nil || *page.Followers != 120 || page.Published == nil || !*page.Published {
		t.Errorf("the page is %+v, %v", page, err)
	}
	if page.Picture != "" {
		picture, err := s.client.Fetch(t.Context(), page.Picture)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(picture.Body); err != nil || len(b) == 0 {
			t.Errorf("the picture is %d bytes, %v", len(b), err)
		}
		picture.Body.Close()
	}
	subscribed, err := s.client.Subscribed(t.Context())
	if err != nil || len(subscribed) != 1 || subscribed[0].AppID != s.app.ID() || len(subscribed[0].Fields) != len(messenger.Fields()) {
		t.Errorf("subscribed are %v, %v", subscribed, err)
	}
	hooks, err := s.ours.Webhooks(t.Context())
	if err != nil || len(hooks) != 1 || !hooks[0].Active || len(hooks[0].Fields) != len(messenger.Fields()) {
		t.Errorf("registered are %v, %v", hooks, err)
	}
	if app, err := s.ours.AppOf(t.Context(), s.user); err != nil || app.ID != s.app.ID() {
		t.Errorf("the token is of app %v, %v", app, err)
	}
	if _, err := s.ours.Verify(t.Context()); err != nil {
		t.Errorf("id and secret: %v", err)
	}
	wrong := messenger.NewApp(messenger.AppConfig{ID: s.app.ID(), Secret: "guessed-wrong", GraphURL: s.fb.URL(), Version: "v25.0"})
	if _, err := wrong.Verify(t.Context()); platform.Refused(err) == nil {
		t.Errorf("a wrong secret passed: %v", err)
	}
	for _, call := range s.fb.Calls() {
		if call.TokenIn == "query" || call.TokenIn == "body" {
			t.Errorf("the token of %s %s came in the %s", call.Method, call.Path, call.TokenIn)
		}
	}
	if err := s.ours.UnsubscribePage(t.Context(), s.page.ID()); err != nil || s.page.Subscription(s.app) != nil {
		t.Errorf("still subscribed to %v, %v", s.page.Subscription(s.app), err)
	}

	s.person.ChangesPassword()
	facts, err = s.ours.DebugToken(t.Context(), s.user)
	if err != nil || facts.Valid || facts.Problem == nil || facts.Problem.Kind != platform.Unauthorized || facts.Problem.Code != "190/460" {
		t.Errorf("after another password the token is worth %+v, %v", facts, err)
	}
	if _, err := s.client.Page(t.Context()); platform.Refused(err) == nil || platform.Refused(err).Kind != platform.Unauthorized {
		t.Errorf("and the page answers %v", err)
	}
}

func TestWhatCustomersDoArrives(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	lan := s.page.Customer("Lan Tran")
	written := lan.Writes("Chào 😀 <b>")
	lan.Writes("that one", simulator.Answering(written))
	lan.Writes("Yes", simulator.TappingQuickReply("YES"))
	lan.SendsPicture()
	lan.SendsVoice(2)
	lan.SendsDocument("price list.pdf")
	lan.SendsLocation(10.5, 106.25)
	lan.SendsLink("see", "https://shop.example/a", "Shop")
	for _, form := range []string{"old", "both", "new"} {
		lan.SendsSticker(369239263222822, form)
	}
	lan.Taps("Ask", "ASK")
	lan.Comes(map[string]any{"source": "SHORTLINK", "type": "OPEN_THREAD", "ref": "camp1"})
	lan.Edits(written, "Chào")
	lan.Unsends(written)
	events := s.heard(t)
	var got []string
	for _, m := range only[platform.MessageAdded](events) {
		if m.Chat.ID != lan.ID() || m.SentAt.IsZero() {
			t.Errorf("%+v", m)
		}
		said := m.Content.Text + " " + m.Payload
		for _, a := range m.Content.Attachments {
			said += string(a.Kind)
			if a.Kind == platform.Image || a.Kind == platform.Sticker || a.Kind == platform.File || a.Kind == platform.Audio {
				file, err := s.client.Fetch(t.Context(), a.Ref)
				if err != nil {
					t.Errorf("%s: %v", a.Kind, err)
					continue
				}
				if b, err := io.ReadAll(file.Body); err != nil || len(b) == 0 {
					t.Errorf("%s: %d bytes, %v", a.Kind, len(b), err)
				}
				file.Body.Close()
			}
		}
		got = append(got, strings.TrimSpace(said))
	}
	want := []string{"Chào 😀 <b>", "that one", "Yes YES", "IMAGE", "AUDIO", "FILE", "LOCATION", "see\nhttps://shop.example/a LINK", "STICKER", "STICKER", "STICKER"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("arrived are\n%q, want\n%q", got, want)
	}
	if answers := only[platform.MessageAdded](events); !slices.ContainsFunc(answers, func(m platform.MessageAdded) bool { return m.ReplyTo == written.ID }) {
		t.Error("nothing answers what was answered")
	}
	if taps := only[platform.ButtonTapped](events); len(taps) != 1 || taps[0].Payload != "ASK" || taps[0].Label != "Ask" {
		t.Errorf("taps are %+v", taps)
	}
	if notes := only[platform.Noted](events); len(notes) != 1 || !strings.Contains(notes[0].Text, "m.me") {
		t.Errorf("notes are %+v", notes)
	}
	if edits := only[platform.MessageEdited](events); len(edits) != 1 || edits[0].ID != written.ID || edits[0].Content.Text != "Chào" {
		t.Errorf("edits are %+v", edits)
	}
	if deleted := only[platform.MessageDeleted](events); len(deleted) > 1 || len(deleted) == 1 && deleted[0].ID != written.ID {
		t.Errorf("taken back are %+v", deleted)
	}

	profile, err := s.client.Describe(t.Context(), lan.ID())
	if err != nil || profile.Name != "Lan Tran" {
		t.Errorf("she is %+v, %v", profile, err)
	}
}

func TestAnAnswerArrivesAndIsKnownByItsEcho(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	lan := s.page.Customer("Lan Tran")
	asked := lan.Writes("Hello?")
	s.heard(t)
	sent, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "Hi <b>Lan</b> 😀", ReplyTo: asked.ID, Metadata: "msg_1/0"})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("%PDF-1.7 "), 1000)
	file, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Metadata: "msg_1/1", File: &platform.OutgoingFile{
		Kind: platform.File, Name: "prices.pdf", MimeType: "application/pdf", Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := lan.Received()
	if len(got) != 2 || got[0].Text != "Hi <b>Lan</b> 😀" || got[0].ReplyTo != asked.ID || got[0].Type != "RESPONSE" ||
		got[1].FileKind != "file" || got[1].FileName != "prices.pdf" || !bytes.Equal(got[1].Data, data) {
		t.Fatalf("Lan got %+v", got)
	}
	lan.Inbox("from the inbox")
	lan.Reads()
	events := s.heard(t)
	var echoes []string
	for _, e := range only[platform.Echoed](events) {
		if e.Chat.ID != lan.ID() {
			t.Errorf("an echo in the chat %q", e.Chat.ID)
		}
		echoes = append(echoes, fmt.Sprintf("%t %t %q %t %t", e.ID == sent.ID, e.ID == file.ID, e.Metadata, e.App == s.app.ID(), e.Inbox))
	}
	slices.Sort(echoes)
	if want := []string{`false false "" false true`, `false true "msg_1/1" true false`, `true false "msg_1/0" true false`}; !slices.Equal(echoes, want) {
		t.Errorf("echoes are %q", echoes)
	}
	if reads := only[platform.Read](events); len(reads) == 0 || reads[len(reads)-1].UpTo.Before(got[1].At.Truncate(time.Millisecond)) {
		t.Errorf("reads are %+v", reads)
	}
	if delivered := only[platform.Delivered](events); len(delivered) == 0 {
		t.Error("nothing was delivered")
	}

	if _, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "again", ReplyTo: "m_gone"}); err != nil {
		t.Errorf("what it answers is gone: %v", err)
	}
	if err := s.client.ShowTyping(t.Context(), lan.ID(), true); err != nil {
		t.Error(err)
	}
	if err := s.client.MarkSeen(t.Context(), lan.ID()); err != nil {
		t.Error(err)
	}
	if saw := lan.Sees(); !slices.Contains(saw, "typing_on") || !slices.Contains(saw, "mark_seen") {
		t.Errorf("Lan saw %v", saw)
	}
}

func TestWhetherALostAnswerWentOutIsLookedUp(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("Hello?")
	began := time.Now()
	s.fb.FailNext("messages", simulator.GraphFailure{Lost: true})
	_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "Hi", Metadata: "msg_1/0"})
	if r := platform.Refused(err); r == nil || r.Kind != platform.Unreachable || !r.Sent {
		t.Fatalf("hung up on: %v", err)
	}
	got := lan.Received()
	sent, found, err := s.client.Lookup(t.Context(), messenger.Trace{Chat: lan.ID(), Text: "Hi", Since: began})
	if err != nil || !found || len(got) != 1 || sent.ID != got[0].ID {
		t.Errorf("looked up: %+v, %v, %v; Lan got %v", sent, found, err, got)
	}
	if _, found, err := s.client.Lookup(t.Context(), messenger.Trace{Chat: lan.ID(), Text: "Bye", Since: began}); err != nil || found {
		t.Errorf("what was never sent is there: %v", err)
	}
}

func TestTheWindowClosesInTwoSteps(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("Hello?")
	send := func(human bool) platform.RefusalKind {
		_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "Hi", HumanAgent: human})
		if r := platform.Refused(err); r != nil {
			return r.Kind
		}
		return 0
	}
	if got := send(false); got != 0 {
		t.Errorf("at once: %v", got)
	}
	s.fb.Passes(25 * time.Hour)
	if plain, human := send(false), send(true); plain != platform.WindowClosed || human != 0 {
		t.Errorf("after a day: %v, and by a person %v", plain, human)
	}
	s.fb.Passes(7 * 24 * time.Hour)
	if got := send(true); got != platform.WindowClosed {
		t.Errorf("after a week: %v", got)
	}
	lan.Writes("Still there?")
	lan.Blocks()
	if got := send(false); got != platform.Blocked {
		t.Errorf("blocked: %v", got)
	}
}

func TestAnotherAppTakesTheThreadAndItIsTakenBack(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	bot := s.fb.AddApp("Bot")
	s.page.SetDefaultApp(s.app)
	lan := s.page.Customer("Lan Tran")
	lan.Writes("Hello?")
	s.heard(t)
	lan.TakenBy(bot.ID())
	lan.Writes("Hello bot?")
	events := s.heard(t)
	if owned := only[platform.ThreadOwned](events); len(owned) != 1 || owned[0].App != bot.ID() || owned[0].Unknown {
		t.Errorf("owners are %+v", owned)
	}
	if added := only[platform.MessageAdded](events); len(added) != 1 || !added[0].Standby {
		t.Errorf("messages are %+v", added)
	}
	_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "Hi"})
	if r := platform.Refused(err); r == nil || r.Kind != platform.ThreadTaken || r.Code != "10/2018300" {
		t.Fatalf("while the bot has it: %v", err)
	}
	owner, err := s.client.ClaimThread(t.Context(), lan.ID(), "a person takes over")
	if err != nil || owner.App != s.app.ID() {
		t.Fatalf("claimed, it is of %+v, %v", owner, err)
	}
	if _, err := s.client.Send(t.Context(), platform.Outgoing{Chat: lan.ID(), Text: "Hi"}); err != nil {
		t.Errorf("taken back: %v", err)
	}
	if err := s.client.PassThread(t.Context(), lan.ID(), messenger.InboxApp, "for you"); err != nil {
		t.Fatal(err)
	}
	if owner, err := s.client.ThreadOwner(t.Context(), lan.ID()); err != nil || !owner.Inbox {
		t.Errorf("passed, it is of %+v, %v", owner, err)
	}
	owned := only[platform.ThreadOwned](s.heard(t))
	if len(owned) != 2 || owned[0].App != s.app.ID() || !owned[1].Inbox {
		t.Errorf("owners are %+v", owned)
	}

	// Where another app is the default one, the thread is asked for.
	s.page.SetDefaultApp(bot)
	lan.TakenBy(bot.ID())
	if owner, err := s.client.ClaimThread(t.Context(), lan.ID(), "please"); err != nil || owner.App != bot.ID() {
		t.Errorf("asked for, it is of %+v, %v", owner, err)
	}
	if _, err := s.client.Routing(t.Context()); err != nil {
		t.Errorf("routing: %v", err)
	}
}

func TestALoginWithADeclinedPermissionIsAskedAgain(t *testing.T) {
	t.Parallel()
	const callback = "https://shop.example/oauth/facebook/callback"
	fb := simulator.StartMessenger(t)
	app, mai := fb.AddApp("Causeway"), fb.AddPerson("Mai Pham")
	var chosen, all []string
	for i := range 130 { // more than one page of the list
		page := fb.AddPage(fmt.Sprintf("Shop %d", i))
		page.Appoints(mai)
		all = append(all, page.ID())
		if i < 120 {
			chosen = append(chosen, page.ID())
		}
	}
	ours := messenger.NewApp(messenger.AppConfig{
		ID: app.ID(), Secret: app.Secret(), GraphURL: fb.URL(), DialogURL: fb.URL(), Version: "v25.0",
	})
	// answers fills in the dialog and follows it to the callback.
	answers := func(d messenger.Dialog, form url.Values) url.Values {
		t.Helper()
		d.Redirect, d.Scopes = callback, messenger.Scopes()
		form.Set("person", mai.ID())
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := browser.PostForm(ours.DialogURL(d), form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		at, err := resp.Location()
		if err != nil {
			t.Fatalf("the dialog answered %s, %v", resp.Status, err)
		}
		if at.Query().Get("state") != d.State {
			t.Errorf("the state came back as %q", at.Query().Get("state"))
		}
		return at.Query()
	}
	log := func(d messenger.Dialog, form url.Values) messenger.Token {
		t.Helper()
		code := answers(d, form).Get("code")
		grant, err := ours.Exchange(t.Context(), code, callback)
		if err != nil || grant.ExpiresAt.IsZero() {
			t.Fatalf("%v, %v", grant, err)
		}
		_, err = ours.Exchange(t.Context(), code, callback)
		if r := platform.Refused(err); r == nil || r.Kind != platform.Rejected || strings.Contains(err.Error(), code) {
			t.Errorf("the code was good twice: %v", err)
		}
		long, err := ours.Extend(t.Context(), grant.Token)
		if err != nil {
			t.Fatal(err)
		}
		return long.Token
	}

	if denied := answers(messenger.Dialog{State: "a"}, url.Values{"do": {"cancel"}}); denied.Get("error") != "access_denied" || denied.Has("code") {
		t.Errorf("cancelled: %v", denied)
	}
	most := messenger.Scopes()[1:]
	user := log(messenger.Dialog{State: "b"}, url.Values{"do": {"continue"}, "page": all, "permission": most})
	granted, err := ours.Permissions(t.Context(), user)
	if missing := messenger.Missing(granted, messenger.RequiredScopes()); err != nil || !slices.Equal(missing, []string{"pages_show_list"}) {
		t.Errorf("missing are %v, %v", missing, err)
	}
	user = log(messenger.Dialog{State: "c", Rerequest: true}, url.Values{"do": {"continue"}, "page": chosen, "permission": messenger.Scopes()})
	granted, err = ours.Permissions(t.Context(), user)
	if missing := messenger.Missing(granted, messenger.Scopes()); err != nil || len(missing) > 0 {
		t.Errorf("asked again, missing are %v, %v", missing, err)
	}
	pages, err := ours.Pages(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pages {
		if p.Token != "" {
			got = append(got, p.ID)
		}
	}
	slices.Sort(got)
	slices.Sort(chosen)
	if !slices.Equal(got, chosen) {
		t.Errorf("%d pages were chosen, %d can be connected", len(chosen), len(got))
	}
	facts, err := ours.DebugToken(t.Context(), pages[0].Token)
	if err != nil || !facts.Valid || facts.Type != "PAGE" || !facts.ExpiresAt.IsZero() || facts.ProfileID != pages[0].ID || facts.DataAccessExpiresAt.IsZero() {
		t.Errorf("a page's token is worth %+v, %v", facts, err)
	}
}

func TestAPageInTroubleSaysWhich(t *testing.T) {
	t.Parallel()
	send := func(s *shop, c *simulator.PageCustomer) *platform.Refusal {
		_, err := s.client.Send(t.Context(), platform.Outgoing{Chat: c.ID(), Text: "Hi"})
		return platform.Refused(err)
	}
	for name, c := range map[string]struct {
		happens func(*shop)
		want    func(*platform.Refusal) bool
	}{
		"restricted":     {func(s *shop) { s.page.Restrict(true) }, func(r *platform.Refusal) bool { return r.Kind == platform.Restricted }},
		"in development": {func(s *shop) { s.app.SetLive(false) }, func(r *platform.Refusal) bool { return r.Kind == platform.NotLive }},
		"role lost":      {func(s *shop) { s.page.Dismisses(s.person) }, func(r *platform.Refusal) bool { return r.Kind == platform.Unauthorized && r.RoleLost }},
		"permission withdrawn": {func(s *shop) { s.person.Withdraws(s.app, "pages_messaging") },
			func(r *platform.Refusal) bool { return r.Kind == platform.PermissionMissing }},
		"app removed": {func(s *shop) { s.person.RemovesApp(s.app) }, func(r *platform.Refusal) bool { return r.Kind == platform.Unauthorized }},
		"expired": {func(s *shop) { s.fb.ExpireToken(s.token) },
			func(r *platform.Refusal) bool { return r.Kind == platform.Unauthorized && r.Expired }},
		"deleted": {func(s *shop) { s.page.Delete() }, func(r *platform.Refusal) bool { return r.Code == "100/33" }},
		"down":    {func(s *shop) { s.fb.Down() }, func(r *platform.Refusal) bool { return r.Kind == platform.Unreachable }},
		"a gateway": {func(s *shop) { s.fb.FailNext("messages", simulator.GraphFailure{Status: 502, HTML: true}) },
			func(r *platform.Refusal) bool { return r.Kind == platform.Unavailable }},
		"throttled": {func(s *shop) { s.fb.FailNext("messages", simulator.Refusing(613, 0)) },
			func(r *platform.Refusal) bool { return r.Kind == platform.RetryAfter && r.Wait > 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t)
			lan := s.page.Customer("Lan Tran")
			lan.Writes("Hello?")
			s.heard(t)
			c.happens(s)
			if r := send(s, lan); r == nil || !c.want(r) {
				t.Errorf("sending says %+v", r)
			}
			s.fb.Up()
		})
	}
}

func TestWhatFacebookTellsOfThePageIsNoticed(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.page.Tells("messaging_policy_enforcement", map[string]any{
		"recipient": map[string]any{"id": s.page.ID()}, "timestamp": 1790000000100,
		"policy_enforcement": map[string]any{"action": "block", "reason": "Too many complaints."},
	})
	notices := only[platform.AccountNoticed](s.heard(t))
	if len(notices) != 1 || notices[0].Problem == nil || notices[0].Problem.PlatformMessage != "Too many complaints." {
		t.Errorf("noticed are %+v", notices)
	}
}

func TestDuplicatesAndDisorderTellTheSameIDs(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	lan, minh := s.page.Customer("Lan Tran"), s.page.Customer("Minh Le")
	s.app.Hold()
	for i := range 5 {
		lan.Writes(fmt.Sprintf("Lan %d", i))
		minh.Writes(fmt.Sprintf("Minh %d", i))
	}
	lan.OptsIn(map[string]any{"ref": "R"})
	s.app.Release(simulator.Batching{Size: 3, Shuffle: true, Copies: 5})
	times := map[string]int{}
	for _, e := range s.heard(t) {
		switch e := e.(type) {
		case platform.MessageAdded:
			times[e.ID]++
		case platform.Noted:
			times[e.ID]++
		}
	}
	if len(times) != 11 {
		t.Fatalf("%d things happened, not 11: %v", len(times), times)
	}
	for id, n := range times {
		if n != 5 {
			t.Errorf("%s came %d times, not 5", id, n)
		}
	}
}
