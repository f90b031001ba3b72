package connection_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"causeway"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/internal/connection"
	"causeway/internal/platform"
	"causeway/internal/platform/simulator"
	"causeway/internal/platform/telegram"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

func TestABotIsConnectedAndItsWebhookRegistered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop", simulator.WithAvatar(), simulator.WithoutPrivacy(),
			simulator.WithCommands(simulator.Command{Command: "start", Description: "Begin"}))
		in := w.input(" " + bot.Token() + "\n")
		username, language := "@SHOP_bot", "vi-vn"
		in.BotUsername, in.Language = &username, &language
		result, err := w.service.ConnectTelegramBot(w.manager(), in)
		must(t, err)

		row := w.row(result.Connection)
		w.is(row.ID, entconnection.StatusActive, "")
		if row.Name != "Shop" || row.Profile.Username != "shop_bot" || len(row.Profile.Commands) != 1 || row.Profile.AvatarRef == "" {
			t.Errorf("the bot is known as %q, %+v", row.Name, row.Profile)
		}
		if row.Language == nil || *row.Language != "vi-VN" || !row.Enabled || *row.AuthorizedBy != "Ana" {
			t.Errorf("kept language %v, enabled %v, by %v", row.Language, row.Enabled, row.AuthorizedBy)
		}
		hook := bot.Webhook()
		if hook.URL != w.service.WebhookAddress(row) || hook.Secret == "" || !slices.Equal(hook.AllowedUpdates, telegram.AllowedUpdates()) {
			t.Errorf("registered %s for %v", hook.URL, hook.AllowedUpdates)
		}
		if strings.Contains(hook.URL, bot.Token()) || row.WebhookStatus != entconnection.WebhookStatusActive ||
			!slices.Equal(row.SubscribedFields, telegram.AllowedUpdates()) || row.RegisteredAt == nil {
			t.Errorf("the webhook is %s for %v since %v", row.WebhookStatus, row.SubscribedFields, row.RegisteredAt)
		}
		report := w.report(result.Report)
		if !report.Passed || len(report.Checks) != 4 {
			t.Errorf("reported %+v", report.Checks)
		}
		if w.events(row.ID) != 1 {
			t.Errorf("watchers were told %d times", w.events(row.ID))
		}
		endpoint, err := w.service.Endpoint(t.Context(), row.WebhookKey)
		must(t, err)
		if endpoint.Connection != row.ID || endpoint.Campaign != w.campaign || string(endpoint.Secret) != hook.Secret || endpoint.Disconnected {
			t.Errorf("the key leads to %s of %s", endpoint.Connection, endpoint.Campaign)
		}
	})
}

func TestPrivacyModeIsAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	result := w.connects(w.tg.AddBot("shop_bot", "Shop"))
	row := w.row(result.Connection)
	if got := check(t, w.report(result.Report), platform.CheckPrivacyMode); got.Outcome != platform.CheckWarning {
		t.Errorf("the check is %s", got.Outcome)
	}
	if row.Status != entconnection.StatusActive || len(row.Warnings) != 1 || row.Warnings[0].Code != causeway.PrivacyModeOn {
		t.Errorf("it is %s with %v", row.Status, row.Warnings)
	}
	closed := w.row(w.connects(w.tg.AddBot("closed_bot", "Closed", simulator.WithoutGroups())).Connection)
	if len(closed.Warnings) != 0 {
		t.Errorf("a bot that joins no groups is warned of %v", closed.Warnings)
	}
}

