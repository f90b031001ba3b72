package connection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/feedevent"
	"causeway/ent/testreport"
	"causeway/internal/audit"
	"causeway/internal/feed"
	"causeway/internal/platform"
	"causeway/internal/store"
)

// errStale is what was found out about a connection that has another token by now, or
// is gone: it says nothing about what stands there now.
var errStale = errors.New("the connection was changed while it was looked at")

// reportsKept is how many reports of a connection are kept, and reportsBatch how many
// older ones go with each that is added.
const (
	reportsKept  = 100
	reportsBatch = 20
)

// firstRepeat is when a check that failed is made again; each further failure doubles
// it, up to the usual interval.
const firstRepeat = time.Minute

// record stores what an inspection found: status, account, webhook, a report and, if
// something is otherwise than before, an event. expect is the sealed token that the
// row must still have, else it answers errStale and stores nothing. also adds to the
// row's update. A HEALTH report that says the same as the last one is not stored, and
// the id is empty.
func (s *Service) record(
	ctx context.Context, i *inspection, kind testreport.Kind, expect []byte, also func(*ent.ConnectionUpdateOne) error,
) (causeway.ID, error) {
	var reportID causeway.ID
	var news bool
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		row, err := lock(ctx, tx, i.of.id)
		if err != nil {
			return err
		}
		if row.DisconnectedAt != nil || sealed(row.SealedToken) == nil || !bytes.Equal(sealed(row.SealedToken), expect) {
			return errStale
		}
		update := tx.Connection.UpdateOne(row)
		news = i.apply(row, update) || also != nil
		if also != nil {
			if err := also(update); err != nil {
				return err
			}
		}
		if err := update.Exec(ctx); err != nil {
			return err
		}
		if reportID, err = i.report(ctx, tx, row, kind); err != nil {
			return err
		}
		if i.replaced && s.outbox != nil { // what waits was for the account that it had before
			if err := s.outbox.Disconnected(tx, row.ID); err != nil {
				return err
			}
		}
		if status, _, failed := i.status(row); failed == 0 && s.outbox != nil &&
			(row.FailedChecks > 0 || row.Status != status) {
			if err := s.outbox.Recovered(tx, row.ID); err != nil {
				return err
			}
		}
		if err := s.notice(tx, row, i); err != nil {
			return err
		}
		if news {
			s.tell(tx, row.CampaignID, row.ID)
		}
		if i.action == "" {
			return nil
		}
		return audit.Record(tx, audit.Entry{
			Campaign: row.CampaignID, Action: i.action, Subject: row.ID, Details: i.details, At: s.clock.Now(),
		})
	})
	if ent.IsNotFound(err) || errors.Is(err, errStale) {
		return "", errStale
	}
	if err != nil {
		return "", fmt.Errorf("record the state of %s: %w", i.of.id, err)
	}
	if news || i.registered {
		s.changed(i.of.id)
	}
	s.renewPicture(i.of.id)
	return reportID, nil
}

// lock reads a connection that nobody else changes until the transaction ends. On
// SQLite the transaction itself is the lock.
func lock(ctx context.Context, tx *store.Tx, id causeway.ID) (*ent.Connection, error) {
	query := tx.Connection.Query().Where(entconnection.ID(id))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate(entsql.WithLockClause("FOR NO KEY UPDATE"))
	}
	return query.Only(ctx)
}

// tell appends the event that a connection is not as it was.
func (s *Service) tell(tx *store.Tx, campaign, id causeway.ID) {
	s.feed.Append(tx, feed.Event{
		Campaign: campaign, At: s.clock.Now(), Kind: feedevent.KindConnection, Connection: id,
	})
}

