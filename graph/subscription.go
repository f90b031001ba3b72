package graph

import (
	"context"
	"errors"
	"time"

	"causeway"
	"causeway/ent"
	"causeway/ent/campaign"
	"causeway/ent/conversation"
	"causeway/ent/feedevent"
	"causeway/ent/message"
	"causeway/graph/model"
	"causeway/internal/feed"
	"causeway/internal/intake"
	"causeway/internal/transport"
)

// heartbeatAfter is how long `events` is silent before it says that it is alive.
const heartbeatAfter = 30 * time.Second

// want is what a subscription asks to hear.
type want struct {
	campaign     causeway.ID
	conversation *causeway.ID
	after        *ent.Cursor
	filter       feed.Filter
}

// translate makes an event of the feed into one of the schema; nil for one that has
// no place in it. quiet asks for a sign of life at the event's position instead.
type translate[T any] func(e feed.Event, quiet bool) T

// subscribe follows a campaign's feed from a cursor, or from now, for as long as the
// viewer may see it. What ends it before the client does is told as an error.
func subscribe[T any](ctx context.Context, r *Resolver, w want, show translate[*T]) (<-chan *T, error) {
	events := make(chan *T)
	err := follow(ctx, r, w, func(ctx context.Context, e feed.Event, quiet bool) bool {
		shown := show(e, quiet)
		if shown == nil {
			return true
		}
		return sendAt(ctx, e.Seq, events, shown)
	}, func() { close(events) })
	if err != nil {
		return nil, err
	}
	return events, nil
}

// sendAt is send of the event at a position.
func sendAt[T any](ctx context.Context, position int64, to chan<- T, v T) bool {
	transport.At(ctx, position)
	return send(ctx, to, v)
}

func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow checks the viewer's right, then hands out events until ctx ends, from a
// goroutine that calls done at its end. That the right lasts, transport sees to for
// everybody who hears of the events.
func follow(
	ctx context.Context, r *Resolver, w want,
	deliver func(ctx context.Context, e feed.Event, quiet bool) bool, done func(),
) error {
	from, err := r.startOf(ctx, &w)
	if err != nil {
		return err
	}
	follower, err := r.Feed.Follow(ctx, w.campaign, from, w.filter)
	if err != nil {
		return err
	}
	transport.UpTo(ctx, from)
	go func() {
		defer done()
		defer follower.Close()
		// Until the follower has everything there was, not to find the next event at once
		// is worth knowing: who replays may then join who is live.
		patience, live := time.Duration(0), false
		for {
			e, quiet, at, err := follower.NextOr(ctx, patience)
			if err != nil {
				r.endStream(ctx, err)
				return
			}
			if quiet {
				transport.UpTo(ctx, at)
				e = feed.Event{Campaign: w.campaign, Seq: at, At: r.Clock.Now()}
			}
			if quiet && !live {
				patience, live = heartbeatAfter, true
				continue
			}
			if !deliver(ctx, e, quiet) {
				return
			}
		}
	}()
	return nil
}

// endStream tells clients why their subscription ended, unless they ended it or the
// server stops, which their sockets are told.
func (r *Resolver) endStream(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, feed.ErrClosed) {
		return
	}
	transport.EndWith(ctx, r.PresentError(ctx, err))
}

// startOf is the position after which a subscription begins. The look at the campaign
// that shows whether the viewer may see it reads the head as well, so that nothing
// lies between.
func (r *Resolver) startOf(ctx context.Context, w *want) (int64, error) {
	seen, err := r.Viewers.Campaign.Query().
		Where(campaign.ID(w.campaign)).
		Select(campaign.FieldID, campaign.FieldEventSeq).
		Only(ctx)
	if ent.IsNotFound(err) {
		return 0, causeway.Missing("campaignId")
	}
	if err != nil {
		return 0, err
	}
	if w.conversation != nil {
		there, err := r.Viewers.Conversation.Query().
			Where(conversation.ID(*w.conversation), conversation.CampaignID(w.campaign)).
			Exist(ctx)
		if err != nil {
			return 0, err
		}
		if !there {
			return 0, causeway.Missing("conversationId")
		}
		w.filter.Conversation = *w.conversation
	}
	if w.after == nil {
		return seen.EventSeq, nil
	}
	return feed.ParseCursor(w.campaign, *w.after)
}

