package simulator

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// What the Send API takes.
const (
	maxLetter     = 2000 // characters
	maxAttachment = 25 << 20
	maxMetadata   = 1000
	maxQuick      = 13
)

// EchoTime is when apps are told of a message, measured at the answer to who sent it.
type EchoTime int

// When echoes come.
const (
	EchoDuring EchoTime = iota // neither waits for the other
	EchoBefore                 // the webhook has answered before the sender hears
	EchoAfter                  // it is posted once the sender was answered
	EchoNever
)

// EchoWhen chooses when echoes come from now on.
func (m *Messenger) EchoWhen(when EchoTime) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.echo = when
}

// outgoing is what a call to the Send API asks for.
type outgoing struct {
	Text       *string `json:"text"`
	Metadata   string  `json:"metadata"`
	Sticker    any     `json:"sticker_id"`
	Attachment *struct {
		Type    string `json:"type"`
		Payload struct {
			URL      string `json:"url"`
			ID       any    `json:"attachment_id"`
			Reusable bool   `json:"is_reusable"`
			Template string `json:"template_type"`
		} `json:"payload"`
	} `json:"attachment"`
	QuickReplies []any `json:"quick_replies"`
}

// send answers POST /{page}/messages.
func (m *Messenger) send(t *accessToken, page *Page, r *graphRequest) graphAnswer {
	c, trouble := m.mayWrite(t, page, r)
	if trouble != nil {
		return graphAnswer{trouble: trouble}
	}
	if action := r.text("sender_action"); action != "" {
		return said(c.act(action, r))
	}
	l, trouble := m.compose(t, page, c, r)
	if trouble == nil {
		trouble = c.thread.mayReceive(t, r)
	}
	if trouble != nil {
		return graphAnswer{trouble: trouble}
	}
	c.thread.add(l)
	if trouble := c.thread.obey(t, r); trouble != nil {
		return graphAnswer{trouble: trouble}
	}
	body := object{"recipient_id": c.id, "message_id": l.mid}
	if l.file != nil && l.file.reusable != "" {
		body["attachment_id"] = l.file.reusable
	}
	a := graphAnswer{body: body}
	switch m.echo {
	case EchoBefore:
		a.echoes = c.thread.echo(l)
		c.thread.deliver(l)
	case EchoAfter:
		a.after = func() {
			c.change(func() {
				c.thread.echo(l)
				c.thread.deliver(l)
			})
		}
	case EchoDuring:
		c.thread.echo(l)
		c.thread.deliver(l)
	case EchoNever:
		c.thread.deliver(l)
	}
	return a
}

// deliver tells that a message has arrived, if it has.
func (th *thread) deliver(l *letter) {
	if l.delivered {
		th.tell("message_deliveries", th.customer.event(th.stamp(), "delivery", object{
			"mids": []string{l.mid}, "watermark": l.at.UnixMilli(),
		}))
	}
}

// mayWrite is whom a call writes to, if the app may write there at all.
func (m *Messenger) mayWrite(t *accessToken, page *Page, r *graphRequest) (*PageCustomer, *graphError) {
	c := page.bySender[r.recipient()]
	switch {
	case !t.grant.has(PagesMessaging):
		return nil, refuse(230, 0)
	case !t.can("MESSAGING"):
		return nil, refuse(200, 0).saying("(#200) User does not have sufficient administrative permission for this action on this page")
	case r.text("recipient") == "":
		return nil, refuse(100, 0).saying("(#100) The parameter recipient is required")
	case c == nil || !c.contacted:
		return nil, refuse(100, 2018001)
	case !t.app.live && !c.tests[t.app]:
		return nil, refuse(200, 2018028)
	case r.text("message") != "" && r.text("sender_action") != "":
		return nil, refuse(100, 2018014)
	}
	if owner := c.thread.ownedBy(); owner != "" && owner != t.app.id {
		return nil, c.thread.foreign()
	}
	return c, nil
}

