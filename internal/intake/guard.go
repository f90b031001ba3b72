package intake

import (
	"causeway/ent"
	"causeway/internal/auth"
)

// Guard makes client show viewers no logs but those of their campaigns. Reads without
// a viewer are refused.
func Guard(client *ent.Client) { client.WebhookLog.Intercept(auth.Scoped()) }
