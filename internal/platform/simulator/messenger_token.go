package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How long things are good for.
const (
	shortToken = 5100 * time.Second
	longToken  = 60 * 24 * time.Hour
	codeLife   = 10 * time.Minute
)

// What kinds of tokens there are, as debug_token names them.
const (
	userToken = "USER"
	pageToken = "PAGE"
	appToken  = "APP"
)

const maxTokens = 5000

// accessToken is a token that was given out.
type accessToken struct {
	value   string
	kind    string
	app     *App
	person  *Person // nil for an app's
	page    *Page   // of a page's token
	grant   *grant
	long    bool
	issued  time.Time
	expires time.Time // zero: never
	changes int       // of the person's password before it was issued
	dead    int       // the subcode of 190 it is refused with, or zero
}

// loginCode is what the dialog hands to the callback, once.
type loginCode struct {
	app      *App
	person   *Person
	grant    *grant
	redirect string
	made     time.Time
	used     bool
}

func (m *Messenger) issueUser(a *App, p *Person, g *grant, long bool) *accessToken {
	life := shortToken
	if long {
		life = longToken
	}
	now := m.now()
	return m.issue(&accessToken{kind: userToken, app: a, person: p, grant: g, long: long, issued: now, expires: now.Add(life)})
}

// issuePage gives the page's token that belongs to a person's token. The same one is
// given as long as it is good.
func (m *Messenger) issuePage(user *accessToken, page *Page) *accessToken {
	t := &accessToken{
		kind: pageToken, app: user.app, person: user.person, page: page, grant: user.grant, long: user.long,
		issued: m.now(), expires: user.expires,
	}
	if t.long {
		t.expires = time.Time{}
	}
	for _, known := range m.tokens {
		same := known.kind == pageToken && known.page == page && known.grant == t.grant && known.expires.Equal(t.expires)
		if same && m.trouble(known) == nil {
			return known
		}
	}
	return m.issue(t)
}

func (m *Messenger) issue(t *accessToken) *accessToken {
	if len(m.tokens) >= maxTokens {
		for value, known := range m.tokens {
			if m.trouble(known) != nil {
				delete(m.tokens, value)
			}
		}
	}
	t.value, t.changes = "EAA"+m.draw(90), t.person.passwords
	m.tokens[t.value] = t
	m.changed.ring()
	return t
}

// RevokeToken ends one token: it is refused with 190 and this subcode, 466 say.
func (m *Messenger) RevokeToken(token string, subcode int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tokens[token]; t != nil {
		t.dead = subcode
	}
}

// ExpireToken ends one token's time (190/463).
func (m *Messenger) ExpireToken(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tokens[token]; t != nil {
		t.expires = m.now()
	}
}

// ExpireTokenIn lets a token live so long from now.
func (m *Messenger) ExpireTokenIn(token string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tokens[token]; t != nil {
		t.expires = m.now().Add(d)
	}
}

// find is the token with this value: one that was given out, or an app's own.
func (m *Messenger) find(value string) *accessToken {
	if t := m.tokens[value]; t != nil {
		return t
	}
	id, secret, _ := strings.Cut(value, "|")
	if a := m.apps[id]; a != nil && hmac.Equal([]byte(a.secret), []byte(secret)) {
		return &accessToken{value: value, kind: appToken, app: a}
	}
	return nil
}

// trouble is why a token is not good any more; nil when it is.
func (m *Messenger) trouble(t *accessToken) *graphError {
	now := m.now()
	switch {
	case t.kind == appToken:
		return nil
	case t.dead != 0:
		return refuse(190, t.dead)
	case t.grant.ended:
		return refuse(190, 458)
	case t.changes != t.person.passwords:
		return refuse(190, 460)
	case t.person.checkpoint:
		return refuse(190, 459)
	case !t.expires.IsZero() && !now.Before(t.expires):
		return refuse(190, 463)
	case t.kind == pageToken && len(t.page.tasks[t.person]) == 0:
		return refuse(190, 492)
	case !now.Before(t.grant.at.Add(dataAccess)):
		return refuse(190, 0).saying("The user's data access has expired; the user has to log in again.")
	}
	return nil
}

