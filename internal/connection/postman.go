package connection

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaignmember"
	entconnection "causeway/ent/connection"
	"causeway/ent/noticeletter"
	"causeway/ent/user"
	"causeway/internal/mail"
	"causeway/internal/platform"
	"causeway/internal/problem"
	"causeway/internal/queue"
	"causeway/internal/store"
)

const (
	// mailLease is how long a letter is one worker's: longer than handing it over may take.
	mailLease = 2 * time.Minute
	// mailWorkers is how many letters are handed over at the same time.
	mailWorkers = 2
	// mailPoll is how often to look which letter's time has come.
	mailPoll = 5 * time.Second
	// mailRepeat is when a letter that the mail server did not take is offered again; each
	// further time doubles it, up to mailLongest.
	mailRepeat  = time.Minute
	mailLongest = time.Hour
	// keepMailing is how long a letter is offered to a mail server that does not take it.
	keepMailing = 24 * time.Hour
	// noteWithin bounds the writing down of what became of a letter.
	noteWithin = 5 * time.Second
)

// postman hands the letters of notices to the mail server, each after the commit that
// wrote it, and once. Between the server's yes and the note of it a crash may come: then
// the letter is handed over again, under the same id, by which mailboxes know it. The
// other way round, nobody would hear of a connection that stays dead.
type postman struct {
	*Service
	queue *queue.Queue
}

func newPostman(s *Service) *postman {
	p := &postman{Service: s}
	p.queue = queue.New(queue.Config{
		Store: s.store, Clock: s.clock, Log: s.log,
		Table:     queue.Table{Name: noticeletter.Table, Waiting: "state = 'WAITING'", Order: noticeletter.FieldQueueOrder},
		Batch:     1, // so that no letter waits for another one's mail server
		Workers:   mailWorkers,
		LeaseFor:  mailLease,
		PollEvery: mailPoll,
		Handle:    p.handle,
	})
	return p
}

func (p *postman) handle(ctx context.Context, items []queue.Item) {
	for _, item := range items {
		if err := p.deliver(ctx, item); err != nil && !errors.Is(err, queue.ErrLeaseLost) && ctx.Err() == nil {
			p.log.Error("a letter was left for later", "letter", item.ID, "error", err)
		}
	}
}

// deliver hands over a letter, if somebody still needs it, and writes down what became
// of it.
func (p *postman) deliver(ctx context.Context, item queue.Item) error {
	letter, err := p.store.Reader().NoticeLetter.Query().
		Where(noticeletter.ID(item.ID)).
		WithUser().
		WithNotice(func(q *ent.NoticeQuery) {
			q.WithConnection(func(q *ent.ConnectionQuery) { q.WithCampaign() })
		}).
		Only(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", item.ID, err)
	}
	needed, err := p.needed(ctx, letter)
	if err != nil {
		return err
	}
	if !needed {
		return p.end(ctx, item, noticeletter.StateDropped)
	}
	written, err := p.compose(letter)
	if err != nil {
		return err
	}
	err = p.mail.Send(ctx, written)
	log := p.log.With("letter", letter.ID, "user", letter.UserID, "connection", letter.Edges.Notice.ConnectionID)
	switch {
	case err == nil:
		log.Info("somebody was told of a connection that does not work")
		return p.end(ctx, item, noticeletter.StateSent)
	case errors.Is(err, mail.ErrRefused):
		log.Warn("a letter was refused", "error", err)
		return p.end(ctx, item, noticeletter.StateRefused)
	case ctx.Err() != nil: // the server stops; the next start goes on
		return p.again(ctx, item, p.clock.Now())
	case !p.clock.Now().Before(letter.CreatedAt.Add(keepMailing)):
		log.Error("a letter was given up", "error", err)
		return p.end(ctx, item, noticeletter.StateLate)
	default:
		log.Warn("a letter was not taken", "attempt", item.Attempts, "error", err)
		return p.again(ctx, item, p.clock.Now().Add(mailWait(item.Attempts)))
	}
}

