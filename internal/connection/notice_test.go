package connection_test

import (
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"causeway"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/notice"
	"causeway/ent/noticeletter"
	"causeway/ent/user"
	"causeway/internal/connection"
	"causeway/internal/mail"
	"causeway/internal/platform/simulator"
	"causeway/internal/problem"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// office is a mail server that keeps what it takes.
type office struct {
	address string

	mu      sync.Mutex
	answer  error            // to every letter; nil: it is taken
	refuses map[string]error // answers to recipients
	letters []letter
	tried   int
}

// letter is one that was taken, read.
type letter struct {
	to, id, subject, text, html string
}

func openOffice(t testing.TB) *office {
	t.Helper()
	o := &office{refuses: map[string]error{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &visit{office: o}, nil }))
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	o.address = listener.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = listener.Close()
		_ = server.Close()
		<-done
	})
	return o
}

// mails lets a service send by the office.
func (o *office) mails(t testing.TB) option {
	t.Helper()
	words, err := problem.New()
	must(t, err)
	mailer, err := mail.New(mail.Config{URL: "smtp://" + o.address, From: "Causeway <notices@causeway.example>", Timeout: 10 * time.Second})
	must(t, err)
	return func(cfg *connection.Config) {
		cfg.Mail, cfg.Words, cfg.Console = mailer, words, "https://causeway.example"
	}
}

func (o *office) answers(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = err
}

func (o *office) refuse(to string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuses[to] = err
}

func (o *office) taken() []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.letters)
}

func (o *office) tries() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tried
}

type visit struct {
	office *office
	to     string
}

func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.to = to
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.tried++
	return v.office.refuses[to]
}

func (v *visit) Data(r io.Reader) error {
	parsed, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	got := letter{to: v.to, id: parsed.Header.Get("Message-Id")}
	if got.subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for _, into := range []*string{&got.text, &got.html} {
		part, err := parts.NextRawPart()
		if err != nil {
			return err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return err
		}
		*into = string(body)
	}
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	if v.office.answer != nil {
		return v.office.answer
	}
	v.office.letters = append(v.office.letters, got)
	return nil
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

var (
	busy   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come back later"}
	nobody = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such person"}
)

// person is somebody with an address and a language; a manager of the campaigns given.
func (w *world) person(name, language string, role user.Role, campaigns ...causeway.ID) causeway.ID {
	w.Helper()
	id := causeway.NewID(causeway.PrefixUser)
	w.write(func(tx *store.Tx) error {
		err := tx.User.Create().SetID(id).SetEmail(name + "@example.com").SetName(name).
			SetRole(role).SetLanguage(language).SetPasswordHash("x").SetCreatedAt(w.clock.Now()).Exec(tx.Context())
		for _, c := range campaigns {
			if err == nil {
				err = tx.CampaignMember.Create().SetCampaignID(c).SetUserID(id).SetRole(campaignmember.RoleManager).
					SetJoinedAt(w.clock.Now()).Exec(tx.Context())
			}
		}
		return err
	})
	return id
}

// adminConnects connects a bot without making anybody a manager.
func (w *world) adminConnects(bot *simulator.Bot) causeway.ID {
	w.Helper()
	result, err := w.service.ConnectTelegramBot(w.admin(), w.input(bot.Token()))
	must(w, err)
	return result.Connection
}

// looks has the connection looked at.
func (w *world) looks(id causeway.ID) {
	w.Helper()
	_, err := w.service.Test(w.admin(), id)
	must(w, err)
}

// settled waits until no letter waits.
func (w *world) settled() {
	w.Helper()
	w.eventually(func() string {
		n, err := w.store.Reader().NoticeLetter.Query().Where(noticeletter.StateEQ(noticeletter.StateWaiting)).Count(w.Context())
		must(w, err)
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%d letters wait", n)
	})
}

// rests waits until no letter is being handed over: turning the clock far would end its
// lease meanwhile.
func (w *world) rests() {
	w.Helper()
	w.eventually(func() string {
		n, err := w.store.Reader().NoticeLetter.Query().
			Where(noticeletter.StateEQ(noticeletter.StateWaiting), noticeletter.LeasedUntilNotNil()).Count(w.Context())
		must(w, err)
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%d letters are being handed over", n)
	})
}

func (w *world) letters(state noticeletter.State) int {
	w.Helper()
	n, err := w.store.Reader().NoticeLetter.Query().Where(noticeletter.StateEQ(state)).Count(w.Context())
	must(w, err)
	return n
}

func TestADeadTokenIsToldOnceInTwoDaysAndAgainAfterItWorked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		post := openOffice(t)
		w := newWorld(t, s, post.mails(t)).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.adminConnects(bot)
		w.person("mai", "en", user.RoleAgent, w.campaign)
		w.person("fay", "en", user.RoleAgent, w.other)
		w.person("root", "en", user.RoleAdmin)

		token := bot.Token()
		bot.RevokeToken()
		w.clock.turn(time.Hour)
		w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
		w.settled()
		for range 48 {
			failed := w.row(id).FailedChecks
			w.clock.turn(time.Hour)
			w.eventually(func() string {
				if w.row(id).FailedChecks > failed {
					return ""
				}
				return "it was not looked at within the hour"
			})
		}
		w.settled()
		letters := post.taken()
		if len(letters) != 1 || letters[0].to != "mai@example.com" {
			t.Fatalf("%d letters in two days, to %+v", len(letters), letters)
		}
		for _, said := range []string{"Shop", "Telegram", "Spring sale", "press API Token", "https://causeway.example/?connection=" + string(id)} {
			if !strings.Contains(letters[0].text, said) {
				t.Errorf("the letter does not say %q:\n%s", said, letters[0].text)
			}
		}
		if !strings.Contains(letters[0].html, "Shop") || strings.Contains(letters[0].text+letters[0].html, token) {
			t.Errorf("the page says\n%s", letters[0].html)
		}

		bot.ReplaceToken()
		w.adminConnects(bot)
		w.is(id, entconnection.StatusActive, "")
		bot.RevokeToken()
		w.clock.turn(2 * time.Hour)
		w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
		w.settled()
		if letters := post.taken(); len(letters) != 2 {
			t.Errorf("%d letters after it failed again, want two", len(letters))
		}
	})
}

