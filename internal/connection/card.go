package connection

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"causeway"
	"causeway/ent"
	entconnection "causeway/ent/connection"
	"causeway/internal/platform"
)

// Availability is whether this server can connect a platform's accounts.
type Availability string

// The values of the contract's Availability enum.
const (
	Available     Availability = "AVAILABLE"
	NotConfigured Availability = "NOT_CONFIGURED"
	ComingSoon    Availability = "COMING_SOON"
)

// Card is a platform as a campaign sees it.
type Card struct {
	Platform     platform.Name
	Name         string // as the platform writes itself
	LogoURL      string // a data: address, so that it needs no route and no internet
	Availability Availability
	Problem      *causeway.Problem // why it is NotConfigured
	Connections  int               // that are not disconnected
}

// Platforms are the cards of all platforms in one campaign.
func (s *Service) Platforms(ctx context.Context, campaignID causeway.ID) ([]Card, error) {
	cards, err := s.PlatformsOf(ctx, []causeway.ID{campaignID})
	if err != nil {
		return nil, err
	}
	return cards[campaignID], nil
}

// PlatformsOf are the cards of several campaigns, by one query. Of a campaign that the
// viewer may not see nothing is counted.
func (s *Service) PlatformsOf(ctx context.Context, campaignIDs []causeway.ID) (map[causeway.ID][]Card, error) {
	var counts []struct {
		CampaignID causeway.ID   `json:"campaign_id"`
		Platform   platform.Name `json:"platform"`
		Count      int           `json:"count"`
	}
	err := s.viewers.Connection.Query().
		Where(entconnection.CampaignIDIn(campaignIDs...), entconnection.DisconnectedAtIsNil()).
		GroupBy(entconnection.FieldCampaignID, entconnection.FieldPlatform).
		Aggregate(ent.Count()).
		Scan(ctx, &counts)
	if err != nil {
		return nil, fmt.Errorf("count connections: %w", err)
	}
	cards := make(map[causeway.ID][]Card, len(campaignIDs))
	for _, id := range campaignIDs {
		cards[id] = s.cards()
	}
	for _, c := range counts {
		for i := range cards[c.CampaignID] {
			if card := &cards[c.CampaignID][i]; card.Platform == c.Platform {
				card.Connections = c.Count
			}
		}
	}
	return cards, nil
}

func (s *Service) cards() []Card {
	messenger := Card{Platform: platform.Messenger, Name: "Facebook Messenger", LogoURL: logo("#0084FF", "M"), Availability: Available}
	if lacks := s.facebookLacks(); lacks != nil {
		messenger.Availability, messenger.Problem = NotConfigured, &lacks.Problem
	}
	return []Card{
		{Platform: platform.Telegram, Name: "Telegram", LogoURL: logo("#26A5E4", "T"), Availability: Available},
		messenger,
		{Platform: platform.Instagram, Name: "Instagram", LogoURL: logo("#E4405F", "I"), Availability: ComingSoon},
		{Platform: platform.WhatsApp, Name: "WhatsApp", LogoURL: logo("#25D366", "W"), Availability: ComingSoon},
		{Platform: platform.Zalo, Name: "Zalo", LogoURL: logo("#0068FF", "Z"), Availability: ComingSoon},
	}
}

// facebookLacks says which settings Messenger needs here that are not set; nil if it
// has all.
func (s *Service) facebookLacks() *causeway.Error {
	var missing []string
	for _, setting := range []struct{ name, value string }{
		{"--facebook-app-id", s.facebook.AppID},
		{"--facebook-app-secret", s.facebook.AppSecret},
		{"--facebook-verify-token", s.facebook.VerifyToken},
		{"--public-url", s.publicURL},
	} {
		if setting.value == "" {
			missing = append(missing, setting.name)
		}
	}
	switch {
	case missing == nil:
		return nil
	case len(missing) == 1 && s.publicURL == "":
		return causeway.FailWith(causeway.PlatformNotConfigured, causeway.ReasonNoPublicURL).With("settings", missing[0])
	}
	return causeway.FailWith(causeway.PlatformNotConfigured, causeway.ReasonFacebookApp).
		With("settings", strings.Join(missing, ", "))
}

// logo draws a platform's initial in its colour.
func logo(colour, initial string) string {
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="` + colour +
		`"/><text x="32" y="45" font-family="sans-serif" font-size="38" font-weight="bold" fill="#fff" text-anchor="middle">` +
		initial + `</text></svg>`
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))
}
