package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway"
	"causeway/ent"
	"causeway/ent/auditentry"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	entconversation "causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/queue"
	"causeway/ent/queuemember"
	"causeway/ent/user"
	"causeway/internal/auth"
	"causeway/internal/bus"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/platform"
	"causeway/internal/platform/telegram"
	"causeway/internal/presence"
	"causeway/internal/store"
	"causeway/internal/store/storetest"
)

// office is a campaign with people who answer, and connections by which customers come.
type office struct {
	*house
	conn   *ent.Connection
	camp   causeway.ID
	people map[string]causeway.ID
	names  map[causeway.ID]string
	bells  *bus.Local
	said   int // messages of customers so far
}

func newOffice(t testing.TB, s *store.Store, names ...string) *office {
	t.Helper()
	h := newHouse(t, s)
	o := &office{house: h, conn: h.bot(), people: map[string]causeway.ID{}, names: map[causeway.ID]string{}}
	o.camp = o.conn.CampaignID
	for _, name := range names {
		o.hire(name, user.RoleAgent)
		o.joins(name, campaignmember.RoleAgent)
	}
	return o
}

// runs is a further server over the same database, which also gives out what waits.
func (o *office) runs() *conversation.Service {
	o.Helper()
	if o.bells == nil {
		o.bells = bus.NewLocal()
		o.Cleanup(func() { _ = o.bells.Close() })
	}
	events := feed.New(feed.Config{Store: o.store, Bus: o.bells})
	s := conversation.New(conversation.Config{
		Store: o.store, Feed: events, Bus: o.bells, Accounts: o.accounts,
		Parsers: map[platform.Name]platform.Parser{platform.Telegram: telegram.Parser{}},
		Clock:   causeway.System{}, Log: slog.New(slog.NewTextHandler(o.log, nil)),
	})
	o.no(s.Start(o.Context()))
	o.Cleanup(func() {
		o.no(s.Close())
		o.no(events.Close())
	})
	return s
}

func (o *office) write(fn func(tx *store.Tx) error) {
	o.Helper()
	o.no(o.store.InTx(context.Background(), fn))
}

// hire makes somebody who is ONLINE.
func (o *office) hire(name string, role user.Role) causeway.ID {
	o.Helper()
	o.write(func(tx *store.Tx) error {
		row, err := tx.User.Create().SetEmail(name + "@example.com").SetName(name).SetRole(role).SetPasswordHash("none").
			SetPresence(user.PresenceOnline).SetCreatedAt(time.Now()).Save(tx.Context())
		if err == nil {
			o.people[name], o.names[row.ID] = row.ID, name
		}
		return err
	})
	return o.people[name]
}

func (o *office) joins(name string, role campaignmember.Role) {
	o.Helper()
	o.write(func(tx *store.Tx) error {
		return tx.CampaignMember.Create().SetCampaignID(o.camp).SetUserID(o.people[name]).SetRole(role).SetJoinedAt(time.Now()).Exec(tx.Context())
	})
}

// is changes people's presence, and tells as the room presence does.
func (o *office) is(p user.Presence, names ...string) {
	o.Helper()
	for _, name := range names {
		o.write(func(tx *store.Tx) error {
			return tx.User.UpdateOneID(o.people[name]).SetPresence(p).Exec(tx.Context())
		})
	}
	if o.bells != nil {
		o.bells.Publish(presence.Topic, 0)
	}
}

// as is somebody who works here; the administrator by the name of admin.
func (o *office) as(name string) context.Context {
	return auth.WithViewer(context.Background(), &auth.Viewer{UserID: o.people[name], Admin: name == "admin"})
}

func (o *office) admin() context.Context {
	if o.people["admin"] == "" {
		o.hire("admin", user.RoleAdmin)
		o.is(user.PresenceOffline, "admin")
	}
	return o.as("admin")
}

func (o *office) ids(names ...string) []causeway.ID {
	ids := make([]causeway.ID, 0, len(names))
	for _, name := range names {
		ids = append(ids, o.people[name])
	}
	return ids
}

func (o *office) queue(assignment queue.Assignment, names ...string) causeway.ID {
	o.Helper()
	o.made++
	id, err := o.service.CreateQueue(o.admin(), conversation.NewQueue{
		Campaign: o.camp, Name: fmt.Sprint("Queue ", o.made), Assignment: assignment, Members: o.ids(names...),
	})
	o.no(err)
	return id
}

// enters makes what is new of a connection go to a queue and to a person; "" is none.
func (o *office) enters(conn *ent.Connection, into causeway.ID, to string) {
	o.Helper()
	o.write(func(tx *store.Tx) error {
		update := tx.Connection.UpdateOneID(conn.ID).ClearQueueID().ClearAssigneeID()
		if into != "" {
			update.SetQueueID(into)
		}
		if to != "" {
			update.SetAssigneeID(o.people[to])
		}
		return update.Exec(tx.Context())
	})
}

// comes lets customers write, each in a chat of their own, in one batch.
func (o *office) comes(conn *ent.Connection, chats ...int) {
	o.Helper()
	var updates []string
	for _, chat := range chats {
		o.said++
		updates = append(updates, writes(person(chat, fmt.Sprint("Customer ", chat)), o.said, "Hello"))
	}
	o.hears(conn, updates...)
}

