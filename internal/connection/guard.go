package connection

import (
	"causeway/ent"
	"causeway/internal/auth"
)

// Guard makes client show viewers the connections and test reports of their campaigns
// and no others. Reads without a viewer are Unauthenticated.
func Guard(client *ent.Client) {
	client.Connection.Intercept(auth.Scoped())
	client.TestReport.Intercept(auth.Scoped())
}
