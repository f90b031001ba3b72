package messenger

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"causeway/internal/platform"
)

// Trace is what is known of a message that may have gone out. Its ID is a mid.
type Trace = platform.Trace

// Lookup looks for a message among the twenty newest of its chat, by the Conversations
// API (two calls a second per page): false if it is not there, which after a call that
// got no answer does not prove that it will not come. That API does not tell metadata,
// so that without an id it is the page's oldest message since the call that says the
// same, or, for a file, that carries one. Two messages alike in one chat cannot be told
// apart but by Not; the echo, which has the metadata, can.
func (c *Client) Lookup(ctx context.Context, t Trace) (platform.Sent, bool, error) {
	if strings.HasPrefix(t.Chat, userRef) {
		return platform.Sent{}, false, nil
	}
	var found struct {
		Data []struct {
			Messages struct {
				Data []historic `json:"data"`
			} `json:"messages"`
		} `json:"data"`
	}
	err := c.get(ctx, "conversations", []string{c.page, "conversations"}, url.Values{
		"platform": {"messenger"}, "user_id": {t.Chat},
		"fields": {"messages.limit(20){id,created_time,from,message,attachments}"},
	}, &found)
	if err != nil {
		return platform.Sent{}, false, err
	}
	var best *historic
	for i := range found.Data {
		for j := range found.Data[i].Messages.Data {
			m := &found.Data[i].Messages.Data[j]
			if m.matches(c.page, t) && (best == nil || m.at().Before(best.at())) {
				best = m
			}
		}
	}
	if best == nil {
		return platform.Sent{}, false, nil
	}
	return platform.Sent{ID: string(best.ID), At: best.at()}, true, nil
}

// historic is a message as the Conversations API tells it.
type historic struct {
	ID      ident  `json:"id"`
	Created opaque `json:"created_time"`
	Text    opaque `json:"message"`
	From    struct {
		ID ident `json:"id"`
	} `json:"from"`
	Attachments struct {
		Data []struct{} `json:"data"`
	} `json:"attachments"`
}

// graphTime is how the Graph API writes times: RFC 3339 would have a colon in the offset.
const graphTime = "2006-01-02T15:04:05-0700"

func (m *historic) at() time.Time {
	t, err := time.Parse(graphTime, string(m.Created))
	if err != nil {
		t, _ = time.Parse(time.RFC3339, string(m.Created))
	}
	return t.UTC()
}

// clocksApart is how much Facebook's clock, which tells whole seconds, may be behind ours.
// It is short: taking an older message for the lost one would lose it silently.
const clocksApart = 5 * time.Second

func (m *historic) matches(page string, t Trace) bool {
	if t.ID != "" {
		return string(m.ID) == t.ID
	}
	switch {
	case m.ID == "", string(m.From.ID) != page, slices.Contains(t.Not, string(m.ID)):
		return false
	case m.at().Before(t.Since.Add(-clocksApart)):
		return false
	case t.Text == "":
		return len(m.Attachments.Data) > 0
	default:
		return alike(string(m.Text), t.Text)
	}
}

// alike tells the same text, whatever was done to its white space.
func alike(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
