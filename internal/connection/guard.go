package connection

import (
	"context"

	"causeway/ent"
	"causeway/ent/facebooklogin"
	"causeway/ent/intercept"
	"causeway/internal/auth"
)

// Guard makes client show viewers the connections and test reports of their campaigns,
// and the Facebook logins that they started there, and no others: a login is nobody
// else's, not an administrator's either. Reads without a viewer are Unauthenticated.
func Guard(client *ent.Client) {
	client.Connection.Intercept(auth.Scoped())
	client.TestReport.Intercept(auth.Scoped())
	client.Notice.Intercept(auth.Scoped())
	client.NoticeLetter.Intercept(auth.Scoped())
	client.FacebookLogin.Intercept(auth.Scoped(), intercept.TraverseFacebookLogin(func(ctx context.Context, q *ent.FacebookLoginQuery) error {
		viewer, err := auth.From(ctx)
		if err == nil {
			q.Where(facebooklogin.UserID(viewer.UserID))
		}
		return err
	}))
}
