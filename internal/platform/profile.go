package platform

import (
	"time"

	"causeway"
)

// Profile is a page or bot as the platform describes it, read when it is connected
// and whenever it is checked.
type Profile struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Username      string    `json:"username,omitempty"` // without @
	AvatarRef     string    `json:"avatarRef,omitempty"`
	CanJoinGroups bool      `json:"canJoinGroups,omitempty"`
	PrivacyMode   bool      `json:"privacyMode,omitempty"`
	Commands      []Command `json:"commands,omitempty"`

	// Of pages.
	Category  string   `json:"category,omitempty"`
	Followers *int     `json:"followers,omitempty"`
	Published *bool    `json:"published,omitempty"`
	Tasks     []string `json:"tasks,omitempty"` // the person's on the page, such as MESSAGING
	// Unspoken: it is among a person's pages, but they did not choose it or may not speak
	// for it.
	Unspoken bool `json:"unspoken,omitempty"`
}

// Permission is a right that a token has or lacks.
type Permission struct {
	Name     string `json:"name"`
	Granted  bool   `json:"granted"`
	Required bool   `json:"required"`
}

// Command is a command that a bot offers its customers.
type Command struct {
	Command     string `json:"command"`
	Description string `json:"description"`
}

// Check is one question of a test report and its answer.
type Check struct {
	Name     CheckName         `json:"name"`
	Outcome  CheckOutcome      `json:"outcome"`
	Message  string            `json:"message"` // what was seen, or why it was skipped
	Problem  *causeway.Problem `json:"problem,omitempty"`
	Duration time.Duration     `json:"duration"`
}

// CheckName is a check of the contract's CheckName enum.
type CheckName string

// The checks this program makes.
const (
	CheckToken               CheckName = "TOKEN"
	CheckAccount             CheckName = "ACCOUNT"
	CheckPermissions         CheckName = "PERMISSIONS"
	CheckWebhookRegistration CheckName = "WEBHOOK_REGISTRATION"
	CheckWebhookDelivery     CheckName = "WEBHOOK_DELIVERY"
	CheckTestMessage         CheckName = "TEST_MESSAGE"
	CheckPrivacyMode         CheckName = "PRIVACY_MODE"
	CheckRouting             CheckName = "ROUTING"
	CheckSending             CheckName = "SENDING"
)

// CheckOutcome is how a check ended.
type CheckOutcome string

// The outcomes there are.
const (
	CheckPassed  CheckOutcome = "PASSED"
	CheckWarning CheckOutcome = "WARNING"
	CheckFailed  CheckOutcome = "FAILED"
	CheckSkipped CheckOutcome = "SKIPPED"
)
