package conversation

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	entsql "entgo.io/ent/dialect/sql"
	"golang.org/x/text/unicode/norm"

	"causeway"
	"causeway/ent/conversation"
	"causeway/ent/predicate"
	"causeway/internal/store"
)

// The search's index is a table of words: which conversation holds which word, in
// how many of its texts. Words are folded here, before they are stored and before
// they are asked for, so that both databases answer alike and know nothing of
// languages.

const (
	searchTable = "search_words"
	// maxWord cuts a word, in characters: what is longer is no word that anybody types.
	maxWord = 64
	// maxSearchWords bounds the words of one question.
	maxSearchWords = 16
)

// wordChanges counts, per word, how many texts more or fewer hold it.
type wordChanges map[wordKey]int

type wordKey struct {
	campaign     causeway.ID
	word         string
	conversation causeway.ID
}

// add counts the words of a text in, or with -1 out.
func (w wordChanges) add(campaign, conversation causeway.ID, text string, by int) {
	for _, word := range indexWords(text) {
		w[wordKey{campaign, word, conversation}] += by
	}
}

// replace counts one text's words out and another's in.
func (w wordChanges) replace(campaign, conversation causeway.ID, from, to string) {
	w.add(campaign, conversation, from, -1)
	w.add(campaign, conversation, to, 1)
}

// write adds the changes to the table. The conversations are locked by tx, so that
// nobody else counts their words at the same time.
func (w wordChanges) write(tx *store.Tx) error {
	keys := make([]wordKey, 0, len(w))
	for k, by := range w {
		if by != 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b wordKey) int {
		return cmp.Or(cmp.Compare(a.campaign, b.campaign), cmp.Compare(a.word, b.word), cmp.Compare(a.conversation, b.conversation))
	})
	return inChunks(keys, func(part []wordKey) error {
		insert := tx.SQL().Insert(searchTable).Columns("campaign_id", "word", "conversation_id", "uses")
		for _, k := range part {
			insert.Values(k.campaign, k.word, k.conversation, w[k])
		}
		insert.OnConflict(
			entsql.ConflictColumns("campaign_id", "word", "conversation_id"),
			entsql.ResolveWith(func(u *entsql.UpdateSet) {
				u.Set("uses", entsql.ExprFunc(func(b *entsql.Builder) {
					b.Ident(searchTable).WriteString(".").Ident("uses").WriteString(" + ").
						Ident("excluded").WriteString(".").Ident("uses")
				}))
			}),
		)
		_, err := tx.Run(insert)
		return err
	})
}

// matching finds the conversations of a campaign in whose texts every word of the
// question occurs, the last one also as a beginning. A question without any word
// finds nothing.
func matching(campaign causeway.ID, question string) predicate.Conversation {
	words := questionWords(question)
	return func(s *entsql.Selector) {
		if len(words) == 0 {
			s.Where(entsql.False())
			return
		}
		for i, word := range words {
			t := entsql.Dialect(s.Dialect()).Table(searchTable)
			found := entsql.Dialect(s.Dialect()).Select(t.C("conversation_id")).From(t)
			conditions := []*entsql.Predicate{entsql.EQ(t.C("campaign_id"), campaign), entsql.GT(t.C("uses"), 0)}
			if word.beginning || i == len(words)-1 {
				conditions = append(conditions, entsql.GTE(t.C("word"), word.text), entsql.LT(t.C("word"), word.text+endOfWords))
			} else {
				conditions = append(conditions, entsql.EQ(t.C("word"), word.text))
			}
			s.Where(entsql.In(s.C(conversation.FieldID), found.Where(entsql.And(conditions...))))
		}
	}
}

// endOfWords sorts behind every character of a word, by bytes.
const endOfWords = "\U0010FFFF"

// indexWords are the distinct words under which a text is found. A run of Chinese or
// Japanese characters, which has no spaces, is indexed by its pairs and its last
// character: a pair begins at every character, so that one character is found as a
// beginning.
func indexWords(text string) []string {
	var words []string
	forEachRun(text, func(run []rune, paired bool) {
		if !paired {
			words = append(words, cut(run))
			return
		}
		for i := range len(run) - 1 {
			words = append(words, string(run[i:i+2]))
		}
		words = append(words, string(run[len(run)-1:]))
	})
	slices.Sort(words)
	return slices.Compact(words)
}

// questionWord is a word to look for. A single character of those that are indexed by
// pairs is the beginning of one, wherever it stands in the question.
type questionWord struct {
	text      string
	beginning bool
}

// questionWords are the words of a question, in its order: the last one may be a
// beginning.
func questionWords(text string) []questionWord {
	var words []questionWord
	forEachRun(text, func(run []rune, paired bool) {
		if !paired || len(run) == 1 {
			words = append(words, questionWord{text: cut(run), beginning: paired})
			return
		}
		for i := range len(run) - 1 {
			words = append(words, questionWord{text: string(run[i : i+2])})
		}
	})
	if len(words) > maxSearchWords {
		words = words[:maxSearchWords]
	}
	return words
}

func cut(run []rune) string { return string(run[:min(len(run), maxWord)]) }

// forEachRun folds a text and hands out its words: runs of letters and digits, and
// apart from them runs of characters that are written without spaces.
func forEachRun(text string, do func(run []rune, paired bool)) {
	var run []rune
	paired := false
	end := func() {
		if len(run) > 0 {
			do(run, paired)
		}
		run = nil
	}
	for _, r := range fold(text) {
		switch {
		case writtenTogether(r):
			if !paired {
				end()
			}
			paired = true
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mc, r):
			if paired {
				end()
			}
			paired = false
		default:
			end()
			continue
		}
		run = append(run, r)
	}
	end()
}

func writtenTogether(r rune) bool {
	const firstRadical = 0x2E80 // below it no script is written so
	return r >= firstRadical && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// fold makes texts comparable: compatibility forms are made plain, diacritics fall
// away, case does, and the Vietnamese đ is a d.
func fold(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range norm.NFKD.String(text) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		r = unicode.ToLower(r)
		switch r {
		case 'đ':
			r = 'd'
		case 'ς':
			r = 'σ'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
