package connection

import "causeway"

// ClaimDue is the claim's statement, for EXPLAIN.
var ClaimDue = claimDue

// Unanswered tells what an error of reaching the own address means.
func (s *Service) Unanswered(host string, err error) (*causeway.Error, string) {
	return s.unanswered(host, err)
}

// EndOverdue and ForgetLogins are the statements that end logins and forget them.
var (
	EndOverdue   = endOverdue
	ForgetLogins = forgetLogins
)

// Strangers counts the pages that are remembered as not connected.
func (s *Service) Strangers() int {
	s.strangers.mu.Lock()
	defer s.strangers.mu.Unlock()
	return len(s.strangers.known)
}