// has is who has a chat's conversation: a name, and where nobody does, whether it waits.
func (o *office) has(conn *ent.Connection, chat int) string {
	o.Helper()
	conv := o.conversation(conn, chat)
	switch {
	case conv.AssigneeID != nil:
		return o.names[*conv.AssigneeID]
	case conv.QueueID != nil:
		return "waits"
	default:
		return "nobody"
	}
}

// hold compares who has some chats.
func (o *office) hold(what string, chats []int, want ...string) {
	o.Helper()
	var got []string
	for _, chat := range chats {
		got = append(got, o.has(o.conn, chat))
	}
	o.same(what, got, want)
}

// loads is how many conversations everybody has.
func (o *office) loads() map[string]int {
	o.Helper()
	rows, err := o.store.Reader().Conversation.Query().Where(entconversation.AssigneeIDNotNil()).All(context.Background())
	o.no(err)
	loads := map[string]int{}
	for _, row := range rows {
		loads[o.names[*row.AssigneeID]]++
	}
	return loads
}

func (o *office) set(chat int, status entconversation.Status) {
	o.Helper()
	o.no(o.service.SetStatus(o.admin(), o.conversation(o.conn, chat).ID, status))
}

// changes counts the events of a chat's conversation that say it is not as it was.
func (o *office) changes(chat int) int {
	o.Helper()
	n, err := o.store.Reader().FeedEvent.Query().Where(
		feedevent.ConversationID(o.conversation(o.conn, chat).ID), feedevent.KindEQ(feedevent.KindConversation),
		feedevent.ChangeIsNil(),
	).Count(context.Background())
	o.no(err)
	return n
}

// soon waits until something is so.
func (o *office) soon(what string, ok func() bool) {
	o.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			o.Fatalf("never: %s\n%v\n%s", what, o.loads(), o.log)
		case <-tick.C:
		}
	}
}

func (o *office) refused(err error, code causeway.Code, field string) {
	o.Helper()
	e, ok := errors.AsType[*causeway.Error](err)
	if !ok || e.Code != code || strings.Join(e.Field, ".") != field {
		o.Errorf("got %v, want %s at %s", err, code, field)
	}
}

// inOffice runs a test on both databases.
func inOffice(t *testing.T, names []string, test func(o *office)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) { test(newOffice(t, s, names...)) })
}

func between(first, last int) []int {
	var all []int
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

func TestARoundRobinGivesToEachOnlineMemberInTurn(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo", "cy", "di"}, func(o *office) {
		q := o.queue(queue.AssignmentRoundRobin, "ana", "bo", "cy")
		o.enters(o.conn, q, "")
		o.is(user.PresenceAway, "cy")
		o.comes(o.conn, 1, 2, 3)
		o.comes(o.conn, 4)
		got := o.loads()
		if !maps.Equal(got, map[string]int{"ana": 2, "bo": 2}) {
			t.Errorf("%v", got)
		}
		for _, chats := range [][]int{{1, 2}, {2, 3}, {3, 4}} {
			if o.has(o.conn, chats[0]) == o.has(o.conn, chats[1]) {
				t.Errorf("chats %v have one and the same", chats)
			}
		}
		if conv := o.conversation(o.conn, 1); conv.QueueID == nil || *conv.QueueID != q {
			t.Errorf("it is in no queue: %v", conv)
		}
		o.comes(o.conn, 1, 2) // goes on
		if now := o.loads(); !maps.Equal(now, got) {
			t.Errorf("a second message moved something: %v", now)
		}
	})
}

func TestTheLeastBusyMemberIsChosen(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo", "cy"}, func(o *office) {
		o.enters(o.conn, o.queue(queue.AssignmentLeastBusy, "ana", "bo"), "")
		o.comes(o.conn, between(1, 6)...)
		var anas []int
		for _, chat := range between(1, 6) {
			if o.has(o.conn, chat) == "ana" {
				anas = append(anas, chat)
			}
		}
		if len(anas) != 3 {
			t.Fatalf("%v", o.loads())
		}
		o.set(anas[0], entconversation.StatusClosed)
		o.set(anas[1], entconversation.StatusPending)
		o.comes(o.conn, 7, 8)
		o.hold("ana has one open, bo three", []int{7, 8}, "ana", "ana")
		o.comes(o.conn, anas[0]) // opened again, with ana, who has four now
		o.comes(o.conn, 9)
		o.hold("what is opened again counts", []int{anas[0], 9}, "ana", "bo")
	})
}

func TestAManualQueueIsEmptiedByItsMembers(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		o.enters(o.conn, o.queue(queue.AssignmentManual, "ana"), "")
		o.comes(o.conn, 1)
		o.hold("a new one", []int{1}, "waits")
		o.no(o.service.Take(o.as("ana"), o.conversation(o.conn, 1).ID))
		o.hold("it was taken", []int{1}, "ana")
	})
}

func TestAConnectionsAssigneeGoesBeforeItsQueue(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		q := o.queue(queue.AssignmentRoundRobin, "bo")
		o.enters(o.conn, q, "ana")
		o.is(user.PresenceOffline, "ana")
		o.comes(o.conn, 1)
		o.hire("ex", user.RoleAgent)
		o.enters(o.conn, q, "ex")
		o.comes(o.conn, 2)
		o.enters(o.conn, "", "")
		o.comes(o.conn, 3)
		o.hold("who gets what is new", []int{1, 2, 3}, "ana", "bo", "nobody")
	})
}

