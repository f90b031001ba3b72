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

// ForgetReports is the statement that makes room for reports.
var ForgetReports = forgetReports

// Strangers counts the pages that are remembered as not connected.
func (s *Service) Strangers() int {
	s.strangers.mu.Lock()
	defer s.strangers.mu.Unlock()
	return len(s.strangers.known)
}

// SelectSealed are the statements that find the secrets to be sealed anew, per table.
func SelectSealed(db *entsql.DialectBuilder) map[string]entsql.Querier {
	all := map[string]entsql.Querier{}
	for _, of := range secretColumns {
		all[of.table] = selectSealed(db, of.table, of.columns, "")
	}
	return all
}

// SecretColumns are the columns that a rotation seals anew, as table.column.
func SecretColumns() []string {
	var all []string
	for _, of := range secretColumns {
		for _, column := range of.columns {
			all = append(all, of.table+"."+column)
		}
	}
	return all
}
