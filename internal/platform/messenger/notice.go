package messenger

import (
	"fmt"
	"slices"
	"strings"

	"causeway/internal/platform"
)

// noting reads an event of which agents see a sentence. words decodes it; an empty
// sentence means that there is nothing to tell. Nothing that is a token or a code of
// the customer's goes into one.
func noting(words func(event) (string, error)) func(event) ([]platform.Event, error) {
	return func(ev event) ([]platform.Event, error) {
		text, err := words(ev)
		if err != nil || text == "" {
			return nil, err
		}
		return []platform.Event{platform.Noted{Chat: ev.with(), ID: ev.id(""), Text: text, SentAt: ev.time()}}, nil
	}
}

func referralWords(ev event) (string, error) {
	var r referral
	if err := ev.decode(&r); err != nil {
		return "", err
	}
	return r.words(), nil
}

// words tells how the customer came here.
func (r *referral) words() string {
	var what string
	switch r.Source {
	case "ADS":
		what = "The customer came from an ad"
		if r.AdContext != nil {
			what = joined(" ", what, quoted(r.AdContext.Title))
		}
	case "SHORTLINK":
		what = "The customer came by an m.me link"
	case "CUSTOMER_CHAT_PLUGIN":
		what = joined(" ", "The customer came from the chat on the website", short(string(r.Referer)))
	case "MESSENGER_CODE":
		what = "The customer came by scanning a Messenger code"
	case "DISCOVER_TAB":
		what = "The customer came from Messenger's Discover tab"
	case "":
		switch {
		case r.Product != nil && r.Product.ID != "":
			return "The customer asks about product " + short(string(r.Product.ID))
		case r.Ref == "" && r.Ad == "":
			return ""
		}
		what = "The customer came by a referral"
	default:
		what = "The customer came from " + short(string(r.Source))
	}
	var details []string
	if r.Ad != "" {
		details = append(details, "ad "+short(string(r.Ad)))
	}
	if r.Ref != "" {
		details = append(details, "ref "+short(string(r.Ref)))
	}
	if r.Product != nil && r.Product.ID != "" {
		details = append(details, "product "+short(string(r.Product.ID)))
	}
	return joined(" ", what, inBrackets(details...))
}

func inBrackets(parts ...string) string {
	if s := joined(", ", parts...); s != "" {
		return "(" + s + ")"
	}
	return ""
}

// leadWords tells a form that was filled in inside the chat; its source stands beside it.
func leadWords(ev event) (string, error) {
	var l struct {
		Data []struct {
			Question opaque `json:"question"`
			Answer   opaque `json:"answer"`
		} `json:"data"`
	}
	if err := ev.decode(&l); err != nil {
		return "", err
	}
	words := []string{"The customer filled in a form"}
	for _, d := range l.Data {
		words = append(words, joined(": ", short(string(d.Question)), short(string(d.Answer))))
	}
	return lines(words...), nil
}

func optinWords(ev event) (string, error) {
	var o struct {
		Type    opaque `json:"type"`
		Ref     opaque `json:"ref"`
		UserRef ident  `json:"user_ref"`
		Title   opaque `json:"title"`
		Status  opaque `json:"notification_messages_status"`
	}
	if err := ev.decode(&o); err != nil {
		return "", err
	}
	switch {
	case o.Status == "STOP NOTIFICATIONS":
		return joined(" ", "The customer stopped notifications", quoted(o.Title)), nil
	case o.Status == "RESUME NOTIFICATIONS":
		return joined(" ", "The customer resumed notifications", quoted(o.Title)), nil
	case o.Type == "notification_messages", o.Type == "one_time_notif_req":
		return joined(" ", "The customer opted in to notifications", quoted(o.Title)), nil
	}
	what := "The customer opted in"
	if o.UserRef != "" {
		what += " by the checkbox on the website"
	}
	if o.Ref != "" {
		return joined(" ", what, inBrackets("ref "+short(string(o.Ref)))), nil
	}
	return what, nil
}

func optoutWords(event) (string, error) {
	return "The customer opted out of marketing messages", nil
}

// linkingWords leaves out the authorization code.
func linkingWords(ev event) (string, error) {
	var l struct {
		Status opaque `json:"status"`
	}
	if err := ev.decode(&l); err != nil {
		return "", err
	}
	switch l.Status {
	case "linked":
		return "The customer linked their account", nil
	case "unlinked":
		return "The customer unlinked their account", nil
	default:
		return "", nil
	}
}

