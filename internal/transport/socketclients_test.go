package transport

import (
	"strings"
	"testing"
)

func TestGraphqlWSWorks(t *testing.T) {
	t.Parallel()
	runsClient(t, "clients/socket.mjs", "ws"+strings.TrimPrefix(serves(t, nil), "http")+"/graphql")
}

func TestSubscriptionsTransportWSWorks(t *testing.T) {
	t.Parallel()
	runsClient(t, "clients/oldsocket.mjs", "ws"+strings.TrimPrefix(serves(t, nil), "http")+"/graphql")
}
