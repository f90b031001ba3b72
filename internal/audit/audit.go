// Package audit keeps who did what to which thing of a campaign. What an action means
// does not enter: the rooms that act say it, each in the transaction that acts, so that
// an entry exists exactly if the thing was done.
//
// The package holds no state and may be used by everybody at once.
package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"causeway"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// Entry is one thing that was done.
type Entry struct {
	Campaign causeway.ID
	// Action is the name of the mutation, or of what the server did by itself.
	Action string
	// Subject is what it was done to; empty if that has no id. It may be gone later.
	Subject causeway.ID
	// Details become a JSON object of what changed: a small map or struct made for the
	// purpose, never an input or a row as they are, which may hold a secret. Nil: nothing.
	Details any
	// At is when; zero: now, by the machine's clock.
	At time.Time
}

// Changed is how a detail tells a value that was another before.
type Changed struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// Record stores an entry in the transaction that does what it tells. Who did it is the
// viewer of the transaction's context; without one it was the server itself.
func Record(tx *store.Tx, e Entry) error {
	if e.At.IsZero() {
		e.At = causeway.System{}.Now()
	}
	create := tx.AuditEntry.Create().SetCampaignID(e.Campaign).SetAt(e.At).SetAction(e.Action)
	if viewer, err := auth.From(tx.Context()); err == nil && viewer.UserID != "" {
		create.SetActorID(viewer.UserID)
	}
	if e.Subject != "" {
		create.SetSubjectID(e.Subject)
	}
	if e.Details != nil {
		details, err := json.Marshal(e.Details)
		if err != nil {
			return fmt.Errorf("record %s: %w", e.Action, err)
		}
		if !bytes.HasPrefix(details, []byte("{")) {
			return fmt.Errorf("record %s: the details are no object", e.Action)
		}
		create.SetDetails(details)
	}
	if err := create.Exec(tx.Context()); err != nil {
		return fmt.Errorf("record %s of %s: %w", e.Action, e.Subject, err)
	}
	return nil
}
