package messenger

import (
	"encoding/json"
	"slices"
	"strings"

	"causeway"
	"causeway/internal/platform"
)

// handover is what the events about who has a thread carry.
type handover struct {
	Previous  ident  `json:"previous_owner_app_id"`
	New       ident  `json:"new_owner_app_id"`
	Requested ident  `json:"requested_owner_app_id"`
	Metadata  opaque `json:"metadata"`
}

// parsePass reads that an app gave a thread away, or let go of it: then nobody has it.
func parsePass(ev event) ([]platform.Event, error) {
	var h handover
	if err := ev.decode(&h); err != nil {
		return nil, err
	}
	if h.New == "" {
		return ev.owned("", h.words("The thread was released")), nil
	}
	return ev.owned(h.New, h.words("The thread was passed to "+appWords(h.New))), nil
}

// parseTake reads that an app took a thread. The older form names only whom it was taken
// from, and so leaves the owner open.
func parseTake(ev event) ([]platform.Event, error) {
	var h handover
	if err := ev.decode(&h); err != nil {
		return nil, err
	}
	if h.New != "" {
		return ev.owned(h.New, h.words("The thread was taken by "+appWords(h.New))), nil
	}
	text := "The thread was taken"
	if h.Previous != "" {
		text += " from " + appWords(h.Previous)
	}
	return ev.ownerUnknown(h.words(text)), nil
}

// parseRequest reads that an app asks the owner for the thread.
func parseRequest(ev event) ([]platform.Event, error) {
	var h handover
	if err := ev.decode(&h); err != nil {
		return nil, err
	}
	return ev.ownerUnknown(h.words("The thread is asked for by " + appWords(h.Requested))), nil
}

// parseRoles reads which roles the page gave its apps in the older handover. It changes
// no thread's owner, and without a customer there is nobody to tell it of.
func parseRoles(ev event) ([]platform.Event, error) {
	var roles map[string]json.RawMessage
	if err := ev.decode(&roles); err != nil {
		return nil, err
	}
	if ev.chat == "" || len(roles) == 0 {
		return nil, nil
	}
	var said []string
	for app, raw := range roles {
		var names []opaque
		_ = json.Unmarshal(raw, &names)
		var words []string
		for _, name := range names {
			words = append(words, strings.ReplaceAll(short(string(name)), "_", " "))
		}
		said = append(said, joined(": ", appWords(ident(short(app))), joined(", ", words...)))
	}
	slices.Sort(said)
	return ev.ownerUnknown("The roles of the page's apps changed. " + joined("; ", said...)), nil
}

func (ev event) owned(app ident, text string) []platform.Event {
	owned := platform.ThreadOwned{Chat: ev.with(), ID: ev.id(""), App: string(app), Inbox: IsInbox(string(app)), Text: text, At: ev.time()}
	if owned.Inbox {
		owned.App = ""
	}
	return []platform.Event{owned}
}

func (ev event) ownerUnknown(text string) []platform.Event {
	return []platform.Event{platform.ThreadOwned{Chat: ev.with(), ID: ev.id(""), Unknown: true, Text: text, At: ev.time()}}
}

// words adds why, which the app that did it may say.
func (h *handover) words(what string) string { return joined(": ", what, quoted(h.Metadata)) }

func appWords(app ident) string {
	switch {
	case IsInbox(string(app)):
		return "the page's inbox"
	case app == "":
		return "an app"
	default:
		return "app " + string(app)
	}
}

// parsePolicy reads that Facebook warned the page, kept it from sending, or let it send
// again.
func parsePolicy(ev event) ([]platform.Event, error) {
	var p struct {
		Action opaque `json:"action"`
		Reason opaque `json:"reason"`
	}
	if err := ev.decode(&p); err != nil {
		return nil, err
	}
	notice := platform.AccountNoticed{At: ev.time()}
	switch p.Action {
	case "unblock":
	case "block", "warning":
		notice.Problem = &causeway.Problem{
			Code:            causeway.AccountRestricted,
			PlatformCode:    string(p.Action),
			PlatformMessage: short(string(p.Reason)),
			OccurredAt:      ev.time(),
		}
	default:
		return nil, nil
	}
	return []platform.Event{notice}, nil
}
