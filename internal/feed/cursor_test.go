package feed_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/feed"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// sent is a cursor as it comes back from a client.
func sent(t fataler, cursor ent.Cursor) ent.Cursor {
	t.Helper()
	var written strings.Builder
	cursor.MarshalGQL(&written)
	text, err := strconv.Unquote(written.String())
	if err != nil {
		t.Fatal(err)
	}
	var back ent.Cursor
	if err := back.UnmarshalGQL(text); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestACursorComesBackAsThePositionItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := causeway.NewID(causeway.PrefixCampaign)
		want := rapid.Int64Min(0).Draw(t, "seq")
		got, err := feed.ParseCursor(id, sent(t, feed.Cursor(id, want)))
		if err != nil || got != want {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
	})
}

func TestACursorOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	id := causeway.NewID(causeway.PrefixCampaign)
	for name, cursor := range map[string]ent.Cursor{
		"of another campaign":               feed.Cursor(causeway.NewID(causeway.PrefixCampaign), 3),
		"of a list of messages":             {ID: causeway.NewID(causeway.PrefixMessage), Value: int64(3)},
		"of a list ordered by a number":     {ID: id, Value: int64(3)},
		"of a list of campaigns by id":      {ID: id},
		"of a list of campaigns by time":    {ID: id, Value: time.Now()},
		"with another text":                 {ID: id, Value: "+3"},
		"with a fraction":                   {ID: id, Value: 3.5},
		"before the beginning":              feed.Cursor(id, -1),
		"beyond what a sequence can number": {ID: id, Value: "9223372036854775808"},
		"empty":                             {},
	} {
		_, err := feed.ParseCursor(id, sent(t, cursor))
		problem, ok := errors.AsType[*causeway.Error](err)
		if !ok || problem.Code != causeway.BadUserInput {
			t.Errorf("%s: got %v, want BAD_USER_INPUT", name, err)
		}
	}
}

func FuzzACursorFromAStranger(f *testing.F) {
	id := causeway.ID("camp_01h455vb4pex5vsknk084sn02q")
	var written strings.Builder
	feed.Cursor(id, 300).MarshalGQL(&written)
	f.Add(strings.Trim(written.String(), `"`))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var cursor ent.Cursor
		if cursor.UnmarshalGQL(text) != nil {
			return
		}
		if seq, err := feed.ParseCursor(id, cursor); err == nil && (seq < 0 || cursor.ID != id) {
			t.Errorf("%q was taken for position %d", text, seq)
		}
	})
}

func TestAViewerReadsEventsOfTheirCampaignsOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := within(t)
		clock := newClock()
		f := keeper(t, s, clock)
		mine, theirs := campaign(t, s), campaign(t, s)
		appendEvents(t, s, f, append(added(mine, 2), added(theirs, 3)...)...)
		clock.turn(2 * time.Hour)
		trim(t, f, 5)
		appendEvents(t, s, f, append(added(mine, 2), added(theirs, 3)...)...)

		member := causeway.NewID(causeway.PrefixUser)
		err := s.InTx(ctx, func(tx *store.Tx) error {
			err := tx.User.Create().SetID(member).SetEmail("lan@example.com").SetName("Lan").SetRole(user.RoleAgent).
				SetPasswordHash("-").SetCreatedAt(clock.Now()).Exec(ctx)
			if err != nil {
				return err
			}
			return tx.CampaignMember.Create().SetCampaignID(mine).SetUserID(member).
				SetRole(campaignmember.RoleAgent).SetJoinedAt(clock.Now()).Exec(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		client := s.NewReader()
		feed.Guard(client)
		for _, c := range []struct {
			name            string
			viewer          *auth.Viewer
			refused         error
			events, trimmed int
		}{
			{"a member of one", &auth.Viewer{UserID: member}, nil, 2, 2},
			{"an administrator", &auth.Viewer{Admin: true}, nil, 5, 4},
			{"nobody", nil, causeway.Fail(causeway.Unauthenticated), 0, 0},
		} {
			ctx := ctx
			if c.viewer != nil {
				ctx = auth.WithViewer(ctx, c.viewer)
			}
			events, err := client.FeedEvent.Query().Count(ctx)
			if events != c.events || !errors.Is(err, c.refused) {
				t.Errorf("%s: %d events, %v, want %d", c.name, events, err, c.events)
			}
			trimmed, err := client.FeedTrim.Query().Count(ctx)
			if trimmed != c.trimmed || !errors.Is(err, c.refused) {
				t.Errorf("%s: %d records, %v, want %d", c.name, trimmed, err, c.trimmed)
			}
		}
	})
}
