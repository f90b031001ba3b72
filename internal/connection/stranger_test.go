package connection_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"causeway/internal/platform/simulator"
	"causeway/internal/store/storetest"
)

// unsubscribed is how often Facebook was asked to end what it delivers of a page.
func (l *lobby) unsubscribed(page *simulator.Page) (n int) {
	for _, call := range l.fb.Calls("DELETE subscribed_apps") {
		if call.Page == page.ID() {
			n++
		}
	}
	return n
}

// says waits until the log has a line with all of these words.
func (l *lobby) says(words ...string) {
	l.Helper()
	l.eventually(func() string {
	lines:
		for line := range strings.Lines(l.log.String()) {
			for _, word := range words {
				if !strings.Contains(line, word) {
					continue lines
				}
			}
			return ""
		}
		return fmt.Sprintf("no line of the log has %q", words)
	})
}

func TestAPageThatIsNotConnectedIsUnsubscribedAtMostOnceAnHour(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	page := l.pages[0]
	page.Subscribe(l.app, "messages")
	for range 3 {
		l.service.Stranger(page.ID())
	}
	must(t, page.WaitSubscribed(within(t), l.app, false))
	l.says("was unsubscribed", "page="+page.ID())
	for range 4 {
		l.service.Stranger(page.ID())
	}
	l.clock.turn(59 * time.Minute)
	l.service.Stranger(page.ID())
	if n := l.unsubscribed(page); n != 1 {
		t.Errorf("it was asked %d times within the hour", n)
	}
	l.clock.turn(time.Minute)
	page.Subscribe(l.app, "messages")
	l.service.Stranger(page.ID())
	must(t, page.WaitSubscribed(within(t), l.app, false))
	l.eventually(func() string {
		total := 0
		for line := range strings.Lines(l.log.String()) {
			if _, told, ok := strings.Cut(line, "deliveries="); ok {
				var n int
				_, _ = fmt.Sscan(told, &n)
				total += n
			}
		}
		if total != 9 {
			return fmt.Sprintf("the log tells of %d deliveries of 9", total)
		}
		return ""
	})
	if n := l.unsubscribed(page); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestThatAPageWasNotUnsubscribedIsLoggedWithWhatFacebookSays(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	page := l.pages[0]
	page.Subscribe(l.app, "messages")
	l.fb.FailNext("DELETE subscribed_apps", simulator.Refusing(200, 0))
	l.service.Stranger(page.ID())
	l.says("was not unsubscribed", "page="+page.ID(), "deliveries=1", "200")
	if log := l.log.String(); strings.Contains(log, l.app.Secret()) {
		t.Errorf("the log holds the app's secret: %s", log)
	}
}

func TestAPageThatIsConnectedMeanwhileStaysSubscribed(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	l.hasPage(l.campaign, l.pages[0], l.mai.ID())
	l.service.Stranger(l.pages[0].ID())
	l.service.Stranger(l.pages[1].ID()) // comes after it
	l.says("page=" + l.pages[1].ID())
	if n := l.unsubscribed(l.pages[0]); n != 0 {
		t.Error("a connected page was unsubscribed")
	}
}

func TestStrangersAreBoundedAndAClosedServiceAsksNothing(t *testing.T) {
	t.Parallel()
	l := newLobby(t, storetest.SQLite(t))
	l.fb.FailNext("DELETE subscribed_apps", simulator.GraphFailure{Hang: true, Times: -1})
	for i := range 5000 {
		l.service.Stranger(fmt.Sprint(i))
	}
	if n := l.service.Strangers(); n > 1000 {
		t.Errorf("%d pages are remembered", n)
	}
	must(t, l.service.Close())
	before := len(l.fb.Calls("DELETE subscribed_apps"))
	l.clock.turn(2 * time.Hour)
	l.service.Stranger("7")
	if n := len(l.fb.Calls("DELETE subscribed_apps")); n != before {
		t.Errorf("%d calls after closing", n-before)
	}
}
