package mail

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
)

// trouble is a notice as it is sent, in one language.
func trouble(language string) Notice {
	n := Notice{
		Language: language, Platform: "Messenger", Connection: "Shop A", Campaign: "Summer",
		Message:       "The platform has withdrawn the access to this account.",
		Causes:        []string{"The person who connected the page changed their password.", "Facebook noticed something unusual."},
		Solutions:     []string{"Sign in at facebook.com and answer any security question.", "Then reconnect the page."},
		PlatformWords: "(#190) The session has been invalidated.",
		Link:          "https://causeway.example/?connection=conn_1&tab=test",
		Since:         time.Date(2026, 11, 21, 13, 12, 0, 0, time.FixedZone("ICT", 7*3600)),
	}
	if language == "ru" {
		n.Connection, n.Campaign = "Магазин", "Лето"
		n.Message = "Платформа отозвала доступ к этому аккаунту."
		n.Causes = []string{"Владелец подключения сменил пароль.", "Facebook заметил что-то необычное."}
		n.Solutions = []string{"Войдите на facebook.com и ответьте на вопросы безопасности.", "Затем подключите Страницу заново."}
	}
	return n
}

func TestANoticeSaysTheSameAsTextAndAsHTMLInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	for language, says := range map[string][]string{
		"en":      {"“Shop A” needs attention", "campaign “Summer”", "Since 21 November 2026, 06:12 UTC", "What to do", "Likely causes", "Open the connection"},
		"vi":      {"“Shop A” cần được xử lý", "chiến dịch “Summer”", "Từ 06:12 ngày 21/11/2026 (UTC)", "Cách xử lý", "Nguyên nhân có thể", "Mở kết nối"},
		"ru":      {"«Магазин»: требуется внимание", "кампания «Лето»", "С 21.11.2026, 06:12 UTC", "Что делать", "Возможные причины", "Открыть подключение"},
		"zh-Hant": {"「Shop A」需要處理", "行銷活動「Summer」", "開始時間：2026年11月21日 06:12（UTC）", "處理方式", "可能的原因", "開啟這個連線"},
		"zh-Hans": {"“Shop A”需要处理", "营销活动“Summer”", "开始时间：2026年11月21日 06:12（UTC）", "处理方法", "可能的原因", "打开该连接"},
		"fr":      {"“Shop A” needs attention"},
	} {
		n := trouble(language)
		letter := compose(t, n)
		if letter.Subject != says[0] {
			t.Errorf("%s: the subject is %q", language, letter.Subject)
		}
		shown := seen(letter.HTML)
		for _, want := range append(says, n.Message, n.Causes[0], n.Causes[1], n.Solutions[0], n.Solutions[1], n.PlatformWords) {
			if !strings.Contains(letter.Text, want) {
				t.Errorf("%s: the text lacks %q:\n%s", language, want, letter.Text)
			}
			if !strings.Contains(shown, want) {
				t.Errorf("%s: the HTML lacks %q:\n%s", language, want, shown)
			}
		}
		if !strings.Contains(letter.Text, n.Link) || !strings.Contains(letter.HTML, `href="https://causeway.example/?connection=conn_1&amp;tab=test"`) {
			t.Errorf("%s: the link is missing", language)
		}
	}
}

func TestEveryLanguageHasAllTheWordsOfANotice(t *testing.T) {
	t.Parallel()
	english := wordsIn("en")
	for _, language := range []string{"vi", "ru", "zh-Hant", "zh-Hans"} {
		w := wordsIn(language)
		if w.Language != language || w.title == english.title {
			t.Errorf("%s is told in English", language)
		}
		for _, line := range []string{w.title, w.campaign, w.since, w.clock, w.Causes, w.Steps, w.Said, w.Open, w.Why} {
			if line == "" || line == english.title {
				t.Errorf("%s lacks a word: %+v", language, w)
			}
		}
	}
}