// mayReceive applies what keeps a message from reaching the customer now.
func (th *thread) mayReceive(t *accessToken, r *graphRequest) *graphError {
	c := th.customer
	switch {
	case c.gone:
		return refuse(551, 0)
	case c.blocked:
		return refuse(551, 1545041)
	case c.stopped:
		return refuse(10, 1893015)
	case th.page.restricted:
		return refuse(10, 1893063)
	}
	window := standardWindow
	if r.text("messaging_type") == "MESSAGE_TAG" {
		if trouble := t.app.mayTag(r.text("tag")); trouble != nil {
			return trouble
		}
		window = humanWindow
	}
	if th.m.now().Sub(th.lastIn) >= window {
		return refuse(10, 2018278)
	}
	return nil
}

func (a *App) mayTag(tag string) *graphError {
	switch {
	case tag == "":
		return refuse(100, 0).saying("(#100) The parameter tag is required for messaging_type MESSAGE_TAG")
	case tag != "HUMAN_AGENT":
		return refuse(100, 0).saying("(#100) The message tag " + tag + " is not supported")
	case !a.humanAgent:
		return refuse(10, 0).saying("(#10) The app lacks the Human Agent feature")
	}
	return nil
}

// act answers a sender_action.
func (c *PageCustomer) act(action string, r *graphRequest) (any, *graphError) {
	known := []string{"typing_on", "typing_off", "mark_seen", "react", "unreact"}
	if !slices.Contains(known, strings.ToLower(action)) {
		return nil, refuse(100, 0).saying("(#100) Param sender_action must be one of {TYPING_ON, TYPING_OFF, MARK_SEEN, REACT, UNREACT}")
	}
	if c.gone || c.blocked {
		return nil, refuse(551, 1545041)
	}
	if strings.HasSuffix(action, "react") {
		var payload struct {
			MessageID string `json:"message_id"`
		}
		_, _ = r.decode("payload", &payload)
		if c.thread.find(payload.MessageID) == nil {
			return nil, refuse(100, 0).saying("(#100) The message to react to is not in this conversation")
		}
	}
	c.thread.actions = latest(append(c.thread.actions, strings.ToLower(action)), keptLetters)
	if action == "mark_seen" {
		c.thread.unread = 0
	}
	c.m.changed.ring()
	return object{"recipient_id": c.id}, nil
}

// compose is the message that a call asks for.
func (m *Messenger) compose(t *accessToken, page *Page, c *PageCustomer, r *graphRequest) (*letter, *graphError) {
	kinds := []string{"", "RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY"}
	var out outgoing
	found, err := r.decode("message", &out)
	switch {
	case !found || err != nil:
		return nil, refuse(100, 0).saying("(#100) The parameter message is required")
	case !slices.Contains(kinds, r.text("messaging_type")):
		return nil, refuse(100, 0).saying("(#100) Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG, UTILITY}")
	case r.text("messaging_type") == "UTILITY":
		return nil, refuse(100, 0).saying("(#100) A utility message needs an approved template")
	case len(out.Metadata) > maxMetadata:
		return nil, refuse(100, 0).saying("(#100) Length of param message[metadata] must be less than or equal to 1000")
	case len(out.QuickReplies) > maxQuick:
		return nil, refuse(100, 0).saying("(#100) Length of param message[quick_replies] must be less than or equal to 13")
	}
	l := &letter{
		fromPage: true, app: t.app.id, metadata: out.Metadata, kind: r.text("messaging_type"), tag: r.text("tag"), quick: out.QuickReplies,
	}
	if trouble := c.thread.answers(l, r); trouble != nil {
		return nil, trouble
	}
	return l, m.fill(l, page, &out, r)
}

// answers reads reply_to, which stands beside the message, not in it.
func (th *thread) answers(l *letter, r *graphRequest) *graphError {
	var reply struct {
		MID string `json:"mid"`
	}
	found, err := r.decode("reply_to", &reply)
	if !found {
		return nil
	}
	if err != nil || th.find(reply.MID) == nil {
		return refuse(100, 0).saying("(#100) The message to reply to was not found in this conversation")
	}
	l.replyTo = reply.MID
	return nil
}

