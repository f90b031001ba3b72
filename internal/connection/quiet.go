package connection

import (
	"context"
	"fmt"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/internal/platform"
)

const (
	// rhythmOver is how long before a silence a connection's rhythm is read.
	rhythmOver = 28 * 24 * time.Hour
	// rhythmStep is how finely it is read: a little less than a day, so that what comes
	// once a day, now earlier and now later, comes every day.
	rhythmStep = 20 * time.Hour
	// rhythmSteps is how many steps there must be at least: what hears of its customers
	// on fewer than half of the days has no rhythm.
	rhythmSteps = 14
	// shortest is what counts as the longest silence where each was shorter: nights are
	// none.
	shortest = 24 * time.Hour
	// quietAfter is how many times as long as usual is unusual.
	quietAfter = 2
)

// judgeSilence warns of a connection that works, but to which nothing came for more than
// twice as long as it ever happened in the four weeks before. What is to be fetched first
// is no silence, and a connection that was made again begins anew. Who looks for the first
// time after a pause does not judge: what came meanwhile may be on its way. Once given, a
// warning stays until something comes, although its evidence is forgotten with old logs.
func (s *Service) judgeSilence(ctx context.Context, i *inspection, row *ent.Connection) error {
	if i.problem != nil || row.LastReceivedAt == nil || i.pending != nil && *i.pending > 0 {
		return nil
	}
	last := *row.LastReceivedAt
	told := last.UTC().Format("2006-01-02 15:04 MST")
	problem := causeway.FailWith(causeway.UnusuallyQuiet, causeway.ReasonQuietSince).With("since", told)
	quiet := slices.ContainsFunc(row.Warnings, func(w causeway.Problem) bool {
		return w.Code == causeway.UnusuallyQuiet && w.Args["since"] == told
	})
	if !quiet && row.LastSyncedAt != nil && i.began.Sub(*row.LastSyncedAt) <= 2*s.interval {
		var err error
		quiet, err = s.unusual(ctx, row.ID, last, i.began.Sub(listening(row)))
		if err != nil {
			return fmt.Errorf("read the rhythm of %s: %w", row.ID, err)
		}
	}
	if !quiet {
		return nil
	}
	i.doubt(platform.CheckWebhookRegistration, problem, "Nothing has arrived since "+told+", which is unusual.")
	i.warnings = append(i.warnings, *i.stamped(problem))
	return nil
}

// listening is when something last came to a connection, or it was last made.
func listening(row *ent.Connection) time.Time {
	at := row.ConnectedAt
	for _, later := range []*time.Time{row.LastReceivedAt, row.ReconnectedAt} {
		if later != nil && later.After(at) {
			at = *later
		}
	}
	return at
}

// unusual tells whether a silence is too long for a connection. From its last update it
// steps back to the latest one that is at least rhythmStep older, and so on; the longest
// step is its rhythm. That asks for one row at a time along an index, at most 34 times,
// and never of a connection that heard something in the last two days.
func (s *Service) unusual(ctx context.Context, id causeway.ID, last time.Time, silence time.Duration) (bool, error) {
	longest, steps := shortest, 0
	for at, oldest := last, last.Add(-rhythmOver); silence > quietAfter*longest; steps++ {
		before, err := s.intake.LastBefore(ctx, id, at.Add(-rhythmStep))
		if err != nil {
			return false, err
		}
		if before.Before(oldest) {
			return steps >= rhythmSteps, nil
		}
		longest, at = max(longest, at.Sub(before)), before
	}
	return false, nil
}
