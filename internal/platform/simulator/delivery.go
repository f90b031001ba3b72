package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An update that nobody took is dropped at this age, and a webhook that has said
// nothing but 410 for so long is removed.
const (
	keepUpdates = 24 * time.Hour
	believeGone = 23 * time.Hour
)

var errWebhookTimeout = errors.New("the webhook did not answer in time")

// Answer is what a webhook said to one update, once.
type Answer struct {
	Update int64
	// Status is zero when there was no answer; Trouble says why, as getWebhookInfo does.
	Status  int
	Trouble string
	Body    []byte
	At      time.Time
	Took    time.Duration
	retry   time.Duration
}

// Accepted reports whether the update counts as delivered.
func (a Answer) Accepted() bool { return a.Status >= 200 && a.Status < 300 }

// Answers are those of the bot's webhooks so far, to one update or, without a number,
// to all, in the order they came.
func (b *Bot) Answers(updates ...int64) []Answer {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	var found []Answer
	for _, a := range b.answers {
		if len(updates) == 0 || slices.Contains(updates, a.Update) {
			found = append(found, a)
		}
	}
	return found
}

// drainSoon lets the queue be delivered, unless it is.
func (h *hook) drainSoon(queue string) {
	if h.draining[queue] || h.bot.tg.closed {
		return
	}
	h.draining[queue] = true
	h.bot.tg.work.Go(func() { h.drain(queue) })
}

// drain delivers a queue in order, one at a time, until it is empty or the hook ends.
func (h *hook) drain(queue string) {
	defer func() {
		if h.ctx.Err() != nil {
			h.client.CloseIdleConnections()
		}
	}()
	failures := 0
	for {
		u := h.next(queue)
		if u == nil {
			return
		}
		a := h.post(h.ctx, u)
		if a.Accepted() {
			failures = 0
			h.accept(u, a)
			continue
		}
		failures++
		if pause := h.reject(a, failures); pause > 0 && !h.bot.tg.sleep(h.ctx, pause) {
			return
		}
	}
}

// next waits for its turn at the webhook and takes the queue's first update; nil when
// the queue is empty or the hook has ended.
func (h *hook) next(queue string) *update {
	tg := h.bot.tg
	for {
		tg.mu.Lock()
		if h.ctx.Err() != nil {
			tg.mu.Unlock()
			return nil
		}
		u := h.bot.firstOf(queue)
		if u == nil {
			delete(h.draining, queue)
			tg.mu.Unlock()
			return nil
		}
		if !tg.down && h.inFlight < h.maxConnections {
			h.inFlight++
			tg.mu.Unlock()
			return u
		}
		rung := tg.changed.rung
		tg.mu.Unlock()
		if wait(h.ctx, rung) != nil {
			return nil
		}
	}
}

// accept confirms the update, and does what the answer asks for.
func (h *hook) accept(u *update, a Answer) {
	b := h.bot
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	h.inFlight--
	h.goneSince = time.Time{}
	b.answers = append(b.answers, a)
	b.confirm(u)
	b.callFrom(a.Body)
	b.tg.changed.ring()
}

// callFrom runs the method that a webhook's answer may hold. Nobody learns its result.
func (b *Bot) callFrom(body []byte) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return
	}
	p := params{values: map[string]string{}}
	p.take(fields)
	name := p.text("method")
	lower := strings.ToLower(name)
	if name == "" || strings.HasPrefix(lower, "get") || slices.Contains([]string{"setwebhook", "deletewebhook", "close", "logout"}, lower) {
		return
	}
	delete(p.values, "method")
	a := result(b.quickCall(name, p))
	b.tg.calls = append(b.tg.calls, Call{
		Bot: b.username, Method: name, Params: p.values, At: b.tg.clock.Now(), Status: a.status, Description: a.description,
	})
}

// reject keeps the trouble for getWebhookInfo and says when to try again: at once the
// first time, then after 2, 4, 8 ... seconds up to one or two minutes, or when the
// webhook asked for it.
func (h *hook) reject(a Answer, failures int) time.Duration {
	b := h.bot
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	h.inFlight--
	if h.ctx.Err() != nil {
		return 0 // it was the look-alike that hung up
	}
	b.answers = append(b.answers, a)
	b.lastError, b.lastErrorAt = a.Trouble, a.At
	h.considerGone(a)
	b.tg.changed.ring()
	pause := a.retry
	if pause == 0 && failures > 1 {
		most := time.Minute + rand.N(time.Minute) //nolint:gosec // spreads retries, hides nothing
		pause = min(time.Second<<min(failures-1, 10), most)
	}
	return time.Duration(float64(pause) * b.tg.opts.RetryScale)
}