func TestADeadPageTokenIsToldOnceInTwoDaysAndAgainAfterItWorked(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
	s := w.newShop("Tea")
	id := s.connectsPage(s.pages[0]).Connection
	w.person("mai", "en", user.RoleAgent, w.campaign)
	toMai := func() int {
		n := 0
		for _, l := range post.taken() {
			if l.to == "mai@example.com" {
				n++
			}
		}
		return n
	}
	s.mia.ChangesPassword()
	w.clock.turn(time.Hour)
	w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
	w.settled()
	for range 48 {
		failed := w.row(id).FailedChecks
		w.clock.turn(time.Hour)
		w.eventually(func() string {
			if w.row(id).FailedChecks > failed {
				return ""
			}
			return "it was not looked at within the hour"
		})
	}
	w.settled()
	if n := toMai(); n != 1 {
		t.Fatalf("%d letters in two days", n)
	}
	s.logsIn()
	s.connectsPage(s.pages[0])
	w.is(id, entconnection.StatusActive, "")
	s.mia.ChangesPassword()
	w.clock.turn(2 * time.Hour)
	w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
	w.settled()
	if n := toMai(); n != 2 {
		t.Errorf("%d letters after it failed again, want two", n)
	}
}

func TestTroubleThatChangesIsToldOnce(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.adminConnects(bot)
	w.person("mai", "vi", user.RoleAgent, w.campaign)
	w.tg.Down()
	w.clock.turn(time.Hour)
	w.becomes(id, entconnection.StatusError, causeway.NetworkError)
	w.settled()
	bot.RevokeToken()
	w.tg.Up()
	w.clock.turn(time.Hour)
	w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
	w.settled()
	letters := post.taken()
	if len(letters) != 1 || letters[0].subject != "“Shop” cần được xử lý" {
		t.Errorf("told %+v", letters)
	}
}

func TestAdministratorsAreToldWhereNobodyManages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		post := openOffice(t)
		w := newWorld(t, s, post.mails(t)).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.adminConnects(bot)
		gone := w.person("gone", "en", user.RoleAgent, w.campaign)
		away := w.person("away", "en", user.RoleAdmin)
		w.person("root", "ru", user.RoleAdmin)
		w.write(func(tx *store.Tx) error {
			return tx.User.Update().Where(user.IDIn(gone, away)).SetDeactivatedAt(w.clock.Now()).Exec(tx.Context())
		})
		bot.RevokeToken()
		w.looks(id)
		w.settled()
		letters := post.taken()
		if len(letters) != 1 || letters[0].to != "root@example.com" || letters[0].subject != "«Shop»: требуется внимание" {
			t.Errorf("told %+v", letters)
		}
	})
}

