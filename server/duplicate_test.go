package main

import (
	"maps"
	"testing"
)

func TestTheSameUpdateFiveTimesAtOnceIsOneMessage(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, database option) {
		s := opensShop(t, database)
		update := textUpdate(1, 1, "Hello?")
		_, answers, err := s.bot.DeliverAtOnce(t.Context(), update, 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			if a.Status != 200 {
				t.Errorf("answered %d %s", a.Status, a.Trouble)
			}
		}
		if m := s.added.message(); m.text("text") != "Hello?" {
			t.Errorf("the agent saw %v", m)
		}
		logs := s.processed(s.connection, 5)
		if want := map[string]int{"PROCESSED": 1, "DUPLICATE": 4}; !maps.Equal(logs, want) {
			t.Errorf("the logs are %v instead of %v", logs, want)
		}
		if webhook, _ := s.webhook(s.connection); webhook.number("totalReceived") != 5 {
			t.Errorf("of five, %d were received", webhook.number("totalReceived"))
		}

		// Long after it was processed it is a duplicate all the same.
		posterTo(t, s.bot).mustPost(t, update, 200)
		if logs := s.processed(s.connection, 6); logs["DUPLICATE"] != 5 {
			t.Errorf("the logs are %v", logs)
		}
		if texts := s.texts(s.campaign)["5001"]; len(texts) != 1 {
			t.Errorf("the conversation has %q", texts)
		}
		posterTo(t, s.bot).mustPost(t, textUpdate(1, 2, "the last"), 200)
		if m := s.added.message(); m.text("text") != "the last" {
			t.Errorf("the agent was told of a duplicate: %v", m)
		}
	})
}