func TestWhatWasEnteredWrongIsSaidAtItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	text := func(s string) *string { return &s }
	unknown := "123456789:" + strings.Repeat("x", 35)
	for name, c := range map[string]struct {
		in   connection.Input
		code causeway.Code
		path string
	}{
		"shape":         {connection.Input{BotToken: "hello"}, causeway.InvalidBotToken, "botToken"},
		"unknown token": {connection.Input{BotToken: unknown}, causeway.InvalidBotToken, "botToken"},
		"another bot":   {connection.Input{BotToken: bot.Token(), BotUsername: text("other_bot")}, causeway.BotUsernameMismatch, "botUsername"},
		"long name":     {connection.Input{BotToken: bot.Token(), BotName: text(strings.Repeat("ж", 201))}, causeway.InvalidInput, "botName"},
		"language":      {connection.Input{BotToken: bot.Token(), Language: text("not a language")}, causeway.InvalidInput, "language"},
	} {
		c.in.CampaignID = w.campaign
		_, err := w.service.ConnectTelegramBot(w.manager(), c.in)
		problem := refused(t, err, c.code, "input", c.path)
		if name == "unknown token" && (problem.PlatformCode != "401" || problem.PlatformMessage == "") {
			t.Errorf("Telegram's own words are not told: %+v", problem.Problem)
		}
	}
	if w.count() != 0 || len(w.tg.Calls("setWebhook")) != 0 {
		t.Errorf("something was made or registered")
	}
}

func TestTelegramInTroubleIsSaidAndNothingIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	ctx := w.manager()
	w.tg.FailNext("getMe", simulator.Failure{Status: 502, HTML: true})
	_, err := w.service.ConnectTelegramBot(ctx, w.input(bot.Token()))
	if problem := refused(t, err, causeway.PlatformError); !problem.Retryable {
		t.Error("a gateway's trouble can be retried")
	}
	w.tg.Down()
	_, err = w.service.ConnectTelegramBot(ctx, w.input(bot.Token()))
	if problem := refused(t, err, causeway.NetworkError); !problem.Retryable {
		t.Error("no answer can be retried")
	}
	if w.count() != 0 {
		t.Error("a connection was kept")
	}
}

func TestOfTwoCampaignsThatConnectABotAtOnceOneGetsIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		both := w.member(campaignmember.RoleManager, w.campaign, w.other)
		servers := []*connection.Service{w.service, w.newService()}
		campaigns := []causeway.ID{w.campaign, w.other}
		results := make([]error, 8)
		var asking sync.WaitGroup
		for i := range results {
			asking.Go(func() {
				in := w.input(bot.Token())
				in.CampaignID = campaigns[i%2]
				_, results[i] = servers[i/2%2].ConnectTelegramBot(both, in)
			})
		}
		asking.Wait()
		live, err := w.store.Reader().Connection.Query().All(t.Context())
		must(t, err)
		if len(live) != 1 {
			t.Fatalf("there are %d connections", len(live))
		}
		for i, err := range results {
			switch {
			case campaigns[i%2] != live[0].CampaignID:
				refused(t, err, causeway.AlreadyConnected, "input", "botToken")
			case err != nil && causeway.CodeOf(err) != causeway.Conflict:
				t.Errorf("the campaign that has it is told %v", err)
			}
		}
		if bot.Webhook().URL != w.service.WebhookAddress(live[0]) {
			t.Errorf("registered is %s", bot.Webhook().URL)
		}
	})
}

func TestABotInAnotherCampaignIsNamedOnlyToWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	in := w.input(bot.Token())
	in.CampaignID = w.other
	_, err := w.service.ConnectTelegramBot(w.admin(), in)
	must(t, err)
	secret := bot.Webhook().Secret

	_, err = w.service.ConnectTelegramBot(w.manager(), w.input(bot.Token()))
	if p := refused(t, err, causeway.AlreadyConnected, "input", "botToken"); p.Reason != causeway.ReasonAlreadyElsewhere || p.Args != nil {
		t.Errorf("a stranger is told %+v", p.Problem)
	}
	_, err = w.service.ConnectTelegramBot(w.admin(), w.input(bot.Token()))
	if p := refused(t, err, causeway.AlreadyConnected, "input", "botToken"); p.Reason != causeway.ReasonAlreadyHere || p.Args["campaign"] != "Secret plans" {
		t.Errorf("an administrator is told %+v", p.Problem)
	}
	if bot.Webhook().Secret != secret {
		t.Error("the webhook was touched")
	}
}