// apply puts what was found into the row's update, and tells whether anybody who
// watches the connection would see a difference.
func (i *inspection) apply(row *ent.Connection, update *ent.ConnectionUpdateOne) bool {
	now := i.svc.clock.Now()
	status, problem, failed := i.status(row)
	news := status != row.Status || !same(problem, row.Problem)
	update.SetStatus(status).SetFailedChecks(failed).ClearLeasedUntil()
	setProblem(update, problem)
	if i.of.connecting || sameTime(i.of.due, row.NextCheckAt) { // else somebody asked for another look meanwhile
		update.SetNextCheckAt(i.nextLook(row, now, failed))
	}

	news = i.applyWebhook(row, update, now) || news
	if i.invalid() {
		update.SetTokenValid(false)
	}
	if i.permissions != nil {
		news = news || !slices.Equal(i.permissions, row.Permissions)
		update.SetPermissions(i.permissions)
	}
	if i.expiry != nil {
		news = i.applyExpiry(row, update) || news
	}
	if i.profile == nil {
		return news
	}
	profile := i.known(row.Profile)
	warnings := since(row.Warnings, i.warnings)
	if !i.of.connecting {
		warnings = append(warnings, stillTold(row.Warnings, warnings, now)...)
	}
	news = news || !slices.EqualFunc(warnings, row.Warnings, func(a, b causeway.Problem) bool { return same(&a, &b) }) ||
		!reflect.DeepEqual(profile, row.Profile)
	update.SetProfile(profile).SetWarnings(warnings).SetTokenValid(!i.invalid()).SetLastSyncedAt(now)
	if profile.AvatarRef == "" {
		update.ClearAvatarRef().ClearAvatarHash().ClearAvatarType()
	}
	if row.Name == row.Profile.Name {
		update.SetName(profile.Name)
	}
	return news
}

// applyExpiry notes when the token's rights end.
func (i *inspection) applyExpiry(row *ent.Connection, update *ent.ConnectionUpdateOne) (news bool) {
	if at := i.expiry.token; at != nil {
		update.SetTokenExpiresAt(causeway.Stamp(*at))
		update.SetTokenRefreshAt(i.svc.refreshAt(row, *at, i.of.connecting))
	} else {
		update.ClearTokenExpiresAt().ClearTokenRefreshAt()
	}
	if at := i.expiry.data; at != nil {
		update.SetDataAccessExpiresAt(causeway.Stamp(*at))
	} else {
		update.ClearDataAccessExpiresAt()
	}
	return !sameTime(stamped(i.expiry.token), row.TokenExpiresAt) || !sameTime(stamped(i.expiry.data), row.DataAccessExpiresAt)
}

// stamped is a time as the database gives it back.
func stamped(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	return new(causeway.Stamp(*at))
}

// status follows from what was found. Trouble that one look does not prove changes
// nothing before the second look in a row; a token once refused stays so until the
// platform takes it again.
func (i *inspection) status(row *ent.Connection) (entconnection.Status, *causeway.Problem, int) {
	failed := row.FailedChecks + 1
	was, why := row.Status, row.Problem
	if i.of.connecting {
		failed, was, why = 1, entconnection.StatusActive, nil
	}
	unregistered := i.of.connecting && i.registerError != nil
	switch {
	case i.problem == nil:
		return entconnection.StatusActive, nil, 0
	case i.inactive():
		return entconnection.StatusInactive, lasting(row.Problem, i.problem), failed
	case was == entconnection.StatusInactive && i.profile == nil:
		return was, why, failed
	case i.proven || unregistered || failed > 1:
		return entconnection.StatusError, lasting(row.Problem, i.problem), failed
	default:
		return was, why, failed
	}
}

func (i *inspection) applyWebhook(row *ent.Connection, update *ent.ConnectionUpdateOne, now time.Time) bool {
	update.SetDelivery(i.svc.delivery(row.Platform))
	if i.registered {
		update.SetRegisteredAt(now)
	}
	if i.registerError != nil {
		update.ClearRegisteredAt() // the next check registers again
	}
	if i.pending != nil {
		update.SetPlatformPending(*i.pending)
	}
	if i.hookStatus == "" || reported(row) != nil && i.of.reported == nil && !i.registered {
		return false // nothing was learned, or fetching met trouble since then
	}
	problem := lasting(row.WebhookProblem, i.hookProblem)
	update.SetWebhookStatus(i.hookStatus)
	if problem == nil {
		update.ClearWebhookProblem()
	} else {
		update.SetWebhookProblem(problem)
	}
	switch {
	case i.hookStatus == entconnection.WebhookStatusInactive:
		update.ClearSubscribedFields()
	case i.subscribed != nil:
		update.SetSubscribedFields(i.subscribed)
	}
	return i.hookStatus != row.WebhookStatus || !same(problem, row.WebhookProblem)
}

