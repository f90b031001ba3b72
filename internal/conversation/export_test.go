package conversation

// EndQueued and HurryQueued are the statements, for EXPLAIN.
var (
	EndQueued   = endQueued
	HurryQueued = hurryQueued
)