func TestConnectingAgainAuthorisesInPlace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		first := w.row(w.connects(bot).Connection)
		bot.ReplaceToken()
		report, err := w.service.Test(w.manager(), first.ID)
		must(t, err)
		w.is(first.ID, entconnection.StatusInactive, causeway.TokenRevoked)
		if got := check(t, w.report(report), platform.CheckAccount); got.Outcome != platform.CheckSkipped {
			t.Errorf("with a bad token the account is %s", got.Outcome)
		}

		w.clock.turn(1)
		again := w.row(w.connects(bot).Connection)
		w.is(first.ID, entconnection.StatusActive, "")
		if again.ID != first.ID || !again.ConnectedAt.Equal(first.ConnectedAt) || again.ReconnectedAt == nil || again.WebhookKey != first.WebhookKey {
			t.Errorf("authorised again is %+v", again)
		}
		account, err := w.service.Open(t.Context(), first.ID)
		must(t, err)
		must(t, account.AnswerTap(t.Context(), "1"))
	})
}

func TestWhatWasDisconnectedIsRevived(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		first := w.connects(bot)
		must(t, w.service.Disconnect(w.manager(), first.Connection))
		second := w.connects(bot)
		row := w.row(second.Connection)
		if second.Connection != first.Connection || row.DisconnectedAt != nil || row.ReconnectedAt == nil || w.count() != 1 {
			t.Errorf("revived is %+v", row)
		}
		w.is(row.ID, entconnection.StatusActive, "")

		must(t, w.service.Disconnect(w.manager(), first.Connection))
		in := w.input(bot.Token())
		in.CampaignID = w.other
		elsewhere, err := w.service.ConnectTelegramBot(w.admin(), in)
		must(t, err)
		if elsewhere.Connection == first.Connection {
			t.Error("another campaign got the old connection")
		}
		_, err = w.service.ConnectTelegramBot(w.manager(), w.input(bot.Token()))
		refused(t, err, causeway.AlreadyConnected, "input", "botToken")
	})
}

func TestARefusedRegistrationLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		no := simulator.Failure{Status: http.StatusBadRequest, Description: "Bad Request: bad webhook: IP address 10.0.0.1 is reserved"}
		refuse := func() {
			t.Helper()
			w.tg.FailNext("setWebhook", no)
			_, err := w.service.ConnectTelegramBot(w.manager(), w.input(bot.Token()))
			problem := refused(t, err, causeway.WebhookSubscriptionFailed)
			if problem.PlatformMessage != no.Description || problem.PlatformCode != "400" {
				t.Errorf("Telegram's words are told as %+v", problem.Problem)
			}
		}
		refuse()
		if w.count() != 0 {
			t.Fatal("a new connection stayed")
		}
		id := w.connects(bot).Connection
		before := w.row(id)
		refuse()
		same(t, before, w.row(id))

		must(t, w.service.Disconnect(w.manager(), id))
		before = w.row(id)
		refuse()
		same(t, before, w.row(id))
	})
}

func TestARegistrationWithoutAnAnswerIsMadeByTheNextCheck(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		w.tg.FailNext("setWebhook", simulator.Failure{Status: 500})
		id := w.connects(bot).Connection
		w.is(id, entconnection.StatusError, causeway.PlatformError)
		if row := w.row(id); row.RegisteredAt != nil || row.WebhookStatus != entconnection.WebhookStatusInactive {
			t.Errorf("the webhook is %s since %v", row.WebhookStatus, row.RegisteredAt)
		}
		w.start()
		w.becomes(id, entconnection.StatusActive, "")
		if bot.Webhook().URL != w.service.WebhookAddress(w.row(id)) {
			t.Errorf("registered is %q", bot.Webhook().URL)
		}
	})
}

