package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the older signature that is sent beside the newer one
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	atOnceToHook = 8                // posts to one app's webhook at a time
	keptPosts    = 5000             // of each app, for Posts
	mostWaiting  = 50_000           // events of each app; what comes beyond is lost
	mostRetrying = 1000             // posts of each app that failed and wait
	keepEvents   = 36 * time.Hour   // a post that was refused for so long is given up
	longestPause = 4 * time.Hour    // between two posts of the same
	firstPause   = 30 * time.Second // after the second refusal; the first is at once
)

// notice is one event for one app.
type notice struct {
	app   *App
	page  *Page
	lane  string // what it is kept in order within
	list  string // messaging, standby or changes
	event object
	tried bool // it was posted once
}

// HookPost is one body that was posted to an app's webhook, once.
type HookPost struct {
	Body []byte
	Try  int // 1 for the first
	// Status is zero when there was no answer; Trouble says why.
	Status  int
	Trouble string
	Answer  []byte
	At      time.Time
	Took    time.Duration
}

// Accepted reports whether the events in it count as taken.
func (p HookPost) Accepted() bool { return p.Status == http.StatusOK }

// Posts are what was posted to the app's webhook so far, in the order of the answers.
func (a *App) Posts() []HookPost {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	var posts []HookPost
	for _, p := range a.posts {
		posts = append(posts, *p)
	}
	return posts
}

// Idle waits until every event was taken by its app's webhook, or given up, or lost
// with a subscription. Held ones count as waiting.
func (m *Messenger) Idle(ctx context.Context) error {
	return m.await(ctx, func() string {
		for _, a := range m.apps {
			if a.unsettled > 0 {
				return fmt.Sprintf("%d events for %s are not taken%s", a.unsettled, a.name, a.lastWord())
			}
		}
		return ""
	})
}

// Pending is how many events the app's webhook has not taken yet.
func (a *App) Pending() int {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	return a.unsettled
}

// Lost is how many events the app never got: given up, or more than are kept.
func (a *App) Lost() int {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	return a.dropped
}

func (a *App) lastWord() string {
	if len(a.posts) == 0 {
		return ""
	}
	last := a.posts[len(a.posts)-1]
	if last.Trouble != "" {
		return " (" + last.Trouble + ")"
	}
	return fmt.Sprintf(" (the last answer was %d)", last.Status)
}

// listeners are the apps that hear a field of the page: those that asked for it both
// for the page and for themselves.
func (p *Page) listeners(name string) []*App {
	var found []*App
	for a := range p.subscribed {
		if a.hears(p, name) {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *App) int { return strings.Compare(a.id, b.id) })
	return found
}

func (a *App) hears(p *Page, name string) bool {
	return a.callback != "" && slices.Contains(a.fields, name) && slices.Contains(p.subscribed[a], name)
}

// inStandby are the fields of which apps hear that do not own the conversation.
func inStandby(name string) bool {
	return slices.Contains([]string{
		"messages", "message_echoes", "message_edits", "message_reads", "message_deliveries", "message_reactions", "messaging_postbacks",
	}, name)
}

// tell tells the apps that listen of an event in a conversation.
func (th *thread) tell(name string, event object) []*notice {
	var told []*notice
	for _, a := range th.page.listeners(name) {
		if !a.live && !th.customer.tests[a] {
			continue
		}
		n := &notice{app: a, page: th.page, lane: th.customer.id, list: "messaging", event: event}
		if owner := th.ownedBy(); owner != "" && owner != a.id && name != "messaging_handovers" {
			if !inStandby(name) || !a.hears(th.page, "standby") {
				continue
			}
			n.list, n.event = "standby", withoutPayload(event)
		}
		a.queue(n)
		told = append(told, n)
	}
	return told
}

// withoutPayload is an event as apps see it that did not send the button.
func withoutPayload(event object) object {
	postback, is := event["postback"].(object)
	if !is {
		return event
	}
	event, postback = maps.Clone(event), maps.Clone(postback)
	delete(postback, "payload")
	event["postback"] = postback
	return event
}

// announce tells the apps that listen of an event of the page itself.
func (p *Page) announce(name, key string, value any) {
	event := object{"recipient": object{"id": p.m.id(p.id)}, "timestamp": p.m.now().UnixMilli(), key: value}
	for _, a := range p.listeners(name) {
		a.queue(&notice{app: a, page: p, lane: p.id, list: "messaging", event: event})
	}
}

// Tells posts any event of the page to the apps that are subscribed to the field, as an
// item of messaging, whoever owns the conversation.
func (p *Page) Tells(name string, event map[string]any) {
	p.change(func() {
		for _, a := range p.listeners(name) {
			a.queue(&notice{app: a, page: p, lane: p.id, list: "messaging", event: event})
		}
	})
}

// Changes posts a change of the page, such as a comment in its feed.
func (p *Page) Changes(name string, value any) {
	p.change(func() {
		for _, a := range p.listeners(name) {
			a.queue(&notice{app: a, page: p, lane: p.id, list: "changes", event: object{"field": name, "value": value}})
		}
	})
}

