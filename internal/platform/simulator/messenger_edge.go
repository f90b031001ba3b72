package simulator

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageFields are what a page may be subscribed to.
const pageFields = `affiliation attire awards bio birthday business_integrity call_permission_reply call_settings_update calls
category checkins company_overview conversations culinary_team current_location description email feature_access_list feed
follow founded general_info general_manager group_feed hometown hours inbox_labels invoice_access_invoice_change
invoice_access_invoice_draft_change invoice_access_onboarding_status_active leadgen leadgen_fat leadgen_update live_videos
local_delivery location marketing_message_clicks marketing_message_deliveries marketing_message_delivery_failed
marketing_message_echoes marketing_message_reads mcom_invoice_change members mention merchant_review message_context
message_deliveries message_echoes message_edits message_mention message_reactions message_reads message_template_status_update
messages messaging_account_linking messaging_appointments messaging_checkout_updates messaging_customer_information
messaging_direct_sends messaging_fblogin_account_linking messaging_feedback messaging_game_plays messaging_handovers
messaging_in_thread_lead_form_submit messaging_integrity messaging_optins messaging_optouts messaging_payments
messaging_policy_enforcement messaging_postbacks messaging_pre_checkouts messaging_referrals mission name page_about_story
page_change_proposal page_upcoming_change parking payment_options personal_info personal_interests phone picture price_range
product_review products public_transit publisher_subscriptions ratings registration response_feedback send_cart standby
user_action video_text_question_responses videos website`

