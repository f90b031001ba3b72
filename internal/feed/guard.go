package feed

import (
	"causeway/ent"
	"causeway/internal/auth"
)

// Guard makes client show viewers no events but those of their campaigns. Reads
// without a viewer are refused.
func Guard(client *ent.Client) {
	client.FeedEvent.Intercept(auth.Scoped())
	client.FeedTrim.Intercept(auth.Scoped())
}
