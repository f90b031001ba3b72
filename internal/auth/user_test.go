package auth_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/ent/accesstoken"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestAdministratorsAloneLetPeopleIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		in := auth.NewUser{Email: "Ana@Example.com ", Name: " Ana ", Password: password, Role: user.RoleAdmin}
		_, err := h.auth.CreateUser(context.Background(), in)
		refused(t, err, causeway.Unauthenticated, "", "")
		for _, person := range []causeway.ID{h.foreign, h.agent, h.manager} {
			_, err := h.auth.CreateUser(h.as(person), in)
			refused(t, err, causeway.Forbidden, "", "")
		}
		id, err := h.auth.CreateUser(h.as(h.admin), in)
		if err != nil {
			t.Fatal(err)
		}
		ana := h.user(id)
		if ana.Email != "ana@example.com" || ana.Name != "Ana" || ana.Role != user.RoleAdmin || ana.Language != "en" {
			t.Errorf("stored %v", ana)
		}
		in.Email = "ANA@example.com"
		_, err = h.auth.CreateUser(h.as(h.admin), in)
		refused(t, err, causeway.InvalidInput, causeway.ReasonEmailTaken, "input.email")
	})
}

func TestWhatCannotBeAPersonIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ctx := h.as(h.admin)
	for _, c := range []struct {
		email, name, password string
		reason                causeway.Reason
		field                 string
	}{
		{"", "Ana", password, causeway.ReasonRequired, "input.email"},
		{"ana", "Ana", password, causeway.ReasonBadEmail, "input.email"},
		{"Ana <ana@example.com>", "Ana", password, causeway.ReasonBadEmail, "input.email"},
		{"ana@example.com, bo@example.com", "Ana", password, causeway.ReasonBadEmail, "input.email"},
		{strings.Repeat("a", 250) + "@example.com", "Ana", password, causeway.ReasonBadEmail, "input.email"},
		{"ana@example.com", " \t", password, causeway.ReasonRequired, "input.name"},
		{"ana@example.com", strings.Repeat("字", 201), password, causeway.ReasonTooLong, "input.name"},
		{"ana@example.com", "Ana", "nine char", causeway.ReasonShortPassword, "input.password"},
		{"ana@example.com", "Ana", strings.Repeat("字", 257), causeway.ReasonTooLong, "input.password"},
	} {
		_, err := h.auth.CreateUser(ctx, auth.NewUser{Email: c.email, Name: c.name, Password: c.password, Role: user.RoleAgent})
		refused(t, err, causeway.InvalidInput, c.reason, c.field)
	}
	long := auth.NewUser{Email: "ana@example.com", Name: strings.Repeat("字", 200), Password: strings.Repeat("字", 256), Role: user.RoleAgent}
	if _, err := h.auth.CreateUser(ctx, long); err != nil {
		t.Errorf("the longest: %v", err)
	}
	if _, err := h.auth.SignIn(ctx, long.Email, long.Password, "192.0.2.1:1"); err != nil {
		t.Errorf("signing in with the longest: %v", err)
	}
}

func TestWhoMayChangeWhom(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		name := func(id causeway.ID) auth.UserChange {
			return auth.UserChange{ID: id, Name: causeway.ChangeTo("New name")}
		}
		refused(t, h.auth.UpdateUser(context.Background(), name(h.agent)), causeway.Unauthenticated, "", "")
		for _, c := range []struct {
			who, whom causeway.ID
			code      causeway.Code
		}{
			{h.admin, h.agent, ""}, {h.admin, h.admin, ""},
			{h.manager, h.manager, ""}, {h.agent, h.agent, ""}, {h.loner, h.loner, ""},
			{h.manager, h.agent, causeway.Forbidden}, // managers see everybody
			{h.manager, h.foreign, causeway.Forbidden},
			{h.agent, h.manager, causeway.Forbidden}, // a colleague
			{h.agent, h.foreign, causeway.NotFound},
			{h.foreign, h.agent, causeway.NotFound},
			{h.loner, h.agent, causeway.NotFound},
			{h.loner, h.admin, causeway.NotFound},
			{h.admin, causeway.NewID(causeway.PrefixUser), causeway.NotFound},
			{h.admin, "", causeway.NotFound},
		} {
			field := ""
			if c.code == causeway.NotFound {
				field = "input.id"
			}
			refused(t, h.auth.UpdateUser(h.as(c.who), name(c.whom)), c.code, "", field)
			if c.code == "" && h.user(c.whom).Name != "New name" {
				t.Error("nothing changed")
			}
		}
		role := auth.UserChange{ID: h.agent, Role: causeway.ChangeTo(user.RoleAdmin)}
		refused(t, h.auth.UpdateUser(h.as(h.agent), role), causeway.Forbidden, "", "")
		out := auth.UserChange{ID: h.agent, Deactivated: causeway.ChangeTo(true)}
		refused(t, h.auth.UpdateUser(h.as(h.agent), out), causeway.Forbidden, "", "")
		if err := h.auth.UpdateUser(h.as(h.admin), role); err != nil || h.user(h.agent).Role != user.RoleAdmin {
			t.Errorf("an administrator makes another: %v", err)
		}
	})
}

