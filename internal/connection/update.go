package connection

import (
	"context"
	"fmt"

	"causeway"
	"causeway/ent"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// Update is what is to change of a connection. What cannot be empty is not cleared.
type Update struct {
	ID       causeway.ID
	Name     causeway.Change[string]
	Enabled  causeway.Change[bool]
	Language causeway.Change[string]      // BCP 47
	Queue    causeway.Change[causeway.ID] // that what is new enters
	Assignee causeway.Change[causeway.ID] // who gets what is new; goes before Queue
}

// Update changes a connection of a campaign that the viewer manages; the platform is not
// asked. Switched off, it goes on recording and answering, but brings nothing to anybody.
// What was brought to somebody before stays with them. How it is already is no event.
func (s *Service) Update(ctx context.Context, in Update) error {
	if _, err := auth.From(ctx); err != nil {
		return err
	}
	in, err := in.checked()
	if err != nil {
		return err
	}
	row, err := s.managed(ctx, in.ID, "input", "id")
	if err != nil {
		return err
	}
	changed := false
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Manager(ctx, tx.Client(), row.CampaignID, "input", "id"); err != nil {
			return err
		}
		if err := auth.Writable(ctx, tx, row.CampaignID, "input", "id"); err != nil {
			return err
		}
		if err := checkEntry(tx, row.CampaignID, in.Queue.Value, in.Assignee.Value); err != nil {
			return err
		}
		row, err := lock(ctx, tx, in.ID)
		if err != nil {
			return fmt.Errorf("lock %s: %w", in.ID, err)
		}
		update := tx.Connection.UpdateOne(row)
		details := in.apply(row, update)
		if changed = len(details) > 0; !changed {
			return nil
		}
		if err := update.Exec(ctx); err != nil {
			return fmt.Errorf("update %s: %w", in.ID, err)
		}
		s.tell(tx, row.CampaignID, row.ID)
		return audit.Record(tx, audit.Entry{
			Campaign: row.CampaignID, Action: "updateConnection", Subject: row.ID, At: s.clock.Now(), Details: details,
		})
	})
	if err == nil && changed {
		s.changed(in.ID)
	}
	return err
}

// checked is the change in the form it is stored in.
func (in Update) checked() (Update, error) {
	if in.Name.Cleared() {
		return in, causeway.Invalid(causeway.ReasonCannotClear, "input", "name")
	}
	if in.Enabled.Cleared() {
		return in, causeway.Invalid(causeway.ReasonCannotClear, "input", "enabled")
	}
	if in.Name.Given {
		name, err := checkedName(in.Name.Value, "input", "name")
		if err != nil {
			return in, err
		}
		if name == nil {
			return in, causeway.Invalid(causeway.ReasonRequired, "input", "name")
		}
		in.Name.Value = name
	}
	tag, err := checkedLanguage(in.Language.Value, "input", "language")
	in.Language.Value = tag
	return in, err
}

// apply puts what is otherwise than before into the row's update, and tells it.
func (in Update) apply(row *ent.Connection, update *ent.ConnectionUpdateOne) map[string]any {
	details := map[string]any{}
	if in.Name.Given && *in.Name.Value != row.Name {
		update.SetName(*in.Name.Value)
		details["name"] = audit.Changed{From: row.Name, To: *in.Name.Value}
	}
	if in.Enabled.Given && *in.Enabled.Value != row.Enabled {
		update.SetEnabled(*in.Enabled.Value)
		details["enabled"] = audit.Changed{From: row.Enabled, To: *in.Enabled.Value}
	}
	changeNullable(details, "language", in.Language, row.Language, update.SetLanguage, update.ClearLanguage)
	changeNullable(details, "queue", in.Queue, row.QueueID, update.SetQueueID, update.ClearQueueID)
	changeNullable(details, "assignee", in.Assignee, row.AssigneeID, update.SetAssigneeID, update.ClearAssigneeID)
	return details
}

func changeNullable[T comparable, U any](
	details map[string]any, name string, to causeway.Change[T], was *T, set func(T) U, clear func() U,
) {
	if !to.Given || to.Value == nil && was == nil || to.Value != nil && was != nil && *to.Value == *was {
		return
	}
	if to.Value == nil {
		clear()
	} else {
		set(*to.Value)
	}
	details[name] = audit.Changed{From: was, To: to.Value}
}