// scopes are the permissions that a token carries.
func (t *accessToken) scopes() []string {
	scopes := []string{}
	if t.grant == nil {
		return scopes
	}
	for permission, status := range t.grant.permissions {
		if status == "granted" {
			scopes = append(scopes, permission)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// authorise is the token that a call carries, when it is good.
func (m *Messenger) authorise(r *graphRequest) (*accessToken, *graphError) {
	if r.bearer == "" {
		return nil, refuse(104, 0)
	}
	t := m.find(r.bearer)
	if t == nil {
		return nil, refuse(190, 0)
	}
	if trouble := m.trouble(t); trouble != nil {
		return nil, trouble
	}
	return t, m.checkProof(t.app, r)
}

// checkProof checks appsecret_proof, in its timed form too.
func (m *Messenger) checkProof(a *App, r *graphRequest) *graphError {
	given := r.text("appsecret_proof")
	if given == "" {
		if a.proof {
			return refuse(100, 0).of("GraphMethodException").saying("API calls from the server require an appsecret_proof argument")
		}
		return nil
	}
	message := r.bearer
	if stamp := r.number("appsecret_time"); stamp != 0 {
		message += "|" + strconv.FormatInt(stamp, 10)
		if age := m.now().Sub(time.Unix(stamp, 0)); age > 5*time.Minute || age < -5*time.Minute {
			return refuse(100, 0).of("GraphMethodException").saying("Invalid appsecret_proof provided in the API argument")
		}
	}
	mac := hmac.New(sha256.New, []byte(a.secret))
	mac.Write([]byte(message))
	if !hmac.Equal([]byte(given), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return refuse(100, 0).of("GraphMethodException").saying("Invalid appsecret_proof provided in the API argument")
	}
	return nil
}

// exchange answers /oauth/access_token.
func (m *Messenger) exchange(r *graphRequest) (any, *graphError) {
	a := m.apps[r.text("client_id")]
	switch {
	case a == nil:
		return nil, refuse(101, 0).saying("Error validating application. Cannot get application info due to a system error.")
	case !hmac.Equal([]byte(a.secret), []byte(r.text("client_secret"))):
		return nil, refuse(1, 0).saying("Error validating client secret.")
	}
	switch r.text("grant_type") {
	case "client_credentials":
		return object{"access_token": a.Token(), "token_type": "bearer"}, nil
	case "fb_exchange_token":
		return m.prolong(a, r.text("fb_exchange_token"))
	}
	return m.redeem(a, r)
}

func (m *Messenger) redeem(a *App, r *graphRequest) (any, *graphError) {
	code := m.codes[r.text("code")]
	switch {
	case r.text("code") == "":
		return nil, refuse(100, 0).saying("Missing authorization code")
	case code == nil || code.app != a:
		return nil, refuse(100, 0).saying("Invalid verification code format.")
	case code.redirect != r.text("redirect_uri"):
		return nil, refuse(100, 36008)
	case code.used:
		return nil, refuse(100, 36009)
	case m.now().Sub(code.made) > codeLife:
		return nil, refuse(100, 36007)
	}
	code.used = true
	return m.tokenAnswer(m.issueUser(a, code.person, code.grant, false)), nil
}

// prolong exchanges a person's token for one of 60 days. A page's token that expires is
// exchanged for one that does not.
func (m *Messenger) prolong(a *App, value string) (any, *graphError) {
	t := m.tokens[value]
	if t == nil || t.app != a {
		return nil, refuse(190, 0)
	}
	if trouble := m.trouble(t); trouble != nil {
		return nil, trouble
	}
	if t.kind == pageToken {
		return m.tokenAnswer(m.issuePage(&accessToken{app: a, person: t.person, grant: t.grant, long: true}, t.page)), nil
	}
	return m.tokenAnswer(m.issueUser(a, t.person, t.grant, true)), nil
}

func (m *Messenger) tokenAnswer(t *accessToken) object {
	o := object{"access_token": t.value, "token_type": "bearer"}
	if !t.expires.IsZero() {
		o["expires_in"] = int64(t.expires.Sub(m.now()) / time.Second)
	}
	return o
}

// debugToken tells of any token of the app that asks.
func (m *Messenger) debugToken(asking *accessToken, input string) (any, *graphError) {
	t := m.find(input)
	switch {
	case input == "":
		return nil, refuse(100, 0).saying("(#100) The parameter input_token is required")
	case t == nil:
		return object{"data": object{
			"is_valid": false, "scopes": []string{},
			"error": object{"code": 190, "message": "Invalid OAuth access token."},
		}}, nil
	case t.app != asking.app:
		return nil, refuse(100, 0).saying("(#100) The App_id in the input_token did not match the Viewing App")
	}
	data := object{
		"app_id": t.app.id, "type": t.kind, "application": t.app.name, "is_valid": true, "expires_at": int64(0), "scopes": t.scopes(),
	}
	if t.kind != appToken {
		m.describeToken(t, data)
	}
	return object{"data": data}, nil
}

func (m *Messenger) describeToken(t *accessToken, data object) {
	data["user_id"] = t.person.id
	if !t.expires.IsZero() {
		data["expires_at"] = t.expires.Unix()
	}
	data["data_access_expires_at"] = t.grant.at.Add(dataAccess).Unix()
	if t.long {
		data["issued_at"] = t.issued.Unix()
	}
	if t.page != nil {
		data["profile_id"] = t.page.id
	}
	chosen := []string{}
	for page := range t.grant.pages {
		chosen = append(chosen, page.id)
	}
	slices.Sort(chosen)
	granular := []object{}
	for _, scope := range t.scopes() {
		granular = append(granular, object{"scope": scope, "target_ids": chosen})
	}
	data["granular_scopes"] = granular
	lapsed := !m.now().Before(t.grant.at.Add(dataAccess)) // it stays valid, as Facebook says of it
	if trouble := m.trouble(t); trouble != nil && (!lapsed || trouble.subcode != 0) {
		data["is_valid"], data["scopes"] = false, []string{}
		reason := object{"code": trouble.code, "message": trouble.message}
		if trouble.subcode != 0 {
			reason["subcode"] = trouble.subcode
		}
		data["error"] = reason
	}
}

// permissions answers /me/permissions.
func (t *accessToken) permissions() any {
	data := []object{}
	for permission, status := range t.grant.permissions {
		data = append(data, object{"permission": permission, "status": status})
	}
	slices.SortFunc(data, func(a, b object) int { return strings.Compare(a["permission"].(string), b["permission"].(string)) })
	return object{"data": data}
}

// forget answers DELETE /me/permissions, of all or of one.
func (m *Messenger) forget(t *accessToken, permission string) (any, *graphError) {
	if permission == "" {
		t.grant.ended = true
		delete(t.person.grants, t.app)
		m.silence(t.app)
	} else {
		delete(t.grant.permissions, permission)
	}
	return m.success(), nil
}

func (m *Messenger) success() any {
	if m.opts.SuccessAsText {
		return object{"success": "true"}
	}
	return object{"success": true}
}

// of changes an error's type.
func (e *graphError) of(kind string) *graphError {
	e.kind = kind
	return e
}

// saying changes an error's message.
func (e *graphError) saying(message string) *graphError {
	e.message = message
	return e
}

// with changes an error's HTTP status.
func (e *graphError) with(status int) *graphError {
	e.status = status
	return e
}

// refuse is an error with the usual status and words of its code and subcode.
func refuse(code, subcode int) *graphError {
	return &graphError{status: http.StatusBadRequest, kind: "OAuthException", code: code, subcode: subcode, message: usualWords(code, subcode)}
}