// answer runs a call.
func (m *Messenger) answer(ctx context.Context, r *graphRequest) graphAnswer {
	if r.method == http.MethodPost && len(r.path) == 2 && r.path[1] == "subscriptions" {
		return m.subscribeApp(ctx, r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch strings.Join(r.path, "/") {
	case "oauth/access_token":
		return said(m.exchange(r))
	case "debug_token":
		t, trouble := m.authorise(r)
		if trouble != nil {
			return graphAnswer{trouble: trouble}
		}
		return said(m.debugToken(t, r.text("input_token")))
	}
	if a, done := m.publicPicture(r); done {
		return a
	}
	t, trouble := m.authorise(r)
	if trouble != nil {
		return graphAnswer{trouble: trouble}
	}
	return m.onNode(t, r)
}

func said(body any, trouble *graphError) graphAnswer {
	return graphAnswer{body: body, trouble: trouble}
}

// missing is the answer to what is not there or may not be seen.
func missing(id string) *graphError {
	return refuse(100, 33).of("GraphMethodException").saying("Unsupported request. Object with ID '" + id +
		"' does not exist, cannot be loaded due to missing permissions, or does not support this operation.")
}

func lacking(permission string) *graphError {
	return refuse(10, 0).saying("(#10) This endpoint requires the '" + permission + "' permission or to be reviewed for it.")
}

func (m *Messenger) onNode(t *accessToken, r *graphRequest) graphAnswer {
	node, edge := r.path[0], ""
	if len(r.path) > 1 {
		edge = r.path[1]
	}
	if node == "me" {
		switch t.kind {
		case userToken:
			return said(m.onPerson(t, r, edge, r.path))
		case pageToken:
			node = t.page.id
		default:
			return graphAnswer{trouble: refuse(2500, 0).saying("An active access token must be used to query information about the current user.")}
		}
	}
	switch page, c := m.pages[node], m.customerOf(node); {
	case node == "app":
		return said(t.app.describe(r))
	case m.apps[node] != nil && m.apps[node] == t.app:
		return said(m.onApp(t, r, edge))
	case page != nil && !page.deleted:
		return m.onPage(t, page, r, edge)
	case c != nil:
		return said(m.profile(t, c, r))
	case strings.HasPrefix(node, "t_"), strings.HasPrefix(node, "m_"):
		return said(m.onHistory(t, r, node, edge))
	case t.person != nil && node == t.person.id && t.kind == userToken:
		return said(m.onPerson(t, r, edge, r.path))
	}
	return graphAnswer{trouble: missing(node)}
}

func (m *Messenger) onPerson(t *accessToken, r *graphRequest, edge string, path []string) (any, *graphError) {
	switch r.method + " " + edge {
	case "GET ":
		return pick("User", t.person.id, fieldsOr(r, "name"), func(f field) (any, bool) {
			first, last, _ := strings.Cut(t.person.name, " ")
			switch f.name {
			case "name":
				return t.person.name, true
			case "first_name":
				return first, true
			case "last_name":
				return last, true
			case "email", "picture":
				return nil, true
			}
			return nil, false
		})
	case "GET permissions":
		return t.permissions(), nil
	case "DELETE permissions":
		permission := r.text("permission")
		if len(path) > 2 {
			permission = path[2]
		}
		return m.forget(t, permission)
	case "GET accounts":
		return m.accounts(t, r)
	}
	return nil, missing(t.person.id)
}

func fieldsOr(r *graphRequest, usual string) []field {
	if text := r.text("fields"); text != "" {
		return readFields(text)
	}
	return readFields(usual)
}

// accounts lists the pages that the person let the app have.
func (m *Messenger) accounts(t *accessToken, r *graphRequest) (any, *graphError) {
	pages := []*Page{}
	for _, page := range m.pages {
		listed := t.grant.has(PagesShowList) && t.grant.pages[page] && len(page.tasks[t.person]) > 0 && !page.deleted &&
			(!page.business || t.grant.has(BusinessManagement))
		if listed {
			pages = append(pages, page)
		}
	}
	slices.SortFunc(pages, func(a, b *Page) int { return a.rank - b.rank })
	all := []object{}
	for _, page := range pages {
		o, trouble := m.describePage(t, page, fieldsOr(r, "access_token,category,category_list,name,tasks"))
		if trouble != nil {
			return nil, trouble
		}
		all = append(all, o)
	}
	return m.listed(r, all, 100), nil
}

func (m *Messenger) describePage(t *accessToken, page *Page, fields []field) (object, *graphError) {
	for _, f := range fields {
		counts := f.name == "followers_count" || f.name == "fan_count"
		if counts && t.grant != nil && !t.grant.has(PagesReadEngagement) {
			return nil, lacking(PagesReadEngagement)
		}
	}
	return pick("Page", page.id, fields, func(f field) (any, bool) { return m.pageField(t, page, f) })
}

func (m *Messenger) pageField(t *accessToken, page *Page, f field) (any, bool) {
	switch f.name {
	case "name":
		return page.name, true
	case "username":
		return orNothing(page.username), true
	case "category":
		return page.category, true
	case "category_list":
		sum := sha256.Sum256([]byte(page.category))
		return []object{{"id": strconv.Itoa(1000 + int(sum[0])), "name": page.category}}, true
	case "picture":
		return object{"data": object{"url": page.picture.address(), "height": 200, "width": 200, "is_silhouette": false}}, true
	case "followers_count", "fan_count":
		return page.followers, true
	case "is_published":
		return page.published, true
	case "link":
		return page.link(), true
	case "tasks":
		return page.tasks[t.person], true
	case "access_token":
		if t.person == nil || page.hidden[t.person] || !t.grant.pages[page] {
			return nil, true
		}
		return m.issuePage(t, page).value, true
	case "messaging_feature_status":
		return object{"hop_v2": !page.legacy, "msgr_multi_app": true, "ig_multi_app": false}, true
	case "about", "emails", "website", "instagram_business_account", "business", "verification_status":
		return nil, true
	}
	return nil, false
}

func orNothing(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (a *App) describe(r *graphRequest) (any, *graphError) {
	return pick("Application", a.id, fieldsOr(r, "category,link,name"), func(f field) (any, bool) {
		switch f.name {
		case "name":
			return a.name, true
		case "category":
			return a.category, true
		case "link":
			return "https://www.facebook.com/games/?app_id=" + a.id, true
		case "namespace":
			return nil, true
		}
		return nil, false
	})
}

func (m *Messenger) onApp(t *accessToken, r *graphRequest, edge string) (any, *graphError) {
	switch {
	case edge == "" && r.method == http.MethodGet:
		return t.app.describe(r)
	case edge != "subscriptions":
		return nil, missing(t.app.id)
	case t.kind != appToken:
		return nil, refuse(15, 0).saying("(#15) This method must be called with an app access_token.")
	case r.method == http.MethodDelete:
		t.app.callback, t.app.fields = "", nil
		m.changed.ring()
		return m.success(), nil
	}
	data := []object{}
	if t.app.callback != "" {
		fields := []object{}
		for _, name := range t.app.fields {
			fields = append(fields, object{"name": name, "version": "v25.0"})
		}
		data = append(data, object{"object": "page", "callback_url": t.app.callback, "active": true, "fields": fields})
	}
	return object{"data": data}, nil
}

// subscribeApp sets the app's webhook after a look at it.
func (m *Messenger) subscribeApp(ctx context.Context, r *graphRequest) graphAnswer {
	m.mu.Lock()
	t, trouble := m.authorise(r)
	if trouble == nil {
		trouble = m.mayHook(t, r)
	}
	m.mu.Unlock()
	if trouble != nil {
		return graphAnswer{trouble: trouble}
	}
	fields := split(r.text("fields"))
	if err := t.app.SetWebhook(ctx, r.text("callback_url"), r.text("verify_token"), fields...); err != nil {
		return graphAnswer{trouble: refuse(2200, 0).saying("(#2200) Callback verification failed with the following errors: " + err.Error())}
	}
	return graphAnswer{body: m.success()}
}

func (m *Messenger) mayHook(t *accessToken, r *graphRequest) *graphError {
	callback, err := url.Parse(r.text("callback_url"))
	switch {
	case t.app.id != r.path[0]:
		return missing(r.path[0])
	case t.kind != appToken:
		return refuse(15, 0).saying("(#15) This method must be called with an app access_token.")
	case r.text("object") != "page":
		return refuse(100, 0).saying("(#100) The parameter object must be one of the objects there are; this look-alike has page only")
	case err != nil || callback.Host == "" || callback.Scheme != "https" && (m.opts.Cloud || callback.Scheme != "http"):
		return refuse(100, 0).saying("(#100) The parameter callback_url must be a secure address")
	}
	return unknownField(split(r.text("fields")))
}

func unknownField(fields []string) *graphError {
	if len(fields) == 0 {
		return refuse(100, 0).saying("(#100) The parameter subscribed_fields is required.")
	}
	known := strings.Fields(pageFields)
	for i, name := range fields {
		if !slices.Contains(known, name) {
			return refuse(100, 0).saying(fmt.Sprintf("(#100) Param subscribed_fields[%d] must be one of {%s} - got %q.",
				i, strings.ToUpper(strings.Join(known, ", ")), name))
		}
	}
	return nil
}

// split is a list as parameters hold it: with commas, or a JSON array.
func split(text string) []string {
	text = strings.NewReplacer("[", "", "]", "", `"`, "").Replace(text)
	names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	return names
}

// SetWebhook enters the app's webhook as its dashboard does: the address is asked for
// the challenge first. The error says what was seen instead.
func (a *App) SetWebhook(ctx context.Context, address, verifyToken string, fields ...string) error {
	challenge := a.m.challenge()
	got, err := a.m.shakeHands(ctx, address, verifyToken, challenge)
	if err != nil {
		return err
	}
	if got != challenge {
		return fmt.Errorf("the challenge %s was answered by %.100q", challenge, got)
	}
	a.change(func() {
		a.callback, a.verifyToken, a.fields = address, verifyToken, fields
	})
	return nil
}

func (m *Messenger) challenge() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.numeral(10)
}

func (m *Messenger) shakeHands(ctx context.Context, address, verifyToken, challenge string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("the address is none")
	}
	query := u.Query()
	query.Set("hub.mode", "subscribe")
	query.Set("hub.challenge", challenge)
	query.Set("hub.verify_token", verifyToken)
	u.RawQuery = query.Encode()
	ctx, stop := m.limited(ctx)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", fmt.Errorf("the address is none")
	}
	request.Header.Set("User-Agent", "facebookplatform/1.0")
	response, err := m.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("%s", troubleWith(err))
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("HTTP Status Code = %d; HTTP Message = %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return string(body), err
}

// publicPicture answers /{page}/picture, which needs no token.
func (m *Messenger) publicPicture(r *graphRequest) (graphAnswer, bool) {
	if len(r.path) != 2 || r.path[1] != "picture" || m.pages[r.path[0]] == nil {
		return graphAnswer{}, false
	}
	picture := m.pages[r.path[0]].picture.address()
	if redirect := r.text("redirect"); redirect == "0" || redirect == "false" {
		return graphAnswer{body: object{"data": object{"url": picture, "height": 200, "width": 200, "is_silhouette": false}}}, true
	}
	return graphAnswer{redirect: picture}, true
}

func (m *Messenger) onPage(t *accessToken, page *Page, r *graphRequest, edge string) graphAnswer {
	switch {
	case t.kind == appToken && edge == "subscribed_apps" && r.method == http.MethodDelete:
		delete(page.subscribed, t.app) // an app may always leave
		m.changed.ring()
		return graphAnswer{body: m.success()}
	case t.kind == appToken && edge != "":
		return graphAnswer{trouble: refuse(210, 0).saying("(#210) A page access token is required to request this resource.")}
	case t.kind == pageToken && t.page != page, t.kind == userToken && (len(page.tasks[t.person]) == 0 || !t.grant.pages[page]):
		return graphAnswer{trouble: missing(page.id)}
	case t.kind == pageToken && !t.grant.pages[page]:
		return graphAnswer{trouble: refuse(200, 0)}
	case edge == "" && r.method == http.MethodGet:
		body, trouble := m.describePage(t, page, fieldsOr(r, "name"))
		return graphAnswer{body: body, trouble: trouble}
	case t.kind == userToken:
		return graphAnswer{trouble: refuse(210, 0).saying("(#210) A page access token is required to request this resource.")}
	}
	switch r.method + " " + edge {
	case "GET subscribed_apps", "POST subscribed_apps", "DELETE subscribed_apps":
		return said(m.subscribedApps(t, page, r))
	case "POST messages":
		return m.send(t, page, r)
	case "POST message_attachments":
		return said(m.preUpload(t, page, r))
	case "GET conversations":
		return said(m.conversations(t, page, r))
	case "GET secondary_receivers":
		return said(page.secondaryReceivers())
	case "GET thread_owner", "POST pass_thread_control", "POST take_thread_control", "POST release_thread_control",
		"POST request_thread_control", "POST extend_thread_control":
		return said(m.control(t, page, r, edge))
	}
	return graphAnswer{trouble: missing(page.id)}
}

func (t *accessToken) can(tasks ...string) bool {
	return slices.ContainsFunc(t.page.tasks[t.person], func(task string) bool { return slices.Contains(tasks, task) })
}

func (m *Messenger) subscribedApps(t *accessToken, page *Page, r *graphRequest) (any, *graphError) {
	switch {
	case !t.grant.has(PagesManageMetadata):
		return nil, refuse(200, 0).saying("(#200) Requires the pages_manage_metadata permission to manage the object")
	case r.method == http.MethodGet:
		return page.listSubscribed(), nil
	case !t.can("MODERATE", "MANAGE"):
		return nil, refuse(200, 0).saying("(#200) User does not have sufficient administrative permission for this action on this page")
	case r.method == http.MethodDelete:
		delete(page.subscribed, t.app)
		m.changed.ring()
		return m.success(), nil
	}
	fields := split(r.text("subscribed_fields"))
	if trouble := unknownField(fields); trouble != nil {
		return nil, trouble
	}
	if slices.Contains(fields, "messages") && !t.grant.has(PagesMessaging) {
		return nil, refuse(200, 0).saying("(#200) To subscribe to the messages field, one of these permissions is needed: pages_messaging.")
	}
	if m.opts.MergeFields {
		fields = append(slices.Clone(page.subscribed[t.app]), fields...)
	}
	slices.Sort(fields)
	page.subscribed[t.app] = slices.Compact(fields)
	m.changed.ring()
	return m.success(), nil
}

func (p *Page) listSubscribed() any {
	data := []object{}
	for a, fields := range p.subscribed {
		data = append(data, object{
			"category": a.category, "link": "https://www.facebook.com/games/?app_id=" + a.id,
			"name": a.name, "id": a.id, "subscribed_fields": fields,
		})
	}
	slices.SortFunc(data, func(a, b object) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	return object{"data": data}
}

func (p *Page) secondaryReceivers() (any, *graphError) {
	data := []object{}
	for _, id := range p.secondary {
		o := object{"id": id}
		if a := p.m.apps[id]; a != nil {
			o["name"] = a.name
		}
		data = append(data, o)
	}
	return object{"data": data}, nil
}

// profile answers what a page may know of a customer.
func (m *Messenger) profile(t *accessToken, c *PageCustomer, r *graphRequest) (any, *graphError) {
	switch {
	case r.method != http.MethodGet, t.kind != pageToken, t.page != c.page, !c.contacted, !t.grant.has(PagesMessaging):
		return nil, missing(c.id)
	case c.profile == ProfileEmpty:
		return object{}, nil
	case c.profile == ProfileIDOnly:
		return object{"id": c.id}, nil
	case c.profile == ProfileForbidden:
		return nil, refuse(100, 2018247)
	case c.profile == ProfileUnavailable || c.gone:
		return nil, refuse(100, 2018218)
	}
	first, last, _ := strings.Cut(c.name, " ")
	fields := fieldsOr(r, "name,first_name,last_name,profile_pic")
	for _, f := range fields {
		permission := "pages_user_" + f.name
		if slices.Contains([]string{"locale", "timezone", "gender"}, f.name) && !t.grant.has(permission) {
			return nil, refuse(100, 2018247).saying("(#100) " + permission + " is needed to read " + f.name)
		}
	}
	return pick("MessengerUser", c.id, fields, func(f field) (any, bool) {
		switch f.name {
		case "name":
			return c.name, true
		case "first_name":
			return first, true
		case "last_name":
			return last, true
		case "profile_pic":
			return c.picture.address(), true
		case "locale":
			return orNothing(c.locale), true
		case "timezone":
			return c.timezone, true
		case "gender":
			return orNothing(c.gender), true
		}
		return nil, false
	})
}
