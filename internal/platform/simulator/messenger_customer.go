package simulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// How many messages of a conversation are kept.
const keptLetters = 1000

// PageCustomer is a person who writes to a page, as that page knows them: the same
// person is somebody else to another page.
type PageCustomer struct {
	m    *Messenger
	page *Page
	id   string // PSID
	name string

	// The lock of m guards the rest.
	locale    string
	timezone  float64
	gender    string
	picture   *storedFile
	profile   string
	tests     map[*App]bool // has a role in the app
	contacted bool
	blocked   bool
	stopped   bool // notifications
	gone      bool
	offline   bool
	thread    *thread
}

// What a page may read of a customer.
const (
	ProfileOpen        = ""
	ProfileEmpty       = "empty"       // {}
	ProfileIDOnly      = "id only"     // {"id": …}
	ProfileForbidden   = "forbidden"   // 2018247
	ProfileUnavailable = "unavailable" // 2018218
)

// PageCustomerOption is something a customer chose.
type PageCustomerOption func(*PageCustomer)

// WithLocale is the customer's language and country, vi_VN say.
func WithLocale(locale string) PageCustomerOption { return func(c *PageCustomer) { c.locale = locale } }

// WithProfile is what pages may read of the customer.
func WithProfile(kind string) PageCustomerOption { return func(c *PageCustomer) { c.profile = kind } }

// WithRoleIn makes the customer a tester of the app, whom it hears of in development too.
func WithRoleIn(a *App) PageCustomerOption { return func(c *PageCustomer) { c.tests[a] = true } }

// Customer is the page's customer of this name, made if there is none.
func (p *Page) Customer(name string, opts ...PageCustomerOption) *PageCustomer {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	for _, c := range p.customers {
		if c.name == name {
			for _, opt := range opts {
				opt(c)
			}
			return c
		}
	}
	c := &PageCustomer{
		m: p.m, page: p, id: p.m.number(17), name: name, timezone: 7, tests: map[*App]bool{}, picture: p.m.keep(p.m.draws(64, 64, "profile.png")),
	}
	c.thread = &thread{m: p.m, page: p, customer: c, id: "t_" + p.m.number(15)}
	for _, opt := range opts {
		opt(c)
	}
	p.customers = append(p.customers, c)
	p.bySender[c.id] = c
	return c
}

// CustomerWrites is Customer(name).Writes(text).
func (p *Page) CustomerWrites(name, text string, opts ...PageMessageOption) PageMessage {
	return p.Customer(name).Writes(text, opts...)
}

// customerOf is the customer with this PSID, of whatever page; nil if none.
func (m *Messenger) customerOf(id string) *PageCustomer {
	for _, page := range m.pages {
		if c := page.bySender[id]; c != nil {
			return c
		}
	}
	return nil
}

// ID is the customer's PSID.
func (c *PageCustomer) ID() string { return c.id }

// Name is the customer's name.
func (c *PageCustomer) Name() string { return c.name }

// letter is a message of a conversation.
type letter struct {
	mid         string
	fromPage    bool
	app         string // that sent it for the page
	text        string
	attachments []object
	file        *storedFile
	sticker     string
	at          time.Time
	replyTo     string
	metadata    string
	kind        string // messaging_type
	tag         string
	quick       []any // quick replies under it
	edits       int
	deleted     bool
	delivered   bool
}

// PageMessage names a message of a conversation.
type PageMessage struct {
	ID       string // mid
	Customer *PageCustomer
	At       time.Time
}

// PageMessageOption adds to a message that a customer sends.
type PageMessageOption func(content object)

// Answering answers a message of the same conversation.
func Answering(ref PageMessage) PageMessageOption {
	return func(content object) {
		answers := object{"mid": ref.ID}
		if ref.Customer != nil {
			answers["is_self_reply"] = slices.ContainsFunc(ref.Customer.thread.letters, func(l *letter) bool {
				return l.mid == ref.ID && !l.fromPage
			})
		}
		content["reply_to"] = answers
	}
}

// TappingQuickReply is a text that a quick reply under the page's message stood for.
func TappingQuickReply(payload string) PageMessageOption {
	return func(content object) { content["quick_reply"] = object{"payload": payload} }
}

// ReferredBy tells what led the customer to write: {"ref": …, "source": "ADS", "type": "OPEN_THREAD"}.
func ReferredBy(referral map[string]any) PageMessageOption {
	return func(content object) { content["referral"] = referral }
}

// Saying adds any key to the message.
func Saying(key string, value any) PageMessageOption {
	return func(content object) { content[key] = value }
}

// Writes sends a text. To a page that the customer blocked, it unblocks first, as the
// app does.
func (c *PageCustomer) Writes(text string, opts ...PageMessageOption) PageMessage {
	return c.sends(&letter{text: text}, opts)
}