func TestWhatIsNotEnabledIsRecordedAndBroughtToNobody(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		o.enters(o.conn, o.queue(queue.AssignmentRoundRobin, "ana"), "bo")
		o.comes(o.conn, 1)
		o.set(1, entconversation.StatusClosed)
		o.write(func(tx *store.Tx) error {
			return tx.Connection.UpdateOneID(o.conn.ID).SetEnabled(false).Exec(tx.Context())
		})
		o.is(user.PresenceOffline, "bo")
		o.comes(o.conn, 1, 2)
		o.hold("one that bo had and a new one", []int{1, 2}, "bo", "nobody")
		if conv := o.conversation(o.conn, 1); conv.Status != entconversation.StatusOpen || conv.UnreadCount != 2 {
			t.Errorf("the closed one: %v", conv)
		}
	})
}

func TestACustomerOpensAgainWhatWasClosedOrSetAside(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		q := o.queue(queue.AssignmentRoundRobin, "ana", "bo")
		o.enters(o.conn, q, "")
		o.is(user.PresenceOffline, "bo")
		o.comes(o.conn, 1, 2, 3)
		o.set(1, entconversation.StatusClosed)
		o.set(2, entconversation.StatusPending)
		o.set(3, entconversation.StatusClosed)
		if o.conversation(o.conn, 1).ClosedAt == nil || o.conversation(o.conn, 2).ClosedAt != nil {
			t.Error("closedAt is wrong")
		}
		before := o.changes(1)
		o.comes(o.conn, 1)
		o.is(user.PresenceOnline, "bo")
		o.is(user.PresenceOffline, "ana")
		o.comes(o.conn, 2)
		o.hears(o.conn, membership(private(person(3, "Customer 3")), person(3, "Customer 3"), 9, "member", "kicked"))
		o.hold("who has them", []int{1, 2, 3}, "ana", "bo", "ana")
		for chat, status := range map[int]entconversation.Status{1: "OPEN", 2: "OPEN", 3: "CLOSED"} {
			if conv := o.conversation(o.conn, chat); conv.Status != status || (conv.ClosedAt != nil) != (status == "CLOSED") {
				t.Errorf("chat %d: %v", chat, conv)
			}
		}
		if now := o.changes(1); now != before+1 {
			t.Errorf("%d events for one that was opened again", now-before)
		}
		// What is open stays with who has it, also offline.
		o.comes(o.conn, 1)
		o.hold("an open one", []int{1}, "ana")
	})
}

func TestAGroupIsBroughtToSomebodyWhenACustomerWritesThere(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		o.enters(o.conn, o.queue(queue.AssignmentRoundRobin, "ana"), "")
		chat := group(-77, "Friends")
		o.hears(o.conn, membership(chat, ana, 1, "left", "member"))
		o.hold("only the bot came", []int{-77}, "nobody")
		o.hears(o.conn, says(chat, ana, 2, "Hi"))
		o.hold("somebody wrote", []int{-77}, "ana")
		// Given back to nobody it stays so, whatever they write.
		o.no(o.service.Assign(o.admin(), conversation.Assignment{Conversation: o.conversation(o.conn, -77).ID}))
		o.hears(o.conn, says(chat, ana, 3, "Hi?"))
		o.hold("given back", []int{-77}, "nobody")
	})
}

func TestWhatWaitsIsGivenToWhoComesOldestFirst(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		o.is(user.PresenceOffline, "ana", "bo")
		o.runs()
		o.runs() // of two servers
		q := o.queue(queue.AssignmentRoundRobin, "ana", "bo")
		o.enters(o.conn, q, "")
		for chat := 1; chat <= 60; chat++ {
			o.comes(o.conn, chat)
		}
		o.is(user.PresenceOnline, "bo")
		o.soon("everything is given to bo", func() bool { return o.loads()["bo"] == 60 })
		events, err := o.store.Reader().FeedEvent.Query().
			Where(feedevent.CampaignID(o.camp), feedevent.KindEQ(feedevent.KindConversation), feedevent.ChangeIsNil()).
			Order(ent.Asc(feedevent.FieldSeq)).All(t.Context())
		o.no(err)
		if len(events) != 60 {
			t.Errorf("%d events", len(events))
		}
		for i, e := range events {
			if *e.ConversationID != o.conversation(o.conn, i+1).ID {
				t.Fatalf("event %d is of another conversation than the oldest", i+1)
			}
		}
		o.is(user.PresenceOffline, "bo")
		o.is(user.PresenceOnline, "ana")
		if loads := o.loads(); loads["bo"] != 60 {
			t.Errorf("going away moved something: %v", loads)
		}
	})
}