// queue lets an event be posted, after those of the same lane.
func (a *App) queue(n *notice) {
	if a.m.closed {
		return
	}
	if a.unsettled >= mostWaiting {
		a.dropped++
		return
	}
	a.unsettled++
	a.m.changed.ring()
	if a.held {
		a.holding = append(a.holding, n)
		return
	}
	waiting, running := a.lanes[n.lane]
	a.lanes[n.lane] = append(waiting, n)
	if !running {
		a.m.work.Go(func() { a.drain(n.lane) })
	}
}

// drain posts a lane, event by event, until it is empty. What is refused twice waits
// beside the lane: later events pass it, as they do in life.
func (a *App) drain(lane string) {
	for a.turn() {
		a.m.mu.Lock()
		waiting := a.lanes[lane]
		if len(waiting) == 0 {
			delete(a.lanes, lane)
			a.m.mu.Unlock()
			a.leave()
			return
		}
		a.lanes[lane] = waiting[1:]
		a.m.mu.Unlock()
		a.deliver(waiting[:1], 1)
		a.leave()
	}
}

// turn waits for a place among the posts to the webhook; false after Close.
func (a *App) turn() bool {
	for {
		a.m.mu.Lock()
		if a.m.closed {
			a.m.mu.Unlock()
			return false
		}
		if !a.m.down && a.posting < atOnceToHook {
			a.posting++
			a.m.mu.Unlock()
			return true
		}
		rung := a.m.changed.rung
		a.m.mu.Unlock()
		if wait(a.m.ctx, rung) != nil {
			return false
		}
	}
}

func (a *App) leave() {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.posting--
	a.m.changed.ring()
}

// delivery is one body until it is taken.
type delivery struct {
	notices []*notice
	body    []byte
	tries   int
	waited  time.Duration // before the scale
}

// deliver posts events in one body, copies times at once, and once more if none of the
// copies is taken; then it leaves it to retry.
func (a *App) deliver(notices []*notice, copies int) {
	d := &delivery{notices: notices, body: a.m.bodyOf(notices)}
	if a.attempt(d, copies) || a.attempt(d, 1) {
		return
	}
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	if a.retrying >= mostRetrying || a.m.closed {
		a.settle(d)
		a.dropped += len(d.notices)
		return
	}
	a.retrying++
	a.m.work.Go(func() { a.retry(d) })
}

// retry posts a refused body again, with growing pauses.
func (a *App) retry(d *delivery) {
	defer a.change(func() { a.retrying-- })
	for d.waited < keepEvents {
		pause := min(firstPause<<min(d.tries-2, 20), longestPause)
		d.waited += pause
		if !a.m.sleep(time.Duration(float64(pause)*a.m.opts.RetryScale)) || !a.turn() {
			return
		}
		done := a.attempt(d, 1)
		a.leave()
		if done {
			return
		}
	}
	a.change(func() {
		a.settle(d)
		a.dropped += len(d.notices)
	})
}

// attempt posts a body, and reports whether that settles it: it was taken, or nobody
// listens any more.
func (a *App) attempt(d *delivery, copies int) bool {
	d.tries++
	posts := a.postAtOnce(a.m.ctx, d.body, d.tries, copies)
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	for _, n := range d.notices {
		n.tried = true
	}
	a.m.changed.ring()
	if slices.ContainsFunc(posts, HookPost.Accepted) {
		a.failingSince = time.Time{}
		a.settle(d)
		return true
	}
	if a.m.closed {
		return true
	}
	now := a.m.now()
	if a.failingSince.IsZero() {
		a.failingSince = now
	}
	if now.Sub(a.failingSince) > a.m.opts.Outage {
		for _, n := range d.notices {
			delete(n.page.subscribed, a) // "webhooks disabled"
		}
	}
	if slices.ContainsFunc(d.notices, func(n *notice) bool { return n.page.subscribed[a] != nil }) {
		return false
	}
	a.settle(d)
	return true
}

func (a *App) settle(d *delivery) {
	a.unsettled -= len(d.notices)
	a.m.changed.ring()
}

// bodyOf writes events as they are posted: events of the same page that follow each
// other are one entry. Nothing beyond ASCII stands in it unescaped, nor does a slash.
func (m *Messenger) bodyOf(notices []*notice) []byte {
	m.mu.Lock()
	now := m.now().UnixMilli()
	m.mu.Unlock()
	var entries []object
	var page *Page
	var list string
	for _, n := range notices {
		if n.page != page || n.list != list {
			page, list = n.page, n.list
			entries = append(entries, object{"id": m.id(page.id), "time": now, list: []object{}})
		}
		last := entries[len(entries)-1]
		last[list] = append(last[list].([]object), n.event)
	}
	return EscapeAsFacebook(object{"object": "page", "entry": entries})
}

// EscapeAsFacebook is a value as JSON the way Facebook's webhooks write it, which is
// what they sign: \u and four lower-case hex digits for all that is not ASCII, and
// escaped slashes. The value must be one that encoding/json can write.
func EscapeAsFacebook(value any) []byte {
	return bytes.ReplaceAll(encode(value), []byte("/"), []byte(`\/`))
}

