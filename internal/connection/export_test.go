package connection

import (
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/internal/platform"
)

// ClaimDue is the claim's statement, for EXPLAIN, while a platform is down.
func ClaimDue(db *entsql.DialectBuilder, now time.Time) entsql.Querier {
	return claimDue(db, now, checksAtOnce, without([]platform.Name{platform.Messenger}))
}

// Unanswered tells what an error of reaching the own address means.
func (s *Service) Unanswered(host string, err error) (*causeway.Error, string) {
	return s.unanswered(host, err)
}

// EndOverdue and ForgetLogins are the statements that end logins and forget them.
var (
	EndOverdue   = endOverdue
	ForgetLogins = forgetLogins
)

// OldNotices is the statement that forgets notices.
var OldNotices = oldNotices

// ForgetReports is the statement that makes room for reports.
var ForgetReports = forgetReports

// Strangers counts the pages that are remembered as not connected.
func (s *Service) Strangers() int {
	s.strangers.mu.Lock()
	defer s.strangers.mu.Unlock()
	return len(s.strangers.known)
}
