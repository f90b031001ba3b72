package conversation

// EndQueued, HurryQueued and FailedSince are the statements, for EXPLAIN.
var (
	EndQueued   = endQueued
	HurryQueued = hurryQueued
	FailedSince = failedSince
)

// OnTheirWay are the messages that a mark reaches, for EXPLAIN.
var OnTheirWay = onTheirWay

// What routing asks, for EXPLAIN.
var (
	OldestIn = oldestIn
	OpenWith = openWith
)

// WaitingIn is the statement that looks where conversations wait.
const WaitingIn = waitingIn

// FileName is what is kept of a file's name.
var FileName = fileName

// TooLarge is what a file beyond a limit is told.
var TooLarge = tooLarge