// SendsFile sends a file as this type: image, video, audio or file.
func (c *PageCustomer) SendsFile(kind string, f File, opts ...PageMessageOption) PageMessage {
	c.m.mu.Lock()
	stored := c.m.store(f)
	c.m.mu.Unlock()
	return c.sends(&letter{file: stored, attachments: []object{attached(kind, stored)}}, opts)
}

func attached(kind string, f *storedFile) object {
	return object{"type": kind, "payload": object{"url": f.address()}}
}

// SendsPicture sends a generated picture.
func (c *PageCustomer) SendsPicture(opts ...PageMessageOption) PageMessage {
	return c.SendsPictures(1, opts...)
}

// SendsPictures sends n generated pictures in one message.
func (c *PageCustomer) SendsPictures(n int, opts ...PageMessageOption) PageMessage {
	c.m.mu.Lock()
	l := &letter{}
	for range n {
		l.file = c.m.store(c.m.draws(320, 240, "photo.png"))
		l.attachments = append(l.attachments, attached("image", l.file))
	}
	c.m.mu.Unlock()
	return c.sends(l, opts)
}

// SendsDocument sends a PDF of one page with this file name.
func (c *PageCustomer) SendsDocument(name string, opts ...PageMessageOption) PageMessage {
	return c.SendsFile("file", File{Name: name, MIME: "application/pdf", Data: paper(name)}, opts...)
}

// SendsVoice sends seconds of silence.
func (c *PageCustomer) SendsVoice(seconds int, opts ...PageMessageOption) PageMessage {
	return c.SendsFile("audio", File{Name: "audioclip.ogg", MIME: "audio/ogg", Data: silence(seconds)}, opts...)
}

// The forms in which stickers come.
const (
	StickerAsImage   = "image"   // an image with sticker_id, until August 2026
	StickerAsBoth    = "both"    // an image and a sticker of the same id, while that changed
	StickerAsSticker = "sticker" // a sticker alone
)

// LikeSticker is the thumb.
const LikeSticker int64 = 369239263222822

// SendsSticker sends a sticker in one of the forms.
func (c *PageCustomer) SendsSticker(id int64, form string, opts ...PageMessageOption) PageMessage {
	c.m.mu.Lock()
	picture := c.m.store(c.m.draws(48, 48, "sticker.png"))
	payload := object{"url": picture.address(), "sticker_id": id}
	l := &letter{sticker: fmt.Sprint(id), file: picture}
	if form != StickerAsSticker {
		l.attachments = append(l.attachments, object{"type": "image", "payload": payload})
		opts = append(opts, Saying("sticker_id", id))
	}
	if form != StickerAsImage {
		l.attachments = append(l.attachments, object{"type": "sticker", "payload": payload})
	}
	c.m.mu.Unlock()
	return c.sends(l, opts)
}

// SendsAttachment sends any attachment, such as a location or a shared post.
func (c *PageCustomer) SendsAttachment(kind string, payload any, opts ...PageMessageOption) PageMessage {
	return c.sends(&letter{attachments: []object{{"type": kind, "payload": payload}}}, opts)
}

// SendsLocation sends a point on the map.
func (c *PageCustomer) SendsLocation(latitude, longitude float64, opts ...PageMessageOption) PageMessage {
	return c.SendsAttachment("location", object{
		"coordinates": object{"lat": latitude, "long": longitude}, "title": c.name + "'s Location",
	}, opts...)
}

// SendsLink writes a text with an address, of which a preview is shown.
func (c *PageCustomer) SendsLink(text, address, title string, opts ...PageMessageOption) PageMessage {
	return c.sends(&letter{text: text, attachments: []object{
		{"type": "fallback", "payload": object{"url": address, "title": title}},
	}}, opts)
}

func (c *PageCustomer) sends(l *letter, opts []PageMessageOption) PageMessage {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.reachesOut()
	l.mid, l.at = "m_"+c.m.draw(60), c.thread.stamp()
	content := l.content()
	for _, opt := range opts {
		opt(content)
	}
	if answers, is := content["reply_to"].(object); is {
		l.replyTo, _ = answers["mid"].(string)
	}
	c.thread.keep(l)
	c.thread.unread++
	c.thread.tell("messages", c.event(l.at, "message", content))
	return PageMessage{ID: l.mid, Customer: c, At: l.at}
}

// reachesOut opens the window. Control that has lapsed does not come back by it.
func (c *PageCustomer) reachesOut() {
	if app, _ := c.thread.owns(); app == "" {
		c.thread.owner = ""
	}
	c.contacted, c.blocked = true, false
	c.thread.lastIn = c.m.now()
}