func TestAChangeOfTheQueueGivesOutWhatWaits(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		q := o.queue(queue.AssignmentManual, "ana")
		o.enters(o.conn, q, "")
		o.comes(o.conn, 1, 2)
		service := o.runs()
		o.hold("a manual queue", []int{1, 2}, "waits", "waits")
		o.no(service.UpdateQueue(o.admin(), conversation.QueueChange{ID: q, Assignment: causeway.ChangeTo(queue.AssignmentLeastBusy)}))
		o.soon("ana has both", func() bool { return o.loads()["ana"] == 2 })
		o.is(user.PresenceOffline, "ana")
		o.comes(o.conn, 3)
		o.hold("nobody is there", []int{3}, "waits")
		o.no(service.UpdateQueue(o.admin(), conversation.QueueChange{ID: q, Members: causeway.ChangeTo(o.ids("ana", "bo"))}))
		o.soon("bo has the third", func() bool { return o.loads()["bo"] == 1 })
	})
}

// TestManyAtOnceAreSpreadEvenly lets as many customers come at once as there are people,
// by two servers and into two queues that share everybody: each time everybody gets one.
func TestManyAtOnceAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	names := []string{"ana", "bo", "cy", "di", "ed"}
	for _, policies := range [][2]queue.Assignment{
		{queue.AssignmentRoundRobin, queue.AssignmentRoundRobin},
		{queue.AssignmentLeastBusy, queue.AssignmentLeastBusy},
		{queue.AssignmentRoundRobin, queue.AssignmentLeastBusy},
	} {
		t.Run(fmt.Sprint(policies), func(t *testing.T) {
			t.Parallel()
			inOffice(t, names, func(o *office) {
				servers := []*conversation.Service{o.service, o.runs()}
				conns := []*ent.Connection{o.conn, o.botIn(o.camp)}
				for i, policy := range policies {
					o.enters(conns[i], o.queue(policy, names...), "")
				}
				for round := 1; round <= 4; round++ {
					o.atOnce(servers, conns, round, len(names))
					loads := o.loads()
					for _, name := range names {
						if loads[name] != round {
							t.Fatalf("after %d rounds: %v", round, loads)
						}
					}
				}
			})
		})
	}
}

// atOnce lets n new customers write at the same moment, each to a server and a
// connection.
func (o *office) atOnce(servers []*conversation.Service, conns []*ent.Connection, round, n int) {
	o.Helper()
	logs := make([]*ent.WebhookLog, n)
	for i := range n {
		o.said++
		chat := 1000*round + i
		logs[i] = o.logs(conns[i%len(conns)], writes(person(chat, fmt.Sprint("Customer ", chat)), o.said, "Hello"))[0]
	}
	var done sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		done.Go(func() {
			errs[i] = o.store.InTx(context.Background(), func(tx *store.Tx) error {
				_, err := servers[i%len(servers)].Apply(tx, logs[i:i+1])
				return err
			})
		})
	}
	done.Wait()
	o.no(errors.Join(errs...))
}

func TestTwentyCustomersAtOnceOverQueuesThatShareSomePeople(t *testing.T) {
	t.Parallel()
	for _, policy := range []queue.Assignment{queue.AssignmentRoundRobin, queue.AssignmentLeastBusy} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			inOffice(t, []string{"ana", "bo", "cy", "di"}, func(o *office) {
				conns := []*ent.Connection{o.conn, o.botIn(o.camp)}
				o.enters(conns[0], o.queue(policy, "ana", "bo", "cy"), "")
				o.enters(conns[1], o.queue(policy, "bo", "cy", "di"), "")
				o.atOnce([]*conversation.Service{o.service, o.runs()}, conns, 1, 20)
				// By turns, who is in one queue may get as few as a third of what comes there.
				least, most := 3, 7
				if policy == queue.AssignmentLeastBusy {
					least, most = 4, 6
				}
				total := 0
				for name, n := range o.loads() {
					total += n
					if n < least || n > most {
						t.Errorf("%s has %d of 20", name, n)
					}
				}
				if total != 20 {
					t.Errorf("%d of 20 were given", total)
				}
			})
		})
	}
}

func TestWhoLeavesGivesBackWhatTheyHad(t *testing.T) {
	t.Parallel()
	for how, leave := range map[string]func(o *office, tx *store.Tx) error{
		"the campaign": func(o *office, tx *store.Tx) error {
			if err := o.service.LeavesCampaign(tx, o.camp, o.people["ana"]); err != nil {
				return err
			}
			_, err := tx.CampaignMember.Delete().Where(campaignmember.UserID(o.people["ana"])).Exec(tx.Context())
			return err
		},
		"altogether": func(o *office, tx *store.Tx) error {
			if err := o.service.ShutOut(tx, o.people["ana"]); err != nil {
				return err
			}
			return tx.User.UpdateOneID(o.people["ana"]).SetDeactivatedAt(time.Now()).Exec(tx.Context())
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			inOffice(t, []string{"ana", "bo"}, func(o *office) {
				q := o.queue(queue.AssignmentRoundRobin, "ana", "bo")
				manual := o.queue(queue.AssignmentManual, "ana")
				o.enters(o.conn, q, "ana")
				o.comes(o.conn, 1, 2, 3, 4, 5)
				o.set(2, entconversation.StatusPending)
				o.set(3, entconversation.StatusClosed)
				for chat, into := range map[int]*causeway.ID{4: &manual, 5: nil} {
					a := conversation.Assignment{Conversation: o.conversation(o.conn, chat).ID, Queue: into}
					if into != nil {
						a.Assignee = &o.ids("ana")[0]
					} else {
						o.no(o.service.Assign(o.admin(), a))
						a.Assignee = &o.ids("ana")[0]
					}
					o.no(o.service.Assign(o.admin(), a))
				}
				o.hold("ana has all", between(1, 5), "ana", "ana", "ana", "ana", "ana")
				events := o.changes(1)
				o.write(func(tx *store.Tx) error { return leave(o, tx) })
				o.hold("what became of them: open, set aside, closed, of a manual queue, of none", between(1, 5),
					"bo", "waits", "ana", "waits", "nobody")
				if o.changes(1) != events+1 {
					t.Errorf("%d events", o.changes(1)-events)
				}
				if n := o.count("SELECT count(*) FROM queue_members"); n != 1 {
					t.Errorf("%d places in queues are left", n)
				}
				conn, err := o.store.Reader().Connection.Get(t.Context(), o.conn.ID)
				o.no(err)
				if conn.AssigneeID != nil || conn.QueueID == nil {
					t.Errorf("the connection still brings to %v, %v", conn.AssigneeID, conn.QueueID)
				}
				if n := o.store.Reader().FeedEvent.Query().Where(feedevent.ConnectionID(o.conn.ID), feedevent.KindEQ(feedevent.KindConnection)).CountX(t.Context()); n != 1 {
					t.Errorf("%d events of the connection", n)
				}
				o.comes(o.conn, 2, 3) // both are opened again
				o.hold("opened again", []int{2, 3}, "bo", "bo")
			})
		})
	}
}

