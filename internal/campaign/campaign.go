// Package campaign keeps campaigns and who works in them. What happens in a campaign,
// its connections and conversations, has rooms of its own.
//
// Everything is asked in a viewer's name, and what a viewer may not see is not found.
// A Service holds no state and may be used by everybody at once; archiving and what
// would write into the campaign at the same moment are kept apart by the campaign's
// row (auth.Writable).
package campaign

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"causeway"
	"causeway/ent"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/store"
)

// Bounds of what people enter, in characters.
const (
	maxName        = 200
	maxDescription = 2000
)

// Config is what a Service needs.
type Config struct {
	Store *store.Store
	Bus   bus.Bus
	Desk  Desk           // none: nobody works here
	Clock causeway.Clock // none: causeway.System
}

// Desk is told who leaves a campaign, in the transaction that removes them and before it
// changes anything else: what they had goes to others.
type Desk interface {
	LeavesCampaign(tx *store.Tx, campaign, person causeway.ID) error
}

// Service is the room's door.
type Service struct {
	store *store.Store
	bus   bus.Bus
	desk  Desk
	clock causeway.Clock
}

// New is a Service. It runs nothing of its own.
func New(cfg Config) *Service {
	s := &Service{store: cfg.Store, bus: cfg.Bus, desk: cfg.Desk, clock: cfg.Clock}
	if s.clock == nil {
		s.clock = causeway.System{}
	}
	return s
}

// Create begins a campaign without members. Administrators alone may.
func (s *Service) Create(ctx context.Context, name string, description *string) (causeway.ID, error) {
	if err := auth.Admin(ctx); err != nil {
		return "", err
	}
	name, err := checkName(name)
	if err != nil {
		return "", err
	}
	description, err = checkDescription(description)
	if err != nil {
		return "", err
	}
	var id causeway.ID
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		camp, err := tx.Campaign.Create().
			SetName(name).
			SetNillableDescription(description).
			SetCreatedAt(s.clock.Now()).
			Save(ctx)
		if err != nil {
			return err
		}
		id = camp.ID
		return s.record(tx, "createCampaign", id, id, map[string]any{"name": name})
	})
	if err != nil {
		return "", fmt.Errorf("create a campaign: %w", err)
	}
	return id, nil
}

// Update is what is to change of a campaign. A cleared description is none; a name
// cannot be cleared.
type Update struct {
	ID          causeway.ID
	Name        causeway.Change[string]
	Description causeway.Change[string]
}

// Update changes a campaign's settings. Its managers may.
func (s *Service) Update(ctx context.Context, in Update) error {
	return s.manage(ctx, in.ID, []string{"input", "id"}, func(tx *store.Tx) error {
		camp, err := tx.Campaign.Get(ctx, in.ID)
		if err != nil {
			return err
		}
		update, changed := tx.Campaign.UpdateOne(camp), map[string]any{}
		if in.Name.Cleared() {
			return causeway.Invalid(causeway.ReasonCannotClear, "input", "name")
		}
		if in.Name.Given {
			name, err := checkName(*in.Name.Value)
			if err != nil {
				return err
			}
			update.SetName(name)
			if name != camp.Name {
				changed["name"] = audit.Changed{From: camp.Name, To: name}
			}
		}
		if in.Description.Given {
			description, err := checkDescription(in.Description.Value)
			if err != nil {
				return err
			}
			setDescription(update, description)
			if !reflect.DeepEqual(description, camp.Description) {
				changed["description"] = audit.Changed{From: camp.Description, To: description}
			}
		}
		if err := update.Exec(ctx); err != nil || len(changed) == 0 {
			return err
		}
		return s.record(tx, "updateCampaign", in.ID, in.ID, changed)
	})
}

// record says in the campaign's audit log what was done to a campaign or a person.
func (s *Service) record(tx *store.Tx, action string, campaign, subject causeway.ID, details map[string]any) error {
	entry := audit.Entry{Campaign: campaign, Action: action, Subject: subject, At: s.clock.Now()}
	if details != nil {
		entry.Details = details
	}
	return audit.Record(tx, entry)
}

func setDescription(update *ent.CampaignUpdateOne, description *string) {
	if description == nil {
		update.ClearDescription()
		return
	}
	update.SetDescription(*description)
}

// manage runs fn in a transaction for a manager of a campaign that is not archived,
// and is not until the end of it. path names the campaign's id in the input.
func (s *Service) manage(ctx context.Context, id causeway.ID, path []string, fn func(tx *store.Tx) error) error {
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Manager(ctx, tx.Client(), id, path...); err != nil {
			return err
		}
		if err := auth.Writable(ctx, tx, id, path...); err != nil {
			return err
		}
		return fn(tx)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", id, err)
	}
	return nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(store.Clean(name))
	if name == "" {
		return "", causeway.Invalid(causeway.ReasonRequired, "input", "name")
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", tooLong(maxName, "input", "name")
	}
	return name, nil
}

// checkDescription makes an empty description none.
func checkDescription(description *string) (*string, error) {
	if description == nil {
		return nil, nil
	}
	text := strings.TrimSpace(store.Clean(*description))
	if text == "" {
		return nil, nil
	}
	if utf8.RuneCountInString(text) > maxDescription {
		return nil, tooLong(maxDescription, "input", "description")
	}
	return &text, nil
}

func tooLong(most int, path ...string) error {
	return causeway.Invalid(causeway.ReasonTooLong, path...).With("max", strconv.Itoa(most))
}
