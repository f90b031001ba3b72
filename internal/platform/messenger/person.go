package messenger

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"causeway/internal/platform"
)

// TokenFacts are what Facebook knows of a token.
type TokenFacts struct {
	Valid  bool
	AppID  string // compare it: a token of another app proves nothing
	Type   string // USER, PAGE, APP or SYSTEM_USER
	UserID string // who granted it
	// ProfileID is the page that a page's token speaks for.
	ProfileID string
	IssuedAt  time.Time // zero where Facebook does not say
	// ExpiresAt is when the token ends, and DataAccessExpiresAt when it can read no more
	// until the person logs in again; zero: never.
	ExpiresAt, DataAccessExpiresAt time.Time
	// Scopes are what it may do, and Targets for which pages, where the person chose some:
	// a scope that is not in Targets counts for all.
	Scopes  []string
	Targets map[string][]string
	// Problem is why it is not valid; nil if it is.
	Problem *platform.Refusal
}

// DebugToken asks what a token is worth. That it is not valid is no error: see Problem.
// Unauthorized as an error means that the app's own id and secret are not good.
func (a *App) DebugToken(ctx context.Context, token Token) (TokenFacts, error) {
	const name = "debug_token"
	var got struct {
		Data *struct {
			AppID      ident       `json:"app_id"`
			Type       opaque      `json:"type"`
			Valid      yes         `json:"is_valid"`
			UserID     ident       `json:"user_id"`
			ProfileID  ident       `json:"profile_id"`
			Issued     number      `json:"issued_at"`
			Expires    number      `json:"expires_at"`
			DataAccess number      `json:"data_access_expires_at"`
			Scopes     []opaque    `json:"scopes"`
			Error      *debugError `json:"error"`
			Granular   []struct {
				Scope   opaque  `json:"scope"`
				Targets []ident `json:"target_ids"`
			} `json:"granular_scopes"`
		} `json:"data"`
	}
	err := a.asApp(ctx, call{
		name: name, verb: http.MethodGet, path: []string{name},
		query: url.Values{"input_token": {string(token)}}, secrets: []string{string(token)},
	}, &got)
	if err != nil {
		return TokenFacts{}, err
	}
	d := got.Data
	if d == nil {
		return TokenFacts{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: name, Code: "200", Message: "an answer without facts", Sent: true,
		}
	}
	facts := TokenFacts{
		Valid: bool(d.Valid), AppID: string(d.AppID), Type: string(d.Type),
		UserID: string(d.UserID), ProfileID: string(d.ProfileID),
		IssuedAt: unix(d.Issued), ExpiresAt: unix(d.Expires), DataAccessExpiresAt: unix(d.DataAccess),
	}
	for _, scope := range d.Scopes {
		facts.Scopes = append(facts.Scopes, string(scope))
	}
	for _, g := range d.Granular {
		if len(g.Targets) == 0 {
			continue
		}
		if facts.Targets == nil {
			facts.Targets = map[string][]string{}
		}
		for _, id := range g.Targets {
			facts.Targets[string(g.Scope)] = append(facts.Targets[string(g.Scope)], string(id))
		}
	}
	if !facts.Valid {
		facts.Problem = invalid(d.Error)
		facts.Problem.Method = name
		facts.Problem.Message = scrub(facts.Problem.Message, []string{string(token), a.secret})
	}
	return facts, nil
}

// debugError is how debug_token says why a token is not valid: not as other calls do.
type debugError struct {
	Code    number `json:"code"`
	Subcode number `json:"subcode"`
	Message opaque `json:"message"`
}

// invalid is the refusal that a call with such a token would get.
func invalid(said *debugError) *platform.Refusal {
	e := graphError{Code: 190, Message: "the token is not valid"}
	if said != nil {
		e.Subcode = said.Subcode
		if said.Code != 0 {
			e.Code = said.Code
		}
		if said.Message != "" {
			e.Message = said.Message
		}
	}
	return e.refusal(&http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}})
}

