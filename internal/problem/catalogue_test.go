package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"causeway"
)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func TestEveryCodeAndReasonIsToldInEveryLanguageInTheOrderTheyAreDeclared(t *testing.T) {
	t.Parallel()
	codes, reasons := declared(t)
	if len(codes) < 40 || len(reasons) < 20 {
		t.Fatalf("problem.go was read wrongly: %d codes, %d reasons", len(codes), len(reasons))
	}
	for _, language := range Supported() {
		file, err := texts.ReadFile("texts/" + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		got := keys(t, file)
		if want := names(codes); !slices.Equal(got["codes"], want) {
			t.Errorf("%s: codes differ from problem.go: %s", language, difference(got["codes"], want))
		}
		if want := names(reasons); !slices.Equal(got["reasons"], want) {
			t.Errorf("%s: reasons differ from problem.go: %s", language, difference(got["reasons"], want))
		}
	}
}

func TestNothingInTheCatalogueIsEmptyOrUntidy(t *testing.T) {
	t.Parallel()
	codes, reasons := declared(t)
	c := open(t)
	for _, language := range Supported() {
		for _, p := range everyProblem(codes, reasons) {
			text := c.Text(language, p)
			name := fmt.Sprintf("%s %s %s", language, p.Code, p.Reason)
			if len(text.Causes) == 0 || len(text.Solutions) == 0 {
				t.Errorf("%s: has no causes or no solutions", name)
			}
			for _, line := range lines(text) {
				if line == "" || strings.TrimSpace(line) != line || strings.Contains(line, "  ") {
					t.Errorf("%s: untidy line %q", name, line)
				}
				if strings.ContainsAny(line, "{}") {
					t.Errorf("%s: braces are left in %q", name, line)
				}
				if !strings.HasSuffix(line, ".") && !strings.HasSuffix(line, "。") {
					t.Errorf("%s: no full stop in %q", name, line)
				}
			}
		}
	}
}

func TestTheWordsNeedTheArgumentsTheReasonPromisesInEveryLanguage(t *testing.T) {
	t.Parallel()
	codes, reasons := declared(t)
	c := open(t)
	for _, language := range Supported() {
		w := c.languages[language]
		for _, code := range codes {
			if got := placeholders(lines(w.Codes[causeway.Code(code.name)])...); len(got) > 0 {
				t.Errorf("%s %s: words of a code need no arguments, but these name %v", language, code.name, got)
			}
		}
		for _, reason := range reasons {
			promised := placeholders(reason.comment)
			text := w.Reasons[causeway.Reason(reason.name)]
			if got := placeholders(text.Message); !slices.Equal(got, promised) {
				t.Errorf("%s %s: the message needs %v, problem.go promises %v", language, reason.name, got, promised)
			}
			for _, line := range lines(text) {
				for _, name := range placeholders(line) {
					if !slices.Contains(promised, name) {
						t.Errorf("%s %s: %q needs %s, which problem.go does not promise", language, reason.name, line, name)
					}
				}
			}
		}
	}
}

func TestAllLanguagesTellTheSameCausesAndSolutions(t *testing.T) {
	t.Parallel()
	codes, reasons := declared(t)
	c := open(t)
	for _, p := range everyProblem(codes, reasons) {
		english := c.Text("en", p)
		for _, language := range Supported() {
			text := c.Text(language, p)
			if len(text.Causes) != len(english.Causes) || len(text.Solutions) != len(english.Solutions) {
				t.Errorf("%s %s %s: %d causes and %d solutions; in English %d and %d", language, p.Code, p.Reason,
					len(text.Causes), len(text.Solutions), len(english.Causes), len(english.Solutions))
			}
			if language != "en" && text.Message == english.Message {
				t.Errorf("%s %s %s: the message is still English", language, p.Code, p.Reason)
			}
			for i, line := range lines(text) {
				if got, want := handles(line), handles(lines(english)[i]); !slices.Equal(got, want) {
					t.Errorf("%s %s %s: %q names %v, in English %v", language, p.Code, p.Reason, line, got, want)
				}
			}
		}
	}
}

func TestTheAlphabetIsThatOfTheLanguage(t *testing.T) {
	t.Parallel()
	codes, reasons := declared(t)
	c := open(t)
	script := map[string]*regexp.Regexp{
		"vi":      regexp.MustCompile(`[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]`),
		"ru":      regexp.MustCompile(`\p{Cyrillic}`),
		"zh-Hant": regexp.MustCompile(`\p{Han}`),
		"zh-Hans": regexp.MustCompile(`\p{Han}`),
	}
	foreign := map[string]*regexp.Regexp{ // signs that give away the other Chinese script, or another alphabet
		"en":      regexp.MustCompile(`[\p{Cyrillic}\p{Han}]`),
		"vi":      regexp.MustCompile(`[\p{Cyrillic}\p{Han}]`),
		"ru":      regexp.MustCompile(`\p{Han}`),
		"zh-Hant": regexp.MustCompile(`[这个们为发给应户关设连经线务后对问题动权请选择试验码开闭无还没]`),
		"zh-Hans": regexp.MustCompile(`[這個們為發給應戶關設連經線務後對問題動權請選擇試驗碼開閉無還沒]`),
	}
	for _, language := range Supported() {
		for _, p := range everyProblem(codes, reasons) {
			for _, line := range lines(c.Text(language, p)) {
				if s := script[language]; s != nil && !s.MatchString(strings.ToLower(line)) {
					t.Errorf("%s %s %s: not in this language: %q", language, p.Code, p.Reason, line)
				}
				if found := foreign[language].FindString(line); found != "" {
					t.Errorf("%s %s %s: %q is of another language in %q", language, p.Code, p.Reason, found, line)
				}
			}
		}
	}
}

func TestTheGuidesExplainOnlyCodesThatExist(t *testing.T) {
	t.Parallel()
	codes, _ := declared(t)
	for _, guide := range []string{"facebook.md", "telegram.md"} {
		text, err := os.ReadFile("../../docs/" + guide)
		if err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile(`(?m)^\| ([A-Z_]{6,}(?:, [A-Z_]+)*) \|`).FindAllSubmatch(text, -1)
		if len(rows) < 10 {
			t.Errorf("%s: only %d codes are explained", guide, len(rows))
		}
		for _, row := range rows {
			for code := range strings.SplitSeq(string(row[1]), ", ") {
				if !slices.Contains(names(codes), code) {
					t.Errorf("%s explains %s, which is no code", guide, code)
				}
			}
		}
	}
}

func TestAReasonIsToldInItsOwnWordsWithItsArguments(t *testing.T) {
	t.Parallel()
	c := open(t)
	text := c.Text("ru", causeway.FailWith(causeway.WebhookTakenOver, causeway.ReasonTookOver).With("host", "bot.example").Problem)
	if want := "Раньше сообщения этой Страницы или бота уходили на bot.example. Теперь они приходят сюда."; text.Message != want {
		t.Errorf("told %q, want %q", text.Message, want)
	}
}

func TestAReasonWithoutCausesAndSolutionsHasThoseOfItsCode(t *testing.T) {
	t.Parallel()
	c := open(t)
	own := c.Text("en", causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyHere).With("campaign", "Summer").Problem)
	code := c.Text("en", causeway.Fail(causeway.AlreadyConnected).Problem)
	if !strings.Contains(own.Message, "“Summer”") {
		t.Errorf("the campaign is not named: %q", own.Message)
	}
	if !slices.Equal(own.Causes, code.Causes) || !slices.Equal(own.Solutions, code.Solutions) {
		t.Errorf("the causes and solutions are not those of the code: %+v", own)
	}
}

