package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// How long after a customer's last message things last.
const (
	standardWindow = 24 * time.Hour
	humanWindow    = 7 * 24 * time.Hour
)

// thread is a page's conversation with one customer.
type thread struct {
	m        *Messenger
	page     *Page
	customer *PageCustomer
	id       string
	letters  []*letter // oldest first, the latest ones
	count    int       // of all there ever were
	unread   int
	actions  []string
	lastIn   time.Time // when the customer last did what opens the window
	last     time.Time // the last stamp given
	owner    string    // the app that has control, while it lasts
	extended time.Time // until when it lasts at least
}

// stamp is the time of what happens now: no two events of a conversation have the same.
func (th *thread) stamp() time.Time {
	now := th.m.now()
	if !now.After(th.last) {
		now = th.last.Add(time.Millisecond)
	}
	th.last = now
	return now
}

// add writes the page's message into the conversation.
func (th *thread) add(l *letter) {
	l.mid, l.at, l.delivered = "m_"+th.m.draw(60), th.stamp(), !th.customer.offline
	th.keep(l)
	th.m.changed.ring()
}

func (th *thread) keep(l *letter) {
	th.count++
	th.letters = latest(append(th.letters, l), keptLetters)
}

func (th *thread) find(mid string) *letter {
	for _, l := range th.letters {
		if l.mid == mid {
			return l
		}
	}
	return nil
}

// lastOut is when the page last wrote.
func (th *thread) lastOut() time.Time {
	for i := len(th.letters) - 1; i >= 0; i-- {
		if th.letters[i].fromPage {
			return th.letters[i].at
		}
	}
	return time.UnixMilli(0)
}

// owns is the app that has control and until when; empty on an idle thread.
func (th *thread) owns() (app string, until time.Time) {
	until = th.lastIn.Add(standardWindow)
	if th.extended.After(until) {
		until = th.extended
	}
	if th.owner == "" || !th.m.now().Before(until) {
		return "", time.Time{}
	}
	return th.owner, until
}

// ownedBy is the app that alone may write; empty when every app may.
func (th *thread) ownedBy() string {
	if app, _ := th.owns(); app != "" {
		return app
	}
	return th.page.defaultApp
}

// take gives control to an app that took it. Every app that listens is told.
func (th *thread) take(app, metadata string) { th.hand("take_thread_control", app, metadata) }

func (th *thread) hand(how, app, metadata string) {
	previous := th.ownedBy()
	th.owner = app
	th.tellControl(how, object{"previous_owner_app_id": orNothing(previous), "new_owner_app_id": orNothing(app), "metadata": metadata})
}

func (th *thread) tellControl(how string, value any) {
	th.tell("messaging_handovers", th.customer.event(th.stamp(), how, value))
	th.m.changed.ring()
}

// foreign is the refusal of an app that does not have control.
func (th *thread) foreign() *graphError {
	switch {
	case th.ownedBy() == AutomatedApp:
		return refuse(10, 2018321)
	case th.page.ownerCode:
		return refuse(100, 2534037)
	}
	return refuse(10, 2018300)
}

// control answers the calls about who has a conversation.
func (m *Messenger) control(t *accessToken, page *Page, r *graphRequest, edge string) (any, *graphError) {
	c := page.bySender[r.recipient()]
	switch {
	case !t.grant.has(PagesMessaging):
		return nil, refuse(230, 0)
	case c == nil || !c.contacted:
		return nil, refuse(100, 2018001)
	case edge == "thread_owner" && r.method == http.MethodGet:
		return c.thread.tellOwner(), nil
	}
	owner, th := c.thread.ownedBy(), c.thread
	mine := owner == "" || owner == t.app.id
	switch edge {
	case "pass_thread_control":
		target := r.text("target_app_id")
		if page.subscribed[m.apps[target]] == nil && target != PageInboxApp {
			return nil, refuse(100, 2018164)
		}
		if !mine {
			return nil, th.foreign()
		}
		th.hand("pass_thread_control", target, r.text("metadata"))
	case "take_thread_control":
		if page.defaultApp != "" && page.defaultApp != t.app.id {
			return nil, refuse(10, 0).saying("(#10) Only the default app may take control of a thread.")
		}
		th.take(t.app.id, r.text("metadata"))
	case "release_thread_control":
		if !mine {
			return nil, th.foreign()
		}
		th.hand("pass_thread_control", "", r.text("metadata"))
	case "request_thread_control":
		if owner == "" {
			th.hand("pass_thread_control", t.app.id, r.text("metadata"))
			break
		}
		th.tellControl("request_thread_control", object{"requested_owner_app_id": t.app.id, "metadata": r.text("metadata")})
	case "extend_thread_control":
		if !mine {
			return nil, th.foreign()
		}
		th.extended = m.now().Add(min(time.Duration(r.number("duration"))*time.Second, humanWindow))
	}
	return m.success(), nil
}

func (th *thread) tellOwner() any {
	owner, until := th.owns()
	if owner == "" {
		return object{"data": []object{}}
	}
	return object{"data": []object{{"thread_owner": object{"app_id": owner, "expiration": until.Unix()}}}}
}

// Owner is the id of the app that alone may write to the customer; empty when every
// app of the page may.
func (c *PageCustomer) Owner() string {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.thread.ownedBy()
}

// TakenBy gives control of the conversation to an app's id, PageInboxApp and
// AutomatedApp among them, as if it had taken it.
func (c *PageCustomer) TakenBy(app string) { c.change(func() { c.thread.take(app, "") }) }

// PassedTo gives control of the conversation to an app's id, as if its owner had
// passed it.
func (c *PageCustomer) PassedTo(app, metadata string) {
	c.change(func() { c.thread.hand("pass_thread_control", app, metadata) })
}

// RequestedBy lets another app ask for the conversation.
func (c *PageCustomer) RequestedBy(app, metadata string) {
	c.change(func() {
		c.thread.tellControl("request_thread_control", object{"requested_owner_app_id": app, "metadata": metadata})
	})
}

// numeric is an id as a JSON number, as echoes have it.
func numeric(id string) any {
	if _, err := json.Number(id).Int64(); err != nil {
		return id
	}
	return json.Number(id)
}
