package connection

import "causeway"

// ClaimDue is the claim's statement, for EXPLAIN.
var ClaimDue = claimDue

// Unanswered tells what an error of reaching the own address means.
func (s *Service) Unanswered(host string, err error) (*causeway.Error, string) {
	return s.unanswered(host, err)
}