func TestWhoIsAnAdministratorNoMoreKeepsWhatTheyHaveAsAMember(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"bo"}, func(o *office) {
		o.hire("root", user.RoleAdmin)
		elsewhere := o.bot()
		o.enters(o.conn, o.queue(queue.AssignmentRoundRobin, "root"), "")
		o.enters(elsewhere, "", "root")
		o.joins("root", campaignmember.RoleAgent)
		o.comes(o.conn, 1)
		o.comes(elsewhere, 2)
		if got := []string{o.has(o.conn, 1), o.has(elsewhere, 2)}; !slices.Equal(got, []string{"root", "root"}) {
			t.Fatalf("%v", got)
		}
		o.write(func(tx *store.Tx) error { return o.service.Demoted(tx, o.people["root"]) })
		if got := []string{o.has(o.conn, 1), o.has(elsewhere, 2)}; !slices.Equal(got, []string{"root", "nobody"}) {
			t.Errorf("%v", got)
		}
		if n := o.count("SELECT count(*) FROM queue_members"); n != 1 {
			t.Errorf("%d places in queues", n)
		}
	})
}

func TestLeavingWhileCustomersComeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	o := newOffice(t, storetest.Postgres(t), "ana", "bo")
	o.enters(o.conn, o.queue(queue.AssignmentRoundRobin, "ana", "bo"), "")
	for round := 1; round <= 8; round++ {
		var both sync.WaitGroup
		both.Go(func() { o.atOnce([]*conversation.Service{o.service}, []*ent.Connection{o.conn}, round, 6) })
		both.Go(func() {
			o.write(func(tx *store.Tx) error { return o.service.LeavesCampaign(tx, o.camp, o.people["ana"]) })
		})
		both.Wait()
		if loads := o.loads(); loads["ana"] != 0 || loads["bo"] != 6*round {
			t.Fatalf("round %d: %v", round, loads)
		}
		q := o.store.Reader().Queue.Query().FirstIDX(t.Context())
		o.no(o.service.UpdateQueue(o.admin(), conversation.QueueChange{ID: q, Members: causeway.ChangeTo(o.ids("ana", "bo"))}))
	}
}

func TestADeletedQueueLeavesItsConversationsWithWhoHasThem(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		q := o.queue(queue.AssignmentRoundRobin, "ana")
		o.enters(o.conn, q, "")
		o.comes(o.conn, 1)
		o.is(user.PresenceOffline, "ana")
		o.comes(o.conn, 2)
		before := o.changes(2)
		o.no(o.service.DeleteQueue(o.admin(), q))
		o.hold("afterwards", []int{1, 2}, "ana", "nobody")
		if o.conversation(o.conn, 1).QueueID != nil || o.changes(2) != before+1 {
			t.Errorf("%v, %d events", o.conversation(o.conn, 1), o.changes(2)-before)
		}
		if conn := o.store.Reader().Connection.GetX(t.Context(), o.conn.ID); conn.QueueID != nil {
			t.Errorf("the connection brings to %s", *conn.QueueID)
		}
		if n := o.store.Reader().FeedEvent.Query().Where(feedevent.ConnectionID(o.conn.ID), feedevent.KindEQ(feedevent.KindConnection)).CountX(t.Context()); n != 1 {
			t.Errorf("%d events of the connection", n)
		}
		o.refused(o.service.DeleteQueue(o.admin(), q), causeway.NotFound, "id")
		o.comes(o.conn, 3)
		o.hold("what is new", []int{3}, "nobody")
	})
}