// content is a message as webhooks show it.
func (l *letter) content() object {
	o := object{"mid": l.mid}
	if l.text != "" {
		o["text"] = l.text
	}
	if l.attachments != nil {
		o["attachments"] = l.attachments
	}
	return o
}

// event is something that the customer did.
func (c *PageCustomer) event(at time.Time, key string, value any) object {
	return object{
		"sender": object{"id": c.m.id(c.id)}, "recipient": object{"id": c.m.id(c.page.id)}, "timestamp": at.UnixMilli(), key: value,
	}
}

// does tells of something the customer did; within says whether it opens the window.
func (c *PageCustomer) does(field, key string, value any, opens bool) time.Time {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if opens {
		c.reachesOut()
	}
	at := c.thread.stamp()
	c.thread.tell(field, c.event(at, key, value))
	c.m.changed.ring()
	return at
}

// Taps presses a button under one of the page's messages, or of its menu.
func (c *PageCustomer) Taps(title, payload string) PageMessage {
	c.m.mu.Lock()
	mid := "m_" + c.m.draw(60)
	c.m.mu.Unlock()
	at := c.does("messaging_postbacks", "postback", object{"mid": mid, "title": title, "payload": payload}, true)
	return PageMessage{ID: mid, Customer: c, At: at}
}

// GetsStarted presses the first button of a conversation, having come by this
// referral or none.
func (c *PageCustomer) GetsStarted(referral map[string]any) PageMessage {
	c.m.mu.Lock()
	mid := "m_" + c.m.draw(60)
	c.m.mu.Unlock()
	postback := object{"mid": mid, "title": "Get Started", "payload": "GET_STARTED"}
	if referral != nil {
		postback["referral"] = referral
	}
	at := c.does("messaging_postbacks", "postback", postback, true)
	return PageMessage{ID: mid, Customer: c, At: at}
}

// Comes enters the conversation again by a link or an ad.
func (c *PageCustomer) Comes(referral map[string]any) {
	c.does("messaging_referrals", "referral", referral, true)
}

// OptsIn allows the page to write later: {"ref": …}, or {"type": "notification_messages", …}.
func (c *PageCustomer) OptsIn(optin map[string]any) {
	c.does("messaging_optins", "optin", optin, false)
}

// StopsNotifications refuses what the page sends from now on (10/1893015).
func (c *PageCustomer) StopsNotifications() {
	c.m.mu.Lock()
	c.stopped = true
	c.m.mu.Unlock()
	c.does("messaging_optins", "optin", object{
		"type": "notification_messages", "payload": "NEWS", "notification_messages_status": "STOP NOTIFICATIONS",
	}, false)
}

// LinksAccount tells that the customer signed in at the page's own site.
func (c *PageCustomer) LinksAccount(authorizationCode string) {
	c.does("messaging_account_linking", "account_linking", object{"status": "linked", "authorization_code": authorizationCode}, false)
}

// Reacts reacts to a message: with love and ❤, say.
func (c *PageCustomer) Reacts(ref PageMessage, reaction, emoji string) {
	c.does("message_reactions", "reaction", object{"reaction": reaction, "emoji": emoji, "action": "react", "mid": ref.ID}, true)
}

// Unreacts takes the reaction back.
func (c *PageCustomer) Unreacts(ref PageMessage) {
	c.does("message_reactions", "reaction", object{"action": "unreact", "mid": ref.ID}, true)
}

// Edits changes the text of what the customer wrote, five times at most.
func (c *PageCustomer) Edits(ref PageMessage, text string) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	l := c.thread.find(ref.ID)
	if l == nil || l.fromPage || l.edits == 5 {
		return
	}
	l.text = text
	l.edits++
	c.thread.tell("message_edits", c.event(c.thread.stamp(), "message_edit", object{"mid": l.mid, "text": text, "num_edit": l.edits}))
}

// Unsends takes a message back. That apps are told is not documented for pages.
func (c *PageCustomer) Unsends(ref PageMessage) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if l := c.thread.find(ref.ID); l != nil {
		l.deleted = true
	}
	c.thread.tell("messages", c.event(c.thread.stamp(), "message", object{"mid": ref.ID, "is_deleted": true}))
}

// Reads opens the conversation: all the page sent so far is read.
func (c *PageCustomer) Reads() {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	at := c.thread.stamp()
	c.thread.tell("message_reads", c.event(at, "read", object{"watermark": c.thread.lastOut().UnixMilli()}))
}

// GoesOffline keeps what the page sends from being delivered.
func (c *PageCustomer) GoesOffline() { c.change(func() { c.offline = true }) }