// events is the whole feed, with signs of life.
func (r *Resolver) events(ctx context.Context, w want) (<-chan model.Event, error) {
	events := make(chan model.Event)
	err := follow(ctx, r, w, func(ctx context.Context, e feed.Event, quiet bool) bool {
		if quiet {
			return sendAt[model.Event](ctx, e.Seq, events, &model.Heartbeat{Cursor: feed.Cursor(e.Campaign, e.Seq), At: e.At})
		}
		switch e.Kind {
		case feedevent.KindMessage:
			return sendAt[model.Event](ctx, e.Seq, events, messageEventOf(e, false))
		case feedevent.KindConversation:
			return sendAt[model.Event](ctx, e.Seq, events, conversationEventOf(e, false))
		default:
			return sendAt[model.Event](ctx, e.Seq, events, connectionEventOf(e, false))
		}
	}, func() { close(events) })
	if err != nil {
		return nil, err
	}
	return events, nil
}

func messageEventOf(e feed.Event, quiet bool) *model.MessageEvent {
	if quiet {
		return nil
	}
	shown := &model.MessageEvent{
		Cursor: feed.Cursor(e.Campaign, e.Seq), At: e.At,
		Change: model.MessageChange(e.Change), MessageID: e.Message,
	}
	if e.Status != "" {
		status := message.Status(e.Status)
		shown.Status = &status
	}
	return shown
}

func conversationEventOf(e feed.Event, quiet bool) *model.ConversationEvent {
	if quiet {
		return nil
	}
	return &model.ConversationEvent{
		Cursor: feed.Cursor(e.Campaign, e.Seq), At: e.At,
		Created: e.Change == feed.ChangeCreated, ConversationID: e.Conversation,
	}
}

func connectionEventOf(e feed.Event, quiet bool) *model.ConnectionEvent {
	if quiet {
		return nil
	}
	return &model.ConnectionEvent{
		Cursor: feed.Cursor(e.Campaign, e.Seq), At: e.At, ConnectionID: e.Connection,
	}
}

// webhookReceived shows a connection's logs as they are stored and processed. It is
// live only: hints may be lost, the logs themselves are not.
func (r *Resolver) webhookReceived(ctx context.Context, connectionID causeway.ID) (<-chan *ent.WebhookLog, error) {
	_, err := r.Viewers.Connection.Get(ctx, connectionID)
	if ent.IsNotFound(err) {
		return nil, causeway.Missing("connectionId")
	}
	if err != nil {
		return nil, err
	}
	bell := r.Bus.Subscribe(intake.LogTopic(connectionID))
	logs := make(chan *ent.WebhookLog)
	go func() {
		defer close(logs)
		defer bell.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-bell.C():
				for _, hint := range bell.Take().Hints {
					log, err := r.Viewers.WebhookLog.Get(ctx, causeway.ID(hint))
					if err != nil { // retention was faster, or the right just ended
						continue
					}
					if !send(ctx, logs, log) {
						return
					}
				}
			}
		}
	}()
	return logs, nil
}

// typing shows who types in a conversation. It is live only, and what it shows may be
// lost.
func (r *Resolver) typing(ctx context.Context, conversationID causeway.ID) (<-chan *model.TypingEvent, error) {
	there, err := r.Viewers.Conversation.Query().Where(conversation.ID(conversationID)).Exist(ctx)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, causeway.Missing("conversationId")
	}
	changes, events := r.Conversations.FollowTyping(ctx, conversationID), make(chan *model.TypingEvent)
	go func() {
		defer close(events)
		for change := range changes {
			if !send(ctx, events, &model.TypingEvent{UserID: change.User, Typing: change.Typing}) {
				return
			}
		}
	}()
	return events, nil
}