func TestALetterWaitsForTheMailServerAndIsSentOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		post := openOffice(t)
		w := newWorld(t, s, post.mails(t)).start()
		bot := w.tg.AddBot("shop_bot", "Shop")
		id := w.adminConnects(bot)
		w.person("mai", "en", user.RoleAgent, w.campaign)
		post.answers(busy)
		bot.RevokeToken()
		w.looks(id)
		began := w.clock.Now()
		w.eventually(func() string {
			if post.tries() >= 4 {
				return ""
			}
			return fmt.Sprintf("it was offered %d times", post.tries())
		})
		if took := w.clock.Now().Sub(began); took < 7*time.Minute {
			t.Errorf("four tries within %v", took)
		}
		w.rests()
		post.answers(nil)
		w.clock.turn(time.Hour)
		w.settled()
		w.clock.turn(24 * time.Hour)
		w.looks(id)
		w.settled()
		if letters := post.taken(); len(letters) != 1 || w.letters(noticeletter.StateSent) != 1 {
			t.Errorf("%d letters were taken", len(letters))
		}
	})
}

func TestALetterIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.adminConnects(bot)
	w.person("mai", "en", user.RoleAgent, w.campaign)
	post.answers(busy)
	bot.RevokeToken()
	w.looks(id)
	w.eventually(func() string {
		if w.letters(noticeletter.StateLate) == 1 {
			return ""
		}
		w.rests()
		w.clock.turn(10 * time.Minute)
		return "it is not given up"
	})
	if tries := post.tries(); tries < 20 || tries > 40 {
		t.Errorf("it was offered %d times in a day", tries)
	}
}

func TestARefusedLetterIsNotRepeatedAndOthersAreSent(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.adminConnects(bot)
	w.person("mai", "en", user.RoleAgent, w.campaign)
	w.person("ana", "en", user.RoleAgent, w.campaign)
	post.refuse("mai@example.com", nobody)
	bot.RevokeToken()
	w.looks(id)
	w.settled()
	w.clock.turn(24 * time.Hour)
	if letters := post.taken(); len(letters) != 1 || letters[0].to != "ana@example.com" || w.letters(noticeletter.StateRefused) != 1 || post.tries() != 2 {
		t.Errorf("told %+v by %d tries", letters, post.tries())
	}
}

func TestWhatNobodyNeedsAnyMoreIsNotSent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, bot *simulator.Bot, id, mai causeway.ID){
		"it works again": func(w *world, bot *simulator.Bot, _, _ causeway.ID) {
			bot.ReplaceToken()
			w.adminConnects(bot)
		},
		"it was disconnected": func(w *world, _ *simulator.Bot, id, _ causeway.ID) {
			must(w, w.service.Disconnect(w.admin(), id))
		},
		"the campaign is archived": func(w *world, _ *simulator.Bot, _, _ causeway.ID) { w.archive(w.campaign) },
		"the person is shut out": func(w *world, _ *simulator.Bot, _, mai causeway.ID) {
			w.write(func(tx *store.Tx) error {
				return tx.User.UpdateOneID(mai).SetDeactivatedAt(w.clock.Now()).Exec(tx.Context())
			})
		},
		"the person manages no more": func(w *world, _ *simulator.Bot, _, mai causeway.ID) {
			w.write(func(tx *store.Tx) error {
				return tx.CampaignMember.Update().Where(campaignmember.UserID(mai)).SetRole(campaignmember.RoleAgent).Exec(tx.Context())
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			post := openOffice(t)
			post.answers(busy)
			w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
			bot := w.tg.AddBot("shop_bot", "Shop")
			id := w.adminConnects(bot)
			mai := w.person("mai", "en", user.RoleAgent, w.campaign)
			bot.RevokeToken()
			w.looks(id)
			w.eventually(func() string {
				if post.tries() > 0 {
					return ""
				}
				return "it is not offered"
			})
			w.rests()
			change(w, bot, id, mai)
			post.answers(nil)
			w.clock.turn(time.Hour)
			w.settled()
			if len(post.taken()) != 0 || w.letters(noticeletter.StateDropped) != 1 {
				t.Errorf("it was sent: %+v", post.taken())
			}
		})
	}
}