// fill writes what the message says.
func (m *Messenger) fill(l *letter, page *Page, out *outgoing, r *graphRequest) *graphError {
	contents := 0
	for _, has := range []bool{out.Text != nil, out.Attachment != nil, out.Sticker != nil} {
		if has {
			contents++
		}
	}
	switch {
	case contents != 1:
		return refuse(100, 0).saying("(#100) A message must have exactly one of text, attachment and sticker_id")
	case out.Text != nil:
		l.text = *out.Text
		return checkText(l.text)
	case out.Sticker != nil:
		l.sticker = digits(out.Sticker)
		l.attachments = []object{{"type": "sticker", "payload": object{"sticker_id": numeric(l.sticker)}}}
		return nil
	case out.Attachment.Type == "template":
		l.attachments = []object{{"type": "template", "payload": object{"template_type": out.Attachment.Payload.Template}}}
		return nil
	}
	file, trouble := m.attach(page, out, r)
	if trouble != nil {
		return trouble
	}
	l.file, l.attachments = file, []object{attached(out.Attachment.Type, file)}
	if file.reusable != "" {
		l.attachments[0]["payload"].(object)["attachment_id"] = numeric(file.reusable)
	}
	return nil
}

func checkText(text string) *graphError {
	switch {
	case strings.TrimSpace(text) == "":
		return refuse(100, 0).saying("(#100) The parameter message[text] may not be empty")
	case utf8.RuneCountInString(text) > maxLetter:
		return refuse(100, 0).saying("(#100) Length of param message[text] must be less than or equal to 2000")
	}
	return nil
}

// digits is an id that came as a number or as a text.
func digits(v any) string {
	if n, is := v.(float64); is {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}

// attach is the file of a message: an upload, or one that was kept. Addresses are not
// fetched: they are refused as Facebook refuses what it cannot get.
func (m *Messenger) attach(page *Page, out *outgoing, r *graphRequest) (*storedFile, *graphError) {
	kind, payload := out.Attachment.Type, out.Attachment.Payload
	sent, uploaded := r.files["filedata"]
	switch {
	case !slices.Contains([]string{"image", "video", "audio", "file"}, kind):
		return nil, refuse(100, 0).saying("(#100) Param message[attachment][type] must be one of {IMAGE, VIDEO, AUDIO, FILE, TEMPLATE}")
	case payload.ID != nil:
		for _, file := range m.files {
			if file.reusable == digits(payload.ID) && file.page == page && file.uploaded == kind {
				return file, nil
			}
		}
		return nil, refuse(100, 2018074)
	case payload.URL != "":
		return nil, refuse(100, 2018008)
	case !uploaded || len(sent.data) == 0:
		return nil, refuse(100, 2018047)
	case len(sent.data) > maxAttachment:
		return nil, refuse(100, 2018109)
	}
	base, _, _ := mime.ParseMediaType(sent.mime)
	if major, _, _ := strings.Cut(base, "/"); kind != "file" && major != kind {
		return nil, refuse(100, 2018047)
	}
	file := m.store(File{Name: sent.name, MIME: base, Data: sent.data})
	file.page, file.uploaded = page, kind
	if payload.Reusable {
		file.reusable = m.numeral(16)
	}
	return file, nil
}

// preUpload answers POST /{page}/message_attachments.
func (m *Messenger) preUpload(t *accessToken, page *Page, r *graphRequest) (any, *graphError) {
	var out outgoing
	if _, err := r.decode("message", &out); err != nil || out.Attachment == nil {
		return nil, refuse(100, 0).saying("(#100) The parameter message[attachment] is required")
	}
	if !t.grant.has(PagesMessaging) {
		return nil, refuse(230, 0)
	}
	out.Attachment.Payload.Reusable = true
	file, trouble := m.attach(page, &out, r)
	if trouble != nil {
		return nil, trouble
	}
	return object{"attachment_id": file.reusable}, nil
}

// obey does what thread_control beside a message asks for.
func (th *thread) obey(t *accessToken, r *graphRequest) *graphError {
	var control struct {
		App  json.RawMessage `json:"app_id"`
		Type string          `json:"control_type"`
	}
	found, err := r.decode("thread_control", &control)
	switch target := strings.Trim(string(control.App), `"`); {
	case !found:
		return nil
	case err != nil:
		return refuse(100, 0).saying("(#100) The parameter thread_control could not be read")
	case control.Type == "release":
		th.hand("pass_thread_control", "", "")
	case control.Type == "pass" && (target == PageInboxApp || th.page.subscribed[th.m.apps[target]] != nil):
		th.hand("pass_thread_control", target, "")
	default:
		return refuse(100, 2018164)
	}
	return nil
}
