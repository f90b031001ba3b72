package auth

import (
	"context"

	"causeway"
	"causeway/ent/campaignmember"
)

// Viewer is who is asking, as they were when their token was looked at. It is shared
// between goroutines: do not change one.
type Viewer struct {
	UserID   causeway.ID
	TokenID  causeway.ID // empty for the token of the settings
	Admin    bool
	Language string // BCP 47
	Name     string
	// Standing makes this nobody in particular, but whoever has that part in that one
	// campaign: what is made for all of them at once is read as such. Nil for a person.
	Standing *Standing
}

// Standing is a part in a campaign.
type Standing struct {
	Campaign causeway.ID
	Role     campaignmember.Role
}

type viewerKey struct{}

// WithViewer returns a context in which v is asking.
func WithViewer(ctx context.Context, v *Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// From is who is asking; Unauthenticated when nobody is.
func From(ctx context.Context) (*Viewer, error) {
	v, _ := ctx.Value(viewerKey{}).(*Viewer)
	if v == nil {
		return nil, causeway.Fail(causeway.Unauthenticated)
	}
	return v, nil
}

// Admin is nil for an administrator, else Unauthenticated or Forbidden.
func Admin(ctx context.Context) error {
	viewer, err := From(ctx)
	if err != nil {
		return err
	}
	if !viewer.Admin {
		return causeway.Fail(causeway.Forbidden)
	}
	return nil
}
