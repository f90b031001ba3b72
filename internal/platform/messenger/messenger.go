// Package messenger speaks Facebook Messenger. Split cuts a webhook's body into the
// entries of its pages, Parser reads what an entry means in the words of package
// platform, Client makes the Graph API's calls for one page, and App those of a
// Facebook app: logging in, looking at tokens, registering the webhook. Our database
// does not enter, nor does any other platform. Parser holds nothing; App only what it
// was made with; Client also how much of its quota is used, behind a lock of its own.
// All are safe for several goroutines.
//
// Ids: a chat is the customer's page-scoped id (PSID), or "user_ref:" and the
// reference of a checkbox plugin for somebody who has no PSID yet; a message is
// Facebook's mid. What comes without a mid gets an id made of its kind, chat, time and
// content, so that a second delivery has the same one.
package messenger

import (
	"strings"
	"time"

	"causeway/internal/platform"
)

// InboxApp is the app as which people in Facebook's own page inbox write. Facebook's
// documentation also prints it with a digit less: see IsInbox.
const InboxApp = "263902037430900"

// IsInbox tells whether an app's id is that of the page's own inbox.
func IsInbox(app string) bool { return app == InboxApp || app == "26390203743090" }

// InboxURL is where people answer in the page's own inbox.
func InboxURL(page string) string {
	return "https://business.facebook.com/latest/inbox/messenger?asset_id=" + page
}

// Fields are the webhook fields that a page and its app subscribe to: those that Parse
// understands. response_feedback is left out, since it shows customers buttons.
func Fields() []string {
	return []string{
		"messages", "messaging_postbacks", "messaging_optins", "messaging_optouts", "messaging_referrals",
		"message_deliveries", "message_reads", "message_echoes", "message_edits", "message_reactions",
		"messaging_account_linking", "messaging_handovers", "standby", "messaging_policy_enforcement",
		"messaging_customer_information", "messaging_pre_checkouts", "messaging_feedback", "send_cart",
		"messaging_in_thread_lead_form_submit",
	}
}

// The longest text, and how long after the customer last wrote what may be sent
// (Messenger Platform policy: the standard window and the HUMAN_AGENT tag).
const (
	maxText        = 2000
	standardWindow = 24 * time.Hour
	humanWindow    = 7 * 24 * time.Hour
)

// Limits are what Messenger takes of a message. It says 2000 characters and not what
// it takes for one; UTF-16 code units are never fewer. A megabyte is taken for a
// million bytes, to be safe.
func Limits() platform.Limits {
	const megabyte = 1_000_000
	return platform.Limits{
		Text: maxText,
		Files: map[platform.AttachmentKind]int64{
			platform.Image: 8 * megabyte,
			platform.Video: 25 * megabyte,
			platform.Audio: 25 * megabyte,
			platform.Voice: 25 * megabyte,
			platform.File:  25 * megabyte,
		},
		As:       kindFor,
		Standard: standardWindow,
		Human:    humanWindow,
		Inbox:    InboxURL,
	}
}

// kindFor is the kind as which Messenger plays or shows a type; what it does not know
// is a file.
func kindFor(mimeType string) platform.AttachmentKind {
	base, _, _ := strings.Cut(strings.ToLower(mimeType), ";")
	switch strings.TrimSpace(base) {
	case "image/jpeg", "image/png", "image/gif":
		return platform.Image
	case "video/mp4", "video/quicktime", "video/webm", "video/x-msvideo":
		return platform.Video
	case "audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/m4a", "audio/aac", "audio/wav", "audio/x-wav", "audio/wave":
		return platform.Audio
	default:
		return platform.File
	}
}