func TestDeletingAQueueWhileCustomersComeFailsForNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t, storetest.Postgres(t), "ana", "bo")
	for round := 1; round <= 8; round++ {
		q := o.queue(queue.AssignmentRoundRobin, "ana", "bo")
		o.enters(o.conn, q, "")
		var both sync.WaitGroup
		both.Go(func() { o.atOnce([]*conversation.Service{o.service}, []*ent.Connection{o.conn}, round, 6) })
		both.Go(func() { o.no(o.service.DeleteQueue(o.admin(), q)) })
		both.Wait()
		if n := o.count("SELECT count(*) FROM conversations WHERE queue_id IS NOT NULL"); n != 0 {
			t.Fatalf("round %d: %d are in a queue that is gone", round, n)
		}
	}
	if n := o.count("SELECT count(*) FROM conversations"); n != 48 {
		t.Errorf("%d conversations", n)
	}
}

func TestAssigning(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana", "bo"}, func(o *office) {
		q, other := o.queue(queue.AssignmentRoundRobin, "ana"), o.queue(queue.AssignmentLeastBusy, "bo")
		o.enters(o.conn, q, "")
		o.comes(o.conn, 1)
		id := o.conversation(o.conn, 1).ID
		ana, bo, admin := o.people["ana"], o.people["bo"], o.admin()
		stranger, gone := o.hire("stranger", user.RoleAgent), causeway.NewID(causeway.PrefixUser)
		elsewhere := o.bot()
		foreign, err := o.service.CreateQueue(admin, conversation.NewQueue{Campaign: elsewhere.CampaignID, Name: "x", Assignment: queue.AssignmentManual})
		o.no(err)
		root := o.people["admin"]
		audited := o.store.Reader().AuditEntry.Query().Where(auditentry.SubjectID(id)).CountX(t.Context())
		steps := 0
		for _, step := range []struct {
			assignee, queue *causeway.ID
			has             string
			in              *causeway.ID
		}{
			{&bo, nil, "bo", &q},
			{nil, &other, "bo", &other},
			{&ana, &q, "ana", &q},
			{&root, nil, "admin", &q},
			{nil, &q, "ana", &q},
			{nil, nil, "nobody", nil},
			{&bo, nil, "bo", nil},
		} {
			before := o.changes(1)
			for range 2 { // the second changes nothing
				o.no(o.service.Assign(o.as("bo"), conversation.Assignment{Conversation: id, Assignee: step.assignee, Queue: step.queue}))
			}
			conv := o.conversation(o.conn, 1)
			if got := o.has(o.conn, 1); got != step.has || fmt.Sprint(text((*string)(conv.QueueID))) != text((*string)(step.in)) {
				t.Errorf("%s has it in %v, want %s in %v", got, conv.QueueID, step.has, step.in)
			}
			if o.changes(1) != before+1 {
				t.Errorf("%d events for %s", o.changes(1)-before, step.has)
			}
			steps++
		}
		if n := o.store.Reader().AuditEntry.Query().Where(auditentry.SubjectID(id)).CountX(t.Context()) - audited; n != steps {
			t.Errorf("%d audit entries for %d steps", n, steps)
		}
		try := func(assignee, queue *causeway.ID) error {
			return o.service.Assign(admin, conversation.Assignment{Conversation: id, Assignee: assignee, Queue: queue})
		}
		none := causeway.ID("")
		o.refused(try(&stranger, nil), causeway.InvalidInput, "input.assigneeId")
		o.refused(try(&gone, nil), causeway.InvalidInput, "input.assigneeId")
		o.refused(try(&none, nil), causeway.InvalidInput, "input.assigneeId")
		o.refused(try(nil, &foreign), causeway.NotFound, "input.queueId")
		o.refused(try(nil, &none), causeway.NotFound, "input.queueId")
		o.refused(o.service.Take(o.as("stranger"), id), causeway.NotFound, "id")
		o.refused(o.service.SetStatus(o.as("stranger"), id, entconversation.StatusClosed), causeway.NotFound, "input.id")
		o.write(func(tx *store.Tx) error {
			return tx.User.UpdateOneID(ana).SetDeactivatedAt(time.Now()).Exec(tx.Context())
		})
		o.refused(try(&ana, nil), causeway.InvalidInput, "input.assigneeId")
		o.hold("after all that", []int{1}, "bo")
		o.no(o.service.Take(admin, id))
		o.hold("an administrator took it", []int{1}, "admin")
	})
}

func TestTheStatusThatItHasAlreadyIsNoEvent(t *testing.T) {
	t.Parallel()
	inOffice(t, nil, func(o *office) {
		o.comes(o.conn, 1)
		before := o.changes(1)
		for _, status := range []entconversation.Status{"CLOSED", "CLOSED", "PENDING", "PENDING", "OPEN", "OPEN"} {
			o.set(1, status)
			conv := o.conversation(o.conn, 1)
			if conv.Status != status || (conv.ClosedAt != nil) != (status == "CLOSED") {
				t.Errorf("%s: %v", status, conv)
			}
		}
		if n := o.changes(1) - before; n != 3 {
			t.Errorf("%d events", n)
		}
	})
}

