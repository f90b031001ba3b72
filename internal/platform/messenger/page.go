package messenger

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"causeway/internal/platform"
)

// Page is a page as Facebook describes it.
type Page struct {
	ID, Name, Username, Category string
	// Picture is what Client.Fetch takes.
	Picture string
	Link    string
	// Followers and Fans are nil where Facebook does not say.
	Followers, Fans *int
	// Published is nil where Facebook does not say.
	Published *bool
	// Tasks are what the person may do on the page (MESSAGING, MODERATE …); only a list of
	// the person's pages tells them.
	Tasks []string
	// Token is the page's own; empty where the person did not choose the page or may not
	// speak for it. Only a list of the person's pages tells it. It stays out of JSON.
	Token Token `json:"-"`
}

// May tells whether the person has a task on the page.
func (p Page) May(task string) bool { return slices.Contains(p.Tasks, task) }

// The tasks that connecting a page needs: writing, and subscribing to its webhooks.
const (
	TaskMessaging = "MESSAGING"
	TaskModerate  = "MODERATE"
	TaskManage    = "MANAGE"
)

// graphPage is a page as the Graph API writes it.
type graphPage struct {
	ID        ident    `json:"id"`
	Name      opaque   `json:"name"`
	Username  opaque   `json:"username"`
	Category  opaque   `json:"category"`
	Link      opaque   `json:"link"`
	Token     opaque   `json:"access_token"`
	Followers *number  `json:"followers_count"`
	Fans      *number  `json:"fan_count"`
	Published *yes     `json:"is_published"`
	Tasks     []opaque `json:"tasks"`
	Picture   struct {
		Data struct {
			URL opaque `json:"url"`
		} `json:"data"`
	} `json:"picture"`
}

func (p *graphPage) page() Page {
	page := Page{
		ID: string(p.ID), Name: string(p.Name), Username: string(p.Username), Category: string(p.Category),
		Picture: address(p.Picture.Data.URL), Link: address(p.Link), Token: Token(p.Token),
		Followers: count(p.Followers), Fans: count(p.Fans), Published: (*bool)(p.Published),
	}
	if page.Name == "" {
		page.Name = page.ID
	}
	for _, task := range p.Tasks {
		page.Tasks = append(page.Tasks, string(task))
	}
	return page
}

// count is a number of people, which the schema writes with 32 bits.
func count(n *number) *int {
	if n == nil || *n < 0 {
		return nil
	}
	i := int(min(*n, 1<<31-1))
	return &i
}

// Page reads the page's facts, without tasks and token, which are a person's.
// Where the token may not read all of them, id, name and picture. Facebook tells nowhere
// whether a page is restricted: sending does (platform.Restricted), and a policy notice.
func (c *Client) Page(ctx context.Context) (Page, error) {
	const few, all = "id,name,picture{url}", "id,name,username,picture{url},category,link,followers_count,fan_count,is_published"
	var p graphPage
	err := c.get(ctx, "page", []string{c.page}, url.Values{"fields": {all}}, &p)
	if untold(err) {
		p = graphPage{}
		err = c.get(ctx, "page", []string{c.page}, url.Values{"fields": {few}}, &p)
	}
	if err != nil {
		return Page{}, err
	}
	if p.ID == "" {
		return Page{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: "page", Code: "200", Message: "a page without an id", Sent: true,
		}
	}
	return p.page(), nil
}

// Subscription is an app that gets webhooks of the page.
type Subscription struct {
	AppID, AppName string
	Fields         []string
}

// Subscribe lets the token's app get these fields of the page, as the whole list: whether
// Facebook adds them to what was there is not said, so read them back. The app must have
// them too (App.SetWebhook).
func (c *Client) Subscribe(ctx context.Context, fields []string) error {
	return c.post(ctx, "subscribed_apps", []string{c.page, "subscribed_apps"},
		asForm(url.Values{"subscribed_fields": {strings.Join(fields, ",")}}), nil)
}

// Subscribed reads back which apps get which fields, as far as the token may see; none is
// how a page looks that Facebook unsubscribed after an outage.
func (c *Client) Subscribed(ctx context.Context) ([]Subscription, error) {
	var found struct {
		Data []struct {
			ID     ident             `json:"id"`
			Name   opaque            `json:"name"`
			Fields []subscribedField `json:"subscribed_fields"`
		} `json:"data"`
	}
	if err := c.get(ctx, "subscribed_apps", []string{c.page, "subscribed_apps"}, nil, &found); err != nil {
		return nil, err
	}
	var all []Subscription
	for _, app := range found.Data {
		s := Subscription{AppID: string(app.ID), AppName: string(app.Name)}
		for _, field := range app.Fields {
			s.Fields = append(s.Fields, string(field))
		}
		all = append(all, s)
	}
	return all, nil
}

// Unsubscribe ends the webhooks of the token's app for the page. That there were none is
// no error of Facebook's.
func (c *Client) Unsubscribe(ctx context.Context) error {
	return c.remove(ctx, "subscribed_apps", []string{c.page, "subscribed_apps"})
}

// subscribedField is a field's name, which some answers wrap in an object.
type subscribedField string

// UnmarshalJSON never fails: what is neither is empty.
func (f *subscribedField) UnmarshalJSON(b []byte) error {
	var wrapped struct {
		Name opaque `json:"name"`
	}
	if b[0] == '{' {
		_ = json.Unmarshal(b, &wrapped)
		*f = subscribedField(wrapped.Name)
		return nil
	}
	return (*opaque)(f).UnmarshalJSON(b)
}