func feedbackWords(ev event) (string, error) {
	type answer struct {
		Payload  opaque `json:"payload"`
		FollowUp *struct {
			Payload opaque `json:"payload"`
		} `json:"follow_up"`
	}
	var f struct {
		Screens []struct {
			Questions map[string]answer `json:"questions"`
		} `json:"feedback_screens"`
	}
	if err := ev.decode(&f); err != nil {
		return "", err
	}
	var answers []string
	for _, screen := range f.Screens {
		for question, a := range screen.Questions {
			said := short(string(a.Payload))
			if a.FollowUp != nil {
				said = joined(", ", said, quoted(a.FollowUp.Payload))
			}
			answers = append(answers, joined(": ", short(question), said))
		}
	}
	slices.Sort(answers) // a map has no order
	return lines(append([]string{"The customer gave feedback"}, answers...)...), nil
}

func responseWords(ev event) (string, error) {
	var f struct {
		Feedback opaque `json:"feedback"`
	}
	if err := ev.decode(&f); err != nil {
		return "", err
	}
	return joined(" ", "The customer rated an answer", quoted(f.Feedback)), nil
}

func informationWords(ev event) (string, error) {
	var c struct {
		Screens []struct {
			Responses []struct {
				Key   opaque `json:"key"`
				Value opaque `json:"value"`
			} `json:"responses"`
		} `json:"screens"`
	}
	if err := ev.decode(&c); err != nil {
		return "", err
	}
	words := []string{"The customer gave their details"}
	for _, screen := range c.Screens {
		for _, r := range screen.Responses {
			words = append(words, joined(": ", short(string(r.Key)), short(string(r.Value))))
		}
	}
	return lines(words...), nil
}

func orderWords(ev event) (string, error) {
	var o struct {
		Products []struct {
			Name     opaque `json:"name"`
			Price    opaque `json:"unit_price"`
			Currency opaque `json:"currency"`
			Quantity opaque `json:"quantity"`
		} `json:"products"`
		Note opaque `json:"note"`
	}
	if err := ev.decode(&o); err != nil {
		return "", err
	}
	words := []string{"The customer sent a cart"}
	for _, p := range o.Products {
		words = append(words, joined(" ",
			strings.TrimSpace(fmt.Sprintf("%s × %s", short(string(p.Quantity)), short(string(p.Name)))),
			inBrackets(joined(" ", short(string(p.Price)), short(string(p.Currency))))))
	}
	return lines(append(words, short(string(o.Note)))...), nil
}

// amount is a sum of money as Facebook writes it.
type amount struct {
	Currency opaque `json:"currency"`
	Amount   opaque `json:"amount"`
}

func (a amount) words() string {
	return joined(" ", short(string(a.Amount)), short(string(a.Currency)))
}

// addressee is what a customer gives of themselves when paying.
type addressee struct {
	Shipping postal `json:"shipping_address"`
	Name     opaque `json:"contact_name"`
	Email    opaque `json:"contact_email"`
	Phone    opaque `json:"contact_phone"`
}

func (a addressee) words() string {
	return joined(", ", short(string(a.Name)), short(string(a.Email)), short(string(a.Phone)), a.Shipping.words())
}

type postal struct {
	Street1 opaque `json:"street1"`
	Street2 opaque `json:"street2"`
	City    opaque `json:"city"`
	State   opaque `json:"state"`
	Code    opaque `json:"postal_code"`
	Country opaque `json:"country"`
}

func (p postal) words() string {
	return joined(", ", short(string(p.Street1)), short(string(p.Street2)), short(string(p.City)),
		joined(" ", short(string(p.State)), short(string(p.Code))), short(string(p.Country)))
}

type purchase struct {
	Amount    amount    `json:"amount"`
	Requested addressee `json:"requested_user_info"`
}

func paymentWords(ev event) (string, error) {
	var p purchase
	if err := ev.decode(&p); err != nil {
		return "", err
	}
	return lines(joined(" ", "The customer paid", p.Amount.words()), p.Requested.words()), nil
}

func preCheckoutWords(ev event) (string, error) {
	var p purchase
	if err := ev.decode(&p); err != nil {
		return "", err
	}
	return lines(joined(" ", "The customer is about to pay", p.Amount.words()), p.Requested.words()), nil
}

func checkoutWords(ev event) (string, error) {
	var c struct {
		Shipping postal `json:"shipping_address"`
	}
	if err := ev.decode(&c); err != nil {
		return "", err
	}
	return joined(": ", "The customer chose where to ship to", c.Shipping.words()), nil
}

func gameWords(event) (string, error) { return "The customer played a game", nil }