func TestWhatCannotBeAQueueIsRefused(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		admin, stranger := o.admin(), o.hire("stranger", user.RoleAgent)
		create := func(ctx context.Context, name string, members ...causeway.ID) error {
			_, err := o.service.CreateQueue(ctx, conversation.NewQueue{Campaign: o.camp, Name: name, Members: members, Assignment: queue.AssignmentManual})
			return err
		}
		o.no(create(admin, " Sales ", o.people["ana"], o.people["ana"], o.people["admin"]))
		sales := o.store.Reader().Queue.Query().Where(queue.Name("Sales")).OnlyX(t.Context())
		o.refused(create(admin, "Sales"), causeway.Conflict, "input.name")
		o.refused(create(admin, " "), causeway.InvalidInput, "input.name")
		o.refused(create(admin, strings.Repeat("字", 201)), causeway.InvalidInput, "input.name")
		o.refused(create(admin, "A", stranger), causeway.InvalidInput, "input.memberIds")
		o.refused(create(admin, "B", causeway.NewID(causeway.PrefixUser)), causeway.NotFound, "input.memberIds")
		o.refused(create(o.as("stranger"), "C"), causeway.NotFound, "input.campaignId")
		o.refused(create(o.as("ana"), "C"), causeway.Forbidden, "")
		o.refused(create(t.Context(), "C"), causeway.Unauthenticated, "")
		support := o.queue(queue.AssignmentManual)
		change := func(ctx context.Context, c conversation.QueueChange) error {
			c.ID = support
			return o.service.UpdateQueue(ctx, c)
		}
		o.refused(change(admin, conversation.QueueChange{Name: causeway.ChangeTo("Sales")}), causeway.Conflict, "input.name")
		o.refused(change(admin, conversation.QueueChange{Name: causeway.Change[string]{Given: true}}), causeway.InvalidInput, "input.name")
		o.refused(change(admin, conversation.QueueChange{Assignment: causeway.Change[queue.Assignment]{Given: true}}), causeway.InvalidInput, "input.assignment")
		o.refused(change(admin, conversation.QueueChange{Members: causeway.ChangeTo([]causeway.ID{stranger})}), causeway.InvalidInput, "input.memberIds")
		o.refused(change(o.as("ana"), conversation.QueueChange{}), causeway.Forbidden, "")
		o.refused(change(o.as("stranger"), conversation.QueueChange{}), causeway.NotFound, "input.id")
		o.refused(o.service.DeleteQueue(o.as("ana"), sales.ID), causeway.Forbidden, "")
		members, err := o.service.MembersOf(t.Context(), []causeway.ID{sales.ID, support})
		o.no(err)
		if len(members[sales.ID]) != 2 || members[support] == nil || len(members[support]) != 0 {
			t.Errorf("members %v", members)
		}
		o.no(o.service.UpdateQueue(admin, conversation.QueueChange{ID: sales.ID, Members: causeway.Change[[]causeway.ID]{Given: true}}))
		if n := o.store.Reader().QueueMember.Query().Where(queuemember.QueueID(sales.ID)).CountX(t.Context()); n != 0 {
			t.Errorf("%d members are left", n)
		}
		actions := o.store.Reader().AuditEntry.Query().Where(auditentry.SubjectID(sales.ID)).Order(ent.Asc(auditentry.FieldAt)).AllX(t.Context())
		if len(actions) != 2 || actions[0].Action != "createQueue" || actions[1].Action != "updateQueue" {
			t.Errorf("audited %v", actions)
		}
	})
}

// TestRoutingIsFair lets anything happen in any order: whoever gets a conversation is
// at work and a member, nobody who could have it waits, and within a queue nobody who is
// there all the time gets two more than another.
func TestRoutingIsFair(t *testing.T) {
	t.Parallel()
	names := []string{"ana", "bo", "cy"}
	rapid.Check(t, func(r *rapid.T) {
		o := newOffice(t, storetest.SQLite(t), names...)
		policy := rapid.SampledFrom([]queue.Assignment{queue.AssignmentRoundRobin, queue.AssignmentLeastBusy}).Draw(r, "policy")
		o.enters(o.conn, o.queue(policy, names...), "")
		online := map[string]bool{"ana": true, "bo": true, "cy": true}
		got := map[string]int{} // since anything else changed
		chat := 0
		for range rapid.IntRange(5, 25).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"comes", "comes", "comes", "presence", "member"}).Draw(r, "step") {
			case "comes":
				n := rapid.IntRange(1, 4).Draw(r, "customers")
				o.comes(o.conn, between(chat+1, chat+n)...)
				for _, c := range between(chat+1, chat+n) {
					has := o.has(o.conn, c)
					if (has == "waits") != !anybody(online) || has != "waits" && !online[has] {
						r.Fatalf("%s got it while %v are there", has, online)
					}
					got[has]++
				}
				chat += n
			case "presence":
				name := rapid.SampledFrom(names).Draw(r, "who")
				online[name] = !online[name]
				o.is(map[bool]user.Presence{true: user.PresenceOnline, false: user.PresenceAway}[online[name]], name)
				got = map[string]int{}
			case "member":
				name := rapid.SampledFrom(names).Draw(r, "who")
				q := o.store.Reader().Queue.Query().OnlyIDX(t.Context())
				o.write(func(tx *store.Tx) error { return o.service.LeavesCampaign(tx, o.camp, o.people[name]) })
				if has := o.loads()[name]; has != 0 {
					r.Fatalf("%s left and has %d", name, has)
				}
				o.no(o.service.UpdateQueue(o.admin(), conversation.QueueChange{ID: q, Members: causeway.ChangeTo(o.ids(names...))}))
				got = map[string]int{}
			}
			if policy == queue.AssignmentRoundRobin {
				for a, there := range online {
					for b := range online {
						if there && online[b] && got[a] > got[b]+1 {
							r.Fatalf("%s got %d and %s %d of what came while both were there", a, got[a], b, got[b])
						}
					}
				}
			}
		}
		if policy == queue.AssignmentLeastBusy && len(got) > 0 {
			r.Logf("loads %v", o.loads())
		}
	})
}