func TestWhatIsLeftOutStaysAndNothingIsCleared(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ctx := h.as(h.admin)
	before := h.user(h.agent)
	if err := h.auth.UpdateUser(ctx, auth.UserChange{ID: h.agent}); err != nil {
		t.Fatal(err)
	}
	if after := h.user(h.agent); after.String() != before.String() {
		t.Errorf("changed to %v", after)
	}
	null, id := causeway.Change[string]{Given: true}, h.agent
	for field, change := range map[string]auth.UserChange{
		"input.name":        {ID: id, Name: null},
		"input.language":    {ID: id, Language: null},
		"input.password":    {ID: id, Password: null},
		"input.role":        {ID: id, Role: causeway.Change[user.Role]{Given: true}},
		"input.deactivated": {ID: id, Deactivated: causeway.Change[bool]{Given: true}},
	} {
		refused(t, h.auth.UpdateUser(ctx, change), causeway.InvalidInput, causeway.ReasonCannotClear, field)
	}
}

func TestALanguageIsABCP47Tag(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ctx := h.as(h.agent)
	for tag, want := range map[string]string{"vi": "vi", "zh-hant-tw": "zh-Hant-TW", "EN-us": "en-US"} {
		err := h.auth.UpdateUser(ctx, auth.UserChange{ID: h.agent, Language: causeway.ChangeTo(tag)})
		if got := h.user(h.agent).Language; err != nil || got != want {
			t.Errorf("%s became %s, %v", tag, got, err)
		}
	}
	for _, tag := range []string{"", "und", "english", "x y", "e", strings.Repeat("en-", 100)} {
		err := h.auth.UpdateUser(ctx, auth.UserChange{ID: h.agent, Language: causeway.ChangeTo(tag)})
		refused(t, err, causeway.InvalidInput, causeway.ReasonBadLanguage, "input.language")
	}
}

func TestANewPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ana := h.createUser("ana")
		ctx, here := h.signIn("ana")
		_, there := h.signIn("ana")
		_, byName := h.token(ana)
		change := auth.UserChange{ID: ana, Password: causeway.ChangeTo("a new password")}
		refused(t, h.auth.UpdateUser(ctx, change), causeway.InvalidInput, causeway.ReasonRequired, "input.currentPassword")
		change.CurrentPassword = causeway.ChangeTo("wrong horse battery")
		refused(t, h.auth.UpdateUser(ctx, change), causeway.InvalidInput, causeway.ReasonWrongPassword, "input.currentPassword")
		change.CurrentPassword = causeway.ChangeTo(password)
		if err := h.auth.UpdateUser(ctx, change); err != nil {
			t.Fatal(err)
		}
		if !h.valid(here) || h.valid(there) || !h.valid(byName) {
			t.Errorf("valid: here %v, there %v, by name %v", h.valid(here), h.valid(there), h.valid(byName))
		}
		_, err := h.auth.SignIn(ctx, "ana@example.com", password, "192.0.2.1:1")
		refused(t, err, causeway.InvalidInput, causeway.ReasonWrongCredentials, "")
		if _, err := h.auth.SignIn(ctx, "ana@example.com", "a new password", "192.0.2.1:1"); err != nil {
			t.Errorf("signing in with the new one: %v", err)
		}
		// An administrator needs no current password of somebody else, and ends them all.
		err = h.auth.UpdateUser(h.as(h.admin), auth.UserChange{ID: ana, Password: causeway.ChangeTo("another one yet")})
		if err != nil || h.valid(here) {
			t.Errorf("changed by an administrator: %v, session valid %v", err, h.valid(here))
		}
	})
}

func TestTheCurrentPasswordCannotBeGuessedAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ana := h.createUser("ana")
	ctx, _ := h.signIn("ana")
	change := auth.UserChange{ID: ana, Password: causeway.ChangeTo("a new password"), CurrentPassword: causeway.ChangeTo("guess")}
	for range 10 {
		refused(t, h.auth.UpdateUser(ctx, change), causeway.InvalidInput, causeway.ReasonWrongPassword, "input.currentPassword")
	}
	change.CurrentPassword = causeway.ChangeTo(password)
	refused(t, h.auth.UpdateUser(ctx, change), causeway.RateLimited, causeway.ReasonTooManySignIns, "")
}

func TestWhoIsShutOutHasNothingLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ana := h.createUser("ana")
		_, session := h.signIn("ana")
		_, byName := h.token(ana)
		admin := h.as(h.admin)
		out := auth.UserChange{ID: ana, Deactivated: causeway.ChangeTo(true)}
		if err := h.auth.UpdateUser(admin, out); err != nil {
			t.Fatal(err)
		}
		at := h.user(ana).DeactivatedAt
		if h.valid(session) || h.valid(byName) || at == nil {
			t.Errorf("session %v, token %v, deactivated at %v", h.valid(session), h.valid(byName), at)
		}
		_, err := h.auth.IssueToken(context.Background(), "ana@example.com", "x")
		refused(t, err, causeway.Conflict, causeway.ReasonDeactivatedUser, "")
		h.clock.turn(time.Hour)
		if err := h.auth.UpdateUser(admin, out); err != nil || !h.user(ana).DeactivatedAt.Equal(*at) {
			t.Errorf("shut out twice: %v, %v", h.user(ana).DeactivatedAt, err)
		}
		in := auth.UserChange{ID: ana, Deactivated: causeway.ChangeTo(false)}
		if err := h.auth.UpdateUser(admin, in); err != nil {
			t.Fatal(err)
		}
		if h.valid(session) || h.valid(byName) {
			t.Error("letting in again revived a token")
		}
		h.signIn("ana")
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		ctx, bearer := h.token(h.admin)
		demote := auth.UserChange{ID: h.admin, Role: causeway.ChangeTo(user.RoleAgent)}
		out := auth.UserChange{ID: h.admin, Deactivated: causeway.ChangeTo(true)}
		refused(t, h.auth.UpdateUser(ctx, demote), causeway.Conflict, causeway.ReasonLastAdmin, "input.role")
		refused(t, h.auth.UpdateUser(ctx, out), causeway.Conflict, causeway.ReasonLastAdmin, "input.deactivated")
		if !h.valid(bearer) {
			t.Error("a refused change ended a token")
		}
		if err := h.auth.UpdateUser(ctx, auth.UserChange{ID: h.agent, Role: causeway.ChangeTo(user.RoleAgent)}); err != nil {
			t.Errorf("an agent stays one: %v", err)
		}
		if err := h.auth.UpdateUser(ctx, auth.UserChange{ID: h.agent, Role: causeway.ChangeTo(user.RoleAdmin)}); err != nil {
			t.Fatal(err)
		}
		if err := h.auth.UpdateUser(ctx, out); err != nil {
			t.Errorf("of two one may go: %v", err)
		}
	})
}

func TestTwoAdministratorsWhoRemoveEachOtherLeaveOne(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		h := newHouse(t, db)
		admin := h.as(h.admin)
		for round := range 20 {
			for _, id := range []causeway.ID{h.admin, h.agent} {
				back := auth.UserChange{ID: id, Role: causeway.ChangeTo(user.RoleAdmin), Deactivated: causeway.ChangeTo(false)}
				if err := h.auth.UpdateUser(admin, back); err != nil {
					t.Fatal(err)
				}
			}
			var removing sync.WaitGroup
			for _, change := range []auth.UserChange{
				{ID: h.admin, Role: causeway.ChangeTo(user.RoleAgent)},
				{ID: h.agent, Deactivated: causeway.ChangeTo(true)},
			} {
				removing.Go(func() {
					if err := h.auth.UpdateUser(admin, change); err != nil && causeway.CodeOf(err) != causeway.Conflict {
						t.Error(err)
					}
				})
			}
			removing.Wait()
			left := db.Reader().User.Query().
				Where(user.RoleEQ(user.RoleAdmin), user.DeactivatedAtIsNil()).CountX(context.Background())
			if left != 1 {
				t.Fatalf("round %d left %d administrators", round, left)
			}
		}
	})
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.SQLite(t))
	ana := h.createUser("ana")
	ctx, bearer := h.signIn("ana")
	for _, err := range []error{
		h.auth.UpdateUser(ctx, auth.UserChange{ID: ana, Password: causeway.ChangeTo("short"), CurrentPassword: causeway.ChangeTo(password)}),
		h.auth.RevokeAccessToken(ctx, "token_none"),
	} {
		if err == nil || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "short horse") {
			t.Errorf("an error says %v", err)
		}
	}
	row := h.db.Reader().AccessToken.Query().Where(accesstoken.UserID(ana)).OnlyX(ctx)
	told := h.log.String() + row.String() + h.user(ana).String()
	for _, word := range []string{bearer, password, row.Hash, h.user(ana).PasswordHash} {
		if strings.Contains(told, word) {
			t.Errorf("it is told: %.4s…", word)
		}
	}
}
