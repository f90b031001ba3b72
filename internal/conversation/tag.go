package conversation

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"causeway"
	"causeway/ent"
	"causeway/ent/conversation"
	"causeway/ent/tag"
	"causeway/ent/tagging"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// maxTagName bounds a tag's name, in characters.
const maxTagName = 50

// TagInput is what a tag is to be. A colour that is left out stays as it is, null is none.
type TagInput struct {
	ID       *causeway.ID // nil: a new one
	Campaign causeway.ID
	Name     string
	Color    causeway.Change[string] // #rrggbb
}

// SaveTag makes a tag of a campaign in which the viewer works, or changes one, and tells
// its id. The conversations that bear it are told of. Refusals name the input at fault:
// NOT_FOUND, CONFLICT for an archived campaign and for a name that another tag has,
// INVALID_INPUT.
func (s *Service) SaveTag(ctx context.Context, in TagInput) (causeway.ID, error) {
	var id causeway.ID
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := auth.Writable(ctx, tx, in.Campaign, "input", "campaignId"); err != nil {
			return err
		}
		in, err := in.checked()
		if err != nil {
			return err
		}
		if in.ID == nil {
			id, err = s.makeTag(tx, in)
			return err
		}
		id = *in.ID
		return s.changeTag(tx, in)
	})
	if store.IsTaken(err) {
		return "", causeway.FailWith(causeway.Conflict, causeway.ReasonNameTaken).At("input", "name").Because(err)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

var colorForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// checked is the input in the form it is stored in.
func (in TagInput) checked() (TagInput, error) {
	in.Name = strings.Join(strings.Fields(store.Clean(in.Name)), " ")
	if in.Name == "" {
		return in, causeway.Invalid(causeway.ReasonRequired, "input", "name")
	}
	if utf8.RuneCountInString(in.Name) > maxTagName {
		return in, causeway.Invalid(causeway.ReasonTooLong, "input", "name").With("max", strconv.Itoa(maxTagName))
	}
	if in.Color.Value == nil {
		return in, nil
	}
	color := strings.ToLower(strings.TrimSpace(*in.Color.Value))
	if !colorForm.MatchString(color) {
		return in, causeway.Invalid(causeway.ReasonBadColor, "input", "color")
	}
	in.Color = causeway.ChangeTo(color)
	return in, nil
}

func (s *Service) makeTag(tx *store.Tx, in TagInput) (causeway.ID, error) {
	id, now := causeway.NewID(causeway.PrefixTag), s.clock.Now()
	err := tx.Tag.Create().
		SetID(id).SetCampaignID(in.Campaign).SetName(in.Name).SetNillableColor(in.Color.Value).SetCreatedAt(now).
		Exec(tx.Context())
	if err != nil {
		return "", err
	}
	details := map[string]any{"name": in.Name}
	if in.Color.Value != nil {
		details["color"] = *in.Color.Value
	}
	return id, audit.Record(tx, audit.Entry{Campaign: in.Campaign, Action: "saveTag", Subject: id, Details: details, At: now})
}

func (s *Service) changeTag(tx *store.Tx, in TagInput) error {
	was, err := lockTag(tx, *in.ID, "input", "id")
	if err != nil {
		return err
	}
	if was.CampaignID != in.Campaign {
		return causeway.Missing("input", "id")
	}
	update, changed := tx.Tag.UpdateOne(was), map[string]any{}
	if in.Name != was.Name {
		update.SetName(in.Name)
		changed["name"] = audit.Changed{From: was.Name, To: in.Name}
	}
	if in.Color.Given && deref(in.Color.Value) != deref(was.Color) {
		changed["color"] = audit.Changed{From: was.Color, To: in.Color.Value}
		if in.Color.Value == nil {
			update.ClearColor()
		} else {
			update.SetColor(*in.Color.Value)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := update.Exec(tx.Context()); err != nil {
		return err
	}
	if err := s.tellTagged(tx, was); err != nil {
		return err
	}
	return audit.Record(tx, audit.Entry{Campaign: was.CampaignID, Action: "saveTag", Subject: was.ID, Details: changed, At: s.clock.Now()})
}

// DeleteTag takes a tag away, from all conversations too, which are told of. NOT_FOUND
// and CONFLICT name id.
func (s *Service) DeleteTag(ctx context.Context, id causeway.ID) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		was, err := lockTag(tx, id, "id")
		if err != nil {
			return err
		}
		if err := auth.Writable(ctx, tx, was.CampaignID, "id"); err != nil {
			return err
		}
		if err := s.tellTagged(tx, was); err != nil {
			return err
		}
		if err := tx.Tag.DeleteOne(was).Exec(ctx); err != nil { // its taggings go with it
			return fmt.Errorf("delete %s: %w", id, err)
		}
		details := map[string]any{"name": was.Name}
		return audit.Record(tx, audit.Entry{Campaign: was.CampaignID, Action: "deleteTag", Subject: id, Details: details, At: s.clock.Now()})
	})
}

