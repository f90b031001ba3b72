package connection

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/ent/testreport"
	"causeway/ent/webhooklog"
	"causeway/internal/audit"
	"causeway/internal/platform"
	"causeway/internal/secret"
	"causeway/internal/store"
)

const (
	// testHeader carries what only this server can make, sealed with its own keys for the
	// connection: nobody else can have an update taken for a test event. Any server with
	// the same keys recognises it, whichever of them is reached.
	testHeader = "X-Causeway-Test"
	testWord   = "webhook test "
	// testLasts is how long a test event is recognised.
	testLasts = time.Minute
	// testWithin is how long a test event may take.
	testWithin = 10 * time.Second
)

// testEvent is an event as the platform would post it, of a kind that means nothing.
type testEvent struct {
	address string
	header  http.Header
	body    []byte
}

// rehearser is an examiner that can make a test event.
type rehearser interface {
	// testEvent is signed as the platform signs.
	testEvent() testEvent
}

// TestWebhook posts a test event to this server's own public address and answers the
// report of what became of it, and the log that it made; empty if it made none. A test
// that fails is a report that says so, not an error. It is for managers of the campaign;
// a disconnected connection answers NOT_CONNECTED. Test events count in no total and
// are no sign of life of the platform's.
func (s *Service) TestWebhook(ctx context.Context, id causeway.ID) (report, log causeway.ID, err error) {
	row, err := s.managed(ctx, id, "connectionId")
	if err != nil {
		return "", "", err
	}
	notConnected := causeway.Fail(causeway.NotConnected).At("connectionId")
	if row.DisconnectedAt != nil {
		return "", "", notConnected
	}
	e, err := s.examiner(row)
	if causeway.CodeOf(err) == causeway.NotConnected {
		return "", "", notConnected
	}
	if err != nil {
		return "", "", err
	}
	if log, err = s.rehearse(ctx, e); err != nil {
		return "", "", err
	}
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	report, err = s.recordRehearsal(ctx, e.seen())
	if ent.IsNotFound(err) || errors.Is(err, errStale) {
		return "", "", causeway.Fail(causeway.Conflict).At("connectionId").CanRetry().Because(err)
	}
	return report, log, err
}

// recordRehearsal stores the report. Trouble that is the connection's is left in its row
// for the checks, which try the address from then on until it works.
func (s *Service) recordRehearsal(ctx context.Context, i *inspection) (report causeway.ID, err error) {
	soon := false
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		row, err := lock(ctx, tx, i.of.id)
		if err != nil {
			return err
		}
		if row.DisconnectedAt != nil {
			return errStale
		}
		if report, err = i.report(ctx, tx, row, testreport.KindWebhook); err != nil {
			return err
		}
		update := tx.Connection.UpdateOne(row)
		known := unreachable(row)
		soon = i.problem != nil && (known || row.WebhookStatus == entconnection.WebhookStatusActive) || known && i.passed()
		if soon {
			update.SetNextCheckAt(s.clock.Now())
		}
		if soon && i.problem != nil {
			update.SetWebhookStatus(entconnection.WebhookStatusError).SetWebhookProblem(lasting(row.WebhookProblem, i.problem))
		}
		if err := update.Exec(ctx); err != nil {
			return err
		}
		s.tell(tx, row.CampaignID, row.ID)
		return audit.Record(tx, audit.Entry{
			Campaign: row.CampaignID, Action: "testWebhook", Subject: row.ID,
			Details: map[string]any{"passed": i.passed()}, At: s.clock.Now(),
		})
	})
	if err != nil {
		return "", err
	}
	s.changed(i.of.id)
	if soon {
		select {
		case s.checkNow <- struct{}{}:
		default:
		}
	}
	return report, nil
}

// unreachable tells whether a test event was the last not to come back.
func unreachable(row *ent.Connection) bool {
	return row.WebhookProblem != nil && row.WebhookProblem.Code == causeway.WebhookUnreachable
}

