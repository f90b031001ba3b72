package connection

// ClaimDue is the claim's statement, for EXPLAIN.
var ClaimDue = claimDue
