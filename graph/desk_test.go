package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	entconversation "causeway/ent/conversation"
	"causeway/ent/message"
	"causeway/ent/queue"
	"causeway/ent/testreport"
	"causeway/ent/user"
	"causeway/ent/webhooklog"
	"causeway/graph"
	"causeway/internal/audit"
	"causeway/internal/auth"
	"causeway/internal/campaign"
	"causeway/internal/connection"
	"causeway/internal/conversation"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/problem"
	"causeway/internal/store"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// desk is the schema over a database, without a server around it.
type desk struct {
	t                     *testing.T
	db                    *store.Store
	exec                  *executor.Executor
	admin, manager, agent *auth.Viewer
}

func newDesk(t *testing.T, db *store.Store) *desk {
	t.Helper()
	problems, err := problem.New()
	if err != nil {
		t.Fatal(err)
	}
	viewers := db.NewReader()
	for _, guard := range []func(*ent.Client){auth.Guard, campaign.Guard, connection.Guard, intake.Guard, conversation.Guard, feed.Guard, audit.Guard} {
		guard(viewers)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	conversations := conversation.New(conversation.Config{Store: db, Clock: causeway.System{}, Log: log})
	t.Cleanup(func() { _ = conversations.Close() })
	r := &graph.Resolver{
		Viewers: viewers, Store: db, Problems: problems, Clock: causeway.System{}, Log: log,
		Connections: connection.New(connection.Config{Store: db}), Conversations: conversations,
	}
	d := &desk{t: t, db: db, exec: executor.New(graph.NewSchema(r))}
	d.exec.SetErrorPresenter(r.PresentError)
	d.exec.SetRecoverFunc(r.Recover)
	for _, e := range r.Extensions() {
		d.exec.Use(e)
	}
	d.write(func(ctx context.Context, tx *store.Tx) error {
		for _, who := range []struct {
			viewer **auth.Viewer
			name   string
			role   user.Role
		}{{&d.admin, "admin", user.RoleAdmin}, {&d.manager, "manager", user.RoleAgent}, {&d.agent, "agent", user.RoleAgent}} {
			person, err := tx.User.Create().SetEmail(who.name).SetName(who.name).SetRole(who.role).SetPasswordHash("none").SetCreatedAt(noon).Save(ctx)
			if err != nil {
				return err
			}
			*who.viewer = &auth.Viewer{UserID: person.ID, Admin: who.role == user.RoleAdmin, Language: "en"}
		}
		return nil
	})
	return d
}

func (d *desk) write(fn func(ctx context.Context, tx *store.Tx) error) {
	d.t.Helper()
	ctx := context.Background()
	if err := d.db.InTx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }); err != nil {
		d.t.Fatal(err)
	}
}

// answers runs an operation for a viewer, or for nobody.
func (d *desk) answers(viewer *auth.Viewer, query string, variables map[string]any) *graphql.Response {
	d.t.Helper()
	ctx := graphql.StartOperationTrace(context.Background())
	if viewer != nil {
		ctx = auth.WithViewer(ctx, viewer)
	}
	op, errs := d.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return d.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)
	}
	responses, ctx := d.exec.DispatchOperation(ctx, op)
	return responses(ctx)
}

// gets is answers for what must work.
func (d *desk) gets(viewer *auth.Viewer, query string, variables map[string]any) map[string]any {
	d.t.Helper()
	response := d.answers(viewer, query, variables)
	if len(response.Errors) > 0 {
		d.t.Fatalf("%s\n%v", query, response.Errors)
	}
	var data map[string]any
	if err := json.Unmarshal(response.Data, &data); err != nil {
		d.t.Fatal(err)
	}
	return data
}

// full is what a campaign holds.
type full struct {
	campaign, connection, conversation, contact, message, log, report, tag, queue, quickReply causeway.ID
}

