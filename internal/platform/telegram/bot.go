package telegram

import (
	"context"
	"strconv"
	"time"

	"causeway/internal/platform"
)

// GetMe asks who the bot is. Its commands and its picture are other questions.
func (c *Client) GetMe(ctx context.Context) (platform.Profile, error) {
	var me struct {
		user
		CanJoinGroups bool `json:"can_join_groups"`
		ReadsAll      bool `json:"can_read_all_group_messages"`
	}
	if err := c.call(ctx, "getMe", struct{}{}, &me); err != nil {
		return platform.Profile{}, err
	}
	if !me.ID.given {
		return platform.Profile{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: "getMe", Code: "200", Message: "a bot without an id", Sent: true,
		}
	}
	person := me.person()
	return platform.Profile{
		ID:            person.ID,
		Name:          person.Name,
		Username:      person.Username,
		CanJoinGroups: me.CanJoinGroups,
		PrivacyMode:   !me.ReadsAll,
	}, nil
}

// GetMyCommands asks for the commands that the bot offers everybody.
func (c *Client) GetMyCommands(ctx context.Context) ([]platform.Command, error) {
	var commands []platform.Command
	if err := c.call(ctx, "getMyCommands", struct{}{}, &commands); err != nil {
		return nil, err
	}
	return commands, nil
}

// GetUserProfilePhotos asks for the picture of a person or of the bot itself: the
// file id of the newest in its best size, empty if there is none.
func (c *Client) GetUserProfilePhotos(ctx context.Context, userID string) (fileID string, err error) {
	id, err := strconv.ParseInt(userID, 10, 64)
	if err != nil {
		return "", &platform.Refusal{
			Kind: platform.Rejected, Method: "getUserProfilePhotos", Message: "the user's id is not a number",
		}
	}
	var found struct {
		Photos [][]file `json:"photos"`
	}
	if err := c.call(ctx, "getUserProfilePhotos", map[string]any{"user_id": id, "limit": 1}, &found); err != nil {
		return "", err
	}
	if len(found.Photos) == 0 || len(found.Photos[0]) == 0 {
		return "", nil
	}
	return largest(found.Photos[0]).ID, nil
}

// WebhookInfo is what Telegram knows of a bot's webhook.
type WebhookInfo struct {
	URL     string // empty: none is registered
	Pending int64  // updates that wait to be delivered or fetched
	// LastErrorAt and LastError are of the last delivery that failed. They stay after
	// deliveries work again: compare the time.
	LastErrorAt    time.Time
	LastError      string
	MaxConnections int
	AllowedUpdates []string // empty: Telegram's default
}

// GetWebhookInfo asks for what is registered now.
func (c *Client) GetWebhookInfo(ctx context.Context) (WebhookInfo, error) {
	var info struct {
		URL            string   `json:"url"`
		Pending        int64    `json:"pending_update_count"`
		LastErrorDate  int64    `json:"last_error_date"`
		LastError      string   `json:"last_error_message"`
		MaxConnections int      `json:"max_connections"`
		AllowedUpdates []string `json:"allowed_updates"`
	}
	if err := c.call(ctx, "getWebhookInfo", struct{}{}, &info); err != nil {
		return WebhookInfo{}, err
	}
	return WebhookInfo{
		URL:            info.URL,
		Pending:        info.Pending,
		LastErrorAt:    at(info.LastErrorDate),
		LastError:      c.scrub(info.LastError, nil),
		MaxConnections: info.MaxConnections,
		AllowedUpdates: info.AllowedUpdates,
	}, nil
}

// SetWebhook is where and how Telegram shall deliver updates.
type SetWebhook struct {
	URL string
	// Secret comes back in a header of every delivery: 1 to 256 letters, digits,
	// dashes and underscores. Telegram does not tell it again.
	Secret string
	// AllowedUpdates are the kinds to deliver; empty keeps what was set before.
	AllowedUpdates []string
	// DropPending forgets the updates that wait.
	DropPending bool
	// MaxConnections is how many deliveries go on at once, up to 100; zero leaves the
	// choice to Telegram.
	MaxConnections int
}

// SetWebhook registers a webhook in place of whatever was registered before, by
// whomever: ask GetWebhookInfo first. An empty URL is Rejected here, since Telegram
// would take it for DeleteWebhook.
func (c *Client) SetWebhook(ctx context.Context, w SetWebhook) error {
	if w.URL == "" {
		return &platform.Refusal{Kind: platform.Rejected, Method: "setWebhook", Message: "no address is given"}
	}
	return c.call(ctx, "setWebhook", struct {
		URL            string   `json:"url"`
		Secret         string   `json:"secret_token,omitempty"`
		AllowedUpdates []string `json:"allowed_updates,omitempty"`
		DropPending    bool     `json:"drop_pending_updates,omitempty"`
		MaxConnections int      `json:"max_connections,omitempty"`
	}(w), nil, w.Secret)
}

// DeleteWebhook takes the webhook away, and with dropPending the updates that wait.
// That there is none is no error.
func (c *Client) DeleteWebhook(ctx context.Context, dropPending bool) error {
	return c.call(ctx, "deleteWebhook", map[string]any{"drop_pending_updates": dropPending}, nil)
}