func anybody(online map[string]bool) bool {
	return slices.Contains(slices.Collect(maps.Values(online)), true)
}

func TestRoutingRunsAlongIndexes(t *testing.T) {
	t.Parallel()
	storetest.EachTraced(t, func(t *testing.T, s *store.Store, asked *storetest.Statements) {
		o := newOffice(t, s, "ana")
		o.runs()
		client, ctx := s.Reader(), t.Context()
		ids := o.ids("ana")
		asked.Take()
		_, err := conversation.OldestIn(client, ids[0]).IDs(ctx)
		o.no(err)
		_, err = conversation.OpenWith(client, ids).GroupBy(entconversation.FieldAssigneeID).Aggregate(ent.Count()).Strings(ctx)
		if err != nil && !strings.Contains(err.Error(), "columns") {
			t.Fatal(err)
		}
		_, err = client.QueueMember.Query().Where(queuemember.UserIDIn(ids...)).IDs(ctx)
		o.no(err)
		_, err = client.QueueMember.Query().Where(queuemember.QueueIDIn(ids...)).IDs(ctx)
		o.no(err)
		_, err = client.Conversation.Query().Where(entconversation.AssigneeID(ids[0]), entconversation.StatusIn("OPEN", "PENDING")).IDs(ctx)
		o.no(err)
		_, err = client.Conversation.Query().Where(entconversation.QueueID(ids[0])).IDs(ctx)
		o.no(err)
		_, err = client.Connection.Query().Where(entconnection.AssigneeID(ids[0])).IDs(ctx)
		o.no(err)
		_, err = client.Connection.Query().Where(entconnection.QueueID(ids[0])).IDs(ctx)
		o.no(err)
		statements := append(asked.Take(), storetest.Statement{Query: conversation.WaitingIn, Args: []any{"", 500}})
		if len(statements) < 9 {
			t.Fatalf("only %d statements", len(statements))
		}
		for _, statement := range statements {
			if scan := storetest.FullScan(t, s, statement); scan != "" {
				t.Errorf("%s\n%s", statement.Query, scan)
			}
		}
	})
}

func TestWhatABotHasInHandGoesToSomebodyOnlyWhenItGivesItToUs(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		conn := o.pageIn(o.camp)
		o.enters(conn, o.queue(queue.AssignmentRoundRobin, "ana"), "")
		whose := func() string {
			conv := o.conversation(conn, mia.ID)
			switch {
			case conv.AssigneeID != nil:
				return o.names[*conv.AssigneeID]
			case conv.QueueID != nil:
				return "waits"
			default:
				return "nobody"
			}
		}
		began := causeway.Stamp(time.Now())
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		o.happens(conn, platform.MessageAdded{Chat: mia, ID: "m_1", Content: platform.Content{Text: "Menu"}, Standby: true, SentAt: at(1)})
		if got := whose(); got != "nobody" {
			t.Errorf("while the bot answers it is with %s", got)
		}
		o.happens(conn, platform.ThreadOwned{Chat: mia, ID: "1", App: ourApp, At: at(2), Text: "Passed to us"})
		if got := whose(); got != "ana" {
			t.Errorf("given to us it is with %s", got)
		}
	})
}

func TestACustomerWhoComesToUsAfterABotGoesToSomebody(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		conn := o.pageIn(o.camp)
		o.enters(conn, "", "ana")
		began := causeway.Stamp(time.Now())
		o.happens(conn, platform.MessageAdded{Chat: mia, ID: "m_1", Content: platform.Content{Text: "Menu"}, Standby: true, SentAt: began})
		o.miaSays(conn, "m_2", "Somebody?", began.Add(time.Second))
		if conv := o.conversation(conn, mia.ID); conv.AssigneeID == nil || o.names[*conv.AssigneeID] != "ana" {
			t.Errorf("it is %v's", conv.AssigneeID)
		}
	})
}

func TestWhatAnotherAppTookWhileItWaitedIsGivenToNobody(t *testing.T) {
	t.Parallel()
	inOffice(t, []string{"ana"}, func(o *office) {
		conn, q := o.pageIn(o.camp), o.queue(queue.AssignmentRoundRobin, "ana")
		o.enters(conn, q, "")
		o.enters(o.conn, q, "")
		o.is(user.PresenceOffline, "ana")
		began := causeway.Stamp(time.Now())
		o.miaSays(conn, "m_1", "Hello?", began)
		o.happens(conn, platform.ThreadOwned{Chat: mia, ID: "1", App: "777", At: began.Add(time.Second), Text: "Taken by app 777"})
		o.comes(o.conn, 2)
		o.runs()
		o.is(user.PresenceOnline, "ana")
		o.soon("who came later is given to ana", func() bool { return o.has(o.conn, 2) == "ana" })
		if conv := o.conversation(conn, mia.ID); conv.AssigneeID != nil || conv.QueueID == nil {
			t.Errorf("what a bot has in hand is with %v in %v", conv.AssigneeID, conv.QueueID)
		}
	})
}