// known is the account as it was described now, with what could not be read now as it
// was before.
func (i *inspection) known(before platform.Profile) platform.Profile {
	profile := *i.profile
	if profile.Tasks == nil {
		profile.Tasks = before.Tasks // only a login tells them
	}
	for _, check := range i.checks {
		if check.Name == platform.CheckAccount && check.Outcome != platform.CheckPassed {
			profile.Commands, profile.AvatarRef = before.Commands, before.AvatarRef
		}
	}
	return profile
}

// report stores what was asked and answered.
func (i *inspection) report(ctx context.Context, tx *store.Tx, row *ent.Connection, kind testreport.Kind) (causeway.ID, error) {
	if kind == testreport.KindHealth {
		last, err := tx.TestReport.Query().
			Where(testreport.ConnectionID(row.ID)).
			Order(testreport.ByStartedAt(entsql.OrderDesc()), testreport.ByID(entsql.OrderDesc())).
			First(ctx)
		if err != nil && !ent.IsNotFound(err) {
			return "", err
		}
		if err == nil && slices.EqualFunc(last.Checks, i.checks, sameAnswer) {
			return "", nil
		}
	}
	if _, err := tx.Run(forgetReports(tx.SQL(), row.ID)); err != nil {
		return "", fmt.Errorf("forget old reports of %s: %w", row.ID, err)
	}
	id := causeway.NewID(causeway.PrefixTestReport)
	return id, tx.TestReport.Create().
		SetID(id).
		SetCampaignID(row.CampaignID).
		SetConnectionID(row.ID).
		SetKind(kind).
		SetPassed(i.passed()).
		SetChecks(i.checks).
		SetStartedAt(i.began).
		SetDurationMs(float64(i.svc.clock.Now().Sub(i.began)) / float64(time.Millisecond)).
		Exec(ctx)
}

// forgetReports is the statement that makes room for one more report of a connection: the
// newest reportsKept stay, and of what is older a few go. It runs along the index of the
// connection's reports.
func forgetReports(db *entsql.DialectBuilder, connection causeway.ID) entsql.Querier {
	old := db.Select(testreport.FieldID).
		From(entsql.Table(testreport.Table)).
		Where(entsql.EQ(testreport.FieldConnectionID, connection)).
		OrderBy(entsql.Desc(testreport.FieldStartedAt), entsql.Desc(testreport.FieldID)).
		Offset(reportsKept - 1).
		Limit(reportsBatch)
	return db.Delete(testreport.Table).Where(entsql.In(testreport.FieldID, old))
}

func sameAnswer(a, b platform.Check) bool {
	return a.Name == b.Name && a.Outcome == b.Outcome && same(a.Problem, b.Problem)
}

// nextLook is when to look again: in time to renew the token, too.
func (i *inspection) nextLook(row *ent.Connection, now time.Time, failed int) time.Time {
	at := i.svc.nextCheck(now, failed)
	if i.expiry == nil || i.expiry.token == nil {
		return at
	}
	if renewal := i.svc.refreshAt(row, *i.expiry.token, i.of.connecting); renewal.Before(at) {
		return renewal
	}
	return at
}

// nextCheck is when to look again, spread so that connections made together are not
// asked about together for ever.
func (s *Service) nextCheck(now time.Time, failed int) time.Time {
	in := s.interval
	if failed > 0 {
		in = min(in, firstRepeat<<min(failed-1, 16))
	}
	return causeway.Stamp(now.Add(in - rand.N(in/10+1)))
}

// lasting is the problem as it stands now; one that goes on keeps when it began.
func lasting(was, now *causeway.Problem) *causeway.Problem {
	if was == nil || now == nil || !same(was, now) {
		return now
	}
	lasts := *now
	lasts.OccurredAt = was.OccurredAt
	return &lasts
}

// since is lasting for warnings.
func since(was, now []causeway.Problem) []causeway.Problem {
	var all []causeway.Problem
	for _, warning := range now {
		at := slices.IndexFunc(was, func(w causeway.Problem) bool { return same(&w, &warning) })
		if at >= 0 {
			warning.OccurredAt = was[at].OccurredAt
		}
		all = append(all, warning)
	}
	return all
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

func setProblem(update *ent.ConnectionUpdateOne, problem *causeway.Problem) {
	if problem == nil {
		update.ClearProblem()
		return
	}
	update.SetProblem(problem)
}