// fill makes a campaign with so many connections, conversations, messages in the
// first of them, logs and reports; the last of each is told.
func (d *desk) fill(name string, connections, conversations int) full {
	d.t.Helper()
	var f full
	d.write(func(ctx context.Context, tx *store.Tx) error {
		camp := tx.Campaign.Create().SetName(name).SetCreatedAt(noon).SaveX(ctx)
		f.campaign = camp.ID
		tx.CampaignMember.Create().SetCampaignID(camp.ID).SetUserID(d.manager.UserID).SetRole(campaignmember.RoleManager).SetJoinedAt(noon).ExecX(ctx)
		tx.CampaignMember.Create().SetCampaignID(camp.ID).SetUserID(d.agent.UserID).SetRole(campaignmember.RoleAgent).SetJoinedAt(noon).ExecX(ctx)
		for i := range connections {
			key := fmt.Sprint(name, i)
			f.connection = tx.Connection.Create().SetCampaignID(camp.ID).SetPlatform(platform.Telegram).SetAccountID(key).
				SetProfile(platform.Profile{}).SetName(key).SetStatus(entconnection.StatusActive).SetDelivery(entconnection.DeliveryWebhook).
				SetWebhookKey(key).SetWebhookStatus(entconnection.WebhookStatusActive).SetConnectedAt(noon.Add(time.Duration(i) * time.Second)).SaveX(ctx).ID
		}
		f.queue = tx.Queue.Create().SetCampaignID(camp.ID).SetName("Front").SetAssignment(queue.AssignmentManual).SetCreatedAt(noon).SaveX(ctx).ID
		for i := range connections {
			key := fmt.Sprint("word", i)
			f.tag = tx.Tag.Create().SetCampaignID(camp.ID).SetName(key).SetCreatedAt(noon).SaveX(ctx).ID
			f.quickReply = tx.QuickReply.Create().SetCampaignID(camp.ID).SetShortcut(key).SetText("Hello").SetCreatedAt(noon).SaveX(ctx).ID
		}
		var first causeway.ID
		for i := range conversations {
			d.converse(ctx, tx, &f, &first, i)
		}
		return nil
	})
	return f
}

func (d *desk) converse(ctx context.Context, tx *store.Tx, f *full, first *causeway.ID, i int) {
	key, at := fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute)
	f.contact = tx.Contact.Create().SetCampaignID(f.campaign).SetConnectionID(f.connection).SetAccountID("a").SetPlatform(platform.Telegram).
		SetExternalID(key).SetName("Customer " + key).SetCreatedAt(at).SaveX(ctx).ID
	f.conversation = tx.Conversation.Create().SetCampaignID(f.campaign).SetConnectionID(f.connection).SetAccountID("a").SetPlatform(platform.Telegram).
		SetContactID(f.contact).SetChat(key).SetStatus(entconversation.StatusOpen).SetUnreadCount(i % 2).SetLastMessageAt(at).SetCreatedAt(at).SaveX(ctx).ID
	if *first == "" {
		*first = f.conversation
	}
	tx.Tagging.Create().SetCampaignID(f.campaign).SetConversationID(f.conversation).SetTagID(f.tag).ExecX(ctx)
	if i%2 == 0 {
		tx.Conversation.UpdateOneID(f.conversation).SetAssigneeID(d.agent.UserID).SetQueueID(f.queue).ExecX(ctx)
	}
	f.log = tx.WebhookLog.Create().SetCampaignID(f.campaign).SetConnectionID(f.connection).SetAccountID("a").SetUpdateKey(key).SetEventType("message").
		SetPayload([]byte(`{}`)).SetStatus(webhooklog.StatusPending).SetReceivedAt(at).SetPosition(at.UnixNano()).SetQueueKey(key).SetNextTryAt(at).SaveX(ctx).ID
	for n, conversation := range []causeway.ID{f.conversation, *first} {
		create := tx.Message.Create().SetCampaignID(f.campaign).SetConnectionID(f.connection).SetAccountID("a").SetConversationID(conversation).
			SetContactID(f.contact).SetWebhookLogID(f.log).SetSeq(int64(2*i + n + 1)).SetDirection(message.DirectionInbound).
			SetAuthorKind(message.AuthorKindCustomer).SetText("Hello").SetStatus(message.StatusReceived).SetExternalID(fmt.Sprint(i, "-", n)).SetSentAt(at).SetCreatedAt(at)
		if f.message != "" {
			create.SetReplyToID(f.message)
		}
		f.message = create.SaveX(ctx).ID
		if n == 0 {
			tx.Conversation.UpdateOneID(f.conversation).SetLastMessageID(f.message).ExecX(ctx)
		}
		tx.Attachment.Create().SetCampaignID(f.campaign).SetMessageID(f.message).SetPlace(0).SetKind(platform.Image).ExecX(ctx)
		for _, subject := range []causeway.ID{f.conversation, f.contact, f.connection} {
			tx.AuditEntry.Create().SetCampaignID(f.campaign).SetAt(at).SetAction("tagConversation").SetActorID(d.agent.UserID).SetSubjectID(subject).
				SetDetails(json.RawMessage(`{}`)).ExecX(ctx)
		}
		tx.Reaction.Create().SetCampaignID(f.campaign).SetMessageID(f.message).SetContactID(f.contact).SetEmoji("👍").SetAt(at).ExecX(ctx)
	}
	f.report = tx.TestReport.Create().SetCampaignID(f.campaign).SetConnectionID(f.connection).SetKind(testreport.KindHealth).SetPassed(true).
		SetChecks([]platform.Check{}).SetStartedAt(at).SetDurationMs(1).SaveX(ctx).ID
}
