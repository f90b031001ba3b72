package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"causeway/internal/platform/simulator"
)

// world is a simulated Telegram as its bots' owners know it.
type world struct {
	URL  string
	Bots []bot
}

type bot struct {
	Token string
	Chats []int64
}

// newTelegram simulates Telegram with customers who wrote to the bots once.
func newTelegram(s size) (*part, error) {
	tg := simulator.NewTelegram(simulator.Options{})
	if err := tg.Start(); err != nil {
		return nil, err
	}
	w := &world{URL: tg.URL()}
	var bots []*simulator.Bot
	for n := range s.Bots {
		b := tg.AddBot(fmt.Sprintf("benchmark%d_bot", n), "Benchmark")
		bots = append(bots, b)
		w.Bots = append(w.Bots, bot{Token: b.Token()})
	}
	for n := range s.Conversations {
		c := tg.Customer(fmt.Sprintf("Customer %d", n), "en")
		c.Starts(bots[n%s.Bots], "")
		of := &w.Bots[n%s.Bots]
		of.Chats = append(of.Chats, c.ID())
	}
	p := &part{world: w, close: tg.Close}
	p.steps = map[string]func(context.Context) error{"check": func(context.Context) error {
		for n, b := range bots {
			for _, chat := range w.Bots[n].Chats {
				p.amiss += amiss(b.Sent(chat), s.Messages)
			}
		}
		return nil
	}}
	return p, nil
}

// text is a chat's message of this number.
func text(number int) string {
	return fmt.Sprintf("%d Thank you for waiting. Your parcel left our house this morning, "+
		"and it should be with you by tomorrow evening at the latest.", number)
}

// amiss counts the messages of a chat that are not where they should be, or are not
// there.
func amiss(sent []simulator.Sent, want int) int {
	wrong := max(len(sent)-want, 0)
	for number := range want {
		if number >= len(sent) || !strings.HasPrefix(sent[number].Text, text(number)) {
			wrong++
		}
	}
	return wrong
}

// ask reads what the part at an address tells of Telegram.
func ask(address string) (*world, error) {
	res, err := http.Get("http://" + address + "/world")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	w := &world{}
	return w, json.NewDecoder(res.Body).Decode(w)
}

// chat is a bot's chat, wherever it is in the world.
type chat struct {
	bot int // its number
	id  int64
}

// chats are those of all bots, in turn.
func (w *world) chats() []chat {
	var all []chat
	for n := 0; ; n++ {
		before := len(all)
		for i, b := range w.Bots {
			if n < len(b.Chats) {
				all = append(all, chat{bot: i, id: b.Chats[n]})
			}
		}
		if len(all) == before {
			return all
		}
	}
}
