package simulator

import (
	"slices"
	"strings"
	"time"
)

// How Graph writes times: not quite as RFC 3339 does.
const graphTime = "2006-01-02T15:04:05-0700"

// Of a conversation, only so many messages can be looked at.
const readableLetters = 20

// conversations answers GET /{page}/conversations.
func (m *Messenger) conversations(t *accessToken, page *Page, r *graphRequest) (any, *graphError) {
	if trouble := m.mayLookBack(t, page); trouble != nil {
		return nil, trouble
	}
	threads := []*thread{}
	for _, c := range page.customers {
		if c.thread.count > 0 && (r.text("user_id") == "" || r.text("user_id") == c.id) {
			threads = append(threads, c.thread)
		}
	}
	slices.SortFunc(threads, func(a, b *thread) int { return b.last.Compare(a.last) })
	all := []object{}
	for _, th := range threads {
		o, trouble := th.describe(fieldsOr(r, "link,updated_time"))
		if trouble != nil {
			return nil, trouble
		}
		all = append(all, o)
	}
	return m.listed(r, all, 100), nil
}

func (m *Messenger) mayLookBack(t *accessToken, page *Page) *graphError {
	for _, permission := range []string{PagesMessaging, PagesManageMetadata, PagesReadEngagement} {
		if !t.grant.has(permission) {
			return lacking(permission)
		}
	}
	if !m.opts.Limits {
		return nil
	}
	now := m.now()
	page.asked = slices.DeleteFunc(page.asked, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if len(page.asked) >= 2 {
		return refuse(613, 0)
	}
	page.asked = append(page.asked, now)
	return nil
}

// onHistory answers what is asked of one conversation or message.
func (m *Messenger) onHistory(t *accessToken, r *graphRequest, node, edge string) (any, *graphError) {
	if t.kind != pageToken || r.method != "GET" {
		return nil, missing(node)
	}
	if trouble := m.mayLookBack(t, t.page); trouble != nil {
		return nil, trouble
	}
	for _, c := range t.page.customers {
		th := c.thread
		switch {
		case th.id == node && edge == "messages":
			return th.list(fieldsOr(r, "id,created_time"), len(th.letters))
		case th.id == node && edge == "":
			return th.describe(fieldsOr(r, "link,updated_time"))
		}
		for i, l := range th.letters {
			if l.mid != node {
				continue
			}
			if l.deleted || len(th.letters)-i > readableLetters {
				return nil, refuse(9000001, 0).saying("(#9000001) The message was deleted")
			}
			return th.show(l, fieldsOr(r, "id,created_time"))
		}
	}
	return nil, missing(node)
}

func (th *thread) describe(fields []field) (object, *graphError) {
	var trouble *graphError
	o, unknown := pick("UnifiedThread", th.id, fields, func(f field) (any, bool) {
		switch f.name {
		case "link":
			return "/" + th.page.id + "/inbox/" + strings.TrimPrefix(th.id, "t_") + "/", true
		case "updated_time":
			return th.last.UTC().Format(graphTime), true
		case "unread_count":
			return th.unread, true
		case "message_count":
			return th.count, true
		case "can_reply":
			return th.m.now().Sub(th.lastIn) < standardWindow && !th.customer.gone, true
		case "is_owner":
			return th.ownedBy() != PageInboxApp, true
		case "snippet":
			if len(th.letters) == 0 {
				return nil, true
			}
			return th.letters[len(th.letters)-1].text, true
		case "participants", "senders":
			return object{"data": []object{th.customer.named(), th.page.named()}}, true
		case "messages":
			list, refused := th.list(f.inner, f.limit)
			trouble = refused
			return list, true
		}
		return nil, false
	})
	if unknown != nil {
		return nil, unknown
	}
	return o, trouble
}

func (c *PageCustomer) named() object {
	return object{"name": c.name, "email": c.id + "@facebook.com", "id": c.id}
}

func (p *Page) named() object {
	return object{"name": p.name, "email": p.id + "@facebook.com", "id": p.id}
}

// list are the messages, newest first; those too old to be looked at have an id and a
// time alone.
func (th *thread) list(fields []field, limit int) (any, *graphError) {
	if limit <= 0 {
		limit = 25
	}
	data := []object{}
	for i := len(th.letters) - 1; i >= 0 && len(data) < limit; i-- {
		wanted := fields
		if len(th.letters)-i > readableLetters || th.letters[i].deleted {
			wanted = readFields("id,created_time")
		}
		o, trouble := th.show(th.letters[i], wanted)
		if trouble != nil {
			return nil, trouble
		}
		data = append(data, o)
	}
	return object{"data": data, "paging": object{"cursors": object{"before": cursor(0), "after": cursor(len(data))}}}, nil
}

// show is a message as Graph has it: the app's metadata is not in it.
func (th *thread) show(l *letter, fields []field) (object, *graphError) {
	from, to := th.customer.named(), th.page.named()
	if l.fromPage {
		from, to = to, from
	}
	return pick("Message", l.mid, fields, func(f field) (any, bool) {
		switch f.name {
		case "created_time":
			return l.at.UTC().Format(graphTime), true
		case "from":
			return from, true
		case "to":
			return object{"data": []object{to}}, true
		case "message":
			return l.text, true
		case "attachments":
			return l.graphAttachments(), true
		case "sticker":
			if l.sticker == "" || l.file == nil {
				return nil, true
			}
			return l.file.address(), true
		case "reply_to":
			if l.replyTo == "" {
				return nil, true
			}
			return object{"mid": l.replyTo, "is_self_reply": false}, true
		case "shares", "tags", "story", "reactions":
			return nil, true
		}
		return nil, false
	})
}

// graphAttachments is the file of a message as the Conversations API has it.
func (l *letter) graphAttachments() any {
	if l.file == nil || l.sticker != "" {
		return nil
	}
	o := object{"id": l.file.id, "mime_type": l.file.mime, "name": l.file.name, "size": len(l.file.data)}
	switch major, _, _ := strings.Cut(l.file.mime, "/"); major {
	case "image":
		o["image_data"] = object{"url": l.file.address(), "preview_url": l.file.address(), "width": l.file.width, "height": l.file.height}
	case "video":
		o["video_data"] = object{"url": l.file.address(), "preview_url": l.file.address()}
	default:
		o["file_url"] = l.file.address()
	}
	return object{"data": []object{o}}
}
