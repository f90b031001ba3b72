package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestASocketThatDropsWhileMessagesFlowMissesNothing(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, database option) {
		const chats, each = 6, 50
		p := begin(t, database)
		campaign := p.campaign("Shop")
		bot, _ := p.bot(campaign, "shop_bot")
		ana := p.user("Ana", campaign, "AGENT")
		from := p.cursor(campaign)
		taken := posterTo(t, bot).talks(t, chats, 1, each)

		agent := ana.collects(campaign, from)
		drops := 0
		for len(agent.texts) < chats*each {
			if err := agent.until(agent.has(min(chats*each, len(agent.texts)+1+rand.IntN(25)))); err != nil {
				t.Fatal(err)
			}
			agent.drops()
			drops++
		}
		for range taken {
		}
		if err := inOrderOnce(agent.texts, chats, 1, each); err != nil {
			t.Errorf("over %d sockets: %v", drops, err)
		}

		// Told in one go, the story is the same, cursor by cursor.
		again := ana.collects(campaign, from)
		if err := again.until(again.has(chats * each)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(agent.cursors, again.cursors) || !slices.Equal(agent.texts, again.texts) {
			t.Errorf("live\n%v\nreplayed\n%v", agent.texts, again.texts)
		}
	})
}

func TestAFreshSubscriberDuringABurstSeesNoGap(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, database option) {
		const chats, each, subscribers = 10, 200, 4
		p := begin(t, database)
		campaign := p.campaign("Shop")
		bot, _ := p.bot(campaign, "shop_bot")
		ana := p.user("Ana", campaign, "AGENT")
		start := p.cursor(campaign)
		taken := posterTo(t, bot).talks(t, chats, 1, each)

		results := make(chan error)
		for range subscribers {
			for range chats * each / (subscribers + 1) {
				<-taken
			}
			// What there is, then what comes after it.
			there, cursor := p.snapshot(campaign, chats)
			go func() { results <- ana.fresh(campaign, cursor, there, chats, each) }()
			// Everything, from before the burst.
			go func() {
				agent := ana.collects(campaign, start)
				err := agent.until(agent.has(chats * each))
				if err == nil {
					err = inOrderOnce(agent.texts, chats, 1, each)
				}
				results <- err
			}()
		}
		for range taken {
		}
		for range 2 * subscribers {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// snapshot reads all texts and the cursor to go on from, in one operation.
func (p *program) snapshot(campaign string, chats int) (texts []string, cursor string) {
	p.t.Helper()
	c := p.admin().gets(`query($c: ID!, $n: Int) { campaign(id: $c) { eventCursor conversations(first: $n) { edges { node { messages(first: 200) { edges { node { text } } } } } } } }`,
		data{"c": campaign, "n": chats}).at("campaign")
	for _, conversation := range c.nodes("conversations") {
		for _, m := range conversation.nodes("messages") {
			texts = append(texts, m.text("text"))
		}
	}
	return texts, c.text("eventCursor")
}

// fresh goes on from a snapshot, until with it everything was seen.
func (who person) fresh(campaign, cursor string, there []string, chats, each int) error {
	agent := who.collects(campaign, cursor)
	known := map[string]bool{}
	for _, text := range there {
		known[text] = true
	}
	err := agent.until(func() bool {
		if n := len(agent.texts); n > 0 {
			known[agent.texts[n-1]] = true
		}
		return len(known) == chats*each
	})
	if err != nil {
		return fmt.Errorf("%d of %d were seen, %d of them in the snapshot: %w", len(known), chats*each, len(there), err)
	}
	return inOrderOnce(agent.texts, chats, 0, each)
}