func TestANoticeWithoutDetailsHasNoEmptyHeadings(t *testing.T) {
	t.Parallel()
	letter := compose(t, Notice{Connection: "Shop A", Message: "It does not work."})
	w := wordsIn("en")
	for _, heading := range []string{w.Causes, w.Steps, w.Said, w.Open, "campaign “"} {
		if strings.Contains(letter.Text, heading) || strings.Contains(letter.HTML, heading) {
			t.Errorf("an empty %q is shown", heading)
		}
	}
	if strings.Contains(letter.Text, "\n\n\n") {
		t.Errorf("the text has holes:\n%s", letter.Text)
	}
}

func TestANameIsToldAsItIsAndBringsNothingAlong(t *testing.T) {
	t.Parallel()
	n := trouble("en")
	n.Connection = "<script>alert(1)</script>\r\nBcc: x@example.com\u2028{campaign}"
	n.Campaign = strings.Repeat("я", 500)
	n.Solutions = []string{"<img src=x onerror=alert(1)>"}
	n.Link = "javascript:alert(1)"
	letter := compose(t, n)
	if strings.Contains(letter.HTML, "<script>") || strings.Contains(letter.HTML, "<img") || strings.Contains(letter.HTML, "javascript:") {
		t.Errorf("the HTML carries what a name said:\n%s", letter.HTML)
	}
	if want := "“<script>alert(1)</script> Bcc: x@example.com {campaign}” needs attention"; letter.Subject != want {
		t.Errorf("the subject is %q", letter.Subject)
	}
	if strings.Contains(letter.Text, strings.Repeat("я", 80)) || strings.Contains(letter.Text, "javascript:") {
		t.Errorf("the text is %s", letter.Text)
	}
}

func TestALetterFetchesNothing(t *testing.T) {
	t.Parallel()
	n := trouble("en")
	n.Link = ""
	if found := regexp.MustCompile(`(?i)src=|url\(|@import|<link|https?:`).FindString(compose(t, n).HTML); found != "" {
		t.Errorf("the HTML holds %q", found)
	}
}

func TestANoticeArrivesAsItWasComposed(t *testing.T) {
	t.Parallel()
	o := open(t, rules{tls: true})
	letter := compose(t, trouble("ru"))
	letter.To = "ana@example.com"
	if err := o.mailer(t, "smtp://mail.example.com").Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	_, text, html := read(t, o.one(t).raw)
	if text != letter.Text || html != letter.HTML {
		t.Errorf("sent and received differ:\n%s\n%s", text, html)
	}
	// The letters can be looked at: CAUSEWAY_MAIL_DIR=/tmp/letters go test ./internal/mail
	if folder := os.Getenv("CAUSEWAY_MAIL_DIR"); folder != "" {
		for _, language := range []string{"en", "vi", "ru", "zh-Hant", "zh-Hans"} {
			letter := compose(t, trouble(language))
			for name, body := range map[string]string{language + ".html": letter.HTML, language + ".txt": letter.Text} {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func FuzzWhateverANameHoldsTheSubjectIsOneLine(f *testing.F) {
	f.Add("Shop\r\nA", "x", "https://a.example")
	f.Fuzz(func(t *testing.T, connection, campaign, link string) {
		letter, err := Compose(Notice{Connection: connection, Campaign: campaign, Message: campaign, Link: link})
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(letter.Subject, unicode.IsControl) {
			t.Errorf("the subject is %q", letter.Subject)
		}
	})
}

func compose(t *testing.T, n Notice) Message {
	t.Helper()
	letter, err := Compose(n)
	if err != nil {
		t.Fatal(err)
	}
	return letter
}

// seen is what a reader sees of a page.
func seen(html string) string {
	_, body, _ := strings.Cut(html, "<body")
	body = regexp.MustCompile(`<[^>]*>`).ReplaceAllString("<body"+body, " ")
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#39;", "'", "&#34;", `"`).Replace(body)
}
