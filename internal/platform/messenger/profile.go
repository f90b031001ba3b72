package messenger

import (
	"context"
	"net/url"
	"strings"

	"causeway/internal/platform"
)

// Describe reads a customer's profile: their name, the address of their picture, which
// ends after some days, and their language where Config.Locale allows it. The app needs
// Business Asset User Profile Access for people who have no role in it. Where Facebook
// tells no profile, for that or because there is none, the name is looked for among the
// participants of the conversation; that nothing is found is no error.
func (c *Client) Describe(ctx context.Context, contact string) (platform.ContactProfile, error) {
	if strings.HasPrefix(contact, userRef) {
		return platform.ContactProfile{}, nil
	}
	profile, err := c.profile(ctx, contact, c.locale)
	if c.locale && untold(err) {
		profile, err = c.profile(ctx, contact, false)
	}
	if err != nil && !untold(err) {
		return platform.ContactProfile{}, err
	}
	if profile.Name == "" {
		// Second best: trouble with it is no reason to do without the picture.
		profile.Name, _ = c.participant(ctx, contact)
	}
	return profile, nil
}

func (c *Client) profile(ctx context.Context, contact string, locale bool) (platform.ContactProfile, error) {
	fields := "name,first_name,last_name,profile_pic"
	if locale {
		fields += ",locale"
	}
	var p struct {
		Name    opaque `json:"name"`
		First   opaque `json:"first_name"`
		Last    opaque `json:"last_name"`
		Picture opaque `json:"profile_pic"`
		Locale  opaque `json:"locale"`
	}
	if err := c.get(ctx, "profile", []string{contact}, url.Values{"fields": {fields}}, &p); err != nil {
		return platform.ContactProfile{}, err
	}
	profile := platform.ContactProfile{
		Name:      strings.TrimSpace(string(p.Name)),
		AvatarRef: address(p.Picture),
		Language:  strings.ReplaceAll(string(p.Locale), "_", "-"), // vi_VN is vi-VN elsewhere
	}
	if profile.Name == "" {
		profile.Name = joined(" ", strings.TrimSpace(string(p.First)), strings.TrimSpace(string(p.Last)))
	}
	return profile, nil
}

// untold tells the refusals which mean that Facebook has no profile to tell: not there
// (2018218), not allowed (2018247, 10, 200 …), not visible (100/33).
func untold(err error) bool {
	r := platform.Refused(err)
	if r == nil {
		return false
	}
	switch r.Kind {
	case platform.PermissionMissing, platform.Blocked, platform.NotLive:
		return true
	case platform.Rejected:
		return badParameter(r.Code)
	default:
		return false
	}
}

// participant is the customer's name in the conversation with them; empty if there is
// none.
func (c *Client) participant(ctx context.Context, contact string) (string, error) {
	var found struct {
		Data []struct {
			Participants struct {
				Data []struct {
					ID   ident  `json:"id"`
					Name opaque `json:"name"`
				} `json:"data"`
			} `json:"participants"`
		} `json:"data"`
	}
	err := c.get(ctx, "conversations", []string{c.page, "conversations"}, url.Values{
		"platform": {"messenger"}, "user_id": {contact}, "fields": {"participants"},
	}, &found)
	if err != nil {
		return "", err
	}
	for _, conversation := range found.Data {
		for _, p := range conversation.Participants.Data {
			if string(p.ID) == contact {
				return strings.TrimSpace(string(p.Name)), nil
			}
		}
	}
	return "", nil
}
