package conversation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/attachment"
	"causeway/ent/feedevent"
	"causeway/internal/feed"
	"causeway/internal/media"
	"causeway/internal/platform"
	"causeway/internal/queue"
	"causeway/internal/store"
)

const (
	// fetchWorkers is how many files are fetched at the same time, and fetchPerAccount how
	// many of them of one account, so that one whose platform hangs leaves workers to the
	// others.
	fetchWorkers    = 12
	fetchPerAccount = 8
	// fetchDeadline bounds the fetching of one file, with a second more for each 256 KiB
	// that it may have.
	fetchDeadline = 30 * time.Second
	// fetchPoll is how often to look whose time has come.
	fetchPoll = time.Second
	// fetchGrace is how long what is being fetched may finish when the server stops: it
	// can be fetched again.
	fetchGrace = time.Second
)

// changeAttachments is a MessageChange of the contract's.
const changeAttachments = "ATTACHMENTS"

// errNoMedia is a server without a media store.
var errNoMedia = errors.New("this server keeps no files")

func isTooLarge(err error) bool { return errors.Is(err, media.ErrTooLarge) }

// fetchWaits are how long to wait after each failed try; after one more it is given up.
func fetchWaits() []time.Duration {
	return []time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute}
}

// fetcher fetches what customers sent, each file by itself, after its message was
// stored: no message waits for a file, and no file for another.
type fetcher struct {
	*Service
	queue *queue.Queue
	crowd crowd
}

func newFetcher(s *Service) *fetcher {
	f := &fetcher{Service: s, crowd: crowd{most: fetchPerAccount}}
	f.queue = queue.New(queue.Config{
		Store: s.store, Clock: s.clock, Log: s.log,
		Table:     queue.Table{Name: attachment.Table, Waiting: "state = 'PENDING'", Order: attachment.FieldQueueOrder},
		Batch:     1,
		Workers:   fetchWorkers,
		LeaseFor:  timeFor(s.maxMedia) + recordWithin,
		PollEvery: fetchPoll,
		Grace:     fetchGrace,
		Handle:    f.handle,
	})
	return f
}

// timeFor is how long the fetching of so many bytes may take.
func timeFor(bytes int64) time.Duration {
	return fetchDeadline + time.Duration(bytes/slowest)*time.Second
}

// start begins to fetch, where there is a place to keep files.
func (f *fetcher) start() {
	if f.media != nil {
		f.queue.Start()
	}
}

func (f *fetcher) handle(ctx context.Context, items []queue.Item) {
	for _, item := range items {
		if err := f.fetch(ctx, item); err != nil && !errors.Is(err, queue.ErrLeaseLost) && ctx.Err() == nil {
			f.log.Warn("a file was left for later", "attachment", item.ID, "error", err)
		}
	}
}

