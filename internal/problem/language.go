package problem

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// languages are the languages there are, the default first. It and the matcher made
// of it are tables that never change; building the matcher is too dear for each request.
var (
	languages = []string{"en", "vi", "ru", "zh-Hant", "zh-Hans"}
	matcher   = language.NewMatcher([]language.Tag{
		language.English, language.Vietnamese, language.Russian,
		language.TraditionalChinese, language.SimplifiedChinese,
	})
)

// longestList is how many bytes of an Accept-Language value are worth reading;
// browsers send less than 200, and a longer one is no list of languages.
const longestList = 1024

// Supported are the languages of the catalogue as BCP 47 tags, the default first.
func Supported() []string { return slices.Clone(languages) }

// Match answers the supported language that suits a reader best. Each argument is
// the value of an Accept-Language header, or one language tag; one that names nothing
// we speak leaves the choice to the next, and after the last it is "en".
//
// Within a list the weights (q) decide, then the order. A language counts only if it
// is surely readable for who asked for another (zh-TW and zh-HK are zh-Hant, zh and
// zh-CN are zh-Hans; Ukrainian is not Russian). Entries that cannot be understood are
// passed over, and so is a value of more than 1024 bytes.
func Match(acceptLanguage ...string) string {
	for _, list := range acceptLanguage {
		for _, wish := range wishes(list) {
			if _, i, confidence := matcher.Match(wish.tag); confidence >= language.High {
				return languages[i]
			}
		}
	}
	return languages[0]
}

// Choose answers the language to tell a user's problems in: what the request asks
// for, else the language the user has set, else "en".
func Choose(acceptLanguage, userLanguage string) string {
	return Match(acceptLanguage, userLanguage)
}

type wish struct {
	tag    language.Tag
	weight float32
}

// wishes are the languages of an Accept-Language value, the dearest first. The
// entries are parsed one by one, since a single unknown language would otherwise
// cost the reader all the others.
func wishes(list string) []wish {
	if len(list) > longestList {
		return nil
	}
	var all []wish
	for entry := range strings.SplitSeq(list, ",") {
		tags, weights, err := language.ParseAcceptLanguage(entry)
		if err != nil || len(tags) == 0 { // none: not wanted at all (q=0)
			continue
		}
		all = append(all, wish{tags[0], weights[0]})
	}
	slices.SortStableFunc(all, func(a, b wish) int { return cmp.Compare(b.weight, a.weight) })
	return all
}