func TestAReasonWhoseArgumentIsMissingIsToldInTheWordsOfItsCode(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, p := range []causeway.Problem{
		causeway.Invalid(causeway.ReasonTooLong).Problem,
		causeway.Invalid(causeway.ReasonTooLong).With("max", "").Problem,
		causeway.Invalid("a reason of tomorrow").Problem,
	} {
		if got, want := c.Text("vi", p), c.Text("vi", causeway.Fail(causeway.InvalidInput).Problem); got.Message != want.Message {
			t.Errorf("%+v: told %q, want %q", p, got.Message, want.Message)
		}
	}
}

func TestAnArgumentWithBracesIsToldAsItIs(t *testing.T) {
	t.Parallel()
	c := open(t)
	p := causeway.FailWith(causeway.AlreadyConnected, causeway.ReasonAlreadyHere).With("campaign", "{campaign} {x").Problem
	if got := c.Text("en", p).Message; !strings.Contains(got, "“{campaign} {x”") {
		t.Errorf("told %q", got)
	}
}

func TestAnUnknownCodeIsToldPolitely(t *testing.T) {
	t.Parallel()
	c := open(t)
	text := c.Text("zh-Hant", causeway.Problem{Code: "A_CODE_OF_TOMORROW"})
	if want := c.Text("zh-Hant", causeway.Problem{Code: causeway.Internal}); text.Message == "" || text.Message != want.Message {
		t.Errorf("told %q, want %q", text.Message, want.Message)
	}
}

