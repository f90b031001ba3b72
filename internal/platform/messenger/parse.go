package messenger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"causeway/internal/platform"
)

// Parser reads what Facebook says of a page.
type Parser struct{}

var _ platform.Parser = Parser{}

// Parse tells what a body that Split cut means to the page with this id, as
// platform.Parser says. What is of another page means nothing; so do changes (feed,
// leads, ratings …) and kinds that are not known. Where an entry holds several events
// and some cannot be read, the events of the others are told and no error; an error
// means that nothing could be read. It repeats nothing of the body.
//
// Facebook tells no names: a contact is called by its id until it is described.
// MessageEdited.SentAt is zero, since Facebook does not repeat it.
func (Parser) Parse(account string, raw []byte) ([]platform.Event, error) {
	b, err := open(raw)
	if err != nil {
		return nil, err
	}
	var told []platform.Event
	var wrong error
	for _, raw := range b.Entries {
		var it entry
		if err := json.Unmarshal(raw, &it); err != nil {
			wrong = shapeless("entry", err)
			continue
		}
		if string(it.ID) != account {
			continue
		}
		for _, part := range it.parts() {
			events, err := parseEvent(&it, part)
			if err != nil {
				wrong = err
			}
			told = append(told, events...)
		}
	}
	if len(told) == 0 {
		return nil, wrong
	}
	return told, nil
}

func parseEvent(it *entry, part part) ([]platform.Event, error) {
	ev := openEvent(string(it.ID), part.raw)
	if ev.kind.read == nil {
		return nil, nil
	}
	if ev.at == 0 {
		ev.at = it.Time
	}
	ev.standby = part.standby
	if ev.chat == "" && !ev.kind.ofPage {
		return nil, lacks(ev.kind.key, "the customer's id")
	}
	return ev.kind.read(ev)
}

// kinds are those that are understood, the more telling ones first, should an event
// have several.
func kinds() [25]kind {
	return [...]kind{
		{key: "message", field: "messages", read: parseMessage},
		{key: "message_edit", field: "message_edits", read: parseEdit},
		{key: "reaction", field: "message_reactions", read: parseReaction},
		{key: "postback", field: "messaging_postbacks", read: parsePostback},
		{key: "delivery", field: "message_deliveries", read: parseDelivery},
		{key: "read", field: "message_reads", read: parseRead},
		{key: "pass_thread_control", field: "messaging_handovers", read: parsePass},
		{key: "take_thread_control", field: "messaging_handovers", read: parseTake},
		{key: "request_thread_control", field: "messaging_handovers", read: parseRequest},
		{key: "app_roles", field: "messaging_handovers", read: parseRoles, ofPage: true},
		{key: "policy_enforcement", field: "messaging_policy_enforcement", read: parsePolicy, ofPage: true},
		{key: "policy-enforcement", field: "messaging_policy_enforcement", read: parsePolicy, ofPage: true},
		{key: "lead", field: "messaging_in_thread_lead_form_submit", read: noting(leadWords)},
		{key: "referral", field: "messaging_referrals", read: noting(referralWords)},
		{key: "optin", field: "messaging_optins", read: noting(optinWords)},
		{key: "optout", field: "messaging_optouts", read: noting(optoutWords)},
		{key: "account_linking", field: "messaging_account_linking", read: noting(linkingWords)},
		{key: "messaging_feedback", field: "messaging_feedback", read: noting(feedbackWords)},
		{key: "response_feedback", field: "response_feedback", read: noting(responseWords)},
		{key: "messaging_customer_information", field: "messaging_customer_information", read: noting(informationWords)},
		{key: "order", field: "send_cart", read: noting(orderWords)},
		{key: "payment", field: "messaging_payments", read: noting(paymentWords)},
		{key: "pre_checkout", field: "messaging_pre_checkouts", read: noting(preCheckoutWords)},
		{key: "checkout_update", field: "messaging_checkout_updates", read: noting(checkoutWords)},
		{key: "game_play", field: "messaging_game_plays", read: noting(gameWords)},
	}
}

// with is the chat of an event. Facebook tells no name with it.
func (ev event) with() platform.Chat {
	return platform.Chat{ID: ev.chat, Contact: person(ev.chat)}
}

func (ev event) time() time.Time { return at(ev.at) }

func person(id string) platform.Person { return platform.Person{ID: id, Name: id} }

// id is the event's own id: what Facebook gives it, else one made of what a second
// delivery repeats, whatever the order of its keys.
func (ev event) id(mid ident) string {
	if mid != "" {
		return string(mid)
	}
	var content any
	_ = json.Unmarshal(ev.body, &content)
	same, _ := json.Marshal(content)
	hash := sha256.Sum256(same)
	return fmt.Sprintf("%s/%s/%d/%s", ev.kind.key, ev.chat, ev.at, hex.EncodeToString(hash[:8]))
}

// decode reads the body of an event of a known kind.
func (ev event) decode(into any) error {
	if err := json.Unmarshal(ev.body, into); err != nil {
		return shapeless(ev.kind.key, err)
	}
	return nil
}

// shapeless is the error of what has not the shape that Facebook gives it. Package
// json's errors quote what they read, so only the place is kept of them.
func shapeless(kind string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return fmt.Errorf("%s: %s has not the shape Facebook gives it", kind, wrong.Field)
	}
	return fmt.Errorf("%s: not the shape Facebook gives it", kind)
}

// lacks is the error of an event without what makes it what it is.
func lacks(kind, what string) error { return fmt.Errorf("%s: %s is missing", kind, what) }
