package connection

import (
	"context"
	"fmt"
	"slices"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
)

// examiner asks one platform about one connection and notes in its inspection what it
// sees. It writes nothing to the database; record does.
type examiner interface {
	// examine asks everything of a connection that stands already. Trouble of the
	// platform's is noted; an error is ours.
	examine(ctx context.Context) error
	// rest asks what is left once the account was recognised while connecting, and
	// registers the webhook.
	rest(ctx context.Context) error
	// leave takes this connection's webhook away, and nobody else's.
	leave(ctx context.Context) error
	// seen is the inspection.
	seen() *inspection
}

// examiner is who looks at a connection that has a token; NOT_CONNECTED if it has none.
func (s *Service) examiner(row *ent.Connection) (examiner, error) {
	of, err := s.subject(row)
	if err != nil {
		return nil, err
	}
	switch row.Platform {
	case platform.Telegram:
		bot, err := s.botOf(row)
		if err != nil {
			return nil, err
		}
		return &botLook{inspection: s.inspectionOf(of), bot: bot}, nil
	case platform.Messenger:
		return s.pageLookOf(row, of)
	default:
		return nil, fmt.Errorf("look at %s: %s is not connected by this server", row.ID, row.Platform)
	}
}

// inspection is one look at a connection through the platform's eyes: the answers to
// its questions, and what follows from them.
type inspection struct {
	svc   *Service
	of    subject
	began time.Time
	// action is the mutation that asked for this look, for the audit log; empty: nobody
	// did. details are what the log says of it.
	action  string
	details map[string]any

	spent  map[platform.CheckName]time.Duration
	checks []platform.Check

	// What was seen; nil where nothing was learned of it.
	profile     *platform.Profile
	pending     *int                  // updates waiting at the platform
	subscribed  []string              // what the platform delivers
	permissions []platform.Permission // the token's
	expiry      *expiry               // the token's

	// What follows.
	problem       *causeway.Problem // what keeps it from working; nil: it works
	proven        bool              // one look is enough to believe it
	warnings      []causeway.Problem
	hookProblem   *causeway.Problem
	hookStatus    entconnection.WebhookStatus // empty: nothing was learned of it
	registered    bool                        // the platform took our registration now
	registerError error                       // it was asked to and did not
	replaced      bool                        // the connection has another account now
}

// expiry is when a token's rights end; nil is never.
type expiry struct {
	token, data *time.Time
}

func (i *inspection) seen() *inspection { return i }

// subject is what an inspection knows of the connection beforehand.
type subject struct {
	id          causeway.ID
	account     string
	key         string // of the webhook's address
	secret      string // of the webhook
	connecting  bool   // somebody asked for it now: it is registered in any case
	registered  bool   // by evidence of an earlier look, as this server wants it delivered
	since       time.Time
	received    time.Time // when an update last came in; zero if never
	due         *time.Time
	unreachable bool // the last test event did not come back
	// reported is trouble that fetching met, which no question to the platform shows.
	reported *causeway.Problem
}

// subject reads a row as inspections see it.
func (s *Service) subject(row *ent.Connection) (subject, error) {
	of := subject{
		id: row.ID, account: row.AccountID, key: row.WebhookKey,
		registered: row.RegisteredAt != nil && row.Delivery == s.delivery(row.Platform), due: row.NextCheckAt,
		unreachable: unreachable(row), reported: reported(row),
	}
	if row.RegisteredAt != nil {
		of.since = *row.RegisteredAt
	}
	if row.LastReceivedAt != nil {
		of.received = *row.LastReceivedAt
	}
	if sealed(row.SealedWebhookSecret) == nil {
		return of, nil
	}
	secret, err := s.keys.Open(sealed(row.SealedWebhookSecret), row.ID)
	if err != nil {
		return subject{}, fmt.Errorf("open the webhook secret of %s: %w", row.ID, err)
	}
	of.secret = string(secret)
	return of, nil
}

// inspect begins a look at an account of which nothing is stored yet.
func (s *Service) inspect() inspection { return s.inspectionOf(subject{}) }

func (s *Service) inspectionOf(of subject) inspection {
	return inspection{svc: s, of: of, began: s.clock.Now(), spent: map[platform.CheckName]time.Duration{}}
}

// timed adds what asking takes to a check's time.
func (i *inspection) timed(name platform.CheckName, ask func() error) error {
	began := i.svc.clock.Now()
	err := ask()
	i.spent[name] += i.svc.clock.Now().Sub(began)
	return err
}

func (i *inspection) pass(name platform.CheckName, seen string) {
	i.add(name, platform.CheckPassed, seen, nil)
}

func (i *inspection) warn(name platform.CheckName, problem *causeway.Error, seen string) {
	i.add(name, platform.CheckWarning, seen, i.stamped(problem))
}

// fail adds a failed check. The first one that failed says what the trouble is, but
// trouble that may pass gives way to what was seen for certain.
func (i *inspection) fail(name platform.CheckName, problem *causeway.Error, seen string) {
	stamped := i.stamped(problem)
	i.add(name, platform.CheckFailed, seen, stamped)
	if i.problem == nil || i.problem.Retryable && !stamped.Retryable {
		i.problem = stamped
	}
}

// doubt adds to what a check saw. One that passed warns from now on.
func (i *inspection) doubt(name platform.CheckName, problem *causeway.Error, seen string) {
	at := slices.IndexFunc(i.checks, func(c platform.Check) bool { return c.Name == name })
	if at < 0 {
		return
	}
	check := &i.checks[at]
	check.Message += " " + seen
	if check.Outcome == platform.CheckPassed {
		check.Outcome, check.Problem = platform.CheckWarning, i.stamped(problem)
	}
}

func (i *inspection) skip(why string, names ...platform.CheckName) {
	for _, name := range names {
		i.add(name, platform.CheckSkipped, why, nil)
	}
}

func (i *inspection) add(name platform.CheckName, outcome platform.CheckOutcome, seen string, problem *causeway.Problem) {
	i.checks = append(i.checks, platform.Check{
		Name: name, Outcome: outcome, Message: seen, Problem: problem, Duration: i.spent[name],
	})
}

// stamped is the problem as it is stored.
func (i *inspection) stamped(err *causeway.Error) *causeway.Problem {
	problem := err.Problem
	problem.OccurredAt = i.svc.clock.Now()
	return &problem
}

// passed tells whether no check failed.
func (i *inspection) passed() bool {
	for _, check := range i.checks {
		if check.Outcome == platform.CheckFailed {
			return false
		}
	}
	return true
}

// inactive tells whether what was found ends the platform's trust at once: somebody
// has to authorise the connection anew.
func (i *inspection) inactive() bool {
	if i.problem == nil {
		return false
	}
	switch i.problem.Code {
	case causeway.TokenExpired, causeway.TokenRevoked, causeway.AccountDeleted,
		causeway.PageRoleInsufficient, causeway.PermissionsMissing:
		return true
	default:
		return false
	}
}

// invalid tells whether the platform refused the token.
func (i *inspection) invalid() bool {
	return i.inactive() && i.problem.Code != causeway.PermissionsMissing
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