func TestALanguageWeDoNotSpeakIsAnsweredInTheNearestWeDo(t *testing.T) {
	t.Parallel()
	c := open(t)
	p := causeway.Fail(causeway.NotFound).Problem
	for asked, answered := range map[string]string{"zh-TW": "zh-Hant", "vi-VN": "vi", "fr": "en", "": "en", "\x00": "en"} {
		if got, want := c.Text(asked, p).Message, c.Text(answered, p).Message; got != want {
			t.Errorf("%q: told %q, want %q", asked, got, want)
		}
	}
}

func TestWhoChangesATextChangesNobodyElses(t *testing.T) {
	t.Parallel()
	c := open(t)
	p := causeway.Fail(causeway.NotFound).Problem
	c.Text("en", p).Causes[0] = "spoilt"
	if got := c.Text("en", p).Causes[0]; got == "spoilt" {
		t.Error("the catalogue hands out its own list")
	}
}

func open(t *testing.T) *Catalogue {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// constant is one code or reason as problem.go declares it.
type constant struct{ name, comment string }

// declared reads the codes and reasons from the source, so that a new one fails the
// tests until it has words.
func declared(t *testing.T) (codes, reasons []constant) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../problem.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			continue
		}
		kind, ok := spec.Type.(*ast.Ident)
		if !ok {
			continue
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			continue
		}
		name, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		switch c := (constant{name, spec.Comment.Text()}); kind.Name {
		case "Code":
			codes = append(codes, c)
		case "Reason":
			reasons = append(reasons, c)
		}
	}
	return codes, reasons
}

// everyProblem is one problem per code and one per reason, with all it may need.
func everyProblem(codes, reasons []constant) []causeway.Problem {
	var all []causeway.Problem
	for _, code := range codes {
		all = append(all, causeway.Fail(causeway.Code(code.name)).Problem)
	}
	for _, reason := range reasons {
		code, _, _ := strings.Cut(reason.comment, " ")
		fail := causeway.FailWith(causeway.Code(strings.TrimSuffix(code, ":")), causeway.Reason(reason.name))
		for _, name := range placeholders(reason.comment) {
			fail = fail.With(strings.Trim(name, "{}"), "12")
		}
		all = append(all, fail.Problem)
	}
	return all
}

// keys are the keys of the two objects in a file of words, as they stand there:
// twice if they stand there twice.
func keys(t *testing.T, file []byte) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	groups := json.NewDecoder(bytes.NewReader(file))
	next := func() json.Token {
		tok, err := groups.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	next()
	for groups.More() {
		group := next().(string)
		next()
		for groups.More() {
			found[group] = append(found[group], next().(string))
			var text Text
			if err := groups.Decode(&text); err != nil {
				t.Fatal(err)
			}
		}
		next()
	}
	return found
}

func names(constants []constant) []string {
	var all []string
	for _, c := range constants {
		all = append(all, c.name)
	}
	return all
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%s is missing", want[i])
		case i >= len(want):
			return fmt.Sprintf("%s is too much", got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("%s stands where %s belongs", got[i], want[i])
		}
	}
	return ""
}

func lines(text Text) []string {
	return slices.Concat([]string{text.Message}, text.Causes, text.Solutions)
}

// placeholders are the names in braces, sorted, each once.
func placeholders(lines ...string) []string {
	found := map[string]bool{}
	for _, line := range lines {
		for _, name := range placeholder.FindAllString(line, -1) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// handles are the things a translation must not change: commands, accounts,
// permissions, addresses.
func handles(line string) []string {
	found := regexp.MustCompile(`/[a-z]{3,}|@\w+|pages_\w+|[a-z]+\.com|https`).FindAllString(line, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
