package conversation

// EndQueued and HurryQueued are the statements, for EXPLAIN.
var (
	EndQueued   = endQueued
	HurryQueued = hurryQueued
)

// FileName is what is kept of a file's name.
var FileName = fileName