func TestAConnectionThatACrashLeftHalfMadeIsFinished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		crash := w.tg.AddBot("crash_bot", "Crash")
		id := w.connects(bot).Connection
		// What stands in the database between the claim and the platform's answer.
		half := causeway.NewID(causeway.PrefixConnection)
		token, err := w.keys.Seal([]byte(crash.Token()), half)
		must(t, err)
		hookSecret, err := w.keys.Seal([]byte("half-made-secret"), half)
		must(t, err)
		w.write(func(tx *store.Tx) error {
			return tx.Connection.Create().SetID(half).SetCampaignID(w.campaign).SetPlatform(platform.Telegram).
				SetAccountID(w.profileOf(crash).ID).SetProfile(w.profileOf(crash)).SetName("Crash").
				SetStatus(entconnection.StatusError).SetProblem(&causeway.Problem{Code: causeway.WebhookNotRegistered}).
				SetSealedToken(token).SetSealedWebhookSecret(hookSecret).SetWebhookKey(strings.Repeat("k", 43)).
				SetDelivery(entconnection.DeliveryWebhook).SetWebhookStatus(entconnection.WebhookStatusInactive).
				SetConnectedAt(w.clock.Now()).SetNextCheckAt(w.clock.Now()).SetLeasedUntil(w.clock.Now().Add(patience)).
				Exec(tx.Context())
		})
		w.start()
		w.becomes(half, entconnection.StatusActive, "")
		if hook := crash.Webhook(); hook.Secret != "half-made-secret" {
			t.Errorf("registered %+v", hook)
		}
		w.is(id, entconnection.StatusActive, "")
	})
}

func TestAnotherProgramsWebhookIsTakenOverWithAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop", simulator.WithoutPrivacy())
	other := w.foreignWebhook(bot)
	result := w.connects(bot)
	got := check(t, w.report(result.Report), platform.CheckWebhookRegistration)
	if got.Outcome != platform.CheckWarning || got.Problem.Code != causeway.WebhookTakenOver ||
		got.Problem.Reason != causeway.ReasonTookOver || got.Problem.Args["host"] != other {
		t.Errorf("reported %+v", got)
	}
	w.is(result.Connection, entconnection.StatusActive, "")

	// An address that was ours is no other program's.
	must(t, telegram.New(w.tg.URL(), bot.Token(), nil).SetWebhook(t.Context(),
		telegram.SetWebhook{URL: strings.Replace(bot.Webhook().URL, "127.0.0.1", "localhost", 1)}))
	again := w.connects(bot)
	if got := check(t, w.report(again.Report), platform.CheckWebhookRegistration); got.Outcome != platform.CheckPassed {
		t.Errorf("our own earlier address was reported as %+v", got)
	}
}

func TestWithoutAPublicAddressATakenBotIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), polling)
	bot := w.tg.AddBot("shop_bot", "Shop")
	other := w.foreignWebhook(bot)
	_, err := w.service.ConnectTelegramBot(w.manager(), w.input(bot.Token()))
	p := refused(t, err, causeway.WebhookTakenOver, "input", "botToken")
	if p.Reason != causeway.ReasonTakenByWebhook || p.Args["host"] != other || w.count() != 0 || bot.Webhook().URL == "" {
		t.Errorf("told %+v, kept %d, left %q", p.Problem, w.count(), bot.Webhook().URL)
	}
}

func TestConnectingIsForManagers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		all := map[string]struct {
			ctx                context.Context
			connect, otherwise causeway.Code
		}{
			"nobody":           {t.Context(), causeway.Unauthenticated, causeway.Unauthenticated},
			"foreign agent":    {w.member(campaignmember.RoleAgent, w.other), causeway.NotFound, causeway.NotFound},
			"foreign manager":  {w.member(campaignmember.RoleManager, w.other), causeway.NotFound, causeway.NotFound},
			"agent":            {w.member(campaignmember.RoleAgent, w.campaign), causeway.Forbidden, causeway.Forbidden},
			"manager":          {w.manager(), "", ""},
			"an administrator": {w.admin(), "", ""},
		}
		for who, c := range all {
			_, err := w.service.ConnectTelegramBot(c.ctx, w.input(bot.Token()))
			if got := causeway.CodeOf(err); got != c.connect {
				t.Errorf("%s connects: %q", who, got)
			}
			_, err = w.service.Test(c.ctx, id)
			if got := causeway.CodeOf(err); got != c.otherwise {
				t.Errorf("%s tests: %q", who, got)
			}
		}
		for _, who := range []string{"nobody", "foreign agent", "foreign manager", "agent", "manager", "an administrator"} {
			err := w.service.Disconnect(all[who].ctx, id)
			if got := causeway.CodeOf(err); got != all[who].otherwise {
				t.Errorf("%s disconnects: %q", who, got)
			}
		}
		_, err := w.service.Test(w.manager(), id)
		refused(t, err, causeway.NotConnected, "input", "connectionId")
	})
}

func TestAnArchivedCampaignIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.connects(bot).Connection
		w.archive(w.campaign)
		_, err := w.service.ConnectTelegramBot(w.admin(), w.input(bot.Token()))
		refused(t, err, causeway.Conflict, "input", "campaignId")
		_, err = w.service.Test(w.admin(), id)
		refused(t, err, causeway.Conflict, "input", "connectionId")
		refused(t, w.service.Disconnect(w.admin(), id), causeway.Conflict, "connectionId")
		w.is(id, entconnection.StatusActive, "")
	})
}

func TestWhatIsEnteredAgainChangesTheConnectionAndWhatIsNotStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	name, language := "Front desk", "vi"
	in := w.input(bot.Token())
	in.BotName, in.Language, in.Enabled = &name, &language, false
	first, err := w.service.ConnectTelegramBot(w.manager(), in)
	must(t, err)
	w.is(first.Connection, entconnection.StatusActive, "") // switched off is no status

	w.connects(bot)
	row := w.row(first.Connection)
	if row.Name != name || *row.Language != language || row.Enabled {
		t.Errorf("authorised again it is %q in %v, enabled %v", row.Name, row.Language, row.Enabled)
	}
	must(t, w.service.Disconnect(w.manager(), first.Connection))
	w.connects(bot)
	if row := w.row(first.Connection); row.Name != name || !row.Enabled {
		t.Errorf("revived it is %q, enabled %v", row.Name, row.Enabled)
	}
}

func TestTroubleThatMayPassDoesNotHideATakeover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.connects(bot).Connection
	commands := w.row(id).Profile.Commands
	w.foreignWebhook(bot)
	w.tg.FailNext("getMyCommands", simulator.Failure{Status: 500})
	report, err := w.service.Test(w.manager(), id)
	must(t, err)
	w.is(id, entconnection.StatusError, causeway.WebhookTakenOver)
	if got := check(t, w.report(report), platform.CheckAccount); got.Outcome != platform.CheckFailed {
		t.Errorf("the account's check is %s", got.Outcome)
	}
	if !slices.Equal(w.row(id).Profile.Commands, commands) {
		t.Error("what could not be read was forgotten")
	}
}

func TestWhoLeavesWhileConnectingLeavesAWholeConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	ctx, leave := context.WithCancel(w.manager())
	w.tg.FailNext("setWebhook", simulator.Failure{Lost: true}) // takes effect, and is never answered
	soon, left := within(t), make(chan struct{})
	go func() {
		defer close(left)
		_, _ = w.tg.WaitCalls(soon, "setWebhook", 1)
		leave()
	}()
	result, err := w.service.ConnectTelegramBot(ctx, w.input(bot.Token()))
	<-left
	must(t, err)
	w.is(result.Connection, entconnection.StatusError, causeway.NetworkError)
	w.start()
	w.becomes(result.Connection, entconnection.StatusActive, "")
}

func TestACheckCanBeAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t)).start()
	id := w.connects(w.tg.AddBot("shop_bot", "Shop")).Connection
	asked := len(w.tg.Calls("getMe"))
	must(t, w.service.CheckSoon(t.Context(), id))
	_, err := w.tg.WaitCalls(within(t), "getMe", asked+1)
	must(t, err)
}
