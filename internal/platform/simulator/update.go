package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// update is one that a bot is told.
type update struct {
	id        int64
	kind      string
	queue     string // what it is kept in order within
	body      []byte
	at        time.Time
	confirmed bool // by a 2xx or an offset
	dropped   bool // too old, or asked to be forgotten
}

func (u *update) settled() bool { return u.confirmed || u.dropped }

// tell makes an update for the bot; zero when its kind is not among those it wants.
func (b *Bot) tell(kind string, payload object, queue int64) int64 {
	if !b.wants(kind) {
		return 0
	}
	b.lastUpdate++
	b.enqueue(&update{
		id: b.lastUpdate, kind: kind, queue: strconv.FormatInt(queue, 10),
		body: encode(object{"update_id": b.lastUpdate, kind: payload}), at: b.tg.clock.Now(),
	})
	return b.lastUpdate
}

func (b *Bot) wants(kind string) bool {
	if b.allowed != nil {
		return slices.Contains(b.allowed, kind)
	}
	return kind != "chat_member" && kind != "message_reaction" && kind != "message_reaction_count"
}

func (b *Bot) enqueue(u *update) {
	b.updates[u.id] = u
	b.pending = append(b.pending, u)
	b.queues[u.queue] = append(b.queues[u.queue], u)
	b.waiting++
	if b.hook != nil {
		b.hook.drainSoon(u.queue)
	}
	b.tg.changed.ring()
}

// firstOf is the queue's oldest update that is not settled; nil when there is none.
func (b *Bot) firstOf(queue string) *update {
	for len(b.queues[queue]) > 0 {
		u := b.queues[queue][0]
		if !u.settled() && b.tg.clock.Now().Sub(u.at) >= keepUpdates {
			b.drop(u)
		}
		if !u.settled() {
			return u
		}
		b.queues[queue] = b.queues[queue][1:]
	}
	delete(b.queues, queue)
	return nil
}

func (b *Bot) confirm(u *update) {
	if !u.settled() {
		u.confirmed = true
		b.settle()
	}
}

func (b *Bot) drop(u *update) {
	if !u.settled() {
		u.dropped = true
		b.settle()
	}
}

// settle forgets settled updates, not at each of them: a list of thousands would be
// copied thousands of times.
func (b *Bot) settle() {
	b.waiting--
	b.tg.changed.ring()
	if len(b.pending) > 2*b.waiting+64 {
		all := b.pending
		b.pending = make([]*update, 0, b.waiting)
		clear(b.queues)
		for _, u := range all {
			if !u.settled() {
				b.pending = append(b.pending, u)
				b.queues[u.queue] = append(b.queues[u.queue], u)
			}
		}
	}
}

func (b *Bot) dropPending() {
	for _, u := range b.pending {
		b.drop(u)
	}
	b.pending = nil
	clear(b.queues)
}

// dropOld drops what has waited for a day.
func (b *Bot) dropOld() {
	now := b.tg.clock.Now()
	for _, u := range b.pending {
		if now.Sub(u.at) >= keepUpdates {
			b.drop(u)
		}
	}
}

// Deliver tells the bot any update object, whether it is a good one or not, and
// whether its kind is wanted or not. It gets an update_id unless it has one; that of
// another update makes it a second update with the same number; one below the offset
// that a poller has reached counts as confirmed at its next poll, as in life. Its place in order is
// that of the chat or user found in it.
func (b *Bot) Deliver(raw any) (int64, error) {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	u, err := b.readUpdate(raw)
	if err != nil {
		return 0, err
	}
	b.enqueue(u)
	return u.id, nil
}

// readUpdate takes anything that marshals into an object; bytes are taken as JSON.
func (b *Bot) readUpdate(raw any) (*update, error) {
	text, ok := raw.([]byte)
	if !ok {
		marshalled, err := json.Marshal(raw)
		if err != nil {
			return nil, fmt.Errorf("read an update: %w", err)
		}
		text = marshalled
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("read an update: %w", err)
	}
	u := &update{at: b.tg.clock.Now()}
	if json.Unmarshal(fields["update_id"], &u.id) != nil || u.id == 0 {
		b.lastUpdate++
		u.id = b.lastUpdate
		fields["update_id"] = encode(u.id)
	}
	b.lastUpdate = max(b.lastUpdate, u.id)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "update_id" {
			u.kind = name
			u.queue = queueOf(fields[name])
		}
	}
	u.body = encode(fields)
	return u, nil
}

// queueOf finds the chat, or else the user, that an update's content belongs to.
func queueOf(content json.RawMessage) string {
	type party struct {
		ID json.Number `json:"id"`
	}
	var of struct {
		Chat    party `json:"chat"`
		Message struct {
			Chat party `json:"chat"`
		} `json:"message"`
		From party `json:"from"`
		User party `json:"user"`
	}
	_ = json.Unmarshal(content, &of) // what cannot be read has no chat
	for _, p := range []party{of.Chat, of.Message.Chat, of.From, of.User} {
		if p.ID != "" {
			return p.ID.String()
		}
	}
	return ""
}

// Pending is how many updates nobody has confirmed yet.
func (b *Bot) Pending() int {
	b.tg.mu.Lock()
	defer b.tg.mu.Unlock()
	return b.waiting
}

// WaitDelivered waits until these updates are confirmed: by a webhook's 2xx, or by a
// poll's offset. Without a number it waits until no update is left.
func (b *Bot) WaitDelivered(ctx context.Context, updates ...int64) error {
	return b.tg.await(ctx, func() string {
		for _, id := range updates {
			if u := b.updates[id]; u == nil || !u.confirmed {
				return fmt.Sprintf("update %d is not confirmed%s", id, b.lastWord())
			}
		}
		if len(updates) == 0 {
			return b.unsettled()
		}
		return ""
	})
}

// Idle waits until no update of any bot is left.
func (tg *Telegram) Idle(ctx context.Context) error {
	return tg.await(ctx, func() string {
		for _, b := range tg.bots {
			if why := b.unsettled(); why != "" {
				return why
			}
		}
		return ""
	})
}

func (b *Bot) unsettled() string {
	if b.waiting == 0 {
		return ""
	}
	return fmt.Sprintf("%d updates of @%s are not confirmed%s", b.waiting, b.username, b.lastWord())
}

// lastWord is what a webhook said last, for whoever waits in vain.
func (b *Bot) lastWord() string {
	switch {
	case len(b.answers) == 0 && b.hook == nil:
		return " (there is no webhook)"
	case len(b.answers) == 0:
		return " (the webhook has not answered yet)"
	}
	last := b.answers[len(b.answers)-1]
	if last.Trouble != "" {
		return " (" + last.Trouble + ")"
	}
	return fmt.Sprintf(" (the last answer was %d to update %d)", last.Status, last.Update)
}
