package problem

import (
	"slices"
	"strings"
	"testing"
)

func TestTheReadersLanguageIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, want string }{
		{"", "en"},
		{"en", "en"},
		{"en-GB,en;q=0.9", "en"},
		{"vi", "vi"},
		{"VI-vn", "vi"},
		{"vi-VN,vi;q=0.9,fr-FR;q=0.8,fr;q=0.7,en-US;q=0.6,en;q=0.5", "vi"},
		{"ru-RU,ru;q=0.9,en;q=0.8", "ru"},
		{"zh", "zh-Hans"},
		{"zh-CN,zh;q=0.9", "zh-Hans"},
		{"zh-SG", "zh-Hans"},
		{"zh-Hans-TW", "zh-Hans"},
		{"zh-TW,zh;q=0.9,en-US;q=0.8", "zh-Hant"},
		{"zh_TW", "zh-Hant"},
		{"zh-HK", "zh-Hant"},
		{"zh-MO", "zh-Hant"},
		{"zh-Hant-CN", "zh-Hant"},
		// weights
		{"en;q=0.1, vi", "vi"},
		{"vi;q=0.5, ru;q=0.6", "ru"},
		{"vi;q=0.5, ru;q=0.5", "vi"},
		{"vi;q=0, ru;q=0.1", "ru"},
		{"vi;q=0", "en"},
		// the first that we speak, not the default
		{"fr-FR, vi;q=0.3", "vi"},
		{"xx-XX, vi", "vi"},
		{"fr, de", "en"},
		{"uk", "en"},
		{"uk, ru;q=0.7", "ru"},
		{"*", "en"},
		{"*, vi;q=0.5", "vi"},
		// not a list of languages
		{";;;,,,", "en"},
		{"vi;q=x", "en"},
		{"\x00\xff", "en"},
		{"../../etc/passwd", "en"},
		{"vi" + strings.Repeat(",vi", 10_000), "en"},
		{"vi-" + strings.Repeat("-", 1000), "en"},
	} {
		if got := Match(c.header); got != c.want {
			t.Errorf("%.60q: answered %s, want %s", c.header, got, c.want)
		}
	}
}

func TestTheUsersOwnLanguageCountsWhenTheRequestAsksForNoneWeSpeak(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, user, want string }{
		{"", "vi", "vi"},
		{"ru", "vi", "ru"},
		{"fr", "vi", "vi"},
		{"*", "zh-TW", "zh-Hant"},
		{"no language at all", "zh-Hans", "zh-Hans"},
		{"", "", "en"},
		{"", "fr", "en"},
	} {
		if got := Choose(c.header, c.user); got != c.want {
			t.Errorf("Choose(%q, %q): answered %s, want %s", c.header, c.user, got, c.want)
		}
	}
}

func TestSupportedLanguagesAnswerThemselves(t *testing.T) {
	t.Parallel()
	for _, language := range Supported() {
		if got := Match(language); got != language {
			t.Errorf("%s: answered %s", language, got)
		}
	}
	Supported()[0] = "spoilt"
	if slices.Contains(Supported(), "spoilt") {
		t.Error("Supported hands out its own list")
	}
}

func FuzzAnyHeaderIsAnsweredWithALanguageWeSpeak(f *testing.F) {
	f.Add("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "vi")
	f.Add("vi;q=0.0000001;q=nan", "*")
	f.Fuzz(func(t *testing.T, header, user string) {
		if got := Choose(header, user); !slices.Contains(languages, got) {
			t.Errorf("answered %q", got)
		}
	})
}

func BenchmarkChoose(b *testing.B) {
	for b.Loop() {
		Choose("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "vi")
	}
}