// considerGone removes the webhook when it has long said that it is gone.
func (h *hook) considerGone(a Answer) {
	switch {
	case a.Status != http.StatusGone:
		h.goneSince = time.Time{}
	case h.goneSince.IsZero():
		h.goneSince = a.At
	case a.At.Sub(h.goneSince) > believeGone && h.bot.hook == h:
		h.bot.endHook()
	}
}

// post sends an update once.
func (h *hook) post(ctx context.Context, u *update) Answer {
	tg := h.bot.tg
	started := tg.clock.Now()
	a := Answer{Update: u.id}
	ctx, stop := tg.limited(ctx, tg.opts.WebhookTimeout, errWebhookTimeout)
	defer stop()
	response, err := h.send(ctx, u)
	if err == nil {
		defer response.Body.Close() //nolint:errcheck // it was only read
		a.Body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	}
	a.At = tg.clock.Now()
	a.Took = a.At.Sub(started)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		a.Trouble = troubleWith(err)
		return a
	}
	a.Status = response.StatusCode
	if !a.Accepted() {
		a.Trouble = fmt.Sprintf("Wrong response from the webhook: %d %s", a.Status, http.StatusText(a.Status))
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		a.retry = time.Duration(min(max(seconds, 0), 3600)) * time.Second
	}
	return a
}

func (h *hook) send(ctx context.Context, u *update) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(u.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "")
	if h.secret != "" {
		request.Header.Set("X-Telegram-Bot-Api-Secret-Token", h.secret)
	}
	return h.client.Do(request)
}

// troubleWith says what went wrong in Telegram's words; never the webhook's address.
func troubleWith(err error) string {
	var timeout net.Error
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, errWebhookTimeout):
		return "Read timeout expired"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "Connection timed out"
	case strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "tls:"):
		return "SSL error {error:0A000086:SSL routines::certificate verify failed}"
	}
	return "Webhook connection closed"
}

// Redeliver posts an update that was made before n times at once, past the queue and
// whatever became of it; each is posted once. The answers come in no order. It is an
// error when the bot has no webhook or never had the update.
func (b *Bot) Redeliver(ctx context.Context, updateID int64, n int) ([]Answer, error) {
	b.tg.mu.Lock()
	h, u := b.hook, b.updates[updateID]
	b.tg.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("redeliver update %d: @%s has no webhook", updateID, b.username)
	}
	if u == nil {
		return nil, fmt.Errorf("redeliver update %d: @%s never had it", updateID, b.username)
	}
	return h.postAtOnce(ctx, u, n), nil
}

// DeliverAtOnce is Deliver of an update that is posted n times at once instead of
// being queued: it counts as delivered when one of the answers accepts it, and waits
// in the queue otherwise.
func (b *Bot) DeliverAtOnce(ctx context.Context, raw any, n int) (int64, []Answer, error) {
	b.tg.mu.Lock()
	h := b.hook
	u, err := b.readUpdate(raw)
	if err == nil {
		b.updates[u.id] = u
	}
	b.tg.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if h == nil {
		return 0, nil, fmt.Errorf("deliver update %d: @%s has no webhook", u.id, b.username)
	}
	answers := h.postAtOnce(ctx, u, n)
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	if slices.ContainsFunc(answers, Answer.Accepted) {
		u.confirmed = true
	} else {
		b.enqueue(u)
	}
	b.tg.changed.ring()
	return u.id, answers, nil
}

func (h *hook) postAtOnce(ctx context.Context, u *update, n int) []Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(h.ctx, cancel)
	defer stop()
	answers := make([]Answer, n)
	var posts sync.WaitGroup
	start := make(chan struct{})
	for i := range answers {
		posts.Go(func() {
			<-start
			answers[i] = h.post(ctx, u)
		})
	}
	close(start)
	posts.Wait()
	h.bot.tg.mu.Lock()
	defer h.bot.tg.mu.Unlock()
	h.bot.answers = append(h.bot.answers, answers...)
	h.bot.tg.changed.ring()
	return answers
}