// lockTag reads a tag that nobody puts on a conversation, changes or deletes until tx
// ends.
func lockTag(tx *store.Tx, id causeway.ID, path ...string) (*ent.Tag, error) {
	query := tx.Tag.Query().Where(tag.ID(id))
	if tx.Dialect() == dialect.Postgres {
		query.ForUpdate()
	}
	found, err := query.Only(tx.Context())
	if ent.IsNotFound(err) {
		return nil, causeway.Missing(path...)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	return found, nil
}

// tellTagged tells of every conversation that bears a tag, which is locked.
func (s *Service) tellTagged(tx *store.Tx, t *ent.Tag) error {
	bearers, err := tx.Tagging.Query().Where(tagging.TagID(t.ID)).Order(tagging.ByConversationID()).All(tx.Context())
	if err != nil {
		return fmt.Errorf("read what bears %s: %w", t.ID, err)
	}
	for _, b := range bearers {
		s.feed.Append(tx, changeOf(t.CampaignID, b.ConversationID))
	}
	return nil
}

// Tags are what is to be put on a conversation and taken off it. What is in both is put
// on it.
type Tags struct {
	Conversation causeway.ID
	Add, Remove  []causeway.ID
}

// Tag puts tags on a conversation and takes others off; it is no error if that is so
// already. Refusals name the input at fault: NOT_FOUND for a tag that is not of the
// conversation's campaign, CONFLICT for an archived one.
func (s *Service) Tag(ctx context.Context, in Tags) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		conv, err := s.writable(tx, in.Conversation, "input", "id")
		if err != nil {
			return err
		}
		known, err := holdTags(tx, conv.CampaignID, slices.Concat(in.Add, in.Remove))
		if err != nil {
			return err
		}
		for field, ids := range map[string][]causeway.ID{"addTagIds": in.Add, "removeTagIds": in.Remove} {
			if i := slices.IndexFunc(ids, func(id causeway.ID) bool { return known[id] == "" }); i >= 0 {
				return causeway.Missing("input", field, strconv.Itoa(i))
			}
		}
		return s.retag(tx, conv, in, known)
	})
}

// holdTags are the names of those of the tags that a campaign has. They stay until tx
// ends.
func holdTags(tx *store.Tx, campaign causeway.ID, ids []causeway.ID) (map[causeway.ID]string, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	names := map[causeway.ID]string{}
	err := inChunks(slices.Compact(ids), func(part []causeway.ID) error {
		query := tx.Tag.Query().Where(tag.IDIn(part...), tag.CampaignID(campaign)).Order(tag.ByID())
		if tx.Dialect() == dialect.Postgres {
			query.ForShare(entsql.WithLockClause("FOR KEY SHARE"))
		}
		tags, err := query.All(tx.Context())
		for _, t := range tags {
			names[t.ID] = t.Name
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read tags: %w", err)
	}
	return names, nil
}

// retag changes the tags of a conversation, which is locked, and tells of it if that
// changes anything.
func (s *Service) retag(tx *store.Tx, conv *ent.Conversation, in Tags, names map[causeway.ID]string) error {
	ctx := tx.Context()
	bears, err := tx.Tagging.Query().Where(tagging.ConversationID(conv.ID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read the tags of %s: %w", conv.ID, err)
	}
	has := map[causeway.ID]bool{}
	for _, b := range bears {
		has[b.TagID] = true
	}
	var added, removed []string
	for id, name := range names {
		switch put := slices.Contains(in.Add, id); {
		case put && !has[id]:
			err = tx.Tagging.Create().SetCampaignID(conv.CampaignID).SetConversationID(conv.ID).SetTagID(id).Exec(ctx)
			added = append(added, name)
		case !put && has[id]:
			_, err = tx.Tagging.Delete().Where(tagging.ConversationID(conv.ID), tagging.TagID(id)).Exec(ctx)
			removed = append(removed, name)
		}
		if err != nil {
			return fmt.Errorf("tag %s: %w", conv.ID, err)
		}
	}
	if len(added)+len(removed) == 0 {
		return nil
	}
	s.feed.Append(tx, changeOf(conv.CampaignID, conv.ID))
	details := map[string]any{}
	for word, names := range map[string][]string{"added": added, "removed": removed} {
		if len(names) > 0 {
			slices.Sort(names)
			details[word] = names
		}
	}
	return audit.Record(tx, audit.Entry{
		Campaign: conv.CampaignID, Action: "tagConversation", Subject: conv.ID, Details: details, At: s.clock.Now(),
	})
}

// ByName puts tags in the order in which people look for them.
func ByName(tags []*ent.Tag) {
	slices.SortFunc(tags, func(a, b *ent.Tag) int {
		return cmp.Or(cmp.Compare(fold(a.Name), fold(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// tagged finds the conversations that bear a tag.
func tagged(id causeway.ID) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		t := entsql.Dialect(s.Dialect()).Table(tagging.Table)
		bearers := entsql.Dialect(s.Dialect()).Select(t.C(tagging.FieldConversationID)).From(t).
			Where(entsql.EQ(t.C(tagging.FieldTagID), id))
		s.Where(entsql.In(s.C(conversation.FieldID), bearers))
	}
}
