package conversation

// EndQueued, HurryQueued and FailedSince are the statements, for EXPLAIN.
var (
	EndQueued   = endQueued
	HurryQueued = hurryQueued
	FailedSince = failedSince
)

// FileName is what is kept of a file's name.
var FileName = fileName