// rehearse posts a test event and notes as a check what became of it; log is what it
// made, empty if it made none. That the server cannot reach itself is the connection's
// trouble only where the platform has not delivered lately either: there are networks
// whose own public address cannot be reached from within.
func (s *Service) rehearse(ctx context.Context, e examiner) (log causeway.ID, err error) {
	i := e.seen()
	maker, ok := e.(rehearser)
	if s.publicURL == "" || !ok {
		i.skip("This server has no public address to which the platform delivers.", platform.CheckWebhookDelivery)
		return "", nil
	}
	token, key, err := s.testToken(i.of.id)
	if err != nil {
		return "", err
	}
	event := maker.testEvent()
	event.header.Set(testHeader, token)
	began := time.Now() // a duration of the machine's, whatever the clock says
	answer := s.post(ctx, event)
	if answer.problem == nil {
		if log, err = s.testLog(ctx, i, key); err != nil {
			return "", err
		}
		if log == "" {
			answer.problem = answersWrong(answer.host, answer.status)
			answer.seen = answer.host + " took the event, but it did not come back: another program answers there, or another installation of this one."
		}
	}
	took := time.Since(began)
	i.spent[platform.CheckWebhookDelivery] += took
	switch {
	case answer.problem == nil:
		seen := fmt.Sprintf("An event posted to %s came back in %d ms.", answer.host, took.Milliseconds())
		if !answer.certificateEnds.IsZero() {
			seen += " The certificate ends on " + answer.certificateEnds.UTC().Format(time.DateOnly) + "."
		}
		i.pass(platform.CheckWebhookDelivery, seen)
	case i.of.received.After(s.clock.Now().Add(-s.interval)):
		i.add(platform.CheckWebhookDelivery, platform.CheckFailed,
			answer.seen+" The platform itself delivered lately, so that this may be so only from within this network.",
			i.stamped(answer.problem))
	default:
		if i.hookStatus == entconnection.WebhookStatusActive {
			i.hookStatus, i.hookProblem = entconnection.WebhookStatusError, i.stamped(answer.problem)
		}
		i.fail(platform.CheckWebhookDelivery, answer.problem, answer.seen)
	}
	return log, nil
}

// testLog is the log that a test event made.
func (s *Service) testLog(ctx context.Context, i *inspection, key string) (causeway.ID, error) {
	id, err := s.store.Reader().WebhookLog.Query().
		Where(webhooklog.ConnectionID(i.of.id), webhooklog.AccountID(i.of.account), webhooklog.UpdateKey(key),
			webhooklog.Test(true), webhooklog.StatusNEQ(webhooklog.StatusDuplicate)).
		OnlyID(ctx)
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for the test event of %s: %w", i.of.id, err)
	}
	return id, nil
}

// testToken makes a test event's mark, and the key under which it is stored.
func (s *Service) testToken(id causeway.ID) (token, key string, err error) {
	nonce := secret.RandomToken(16)
	ends := strconv.FormatInt(s.clock.Now().Add(testLasts).Unix(), 10)
	mark, err := s.keys.Seal([]byte(testWord+ends+" "+nonce), id)
	if err != nil {
		return "", "", fmt.Errorf("mark a test event of %s: %w", id, err)
	}
	return base64.RawURLEncoding.EncodeToString(mark), "test:" + nonce, nil
}

// TestEvent tells whether a request to a connection's webhook is a test event of this
// server's own, and under which key it is to be stored.
func (s *Service) TestEvent(header http.Header, id causeway.ID) (key string, ok bool) {
	token := header.Get(testHeader)
	if token == "" {
		return "", false
	}
	mark, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	plain, err := s.keys.Open(mark, id)
	if err != nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(string(plain), testWord)
	if !ok {
		return "", false
	}
	ends, nonce, ok := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(ends, 10, 64)
	if !ok || err != nil || s.clock.Now().After(time.Unix(at, 0)) {
		return "", false
	}
	return "test:" + nonce, true
}