// needed tells whether the letter still has something to say, to somebody who may know.
func (p *postman) needed(ctx context.Context, letter *ent.NoticeLetter) (bool, error) {
	of, person := letter.Edges.Notice, letter.Edges.User
	conn := of.Edges.Connection
	switch {
	case of.ClosedAt != nil, conn.DisconnectedAt != nil, conn.Status == entconnection.StatusActive,
		conn.Edges.Campaign.ArchivedAt != nil, person.DeactivatedAt != nil:
		return false, nil
	case person.Role == user.RoleAdmin:
		return true, nil
	}
	manages, err := p.store.Reader().CampaignMember.Query().
		Where(campaignmember.CampaignID(letter.CampaignID), campaignmember.UserID(person.ID), campaignmember.RoleEQ(campaignmember.RoleManager)).
		Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read whether %s is still for its reader: %w", letter.ID, err)
	}
	return manages, nil
}

// compose puts what is wrong with the connection now into the reader's language.
func (p *postman) compose(letter *ent.NoticeLetter) (mail.Message, error) {
	of, person := letter.Edges.Notice, letter.Edges.User
	conn := of.Edges.Connection
	language := problem.Match(person.Language)
	told := mail.Notice{
		Language: language, Platform: brand(conn.Platform), Connection: conn.Name, Campaign: conn.Edges.Campaign.Name,
		Since: of.OpenedAt, Link: p.linkTo(conn.ID),
	}
	if conn.Problem != nil && p.words != nil {
		words := p.words.Text(language, *conn.Problem)
		told.Message, told.Causes, told.Solutions = words.Message, words.Causes, words.Solutions
		told.PlatformWords, told.Since = conn.Problem.PlatformMessage, conn.Problem.OccurredAt
	}
	written, err := mail.Compose(told)
	if err != nil {
		return mail.Message{}, fmt.Errorf("compose %s: %w", letter.ID, err)
	}
	written.ID, written.To = string(letter.ID), person.Email
	return written, nil
}

// linkTo is where a person looks at a connection: the page at the console's address,
// which is told the connection's id.
func (s *Service) linkTo(id causeway.ID) string {
	if s.console == "" {
		return ""
	}
	return strings.TrimRight(s.console, "/") + "/?connection=" + url.QueryEscape(string(id))
}

// brand is what people call a platform.
func brand(name platform.Name) string {
	switch name {
	case platform.Messenger:
		return "Messenger"
	case platform.Telegram:
		return "Telegram"
	default:
		return string(name)
	}
}

// end writes down what became of a letter. It is written also while the server stops:
// the mail server cannot be asked.
func (p *postman) end(ctx context.Context, item queue.Item, state noticeletter.State) error {
	return p.note(ctx, item, func(tx *store.Tx) error {
		update := tx.NoticeLetter.UpdateOneID(item.ID).SetState(state).ClearLeasedUntil()
		if state == noticeletter.StateSent {
			update.SetSentAt(p.clock.Now())
		}
		return update.Exec(tx.Context())
	})
}

func (p *postman) again(ctx context.Context, item queue.Item, at time.Time) error {
	return p.note(ctx, item, func(tx *store.Tx) error { return p.queue.Retry(tx, item, at) })
}

func (p *postman) note(ctx context.Context, item queue.Item, change func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	err := p.store.InTx(ctx, func(tx *store.Tx) error {
		if err := p.queue.Fence(tx, item); err != nil {
			return err
		}
		return change(tx)
	})
	if err != nil {
		return fmt.Errorf("note what became of %s: %w", item.ID, err)
	}
	return nil
}

// mailWait is how long a letter waits after its n-th try, counted from one, and up to a
// fifth more.
func mailWait(n int) time.Duration {
	wait := min(mailRepeat<<min(max(n-1, 0), 16), mailLongest)
	return wait + rand.N(wait/5)
}
