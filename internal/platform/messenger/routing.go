package messenger

import (
	"context"
	"net/url"

	"causeway/internal/platform"
)

// Owner is who has a thread.
type Owner = platform.ThreadOwner

// threadCall is the body of a call about who has a thread. The customer is named by
// their PSID: somebody without one has no thread.
type threadCall struct {
	Recipient recipient `json:"recipient"`
	Target    string    `json:"target_app_id,omitempty"`
	Metadata  string    `json:"metadata,omitempty"`
}

func (c *Client) thread(ctx context.Context, edge string, body threadCall) error {
	return c.post(ctx, edge, []string{c.page, edge}, asJSON(body), nil)
}

// TakeThread takes a thread from whoever has it. Only the page's default app may
// (Conversation Routing), or its primary receiver (the older handover): others are
// refused and may RequestThread. metadata tells the other app why.
func (c *Client) TakeThread(ctx context.Context, chat, metadata string) error {
	return c.thread(ctx, "take_thread_control", threadCall{Recipient: to(chat), Metadata: metadata})
}

// RequestThread asks for a thread. Where the page has no default app, the first to ask
// gets it; else its owner gets an event and decides, also in the older handover.
func (c *Client) RequestThread(ctx context.Context, chat, metadata string) error {
	return c.thread(ctx, "request_thread_control", threadCall{Recipient: to(chat), Metadata: metadata})
}

// ClaimThread takes a thread, or asks for it where this app may not take, and tells who
// has it then. Asking may be answered later, or never.
func (c *Client) ClaimThread(ctx context.Context, chat, metadata string) (Owner, error) {
	err := c.TakeThread(ctx, chat, metadata)
	if r := platform.Refused(err); r != nil {
		switch r.Kind {
		case platform.Rejected, platform.PermissionMissing, platform.ThreadTaken, platform.NotOurs:
			err = c.RequestThread(ctx, chat, metadata)
		}
	}
	if err != nil {
		return Owner{}, err
	}
	return c.ThreadOwner(ctx, chat)
}

// PassThread gives a thread to another app; InboxApp is the page's own inbox. The owner
// may, and in the older handover the primary receiver.
func (c *Client) PassThread(ctx context.Context, chat, app, metadata string) error {
	return c.thread(ctx, "pass_thread_control", threadCall{Recipient: to(chat), Target: app, Metadata: metadata})
}

// PassToInbox gives a thread to the page's own inbox.
func (c *Client) PassToInbox(ctx context.Context, chat, metadata string) error {
	return c.PassThread(ctx, chat, InboxApp, metadata)
}

// ReleaseThread lets go of a thread: nobody has it then, or the page's default app. The
// older handover does not know it and refuses; there it is passed to the primary
// receiver.
func (c *Client) ReleaseThread(ctx context.Context, chat string) error {
	return c.thread(ctx, "release_thread_control", threadCall{Recipient: to(chat)})
}

// ThreadOwner tells who has a thread.
func (c *Client) ThreadOwner(ctx context.Context, chat string) (Owner, error) {
	var found struct {
		Data []struct {
			Owner struct {
				App        ident  `json:"app_id"`
				Expiration number `json:"expiration"`
			} `json:"thread_owner"`
		} `json:"data"`
	}
	err := c.get(ctx, "thread_owner", []string{c.page, "thread_owner"}, url.Values{"recipient": {chat}}, &found)
	if err != nil || len(found.Data) == 0 {
		return Owner{}, err
	}
	owner := Owner{App: string(found.Data[0].Owner.App), Until: at(found.Data[0].Owner.Expiration)}
	if IsInbox(owner.App) {
		owner.App, owner.Inbox = "", true
	}
	return owner, nil
}

// Routing is what can be read of which apps may answer on a page. Facebook does not tell
// which app is the default one.
type Routing struct {
	// ConversationRouting: the page is on the newer rules (hop_v2), and MultiApp: several
	// apps may answer in Messenger. Told is false where Facebook says nothing of either.
	ConversationRouting, MultiApp, Told bool
	// Secondary are the secondary receivers of the older handover. Only the primary one may
	// see them, so that this app is the primary receiver if there are any.
	Secondary []AppName
	// Subscribed are the apps that get the page's webhooks, as far as they are shown.
	Subscribed []Subscription
}

// AppName is a Facebook app.
type AppName struct {
	ID, Name string
}

// Routing reads which apps may answer on the page. What Facebook refuses to tell stays
// empty; only trouble with the token or the network is an error.
func (c *Client) Routing(ctx context.Context) (Routing, error) {
	var routing Routing
	var page struct {
		Status *struct {
			Routing  yes `json:"hop_v2"`
			MultiApp yes `json:"msgr_multi_app"`
		} `json:"messaging_feature_status"`
	}
	err := c.get(ctx, "messaging_feature_status", []string{c.page}, url.Values{"fields": {"messaging_feature_status"}}, &page)
	if err != nil && !untold(err) {
		return Routing{}, err
	}
	if s := page.Status; s != nil {
		routing.ConversationRouting, routing.MultiApp, routing.Told = bool(s.Routing), bool(s.MultiApp), true
	}
	var receivers struct {
		Data []struct {
			ID   ident  `json:"id"`
			Name opaque `json:"name"`
		} `json:"data"`
	}
	err = c.get(ctx, "secondary_receivers", []string{c.page, "secondary_receivers"}, url.Values{"fields": {"id,name"}}, &receivers)
	if err != nil && !untold(err) {
		return Routing{}, err
	}
	for _, r := range receivers.Data {
		routing.Secondary = append(routing.Secondary, AppName{ID: string(r.ID), Name: string(r.Name)})
	}
	routing.Subscribed, err = c.Subscribed(ctx)
	if err != nil && !untold(err) {
		return Routing{}, err
	}
	return routing, nil
}
