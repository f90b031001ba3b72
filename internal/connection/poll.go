package connection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
)

const (
	fetchLimit = 100 // updates; Telegram's own bound
	maxBackoff = time.Minute
	// troubleAfter is how many fetches in a row go wrong before a check is asked to
	// find out why.
	troubleAfter = 3
	// offsetLasts is how long a number may be asked from after the last update came.
	// After a week of silence Telegram may count from another number, and asking from
	// a higher one would make it forget what waits.
	offsetLasts = 6 * 24 * time.Hour
)

// poller fetches the updates of one connection. It stores each fetch before it asks
// for the next, which is what tells Telegram that the first arrived. It never decides
// what trouble means: it leaves evidence and asks for a check.
type poller struct {
	svc        *Service
	bot        *telegram.Client
	connection causeway.ID
	campaign   causeway.ID
	account    string

	offset    int64
	lastCame  time.Time // when an update came in; zero if never
	began     time.Time // of fetching without a conflict
	failures  int       // in a row
	contested bool      // another program was fetching when we last tried
	reported  bool      // that fetching fails
}

func (s *Service) newPoller(row *ent.Connection) (*poller, error) {
	bot, err := s.botOf(row)
	if err != nil {
		return nil, err
	}
	p := &poller{
		svc: s, bot: bot, connection: row.ID, campaign: row.CampaignID, account: row.AccountID, offset: row.PollOffset,
		began: s.clock.Now(),
	}
	if problem := reported(row); problem != nil {
		p.contested = problem.Code == causeway.WebhookTakenOver
		p.reported = !p.contested
	}
	if row.LastReceivedAt != nil {
		p.lastCame = *row.LastReceivedAt
	}
	return p, nil
}

// run fetches until ctx ends, or until it is not ours to go on: then it returns true,
// and is started again when a check was made or the time for the next one has come.
// held tells whether the connection is still this server's to fetch.
func (p *poller) run(ctx context.Context, held func(context.Context) bool) (rest bool) {
	defer func() {
		if r := recover(); r != nil {
			p.svc.log.Error("fetching panicked", "connection", p.connection, "panic", fmt.Sprintf("%T", r))
			rest = true
		}
	}()
	for ctx.Err() == nil {
		err := p.fetch(ctx)
		refusal := platform.Refused(err)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			p.recovered(ctx)
		case refusal != nil && refusal.Kind == platform.NotOurs:
			if !held(ctx) {
				return false
			}
			p.svc.log.Warn("updates are fetched or received elsewhere", "connection", p.connection, "error", err)
			p.report(ctx, trouble(err))
			return true
		case unauthorized(err):
			p.ask(ctx, nil)
			return true
		default:
			p.svc.log.Warn("updates were not fetched", "connection", p.connection, "error", err)
			p.failed(ctx, refusal)
			if !p.svc.wait(ctx, p.backoff(refusal), nil) {
				return false
			}
		}
	}
	return false
}

// fetch asks for updates once and stores what came. A panic is its error.
func (p *poller) fetch(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("fetch updates: panicked (%T)", r)
		}
	}()
	if p.svc.clock.Now().Sub(p.lastCame) > offsetLasts {
		p.offset = 0
	}
	// After trouble fewer are asked for: perhaps so many together are more than can be
	// read or stored.
	limit := max(fetchLimit>>min(p.failures, 8), 1)
	updates, err := p.bot.GetUpdates(ctx, p.offset, limit, p.svc.pollTimeout)
	if err != nil || len(updates) == 0 {
		return err
	}
	batch := intake.Batch{Connection: p.connection, Entries: make([]intake.Entry, 0, len(updates))}
	next := p.offset
	for _, update := range updates {
		batch.Entries = append(batch.Entries, p.entry(update))
		next = max(next, update.ID+1)
	}
	batch.PollOffset = &next
	if err := p.svc.intake.AddBatch(ctx, batch); err != nil {
		return fmt.Errorf("store fetched updates: %w", err)
	}
	p.offset, p.lastCame = next, p.svc.clock.Now()
	return nil
}

func (p *poller) entry(update telegram.Update) intake.Entry {
	envelope, err := telegram.Parser{}.Envelope(update.Raw)
	if err != nil { // it has a number, so it is kept whatever else it is
		envelope = platform.Envelope{Key: fmt.Sprint(update.ID), Event: "unknown"}
	}
	return intake.Entry{
		Campaign: p.campaign, Connection: p.connection, Account: p.account, Envelope: envelope, Body: update.Raw,
	}
}

// recovered ends an episode of trouble. A conflict is believed to be over only when
// as much time as one long fetch takes went by without: two programs that fetch by
// turns each look well for a moment.
func (p *poller) recovered(ctx context.Context) {
	p.failures = 0
	quiet := p.svc.clock.Now().Sub(p.began)
	if p.reported || p.contested && quiet >= p.svc.pollTimeout*9/10 {
		p.reported, p.contested = false, false
		p.ask(ctx, func(update *ent.ConnectionUpdate) { update.ClearWebhookProblem() })
	}
}

// failed reports the platform's trouble when it lasts. Ours, such as a database that
// does not answer, says nothing about the connection.
func (p *poller) failed(ctx context.Context, refusal *platform.Refusal) {
	p.failures++
	if p.failures >= troubleAfter && refusal != nil && !p.reported {
		p.reported = true
		p.report(ctx, codeOf(refusal).Platform(refusal.Code, refusal.Message))
	}
}

// report leaves the evidence for the check, which finds out whether it is a webhook
// that is in the way.
func (p *poller) report(ctx context.Context, trouble *causeway.Error) {
	problem := trouble.Problem
	problem.OccurredAt = p.svc.clock.Now()
	p.ask(ctx, func(update *ent.ConnectionUpdate) {
		update.SetWebhookStatus(entconnection.WebhookStatusError).SetWebhookProblem(&problem)
	})
}

// reported is what fetching left on a connection's row; nil if it left nothing. Checks
// write the same codes there only while the connection is not registered.
func reported(row *ent.Connection) *causeway.Problem {
	problem := row.WebhookProblem
	if problem == nil || row.Delivery != entconnection.DeliveryPolling || row.RegisteredAt == nil {
		return nil
	}
	switch {
	case problem.Reason == causeway.ReasonTakenByPoller,
		problem.Code == causeway.NetworkError,
		problem.Code == causeway.PlatformError:
		return problem
	default:
		return nil
	}
}

// backoff grows with failures; Telegram's own word goes before.
func (p *poller) backoff(refusal *platform.Refusal) time.Duration {
	if refusal != nil && refusal.Wait > 0 {
		return refusal.Wait
	}
	wait := min(time.Second<<min(p.failures-1, 10), maxBackoff)
	return wait/2 + rand.N(wait/2+1)
}

func (p *poller) ask(ctx context.Context, also func(*ent.ConnectionUpdate)) {
	if err := p.svc.lookSoon(ctx, p.connection, also); err != nil && ctx.Err() == nil {
		p.svc.log.Error("the state of fetching was not told", "connection", p.connection, "error", err)
	}
}