// ComesOnline delivers everything, which is told by a watermark alone.
func (c *PageCustomer) ComesOnline() {
	c.change(func() {
		c.offline = false
		waiting := slices.ContainsFunc(c.thread.letters, func(l *letter) bool { return l.fromPage && !l.delivered })
		if !waiting {
			return
		}
		for _, l := range c.thread.letters {
			l.delivered = true
		}
		c.thread.tell("message_deliveries", c.event(c.thread.stamp(), "delivery", object{"watermark": c.thread.lastOut().UnixMilli()}))
	})
}

// Blocks refuses what the page sends (551/1545041) until Unblocks. No app is told.
func (c *PageCustomer) Blocks() { c.change(func() { c.blocked = true }) }

// Unblocks takes Blocks back.
func (c *PageCustomer) Unblocks() { c.change(func() { c.blocked = false }) }

// Deactivates ends the customer's account (551).
func (c *PageCustomer) Deactivates() { c.change(func() { c.gone = true }) }

func (c *PageCustomer) change(do func()) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	do()
	c.m.changed.ring()
}

// PageSent is a message that was sent for the page, as the customer got it.
type PageSent struct {
	ID       string
	App      string // the id of the app that sent it, or PageInboxApp
	Text     string
	Type     string // messaging_type
	Tag      string
	ReplyTo  string
	Metadata string
	FileKind string // type of the attachment; empty without one
	FileName string
	MIME     string
	Data     []byte // of an upload; the oldest go when there is no room for more
	At       time.Time
	Customer *PageCustomer
	// QuickReplies are the answers offered under it.
	QuickReplies []any
}

// Ref names the message, for answers and reactions.
func (s PageSent) Ref() PageMessage { return PageMessage{ID: s.ID, Customer: s.Customer, At: s.At} }

// Received are the page's messages to the customer, oldest first, the latest ones.
func (c *PageCustomer) Received() []PageSent {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.received()
}

func (c *PageCustomer) received() []PageSent {
	var got []PageSent
	for _, l := range c.thread.letters {
		if !l.fromPage {
			continue
		}
		s := PageSent{
			ID: l.mid, App: l.app, Text: l.text, Type: l.kind, Tag: l.tag, ReplyTo: l.replyTo, Metadata: l.metadata,
			At: l.at, Customer: c, QuickReplies: l.quick,
		}
		if len(l.attachments) > 0 {
			s.FileKind, _ = l.attachments[0]["type"].(string)
		}
		if l.file != nil {
			s.FileName, s.MIME, s.Data = l.file.name, l.file.mime, l.file.data
		}
		got = append(got, s)
	}
	return got
}

// WaitReceived waits until the customer got n messages.
func (c *PageCustomer) WaitReceived(ctx context.Context, n int) ([]PageSent, error) {
	var got []PageSent
	err := c.m.await(ctx, func() string {
		got = c.received()
		if len(got) < n {
			return fmt.Sprintf("%s got %d messages of %s, not %d", c.name, len(got), c.page.name, n)
		}
		return ""
	})
	return got, err
}

// Sees is what the customer saw of the page besides messages, in order: typing_on,
// typing_off, mark_seen.
func (c *PageCustomer) Sees() []string {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return slices.Clone(c.thread.actions)
}

// Inbox lets somebody answer in the page's own inbox. The conversation is the inbox's
// from then on where the page has a default app.
func (c *PageCustomer) Inbox(text string) PageMessage { return c.answeredBy(PageInboxApp, text, "") }

// AnsweredBy lets another app of the page answer, with this metadata or none.
func (c *PageCustomer) AnsweredBy(a *App, text, metadata string) PageMessage {
	return c.answeredBy(a.id, text, metadata)
}

func (c *PageCustomer) answeredBy(app, text, metadata string) PageMessage {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if app == PageInboxApp && c.page.defaultApp != "" && c.thread.ownedBy() != PageInboxApp {
		c.thread.take(PageInboxApp, "")
	}
	l := &letter{fromPage: true, app: app, text: text, metadata: metadata}
	c.thread.add(l)
	c.thread.echo(l)
	return PageMessage{ID: l.mid, Customer: c, At: l.at}
}

// echo tells the apps what the page said.
func (th *thread) echo(l *letter) []*notice {
	content := l.content()
	content["is_echo"] = true
	if l.app != "" {
		content["app_id"] = numeric(l.app)
	}
	if l.metadata != "" {
		content["metadata"] = l.metadata
	}
	if l.replyTo != "" {
		content["reply_to"] = object{"mid": l.replyTo}
	}
	if l.quick != nil {
		content["quick_replies"] = l.quick
	}
	if l.sticker != "" {
		content["sticker_id"] = numeric(l.sticker)
	}
	return th.tell("message_echoes", object{
		"sender": object{"id": th.m.id(th.page.id)}, "recipient": object{"id": th.m.id(th.customer.id)},
		"timestamp": l.at.UnixMilli(), "message": maps.Clone(content),
	})
}