// unix is a time in seconds; zero for 0, which means never.
func unix(n number) time.Time {
	const endOfYear9999 = 253402300799
	if n <= 0 || n > endOfYear9999 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// Permission is a permission and what the person said to it.
type Permission struct {
	Name   string
	Status string // granted, declined or expired
}

// Granted tells whether the person agreed.
func (p Permission) Granted() bool { return p.Status == "granted" }

// Missing are those of wanted that are not granted, in their order.
func Missing(granted []Permission, wanted []string) []string {
	var missing []string
	for _, name := range wanted {
		if !slices.ContainsFunc(granted, func(p Permission) bool { return p.Name == name && p.Granted() }) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Permissions are what a person said to each permission that they were asked for.
func (a *App) Permissions(ctx context.Context, user Token) ([]Permission, error) {
	var all []Permission
	err := a.list(ctx, user, "permissions", []string{"me", "permissions"}, nil, func(raw json.RawMessage) {
		var p struct {
			Name   opaque `json:"permission"`
			Status opaque `json:"status"`
		}
		if json.Unmarshal(raw, &p) == nil && p.Name != "" {
			all = append(all, Permission{Name: string(p.Name), Status: string(p.Status)})
		}
	})
	return all, err
}

// Person is who logged in.
type Person struct {
	ID, Name string
}

// Me tells whom a token speaks for: a person, or a page by its own token.
func (a *App) Me(ctx context.Context, token Token) (Person, error) {
	var me struct {
		ID   ident  `json:"id"`
		Name opaque `json:"name"`
	}
	if err := a.asPerson(ctx, token, "me", []string{"me"}, url.Values{"fields": {"id,name"}}, &me); err != nil {
		return Person{}, err
	}
	if me.ID == "" {
		return Person{}, &platform.Refusal{
			Kind: platform.Unavailable, Method: "me", Code: "200", Message: "somebody without an id", Sent: true,
		}
	}
	return Person{ID: string(me.ID), Name: string(me.Name)}, nil
}

// Pages are the pages that a person manages and chose, each with its own token, which
// lives as long as the person's: without an end if that one is long-lived. At most 5000
// are read. None: the person chose none, or lacks pages_show_list; pages of a business
// may be missing without business_management.
func (a *App) Pages(ctx context.Context, user Token) ([]Page, error) {
	const fields = "id,name,username,access_token,category,tasks,picture{url},link,followers_count,fan_count,is_published"
	var pages []Page
	err := a.list(ctx, user, "accounts", []string{"me", "accounts"}, url.Values{"fields": {fields}}, func(raw json.RawMessage) {
		var p graphPage
		if json.Unmarshal(raw, &p) == nil && p.ID != "" {
			pages = append(pages, p.page())
		}
	})
	if err != nil {
		return nil, err
	}
	return pages, nil
}

// PageToken is the token of one page, by a person who manages it; empty if they may not
// speak for it.
func (a *App) PageToken(ctx context.Context, user Token, page string) (Token, error) {
	var p graphPage
	err := a.asPerson(ctx, user, "page", []string{page}, url.Values{"fields": {"access_token"}}, &p)
	return Token(p.Token), err
}

// A list is read in pages of pageSize, and maxPages of them.
const pageSize, maxPages = 100, 50

// list reads a list to its end, page by page. The address of the next one, which Facebook
// gives, holds the token: only its cursor is used.
func (a *App) list(
	ctx context.Context, token Token, name string, path []string, query url.Values, each func(json.RawMessage),
) error {
	after := ""
	for range maxPages {
		q := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for key, values := range query {
			q[key] = values
		}
		if after != "" {
			q.Set("after", after)
		}
		var got struct {
			Data   []json.RawMessage `json:"data"`
			Paging struct {
				Next    opaque `json:"next"`
				Cursors struct {
					After opaque `json:"after"`
				} `json:"cursors"`
			} `json:"paging"`
		}
		if err := a.asPerson(ctx, token, name, path, q, &got); err != nil {
			return err
		}
		for _, raw := range got.Data {
			each(raw)
		}
		next := string(got.Paging.Cursors.After)
		if got.Paging.Next == "" || next == "" || next == after {
			return nil
		}
		after = next
	}
	return nil
}
