package conversation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	"golang.org/x/text/language"

	"causeway"
	"causeway/ent"
	"causeway/ent/quickreply"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/store"
)

// Bounds of a quick reply, in characters.
const (
	maxShortcut   = 50
	maxQuickReply = 4096
)

// QuickReplyInput is what a quick reply is to be. A language that is left out stays as
// it is; null and none are every language.
type QuickReplyInput struct {
	ID       *causeway.ID // nil: a new one
	Campaign causeway.ID
	Shortcut string                  // one word; slashes before it are not part of it
	Language causeway.Change[string] // BCP 47
	Text     string
}

// SaveQuickReply makes a quick reply of a campaign in which the viewer works, or changes
// one, and tells its id. Refusals name the input at fault: NOT_FOUND, CONFLICT for an
// archived campaign and for a shortcut that another has in the same language,
// INVALID_INPUT.
func (s *Service) SaveQuickReply(ctx context.Context, in QuickReplyInput) (causeway.ID, error) {
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
			id, err = s.makeQuickReply(tx, in)
			return err
		}
		id = *in.ID
		return s.changeQuickReply(tx, in)
	})
	if store.IsTaken(err) {
		return "", causeway.FailWith(causeway.Conflict, causeway.ReasonShortcutTaken).At("input", "shortcut").Because(err)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// checked is the input in the form it is stored in.
func (in QuickReplyInput) checked() (QuickReplyInput, error) {
	in.Shortcut = shortcut(in.Shortcut)
	if in.Shortcut == "" {
		return in, causeway.Invalid(causeway.ReasonRequired, "input", "shortcut")
	}
	if strings.ContainsFunc(in.Shortcut, unicode.IsSpace) {
		return in, causeway.Invalid(causeway.ReasonBadShortcut, "input", "shortcut")
	}
	if utf8.RuneCountInString(in.Shortcut) > maxShortcut {
		return in, causeway.Invalid(causeway.ReasonTooLong, "input", "shortcut").With("max", strconv.Itoa(maxShortcut))
	}
	tag, err := languageTag(deref(in.Language.Value))
	if err != nil {
		return in, causeway.Invalid(causeway.ReasonBadLanguage, "input", "language")
	}
	in.Language.Value = &tag
	in.Text, err = checkText(in.Text, maxQuickReply)
	return in, err
}

// shortcut is a shortcut as it is stored, and looked for.
func shortcut(typed string) string {
	return strings.ToLower(strings.TrimLeft(strings.TrimSpace(store.Clean(typed)), "/"))
}

// languageTag is a language in its one form; empty for none.
func languageTag(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", nil
	}
	tag, err := language.Parse(name)
	if err != nil {
		return "", err
	}
	return tag.String(), nil
}

func (s *Service) makeQuickReply(tx *store.Tx, in QuickReplyInput) (causeway.ID, error) {
	id, now := causeway.NewID(causeway.PrefixQuickReply), s.clock.Now()
	err := tx.QuickReply.Create().
		SetID(id).SetCampaignID(in.Campaign).SetShortcut(in.Shortcut).SetLanguage(*in.Language.Value).SetText(in.Text).SetCreatedAt(now).
		Exec(tx.Context())
	if err != nil {
		return "", err
	}
	details := map[string]any{"shortcut": in.Shortcut}
	if *in.Language.Value != "" {
		details["language"] = *in.Language.Value
	}
	return id, audit.Record(tx, audit.Entry{Campaign: in.Campaign, Action: "saveQuickReply", Subject: id, Details: details, At: now})
}

func (s *Service) changeQuickReply(tx *store.Tx, in QuickReplyInput) error {
	was, err := lockQuickReply(tx, *in.ID, "input", "id")
	if err != nil {
		return err
	}
	if was.CampaignID != in.Campaign {
		return causeway.Missing("input", "id")
	}
	update, changed := tx.QuickReply.UpdateOne(was), map[string]any{}
	if in.Shortcut != was.Shortcut {
		update.SetShortcut(in.Shortcut)
		changed["shortcut"] = audit.Changed{From: was.Shortcut, To: in.Shortcut}
	}
	if in.Language.Given && *in.Language.Value != was.Language {
		update.SetLanguage(*in.Language.Value)
		changed["language"] = audit.Changed{From: was.Language, To: *in.Language.Value}
	}
	if in.Text != was.Text {
		update.SetText(in.Text)
		changed["text"] = "changed"
	}
	if len(changed) == 0 {
		return nil
	}
	if err := update.Exec(tx.Context()); err != nil {
		return err
	}
	return audit.Record(tx, audit.Entry{
		Campaign: was.CampaignID, Action: "saveQuickReply", Subject: was.ID, Details: changed, At: s.clock.Now(),
	})
}

// DeleteQuickReply takes a quick reply away. NOT_FOUND and CONFLICT name id.
func (s *Service) DeleteQuickReply(ctx context.Context, id causeway.ID) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		was, err := lockQuickReply(tx, id, "id")
		if err != nil {
			return err
		}
		if err := auth.Writable(ctx, tx, was.CampaignID, "id"); err != nil {
			return err
		}
		if err := tx.QuickReply.DeleteOne(was).Exec(ctx); err != nil {
			return fmt.Errorf("delete %s: %w", id, err)
		}
		details := map[string]any{"shortcut": was.Shortcut}
		return audit.Record(tx, audit.Entry{
			Campaign: was.CampaignID, Action: "deleteQuickReply", Subject: id, Details: details, At: s.clock.Now(),
		})
	})
}

func lockQuickReply(tx *store.Tx, id causeway.ID, path ...string) (*ent.QuickReply, error) {
	query := tx.QuickReply.Query().Where(quickreply.ID(id))
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

// Choose picks of a campaign's quick replies those that an agent may want: of a language
// those of that language and of the wider ones ("vi" for "vi-VN"), and those of every
// language; of a search those that hold it in the shortcut or the text, case and
// diacritics apart. Nil asks nothing. What begins with the search comes first, then what
// holds it in the shortcut; else they are in the order of their shortcuts, the narrower
// language first.
func Choose(all []*ent.QuickReply, language, search *string) []*ent.QuickReply {
	var chosen []*ent.QuickReply
	ranks := map[causeway.ID]int{}
	for _, q := range all {
		rank, found := rankOf(q, search)
		if !found || language != nil && !speaks(q.Language, *language) {
			continue
		}
		ranks[q.ID] = rank
		chosen = append(chosen, q)
	}
	slices.SortFunc(chosen, func(a, b *ent.QuickReply) int {
		return cmp.Or(
			cmp.Compare(ranks[a.ID], ranks[b.ID]), cmp.Compare(a.Shortcut, b.Shortcut),
			cmp.Compare(len(b.Language), len(a.Language)), cmp.Compare(a.Language, b.Language),
		)
	})
	return chosen
}

// speaks tells whether what is written in one language is understood by who speaks
// another.
func speaks(written, spoken string) bool {
	if written == "" {
		return true
	}
	tag, err := languageTag(spoken)
	return err == nil && (tag == written || strings.HasPrefix(tag, written+"-"))
}

// rankOf is how well a quick reply answers a search, the best first.
func rankOf(q *ent.QuickReply, search *string) (rank int, found bool) {
	if search == nil {
		return 0, true
	}
	sought, short := fold(shortcut(*search)), fold(q.Shortcut)
	switch {
	case strings.HasPrefix(short, sought):
		return 0, true
	case strings.Contains(short, sought):
		return 1, true
	default:
		return 2, strings.Contains(fold(q.Text), sought)
	}
}
