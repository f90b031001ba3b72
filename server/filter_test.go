package main

import (
	"fmt"
	"testing"
)

func TestAFilterByAMadeUpConnectionFindsNothing(t *testing.T) {
	t.Parallel()
	p := begin(t)
	campaign := p.campaign("Spring")
	bot, connection := p.bot(campaign, "spring_bot")
	p.telegram.Customer("Lan", "vi").Writes(bot, "Hello")
	list := func(of string) int {
		return len(p.admin().gets(`query($c: ID!, $of: ID) { campaign(id: $c) { conversations(filter: {connectionId: $of}) { edges { node { id } } } } }`,
			data{"c": campaign, "of": of}).at("campaign").nodes("conversations"))
	}
	eventually(t, "the conversation", func() error {
		if n := list(connection); n != 1 {
			return fmt.Errorf("%d conversations of the connection", n)
		}
		return nil
	})
	for _, madeUp := range []string{"nonsense", "", "conn_01jd0000000000000000000000"} {
		if n := list(madeUp); n != 0 {
			t.Errorf("%d conversations of the connection %q", n, madeUp)
		}
	}
}
