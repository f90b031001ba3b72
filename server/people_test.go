package main

import (
	"strings"
	"testing"
)

const updateUser = `mutation($in: UpdateUserInput!) { updateUser(input: $in) { user { id name language role } userErrors { code field message } } }`

// changes asks to change a user and tells what came of it: works, or a code and a path.
func (who person) changes(in data) string {
	who.p.t.Helper()
	a := who.asks(updateUser, data{"in": in})
	if a.code() != "" {
		return a.code()
	}
	if problems := a.Data.at("updateUser").list("userErrors"); len(problems) > 0 {
		return problems[0].text("code") + "@" + path(problems[0])
	}
	return works
}

func TestEveryoneChangesTheirOwnNameLanguageAndPassword(t *testing.T) {
	t.Parallel()
	p := begin(t)
	ana := p.user("Ana", p.campaign("Shop"), "AGENT")
	me := ana.id()
	session := person{p, p.nobody().signsIn("ana@example.com", "a long password").text("token")}
	for _, c := range []struct {
		in   data
		want string
	}{
		{data{"name": "Anna", "language": "vi"}, works},
		{data{"name": " "}, "INVALID_INPUT@input.name"},
		{data{"name": nil}, "INVALID_INPUT@input.name"},
		{data{"language": "nonsense language"}, "INVALID_INPUT@input.language"},
		{data{"password": "another password"}, "INVALID_INPUT@input.currentPassword"},
		{data{"password": "another password", "currentPassword": "wrong"}, "INVALID_INPUT@input.currentPassword"},
		{data{"password": "short", "currentPassword": "a long password"}, "INVALID_INPUT@input.password"},
		{data{"role": "ADMIN"}, "FORBIDDEN"},
		{data{"deactivated": true}, "FORBIDDEN"},
		{data{"password": "another password", "currentPassword": "a long password"}, works},
	} {
		c.in["id"] = me
		if got := ana.changes(c.in); got != c.want {
			t.Errorf("%v: %s, want %s", c.in, got, c.want)
		}
	}
	if viewer := ana.gets(`{ viewer { name language } }`, nil).at("viewer"); viewer.text("name") != "Anna" || viewer.text("language") != "vi" {
		t.Errorf("she is %v", viewer)
	}
	if a := session.asks(`{ viewer { id } }`, nil); a.code() != "UNAUTHENTICATED" {
		t.Errorf("the session with the old password: %s", a.Body)
	}
	if p.nobody().signsIn("ana@example.com", "another password").text("token") == "" {
		t.Error("the new password does not sign in")
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	p := begin(t)
	boss := p.admin().id()
	for _, in := range []data{{"id": boss, "role": "AGENT"}, {"id": boss, "deactivated": true}} {
		if got := p.admin().changes(in); !strings.HasPrefix(got, "CONFLICT@") {
			t.Errorf("%v: %s", in, got)
		}
	}
	second := p.user("Second", "", "")
	if got := p.admin().changes(data{"id": second.id(), "role": "ADMIN"}); got != works {
		t.Fatalf("a second administrator: %s", got)
	}
	if got := second.changes(data{"id": boss, "deactivated": true}); got != works {
		t.Errorf("with a second one: %s", got)
	}
}

func TestWhatCannotBeAUserIsSaidAtItsField(t *testing.T) {
	t.Parallel()
	p := begin(t)
	p.user("Ana", "", "")
	for _, c := range []struct{ email, name, password, want string }{
		{"nonsense", "Bo", "a long password", "INVALID_INPUT@input.email"},
		{" ANA@example.com", "Bo", "a long password", "INVALID_INPUT@input.email"},
		{"", "Bo", "a long password", "INVALID_INPUT@input.email"},
		{"bo@example.com", "", "a long password", "INVALID_INPUT@input.name"},
		{"bo@example.com", "Bo", "short", "INVALID_INPUT@input.password"},
	} {
		problems := p.admin().gets(`mutation($e: String!, $n: String!, $p: String!) { createUser(input: {email: $e, name: $n, password: $p}) { user { id } userErrors { code field } } }`,
			data{"e": c.email, "n": c.name, "p": c.password}).at("createUser").list("userErrors")
		if len(problems) != 1 || problems[0].text("code")+"@"+path(problems[0]) != c.want {
			t.Errorf("%v: %v", c, problems)
		}
	}
}

func TestTokensAreShownOnceAndEndWhenRevoked(t *testing.T) {
	t.Parallel()
	p := begin(t)
	ana := p.user("Ana", "", "")
	made := ana.does(`mutation { createAccessToken(input: {name: "script", expiresAt: "2099-01-02T03:04:05.678+07:00"}) { secret accessToken { id name prefix expiresAt lastUsedAt } userErrors { code } } }`, nil)
	secret, token := made.text("secret"), made.at("accessToken")
	if !strings.HasPrefix(secret, token.text("prefix")) || token.text("expiresAt") != "2099-01-01T20:04:05.678Z" || token.text("name") != "script" {
		t.Errorf("made %v", made)
	}
	script := person{p, secret}
	if script.id() != ana.id() {
		t.Error("the token is somebody else's")
	}
	list := ana.asks(`{ accessTokens { id name prefix createdAt expiresAt lastUsedAt } }`, nil)
	if strings.Contains(list.Body, secret) || len(list.Data.list("accessTokens")) != 2 {
		t.Errorf("the list is %s", list.Body)
	}
	for in, want := range map[string]string{
		`{name: ""}`: "INVALID_INPUT@input.name",
		`{name: "late", expiresAt: "2001-01-01T00:00:00Z"}`: "INVALID_INPUT@input.expiresAt",
	} {
		problems := ana.gets(`mutation { createAccessToken(input: `+in+`) { secret userErrors { code field } } }`, nil).at("createAccessToken").list("userErrors")
		if len(problems) != 1 || problems[0].text("code")+"@"+path(problems[0]) != want {
			t.Errorf("%s: %v", in, problems)
		}
	}
	if gone := ana.does(`mutation($k: ID!) { revokeAccessToken(id: $k) { deletedId userErrors { code } } }`, data{"k": token.text("id")}); gone.text("deletedId") != token.text("id") {
		t.Errorf("revoked %v", gone)
	}
	if a := script.asks(`{ viewer { id } }`, nil); a.code() != "UNAUTHENTICATED" {
		t.Errorf("after revoking: %s", a.Body)
	}
}

func TestTheListOfUsersIsForManagersOfAnyCampaign(t *testing.T) {
	t.Parallel()
	s := opensHouse(t)
	const users = `{ users { totalCount edges { node { email } } } }`
	if n := s.manager.gets(users, nil).at("users").number("totalCount"); n != 4 {
		t.Errorf("a manager sees %d users", n)
	}
	seen := s.agent.gets(`query($c: ID!) { campaign(id: $c) { members { role user { name email } } viewerRole } }`, data{"c": s.campaign}).at("campaign")
	if len(seen.list("members")) != 2 || seen.list("members")[0].at("user").text("email") == "" || seen.text("viewerRole") != "AGENT" {
		t.Errorf("an agent sees %v", seen)
	}
	s.admin().does(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { userErrors { code } } }`, data{"c": s.campaign, "u": s.manager.id()})
	if a := s.manager.asks(users, nil); a.code() != "FORBIDDEN" {
		t.Errorf("who manages nothing any more: %s", a.Body)
	}
	again := s.admin().gets(`mutation($c: ID!, $u: ID!) { removeCampaignMember(input: {campaignId: $c, userId: $u}) { userErrors { code field } } }`, data{"c": s.campaign, "u": s.manager.id()})
	if problems := again.at("removeCampaignMember").list("userErrors"); len(problems) != 1 || problems[0].text("code") != notFound || path(problems[0]) != "input.userId" {
		t.Errorf("removing twice: %v", problems)
	}
}
