package connection

// ClaimDue is the claim's statement, for EXPLAIN.
var ClaimDue = claimDue

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