func TestNobodyIsToldOfAnArchivedCampaign(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t))
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.adminConnects(bot)
	w.person("mai", "en", user.RoleAgent, w.campaign)
	w.archive(w.campaign)
	bot.RevokeToken()
	w.clock.turn(time.Hour)
	w.start()
	w.becomes(id, entconnection.StatusInactive, causeway.TokenRevoked)
	n, err := w.store.Reader().NoticeLetter.Query().Count(t.Context())
	must(t, err)
	if n != 0 {
		t.Errorf("%d letters were written", n)
	}
}

func TestServersTellOnceTogether(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.Postgres(t), post.mails(t)).start()
	must(t, w.newService(post.mails(t)).Start())
	want := 0
	for i := range 8 {
		bot := w.tg.AddBot(fmt.Sprintf("shop%d_bot", i), "Shop")
		w.adminConnects(bot)
		bot.RevokeToken()
		want += 2
	}
	w.person("mai", "en", user.RoleAgent, w.campaign)
	w.person("ana", "en", user.RoleAgent, w.campaign)
	w.clock.turn(time.Hour)
	w.eventually(func() string {
		if w.letters(noticeletter.StateSent) == want {
			return ""
		}
		return fmt.Sprintf("%d letters were sent", w.letters(noticeletter.StateSent))
	})
	ids := map[string]bool{}
	for _, l := range post.taken() {
		ids[l.id] = true
	}
	if len(post.taken()) != want || len(ids) != want {
		t.Errorf("%d letters arrived, %d of them different; want %d", len(post.taken()), len(ids), want)
	}
}

func TestALetterWhoseServerDiedComesAgainUnderItsID(t *testing.T) {
	t.Parallel()
	post := openOffice(t)
	w := newWorld(t, storetest.SQLite(t), post.mails(t)).start()
	bot := w.tg.AddBot("shop_bot", "Shop")
	id := w.adminConnects(bot)
	w.person("mai", "en", user.RoleAgent, w.campaign)
	bot.RevokeToken()
	w.looks(id)
	w.settled()
	must(t, w.service.Close())
	w.write(func(tx *store.Tx) error { // as a server leaves it that dies after the letter was taken
		return tx.NoticeLetter.Update().SetState(noticeletter.StateWaiting).ClearSentAt().
			SetLeasedUntil(w.clock.Now().Add(time.Minute)).Exec(tx.Context())
	})
	w.service = w.newService(post.mails(t))
	w.start()
	w.settled()
	letters := post.taken()
	if len(letters) != 2 || letters[0].id != letters[1].id || letters[0].id == "" {
		t.Errorf("arrived %+v", letters)
	}
}

func TestOldNoticesAreForgottenWithTheirLetters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		open := w.adminConnects(w.tg.AddBot("shop_bot", "Shop"))
		mai := w.person("mai", "en", user.RoleAgent, w.campaign)
		now := w.clock.Now()
		w.write(func(tx *store.Tx) error {
			for i := range 251 { // the first is open still, the others ended a day after each other
				told := causeway.NewID(causeway.PrefixNotice)
				create := tx.Notice.Create().SetID(told).SetCampaignID(w.campaign).SetConnectionID(open).
					SetOpenedAt(now.Add(-400 * 24 * time.Hour))
				if i > 0 {
					create.SetClosedAt(now.Add(-time.Duration(i) * 24 * time.Hour))
				}
				if err := create.Exec(tx.Context()); err != nil {
					return err
				}
				letter := causeway.NewID(causeway.PrefixNoticeLetter)
				err := tx.NoticeLetter.Create().SetID(letter).SetCampaignID(w.campaign).SetNoticeID(told).SetUserID(mai).
					SetState(noticeletter.StateSent).SetCreatedAt(now).SetQueueKey(string(letter)).SetNextTryAt(now).Exec(tx.Context())
				if err != nil {
					return err
				}
			}
			return nil
		})
		w.start()
		w.eventually(func() string {
			notices, err := s.Reader().Notice.Query().Count(w.Context())
			must(t, err)
			if letters := w.letters(noticeletter.StateSent); notices != 91 && notices != 90 || letters != notices {
				return fmt.Sprintf("there are %d notices with %d letters", notices, letters)
			}
			return ""
		})
		if left, err := s.Reader().Notice.Query().Where(notice.ClosedAtIsNil()).Count(w.Context()); err != nil || left != 1 {
			t.Errorf("%d open notices are left: %v", left, err)
		}
	})
}