func (f *fetcher) fetch(ctx context.Context, item queue.Item) error {
	a, err := f.store.Reader().Attachment.Query().Where(attachment.ID(item.ID)).
		WithMessage(func(q *ent.MessageQuery) {
			q.WithConversation(func(q *ent.ConversationQuery) { q.WithConnection() })
		}).
		Only(ctx)
	if ent.IsNotFound(err) { // an edit took it away
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", item.ID, err)
	}
	m := a.Edges.Message
	if !f.crowd.enter(m.ConnectionID) {
		return f.write(ctx, item, a, find{next: f.clock.Now().Add(crowded)})
	}
	defer f.crowd.leave(m.ConnectionID)
	found := f.look(ctx, a)
	if ctx.Err() != nil { // the server stops
		return nil
	}
	f.patience(&found, item, m)
	if found.check {
		if err := f.accounts.CheckSoon(context.WithoutCancel(ctx), m.ConnectionID); err != nil {
			f.log.Warn("a check was not asked for", "connection", m.ConnectionID, "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	return f.write(ctx, item, a, found)
}

// find is what became of a try to fetch something.
type find struct {
	blob  media.Blob
	state attachment.State // empty: it waits
	next  time.Time        // if it waits, until when; zero: as long as after a failed try
	tried bool             // it counts as a try
	check bool             // the connection is to be checked
}

// look fetches a message's file.
func (f *fetcher) look(ctx context.Context, a *ent.Attachment) find {
	m := a.Edges.Message
	conn := m.Edges.Conversation.Edges.Connection
	if m.DeletedAt != nil || conn.DisconnectedAt != nil || conn.AccountID != m.AccountID {
		return find{state: attachment.StateFailed}
	}
	if obstacle(m.Edges.Conversation) != nil {
		return find{next: f.clock.Now().Add(jittered(holdFor))}
	}
	blob, err := f.download(ctx, m.ConnectionID, deref(a.PlatformRef), f.maxMedia)
	return f.findOf(a.ID, blob, err)
}

// download fetches a file of an account's and keeps it.
func (s *Service) download(ctx context.Context, connection causeway.ID, ref string, limit int64) (media.Blob, error) {
	ctx, cancel := context.WithTimeout(ctx, timeFor(limit))
	defer cancel()
	account, err := s.accounts.Open(ctx, connection)
	if err != nil {
		return media.Blob{}, err
	}
	from, ok := account.(platform.Fetcher)
	if !ok {
		return media.Blob{}, &platform.Refusal{Kind: platform.Rejected, Method: "fetch", Message: "the platform hands out no files"}
	}
	file, err := from.Fetch(ctx, ref)
	if err != nil {
		return media.Blob{}, err
	}
	defer func() { _ = file.Body.Close() }()
	if file.Size > limit {
		return media.Blob{}, media.ErrTooLarge
	}
	return s.media.Put(ctx, file.Body, limit)
}

// findOf is what becomes of a file by what its download came to. Errors of accounts
// hold no secret.
func (f *fetcher) findOf(id causeway.ID, blob media.Blob, err error) find {
	if err == nil {
		return find{state: attachment.StateStored, blob: blob, tried: true}
	}
	f.log.Debug("a file was not fetched", "attachment", id, "error", err)
	r := platform.Refused(err)
	switch {
	case isTooLarge(err), r != nil && r.Kind == platform.TooLarge:
		return find{state: attachment.StateTooLarge, tried: true}
	case causeway.CodeOf(err) == causeway.NotConnected:
		return find{state: attachment.StateFailed}
	case r == nil:
		return find{tried: true}
	case r.Kind == platform.RetryAfter:
		return find{next: f.clock.Now().Add(jittered(max(r.Wait, unsaid)))}
	case ofConnection(r) != "":
		return find{next: f.clock.Now().Add(jittered(holdFor)), check: true}
	case r.Kind == platform.Unavailable, r.Kind == platform.Unreachable:
		return find{tried: true}
	default:
		return find{state: attachment.StateFailed, tried: true}
	}
}

// patience ends what was tried often enough, or has waited for a day, and says when the
// rest is tried again.
func (f *fetcher) patience(found *find, item queue.Item, m *ent.Message) {
	after := fetchWaits()
	now := f.clock.Now()
	switch {
	case found.state != "":
	case found.tried && item.Attempts > len(after), !found.tried && now.Sub(m.CreatedAt) >= keepTrying:
		found.state = attachment.StateFailed
	case found.tried:
		found.next = now.Add(jittered(after[item.Attempts-1]))
	}
}

// write makes what was found true, if the file is still in this worker's hands, and
// tells agents what they see of it.
func (f *fetcher) write(ctx context.Context, item queue.Item, a *ent.Attachment, found find) error {
	err := f.store.InTx(ctx, func(tx *store.Tx) error {
		if err := f.queue.Fence(tx, item); err != nil {
			return err
		}
		u := tx.Attachment.Update().Where(attachment.ID(a.ID)).ClearLeasedUntil()
		if !found.tried { // the claim counted it
			u.SetAttempts(item.Attempts - 1)
		}
		if found.state == "" {
			return u.SetNextTryAt(causeway.Stamp(found.next)).Exec(ctx)
		}
		u.SetState(found.state)
		if b := found.blob; found.state == attachment.StateStored {
			u.SetHash(b.Hash).SetSize(int(b.Size)).SetMimeType(b.MimeType).
				SetNillableWidth(positive(b.Width)).SetNillableHeight(positive(b.Height))
		}
		if err := u.Exec(ctx); err != nil {
			return err
		}
		m := a.Edges.Message
		f.feed.Append(tx, feed.Event{
			Campaign: a.CampaignID, Kind: feedevent.KindMessage, Change: changeAttachments,
			Conversation: m.ConversationID, Message: m.ID,
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("write down what became of %s: %w", a.ID, err)
	}
	return nil
}

// crowd counts what is under way at the same time for each connection.
type crowd struct {
	most int

	mu     sync.Mutex
	inside map[causeway.ID]int
}

// enter begins something for a connection, if not too much is under way for it; whoever
// entered leaves.
func (c *crowd) enter(connection causeway.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside == nil {
		c.inside = map[causeway.ID]int{}
	}
	if c.inside[connection] >= c.most {
		return false
	}
	c.inside[connection]++
	return true
}

func (c *crowd) leave(connection causeway.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[connection]--; c.inside[connection] == 0 {
		delete(c.inside, connection)
	}
}