// Sign is X-Hub-Signature-256 for a body under the app's secret.
func (a *App) Sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(a.secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Post posts any body to the app's webhook, n times at once, past everything that
// waits, with this signature; empty signs it rightly. The answers come in no order.
func (a *App) Post(ctx context.Context, body []byte, signature string, n int) []HookPost {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.m.ctx, cancel)()
	if signature == "" {
		return a.postAtOnce(ctx, body, 1, n)
	}
	return a.postAll(ctx, n, func(ctx context.Context) HookPost { return a.post(ctx, body, signature, 1) })
}

// Test posts what the dashboard's Test button posts: an entry of no page, "0", with the
// field's sample in changes and its time as text.
func (a *App) Test(ctx context.Context, name string) HookPost {
	a.m.mu.Lock()
	now := a.m.now()
	a.m.mu.Unlock()
	sample := object{
		"sender": object{"id": "12334"}, "recipient": object{"id": "23245"}, "timestamp": strconv.FormatInt(now.Unix(), 10),
		"message": object{"mid": "test_message_id", "text": "test_message"},
	}
	body := EscapeAsFacebook(object{"object": "page", "entry": []object{
		{"id": "0", "time": now.Unix(), "changes": []object{{"field": name, "value": sample}}},
	}})
	return a.Post(ctx, body, "", 1)[0]
}

func (a *App) postAtOnce(ctx context.Context, body []byte, try, n int) []HookPost {
	signature := a.Sign(body)
	return a.postAll(ctx, n, func(ctx context.Context) HookPost { return a.post(ctx, body, signature, try) })
}

func (a *App) postAll(ctx context.Context, n int, post func(context.Context) HookPost) []HookPost {
	posts := make([]HookPost, n)
	var work sync.WaitGroup
	start := make(chan struct{})
	for i := range posts {
		work.Go(func() {
			<-start
			posts[i] = post(ctx)
		})
	}
	close(start)
	work.Wait()
	a.change(func() {
		for i := range posts {
			a.posts = append(a.posts, &posts[i])
		}
		a.posts = latest(a.posts, keptPosts)
	})
	return posts
}

// limited is ctx until the webhook's time is over by the clock. The stop returns when
// nothing runs for it any more.
func (m *Messenger) limited(ctx context.Context) (limited context.Context, stop func()) {
	limited, cancel := context.WithCancelCause(ctx)
	timer := m.clock.NewTimer(m.opts.WebhookTimeout)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-timer.C():
			cancel(errWebhookTimeout)
		case <-m.ctx.Done():
			cancel(errMessengerClosed)
		case <-limited.Done():
		}
	})
	return limited, func() {
		timer.Stop()
		cancel(nil)
		watch.Wait()
	}
}

// post sends a body once.
func (a *App) post(ctx context.Context, body []byte, signature string, try int) HookPost {
	a.m.mu.Lock()
	address, started := a.callback, a.m.now()
	a.m.mu.Unlock()
	p := HookPost{Body: body, Try: try}
	ctx, stop := a.m.limited(ctx)
	defer stop()
	err := a.exchange(ctx, address, signature, &p)
	a.m.mu.Lock()
	p.At = a.m.now()
	a.m.mu.Unlock()
	p.Took = p.At.Sub(started)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(cause, errWebhookTimeout) {
			err = cause
		}
		p.Status, p.Trouble = 0, troubleWith(err)
	}
	return p
}

func (a *App) exchange(ctx context.Context, address, signature string, p *HookPost) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(p.Body))
	if err != nil {
		return err
	}
	older := hmac.New(sha1.New, []byte(a.secret))
	older.Write(p.Body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "facebookexternalua")
	request.Header.Set("Facebook-Api-Version", "v25.0")
	request.Header.Set("X-Hub-Signature-256", signature)
	request.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(older.Sum(nil)))
	response, err := a.m.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	p.Status = response.StatusCode
	p.Answer, err = io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return err
}

// Batching is how events that were held are let go.
type Batching struct {
	Size    int  // events in one body; zero: all of them
	Shuffle bool // in disorder
	Copies  int  // of each body, posted at once; zero: one
}

// Hold keeps the app's events back from now on.
func (a *App) Hold() { a.change(func() { a.held = true }) }

// Release posts what was held, body after body, and ends Hold.
func (a *App) Release(how Batching) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	events := a.holding
	a.held, a.holding = false, nil
	if how.Size <= 0 {
		how.Size = max(len(events), 1)
	}
	if how.Shuffle {
		a.m.random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	if a.m.closed {
		return
	}
	a.m.work.Go(func() {
		for batch := range slices.Chunk(events, how.Size) {
			if !a.turn() {
				return
			}
			a.deliver(batch, max(how.Copies, 1))
			a.leave()
		}
	})
}

// waitPosted waits until the events were posted once, taken or not. What is held, or
// waits for Up, is not waited for.
func (m *Messenger) waitPosted(ctx context.Context, events []*notice) {
	_ = m.await(ctx, func() string {
		for _, n := range events {
			if !n.tried && !n.app.held && !m.down && !m.closed {
				return "an echo is not posted"
			}
		}
		return ""
	})
}
